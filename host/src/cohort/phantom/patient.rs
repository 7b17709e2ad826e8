//! Who stands before the detector; drawn alike for both classes.

use super::dice::Dice;
pub use crate::cohort::manifest::Sex;

/// A patient's size and build.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patient {
    /// Years, 8 to 90.
    pub(crate) age: f64,
    pub(crate) sex: Sex,
    /// Length relative to a mean adult man.
    pub(crate) scale: f64,
    /// Girth relative to the length.
    pub(crate) girth: f64,
    /// Axial rotation before the detector, in radians: positive with the left side to the front.
    pub(crate) rotation: f64,
    /// Lean of the straight body to its left, in radians.
    pub(crate) lean: f64,
    /// Attenuation of the patient's bone relative to a healthy adult's.
    pub(crate) bone: f64,
    /// How far the diaphragm has come down in breathing in: 0 for a usual chest film, in
    /// millimetres of an adult.
    pub(crate) breath: f64,
    /// How far the aorta has elongated and swings out: 0 to 1.
    pub(crate) unfolding: f64,
}

impl Patient {
    pub(crate) fn draw(dice: &mut Dice) -> Self {
        let age = (8.0 + 83.0 * libm::pow(dice.unit(), 1.4)).floor();
        let sex = if dice.chance(0.55) {
            Sex::Female
        } else {
            Sex::Male
        };
        let grown = if sex == Sex::Female { 0.93 } else { 1.0 };
        let growth = (0.72 + 0.28 * (age - 8.0) / 8.0).min(1.0);
        let loss = if sex == Sex::Female { 0.0045 } else { 0.003 };
        let bone = dice.normal(1.0, 0.08) * (0.85 + 0.15 * growth) - loss * (age - 50.0).max(0.0);
        let old = ((age - 45.0) / 35.0).clamp(0.0, 1.0);
        // One in six stands badly.
        let careless = if dice.chance(0.16) { 3.0 } else { 1.0 };
        Self {
            age,
            sex,
            scale: grown * growth * dice.normal(1.0, 0.04),
            girth: dice.normal(1.03, 0.09).max(0.86),
            rotation: careless * dice.normal(0.0, 0.045),
            lean: careless * dice.normal(0.0, 1.6).to_radians(),
            bone,
            breath: dice.normal(0.0, 11.0) - if dice.chance(0.12) { 22.0 } else { 0.0 },
            unfolding: old * dice.between(0.0, 1.0),
        }
    }
}
