//! A film as large detectors make it.

use std::fs;

use plumbline_shared::decode::decode;

use crate::station::{DX, Instance, sample};

const WIDTH: usize = 2048;
const HEIGHT: usize = 2500;

/// A phantom on a detector of 2048 x 2500 pixels of 16 bits, in explicit VR little endian.
pub fn film() -> Instance {
    let small = decode(&fs::read(sample("phantom-4.dcm")).unwrap())
        .unwrap()
        .film;
    let (width, height) = (small.width() as usize, small.height() as usize);
    let mut pixels = Vec::with_capacity(WIDTH * HEIGHT * 2);
    for row in 0..HEIGHT {
        for column in 0..WIDTH {
            let pixel = small.pixels()[row * height / HEIGHT * width + column * width / WIDTH];
            pixels.extend(pixel.to_le_bytes());
        }
    }
    let sop_instance = format!("2.25.{:030}", 0);
    let mut data = Vec::new();
    let mut element = |group: u16, number: u16, vr: &[u8; 2], value: &[u8]| {
        data.extend(group.to_le_bytes());
        data.extend(number.to_le_bytes());
        data.extend(vr);
        let padded = value.len() + value.len() % 2;
        match vr {
            b"OW" => {
                data.extend([0, 0]);
                data.extend((padded as u32).to_le_bytes());
            }
            _ => data.extend((padded as u16).to_le_bytes()),
        }
        data.extend(value);
        data.resize(data.len() + value.len() % 2, 0);
    };
    let word = |number: usize| (number as u16).to_le_bytes();
    element(0x0008, 0x0016, b"UI", DX.as_bytes());
    element(0x0008, 0x0018, b"UI", sop_instance.as_bytes());
    element(0x0008, 0x0060, b"CS", b"DX");
    element(0x0010, 0x0020, b"LO", b"1");
    element(0x0020, 0x000D, b"UI", b"2.25.1");
    element(0x0020, 0x000E, b"UI", b"2.25.2");
    element(0x0028, 0x0002, b"US", &word(1));
    element(0x0028, 0x0004, b"CS", b"MONOCHROME2 ");
    element(0x0028, 0x0010, b"US", &word(HEIGHT));
    element(0x0028, 0x0011, b"US", &word(WIDTH));
    element(0x0028, 0x0100, b"US", &word(16));
    element(0x0028, 0x0101, b"US", &word(16));
    element(0x0028, 0x0102, b"US", &word(15));
    element(0x0028, 0x0103, b"US", &word(0));
    element(0x0028, 0x1050, b"DS", b"32767.5 ");
    element(0x0028, 0x1051, b"DS", b"65535 ");
    element(0x7FE0, 0x0010, b"OW", &pixels);
    Instance {
        sop_class: DX.into(),
        sop_instance,
        data,
    }
}
