//! Sending into a folder: a file for each object, in a folder for each study. Pages are PDF files there,
//! which any computer can print.

use std::io;
use std::path::Path;

use plumbline_dimse::is_uid;
use plumbline_shared::durable::{make_folder, replace_file};
use plumbline_shared::manifest::sha256;

use super::Tried;
use super::letter::Letter;
use crate::store::{Delivery, Sent};

/// Writes one object's file: whole or not at all, and once, however often it is written.
pub(super) fn send(folder: &Path, delivery: &Delivery, letter: &Letter) -> Tried {
    match write(folder, delivery, letter) {
        Ok(()) => Tried::Ended(Sent::Delivered(None)),
        Err(error) => Tried::away(format!("{} cannot be written ({error})", folder.display())),
    }
}

fn write(folder: &Path, delivery: &Delivery, letter: &Letter) -> io::Result<()> {
    // Never made: a medium that is not mounted is no folder.
    if !folder.is_dir() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let study = folder.join(name(&letter.study));
    make_folder(&study)?;
    let (kind, instance) = (delivery.kind.name(), name(&letter.instance));
    if let Some(pdf) = &letter.pdf {
        return replace_file(&study.join(format!("{kind}-{instance}.pdf")), pdf);
    }
    replace_file(
        &study.join(format!("{kind}-{instance}.dcm")),
        &letter.read()?,
    )
}

/// A UID as a file's name; what the film gives in its place may be any text.
fn name(uid: &str) -> String {
    match is_uid(uid) {
        true => uid.to_owned(),
        false => sha256(uid.as_bytes())[..32].to_owned(),
    }
}
