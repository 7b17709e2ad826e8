//! The exposure line of the X-ray unit: one exposure, however often its contact chatters.

use crate::time::{MILLISECOND, Micros};

/// The line must have been idle this long before another exposure begins. Pulsed units switch the
/// line up to 30 times a second, and no operator takes two films of one patient in half a second.
pub const REST: Micros = 500 * MILLISECOND;

/// The line's state.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExposureLine {
    last: Option<Micros>,
}

impl ExposureLine {
    /// The line became active at `at`. True if an exposure began: if it had not become active for
    /// [`REST`] before. Pulses of one exposure, and contacts that bounce, are not counted again.
    pub fn edge(&mut self, at: Micros) -> bool {
        let begun = self.last.is_none_or(|last| at.saturating_sub(last) >= REST);
        self.last = Some(at);
        begun
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pulses_are_one_exposure_until_the_line_has_rested() {
        let mut line = ExposureLine::default();
        let begun = [0, 3, 400, 899, 1399, 1400].map(|at| line.edge(at * MILLISECOND));
        assert_eq!(begun, [true, false, false, false, true, false]);
    }
}
