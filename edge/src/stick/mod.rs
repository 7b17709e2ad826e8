//! A USB stick as a way to other stations and hosts where the network never comes: a DICOM file-set (PS3.10)
//! with a DICOMDIR, and beside the files of each station a seal by which who takes them in can tell that
//! nothing was changed.
//!
//! `PLUMB/S1234567/T1234567/F1234567` is an object's file: of the station whose key has that hash, in a study,
//! a film. Names are made of UIDs, so that what is written again has the same name. `PLUMB/S1234567/SEAL` is the
//! station's seal. `docs/stick.md` says more.

mod directory;
mod elements;
mod key;
mod names;
mod object;
mod seal;
mod take_in;
mod upload;
mod write;

pub use directory::{DICOMDIR, Directory, DirectoryError};
pub use key::{SEAL_KEY, SealKey, is_public_key};
pub use object::{Object, ObjectError};
pub use seal::{Seal, SealError};
pub use take_in::{Request, take_in};
pub use write::{Put, StickError, put, require_usable};

#[cfg(test)]
mod tests;
