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

/// How many times as far from the good films that the gate knows as nearly all of these a film is that
/// is refused for its strangeness alone.
const STRANGE: f64 = 1.1;

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
/// for reason in gate.judge(&prepare(&film).tensor())?.reasons() {
///     println!("{}", reason.name());
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
    /// The probability that the film should not be read, for whatever reason: the sum of all reasons'
    /// (they exclude one another in training), but that it is mirrored.
    pub unreadable: f64,
    /// The probability from which a film is not to be read.
    pub threshold: f64,
    /// How unlike the good films that the gate knows this one is; none if the bundle does not say.
    pub unlikeness: Option<Unlikeness>,
}

/// A gate's answer for one film and one reason.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// The reason.
    pub refusal: Refusal,
    /// The probability that it holds, 0 to 1.
    pub probability: f64,
    /// The probability from which it is told.
    pub threshold: f64,
}

impl Judgement {
    /// Returns true if the film is not to be read: it shows one of the faults, or is unlike the good
    /// films that the gate knows.
    pub fn refuses(&self) -> bool {
        self.is_faulty() || self.is_strange()
    }

    fn is_faulty(&self) -> bool {
        self.unreadable >= self.threshold
    }

    /// A mirrored film is strange, too, but for a reason that refuses no film.
    fn is_strange(&self) -> bool {
        let unlikeness = self.unlikeness;
        let far = unlikeness.is_some_and(|it| it.distance > STRANGE * it.limit);
        let cautions = || self.scores.iter().filter(|score| !score.refuses());
        far && !cautions().any(|score| score.is_reached())
    }

    /// The reasons that hold, in the order of [`Refusal::ALL`]. Of a film that is not to be read those
    /// that reach their thresholds; if none does, the most probable, or, of a film that shows none of
    /// the faults but is unlike the good ones, that it is no chest film. And whether the film looks
    /// mirrored.
    pub fn reasons(&self) -> Vec<Refusal> {
        let refusing = || self.scores.iter().filter(|score| score.refuses());
        let mut told = Vec::new();
        if self.refuses() {
            let reached = refusing().filter(|score| score.is_reached());
            told.extend(reached.map(|score| score.refusal));
            let most = refusing().max_by(|a, b| a.probability.total_cmp(&b.probability));
            match most {
                Some(most) if told.is_empty() && self.is_faulty() => told.push(most.refusal),
                _ if told.is_empty() => told.push(Refusal::NotAChest),
                _ => {}
            }
        }
        let cautions = self.scores.iter().filter(|score| !score.refuses());
        told.extend(cautions.filter(|s| s.is_reached()).map(|s| s.refusal));
        told.sort_by_key(|reason| Refusal::ALL.iter().position(|other| other == reason));
        told
    }
}

impl Score {
    /// Returns true if a film for which the reason holds is not to be read: all but mirrored ones.
    fn refuses(&self) -> bool {
        self.refusal != Refusal::Mirrored
    }

    fn is_reached(&self) -> bool {
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
        let scores: Vec<Score> = limits
            .map(|(limit, logit)| Score {
                refusal: limit.refusal,
                probability: 1.0 / (1.0 + (-f64::from(*logit)).exp()),
                threshold: limit.threshold,
            })
            .collect();
        let refusing = scores.iter().filter(|score| score.refuses());
        let sum: f64 = refusing.map(|score| score.probability).sum();
        Ok(Judgement {
            scores,
            unreadable: sum.min(1.0),
            threshold: self.manifest.threshold,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn judgement(probable: &[(Refusal, f64)]) -> Judgement {
        let scores = Refusal::ALL.map(|refusal| {
            let given = probable.iter().find(|(other, _)| *other == refusal);
            Score {
                refusal,
                probability: given.map_or(0.0, |(_, probability)| *probability),
                threshold: 0.4,
            }
        });
        let refusing = scores.iter().filter(|score| score.refuses());
        Judgement {
            unreadable: refusing.map(|score| score.probability).sum(),
            scores: scores.to_vec(),
            threshold: 0.8,
            unlikeness: None,
        }
    }

    #[test]
    fn doubts_add_up() {
        let reasons = |probable: &[(Refusal, f64)]| judgement(probable).reasons();
        assert_eq!(reasons(&[]), []);
        assert_eq!(reasons(&[(Refusal::Blank, 0.7)]), []);
        assert_eq!(reasons(&[(Refusal::Blank, 0.9)]), [Refusal::Blank]);
        let divided = [
            (Refusal::Blank, 0.3),
            (Refusal::NotAChest, 0.35),
            (Refusal::OverExposed, 0.25),
        ];
        assert_eq!(reasons(&divided), [Refusal::NotAChest]);
        let both = [(Refusal::Inverted, 0.5), (Refusal::BasesMissing, 0.45)];
        assert_eq!(reasons(&both), [Refusal::Inverted, Refusal::BasesMissing]);
    }

    #[test]
    fn a_film_unlike_good_ones_is_refused_whatever_it_shows() {
        let distant = |probable: &[(Refusal, f64)], distance| {
            let unlikeness = Some(Unlikeness {
                distance,
                limit: 2.0 / STRANGE,
            });
            let judgement = Judgement {
                unlikeness,
                ..judgement(probable)
            };
            (judgement.refuses(), judgement.reasons())
        };
        assert_eq!(distant(&[], 1.9), (false, vec![]));
        assert_eq!(distant(&[], 2.1), (true, vec![Refusal::NotAChest]));
        let lateral = [(Refusal::Lateral, 0.5)];
        assert_eq!(distant(&lateral, 1.9), (false, vec![]));
        assert_eq!(distant(&lateral, 2.1), (true, vec![Refusal::Lateral]));
        let mirrored = [(Refusal::Mirrored, 0.9)];
        assert_eq!(distant(&mirrored, 2.1), (false, vec![Refusal::Mirrored]));
    }

    #[test]
    fn a_mirrored_film_can_be_read() {
        assert_eq!(
            judgement(&[(Refusal::Mirrored, 0.9)]).reasons(),
            [Refusal::Mirrored]
        );
        let doubtful = judgement(&[(Refusal::Mirrored, 0.3), (Refusal::Lateral, 0.6)]);
        assert_eq!(doubtful.reasons(), []);
    }
}
