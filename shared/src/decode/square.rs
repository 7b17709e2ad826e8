//! Pixels must be square: angles are the signal.

use super::error::DecodeError;

/// Most by which a pixel's sides may differ: 1 %, which turns an angle of 45 degrees by 0.3.
const ASPECT_TOLERANCE: f64 = 0.01;

/// Refuses distances of rows and of columns that differ. Distances that are none say nothing.
pub(super) fn require_equal(rows: f64, columns: f64) -> Result<(), DecodeError> {
    let ratio = rows / columns;
    let unequal = ratio.max(1.0 / ratio) - 1.0 > ASPECT_TOLERANCE;
    match rows > 0.0 && columns > 0.0 && unequal {
        true => Err(DecodeError::NotSquare { rows, columns }),
        false => Ok(()),
    }
}
