//! Sequential pictures of three components, each in a scan of its own (T.81, A.2.2), which
//! zune-jpeg reads wrongly. Each component is read as a stream of its own that is made of its scan
//! and the tables before it.

use alloc::vec::Vec;

use super::error::{damaged, unsupported};
use super::{markers, stream};
use crate::decode::colour::{Grey, to_grey};
use crate::decode::error::DecodeError;
use crate::decode::samples::Samples;
use crate::film::Film;

/// The luminance and two of chrominance of a picture, each at its own size.
pub(in crate::decode) struct Apart {
    /// Columns of the picture.
    width: u32,
    /// Rows of the picture.
    height: u32,
    components: [Samples; 3],
    /// True if the components are red, green and blue.
    rgb: bool,
}

impl Apart {
    /// Returns the picture's 8-bit grey.
    ///
    /// # Errors
    /// If it is in colour.
    pub(in crate::decode) fn grey(&self) -> Result<Grey, DecodeError> {
        let rows = (0..self.height).flat_map(|y| (0..self.width).map(move |x| self.colour(x, y)));
        // Kept, as each is looked at several times.
        let colours: Vec<[u8; 3]> = rows.collect();
        to_grey(colours.iter().map(|colour| colour.map(u16::from)), 8)
    }

    fn colour(&self, x: u32, y: u32) -> [u8; 3] {
        let samples = self.components.each_ref().map(|component| {
            let along =
                |at: u32, side: u32, whole: u32| u64::from(at) * u64::from(side) / u64::from(whole);
            let column = along(x, component.width, self.width);
            let row = along(y, component.height, self.height);
            let at = row * u64::from(component.width) + column;
            f32::from(component.values[at as usize])
        });
        if self.rgb {
            return samples.map(|sample| sample as u8);
        }
        // ITU-T T.871, 7.
        let [luminance, blue, red] = samples;
        let (blue, red) = (blue - 128.0, red - 128.0);
        let colour = [
            luminance + 1.402 * red,
            luminance - 0.344_136 * blue - 0.714_136 * red,
            luminance + 1.772 * blue,
        ];
        // Rounded by the cast, which also clamps below.
        colour.map(|channel| (channel + 0.5).min(255.0) as u8)
    }
}

/// One component of a frame header: its identifier, its sampling and its quantisation table.
#[derive(Clone, Copy)]
struct Component {
    id: u8,
    across: u32,
    down: u32,
    quantisation: u8,
}

/// Reads a picture whose first scan has one of its three components; none if it is another one.
///
/// # Errors
/// If one of the scans cannot be read.
pub(in crate::decode) fn read_apart(bytes: &[u8]) -> Result<Option<Apart>, DecodeError> {
    let mut tables = Vec::from(*b"\xff\xd8");
    let mut frame: Option<(u32, u32, [Component; 3])> = None;
    let mut found: [Option<Samples>; 3] = [None, None, None];
    for segment in markers::segments(bytes) {
        match segment.marker {
            markers::HUFFMAN_TABLES | markers::QUANTISATION_TABLES | markers::RESTART_INTERVAL => {
                tables.extend(segment.bytes);
            }
            markers::BASELINE | markers::EXTENDED => frame = frame_of(segment.content),
            markers::START_OF_SCAN => {
                let Some((width, height, components)) = frame else {
                    return Ok(None);
                };
                let &[1, id, ..] = segment.content else {
                    let halved = components.iter().any(|c| (c.across, c.down) != (1, 1));
                    let all = matches!(segment.content, [3, ..]);
                    return match halved && !all {
                        true => Err(unsupported("some components in a scan of their own")),
                        false => Ok(None),
                    };
                };
                let Some(number) = components.iter().position(|component| component.id == id)
                else {
                    return Err(damaged("a scan is of no component of its frame"));
                };
                if found[number].is_some() {
                    return Err(damaged("a component has two scans"));
                }
                let component = &components[number];
                let most = |side: fn(&Component) -> u32| components.iter().map(side).max();
                let (across, down) = (most(|c| c.across), most(|c| c.down));
                // A.1.1: the component's part of the picture, rounded up.
                let part = |whole: u32, own: u32, most: Option<u32>| {
                    (whole * own).div_ceil(most.unwrap_or(own))
                };
                let (columns, rows) = (
                    part(width, component.across, across),
                    part(height, component.down, down),
                );
                let mut alone = tables.clone();
                alone.extend([0xff, markers::EXTENDED, 0, 11, 8]);
                alone.extend((rows as u16).to_be_bytes());
                alone.extend((columns as u16).to_be_bytes());
                alone.extend([1, id, 0x11, component.quantisation]);
                alone.extend(segment.bytes);
                alone.extend([0xff, markers::END_OF_IMAGE]);
                found[number] = Some(stream::decode(&alone)?);
            }
            _ => {}
        }
    }
    let (Some((width, height, parts)), [Some(first), Some(second), Some(third)]) = (frame, found)
    else {
        return Ok(None);
    };
    Ok(Some(Apart {
        width,
        height,
        components: [first, second, third],
        rgb: parts.map(|part| part.id) == *b"RGB",
    }))
}

/// Returns the width, the height and the components of a frame of three components of 8 bits.
fn frame_of(content: &[u8]) -> Option<(u32, u32, [Component; 3])> {
    let &[8, y0, y1, x0, x1, 3, ref rest @ ..] = content else {
        return None;
    };
    let [width, height] = [[x0, x1], [y0, y1]].map(|side| u16::from_be_bytes(side).into());
    Film::check_size(width, height).ok()?;
    let components: &[[u8; 3]; 3] = rest.as_chunks().0.first_chunk()?;
    let components = components.map(|[id, sampling, quantisation]| Component {
        id,
        across: u32::from(sampling >> 4),
        down: u32::from(sampling & 15),
        quantisation,
    });
    let sampled = |c: &Component| (1..=4).contains(&c.across) && (1..=4).contains(&c.down);
    components
        .iter()
        .all(sampled)
        .then_some((width, height, components))
}
