//! Films: grey pictures of 16 bits.

use alloc::vec::Vec;

/// Most pixels that a film may have; the largest real ones (stitched whole spines) have about
/// half of this.
pub const MAX_PIXELS: u64 = 64_000_000;

/// Reasons to refuse pixels as a film.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilmError {
    /// A side is zero.
    #[error("a film of {width} x {height} pixels has nothing to read")]
    Empty {
        /// Number of columns.
        width: u32,
        /// Number of rows.
        height: u32,
    },
    /// There are more pixels than [`MAX_PIXELS`].
    #[error(
        "{width} x {height} pixels are more than the {} million that a film may have; give the \
         film at its own resolution", MAX_PIXELS / 1_000_000
    )]
    TooLarge {
        /// Number of columns.
        width: u32,
        /// Number of rows.
        height: u32,
    },
    /// The number of pixels is not the product of the sides.
    #[error("{given} pixels do not fill a film of {width} x {height} pixels")]
    WrongLength {
        /// Number of columns.
        width: u32,
        /// Number of rows.
        height: u32,
        /// Number of pixels given.
        given: usize,
    },
}

/// A grey picture of 16 bits, row-major, brighter = denser; 0 to 65535 is the display's range.
///
/// ```
/// use plumbline_shared::film::Film;
///
/// let film = Film::new(3, 2, vec![0, 1, 2, 3, 4, 65_535])?;
/// assert_eq!((film.width(), film.height()), (3, 2));
/// assert_eq!(film.pixels()[3], 3); // The second row's first.
/// assert!(Film::new(3, 2, vec![0; 5]).is_err());
/// # Ok::<(), plumbline_shared::film::FilmError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Film {
    width: u32,
    height: u32,
    pixels: Vec<u16>,
}

impl Film {
    /// Checks a size before pixels are made for it.
    ///
    /// # Errors
    /// If a side is zero or there would be more than [`MAX_PIXELS`].
    pub fn check_size(width: u32, height: u32) -> Result<(), FilmError> {
        if width == 0 || height == 0 {
            return Err(FilmError::Empty { width, height });
        }
        if u64::from(width) * u64::from(height) > MAX_PIXELS {
            return Err(FilmError::TooLarge { width, height });
        }
        Ok(())
    }

    /// Makes a film of `pixels`, `height` rows of `width`.
    ///
    /// # Errors
    /// If the size is refused by [`Film::check_size`] or is not the number of pixels.
    pub fn new(width: u32, height: u32, pixels: Vec<u16>) -> Result<Self, FilmError> {
        Self::check_size(width, height)?;
        if pixels.len() as u64 != u64::from(width) * u64::from(height) {
            return Err(FilmError::WrongLength {
                width,
                height,
                given: pixels.len(),
            });
        }
        Ok(Self {
            width,
            height,
            pixels,
        })
    }

    /// Returns the number of columns.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Returns the number of rows.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Returns the pixels, row-major.
    pub fn pixels(&self) -> &[u16] {
        &self.pixels
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn sizes_are_checked() {
        assert!(Film::new(2, 3, vec![0; 6]).is_ok());
        assert!(matches!(
            Film::new(2, 3, vec![0; 5]),
            Err(FilmError::WrongLength { .. })
        ));
        assert!(matches!(
            Film::new(0, 3, vec![]),
            Err(FilmError::Empty { .. })
        ));
        let error = Film::check_size(20_000, 20_000).unwrap_err();
        assert!(alloc::format!("{error}").contains("64 million"));
        assert!(Film::check_size(u32::MAX, u32::MAX).is_err());
        assert!(Film::check_size(8_000, 8_000).is_ok());
    }
}
