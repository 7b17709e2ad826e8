//! The manifest's row of a phantom.

use plumbline_phantom::curve::{Cobb, LEVELS};
use plumbline_phantom::{FilmSpec, Phantom};
use plumbline_shared::clinical::{Convexity, CurveType, Refusal, SCOLIOSIS_DEGREES};

use super::options::Format;
use crate::cohort::manifest::{NO_FINDING, Row, Split};

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
    let cobb = phantom.cobb();
    let positive = degrees >= SCOLIOSIS_DEGREES;
    let findings = phantom.findings();
    let curves: Vec<String> = phantom.curves().iter().map(Cobb::to_string).collect();
    let (curve, convexity) = match positive {
        true => (phantom.curve().kind(), cobb.convexity),
        false => (CurveType::None, Convexity::None),
    };
    row.label = Some(u8::from(positive));
    row.findings = Some(match findings.is_empty() {
        true => NO_FINDING.to_owned(),
        false => findings.join("|"),
    });
    row.cobb_degrees = Some(degrees as f32);
    row.curve = Some(curve);
    row.apex = positive.then(|| LEVELS[cobb.apex].to_owned());
    row.convexity = Some(convexity);
    row.cobb_angles = Some(curves.join("; "));
    row.rotation_degrees = Some(phantom.patient.rotation.to_degrees() as f32);
}
