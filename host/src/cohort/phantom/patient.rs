//! Who stands before the detector; drawn alike for both classes.

use super::dice::Dice;
pub use crate::cohort::manifest::Sex;

/// A patient's size and build.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patient {
    pub(crate) age: f64,
    pub(crate) sex: Sex,
    /// Length relative to a mean adult man.
    pub(crate) scale: f64,
    /// Girth relative to the length.
    pub(crate) girth: f64,
    /// Axial rotation before the detector, in radians.
    pub(crate) rotation: f64,
    /// Attenuation of the patient's bone relative to a healthy adult's.
    pub(crate) bone: f64,
}

impl Patient {
    pub(crate) fn draw(dice: &mut Dice) -> Self {
        let age = (8.0 + 72.0 * libm::pow(dice.unit(), 1.5)).floor();
        let sex = if dice.chance(0.55) {
            Sex::Female
        } else {
            Sex::Male
        };
        let grown = if sex == Sex::Female { 0.93 } else { 1.0 };
        let growth = (0.72 + 0.28 * (age - 8.0) / 8.0).min(1.0);
        let bone = dice.normal(1.0, 0.08) * (0.85 + 0.15 * growth) - 0.003 * (age - 50.0).max(0.0);
        Self {
            age,
            sex,
            scale: grown * growth * dice.normal(1.0, 0.04),
            girth: dice.normal(1.02, 0.07).max(0.88),
            rotation: dice.normal(0.0, 0.05),
            bone,
        }
    }
}
