//! De-identification for research by the Basic Application Level Confidentiality Profile of DICOM (PS3.15,
//! E.1): the attributes of its table are removed, emptied or replaced at every depth, private ones go, and of
//! all others only numbers, known words and pixels stay. UIDs and patients get pseudonyms that are made with
//! a key of the station's own. What pixels show cannot be promised away.

mod child;
mod codes;
mod film;
mod kept;
mod key;
mod listing;
mod rules;
mod table;

pub use child::{Deidentified, DeidentifyError, child_main, deidentify_with};
pub use film::Pseudonyms;
pub use key::{KEY, Key};
pub use listing::{Row, rows};
