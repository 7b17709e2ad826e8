//! Exponential and logarithm in single precision, in plain arithmetic: compilers make vector code
//! of loops over them, and every processor gives the same bits.

/// e to the power of `x`, to a relative error of 3e-7 for `x` from -2 to 2, and of 1e-5 beyond; `x`
/// is clamped to -87 to 87.
#[inline]
pub(crate) fn exp(x: f32) -> f32 {
    /// Added to a float of less than 2^22, it leaves the nearest whole number in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let t = x.clamp(-87.0, 87.0) * core::f32::consts::LOG2_E;
    let rounded = t + ROUND;
    let whole = rounded.to_bits().wrapping_sub(ROUND.to_bits());
    // ln 2 times the rest, from -0.35 to 0.35, in Taylor's series.
    let f = (t - (rounded - ROUND)) * core::f32::consts::LN_2;
    let series = 1.0
        + f * (1.0
            + f * (0.5 + f * (1.0 / 6.0 + f * (1.0 / 24.0 + f * (1.0 / 120.0 + f / 720.0)))));
    f32::from_bits(series.to_bits().wrapping_add(whole << 23))
}

/// The natural logarithm of a positive normal `x`, to an absolute error of 3e-7 or, beyond e, a
/// relative one.
#[inline]
pub(crate) fn ln(x: f32) -> f32 {
    /// The square root of a half: the mantissa is taken from there to the square root of two.
    const ROOT: u32 = 0x3f35_04f3;
    let above = x.to_bits().wrapping_sub(ROOT);
    let exponent = (above as i32 >> 23) as f32;
    let mantissa = f32::from_bits((above & 0x007f_ffff).wrapping_add(ROOT));
    // ln m = 2 artanh((m - 1) / (m + 1)).
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let q = s * s;
    let series = 2.0 * s * (1.0 + q * (1.0 / 3.0 + q * (1.0 / 5.0 + q * (1.0 / 7.0 + q / 9.0))));
    exponent * core::f32::consts::LN_2 + series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_agree_with_double_precision() {
        for i in -86_000..86_000 {
            let x = i as f32 / 1000.0;
            let exact = f64::from(x).exp();
            assert!((f64::from(exp(x)) / exact - 1.0).abs() < 1e-5, "exp({x})");
            if x.abs() < 2.0 {
                assert!((f64::from(exp(x)) / exact - 1.0).abs() < 3e-7, "exp({x})");
            }
            let y = exact as f32;
            let error = f64::from(ln(y)) - f64::from(y).ln();
            assert!(
                error.abs() < 3e-7 * f64::from(x).abs().max(1.0),
                "ln({y}): {error}"
            );
        }
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(ln(1.0), 0.0);
    }
}
