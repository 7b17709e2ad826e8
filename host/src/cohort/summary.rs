//! A cohort in numbers.

use std::fmt;

use super::manifest::{Entry, Split};

/// Width of a bin of the Cobb histogram, in degrees.
const BIN: f32 = 5.0;

/// Counts by split and label, and a histogram of Cobb angles; its text is what `cohort show`
/// prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Negatives and positives of each of [`Split::ALL`].
    pub counts: [[usize; 2]; 3],
    /// Films by Cobb angle, in bins of five degrees from zero.
    pub cobb: Vec<usize>,
}

impl Summary {
    pub(crate) fn new(entries: &[Entry]) -> Self {
        let mut counts = [[0; 2]; 3];
        let mut cobb = Vec::new();
        for entry in entries {
            if let Some(label) = entry.label {
                counts[entry.split as usize][usize::from(label)] += 1;
            }
            if let Some(angle) = entry.cobb_degrees {
                let bin = (angle / BIN) as usize;
                if cobb.len() <= bin {
                    cobb.resize(bin + 1, 0);
                }
                cobb[bin] += 1;
            }
        }
        Self { counts, cobb }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<8}{:>10}{:>10}{:>10}",
            "split", "negative", "positive", "all"
        )?;
        let mut sums = [0, 0];
        for (split, [negative, positive]) in Split::ALL.into_iter().zip(self.counts) {
            let all = negative + positive;
            writeln!(
                f,
                "{:<8}{negative:>10}{positive:>10}{all:>10}",
                split.name()
            )?;
            sums = [sums[0] + negative, sums[1] + positive];
        }
        writeln!(
            f,
            "{:<8}{:>10}{:>10}{:>10}",
            "all",
            sums[0],
            sums[1],
            sums[0] + sums[1]
        )?;
        let Some(most) = self.cobb.iter().max() else {
            return Ok(());
        };
        writeln!(f, "\nCobb angle, degrees")?;
        for (bin, &count) in self.cobb.iter().enumerate() {
            let (from, to) = (bin as f32 * BIN, (bin + 1) as f32 * BIN);
            let bar = "#".repeat((count * 50).div_ceil((*most).max(1)));
            writeln!(f, "{from:>3} to {to:<3}{count:>8} {bar}")?;
        }
        Ok(())
    }
}
