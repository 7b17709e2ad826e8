//! JPEG streams as DICOM holds them: one component, in one scan, coded by sequential DCT with 8 or
//! 12 bits (ITU-T T.81, processes 1, 2 and 4), losslessly (T.81, process 14), or as JPEG-LS (T.87).
//! The usual libraries read 8 bits of the first alone, so all four are read here.

mod bits;
mod dct;
mod lossless;
mod ls;

use alloc::string::ToString;
use alloc::vec::Vec;

use bits::Huffman;

use super::{DecodeError, Samples};
use crate::film::Film;

/// Markers (T.81, table B.1; T.87, table C.1), without their 0xff.
mod marker {
    pub const BASELINE: u8 = 0xc0;
    pub const EXTENDED: u8 = 0xc1;
    pub const LOSSLESS: u8 = 0xc3;
    pub const HUFFMAN_TABLES: u8 = 0xc4;
    pub const START_OF_IMAGE: u8 = 0xd8;
    pub const END_OF_IMAGE: u8 = 0xd9;
    pub const START_OF_SCAN: u8 = 0xda;
    pub const QUANTISATION_TABLES: u8 = 0xdb;
    pub const RESTART_INTERVAL: u8 = 0xdd;
    pub const LS: u8 = 0xf7;
    pub const LS_PARAMETERS: u8 = 0xf8;
}

/// What the segments before the scan say.
#[derive(Default)]
struct Header {
    frame: Option<Frame>,
    /// Quantisation tables in zigzag order.
    quantisation: [Option<[u16; 64]>; 4],
    dc: [Option<Huffman>; 4],
    ac: [Option<Huffman>; 4],
    /// In samples or blocks; 0: no restarts.
    restart_interval: usize,
    ls: Option<ls::Parameters>,
}

/// The table that a scan or a frame names.
fn table<T>(tables: &[Option<T>; 4], index: u8) -> Result<&T, DecodeError> {
    (tables.get(usize::from(index)).and_then(Option::as_ref))
        .ok_or_else(|| damaged("it lacks a table that it names"))
}

/// T.81, B.2.2, of one component.
struct Frame {
    marker: u8,
    precision: u8,
    width: u16,
    height: u16,
    quantisation: u8,
}

/// T.81, B.2.3, of one component.
struct Scan<'a> {
    dc: u8,
    ac: u8,
    /// Ss: the predictor of the lossless process, NEAR of JPEG-LS.
    start: u8,
    /// Al: the point transform.
    point_transform: u8,
    data: &'a [u8],
}

/// Decodes the picture's only component.
pub(super) fn decode(bytes: &[u8]) -> Result<Samples, DecodeError> {
    if !is_whole(bytes) {
        return Err(damaged("it ends before its last line"));
    }
    let (header, scan) = read_header(bytes)?;
    let frame = (header.frame.as_ref()).ok_or_else(|| damaged("it has no frame header"))?;
    Film::check_size(frame.width.into(), frame.height.into())?;
    let codes = match frame.marker {
        marker::LOSSLESS => lossless::decode(&header, frame, &scan)?,
        marker::LS => ls::decode(&header, frame, &scan)?,
        _ => dct::decode(&header, frame, &scan)?,
    };
    Ok(Samples {
        width: frame.width.into(),
        height: frame.height.into(),
        codes,
    })
}

/// Reads the segments up to the first scan's data.
fn read_header(bytes: &[u8]) -> Result<(Header, Scan<'_>), DecodeError> {
    let mut header = Header::default();
    let mut at = 2;
    while let Some(&[0xff, marker]) = bytes.get(at..at + 2) {
        at += 2;
        if matches!(marker, 0xff | 0x01 | marker::START_OF_IMAGE) {
            at -= usize::from(marker == 0xff);
            continue;
        }
        let length = (bytes.get(at..at + 2)).map_or(0, |l| u16::from_be_bytes([l[0], l[1]]).into());
        let Some(segment) = bytes.get(at + 2..at + length) else {
            break;
        };
        at += length;
        match marker {
            marker::HUFFMAN_TABLES => read_huffman(&mut header, segment),
            marker::QUANTISATION_TABLES => read_quantisation(&mut header, segment),
            marker::RESTART_INTERVAL => segment.first_chunk().map(|interval| {
                header.restart_interval = u16::from_be_bytes(*interval).into();
            }),
            marker::LS_PARAMETERS => ls::Parameters::read(segment).map(|parameters| {
                header.ls = parameters.or(header.ls);
            }),
            marker::BASELINE | marker::EXTENDED | marker::LOSSLESS | marker::LS => {
                header.frame = Some(read_frame(marker, segment)?);
                Some(())
            }
            0xc2 | 0xc5..=0xcf => {
                return Err(unsupported(alloc::format!("coding process {marker:#04x}")));
            }
            marker::START_OF_SCAN => return Ok((header, read_scan(segment, &bytes[at..])?)),
            _ => Some(()),
        }
        .ok_or_else(|| damaged(alloc::format!("its segment {marker:#04x} is cut off")))?;
    }
    Err(damaged("it has no scan"))
}

fn read_frame(marker: u8, segment: &[u8]) -> Result<Frame, DecodeError> {
    let &[precision, y0, y1, x0, x1, components, ref rest @ ..] = segment else {
        return Err(damaged("its frame header is cut off"));
    };
    if components != 1 {
        return Err(DecodeError::Colour);
    }
    if !(2..=16).contains(&precision) {
        return Err(unsupported(alloc::format!("{precision} bits")));
    }
    Ok(Frame {
        marker,
        precision,
        width: u16::from_be_bytes([x0, x1]),
        height: u16::from_be_bytes([y0, y1]),
        quantisation: rest.get(2).copied().unwrap_or(0),
    })
}

fn read_scan<'a>(segment: &[u8], data: &'a [u8]) -> Result<Scan<'a>, DecodeError> {
    let &[1, _, tables, start, _, approximation] = segment else {
        return Err(damaged("its scan header is not that of one component"));
    };
    Ok(Scan {
        dc: tables >> 4,
        ac: tables & 15,
        start,
        point_transform: approximation & 15,
        data,
    })
}

/// T.81, B.2.4.2.
fn read_huffman(header: &mut Header, mut segment: &[u8]) -> Option<()> {
    while let [class, rest @ ..] = segment {
        let counts: &[u8; 16] = rest.first_chunk()?;
        let total: usize = counts.iter().map(|count| usize::from(*count)).sum();
        let symbols = rest.get(16..16 + total)?;
        let tables = match class >> 4 {
            0 => &mut header.dc,
            _ => &mut header.ac,
        };
        *tables.get_mut(usize::from(class & 15))? = Some(Huffman::new(counts, symbols)?);
        segment = &rest[16 + total..];
    }
    Some(())
}

/// T.81, B.2.4.1.
fn read_quantisation(header: &mut Header, mut segment: &[u8]) -> Option<()> {
    while let [kind, rest @ ..] = segment {
        let table = header.quantisation.get_mut(usize::from(kind & 15))?;
        let mut steps = [0; 64];
        let length = if kind >> 4 == 0 {
            let bytes: &[u8; 64] = rest.first_chunk()?;
            steps = bytes.map(u16::from);
            64
        } else {
            for (step, pair) in steps.iter_mut().zip(rest.get(..128)?.as_chunks().0) {
                *step = u16::from_be_bytes(*pair);
            }
            128
        };
        *table = Some(steps);
        segment = &rest[length..];
    }
    Some(())
}

/// Whether the markers of a JPEG stream (T.81, B.1.1; T.87's are like them) lead to the end of its
/// image.
pub(super) fn is_whole(bytes: &[u8]) -> bool {
    let mut at = 2;
    loop {
        let Some(&[0xff, found]) = bytes.get(at..at + 2) else {
            return false;
        };
        at += 2;
        // Within a scan: a byte of data after 0xff, which JPEG-LS stuffs with one bit, or a restart.
        let within = matches!(found, 0x00..0x80 | 0xd0..=0xd7);
        match found {
            marker::END_OF_IMAGE => return true,
            0xff => at -= 1,
            marker::START_OF_IMAGE => {}
            _ if within => {}
            _ => {
                let Some(&[high, low]) = bytes.get(at..at + 2) else {
                    return false;
                };
                at += usize::from(u16::from_be_bytes([high, low]));
            }
        }
        if within || found == marker::START_OF_SCAN {
            let rest = bytes.get(at..).unwrap_or_default();
            let Some(skipped) = rest.iter().position(|byte| *byte == 0xff) else {
                return false;
            };
            at += skipped;
        }
    }
}

/// As many codes as the frame has pixels, all 0.
fn blank(frame: &Frame) -> Vec<u16> {
    alloc::vec![0; usize::from(frame.width) * usize::from(frame.height)]
}

fn damaged(reason: impl ToString) -> DecodeError {
    DecodeError::Damaged {
        format: "JPEG stream",
        reason: reason.to_string(),
    }
}

fn unsupported(what: impl ToString) -> DecodeError {
    DecodeError::Unsupported {
        format: "JPEG stream",
        what: what.to_string(),
        remedy: "export the film uncompressed",
    }
}
