//! Large objects in chunks: a transfer that was cut off goes on where it was.
//!
//! An object is named by its SHA-256 and length. Its receiver says how much of it is there, and the
//! SHA-256 of that part; the sender goes on behind it if its own object begins with the same bytes,
//! and from the start otherwise. What has come is whole when all of it has the object's SHA-256.
//!
//! Neither side keeps the bytes here: files are read and written by the owners of these state
//! machines, and what carries the messages keeps their order.

use postcard_schema::Schema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The most bytes of a chunk on a stream: one fits a message with what stands around it.
pub const CHUNK: usize = 32 << 10;

/// The name of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Schema)]
pub struct Object {
    /// The SHA-256 of all its bytes.
    pub sha256: [u8; 32],
    /// Its length in bytes, at least 1.
    pub length: u64,
}

/// How much of an object its receiver has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct Have {
    /// How many bytes from its start.
    pub offset: u64,
    /// The SHA-256 of these.
    pub sha256: [u8; 32],
}

/// Bytes of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct Chunk<'a> {
    /// Where they begin: at the end of what the receiver has, or at 0 to begin again.
    pub offset: u64,
    /// The bytes, at least one.
    pub bytes: &'a [u8],
}

/// An error of an object's coming. What has come before is kept, if not said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectError {
    /// The object, or a chunk of it, has no bytes.
    #[error("an object or a chunk of it has no bytes")]
    Empty,
    /// The chunk begins neither at the end of what has come nor at the start.
    #[error("the chunk begins at byte {offset}, and {have} bytes have come")]
    Gap {
        /// Where the chunk begins.
        offset: u64,
        /// What has come.
        have: u64,
    },
    /// The chunk goes beyond the object's end.
    #[error("the chunk goes beyond the object's end")]
    Beyond,
    /// All bytes have come, and they are not the object's. They are forgotten.
    #[error("the bytes that came have another SHA-256 than the object")]
    Mismatch,
}

/// How far an object has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Bytes are missing.
    More,
    /// It is there, and has its SHA-256.
    Whole,
}

/// An object that comes.
///
/// ```
/// use plumbline_wire::object::{Chunk, Object, Progress, Receiving};
///
/// # use sha2::{Digest, Sha256};
/// let object = Object { sha256: Sha256::digest(b"a film").into(), length: 6 };
/// let mut receiving = Receiving::new(object)?;
/// // What a file holds of an earlier attempt is given first.
/// receiving.accept(&Chunk { offset: 0, bytes: b"a f" })?;
/// assert_eq!(receiving.have().offset, 3); // said to the sender
/// let progress = receiving.accept(&Chunk { offset: 3, bytes: b"ilm" })?;
/// assert_eq!(progress, Progress::Whole);
/// # Ok::<(), plumbline_wire::object::ObjectError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Receiving {
    object: Object,
    have: u64,
    hash: Sha256,
}

impl Receiving {
    /// Nothing has come of the object yet.
    ///
    /// # Errors
    /// [`ObjectError::Empty`].
    pub fn new(object: Object) -> Result<Self, ObjectError> {
        if object.length == 0 {
            return Err(ObjectError::Empty);
        }
        Ok(Self {
            object,
            have: 0,
            hash: Sha256::new(),
        })
    }

    /// What is said to the sender.
    pub fn have(&self) -> Have {
        Have {
            offset: self.have,
            sha256: self.hash.clone().finalize().into(),
        }
    }

    /// Takes a chunk. Its owner cuts the file to [`Chunk::offset`] and writes the bytes behind it.
    ///
    /// # Errors
    /// [`ObjectError`]; nothing is to be written.
    pub fn accept(&mut self, chunk: &Chunk) -> Result<Progress, ObjectError> {
        let Chunk { offset, bytes } = *chunk;
        if bytes.is_empty() {
            return Err(ObjectError::Empty);
        }
        if offset != self.have && offset != 0 {
            let have = self.have;
            return Err(ObjectError::Gap { offset, have });
        }
        let end = u64::try_from(bytes.len()).ok();
        let end = end.and_then(|length| offset.checked_add(length));
        let end = end.filter(|end| *end <= self.object.length);
        let end = end.ok_or(ObjectError::Beyond)?;
        if offset == 0 {
            self.hash.reset();
        }
        self.hash.update(bytes);
        self.have = end;
        if end < self.object.length {
            return Ok(Progress::More);
        }
        if self.have().sha256 == self.object.sha256 {
            return Ok(Progress::Whole);
        }
        self.hash.reset();
        self.have = 0;
        Err(ObjectError::Mismatch)
    }
}

/// An object that is sent.
#[derive(Clone, Debug)]
pub struct Sending {
    length: u64,
    next: u64,
}

impl Sending {
    /// Sends `object` to a receiver that has `have` of it; `ours` is the SHA-256 of as many bytes of
    /// the object, or of all if it has fewer.
    pub fn new(object: &Object, have: &Have, ours: [u8; 32]) -> Self {
        let known = have.offset <= object.length && have.sha256 == ours;
        Self {
            length: object.length,
            next: if known { have.offset } else { 0 },
        }
    }

    /// Returns the next chunk's offset and length, at most `most`, and takes it as sent; `None` when
    /// all is sent.
    pub fn next(&mut self, most: usize) -> Option<(u64, usize)> {
        let offset = self.next;
        let rest = self.length.checked_sub(offset).filter(|rest| *rest > 0)?;
        let length = usize::try_from(rest).unwrap_or(usize::MAX).min(most);
        self.next += length as u64;
        Some((offset, length))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use proptest::prelude::*;
    use std::vec::Vec;

    use super::*;

    fn named(bytes: &[u8]) -> Object {
        Object {
            sha256: Sha256::digest(bytes).into(),
            length: bytes.len() as u64,
        }
    }

    proptest! {
        #[test]
        fn objects_come_whole_however_often_they_are_cut_off(
            bytes in proptest::collection::vec(any::<u8>(), 1..2000),
            cuts in proptest::collection::vec((1..9usize, 1..200usize, 0..4u8), 1..6),
        ) {
            let object = named(&bytes);
            let mut file: Vec<u8> = Vec::new();
            let mut attempts = cuts.into_iter().chain([(usize::MAX, 100, 1)]);
            let whole = loop {
                let Some((chunks, most, damage)) = attempts.next() else { break false };
                // The file is damaged or cut meanwhile, or what came was not written to the end.
                match damage {
                    0 if !file.is_empty() => file[0] ^= 1,
                    2 => file.truncate(file.len() / 2),
                    _ => (),
                }
                let mut receiving = Receiving::new(object).unwrap();
                if !file.is_empty() {
                    let there = receiving.accept(&Chunk { offset: 0, bytes: &file });
                    if there == Err(ObjectError::Mismatch) {
                        file.clear();
                    }
                }
                let have = receiving.have();
                prop_assert_eq!(have.offset, file.len() as u64);
                let ours = Sha256::digest(&bytes[..file.len()]).into();
                let mut sending = Sending::new(&object, &have, ours);
                let mut whole = file.len() == bytes.len();
                for _ in 0..chunks {
                    let Some((offset, length)) = sending.next(most) else { break };
                    let start = offset as usize;
                    let sent = &bytes[start..start + length];
                    let progress = receiving.accept(&Chunk { offset, bytes: sent }).unwrap();
                    file.truncate(start);
                    file.extend_from_slice(sent);
                    whole = progress == Progress::Whole;
                }
                if whole {
                    break true;
                }
            };
            prop_assert!(whole);
            prop_assert_eq!(file, bytes);
        }
    }

    #[test]
    fn what_is_not_the_object_is_refused() {
        let object = named(b"object");
        let mut receiving = Receiving::new(object).unwrap();
        let mut accept = |offset, bytes: &[u8]| receiving.accept(&Chunk { offset, bytes });
        assert_eq!(accept(0, b""), Err(ObjectError::Empty));
        assert_eq!(accept(0, b"objects"), Err(ObjectError::Beyond));
        assert_eq!(accept(0, b"ob"), Ok(Progress::More));
        let gap = Err(ObjectError::Gap { offset: 3, have: 2 });
        assert_eq!(accept(3, b"ect"), gap);
        assert_eq!(accept(u64::MAX, b"ect").map_err(|_| ()), Err(()));
        assert_eq!(accept(2, b"jekt"), Err(ObjectError::Mismatch));
        assert_eq!(accept(0, b"object"), Ok(Progress::Whole));
        let nothing = Object {
            length: 0,
            ..object
        };
        assert!(matches!(Receiving::new(nothing), Err(ObjectError::Empty)));
    }

    #[test]
    fn a_receiver_that_has_all_or_more_is_sent_nothing_or_all() {
        let object = named(b"object");
        let have = Receiving::new(object).unwrap().have();
        let all = Have {
            offset: 6,
            sha256: object.sha256,
        };
        assert_eq!(Sending::new(&object, &all, object.sha256).next(9), None);
        let more = Have { offset: 7, ..all };
        assert_eq!(
            Sending::new(&object, &more, object.sha256).next(9),
            Some((0, 6))
        );
        let mut sending = Sending::new(&object, &have, Sha256::digest(b"").into());
        assert_eq!(
            [(); 3].map(|()| sending.next(4)),
            [Some((0, 4)), Some((4, 2)), None]
        );
    }
}
