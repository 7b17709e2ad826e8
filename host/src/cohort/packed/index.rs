//! The header and the index of a packed file, to bytes and back.

use std::path::Path;
use std::time::UNIX_EPOCH;

use plumbline_shared::preprocess::FINGERPRINT;
use sha2::{Digest, Sha256};

use super::error::StaleReason;
use crate::cohort::duplicates::Hash;

/// The first bytes of every packed file.
const MAGIC: [u8; 8] = *b"PLUMBPAK";

/// The layout's version. Films that are decoded or prepared otherwise are told by the
/// preprocessing's fingerprint.
const VERSION: u32 = 1;

/// Bytes of the header that its checksum covers, and of the checksum.
const COVERED: usize = 96;
const CHECKSUM: usize = 32;

/// Bytes before the first film's greys: a page, so that greys lie aligned in memory.
pub(super) const GREYS: u64 = 4096;

/// Bytes of one film's greys.
pub(super) const FILM: u64 = 256 * 256 * 2;

/// Size and time of a file, which tell one content from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Size in bytes.
    pub(super) bytes: u64,
    /// Last modification, in nanoseconds since 1970.
    pub(super) modified: i64,
}

impl Stamp {
    /// The stamp of no file.
    pub(super) const NONE: Self = Self {
        bytes: u64::MAX,
        modified: i64::MIN,
    };

    /// Reads the stamp of a file.
    pub(super) fn of(file: &Path) -> std::io::Result<Self> {
        let metadata = std::fs::metadata(file)?;
        let nanoseconds = match metadata.modified()?.duration_since(UNIX_EPOCH) {
            Ok(since) => i128::try_from(since.as_nanos()),
            Err(before) => i128::try_from(before.duration().as_nanos()).map(|nanos| -nanos),
        };
        let modified = nanoseconds.unwrap_or(i128::MAX);
        Ok(Self {
            bytes: metadata.len(),
            modified: modified.clamp(i64::MIN.into(), i64::MAX.into()) as i64,
        })
    }
}

/// One film of the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// Path relative to the cohort's folder.
    pub(super) film: String,
    /// The file when its greys were made.
    pub(super) stamp: Stamp,
    /// Hash of the greys; none where the file could not be used and its greys are left out.
    pub(super) hash: Option<Hash>,
}

/// Returns the header and the index of `rows`.
pub(super) fn encode(rows: &[Row]) -> (Vec<u8>, Vec<u8>) {
    let mut index = Vec::new();
    for row in rows {
        index.extend((row.film.len() as u32).to_le_bytes());
        index.extend(row.film.as_bytes());
        index.extend(row.stamp.bytes.to_le_bytes());
        index.extend(row.stamp.modified.to_le_bytes());
        index.push(u8::from(row.hash.is_some()));
        index.extend(row.hash.unwrap_or_default().to_bytes());
    }
    let mut header = Vec::with_capacity(GREYS as usize);
    header.extend(MAGIC);
    header.extend(VERSION.to_le_bytes());
    header.extend([0; 4]);
    header.extend(FINGERPRINT.as_bytes());
    header.extend((rows.len() as u64).to_le_bytes());
    header.extend((index.len() as u64).to_le_bytes());
    debug_assert_eq!(header.len(), COVERED);
    let checksum = checksum(&header, &index);
    header.extend(checksum);
    header.resize(GREYS as usize, 0);
    (header, index)
}

fn checksum(header: &[u8], index: &[u8]) -> [u8; CHECKSUM] {
    let mut hash = Sha256::new();
    hash.update(header);
    hash.update(index);
    hash.finalize().into()
}

/// Returns the rows of a whole packed file.
///
/// # Errors
/// If it is no packed file, of another version or preprocessing, or not whole.
pub(super) fn decode(file: &[u8]) -> Result<Vec<Row>, StaleReason> {
    if !file.starts_with(&MAGIC) {
        return Err(StaleReason::Damaged("it does not start as one"));
    }
    let cut = StaleReason::Damaged("it is cut off");
    let Some((header, _)) = file.split_at_checked(GREYS as usize) else {
        return Err(cut);
    };
    if header[8..12] != VERSION.to_le_bytes() {
        return Err(StaleReason::Version);
    }
    if header[16..80] != *FINGERPRINT.as_bytes() {
        return Err(StaleReason::Preprocessing);
    }
    let [count, length] = [80, 88].map(|at| {
        let number = header[at..].first_chunk().copied();
        u64::from_le_bytes(number.unwrap_or_default())
    });
    let start = count.checked_mul(FILM).and_then(|n| n.checked_add(GREYS));
    let end = start.and_then(|start| start.checked_add(length));
    let (Some(start), Some(end)) = (start, end) else {
        return Err(StaleReason::Damaged("its header is damaged"));
    };
    if file.len() as u64 != end {
        return Err(cut);
    }
    let index = &file[start as usize..];
    if checksum(&header[..COVERED], index)[..] != header[COVERED..][..CHECKSUM] {
        return Err(StaleReason::Damaged("its index is damaged"));
    }
    let mut rest = index;
    let rows: Option<Vec<Row>> = (0..count).map(|_| row(&mut rest)).collect();
    match rows {
        Some(rows) if rest.is_empty() => Ok(rows),
        _ => Err(StaleReason::Damaged("its index is damaged")),
    }
}

fn row(rest: &mut &[u8]) -> Option<Row> {
    let length = u32::from_le_bytes(take(rest)?);
    let (film, after) = rest.split_at_checked(length as usize)?;
    *rest = after;
    let film = String::from_utf8(film.to_vec()).ok()?;
    let stamp = Stamp {
        bytes: u64::from_le_bytes(take(rest)?),
        modified: i64::from_le_bytes(take(rest)?),
    };
    let [packed] = take(rest)?;
    let hash = Hash::from_bytes(take(rest)?);
    Some(Row {
        film,
        stamp,
        hash: (packed == 1).then_some(hash),
    })
}

/// Takes the next `N` bytes.
fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use rand::{Rng, RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn file(rows: &[Row]) -> Vec<u8> {
        let (mut file, index) = encode(rows);
        file.resize(file.len() + rows.len() * FILM as usize, 7);
        file.extend(index);
        file
    }

    fn rows(rng: &mut ChaCha8Rng) -> Vec<Row> {
        let letters = ['a', 'ö', '/', '骨', ' ', '.', '\n'];
        (0..rng.random_range(0..4))
            .map(|_| {
                let length = rng.random_range(0..40);
                let letter = |_| letters[rng.random_range(0..letters.len())];
                let film = (0..length).map(letter).collect();
                let mut hash = [0; 32];
                rng.fill_bytes(&mut hash);
                Row {
                    film,
                    stamp: Stamp {
                        bytes: rng.random(),
                        modified: rng.random(),
                    },
                    hash: rng.random::<bool>().then_some(Hash::from_bytes(hash)),
                }
            })
            .collect()
    }

    #[test]
    fn whatever_is_encoded_is_decoded() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..40 {
            let rows = rows(&mut rng);
            assert_eq!(decode(&file(&rows)).unwrap(), rows);
        }
    }

    #[test]
    fn every_cut_and_every_flipped_bit_outside_the_greys_is_noticed() {
        let row = Row {
            film: "films/ä.png".into(),
            stamp: Stamp {
                bytes: 5,
                modified: -3,
            },
            hash: Some(Hash::default()),
        };
        let whole = file(&[row.clone(), row]);
        let index = (GREYS + 2 * FILM) as usize;
        let near_ends = (0..200).chain(index - 3..whole.len());
        for length in near_ends.chain((200..index).step_by(4001)) {
            assert!(decode(&whole[..length]).is_err(), "{length} bytes");
        }
        let mut longer = whole.clone();
        longer.push(0);
        assert!(decode(&longer).is_err());
        for at in (0..COVERED + CHECKSUM).chain(index..whole.len()) {
            for bit in 0..8 {
                let mut flipped = whole.clone();
                flipped[at] ^= 1 << bit;
                assert!(decode(&flipped).is_err(), "bit {bit} of byte {at}");
            }
        }
    }

    #[test]
    fn noise_is_refused() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        for _ in 0..2000 {
            let mut noise = vec![0; rng.random_range(0..300)];
            rng.fill_bytes(&mut noise);
            assert!(decode(&noise).is_err());
            // As a whole index, too, whatever it may mean.
            let mut rest = &noise[..];
            while row(&mut rest).is_some() {}
        }
    }
}
