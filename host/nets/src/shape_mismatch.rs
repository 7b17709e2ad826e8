//! Differences between the tensors of a file and those of a network.

use std::collections::BTreeMap;
use std::fmt::{self, Display};

/// Shapes by name.
pub type Shapes = BTreeMap<String, Vec<usize>>;

/// The tensors that do not fit a network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShapeMismatch {
    missing: Vec<String>,
    extra: Vec<String>,
    misshaped: Vec<String>,
}

impl ShapeMismatch {
    /// The differences between `found` and `expected`; none if they are equal.
    pub fn between(found: &Shapes, expected: &Shapes) -> Option<Self> {
        let mut mismatch = Self::default();
        for (name, shape) in expected {
            match found.get(name) {
                None => mismatch.missing.push(name.clone()),
                Some(other) if other != shape => mismatch
                    .misshaped
                    .push(format!("{name} is {other:?} instead of {shape:?}")),
                Some(_) => {}
            }
        }
        let extra = found.keys().filter(|name| !expected.contains_key(*name));
        mismatch.extra = extra.cloned().collect();
        (mismatch != Self::default()).then_some(mismatch)
    }
}

impl Display for ShapeMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lists = [
            ("missing", &self.missing),
            ("extra", &self.extra),
            ("of another shape", &self.misshaped),
        ];
        let mut between = "";
        for (what, names) in lists.into_iter().filter(|(_, names)| !names.is_empty()) {
            write!(f, "{between}{what}: {}", shortened(names))?;
            between = "; ";
        }
        Ok(())
    }
}

/// Up to ten of `names`, and the number of the others.
pub fn shortened(names: &[String]) -> String {
    const MOST: usize = 10;
    match names.len().checked_sub(MOST) {
        None | Some(0) => names.join(", "),
        Some(more) => format!("{} and {more} more", names[..MOST].join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mismatches_are_listed_up_to_ten() {
        let shapes = |names: std::ops::Range<usize>| -> Shapes {
            names.map(|i| (format!("t{i:02}"), vec![i])).collect()
        };
        let mismatch = ShapeMismatch::between(&shapes(0..2), &shapes(1..14)).unwrap();
        let text = mismatch.to_string();
        assert!(text.starts_with("missing: t02, t03"), "{text}");
        assert!(text.ends_with("t11 and 2 more; extra: t00"), "{text}");
        assert_eq!(ShapeMismatch::between(&shapes(0..2), &shapes(0..2)), None);
    }
}
