//! A picture of attenuation, and the shadows of tubes and textures added to it.

use crate::rng::Variates;

/// Number of columns and rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Number of columns.
    pub width: usize,
    /// Number of rows.
    pub height: usize,
}

impl Size {
    /// Returns the number of pixels.
    pub fn pixels(self) -> usize {
        self.width * self.height
    }

    /// Returns the film's middle, in pixels from its upper left corner.
    pub fn middle(self) -> [f64; 2] {
        [self.width as f64 / 2.0, self.height as f64 / 2.0]
    }

    /// Returns the size at which each pixel covers up to `step` times `step` of these.
    pub fn reduced(self, step: usize) -> Self {
        Self {
            width: self.width.div_ceil(step),
            height: self.height.div_ceil(step),
        }
    }
}

/// One number by pixel, row-major: attenuation (the natural logarithm of the intensity's loss),
/// intensity, or another that is said.
#[derive(Debug, Clone)]
pub(crate) struct Layer {
    pub(crate) size: Size,
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
    /// Returns the pixels within `reach` of the box between two points, clipped to the film.
    pub(crate) fn around(a: [f32; 2], b: [f32; 2], reach: f32, size: Size) -> Self {
        let low = |a: f32, b: f32, end| ((a.min(b) - reach).max(0.0) as usize).min(end);
        let high = |a: f32, b: f32, end| ((a.max(b) + reach + 1.0).max(0.0) as usize).min(end);
        Self {
            left: low(a[0], b[0], size.width),
            top: low(a[1], b[1], size.height),
            right: high(a[0], b[0], size.width),
            bottom: high(a[1], b[1], size.height),
        }
    }

    /// Returns the smallest bounds that hold both.
    pub(crate) fn join(&self, other: &Self) -> Self {
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

/// A buffer in which chains of tubes are traced before they are added to a layer: by pixel, one less
/// the squared distance to the nearest axis in radii, and the strength there. All zero when all are
/// settled.
pub(crate) struct Scratch(Vec<[f32; 2]>);

impl Scratch {
    pub(crate) fn new(size: Size) -> Self {
        Self(vec![[0.0; 2]; size.pixels()])
    }

    /// Traces a chain of tubes on a film of `size` for [`Layer::settle`], and returns the pixels
    /// that it may cover. Of chains that are traced before they are settled, too, the nearest axis
    /// counts.
    pub(crate) fn trace(
        &mut self,
        size: Size,
        joints: &[Joint],
        flush: [bool; 2],
    ) -> Option<Bounds> {
        let mut touched: Option<Bounds> = None;
        let links = joints.len().saturating_sub(1);
        for (index, link) in joints.windows(2).enumerate() {
            let (a, b) = (&link[0], &link[1]);
            let bounds = Bounds::around(a.at, b.at, a.radius.max(b.radius), size);
            if bounds.left >= bounds.right || bounds.top >= bounds.bottom {
                continue;
            }
            touched = Some(touched.map_or(bounds, |t| t.join(&bounds)));
            let (dx, dy) = (b.at[0] - a.at[0], b.at[1] - a.at[1]);
            let inverse = 1.0 / (dx * dx + dy * dy).max(1e-6);
            // The reach of a link beyond its joints, in its own length.
            let cut = |flush: bool, at: f32, open: f32| if flush { at } else { open };
            let first = cut(flush[0] && index == 0, 0.0, f32::MIN);
            let last = cut(flush[1] && index + 1 == links, 1.0, f32::MAX);
            // The link lies in a strip about its line: half the strip's width along a row.
            let widest = a.radius.max(b.radius);
            let half = widest * (1.0 + dx * dx / (dy * dy).max(1e-6)).sqrt();
            let lean = dx / if dy.abs() < 1e-3 { 1e-3 } else { dy };
            for row in bounds.top..bounds.bottom {
                let py = row as f32 + 0.5 - a.at[1];
                let middle = a.at[0] + py * lean;
                let from = (middle - half).clamp(bounds.left as f32, bounds.right as f32) as usize;
                let to = (middle + half + 1.0).clamp(from as f32, bounds.right as f32) as usize;
                let line = &mut self.0[row * size.width..][from..to];
                for (column, nearest) in line.iter_mut().enumerate() {
                    let px = (from + column) as f32 + 0.5 - a.at[0];
                    let along = (px * dx + py * dy) * inverse;
                    let t = along.clamp(0.0, 1.0);
                    let (ex, ey) = (px - t * dx, py - t * dy);
                    let radius = a.radius + t * (b.radius - a.radius);
                    let inside = 1.0 - (ex * ex + ey * ey) / (radius * radius);
                    if inside > nearest[0] && along >= first && along <= last {
                        *nearest = [inside, a.strength + t * (b.strength - a.strength)];
                    }
                }
            }
        }
        touched
    }
}

impl Layer {
    pub(crate) fn new(size: Size) -> Self {
        Self {
            size,
            values: vec![0.0; size.pixels()],
        }
    }

    /// Returns the rows, from above.
    pub(crate) fn rows(&self) -> std::slice::ChunksExact<'_, f32> {
        self.values.chunks_exact(self.size.width)
    }

    /// Returns the rows to change, from above.
    pub(crate) fn rows_mut(&mut self) -> std::slice::ChunksExactMut<'_, f32> {
        self.values.chunks_exact_mut(self.size.width)
    }

    /// Adds a chain of tubes: at each pixel only the link with the nearest axis counts, so that
    /// joints do not shine. The chain's ends are round, or cut flush where `flush` says so for its first
    /// and last joint: where another chain goes on. `wall` is the share of the radius that is
    /// cortical bone, 1 for a solid tube; `core` is the attenuation of what is inside relative to
    /// the wall.
    pub(crate) fn add_chain(
        &mut self,
        scratch: &mut Scratch,
        joints: &[Joint],
        flush: [bool; 2],
        wall: f32,
        core: f32,
    ) {
        if let Some(touched) = scratch.trace(self.size, joints, flush) {
            self.settle(scratch, touched, wall, core);
        }
    }

    /// Adds the tubes that were traced within `touched`, and forgets them.
    pub(crate) fn settle(&mut self, scratch: &mut Scratch, touched: Bounds, wall: f32, core: f32) {
        let width = self.size.width;
        let bore = (1.0 - wall) * (1.0 - wall);
        for row in touched.top..touched.bottom {
            let from = &mut scratch.0[row * width..][touched.left..touched.right];
            let to = &mut self.values[row * width..][touched.left..touched.right];
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
    pub(crate) fn add_mottle(&mut self, rng: &mut Variates, cell: f32, amplitude: f32) {
        let cells = |length: usize| (length as f32 / cell) as usize + 3;
        let (across, down) = (cells(self.size.width), cells(self.size.height));
        let mut bytes = vec![0; across * down];
        rng.fill(&mut bytes);
        let knots: Vec<f32> = bytes
            .iter()
            .map(|&byte| (f32::from(byte) / 127.5 - 1.0) * amplitude)
            .collect();
        let smooth = |t: f32| t * t * (3.0 - 2.0 * t);
        let places = |length: usize| {
            (0..length).map(move |i| {
                let at = i as f32 / cell;
                (at as usize, smooth(at - (at as usize) as f32))
            })
        };
        let columns: Vec<(usize, f32)> = places(self.size.width).collect();
        let mut blended = vec![0.0f32; across];
        let rows = places(self.size.height);
        for (line, (below, t)) in self.rows_mut().zip(rows) {
            let (upper, lower) = (&knots[below * across..], &knots[(below + 1) * across..]);
            for ((value, a), b) in blended.iter_mut().zip(upper).zip(lower) {
                *value = a + t * (b - a);
            }
            for (value, &(left, t)) in line.iter_mut().zip(&columns) {
                *value += blended[left] + t * (blended[left + 1] - blended[left]);
            }
        }
    }

    /// Returns the layer at a higher resolution, each of its pixels covering `step` times `step` of the
    /// new ones, by bilinear interpolation.
    pub(crate) fn enlarged(&self, size: Size, step: usize) -> Self {
        let places = |length: usize, coarse: usize| {
            (0..length).map(move |i| {
                let at = ((i as f32 + 0.5) / step as f32 - 0.5).clamp(0.0, (coarse - 1) as f32);
                let low = at as usize;
                (low, (low + 1).min(coarse - 1), at - low as f32)
            })
        };
        let columns: Vec<(usize, usize, f32)> = places(size.width, self.size.width).collect();
        let rows = places(size.height, self.size.height);
        let mut large = Self::new(size);
        let mut blended = vec![0.0f32; self.size.width];
        for (line, (a, b, t)) in large.rows_mut().zip(rows) {
            let row = |index: usize| &self.values[index * self.size.width..];
            for ((value, a), b) in blended.iter_mut().zip(row(a)).zip(row(b)) {
                *value = a + t * (b - a);
            }
            for (value, &(a, b, t)) in line.iter_mut().zip(&columns) {
                *value = blended[a] + t * (blended[b] - blended[a]);
            }
        }
        large
    }

    /// Returns the layer at a lower resolution: the means of up to `step` times `step` pixels.
    pub(crate) fn reduced(&self, step: usize) -> Self {
        let mut small = Self::new(self.size.reduced(step));
        let width = small.size.width;
        for (row, line) in self.rows().enumerate() {
            let sums = &mut small.values[row / step * width..][..width];
            for (sum, part) in sums.iter_mut().zip(line.chunks(step)) {
                *sum += part.iter().sum::<f32>();
            }
        }
        let share = |coarse: usize, length: usize| step.min(length - coarse * step) as f32;
        let Size { width, height } = self.size;
        for (row, line) in small.rows_mut().enumerate() {
            for (column, value) in line.iter_mut().enumerate() {
                *value /= share(row, height) * share(column, width);
            }
        }
        small
    }

    /// Blurs with the kernel (w, 1 - 2 w, w) along rows and columns.
    pub(crate) fn blur(&mut self, w: f32) {
        let Size { width, height } = self.size;
        let centre = 1.0 - 2.0 * w;
        let mut above: Vec<f32> = self.values[..width].to_vec();
        let mut here = above.clone();
        for row in 0..height {
            here.copy_from_slice(&self.values[row * width..][..width]);
            let (line, rest) = self.values[row * width..].split_at_mut(width);
            let below = if row + 1 < height {
                &rest[..width]
            } else {
                &here[..]
            };
            for (((value, here), above), below) in line.iter_mut().zip(&here).zip(&above).zip(below)
            {
                *value = centre * here + w * (above + below);
            }
            std::mem::swap(&mut above, &mut here);
        }
        for line in self.rows_mut() {
            here.copy_from_slice(line);
            for (value, around) in line[1..].iter_mut().zip(here.windows(3)) {
                *value = centre * around[1] + w * (around[0] + around[2]);
            }
            let last = width - 1;
            line[0] = centre * here[0] + w * (here[0] + here[1.min(last)]);
            line[last] = centre * here[last] + w * (here[last.max(1) - 1] + here[last]);
        }
    }

    /// Blurs with a Gaussian of `deviation` pixels, cut off at three deviations; pixels outside are
    /// like those at the edge. For small layers.
    pub(crate) fn smooth(&mut self, deviation: f32) {
        let reach = (3.0 * deviation).ceil() as usize;
        let weight = |i: usize| libm::expf(-0.5 * (i as f32 / deviation) * (i as f32 / deviation));
        let weights: Vec<f32> = (0..=reach).map(weight).collect();
        let whole = weights[0] + 2.0 * weights[1..].iter().sum::<f32>();
        let Size { width, height } = self.size;
        let along = |values: &mut [f32], count: usize, stride: usize, start: usize| {
            let line: Vec<f32> = (0..count).map(|i| values[start + i * stride]).collect();
            for i in 0..count {
                let mut sum = weights[0] * line[i];
                for (d, weight) in weights.iter().enumerate().skip(1) {
                    sum += weight * (line[i.saturating_sub(d)] + line[(i + d).min(count - 1)]);
                }
                values[start + i * stride] = sum / whole;
            }
        };
        for row in 0..height {
            along(&mut self.values, width, 1, row * width);
        }
        for column in 0..width {
            along(&mut self.values, height, width, column);
        }
    }
}
