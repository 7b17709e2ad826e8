//! The coronal curve: tilt along the spine, and the Cobb angle it makes.
//!
//! A position along the spine is a level: vertebra `i` (0 is T1, 16 is L5) reaches from its
//! superior endplate at `i + 0.1` to its inferior endplate at `i + 0.9`; the rest is disc. Tilt is
//! an angle in the coronal plane, positive where the spine, followed downwards, runs to the
//! patient's left.

use crate::rng::Variates;
use plumbline_shared::clinical::{Convexity, CurveType};

/// The vertebrae of the thoracic and lumbar spine, from above.
pub const LEVELS: [&str; 17] = [
    "T1", "T2", "T3", "T4", "T5", "T6", "T7", "T8", "T9", "T10", "T11", "T12", "L1", "L2", "L3",
    "L4", "L5",
];

/// One lateral bend. The spine's sideways shift is a Gaussian of the level, so the tilt is its
/// derivative: it changes sign at the apex and peaks one width above and below.
#[derive(Debug, Clone, Copy)]
struct Bend {
    apex: f64,
    width: f64,
    peak: f64,
}

impl Bend {
    fn tilt(&self, level: f64) -> f64 {
        let distance = (level - self.apex) / self.width;
        -self.peak * distance * libm::exp(0.5 - 0.5 * distance * distance)
    }

    fn tilt_rate(&self, level: f64) -> f64 {
        let distance = (level - self.apex) / self.width;
        self.peak / self.width
            * (distance * distance - 1.0)
            * libm::exp(0.5 - 0.5 * distance * distance)
    }
}

/// A coronal curve with an exact Cobb angle.
#[derive(Debug, Clone)]
pub struct Curve {
    kind: CurveType,
    bends: Vec<Bend>,
}

/// The major curve as it is measured on a film.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cobb {
    /// Angle between the superior endplate of the upper and the inferior endplate of the lower end
    /// vertebra, in degrees.
    pub degrees: f64,
    /// Index of the upper end vertebra in [`LEVELS`].
    pub upper: usize,
    /// Index of the lower end vertebra in [`LEVELS`].
    pub lower: usize,
    /// Index of the vertebra farthest from the line between the end vertebrae.
    pub apex: usize,
    /// The side that the curve bulges to.
    pub convexity: Convexity,
}

impl Curve {
    /// A random curve of exactly `degrees`.
    pub fn draw(rng: &mut Variates, degrees: f64) -> Self {
        let kind = match rng.unit() {
            u if u < 0.52 => CurveType::Thoracic,
            u if u < 0.76 => CurveType::Thoracolumbar,
            _ => CurveType::Double,
        };
        // Thoracic curves are mostly convex to the right (Weinstein et al., Lancet 371:1527, 2008).
        let right = match kind {
            CurveType::Thoracolumbar => 0.5,
            _ => 0.75,
        };
        let side = if rng.chance(right) { -1.0 } else { 1.0 };
        let mut bend = |apex: (f64, f64), width: (f64, f64), peak: (f64, f64)| Bend {
            apex: rng.between(apex.0, apex.1),
            width: rng.between(width.0, width.1),
            peak: rng.between(peak.0, peak.1),
        };
        let mut bends = match kind {
            CurveType::Thoracolumbar => vec![
                bend((10.4, 12.4), (2.2, 2.8), (1.0, 1.0)),
                bend((5.0, 6.5), (1.8, 2.4), (-0.5, -0.15)),
            ],
            CurveType::Double => vec![
                bend((6.0, 8.0), (1.9, 2.4), (1.0, 1.0)),
                bend((11.6, 13.0), (1.9, 2.4), (-1.0, -0.75)),
            ],
            _ => vec![
                bend((6.3, 9.2), (2.2, 2.9), (1.0, 1.0)),
                bend((13.2, 14.4), (1.8, 2.2), (-0.55, -0.1)),
                bend((1.4, 2.4), (1.4, 1.8), (-0.3, 0.0)),
            ],
        };
        for bend in &mut bends {
            bend.peak *= side;
        }
        let curve = Self { kind, bends };
        let factor = degrees / curve.cobb().degrees;
        curve.scaled(factor)
    }

    /// The curve with every tilt `factor` times as large, and the Cobb angle with it.
    #[must_use]
    pub fn scaled(mut self, factor: f64) -> Self {
        for bend in &mut self.bends {
            bend.peak *= factor;
        }
        self
    }

    /// Shape of the curve, whatever its size.
    pub fn kind(&self) -> CurveType {
        self.kind
    }

    /// Coronal tilt at a level, in radians.
    pub fn tilt(&self, level: f64) -> f64 {
        self.bends.iter().map(|bend| bend.tilt(level)).sum()
    }

    /// Change of tilt with the level, in radians a level; its negative is largest at an apex that
    /// bulges to the patient's left.
    pub fn tilt_rate(&self, level: f64) -> f64 {
        self.bends.iter().map(|bend| bend.tilt_rate(level)).sum()
    }

    /// The Cobb angle of the endplates that [`Curve::tilt`] gives.
    pub fn cobb(&self) -> Cobb {
        let endplates: Vec<(f64, f64)> = (0..LEVELS.len())
            .map(|i| (self.tilt(i as f64 + 0.1), self.tilt(i as f64 + 0.9)))
            .collect();
        Cobb::measure(&endplates)
    }
}

impl std::fmt::Display for Cobb {
    /// End vertebrae, side and angle, as the manifest writes them: `T5-T11 right 34.21`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let side = match self.convexity {
            Convexity::Left => "left",
            Convexity::Right => "right",
            Convexity::None => "none",
        };
        let (upper, lower) = (LEVELS[self.upper], LEVELS[self.lower]);
        write!(f, "{upper}-{lower} {side} {:.2}", self.degrees)
    }
}

impl Cobb {
    /// Measures the major curve from the tilt of every vertebra's superior and inferior endplate,
    /// in radians, from above.
    pub fn measure(endplates: &[(f64, f64)]) -> Self {
        let (mut upper, mut lower, mut angle) = (0, 0, 0.0f64);
        for i in 0..endplates.len() {
            for j in i + 1..endplates.len() {
                let between = endplates[i].0 - endplates[j].1;
                if between.abs() > angle.abs() {
                    (upper, lower, angle) = (i, j, between);
                }
            }
        }
        Self::between(endplates, upper, lower)
    }

    /// Every curve of at least `least` degrees, from above: the major curve, and on either side of
    /// it the largest that its end vertebra begins, and so on.
    pub fn all(endplates: &[(f64, f64)], least: f64) -> Vec<Self> {
        let largest = |curves: &mut dyn Iterator<Item = Self>| {
            let largest = curves.max_by(|a, b| a.degrees.total_cmp(&b.degrees));
            largest.filter(|curve| curve.degrees >= least)
        };
        let major = Self::measure(endplates);
        if major.degrees < least {
            return Vec::new();
        }
        let mut curves = vec![major];
        let above = |end| (0..end).map(move |i| Self::between(endplates, i, end));
        while let Some(curve) = largest(&mut above(curves[0].upper)) {
            curves.insert(0, curve);
        }
        let below = |end| (end + 1..endplates.len()).map(move |i| Self::between(endplates, end, i));
        while let Some(curve) = largest(&mut below(curves[curves.len() - 1].lower)) {
            curves.push(curve);
        }
        curves
    }

    /// The curve between two end vertebrae.
    fn between(endplates: &[(f64, f64)], upper: usize, lower: usize) -> Self {
        let angle = endplates[upper].0 - endplates[lower].1;
        let mean = |i: usize| (endplates[i].0 + endplates[i].1) / 2.0;
        let chord = (upper..=lower).map(mean).sum::<f64>() / (lower - upper + 1) as f64;
        let (mut apex, mut shift, mut farthest) = (upper, 0.0, 0.0f64);
        for i in upper..lower {
            shift += (mean(i) + mean(i + 1)) / 2.0 - chord;
            if shift.abs() > farthest {
                (apex, farthest) = (i + 1, shift.abs());
            }
        }
        Self {
            degrees: angle.abs().to_degrees(),
            upper,
            lower,
            apex,
            convexity: match angle {
                a if a > 0.0 => Convexity::Left,
                a if a < 0.0 => Convexity::Right,
                _ => Convexity::None,
            },
        }
    }
}
