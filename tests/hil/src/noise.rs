//! A line that does to bytes what lines do.

use std::collections::VecDeque;
use std::time::Duration;

/// How bad a line is: how often, of a thousand bytes, what happens to one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Noise {
    /// It is lost.
    pub drop: u32,
    /// One of its bits changes.
    pub flip: u32,
    /// It, and up to 40 after it, become anything.
    pub burst: u32,
    /// It, and all after it, come this much later.
    pub delay: (u32, Duration),
}

/// One direction of a noisy line.
pub struct NoisyLine {
    noise: Noise,
    chance: fastrand::Rng,
    burst: u32,
    /// Bytes on their way, with the time at which they arrive.
    way: VecDeque<(Duration, u8)>,
    last: Duration,
}

impl NoisyLine {
    /// A line; the same seed and bytes give the same noise.
    pub fn new(noise: Noise, seed: u64) -> Self {
        Self {
            noise,
            chance: fastrand::Rng::with_seed(seed),
            burst: 0,
            way: VecDeque::new(),
            last: Duration::ZERO,
        }
    }

    /// Makes the line as bad as this from now on.
    pub fn become_as(&mut self, noise: Noise) {
        self.noise = noise;
    }

    /// Puts bytes into the line.
    pub fn put(&mut self, now: Duration, bytes: &[u8]) {
        for &byte in bytes {
            let mut of_thousand = |times: u32| self.chance.u32(0..1000) < times;
            let dropped = of_thousand(self.noise.drop);
            let flipped = of_thousand(self.noise.flip);
            let bursts = of_thousand(self.noise.burst);
            let (delayed, delay) = self.noise.delay;
            let delay = if of_thousand(delayed) {
                delay
            } else {
                Duration::ZERO
            };
            self.last = self.last.max(now) + delay;
            if bursts {
                self.burst = self.chance.u32(1..=40);
            }
            let byte = match (self.burst, flipped) {
                (1.., _) => self.chance.u8(..),
                (0, true) => byte ^ 1 << self.chance.u32(0..8),
                (0, false) => byte,
            };
            self.burst = self.burst.saturating_sub(1);
            if !dropped {
                self.way.push_back((self.last, byte));
            }
        }
    }

    /// Takes the bytes that have arrived.
    pub fn take(&mut self, now: Duration) -> Vec<u8> {
        let arrived = self.way.partition_point(|(at, _)| *at <= now);
        self.way.drain(..arrived).map(|(_, byte)| byte).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(noise: Noise) -> Vec<u8> {
        let mut line = NoisyLine::new(noise, 1);
        line.put(Duration::ZERO, &[0x55; 10_000]);
        line.take(Duration::from_secs(1000))
    }

    #[test]
    fn a_quiet_line_changes_nothing() {
        assert_eq!(through(Noise::default()), [0x55; 10_000]);
    }

    #[test]
    fn noise_is_as_bad_as_it_is_said_to_be() {
        let dropped = 10_000
            - through(Noise {
                drop: 10,
                ..Noise::default()
            })
            .len();
        assert!((50..200).contains(&dropped), "{dropped}");
        let changed = |noise| through(noise).iter().filter(|byte| **byte != 0x55).count();
        let flipped = changed(Noise {
            flip: 10,
            ..Noise::default()
        });
        assert!((50..200).contains(&flipped), "{flipped}");
        let burst = changed(Noise {
            burst: 1,
            ..Noise::default()
        });
        assert!((50..500).contains(&burst), "{burst}");
    }

    #[test]
    fn what_is_delayed_delays_what_follows() {
        let second = Duration::from_secs(1);
        let mut line = NoisyLine::new(
            Noise {
                delay: (1000, second),
                ..Noise::default()
            },
            1,
        );
        line.put(Duration::ZERO, b"a");
        line.become_as(Noise::default());
        line.put(Duration::ZERO, b"b");
        assert_eq!(line.take(second / 2), b"");
        assert_eq!(line.take(second), b"ab");
    }
}
