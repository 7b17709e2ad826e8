//! The manifest's row of a phantom.

use plumbline_phantom::{FilmSpec, Phantom};
use plumbline_shared::clinical::Refusal;

use super::options::Format;
use crate::cohort::manifest::{self, Row, Split};

/// Returns the row of a film.
pub(super) fn row(format: Format, spec: &FilmSpec, phantom: &Phantom, split: Split) -> Row {
    let index = spec.index;
    let patient = format!("phantom-{}-{index:06}", spec.seed);
    let mut row = Row {
        study: Some(format!("{patient}-1")),
        refusal: spec.refusal,
        age: Some(phantom.patient.age as u8),
        sex: Some(phantom.patient.sex),
        projection: Some(phantom.projection()),
        seed: Some(spec.seed),
        ..Row::new(
            format!("films/{index:06}.{}", format.extension()),
            patient,
            split,
        )
    };
    match spec.refusal {
        None => {
            row.mask = Some(format!("masks/{index:06}.png"));
            tell_truth(&mut row, spec.degrees, phantom);
        }
        // There is no patient on it.
        Some(Refusal::Blank) => {
            (row.age, row.sex, row.projection) = (None, None, None);
        }
        Some(Refusal::NotAChest) => row.projection = None,
        Some(_) => {}
    }
    row
}

/// Fills in the truth about the spine and the diseases.
fn tell_truth(row: &mut Row, degrees: f64, phantom: &Phantom) {
    let kind = phantom.curve().kind();
    row.tell_curve(degrees, kind, &phantom.cobb(), &phantom.curves());
    row.findings = Some(manifest::written(&phantom.findings()));
    row.rotation_degrees = Some(phantom.patient.rotation.to_degrees() as f32);
}
