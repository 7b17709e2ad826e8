//! The headers of a JPEG stream: frame, scan and tables.

use alloc::vec::Vec;

use super::bits::Huffman;
use super::error::{damaged, unsupported};
use super::ls_parameters::LsParameters;
use super::markers;
use crate::decode::error::DecodeError;

/// The parameters that the segments before the scan give.
#[derive(Default)]
pub(super) struct Header {
    pub frame: Option<Frame>,
    /// Quantisation tables in zigzag order.
    pub quantisation: [Option<[u16; 64]>; 4],
    pub dc: [Option<Huffman>; 4],
    pub ac: [Option<Huffman>; 4],
    /// In samples or blocks, of JPEG-LS in lines; 0: no restarts.
    pub restart_interval: usize,
    pub ls: Option<LsParameters>,
}

/// Returns the table that a scan or a frame names.
pub(super) fn table<T>(tables: &[Option<T>; 4], index: u8) -> Result<&T, DecodeError> {
    (tables.get(usize::from(index)).and_then(Option::as_ref))
        .ok_or_else(|| damaged("it lacks a table that it names"))
}

/// The frame header (T.81, B.2.2) of one component.
pub(super) struct Frame {
    pub marker: u8,
    pub precision: u8,
    pub width: u16,
    pub height: u16,
    pub quantisation: u8,
}

/// The scan header (T.81, B.2.3) of one component, and the scan's data.
pub(super) struct Scan<'a> {
    pub dc: u8,
    pub ac: u8,
    /// Ss: the predictor of the lossless process, NEAR of JPEG-LS.
    pub start: u8,
    /// Al: the point transform.
    pub point_transform: u8,
    pub data: &'a [u8],
}

/// Reads the segments up to the first scan's data.
pub(super) fn read_header(bytes: &[u8]) -> Result<(Header, Scan<'_>), DecodeError> {
    let mut header = Header::default();
    let mut at = 2;
    while let Some(&[0xff, found]) = bytes.get(at..at + 2) {
        at += 2;
        if matches!(found, 0xff | 0x01 | markers::START_OF_IMAGE) {
            at -= usize::from(found == 0xff);
            continue;
        }
        let length = (bytes.get(at..at + 2)).map_or(0, |l| u16::from_be_bytes([l[0], l[1]]).into());
        let Some(segment) = bytes.get(at + 2..at + length) else {
            break;
        };
        at += length;
        match found {
            markers::HUFFMAN_TABLES => read_huffman(&mut header, segment),
            markers::QUANTISATION_TABLES => read_quantisation(&mut header, segment),
            // JPEG-LS also has intervals of three and four bytes.
            markers::RESTART_INTERVAL if (2..=4).contains(&segment.len()) => {
                let bytes = segment.iter().map(|byte| usize::from(*byte));
                header.restart_interval = bytes.fold(0, |high, low| high << 8 | low);
                Some(())
            }
            markers::RESTART_INTERVAL => None,
            markers::LS_PARAMETERS => LsParameters::read(segment).map(|parameters| {
                header.ls = parameters.or(header.ls);
            }),
            markers::BASELINE | markers::EXTENDED | markers::LOSSLESS | markers::LS => {
                header.frame = Some(read_frame(found, segment)?);
                Some(())
            }
            0xc2 | 0xc5..=0xcf => {
                return Err(unsupported(alloc::format!("coding process {found:#04x}")));
            }
            markers::START_OF_SCAN => return Ok((header, read_scan(segment, &bytes[at..])?)),
            _ => Some(()),
        }
        .ok_or_else(|| damaged(alloc::format!("its segment {found:#04x} is cut off")))?;
    }
    Err(damaged("it has no scan"))
}

fn read_frame(found: u8, segment: &[u8]) -> Result<Frame, DecodeError> {
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
        marker: found,
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

/// Reads Huffman tables (T.81, B.2.4.2); none if they are cut off.
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

/// Reads quantisation tables (T.81, B.2.4.1); none if they are cut off.
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

/// Returns as many samples as the frame has pixels, all 0.
pub(super) fn blank(frame: &Frame) -> Vec<u16> {
    alloc::vec![0; usize::from(frame.width) * usize::from(frame.height)]
}
