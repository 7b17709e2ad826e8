//! The patient before the detector; drawn alike for both classes.

use crate::rng::Variates;
pub use plumbline_shared::clinical::Sex;

/// A patient's age, sex, size and build.
#[derive(Debug, Clone, Copy)]
pub struct Patient {
    /// Age in whole years, 8 to 90.
    pub age: f64,
    /// Sex.
    pub sex: Sex,
    /// Length relative to a mean adult man.
    pub scale: f64,
    /// Girth relative to the length.
    pub girth: f64,
    /// Axial rotation before the detector, in radians: positive with the left side to the front.
    pub rotation: f64,
    /// Lean of the straight body to its left, in radians.
    pub lean: f64,
    /// Attenuation of the patient's bone relative to a healthy adult's.
    pub bone: f64,
    /// Descent of the diaphragm in breathing in, in millimetres of an adult: 0 for a usual chest
    /// film.
    pub breath: f64,
    /// Elongation of the aorta, which then swings out: 0 to 1.
    pub unfolding: f64,
}

impl Patient {
    /// Draws a patient at random.
    pub fn draw(rng: &mut Variates) -> Self {
        let age = (8.0 + 83.0 * libm::pow(rng.unit(), 1.4)).floor();
        let sex = if rng.chance(0.55) {
            Sex::Female
        } else {
            Sex::Male
        };
        let grown = if sex == Sex::Female { 0.93 } else { 1.0 };
        let growth = (0.72 + 0.28 * (age - 8.0) / 8.0).min(1.0);
        let loss = if sex == Sex::Female { 0.0045 } else { 0.003 };
        let bone = rng.normal(1.0, 0.08) * (0.85 + 0.15 * growth) - loss * (age - 50.0).max(0.0);
        let old = ((age - 45.0) / 35.0).clamp(0.0, 1.0);
        // One in six stands badly.
        let careless = if rng.chance(0.16) { 3.0 } else { 1.0 };
        Self {
            age,
            sex,
            scale: grown * growth * rng.normal(1.0, 0.04),
            girth: rng.normal(1.03, 0.09).max(0.86),
            rotation: careless * rng.normal(0.0, 0.045),
            lean: careless * rng.normal(0.0, 1.6).to_radians(),
            bone,
            breath: rng.normal(0.0, 11.0) - if rng.chance(0.12) { 22.0 } else { 0.0 },
            unfolding: old * rng.between(0.0, 1.0),
        }
    }
}
