//! Films that are most likely one exposure, exported twice.

use plumbline_shared::preprocess::SIDE;

/// Cells along each side of the grid that a film is averaged to.
const GRID: usize = 16;

/// A perceptual hash of a prepared film: 256 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Hash([u64; 4]);

impl Hash {
    /// Of 256 x 256 greys.
    pub fn of(grey: &[u16]) -> Self {
        let cell = SIDE / GRID;
        let mut sums = [[0u64; GRID]; GRID];
        for (at, grey) in grey.iter().enumerate() {
            sums[at / SIDE / cell][at % SIDE / cell] += u64::from(*grey);
        }
        let mut bits = [0; 4];
        for (row, sums) in sums.iter().enumerate() {
            for (column, sum) in sums.iter().enumerate() {
                let brighter = *sum > sums[(column + 1) % GRID];
                let at = row * GRID + column;
                bits[at / 64] |= u64::from(brighter) << (at % 64);
            }
        }
        Self(bits)
    }

    /// Bits that differ, 0 to 256.
    pub fn distance(self, other: Self) -> u32 {
        let pairs = self.0.into_iter().zip(other.0);
        pairs.map(|(a, b)| (a ^ b).count_ones()).sum()
    }

    /// Little endian.
    pub(super) fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (bytes, word) in bytes.as_chunks_mut().0.iter_mut().zip(self.0) {
            *bytes = word.to_le_bytes();
        }
        bytes
    }

    /// What [`Hash::to_bytes`] gave.
    pub(super) fn from_bytes(bytes: [u8; 32]) -> Self {
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        Self(words)
    }
}
