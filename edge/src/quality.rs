//! The quality rules that a film must pass before it is read.

use plumbline_shared::film::Film;

/// Least side of a film in pixels. Anything smaller is an icon or a test pattern.
const LEAST_SIDE: u32 = 64;

/// Reasons to take or give a film again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QualityError {
    /// The film has too few pixels.
    #[error(
        "has {width} x {height} pixels, too few for a chest film; give one of at least \
         {LEAST_SIDE} a side"
    )]
    TooSmall {
        /// Number of columns.
        width: u32,
        /// Number of rows.
        height: u32,
    },
}

/// Checks a film before it is read.
///
/// # Errors
/// The first rule that the film breaks.
pub fn check(film: &Film) -> Result<(), QualityError> {
    let (width, height) = (film.width(), film.height());
    if width.min(height) < LEAST_SIDE {
        return Err(QualityError::TooSmall { width, height });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn icons_are_no_films() {
        let film = |width, height| Film::new(width, height, vec![0; (width * height) as usize]);
        assert_eq!(check(&film(64, 64).unwrap()), Ok(()));
        let refused = check(&film(63, 500).unwrap());
        let too_small = QualityError::TooSmall {
            width: 63,
            height: 500,
        };
        assert_eq!(refused, Err(too_small));
    }
}
