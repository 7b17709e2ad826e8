//! The intake: films from outside are decoded in a child process, which is not trusted.

mod answer;
mod error;
mod sandbox;

pub use error::IntakeError;
pub use sandbox::{DecodedFile, THIS_PROGRAM, WAIT, child_main, decode_with};
