//! From a run to a bundle: the threshold and the measures are those of the bundle as stations run
//! it.

use std::path::Path;

use plumbline_reader::Bundle;

use super::bundle::{About, write_bundle};
use super::card::Card;
use super::error::ExportError;
use super::onnx::onnx;
use super::statistics::statistics;
use super::weights::{StoragePrecision, weights};
use crate::cohort::{Cohort, PackedFilms, Split};
use crate::evaluate::{
    Measures, Scored, Step, roc_auc, score, sensitivity_threshold, youden_threshold,
};
use crate::model::Model;
use crate::train::Run;

/// Options of an export.
#[derive(Clone, Debug)]
pub struct ExportOptions {
    /// The model's name.
    pub name: String,
    /// The model's version.
    pub model_version: String,
    /// The precision of the stored weights.
    pub precision: StoragePrecision,
    /// The share of positives that the threshold must find, 0 to 1; without, the threshold has the
    /// largest sum of sensitivity and specificity.
    pub sensitivity: Option<f64>,
    /// Remarks for the model card, in Markdown.
    pub remarks: String,
}

/// An exported bundle.
#[derive(Debug)]
pub struct Exported {
    /// The bundle's measures on the calibration cohort's test films.
    pub measures: Measures,
    /// Films of the calibration cohort that cannot be used.
    pub left_out: usize,
}

/// Exports the best epoch of `run` as the bundle `out`. The `cohort`'s val films set the threshold and
/// say what the network knows, its test films measure the bundle.
///
/// # Errors
/// If the run does not read scoliosis, the films cannot set a threshold, or the bundle cannot be
/// written.
pub fn export(
    run: &Run,
    cohort: &Cohort,
    packed: &PackedFilms,
    options: &ExportOptions,
    out: &Path,
    progress: impl Fn(Step) + Sync,
) -> Result<Exported, ExportError> {
    let (architecture, variant) = (run.recipe.architecture, run.record.variant);
    if !run.recipe.description(variant).reads_scoliosis() {
        return Err(ExportError::OtherClasses);
    }
    let (_, parameters) = run.network()?;
    let network = weights(&parameters)?;
    let model = onnx(architecture, variant, &network, options.precision)?;
    let write = |out: &Path, threshold: f64, statistics, card: &str| {
        let about = About {
            model: &options.name,
            model_version: &options.model_version,
            architecture,
            threshold,
            refusals: &[],
            statistics,
            card,
        };
        write_bundle(out, &about, &model)
    };
    let scores = |model: &Model, split| score(model, cohort, packed, Some(split), &progress);

    // The threshold belongs to the bundle as stations run it, so a provisional one is measured.
    let provisional = tempfile::tempdir().map_err(|error| ExportError::Write {
        path: std::env::temp_dir(),
        error,
    })?;
    let provisional = provisional.path().join("bundle");
    write(&provisional, 0.5, None, "")?;
    let reader = Bundle::open(&provisional)?;
    let known = match statistics(&reader, cohort, packed, Some(Split::Val), &progress) {
        // A small cohort makes a bundle that does not say what it knows.
        Err(ExportError::TooFewFilms) => None,
        known => Some(known?),
    };
    let bundle = Model::from_bundle(&provisional).map_err(Box::new)?;
    let validation = scores(&bundle, Split::Val)?;
    let scored = Scored::of(&validation.predictions);
    let (probabilities, labels) = (&scored.probabilities, &scored.labels);
    let threshold = match options.sensitivity {
        Some(share) => sensitivity_threshold(probabilities, labels, share),
        None => youden_threshold(probabilities, labels),
    };
    let threshold = threshold
        .ok_or(ExportError::OneClass)?
        .clamp(1e-6, 1.0 - 1e-6);
    let test = scores(&bundle, Split::Test)?;
    let float = Model::from_run(run).map_err(Box::new)?;
    let float = Scored::of(&scores(&float, Split::Test)?.predictions);
    let float_auc = roc_auc(&float.probabilities, &float.labels);
    let measures = Measures::new(&Scored::of(&test.predictions), threshold);
    let left_out = validation.left_out.len() + test.left_out.len();
    let card = Card {
        model: &options.name,
        model_version: &options.model_version,
        precision: options.precision,
        recipe: &run.recipe,
        record: &run.record,
        epochs: &run.epochs()?,
        calibration: cohort.fingerprint(),
        left_out,
        threshold,
        sensitivity: options.sensitivity,
        test: &measures,
        float_auc: float_auc.is_finite().then_some(float_auc),
        remarks: &options.remarks,
    };
    write(out, threshold, known.as_ref(), &card.markdown()?)?;
    Ok(Exported { measures, left_out })
}
