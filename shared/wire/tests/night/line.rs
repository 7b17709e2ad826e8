//! One direction of a line of 921,600 baud, with everything that can go wrong on it.

use std::collections::BTreeMap;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// The time of one byte on the line: a start bit, 8 bits and a stop bit.
const NANOSECONDS_A_BYTE: u64 = 10 * 1_000_000_000 / 921_600;

/// How a line is for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Every frame arrives as it was sent.
    Good,
    /// One frame in 50 suffers.
    Noisy,
    /// One frame in 3 suffers.
    Awful,
    /// Nothing arrives.
    Unplugged,
}

/// What is on its way.
#[derive(Debug)]
pub struct Line {
    mood: Mood,
    free_at: u64,
    last_arrival: u64,
    stalled_until: u64,
    under_way: BTreeMap<(u64, u64), Vec<u8>>,
    serial: u64,
    /// Bytes that were sent.
    pub bytes: u64,
}

impl Line {
    pub fn new() -> Self {
        Self {
            mood: Mood::Good,
            free_at: 0,
            last_arrival: 0,
            stalled_until: 0,
            under_way: BTreeMap::new(),
            serial: 0,
            bytes: 0,
        }
    }

    pub fn set(&mut self, mood: Mood) {
        self.mood = mood;
    }

    /// When the next frame can be sent.
    pub fn free_at(&self) -> u64 {
        self.free_at
    }

    /// When the next bytes arrive.
    pub fn next_arrival(&self) -> u64 {
        let first = self.under_way.first_key_value();
        first.map_or(u64::MAX, |((at, _), _)| *at)
    }

    /// The bytes that arrive until `now`, one frame after the other.
    pub fn arrive(&mut self, now: u64) -> Option<Vec<u8>> {
        let first = self.under_way.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    pub fn send(&mut self, now: u64, frame: &[u8], rng: &mut ChaCha8Rng) {
        self.bytes += frame.len() as u64;
        self.free_at = now + (frame.len() as u64 * NANOSECONDS_A_BYTE).div_ceil(1000);
        let mut bytes = frame.to_vec();
        let suffers = match self.mood {
            Mood::Good => false,
            Mood::Noisy => rng.random_ratio(1, 50),
            Mood::Awful => rng.random_ratio(1, 3),
            Mood::Unplugged => return,
        };
        let arrival = self.free_at + rng.random_range(100..3_000);
        let arrival = arrival.max(self.last_arrival).max(self.stalled_until);
        if !suffers {
            return self.put(arrival, bytes);
        }
        match rng.random_range(0..8) {
            0 => (),
            1 => {
                for _ in 0..rng.random_range(1..4) {
                    let at = rng.random_range(0..bytes.len());
                    bytes[at] ^= 1 << rng.random_range(0..8);
                }
                self.put(arrival, bytes);
            }
            2 => {
                let (one, other) = (
                    rng.random_range(0..bytes.len()),
                    rng.random_range(0..bytes.len()),
                );
                bytes.drain(one.min(other)..one.max(other));
                self.put(arrival, bytes);
            }
            3 => {
                let at = rng.random_range(0..=bytes.len());
                let length = rng.random_range(1..600);
                bytes.splice(at..at, (0..length).map(|_| rng.random::<u8>()));
                self.put(arrival, bytes);
            }
            // Twice: the second time at once or much later.
            4 => {
                let most = if rng.random() { 10_000 } else { 5_000_000 };
                self.put_aside(arrival + rng.random_range(0..most), bytes.clone());
                self.put(arrival, bytes);
            }
            // Later ones overtake it.
            5 => self.put_aside(arrival + rng.random_range(0..100_000), bytes),
            // It and all later ones stay where they are for a while.
            6 => {
                self.stalled_until = arrival.max(now + rng.random_range(0..5_000_000));
                self.put(self.stalled_until, bytes);
            }
            _ => {
                bytes.reverse();
                self.put(arrival, bytes);
            }
        }
    }

    /// The sender has lost its power: what it sends last is cut off.
    pub fn cut(&mut self, rng: &mut ChaCha8Rng) {
        if let Some(mut last) = self.under_way.last_entry() {
            let length = last.get().len();
            last.get_mut().truncate(rng.random_range(0..=length));
        }
    }

    /// Has `bytes` arrive behind all that were sent before.
    fn put(&mut self, arrival: u64, bytes: Vec<u8>) {
        self.last_arrival = arrival;
        self.put_aside(arrival, bytes);
    }

    fn put_aside(&mut self, arrival: u64, bytes: Vec<u8>) {
        self.under_way.insert((arrival, self.serial), bytes);
        self.serial += 1;
        assert!(self.under_way.len() < 10_000, "the line fills up");
    }
}
