//! Where films come in: decoded without trust, in a child process.

mod answer;
mod error;
mod sandbox;

pub use error::IntakeError;
pub use sandbox::{FilmAndHeader, THIS_PROGRAM, WAIT, child_main, decode_with};
