//! How long a message waits for its acknowledgement before it is sent again.

use super::Timing;

/// The time from a message to its acknowledgement, as Jacobson and Karels estimate it (RFC 6298):
/// messages that were sent twice say nothing, and each resending doubles the waiting until one that
/// was sent once is acknowledged. So a line that is slower than it was cannot have every message sent
/// twice for ever.
#[derive(Clone, Debug)]
pub(super) struct RoundTrip {
    least: u32,
    most: u32,
    /// Mean and deviation in microseconds, once there is one.
    measured: Option<(u32, u32)>,
    in_vain: u8,
}

/// The waiting before anything was measured, in microseconds.
const UNMEASURED: u32 = 100_000;

impl RoundTrip {
    pub const fn new(timing: &Timing) -> Self {
        Self {
            least: timing.resend_least,
            most: timing.resend_most,
            measured: None,
            in_vain: 0,
        }
    }

    /// A message that was sent once was acknowledged after `time`.
    pub fn measure(&mut self, time: u64) {
        let time = u32::try_from(time).unwrap_or(u32::MAX).min(self.most);
        self.measured = Some(match self.measured {
            None => (time, time / 2),
            Some((mean, deviation)) => (
                mean - mean / 8 + time / 8,
                deviation - deviation / 4 + mean.abs_diff(time) / 4,
            ),
        });
        self.in_vain = 0;
    }

    /// The waiting was in vain.
    pub fn back_off(&mut self) {
        self.in_vain = self.in_vain.saturating_add(1).min(16);
    }

    /// The time to wait, in microseconds.
    pub fn wait(&self) -> u64 {
        let once = match self.measured {
            None => UNMEASURED,
            Some((mean, deviation)) => mean.saturating_add(deviation.saturating_mul(4)),
        };
        let wait = u64::from(once.max(self.least)) << self.in_vain;
        wait.min(self.most.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_follows_the_line_and_doubles_in_vain() {
        let mut round_trip = RoundTrip::new(&Timing::DEFAULT);
        assert_eq!(round_trip.wait(), u64::from(UNMEASURED));
        for _ in 0..100 {
            round_trip.measure(40_000);
        }
        assert!(
            (40_000..42_000).contains(&round_trip.wait()),
            "{round_trip:?}"
        );
        let once = round_trip.wait();
        round_trip.back_off();
        assert_eq!(round_trip.wait(), 2 * once);
        for _ in 0..300 {
            round_trip.back_off();
        }
        assert_eq!(round_trip.wait(), u64::from(Timing::DEFAULT.resend_most));
        round_trip.measure(40_000);
        assert!(round_trip.wait() <= once);
        for _ in 0..100 {
            round_trip.measure(10);
        }
        assert_eq!(round_trip.wait(), u64::from(Timing::DEFAULT.resend_least));
        round_trip.measure(u64::MAX);
        assert!(round_trip.wait() <= u64::from(Timing::DEFAULT.resend_most));
    }
}
