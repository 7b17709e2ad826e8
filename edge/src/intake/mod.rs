//! The intake: films come by DICOM, from a watched folder and by uploads. Their files are from
//! outside, so whatever looks into them is a child process, which is not trusted.

mod answer;
mod dicom;
mod error;
mod file_meta;
mod folder;
mod receiver;
mod sandbox;

pub use dicom::{DicomListener, DicomOptions};
pub use error::IntakeError;
pub(crate) use file_meta::file_meta;
pub use folder::Watcher;
pub use receiver::{Announced, ReceiveError, Receiver, Way};
pub use sandbox::{DecodedFile, THIS_PROGRAM, Task, WAIT, child_main, decode_with, inspect_with};
pub(crate) use sandbox::{ask_child, limit_self};
