//! The gate's network: whether a film should be read at all.

use std::path::Path;

use plumbline_shared::architecture::Architecture;
use plumbline_shared::clinical::Refusal;
use plumbline_shared::features::{FeatureStatistics, Unlikeness};
use plumbline_shared::manifest::Manifest;
use tract_onnx::tract_core::internal::ensure;

use crate::contents::Contents;
use crate::error::BundleError;
use crate::plan::Plan;

/// A gate's bundle, ready to judge films. Threads may share it.
///
/// ```no_run
/// use std::path::Path;
///
/// use plumbline_reader::Gate;
/// use plumbline_shared::film::Film;
/// use plumbline_shared::preprocess::prepare;
///
/// let gate = Gate::open(Path::new("models/gate"))?;
/// let film = Film::new(256, 256, vec![0; 256 * 256])?;
/// for score in gate.judge(&prepare(&film).tensor())?.scores {
///     println!("{} {}", score.refusal.name(), score.probability);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Gate {
    manifest: Manifest,
    plan: Plan,
    statistics: Option<FeatureStatistics>,
}

/// A gate's answer for one film.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// One score for each reason to refuse a film, in the order of [`Refusal::ALL`].
    pub scores: Vec<Score>,
    /// How unlike the good films that the gate knows this one is; none if the bundle does not say.
    pub unlikeness: Option<Unlikeness>,
}

/// A gate's answer for one film and one reason.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// The reason.
    pub refusal: Refusal,
    /// The probability that the film should be refused for it, 0 to 1.
    pub probability: f64,
    /// The probability from which it is.
    pub threshold: f64,
}

impl Score {
    /// Returns true if the film should be refused for this reason.
    pub fn holds(&self) -> bool {
        self.probability >= self.threshold
    }
}

impl Gate {
    /// Opens the gate's bundle in folder `bundle`, checked as any bundle.
    ///
    /// # Errors
    /// [`BundleError`] if a file is missing or was changed, the bundle was made for another
    /// preprocessing or by another version, or the network is no gate's.
    pub fn open(bundle: &Path) -> Result<Self, BundleError> {
        let Contents {
            manifest,
            model,
            statistics,
        } = Contents::open(bundle)?;
        let architecture = manifest.architecture;
        if architecture != Architecture::Gate {
            let bundle = bundle.to_path_buf();
            return Err(BundleError::Task {
                bundle,
                architecture,
            });
        }
        let outputs = manifest.refusals.len();
        let (plan, ()) = Plan::of(bundle, &manifest, &model, |graph| {
            ensure!(!graph.node.is_empty(), "it holds no layers");
            Ok(((), outputs))
        })?;
        Ok(Self {
            manifest,
            plan,
            statistics,
        })
    }

    /// Returns the bundle's manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Judges one prepared film: `tensor` is 3 x 256 x 256.
    ///
    /// # Errors
    /// [`BundleError`] if the tensor has another size, or the network cannot be run or answers with
    /// something that is not a number.
    pub fn judge(&self, tensor: &[f32]) -> Result<Judgement, BundleError> {
        let outputs = self.plan.run(tensor)?;
        if !outputs.logits.iter().all(|logit| logit.is_finite()) {
            return Err(BundleError::Run("it answers with no numbers".into()));
        }
        let limits = self.manifest.refusals.iter().zip(&outputs.logits);
        let known = self.statistics.as_ref();
        Ok(Judgement {
            scores: limits
                .map(|(limit, logit)| Score {
                    refusal: limit.refusal,
                    probability: 1.0 / (1.0 + (-f64::from(*logit)).exp()),
                    threshold: limit.threshold,
                })
                .collect(),
            unlikeness: known.map(|known| known.unlikeness(&outputs.pooled())),
        })
    }

    /// Returns the means of the last feature maps for one prepared film, which
    /// [`FeatureStatistics`] are made of.
    ///
    /// # Errors
    /// As [`judge`](Self::judge).
    pub fn pooled_features(&self, tensor: &[f32]) -> Result<Vec<f32>, BundleError> {
        Ok(self.plan.run(tensor)?.pooled())
    }
}
