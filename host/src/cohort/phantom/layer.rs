//! A picture of attenuation, and the shadows of tubes and textures added to it.

use super::dice::Dice;

/// Attenuation (natural logarithm of the intensity's loss) by pixel, row-major.
#[derive(Debug, Clone)]
pub(crate) struct Layer {
    pub(crate) side: usize,
    pub(crate) values: Vec<f32>,
}

/// Pixels from `left`, `top` up to but not including `right`, `bottom`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) left: usize,
    pub(crate) top: usize,
    pub(crate) right: usize,
    pub(crate) bottom: usize,
}

impl Bounds {
    /// The pixels within `reach` of the box between two points, clipped to the film.
    pub(crate) fn around(a: [f32; 2], b: [f32; 2], reach: f32, side: usize) -> Self {
        let low = |a: f32, b: f32| ((a.min(b) - reach).max(0.0) as usize).min(side);
        let high = |a: f32, b: f32| ((a.max(b) + reach + 1.0).max(0.0) as usize).min(side);
        Self {
            left: low(a[0], b[0]),
            top: low(a[1], b[1]),
            right: high(a[0], b[0]),
            bottom: high(a[1], b[1]),
        }
    }

    fn join(&self, other: &Self) -> Self {
        Self {
            left: self.left.min(other.left),
            top: self.top.min(other.top),
            right: self.right.max(other.right),
            bottom: self.bottom.max(other.bottom),
        }
    }
}

/// A joint of a chain of tubes, in pixels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Joint {
    pub(crate) at: [f32; 2],
    pub(crate) radius: f32,
    /// Attenuation of the tube's shadow for a chord as long as its diameter.
    pub(crate) strength: f32,
}

/// What [`Layer::add_chain`] works in, kept between calls: by pixel, one less the squared distance
/// to the nearest axis in radii, and the strength there. All zero between calls.
pub(crate) struct Scratch(Vec<[f32; 2]>);

impl Scratch {
    pub(crate) fn new(side: usize) -> Self {
        Self(vec![[0.0; 2]; side * side])
    }
}

impl Layer {
    pub(crate) fn new(side: usize) -> Self {
        Self {
            side,
            values: vec![0.0; side * side],
        }
    }

    /// Adds a chain of tubes: at each pixel the link counts whose axis is nearest, so that joints
    /// do not shine. `wall` is the share of the radius that is cortical bone, 1 for a solid tube;
    /// `core` is the attenuation of what is inside relative to the wall.
    pub(crate) fn add_chain(
        &mut self,
        scratch: &mut Scratch,
        joints: &[Joint],
        wall: f32,
        core: f32,
    ) {
        let side = self.side;
        let mut touched: Option<Bounds> = None;
        for link in joints.windows(2) {
            let (a, b) = (&link[0], &link[1]);
            let bounds = Bounds::around(a.at, b.at, a.radius.max(b.radius), side);
            if bounds.left >= bounds.right || bounds.top >= bounds.bottom {
                continue;
            }
            touched = Some(touched.map_or(bounds, |t| t.join(&bounds)));
            let (dx, dy) = (b.at[0] - a.at[0], b.at[1] - a.at[1]);
            let inverse = 1.0 / (dx * dx + dy * dy).max(1e-6);
            for row in bounds.top..bounds.bottom {
                let py = row as f32 + 0.5 - a.at[1];
                let line = &mut scratch.0[row * side..][bounds.left..bounds.right];
                for (column, nearest) in line.iter_mut().enumerate() {
                    let px = (bounds.left + column) as f32 + 0.5 - a.at[0];
                    let t = ((px * dx + py * dy) * inverse).clamp(0.0, 1.0);
                    let (ex, ey) = (px - t * dx, py - t * dy);
                    let radius = a.radius + t * (b.radius - a.radius);
                    let inside = 1.0 - (ex * ex + ey * ey) / (radius * radius);
                    if inside > nearest[0] {
                        *nearest = [inside, a.strength + t * (b.strength - a.strength)];
                    }
                }
            }
        }
        let Some(t) = touched else { return };
        let bore = (1.0 - wall) * (1.0 - wall);
        for row in t.top..t.bottom {
            let from = &mut scratch.0[row * side..][t.left..t.right];
            let to = &mut self.values[row * side..][t.left..t.right];
            for (value, nearest) in to.iter_mut().zip(from) {
                let [inside, strength] = *nearest;
                if inside > 0.0 {
                    let hollow = (bore - 1.0 + inside).max(0.0).sqrt() * (1.0 - core);
                    *value += (inside.sqrt() - hollow) * strength;
                    *nearest = [0.0; 2];
                }
            }
        }
    }

    /// Adds smooth random mottle with cells of the given size in pixels.
    pub(crate) fn add_mottle(&mut self, dice: &mut Dice, cell: f32, amplitude: f32) {
        let cells = (self.side as f32 / cell) as usize + 3;
        let mut bytes = vec![0; cells * cells];
        dice.fill(&mut bytes);
        let knots: Vec<f32> = bytes
            .iter()
            .map(|&byte| (f32::from(byte) / 127.5 - 1.0) * amplitude)
            .collect();
        let smooth = |t: f32| t * t * (3.0 - 2.0 * t);
        let places: Vec<(usize, f32)> = (0..self.side)
            .map(|i| {
                let at = i as f32 / cell;
                (at as usize, smooth(at - (at as usize) as f32))
            })
            .collect();
        let mut blended = vec![0.0f32; cells];
        for (line, &(below, t)) in self.values.chunks_exact_mut(self.side).zip(&places) {
            let (upper, lower) = (&knots[below * cells..], &knots[(below + 1) * cells..]);
            for ((value, a), b) in blended.iter_mut().zip(upper).zip(lower) {
                *value = a + t * (b - a);
            }
            for (value, &(left, t)) in line.iter_mut().zip(&places) {
                *value += blended[left] + t * (blended[left + 1] - blended[left]);
            }
        }
    }

    /// The layer at a whole multiple of its resolution, by bilinear interpolation.
    pub(crate) fn enlarged(self, side: usize) -> Self {
        if side == self.side {
            return self;
        }
        let step = self.side as f32 / side as f32;
        let places: Vec<(usize, usize, f32)> = (0..side)
            .map(|i| {
                let at = ((i as f32 + 0.5) * step - 0.5).clamp(0.0, (self.side - 1) as f32);
                let low = at as usize;
                (low, (low + 1).min(self.side - 1), at - low as f32)
            })
            .collect();
        let mut large = Self::new(side);
        let mut blended = vec![0.0f32; self.side];
        for (line, &(a, b, t)) in large.values.chunks_exact_mut(side).zip(&places) {
            let (upper, lower) = (&self.values[a * self.side..], &self.values[b * self.side..]);
            for ((value, a), b) in blended.iter_mut().zip(upper).zip(lower) {
                *value = a + t * (b - a);
            }
            for (value, &(a, b, t)) in line.iter_mut().zip(&places) {
                *value = blended[a] + t * (blended[b] - blended[a]);
            }
        }
        large
    }

    /// Blurs with the kernel (w, 1 - 2 w, w) along rows and columns.
    pub(crate) fn blur(&mut self, w: f32) {
        let side = self.side;
        let centre = 1.0 - 2.0 * w;
        let mut above: Vec<f32> = self.values[..side].to_vec();
        for row in 0..side {
            let here: Vec<f32> = self.values[row * side..][..side].to_vec();
            let next = ((row + 1).min(side - 1)) * side;
            for column in 0..side {
                let below = self.values[next + column];
                self.values[row * side + column] =
                    centre * here[column] + w * (above[column] + below);
            }
            above = here;
        }
        for line in self.values.chunks_exact_mut(side) {
            let mut left = line[0];
            for column in 0..side {
                let here = line[column];
                let right = line[(column + 1).min(side - 1)];
                line[column] = centre * here + w * (left + right);
                left = here;
            }
        }
    }
}
