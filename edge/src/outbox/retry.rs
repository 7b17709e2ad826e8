//! When something is tried again.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, SystemTime};

/// How often a destination may shut the station out before what was to be sent counts as refused.
pub(super) const MOST_SHUT_OUT: u32 = 3;

/// How often it may break off over one thing, or the station fail to make it, before that counts as refused.
pub(super) const MOST_FAILURES: u32 = 12;

/// The wait after a failure of the station's own memory.
pub(super) const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// The first wait and the longest, in seconds.
const FIRST: u64 = 2;
const LONGEST: u64 = 600;

/// The seconds until the next try after so many failed ones: twice as long each time up to ten minutes,
/// and up to a quarter more, so that stations which lost the same archive do not all come back at once.
pub(super) fn wait(failures: u32, delivery: i64) -> u64 {
    let doubled = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16));
    let wait = doubled.min(LONGEST);
    let mut hasher = DefaultHasher::new();
    (SystemTime::now(), delivery, std::process::id()).hash(&mut hasher);
    wait + hasher.finish() % (wait / 4 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_ten_minutes() {
        for (failures, shortest) in [
            (1, 2),
            (2, 4),
            (5, 32),
            (9, 512),
            (10, 600),
            (u32::MAX, 600),
        ] {
            for delivery in 0..50 {
                let wait = wait(failures, delivery);
                assert!(
                    (shortest..=shortest + shortest / 4).contains(&wait),
                    "{wait}"
                );
            }
        }
    }
}
