//! Putting objects on a stick.

use std::path::Path;

use plumbline_shared::durable::Disk;

use super::Tried;
use super::letter::Letter;
use crate::stick::{Object, SealKey, put};
use crate::store::{Delivery, Sent};

/// Puts one object on the stick at `root`, sealed by the key in the station's folder `data`.
pub(super) fn send(
    root: &Path,
    data: &Path,
    station: &str,
    delivery: &Delivery,
    letter: &Letter,
) -> Tried {
    let key = match SealKey::made_in(data) {
        Ok(key) => key,
        Err(error) => return Tried::away(format!("the key of seals cannot be used ({error})")),
    };
    let file = match letter.read() {
        Ok(file) => file,
        Err(error) => return Tried::Failed(error.to_string()),
    };
    let header = match letter.header(&file) {
        Ok(header) => header,
        Err(error) => return Tried::Failed(error.to_string()),
    };
    let object = Object {
        kind: delivery.kind,
        class: &letter.class,
        instance: &letter.instance,
        syntax: &letter.syntax,
        header: &header,
        file: &file,
    };
    match put(&Disk, root, &key, station, &object) {
        Ok(_) => Tried::Ended(Sent::Delivered(None)),
        Err(error) if error.is_of_object() => Tried::Ended(Sent::Refused(error.to_string())),
        Err(error) => Tried::away(error.to_string()),
    }
}
