//! Options of a cohort of phantoms.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use plumbline_phantom::{Frame, REFUSALS};
use plumbline_shared::clinical::Refusal;
use serde::{Deserialize, Serialize};

use super::error::PhantomError;

/// Shortest and longest edge of a film, in pixels.
const SIDES: RangeInclusive<u32> = 64..=4096;

/// File format of the films.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// 16-bit grey PNG.
    Png,
    /// DICOM, Explicit VR Little Endian.
    Dicom,
}

impl Format {
    /// Returns how names of such files end, without the dot.
    pub(super) fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Dicom => "dcm",
        }
    }
}

/// Options of a cohort of phantoms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhantomOptions {
    /// Number of films to be read, one a patient.
    pub films: u64,
    /// Number of films beside them that should be refused, an equal share for each reason.
    pub refused: u64,
    /// Share of positives; their number is the rounded product.
    pub prevalence: f64,
    /// Seed of everything random.
    pub seed: u64,
    /// Folder to write.
    #[serde(skip)]
    pub out: PathBuf,
    /// File format of the films.
    pub format: Format,
    /// Pixels along the longer edge of a film.
    pub side: u32,
    /// What the films show, and their format.
    pub frame: Frame,
}

impl PhantomOptions {
    /// Checks that the options make a cohort.
    pub(super) fn check(&self) -> Result<(), PhantomError> {
        if !(1..=1_000_000).contains(&self.films) {
            return Err(PhantomError::Options("films must be 1 to 1,000,000"));
        }
        if self.refused > 0 && self.frame == Frame::WholeSpine {
            return Err(PhantomError::Options(
                "films of the whole spine are not drawn to be refused: leave them out",
            ));
        }
        if self.refused > 1_000_000 {
            return Err(PhantomError::Options("refused must be 0 to 1,000,000"));
        }
        if !(0.0..=1.0).contains(&self.prevalence) {
            return Err(PhantomError::Options("prevalence must lie between 0 and 1"));
        }
        if !SIDES.contains(&self.side) {
            return Err(PhantomError::Options("side must be 64 to 4096 pixels"));
        }
        Ok(())
    }

    /// Returns the reason for which a film should be refused, if there is one: the films to be read
    /// come first, those to be refused after them.
    pub(super) fn refusal(&self, index: u64) -> Option<Refusal> {
        let beyond = index.checked_sub(self.films)?;
        Some(REFUSALS[(beyond % REFUSALS.len() as u64) as usize])
    }
}
