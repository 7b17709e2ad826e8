//! What was done to a film's values and pixels before it is read.

use core::fmt;

use super::orientation::Turn;
use crate::grey::VoiLutFunction;

/// One thing that was done to a film, or that its reader should know of it. Displayed as words
/// without a full stop.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Note {
    /// The least value is the brightest.
    Inverted,
    /// The values of interest are those of the file's window.
    Window {
        /// Window Centre.
        centre: f64,
        /// Window Width.
        width: f64,
        /// VOI LUT Function.
        function: VoiLutFunction,
    },
    /// The values of interest are those of the file's VOI LUT.
    WindowTable,
    /// The file has no window, or none with a width: the film is stretched between robust percentiles.
    Percentiles,
    /// The picture was turned or mirrored.
    Turned(Turn),
    /// The pixels have more or fewer bits than the file says.
    Bits {
        /// Bits of the pixels, by which they are read.
        pixels: u8,
        /// Bits Stored.
        said: u8,
    },
    /// A grey film in a tint, read by its luminance.
    Tint,
    /// Colour on a small share of a grey film, read by its luminance.
    BurntInColour {
        /// The share of the pixels, 0 to 1.
        share: f64,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inverted => write!(f, "inverted"),
            Self::Window {
                centre,
                width,
                function,
            } => {
                write!(f, "window {centre}/{width}")?;
                match function {
                    VoiLutFunction::Linear => Ok(()),
                    VoiLutFunction::LinearExact => write!(f, " (linear exact)"),
                    VoiLutFunction::Sigmoid => write!(f, " (sigmoid)"),
                }
            }
            Self::WindowTable => write!(f, "window by lookup table"),
            Self::Percentiles => write!(f, "no window: percentiles 0.5 to 99.5"),
            Self::Turned(turn) => write!(f, "{turn}"),
            Self::Bits { pixels, said } => {
                write!(f, "{pixels} bits in its pixels, not {said}")
            }
            Self::Tint => write!(f, "tint taken out"),
            Self::BurntInColour { share } => {
                write!(f, "colour burnt in on {:.2} %", share * 100.0)
            }
        }
    }
}
