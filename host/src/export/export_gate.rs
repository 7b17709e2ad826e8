//! From a gate's run to a bundle: its limits and its measures are those of the bundle as stations
//! run it.

use std::fmt::Write;
use std::path::Path;

use plumbline_reader::{Gate, Judgement};
use plumbline_shared::clinical::Refusal;
use plumbline_shared::features::FeatureStatistics;
use plumbline_shared::manifest::RefusalLimit;
use plumbline_shared::preprocess::tensor;
use rayon::prelude::*;

use super::bundle::{About, write_bundle};
use super::error::ExportError;
use super::export_run::ExportOptions;
use super::onnx::onnx;
use super::weights::weights;
use crate::cohort::{Cohort, Entry, PackedFilms, Split};
use crate::evaluate::{EvaluateError, Step};
use crate::train::Run;

/// Share of good films, varied as in training, that a limit lets pass at least.
const PASSED: f64 = 0.98;

/// The least probability from which a film is not to be read, so that few good films are refused.
const LEAST_THRESHOLD: f64 = 0.7;

/// The least probability from which a film is told to be mirrored, which refuses none.
const LEAST_MIRRORED: f64 = 0.5;

/// The probability from which a reason is told of a film that is not to be read. Several may be.
const TOLD_FROM: f64 = 0.3;

/// The limits of the reasons.
const TOLD: [RefusalLimit; 12] = {
    let mut limits = [RefusalLimit {
        refusal: Refusal::ALL[0],
        threshold: TOLD_FROM,
    }; 12];
    let mut at = 0;
    while at < limits.len() {
        limits[at].refusal = Refusal::ALL[at];
        at += 1;
    }
    limits
};

/// A gate's measures on one split's films.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GateMeasures {
    /// Good films.
    pub good: usize,
    /// Good films that are refused.
    pub good_refused: usize,
    /// For each reason: films that should be refused for it, those that are refused for whatever
    /// reason, and those that are refused for it.
    pub faults: Vec<(Refusal, [usize; 3])>,
}

/// An exported gate.
#[derive(Clone, Debug)]
pub struct ExportedGate {
    /// The bundle's measures on the calibration cohort's test films.
    pub measures: GateMeasures,
    /// Films of the calibration cohort that cannot be used.
    pub left_out: usize,
}

/// Exports the best epoch of the gate's `run` as the bundle `out`. The `cohort`'s val films set the
/// limits and the statistics of good films' features, its test films measure the bundle.
///
/// # Errors
/// If the cohort has no good films in its val split, or the bundle cannot be written.
pub fn export_gate(
    run: &Run,
    cohort: &Cohort,
    packed: &PackedFilms,
    options: &ExportOptions,
    out: &Path,
    progress: impl Fn(Step) + Sync,
) -> Result<ExportedGate, ExportError> {
    let (architecture, variant) = (run.recipe.architecture, run.record.variant);
    let (_, parameters) = run.network()?;
    let network = weights(&parameters)?;
    let model = onnx(architecture, variant, &network, options.precision)?;
    let write = |out: &Path, limits: &Limits, statistics, card: &str| {
        let about = About {
            model: &options.name,
            model_version: &options.model_version,
            architecture,
            threshold: limits.threshold,
            refusals: &limits.refusals,
            statistics,
            card,
        };
        write_bundle(out, &about, &model)
    };

    // The limits belong to the bundle as stations run it, so one with provisional ones is measured.
    let provisional = tempfile::tempdir().map_err(|error| ExportError::Write {
        path: std::env::temp_dir(),
        error,
    })?;
    let provisional = provisional.path().join("bundle");
    write(&provisional, &Limits::PROVISIONAL, None, "")?;
    let gate = Gate::open(&provisional)?;
    let validation = judge(&gate, cohort, packed, Split::Val, &progress)?;
    let limits = Limits::of(&validation.judged).ok_or(ExportError::NoGoodFilms)?;
    let features: Vec<Vec<f32>> = validation
        .judged
        .iter()
        .filter(|(entry, ..)| entry.refusal.is_none())
        .map(|(_, _, features)| features.clone())
        .collect();
    let statistics = FeatureStatistics::of(&features, 0);
    write(&provisional, &limits, statistics.as_ref(), "")?;
    let gate = Gate::open(&provisional)?;
    let test = judge(&gate, cohort, packed, Split::Test, &progress)?;
    let measures = GateMeasures::of(&test.judged);
    let card = card(run, cohort, options, &limits, &measures)?;
    write(out, &limits, statistics.as_ref(), &card)?;
    Ok(ExportedGate {
        measures,
        left_out: validation.left_out + test.left_out,
    })
}

/// Films with the gate's answers.
struct Judged<'a> {
    /// The films, what the gate says of them, and their features.
    judged: Vec<(&'a Entry, Judgement, Vec<f32>)>,
    left_out: usize,
}

/// Judges all films of a split, on all cores.
fn judge<'a>(
    gate: &Gate,
    cohort: &'a Cohort,
    packed: &PackedFilms,
    split: Split,
    progress: &(impl Fn(Step) + Sync),
) -> Result<Judged<'a>, ExportError> {
    let films = cohort.entries().iter().filter(|e| e.split == split);
    let (films, left_out) = packed
        .usable(films.collect())
        .map_err(EvaluateError::from)?;
    progress(Step::Begin {
        split: split.name(),
        films: films.len() as u64,
    });
    let judged = films.par_iter().map(|(entry, place)| {
        let tensor = tensor(packed.grey(*place));
        let judgement = gate.judge(&tensor)?;
        let features = gate.pooled_features(&tensor)?;
        progress(Step::Film);
        Ok((*entry, judgement, features))
    });
    Ok(Judged {
        judged: judged.collect::<Result<_, ExportError>>()?,
        left_out: left_out.len(),
    })
}

/// A gate's limits.
struct Limits {
    /// The probability from which a film is not to be read.
    threshold: f64,
    /// That from which each reason is told.
    refusals: [RefusalLimit; 12],
}

impl Limits {
    /// Those of a bundle that is yet to be measured.
    const PROVISIONAL: Self = Self {
        threshold: 0.5,
        refusals: TOLD,
    };

    /// Those that [`PASSED`] of the good films of `judged` do not reach; none without good films.
    fn of(judged: &[(&Entry, Judgement, Vec<f32>)]) -> Option<Self> {
        let good = judged.iter().filter(|(entry, ..)| entry.refusal.is_none());
        let good: Vec<&Judgement> = good.map(|(_, judgement, _)| judgement).collect();
        let mut limits = Self::PROVISIONAL;
        limits.threshold = limit(
            good.iter().map(|judgement| judgement.unreadable),
            LEAST_THRESHOLD,
        )?;
        let place = Refusal::ALL.iter().position(|r| *r == Refusal::Mirrored)?;
        let mirrored = good
            .iter()
            .map(|judgement| judgement.scores[place].probability);
        limits.refusals[place].threshold = limit(mirrored, LEAST_MIRRORED)?;
        Some(limits)
    }
}

/// The probability that [`PASSED`] of the good films do not reach, but `least` at least; none without
/// films.
fn limit(good: impl Iterator<Item = f64>, least: f64) -> Option<f64> {
    let mut good: Vec<f64> = good.collect();
    good.sort_unstable_by(f64::total_cmp);
    let at = (good.len() as f64 * PASSED) as usize;
    let reached = good.get(at).or(good.last())?;
    Some(reached.max(least).min(1.0 - 1e-6))
}

impl GateMeasures {
    fn of(judged: &[(&Entry, Judgement, Vec<f32>)]) -> Self {
        let mut measures = Self {
            faults: Refusal::ALL.map(|refusal| (refusal, [0; 3])).to_vec(),
            ..Self::default()
        };
        for (entry, judgement, _) in judged {
            let Some(refusal) = entry.refusal else {
                measures.good += 1;
                measures.good_refused += usize::from(judgement.refuses());
                continue;
            };
            let named = judgement.reasons().contains(&refusal);
            for (reason, counts) in &mut measures.faults {
                if *reason == refusal {
                    counts[0] += 1;
                    counts[1] += usize::from(judgement.refuses());
                    counts[2] += usize::from(named);
                }
            }
        }
        measures
    }
}

impl std::fmt::Display for GateMeasures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "films           number  refused  for this reason")?;
        writeln!(
            f,
            "good            {:6}  {:7}",
            self.good, self.good_refused
        )?;
        for (refusal, [films, refused, named]) in &self.faults {
            writeln!(
                f,
                "{:14}  {films:6}  {refused:7}  {named:15}",
                refusal.name()
            )?;
        }
        Ok(())
    }
}

/// The model card.
fn card(
    run: &Run,
    cohort: &Cohort,
    options: &ExportOptions,
    limits: &Limits,
    measures: &GateMeasures,
) -> Result<String, ExportError> {
    let mut text = format!(
        "# {} {}\n\nSays of a film whether it should be read at all, before the networks that read \
         films for scoliosis do: one output for each reason to refuse it. It makes no diagnosis.\n\n\
         - Network: seven convolutions and a layer of 128-12, on films of 128 x 128.\n\
         - Preprocessing: `{}`.\n",
        options.name, options.model_version, run.record.preprocessing
    );
    if !options.remarks.trim().is_empty() {
        let _ = write!(text, "\n{}\n", options.remarks.trim());
    }
    let mut reasons = limits.refusals.iter();
    let mirrored = reasons.find(|limit| limit.refusal == Refusal::Mirrored);
    let mirrored = mirrored.unwrap_or(&limits.refusals[0]);
    let _ = write!(
        text,
        "\n## Measured\n\nThis bundle's network, as shipped, on the held-out test films of the \
         calibration cohort (`{}`); rules on tags and greys, which a station checks beside it, are \
         left out here; mirrored films are told and not refused:\n\n```text\n{measures}```\n\nA film is \
         not to be read from a probability of {:.4}, all reasons together, or if its features are \
         much further from those of good films than 99.5 % of these are; a reason is told from \
         {TOLD_FROM}, that the film is mirrored from {:.4}.\n",
        cohort.fingerprint(),
        limits.threshold,
        mirrored.threshold,
    );
    let recipe = toml::to_string(&run.recipe)?;
    let _ = write!(
        text,
        "\n## Training\n\nCohort `{}`; plumbline {}. The recipe:\n\n```toml\n{}\n```\n",
        run.record.cohort,
        run.record.plumbline,
        recipe.trim()
    );
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_films_pass_their_limit() {
        let doubtful = (0..1000).map(|i| f64::from(i) / 1000.0);
        let reached = limit(doubtful.clone(), 0.7).unwrap();
        assert_eq!(doubtful.filter(|p| *p < reached).count(), 980);
        assert_eq!(limit([0.1, 0.2].into_iter(), 0.7), Some(0.7));
        assert!(limit([1.0].into_iter(), 0.7).unwrap() < 1.0);
        assert_eq!(limit(std::iter::empty(), 0.7), None);
    }
}
