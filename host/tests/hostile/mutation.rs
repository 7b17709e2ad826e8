//! Good files damaged at random, the same way each time.

/// Marsaglia's xorshift.
pub struct Random(u64);

impl Random {
    /// The sequence of `seed`, which is not zero.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `end`; zero if `end` is zero.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end.max(1) as u64) as usize
    }

    /// One of `seeds`, damaged in one to eight places; `words` of its format go in now and then.
    pub fn damaged(&mut self, seeds: &[Vec<u8>], words: &[&str]) -> Vec<u8> {
        let mut bytes = seeds[self.below(seeds.len())].clone();
        for _ in 0..1 + self.below(8) {
            let at = self.below(bytes.len() + 1);
            // Short pieces more often than long ones.
            let scale = 1 << self.below(10);
            let end = bytes.len().min(at + 1 + self.below(scale));
            match self.below(8) {
                0 => {
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= 1 << self.below(8);
                    }
                }
                1 => {
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte = self.below(256) as u8;
                    }
                }
                2 => self.put_number(&mut bytes[at..]),
                3 => drop(bytes.drain(at..end)),
                4 => {
                    let piece = bytes[at..end].to_vec();
                    let times = 1 + self.below(20);
                    bytes.splice(at..at, piece.repeat(times));
                }
                5 => {
                    let word = words[self.below(words.len())].as_bytes();
                    bytes.splice(at..at, word.iter().copied());
                }
                6 => {
                    let other = &seeds[self.below(seeds.len())];
                    let from = self.below(other.len());
                    let to = other.len().min(from + 1 + self.below(scale));
                    bytes.splice(at..end, other[from..to].iter().copied());
                }
                _ => {
                    if self.below(4) == 0 {
                        bytes.truncate(at);
                    }
                }
            }
        }
        bytes
    }

    /// Overwrites the start of `bytes` with a number that lengths and offsets go wrong by.
    fn put_number(&mut self, bytes: &mut [u8]) {
        let numbers = [
            0,
            1,
            0x7f,
            0xff,
            0x7fff_ffff,
            0xffff_ffff,
            u64::MAX >> 1,
            u64::MAX,
        ];
        let number = numbers[self.below(numbers.len())];
        let size = [1, 2, 4, 8][self.below(4)];
        for (byte, value) in bytes.iter_mut().zip(&number.to_le_bytes()[..size]) {
            *byte = *value;
        }
    }
}
