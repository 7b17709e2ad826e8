//! Model bundles: a folder of `model.onnx`, `manifest.json` and `MODEL_CARD.md`, opened, verified
//! and run by tract.

use std::path::Path;

use plumbline_shared::architecture::Architecture;
use plumbline_shared::decision::Decision;
use plumbline_shared::features::{FeatureStatistics, Unlikeness};
use plumbline_shared::gradcam::{Cam, Head, grad_cam};
use plumbline_shared::manifest::Manifest;

use crate::contents::Contents;
use crate::error::BundleError;
use crate::plan::{MAP_SIDE, Plan};
use crate::weights;

/// A bundle, ready to read films. Threads may share it.
///
/// ```no_run
/// use std::path::Path;
///
/// use plumbline_reader::Bundle;
/// use plumbline_shared::film::Film;
/// use plumbline_shared::preprocess::prepare;
///
/// let bundle = Bundle::open(Path::new("models/chexnet"))?;
/// let film = Film::new(256, 256, vec![0; 256 * 256])?;
/// let reading = bundle.read(&prepare(&film).tensor())?;
/// println!("probability {}", reading.decision.probability);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Bundle {
    manifest: Manifest,
    head: Head,
    plan: Plan,
    statistics: Option<FeatureStatistics>,
}

/// The network's answer for one film.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The logits as the network gives them: one, or two of which index 1 is positive.
    pub logits: Vec<f32>,
    /// The decision at the bundle's threshold.
    pub decision: Decision,
    /// The Grad-CAM map, 8 x 8.
    pub cam: Cam,
    /// How unlike the films that the network knows this one is; none if the bundle does not say what
    /// it knows.
    pub unlikeness: Option<Unlikeness>,
}

impl Bundle {
    /// Opens the bundle in folder `bundle`: checks every file against the manifest and the
    /// preprocessing against this program's, and makes the network ready to run.
    ///
    /// # Errors
    ///
    /// [`BundleError`] if a file is missing or was changed, the bundle was made for another
    /// preprocessing or by another version, or the network is a gate's or not what the manifest
    /// says.
    pub fn open(bundle: &Path) -> Result<Self, BundleError> {
        let Contents {
            manifest,
            model,
            statistics,
        } = Contents::open(bundle)?;
        let architecture = manifest.architecture;
        if architecture == Architecture::Gate {
            let bundle = bundle.to_path_buf();
            return Err(BundleError::Task {
                bundle,
                architecture,
            });
        }
        let (plan, head) = Plan::of(bundle, &manifest, &model, |graph| {
            let head = weights::head(graph, architecture)?;
            let logits = head.outputs();
            Ok((head, logits))
        })?;
        Ok(Self {
            manifest,
            head,
            plan,
            statistics,
        })
    }

    /// Returns the bundle's manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Reads one prepared film: `tensor` is 3 x 256 x 256.
    ///
    /// # Errors
    ///
    /// [`BundleError`] if the tensor has another size, or the network cannot be run or answers
    /// with something that is not a number.
    pub fn read(&self, tensor: &[f32]) -> Result<Reading, BundleError> {
        let outputs = self.plan.run(tensor)?;
        let decision = Decision::from_logits(&outputs.logits, self.manifest.threshold)?;
        let cam = grad_cam(&self.head, &outputs.features, MAP_SIDE, MAP_SIDE);
        let known = self.statistics.as_ref();
        Ok(Reading {
            decision,
            cam,
            unlikeness: known.map(|known| known.unlikeness(&outputs.pooled())),
            logits: outputs.logits,
        })
    }

    /// Returns the means of the last feature maps for one prepared film, which
    /// [`FeatureStatistics`] are made of.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn pooled_features(&self, tensor: &[f32]) -> Result<Vec<f32>, BundleError> {
        Ok(self.plan.run(tensor)?.pooled())
    }
}
