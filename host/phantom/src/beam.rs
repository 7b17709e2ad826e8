//! From attenuation to the detector's raw values: two energies, scatter and grid, heel effect,
//! collimation, automatic exposure, quantum and electronic noise, blur and gain.

use crate::elementary::exp;
use crate::layer::{Layer, Size};
use crate::rng::Variates;

/// The greatest raw value: 14 bits, linear in the energy that arrives.
pub(crate) const FULL_SCALE: f32 = 16_383.0;

/// Attenuation at the beam's soft and hard part relative to that at the effective energy, from the
/// mass attenuation coefficients of water and cortical bone at 50 and 85 keV against 70 keV (NIST
/// XCOM): of soft tissue, and of what bone or metal attenuates more than it.
const SOFT_PART: [f32; 2] = [1.17, 1.92];
const HARD_PART: [f32; 2] = [0.93, 0.72];

/// Side of the cells in which scatter is computed, in pixels.
const CELL: usize = 16;
/// Scattered quanta made of each that arrives unscattered, for an attenuation of 1.
const SCATTER: f32 = 0.42;
/// Spread of scatter: standard deviation in millimetres at the detector.
const SPREAD: f64 = 34.0;
/// The shares of unscattered and of scattered quanta that an anti-scatter grid lets through.
const GRID: [f32; 2] = [0.72, 0.14];
/// Share that lead collimators let through.
const LEAKAGE: f32 = 0.002;
/// Number of quantiles in the table of the standard normal.
const NORMALS: usize = 4096;

/// The exposure of a film: tube, grid, dose, detector.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beam {
    /// Share of the quanta in the beam's soft part: more at 80 than at 125 kV.
    soft: f32,
    grid: bool,
    /// Quanta a square millimetre where the film's middle half is exposed on average.
    dose: f64,
    /// Raw value there.
    level: f32,
    /// Electronic noise, in raw values.
    electronic: f32,
    /// Loss of intensity from the cathode's to the anode's edge, down or up the film.
    heel: f32,
    /// Greatest departure of the gain from flat.
    uneven: f32,
    /// Weight of each neighbour in the detector's blur.
    blur: f32,
    /// Collimated margins as shares of width and height: left, top, right, bottom.
    margins: [f64; 4],
    /// Half-shadow at the collimators' edges, in millimetres.
    penumbra: f64,
}

impl Beam {
    /// Draws an exposure; `bedside` films are taken without a grid and at a lower voltage, more of them wrongly
    /// exposed.
    pub(crate) fn draw(rng: &mut Variates, bedside: bool) -> Self {
        let collimated = rng.chance(0.5);
        let margins = core::array::from_fn(|_| {
            if collimated && rng.chance(0.6) {
                rng.between(0.0, 0.07)
            } else {
                0.0
            }
        });
        let grid = rng.chance(if bedside { 0.25 } else { 0.85 });
        let voltage = if grid {
            rng.between(100.0, 125.0)
        } else {
            rng.between(75.0, 100.0)
        };
        let wrong = if rng.chance(if bedside { 0.25 } else { 0.1 }) {
            libm::exp(rng.normal(0.0, 1.1))
        } else {
            libm::exp(rng.normal(0.0, 0.2))
        };
        Self {
            soft: (1.06 - 0.0058 * voltage) as f32,
            grid,
            dose: wrong * libm::pow(10.0, rng.between(4.6, 5.3)),
            level: (wrong * rng.between(1100.0, 2000.0)) as f32,
            electronic: rng.between(1.0, 4.0) as f32,
            heel: rng.normal(0.0, 0.14) as f32,
            uneven: rng.between(0.0, 0.02) as f32,
            blur: rng.between(0.04, 0.15) as f32,
            margins,
            penumbra: rng.between(0.8, 4.0),
        }
    }

    /// Returns the same with `times` the exposure.
    pub(crate) fn exposed(mut self, times: f64) -> Self {
        self.dose *= times;
        self.level *= times as f32;
        self
    }

    /// Returns the first and last column and row that the collimators leave open.
    pub(crate) fn field(&self, size: Size) -> [usize; 4] {
        let at = |share: f64, length: usize| (share * length as f64) as usize;
        let [left, top, right, bottom] = self.margins;
        [
            at(left, size.width),
            at(top, size.height),
            size.width - 1 - at(right, size.width),
            size.height - 1 - at(bottom, size.height),
        ]
    }

    /// Returns raw values from the attenuation of soft tissue and of bone and metal; `pitch` is the
    /// pixel's edge in millimetres.
    pub(crate) fn expose(
        &self,
        soft: &Layer,
        dense: &Layer,
        pitch: f64,
        rng: &mut Variates,
    ) -> Layer {
        let mut image = self.primary(soft, dense, pitch);
        self.add_scatter(&mut image, soft, pitch);
        let size = image.size;
        let [left, top, right, bottom] = [1, 1, 3, 3].map(|q| q as f64 / 4.0);
        let middle = |from: f64, to: f64, length: usize| {
            (from * length as f64) as usize..(to * length as f64) as usize
        };
        let mut sum = 0.0;
        let rows = middle(top, bottom, size.height);
        let columns = middle(left, right, size.width);
        for row in rows.clone().step_by(4) {
            let line = &image.values[row * size.width..][columns.clone()];
            sum += line.iter().sum::<f32>() / line.len() as f32;
        }
        let mean = (sum / rows.step_by(4).len() as f32).max(1e-5);
        let quanta = (self.dose * pitch * pitch) as f32 / mean;
        let normals = normals();
        let mut random = vec![0; size.width * 2];
        let mut noise = |line: &mut [f32], deviation: &dyn Fn(f32) -> f32| {
            rng.fill(&mut random);
            for (value, bits) in line.iter_mut().zip(random.chunks_exact(2)) {
                let index = usize::from(u16::from_le_bytes([bits[0], bits[1]])) % NORMALS;
                *value += deviation(*value) * normals[index];
            }
        };
        for line in image.rows_mut() {
            noise(line, &|value| (value / quanta).sqrt());
        }
        // The light of a scintillator spreads what the quanta have left, noise and all.
        image.blur(self.blur);
        let gain = self.level / mean;
        for line in image.rows_mut() {
            for value in line.iter_mut() {
                *value *= gain;
            }
            noise(line, &|_| self.electronic);
            for value in line {
                *value = (value.clamp(0.0, FULL_SCALE) + 0.5) as i32 as f32;
            }
        }
        image
    }

    /// Returns the intensity that arrives unscattered, of 1 before the patient.
    fn primary(&self, soft: &Layer, dense: &Layer, pitch: f64) -> Layer {
        let size = soft.size;
        let [left, top, right, bottom] = self.field(size);
        let open = |from: usize, to: usize, length: usize, shut: [bool; 2]| -> Vec<f32> {
            let edge = |inside: f64| {
                let t = (0.5 + inside * pitch / self.penumbra).clamp(0.0, 1.0) as f32;
                LEAKAGE + (1.0 - LEAKAGE) * t
            };
            (0..length)
                .map(|i| {
                    let i = i as f64;
                    let low = if shut[0] { edge(i - from as f64) } else { 1.0 };
                    let high = if shut[1] { edge(to as f64 - i) } else { 1.0 };
                    low.min(high)
                })
                .collect()
        };
        let columns = open(left, right, size.width, [left > 0, right + 1 < size.width]);
        let rows = open(
            top,
            bottom,
            size.height,
            [top > 0, bottom + 1 < size.height],
        );
        let through = if self.grid { GRID[0] } else { 1.0 };
        let mut image = Layer::new(size);
        let lines = image.rows_mut().zip(soft.rows().zip(dense.rows()));
        for (row, (line, (soft, dense))) in lines.enumerate() {
            let down = row as f32 / size.height as f32 - 0.5;
            let wave = libm::sinf(3.0 * down + 1.0);
            let factor = rows[row]
                * through
                * (1.0 + self.heel * (down - down * down))
                * (1.0 + self.uneven * wave);
            let hard = (1.0 - self.soft) * factor;
            let easy = self.soft * factor;
            for (((value, a), b), open) in line.iter_mut().zip(soft).zip(dense).zip(&columns) {
                let first = exp(-(SOFT_PART[0] * a + SOFT_PART[1] * b));
                let second = exp(-(HARD_PART[0] * a + HARD_PART[1] * b));
                *value = (easy * first + hard * second) * open;
            }
        }
        image
    }

    /// Adds the scattered intensity: made where unscattered quanta are attenuated, spread wide.
    fn add_scatter(&self, image: &mut Layer, soft: &Layer, pitch: f64) {
        let made = image.reduced(CELL);
        let depth = soft.reduced(CELL);
        let mut scatter = made;
        let [primary, scattered] = if self.grid { GRID } else { [1.0; 2] };
        let share = SCATTER * scattered / primary;
        for (value, depth) in scatter.values.iter_mut().zip(&depth.values) {
            *value *= share * depth;
        }
        scatter.smooth((SPREAD / (pitch * CELL as f64)) as f32);
        let scatter = scatter.enlarged(image.size, CELL);
        for (value, scatter) in image.values.iter_mut().zip(&scatter.values) {
            *value += scatter;
        }
    }
}

/// Quantiles of the standard normal at evenly spaced probabilities, by bisection of the error
/// function.
fn normals() -> &'static [f32; NORMALS] {
    static TABLE: std::sync::OnceLock<[f32; NORMALS]> = std::sync::OnceLock::new();
    TABLE.get_or_init(|| {
        core::array::from_fn(|i| {
            let probability = (i as f64 + 0.5) / NORMALS as f64;
            let (mut low, mut high) = (-6.0f64, 6.0f64);
            for _ in 0..48 {
                let middle = (low + high) / 2.0;
                if 0.5 * libm::erfc(-middle / core::f64::consts::SQRT_2) < probability {
                    low = middle;
                } else {
                    high = middle;
                }
            }
            ((low + high) / 2.0) as f32
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size {
        width: 160,
        height: 128,
    };

    fn beam() -> Beam {
        Beam {
            soft: 0.4,
            grid: true,
            dose: 2e4,
            level: 3000.0,
            electronic: 0.0,
            heel: 0.0,
            uneven: 0.0,
            blur: 0.0,
            margins: [0.0; 4],
            penumbra: 1.0,
        }
    }

    fn flat(attenuation: f32) -> Layer {
        let mut layer = Layer::new(SIZE);
        layer.values.fill(attenuation);
        layer
    }

    #[test]
    fn noise_follows_the_quanta_that_arrive() {
        let nothing = flat(0.0);
        for (dose, attenuation) in [(2e4, 1.0), (2e4, 4.0), (2e3, 2.0)] {
            let beam = Beam { dose, ..beam() };
            let raw = beam.expose(&flat(attenuation), &nothing, 0.4, &mut Variates::new(5, 5));
            let seen: Vec<f64> = raw.values.iter().map(|&v| f64::from(v) / 3000.0).collect();
            let mean = seen.iter().sum::<f64>() / seen.len() as f64;
            let square = seen.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>();
            let deviation = (square / seen.len() as f64).sqrt();
            // The exposure's control gives every flat film the same mean.
            assert!((mean - 1.0).abs() < 0.01);
            let quanta = dose * 0.4 * 0.4;
            assert!(
                (deviation * quanta.sqrt() - 1.0).abs() < 0.05,
                "{deviation}"
            );
        }
    }

    #[test]
    fn thick_tissue_hardens_the_beam() {
        let nothing = flat(0.0);
        let through = |soft: f32, dense: f32| {
            f64::from(beam().primary(&flat(soft), &flat(dense), 0.4).values[0] / GRID[0])
        };
        // Beer and Lambert's law would give twice the logarithm for twice the thickness.
        let (once, twice) = (-through(2.0, 0.0).ln(), -through(4.0, 0.0).ln());
        assert!(twice < 1.99 * once && twice > 1.9 * once, "{once} {twice}");
        let (once, twice) = (-through(0.0, 1.0).ln(), -through(0.0, 2.0).ln());
        assert!(twice < 1.9 * once, "bone hardens more: {once} {twice}");
        assert!((through(0.0, 0.0) - 1.0).abs() < 1e-6);
        assert_eq!(nothing.size, SIZE);
    }

    #[test]
    fn a_grid_keeps_scatter_off() {
        // A dense square before a thinner ground: scatter fills its shadow.
        let mut soft = flat(1.5);
        for row in 48..80 {
            soft.values[row * SIZE.width + 64..][..32].fill(5.0);
        }
        let contrast = |grid: bool| {
            let beam = Beam { grid, ..beam() };
            let mut image = beam.primary(&soft, &flat(0.0), 1.0);
            beam.add_scatter(&mut image, &soft, 1.0);
            let at = |row: usize, column: usize| image.values[row * SIZE.width + column];
            at(64, 10) / at(64, 80)
        };
        let unscattered = (3.5f32 * 0.93).exp();
        assert!(contrast(true) < unscattered);
        assert!(contrast(false) < 0.6 * contrast(true));
    }

    #[test]
    fn collimators_shut_their_margins() {
        let beam = Beam {
            margins: [0.1, 0.0, 0.0, 0.25],
            ..beam()
        };
        assert_eq!(beam.field(SIZE), [16, 0, 159, 95]);
        let image = beam.primary(&flat(0.0), &flat(0.0), 0.5);
        let at = |row: usize, column: usize| image.values[row * SIZE.width + column] / GRID[0];
        assert!((at(40, 80) - 1.0).abs() < 1e-6);
        assert!((at(40, 159) - 1.0).abs() < 1e-6);
        assert!(at(40, 5) < 0.003 && at(120, 80) < 0.003);
    }
}
