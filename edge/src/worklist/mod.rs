//! The hospital's worklist: which examinations are planned, kept for the hours without a network, and which
//! of them a film is of. A match that is in doubt is offered, and made by a person.

mod asker;
mod matching;

pub use asker::{MODALITIES, WorklistAsker, day};
pub use matching::{Match, matches};
