//! From attenuation to the film: quantum noise by dose, then the film's grey curve.

use super::dice::Dice;
use super::layer::Layer;

/// Greatest attenuation tabulated, and the table's length.
const DEEPEST: f32 = 14.0;
const STEPS: usize = 8192;
const NORMALS: usize = 4096;

/// How a film is exposed, developed and collimated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exposure {
    /// Quanta a square millimetre of detector without a patient.
    quanta: f64,
    /// Displayed range, as shifts and a stretch of the range that the patient fills.
    shift: f64,
    stretch: f64,
    /// Exponent of the grey curve.
    gamma: f64,
    /// Grey of the darkest and of the lightest body, of 1.
    dark: f64,
    light: f64,
    /// Weight of each neighbour in the detector's blur.
    pub(crate) blur: f32,
    /// Collimated margins as shares of the side: left, top, right, bottom.
    margins: [f64; 4],
    /// Grey outside the collimation.
    outside: u16,
}

impl Exposure {
    pub(crate) fn draw(dice: &mut Dice) -> Self {
        let collimated = dice.chance(0.45);
        let margins = core::array::from_fn(|_| {
            if collimated && dice.chance(0.6) {
                dice.between(0.0, 0.055)
            } else {
                0.0
            }
        });
        Self {
            quanta: libm::pow(10.0, dice.between(5.9, 6.7)),
            shift: dice.normal(0.0, 0.06),
            stretch: dice.between(0.95, 1.2),
            gamma: dice.between(0.8, 1.35),
            dark: dice.between(0.02, 0.14),
            light: dice.between(0.82, 0.99),
            blur: dice.between(0.06, 0.16) as f32,
            margins,
            outside: if dice.chance(0.85) {
                dice.between(0.0, 1500.0) as u16
            } else {
                dice.between(55_000.0, 65_535.0) as u16
            },
        }
    }

    /// Develops a film from attenuation; `pitch` is the pixel's edge at the detector in mm.
    pub(crate) fn develop(&self, layer: &Layer, pitch: f64, dice: &mut Dice) -> Vec<u16> {
        let (low, high) = self.range(layer);
        let quanta = self.quanta * pitch * pitch;
        let step = f64::from(DEEPEST) / STEPS as f64;
        // Noise of the attenuation where N quanta arrive: 1 / sqrt(N), N by Beer and Lambert.
        let noise: Vec<f32> = (0..=STEPS)
            .map(|i| (libm::exp(0.5 * i as f64 * step) / libm::sqrt(quanta)) as f32)
            .collect();
        let grey: Vec<f32> = (0..=STEPS)
            .map(|i| {
                let t = ((i as f64 * step - low) / (high - low)).max(-0.2);
                let curved = if t > 0.0 {
                    libm::pow(t, self.gamma)
                } else {
                    0.6 * t
                };
                let value = self.dark + (self.light - self.dark) * curved;
                // A soft shoulder in place of clipped whites.
                let knee = 0.9 * self.light;
                let value = if value > knee {
                    knee + (1.0 - knee) * (1.0 - libm::exp(-(value - knee) / (1.0 - knee)))
                } else {
                    value
                };
                (value * 65_535.0) as f32
            })
            .collect();
        let normals = normals();
        let side = layer.side;
        let edge = |share: f64| (share * side as f64) as usize;
        let [left, top, right, bottom] = self.margins.map(edge);
        let mut film = vec![self.outside; side * side];
        let mut random = vec![0; side * 2];
        let per_step = (1.0 / step) as f32;
        for row in 0..side {
            dice.fill(&mut random);
            if row < top || row >= side - bottom {
                continue;
            }
            for column in left..side - right {
                let pixel = row * side + column;
                let bits = u16::from_le_bytes([random[2 * column], random[2 * column + 1]]);
                let place = (layer.values[pixel] * per_step).clamp(0.0, (STEPS - 1) as f32);
                let noisy =
                    place + noise[place as usize] * per_step * normals[usize::from(bits) % NORMALS];
                let noisy = noisy.clamp(0.0, (STEPS - 1) as f32);
                let (i, t) = (noisy as usize, noisy - (noisy as usize) as f32);
                let value = grey[i] + t * (grey[i + 1] - grey[i]);
                film[pixel] = value.clamp(0.0, 65_535.0) as u16;
            }
        }
        film
    }

    /// The attenuations shown darkest and lightest: what an automatic exposure finds, misjudged.
    fn range(&self, layer: &Layer) -> (f64, f64) {
        let mut body: Vec<f32> = layer
            .values
            .iter()
            .step_by(61)
            .copied()
            .filter(|&value| value > 0.4)
            .collect();
        body.sort_unstable_by(f32::total_cmp);
        let at = |share: f64| {
            let index = (share * body.len() as f64) as usize;
            body.get(index).map_or(0.0, |&v| f64::from(v))
        };
        let (low, high) = (at(0.03), at(0.992));
        let span = (high - low).max(0.5);
        let middle = (low + high) / 2.0 + self.shift * span;
        (
            middle - 0.5 * span * self.stretch,
            middle + 0.5 * span * self.stretch,
        )
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

    #[test]
    fn noise_follows_the_quanta_that_arrive() {
        let mut layer = Layer::new(128);
        for attenuation in [1.0f32, 3.0, 5.0] {
            layer.values.fill(attenuation);
            let exposure = Exposure {
                quanta: 1e6,
                shift: 0.0,
                stretch: 1.0,
                gamma: 1.0,
                dark: 0.0,
                light: 0.8,
                blur: 0.0,
                margins: [0.0; 4],
                outside: 0,
            };
            let (low, high) = exposure.range(&layer);
            let scale = 0.8 * 65_535.0 / (high - low);
            let film = exposure.develop(&layer, 0.4, &mut Dice::new(5, 5));
            let seen: Vec<f64> = film.iter().map(|&v| f64::from(v) / scale).collect();
            let mean = seen.iter().sum::<f64>() / seen.len() as f64;
            let square = seen.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>();
            let deviation = (square / seen.len() as f64).sqrt();
            let arriving = 1e6 * 0.4 * 0.4 * f64::from(-attenuation).exp();
            assert!(
                (deviation * arriving.sqrt() - 1.0).abs() < 0.03,
                "{attenuation}"
            );
        }
    }
}
