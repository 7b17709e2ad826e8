//! The part of a ray inside a solid: closed forms, as intervals of the depth z.

use crate::camera::Ray;

/// An interval of depth in millimetres; empty when it ends before it begins.
pub(crate) type Span = (f32, f32);

/// The empty interval.
pub(crate) const NOWHERE: Span = (0.0, 0.0);

/// An ellipsoid whose long axes may be turned in the coronal plane.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ellipsoid {
    pub(crate) centre: [f32; 3],
    pub(crate) semi: [f32; 3],
    /// Cosine and sine of the turn in the coronal plane.
    pub(crate) turn: [f32; 2],
}

impl Ellipsoid {
    /// An ellipsoid along the coordinate axes.
    pub(crate) fn upright(centre: [f64; 3], semi: [f64; 3]) -> Self {
        Self::turned(centre, semi, 0.0)
    }

    /// An ellipsoid turned by an angle in radians.
    pub(crate) fn turned(centre: [f64; 3], semi: [f64; 3], angle: f64) -> Self {
        Self {
            centre: centre.map(|c| c as f32),
            semi: semi.map(|s| s as f32),
            turn: [libm::cos(angle) as f32, libm::sin(angle) as f32],
        }
    }

    /// The same, the patient turned by a quarter about the y axis, as an upright one.
    pub(crate) fn sideways(&self) -> Self {
        let ([x, y, z], [a, b, c]) = (self.centre, self.semi);
        Self {
            centre: [-z, y, x],
            semi: [c, b, a],
            turn: [1.0, 0.0],
        }
    }

    /// The part of the ray inside.
    pub(crate) fn span(&self, ray: &Ray) -> Span {
        let [cos, sin] = self.turn;
        let local = |x: f32, y: f32| {
            [
                (cos * x + sin * y) / self.semi[0],
                (cos * y - sin * x) / self.semi[1],
            ]
        };
        let depth = self.centre[2];
        let from = local(
            ray.at[0] + ray.slope[0] * depth - self.centre[0],
            ray.at[1] + ray.slope[1] * depth - self.centre[1],
        );
        let reach = from[0] * from[0] + from[1] * from[1];
        // Rays are within a few degrees of the z axis, so most misses show early.
        if reach > 2.0 {
            return NOWHERE;
        }
        let step = local(ray.slope[0], ray.slope[1]);
        let a = step[0] * step[0] + step[1] * step[1] + 1.0 / (self.semi[2] * self.semi[2]);
        let b = from[0] * step[0] + from[1] * step[1];
        root(a, b, reach - 1.0, depth)
    }
}

/// An upright elliptic cylinder: its axis at (x, z) and its semi-axes along x and z.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pillar {
    pub(crate) axis: [f32; 2],
    pub(crate) semi: [f32; 2],
}

impl Pillar {
    /// The part of the ray inside.
    pub(crate) fn span(&self, ray: &Ray) -> Span {
        let from = (ray.at[0] + ray.slope[0] * self.axis[1] - self.axis[0]) / self.semi[0];
        let step = ray.slope[0] / self.semi[0];
        root(
            step * step + 1.0 / (self.semi[1] * self.semi[1]),
            from * step,
            from * from - 1.0,
            self.axis[1],
        )
    }

    /// The same, the patient turned by a quarter about the y axis: what was in front is on the
    /// left of the film.
    pub(crate) fn sideways(&self) -> Self {
        let ([x, z], [a, c]) = (self.axis, self.semi);
        Self {
            axis: [-z, x],
            semi: [c, a],
        }
    }
}

/// The part of the ray inside an upright cylinder of rounded-box section: half an ellipse, half a
/// fourth-degree superellipse.
pub(crate) fn torso(ray: &Ray, axis: [f32; 2], semi: [f32; 2]) -> Span {
    let profile = |depth: f32| {
        let x = (ray.at[0] + ray.slope[0] * depth - axis[0]) / semi[0];
        let q = x * x;
        if q >= 1.0 {
            return 0.0;
        }
        semi[1] * 0.5 * ((1.0 - q).sqrt() + (1.0 - q * q).sqrt().sqrt())
    };
    // Rays are within a few degrees of the z axis: those that pass well beside miss.
    let beside = (ray.at[0] + ray.slope[0] * axis[1] - axis[0]).abs();
    if beside > semi[0] + ray.slope[0].abs() * semi[1] {
        return NOWHERE;
    }
    // The section changes slowly along the ray: two steps of fixed-point iteration.
    let mid = profile(axis[1]);
    let (back, front) = (profile(axis[1] - mid), profile(axis[1] + mid));
    (axis[1] - back, axis[1] + front)
}

/// Interval where `a t^2 + 2 b t + c <= 0`, moved to `depth`.
fn root(a: f32, b: f32, c: f32, depth: f32) -> Span {
    let discriminant = b * b - a * c;
    if discriminant <= 0.0 {
        return NOWHERE;
    }
    let half = discriminant.sqrt();
    (depth + (-b - half) / a, depth + (-b + half) / a)
}

/// A union of disjoint depth intervals, from which solids can be cut.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spans {
    parts: [Span; 12],
    count: usize,
}

impl Spans {
    pub(crate) fn new(span: Span) -> Self {
        let mut parts = [NOWHERE; 12];
        parts[0] = span;
        Self {
            parts,
            count: usize::from(span.1 > span.0),
        }
    }

    /// Removes an interval.
    pub(crate) fn cut(&mut self, by: Span) {
        if by.1 <= by.0 {
            return;
        }
        let mut i = 0;
        while i < self.count {
            let (from, to) = self.parts[i];
            if by.1 <= from || by.0 >= to {
                i += 1;
            } else if by.0 <= from && by.1 >= to {
                self.count -= 1;
                self.parts[i] = self.parts[self.count];
            } else {
                if by.0 > from && by.1 < to {
                    if self.count < self.parts.len() {
                        self.parts[self.count] = (by.1, to);
                        self.count += 1;
                    }
                    self.parts[i] = (from, by.0);
                } else if by.0 > from {
                    self.parts[i] = (from, by.0);
                } else {
                    self.parts[i] = (by.1, to);
                }
                i += 1;
            }
        }
    }

    /// Total length along z.
    pub(crate) fn length(&self) -> f32 {
        self.parts[..self.count].iter().map(|s| s.1 - s.0).sum()
    }
}

/// Length of the union of two intervals.
pub(crate) fn union(a: Span, b: Span) -> f32 {
    let (la, lb) = ((a.1 - a.0).max(0.0), (b.1 - b.0).max(0.0));
    let shared = if la > 0.0 && lb > 0.0 {
        (a.1.min(b.1) - a.0.max(b.0)).max(0.0)
    } else {
        0.0
    };
    la + lb - shared
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Variates;

    fn ray(rng: &mut Variates) -> Ray {
        let mut uniform = |reach: f64| rng.between(-reach, reach) as f32;
        Ray {
            at: [uniform(40.0), uniform(40.0)],
            slope: [uniform(0.2), uniform(0.2)],
        }
    }

    /// Length of the depths at which `inside` holds, by sampling.
    fn sampled(ray: &Ray, inside: impl Fn([f32; 3]) -> bool) -> f32 {
        let step = 0.01f32;
        let hits = (-20_000..20_000)
            .filter(|&i| {
                let z = (i as f32 + 0.5) * step;
                inside([
                    ray.at[0] + ray.slope[0] * z,
                    ray.at[1] + ray.slope[1] * z,
                    z,
                ])
            })
            .count();
        hits as f32 * step
    }

    fn length(span: Span) -> f32 {
        span.1 - span.0
    }

    #[test]
    fn chords_equal_numerical_integration() {
        let mut rng = Variates::new(1, 1);
        let (centre, semi, angle) = ([5.0, -8.0, 12.0], [60.0, 35.0, 45.0], 0.6f64);
        let ellipsoid = Ellipsoid::turned(centre, semi, angle);
        for _ in 0..40 {
            let ray = ray(&mut rng);
            let exact = sampled(&ray, |p| {
                let d: [f64; 3] = core::array::from_fn(|k| f64::from(p[k]) - centre[k]);
                let along = d[0] * angle.cos() + d[1] * angle.sin();
                let across = d[1] * angle.cos() - d[0] * angle.sin();
                (along / semi[0]).powi(2) + (across / semi[1]).powi(2) + (d[2] / semi[2]).powi(2)
                    <= 1.0
            });
            let chord = length(ellipsoid.span(&ray));
            assert!((chord - exact).abs() < 0.05, "{chord} {exact}");

            let exact = sampled(&ray, |p| {
                ((p[0] - 4.0) / 50.0).powi(2) + ((p[2] + 9.0) / 30.0).powi(2) <= 1.0
            });
            let pillar = Pillar {
                axis: [4.0, -9.0],
                semi: [50.0, 30.0],
            };
            let chord = length(pillar.span(&ray));
            assert!((chord - exact).abs() < 0.05, "{chord} {exact}");

            let exact = sampled(&ray, |p| {
                let q = ((p[0] - 3.0) / 150.0f32).powi(2);
                let half = 50.0 * ((1.0 - q).sqrt() + (1.0 - q * q).sqrt().sqrt());
                (p[2] - 5.0).abs() <= half
            });
            let chord = length(torso(&ray, [3.0, 5.0], [150.0, 100.0]));
            assert!((chord - exact).abs() < 0.3, "{chord} {exact}");
        }
    }

    #[test]
    fn cuts_and_unions_equal_sampling() {
        let mut rng = Variates::new(2, 1);
        for _ in 0..200 {
            let mut span = || {
                let from = rng.between(0.0, 100.0) as u8;
                (from, from + rng.between(0.0, 50.0) as u8)
            };
            let float = |s: (u8, u8)| (f32::from(s.0), f32::from(s.1));
            let whole = span();
            let cuts = [span(), span(), span(), span()];
            let mut spans = Spans::new(float(whole));
            for cut in cuts {
                spans.cut(float(cut));
            }
            let holds = |s: (u8, u8), i: u8| s.0 <= i && i < s.1;
            let left = (0..=255)
                .filter(|&i| holds(whole, i) && !cuts.iter().any(|&c| holds(c, i)))
                .count();
            assert_eq!(spans.length(), left as f32);
            let either = (0..=255)
                .filter(|&i| holds(whole, i) || holds(cuts[0], i))
                .count();
            assert_eq!(union(float(whole), float(cuts[0])), either as f32);
        }
    }
}
