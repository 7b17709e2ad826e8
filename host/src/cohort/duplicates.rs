//! Films that are most likely one exposure, exported twice: leakage that patient identifiers do
//! not show, as when one film is in two collections.
//!
//! A film's hash holds the signs of 256 low frequencies of its cosine transform. Greys are
//! replaced by their ranks first, so that a hash does not depend on windows, gamma or bits, and
//! averaged to 64 x 64, so that it hardly does on resolution, noise or JPEG. Frequencies are of
//! the order 2 to 22, rows and columns together: those below are exposure and position, those
//! above noise. All is whole numbers, so every processor gives the same hash.
//!
//! Distances in bits of 256, median and greatest, of a film to another export of it, for 20
//! phantoms, 12 chest films and 21 small spine films:
//!
//! | export | phantoms | chest | spine |
//! |---|---|---|---|
//! | 8 bits | 0, 9 | 0, 0 | 0, 2 |
//! | 0.6 or 1.4 times the size | 2, 6 | 0, 3 | 6, 10 |
//! | window that clips 2 % at each end | 0, 1 | 0, 2 | 1, 6 |
//! | window that clips 10 % at each end | 5, 12 | 5, 11 | 5, 15 |
//! | gamma 0.7 or 1.4, sigmoid | 1, 7 | 2, 5 | 1, 5 |
//! | JPEG, quality 30 | 4, 10 | 1, 3 | 4, 10 |
//! | noise of 2 % | 6, 11 | 1, 4 | 3, 9 |
//! | 1 % cut off two of the sides | 17, 26 | 17, 32 | 18, 25 |
//! | 1 % cut off all sides | 18, 23 | 20, 28 | 16, 37 |
//! | 2 % cut off all sides | 35, 41 | 40, 51 | 32, 61 |
//!
//! Different films lie 79 or more apart among the 66 pairs of the chest films and 69 or more among
//! 13,041 pairs of spine films, but for one pair at 40. Phantoms are more alike than patients: of
//! 32 million pairs of 8,000 of them, 3 are nearer than [`ALIKE`] and 58 than 32. So the threshold
//! finds every export at another size, depth, window or compression and most with 1 % cut off,
//! but not those with 2 %.

use std::sync::LazyLock;

use plumbline_shared::preprocess::SIDE;
use rayon::prelude::*;

use super::manifest::{Entry, Split};

/// The greatest distance of films that are reported as alike.
pub const ALIKE: u32 = 24;

/// Cells along each side of the grid that a film is averaged to.
const GRID: usize = 64;

/// Cosines of the transform: frequencies by cells, in steps of 2^-14.
static COSINES: LazyLock<[[i64; GRID]; HIGHEST + 1]> = LazyLock::new(|| {
    let step = std::f64::consts::PI / GRID as f64;
    std::array::from_fn(|frequency| {
        std::array::from_fn(|cell| {
            let cosine = libm::cos(step * frequency as f64 * (cell as f64 + 0.5));
            libm::round(cosine * 16384.0) as i64
        })
    })
});

/// The lowest and highest order of frequencies that a hash holds.
const LOWEST: usize = 2;
const HIGHEST: usize = 22;

/// A perceptual hash of a prepared film: 256 bits. That of a film of one grey is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Hash([u64; 4]);

impl Hash {
    /// Computes the hash of 256 x 256 greys.
    pub fn of(grey: &[u16]) -> Self {
        let ranks = ranks(&cells(grey));
        // Down the columns, then along the rows.
        let down: Vec<[i64; GRID]> = COSINES
            .iter()
            .map(|cosines| {
                let mut sums = [0; GRID];
                for (row, cosine) in ranks.chunks_exact(GRID).zip(cosines) {
                    let sums = sums.iter_mut().zip(row);
                    sums.for_each(|(sum, rank)| *sum += rank * cosine);
                }
                sums
            })
            .collect();
        let orders = (LOWEST..=HIGHEST).flat_map(|order| (0..=order).map(move |y| (y, order - y)));
        let mut bits = [0; 4];
        for (at, (y, x)) in orders.take(256).enumerate() {
            let row = down[y].iter().zip(&COSINES[x]);
            let coefficient: i64 = row.map(|(value, cosine)| value * cosine).sum();
            bits[at / 64] |= u64::from(coefficient > 0) << (at % 64);
        }
        Self(bits)
    }

    /// Returns the number of bits that differ, 0 to 256.
    pub fn distance(self, other: Self) -> u32 {
        let pairs = self.0.into_iter().zip(other.0);
        pairs.map(|(a, b)| (a ^ b).count_ones()).sum()
    }

    /// Returns the bytes, little endian.
    pub(super) fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (bytes, word) in bytes.as_chunks_mut().0.iter_mut().zip(self.0) {
            *bytes = word.to_le_bytes();
        }
        bytes
    }

    /// Reads the bytes of [`Hash::to_bytes`].
    pub(super) fn from_bytes(bytes: [u8; 32]) -> Self {
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        Self(words)
    }
}

/// The sums of greys in each cell of the grid.
fn cells(grey: &[u16]) -> Vec<u32> {
    let side = SIDE / GRID;
    let mut cells = vec![0; GRID * GRID];
    for (y, line) in grey.chunks_exact(SIDE).enumerate() {
        let row = &mut cells[y / side * GRID..][..GRID];
        for (cell, greys) in row.iter_mut().zip(line.chunks_exact(side)) {
            *cell += greys.iter().map(|grey| u32::from(*grey)).sum::<u32>();
        }
    }
    cells
}

/// Twice the rank of each value about the middle one; equal values share their mean rank.
fn ranks(values: &[u32]) -> Vec<i64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by_key(|at| values[*at]);
    let mut ranks = vec![0; values.len()];
    let mut first = 0;
    for equal in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let last = first + equal.len() - 1;
        for at in equal {
            ranks[*at] = (first + last) as i64 - (values.len() - 1) as i64;
        }
        first = last + 1;
    }
    ranks
}

/// Two films of different splits that look alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// One film, by its place among the entries.
    pub first: usize,
    /// The other, of a later split.
    pub second: usize,
    /// Bits in which their hashes differ.
    pub distance: u32,
}

/// All pairs of films of different splits that are at most [`ALIKE`] apart, the most alike first,
/// given each film's hash where there is one; films of a single grey are left out. Every film is
/// compared with every one of the other splits, on all cores: 160,000 films take five seconds on two.
pub fn across_splits(entries: &[Entry], hashes: &[Option<Hash>]) -> Vec<Pair> {
    let of = |split: Split| -> (Vec<usize>, Vec<Hash>) {
        let films = entries.iter().zip(hashes).enumerate();
        films
            .filter(|(_, (entry, _))| entry.split == split)
            .filter_map(|(at, (_, hash))| Some((at, (*hash)?)))
            .filter(|(_, hash)| *hash != Hash::default())
            .unzip()
    };
    let [train, val, test] = Split::ALL.map(of);
    let mut pairs: Vec<Pair> = [(&train, &val), (&train, &test), (&val, &test)]
        .into_par_iter()
        .flat_map(|(earlier, later)| {
            let blocks = earlier.0.par_chunks(BLOCK).zip(earlier.1.par_chunks(BLOCK));
            blocks.flat_map_iter(|(places, hashes)| {
                let alike = alike(hashes, &later.1).into_iter();
                alike.map(|(first, second, distance)| Pair {
                    first: places[first],
                    second: later.0[second],
                    distance,
                })
            })
        })
        .collect();
    pairs.sort_unstable_by_key(|pair| (pair.distance, pair.first, pair.second));
    pairs
}

/// Hashes that are compared with all others before the next ones are looked at: as many as stay in
/// a core's nearest memory.
const BLOCK: usize = 512;

/// Hashes of `block` and of `others` that are at most [`ALIKE`] apart, by their places, with their
/// distances.
fn alike(block: &[Hash], others: &[Hash]) -> Vec<(usize, usize, u32)> {
    let mut found = Vec::new();
    // Compiled for the processor it runs on: counting bits takes an instruction or a dozen.
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || {
            for (second, other) in others.iter().enumerate() {
                for (first, hash) in block.iter().enumerate() {
                    let differ = |word: usize| (hash.0[word] ^ other.0[word]).count_ones();
                    // The second half first: films are less alike in its higher frequencies.
                    let half = differ(2) + differ(3);
                    if half <= ALIKE && half + differ(0) + differ(1) <= ALIKE {
                        found.push((first, second, hash.distance(*other)));
                    }
                }
            }
        },
    );
    found
}

/// Pairs that are printed one by one.
const TOLD: usize = 20;

/// The report on `pairs` of `entries`, of which `unchecked` have no hash, in lines.
pub fn report(entries: &[Entry], pairs: &[Pair], unchecked: usize) -> String {
    let mut text = match pairs.len() {
        0 => "near-duplicates across splits: none\n".to_owned(),
        count => format!("near-duplicates across splits: {count}\n"),
    };
    let name = |at: usize| {
        let Entry {
            film,
            patient,
            split,
            ..
        } = &entries[at];
        format!("{} (patient {patient}, {})", film.display(), split.name())
    };
    for pair in pairs.iter().take(TOLD) {
        let (first, second) = (name(pair.first), name(pair.second));
        let bits = pair.distance;
        text += &format!("  {first} and {second}: {bits} of 256 bits differ\n");
    }
    if pairs.len() > TOLD {
        text += &format!("  and {} more\n", pairs.len() - TOLD);
    }
    if unchecked > 0 {
        text += &format!("  {unchecked} films could not be used and are not compared\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use plumbline_shared::film::Film;
    use plumbline_shared::preprocess::prepare;

    use super::*;
    use crate::cohort::manifest;

    /// Soft shapes that differ by `seed`, `side` pixels along each edge, `cut` of them left out at
    /// each, in 0 to 1.
    fn picture(seed: u64, side: u32, cut: u32, tone: impl Fn(f64) -> f64) -> Hash {
        let seed = seed as f64;
        let pixels = (cut..side - cut).flat_map(|y| (cut..side - cut).map(move |x| (x, y)));
        let pixels = pixels.map(|(x, y)| {
            let (x, y) = (
                f64::from(x) / f64::from(side),
                f64::from(y) / f64::from(side),
            );
            let waves = (1..14).map(|k| {
                let k = f64::from(k);
                let along = (k * seed * 1.7).sin() * x + (k * seed * 2.3).cos() * y;
                (k * 3.0 * along + seed * k).sin() / k
            });
            let value = tone((waves.sum::<f64>() / 5.0 + 0.5).clamp(0.0, 1.0));
            (value * 65535.0) as u16
        });
        let film = Film::new(side - 2 * cut, side - 2 * cut, pixels.collect()).unwrap();
        Hash::of(prepare(&film).grey())
    }

    #[test]
    fn exports_of_one_film_are_alike_and_others_are_not() {
        for seed in 1..6 {
            let film = picture(seed, 400, 0, |v| v);
            for other in [
                picture(seed, 300, 0, |v| v),
                picture(seed, 700, 0, |v| v),
                picture(seed, 400, 0, |v| v.powf(0.6)),
                picture(seed, 400, 0, |v| (v * 255.0).round() / 255.0),
                picture(seed, 400, 0, |v| v * 0.4 + 0.3),
                picture(seed, 400, 2, |v| v),
            ] {
                assert!(film.distance(other) <= ALIKE, "{}", film.distance(other));
            }
            assert!(film.distance(picture(seed, 400, 0, |v| 1.0 - v)) > 200);
            for other in 1..seed {
                let distance = film.distance(picture(other, 400, 0, |v| v));
                assert!(distance > 2 * ALIKE, "{distance}");
            }
        }
        assert_eq!(Hash::of(&[700; SIDE * SIDE]), Hash::default());
    }

    #[test]
    fn equal_values_share_their_rank() {
        assert_eq!(ranks(&[5, 1, 5, 9]), [0, -3, 0, 3]);
        assert_eq!(ranks(&[2; 5]), [0; 5]);
    }

    fn hash(ones: u32) -> Option<Hash> {
        let mut words = [u64::MAX; 4];
        for bit in 0..ones as usize {
            words[bit / 64] ^= 1 << (bit % 64);
        }
        Some(Hash(words))
    }

    #[test]
    fn pairs_are_found_across_splits_alone() {
        let text = "film,patient,split,label\na.png,p,train,1\nb.png,q,train,1\nc.png,r,val,0\n\
                    d.png,s,test,0\ne.png,t,test,0\nf.png,u,val,\ng.png,v,train,\n";
        let entries = manifest::read("/c".as_ref(), text.as_bytes()).unwrap();
        let flat = Some(Hash::default());
        let hashes = [hash(0), hash(1), hash(ALIKE), hash(200), None, flat, flat];
        let pairs = across_splits(&entries, &hashes);
        let pair = |first, second, distance| Pair {
            first,
            second,
            distance,
        };
        assert_eq!(pairs, [pair(1, 2, ALIKE - 1), pair(0, 2, ALIKE)]);
        assert_eq!(
            report(&entries, &pairs, 1),
            "near-duplicates across splits: 2\n  \
             /c/b.png (patient q, train) and /c/c.png (patient r, val): 23 of 256 bits differ\n  \
             /c/a.png (patient p, train) and /c/c.png (patient r, val): 24 of 256 bits differ\n  \
             1 films could not be used and are not compared\n"
        );
        assert!(report(&entries, &[], 0).ends_with("none\n"));
        let many = report(&entries, &[pairs[0]; 25], 0);
        assert_eq!(many.lines().count(), 22);
        assert!(many.ends_with("  and 5 more\n"));
    }
}
