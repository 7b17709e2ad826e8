//! A cohort's films as the networks see them, packed into one file that is mapped into memory.
//!
//! Decoding a film takes a thousand times as long as reading its 256 x 256 greys, so they are
//! made once, on all cores, and kept in `films.packed` beside the manifest:
//!
//! | from byte | bytes | |
//! |---|---|---|
//! | 0 | 8 | `PLUMBPAK` |
//! | 8 | 4 | version of this layout, `u32` |
//! | 12 | 4 | 0 |
//! | 16 | 64 | [`FINGERPRINT`](plumbline_shared::preprocess::FINGERPRINT) of the preprocessing, in hexadecimal |
//! | 80 | 8 | number of films n, `u64` |
//! | 88 | 8 | bytes of the index, `u64` |
//! | 96 | 32 | SHA-256 of the bytes 0 to 95 and the index |
//! | 4096 | 131072 n | greys of each film, 256 x 256 `u16`, row-major; zeros for a film that cannot be used |
//! | 4096 + 131072 n | | the index, a row for each film in the order of the greys |
//!
//! A row of the index:
//!
//! | bytes | |
//! |---|---|
//! | 4 | bytes of the path p, `u32` |
//! | p | the film's path relative to the cohort's folder, UTF-8 |
//! | 8 | bytes of the film's file, `u64` |
//! | 8 | its last modification, in nanoseconds since 1970, `i64` |
//! | 1 | 1, or 0 where the film cannot be used |
//! | 32 | its [perceptual hash](super::duplicates::Hash) |
//!
//! All numbers are little endian. The file is made under another name, synced and renamed
//! ([`durable`](plumbline_shared::durable)), so it is there whole or not at all; the checksum
//! notices a copy that is not. It is as fresh as the
//! sizes and times of the films' files say, so a film replaced by one of the same size and time
//! goes unnoticed: delete `films.packed` then.

mod error;
mod index;
mod pack;
mod packed_films;
#[cfg(test)]
mod tests;

pub use error::{PackError, StaleReason};
pub use pack::{Packing, pack};
pub use packed_films::{PACKED, PackedFilms, Usable};
