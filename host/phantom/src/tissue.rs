//! Attenuation of X-rays by tissues.

/// Attenuation of soft tissue at the effective energy of a chest film, in 1/mm.
pub(crate) const SOFT: f32 = 0.0195;
