//! Pictures of three components that are red, green and blue as they are. zune-jpeg takes three
//! components for luminance and chrominance, or by an Adobe segment that says otherwise for CMYK,
//! unless the components are named R, G and B.

use alloc::vec::Vec;

use super::markers;

/// Adobe's segment, which says how components were transformed (ITU-T T.872, 6.5.3).
const ADOBE: u8 = 0xee;
/// JFIF's segment, by which components are luminance and chrominance.
const JFIF: u8 = 0xe0;

const NAMES: [u8; 3] = *b"RGB";

/// Returns the picture with its three components named R, G and B, if an Adobe segment says that they
/// are; `unsaid`: also if nothing says that they are not.
pub(in crate::decode) fn with_named_components(bytes: &[u8], unsaid: bool) -> Option<Vec<u8>> {
    let names = names_of_rgb(bytes, unsaid)?;
    let mut renamed = Vec::from(*b"\xff\xd8");
    for segment in markers::segments(bytes).filter(|segment| segment.marker != ADOBE) {
        let start = renamed.len();
        renamed.extend(segment.bytes);
        // The position of the number of components, and the distance of their names.
        let (count, apart) = match segment.marker {
            0xc0..=0xc2 => (start + 9, 3),
            markers::START_OF_SCAN => (start + 4, 2),
            _ => continue,
        };
        for number in 0..usize::from(*renamed.get(count)?) {
            let name = renamed.get_mut(count + 1 + number * apart)?;
            *name = NAMES[names.iter().position(|known| known == name)?];
        }
    }
    Some(renamed)
}

/// Returns the names of three components that are red, green and blue; none of other pictures.
fn names_of_rgb(bytes: &[u8], unsaid: bool) -> Option<[u8; 3]> {
    let mut transform = None;
    let mut frame = None;
    for segment in markers::segments(bytes) {
        match (segment.marker, segment.content) {
            // One that is cut off says nothing.
            (ADOBE, content) => {
                let said = content.strip_prefix(b"Adobe").and_then(|rest| rest.get(6));
                transform = transform.or(said.copied());
            }
            (JFIF, [b'J', b'F', b'I', b'F', ..]) => transform = Some(1),
            (0xc0..=0xc2, content) => match content.get(6..)?.as_chunks::<3>() {
                (&[one, two, three], []) => frame = Some([one, two, three]),
                _ => return None,
            },
            _ => {}
        }
    }
    let components = frame?;
    let [first, second, third] = components.map(|[_, factors, _]| factors);
    // Nobody halves the resolution of green and blue.
    let whole = first == second && second == third;
    let is_rgb = transform.map_or(unsaid && whole, |transform| transform == 0);
    is_rgb.then(|| components.map(|[name, ..]| name))
}

/// Returns the columns and rows of a picture by a process that zune-jpeg knows: by DCT, with Huffman
/// codes.
pub(in crate::decode) fn size_by_dct(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut frames = markers::segments(bytes).filter(|s| matches!(s.marker, 0xc0..=0xc2));
    match frames.next()?.content {
        &[_, y0, y1, x0, x1, ..] => {
            let [width, height] = [[x0, x1], [y0, y1]].map(u16::from_be_bytes);
            Some((width.into(), height.into()))
        }
        _ => None,
    }
}
