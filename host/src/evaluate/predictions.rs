//! A model's answer to each film, as `predictions.csv`.

use serde::{Deserialize, Serialize};

use super::measures::Scored;

/// One line of `predictions.csv`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// The film, relative to its cohort's folder.
    pub film: String,
    /// Its patient.
    pub patient: String,
    /// 1: scoliosis, 0: none.
    pub label: u8,
    /// The logit; of two outputs, positive minus negative.
    pub logit: f32,
    /// The probability.
    pub probability: f64,
}

/// The table as CSV.
///
/// # Errors
/// The csv library's.
pub fn write_predictions(predictions: &[Prediction]) -> csv::Result<Vec<u8>> {
    let mut table = csv::Writer::from_writer(Vec::new());
    for prediction in predictions {
        table.serialize(prediction)?;
    }
    table
        .into_inner()
        .map_err(|error| error.into_error().into())
}

/// Reads what [`write_predictions`] wrote; columns that are not known are passed over.
///
/// # Errors
/// The csv library's, which names the line.
pub fn read_predictions(table: &[u8]) -> csv::Result<Vec<Prediction>> {
    csv::Reader::from_reader(table).deserialize().collect()
}

impl Scored {
    /// Predictions as they are measured.
    pub fn of(predictions: &[Prediction]) -> Self {
        let films = predictions.iter();
        Self::new(films.map(|film| (film.probability, film.label == 1, film.patient.as_str())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_survive_their_way() {
        let predictions =
            [("a, \"b\".png", 0.1f32), ("c.dcm", -7.25e-8)].map(|(film, logit)| Prediction {
                film: film.into(),
                patient: "p\n1".into(),
                label: 1,
                logit,
                probability: 1.0 / (1.0 + f64::from(-logit).exp()),
            });
        let table = write_predictions(&predictions).unwrap();
        assert_eq!(read_predictions(&table).unwrap(), predictions);
    }
}
