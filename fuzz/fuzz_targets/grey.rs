//! Any stored values under any transforms: a film of the same size, the same each time, whose
//! padding is black, and which is the complement of the film with the other photometric
//! interpretation.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use plumbline_shared::grey::{
    Fixed, GreyscaleTransform, Lut, ModalityTransform, Stored, VoiLutFunction, VoiTransform,
};
use plumbline_shared::preprocess::{SIDE, prepare};

/// The most rows, so that most of the time goes into transforms.
const MOST_ROWS: usize = 64;

#[derive(Arbitrary, Debug)]
struct Input {
    bits: u8,
    signed: bool,
    modality: InputModality,
    voi: InputVoi,
    padding: Option<(i32, i32)>,
    width: u8,
    stored: Vec<u16>,
}

#[derive(Arbitrary, Debug)]
enum InputModality {
    Rescale { slope: f64, intercept: f64 },
    Lut(InputLut),
}

#[derive(Arbitrary, Debug)]
enum InputVoi {
    Window { centre: f64, width: f64, shape: u8 },
    Lut(InputLut),
    Percentiles,
}

#[derive(Arbitrary, Debug)]
struct InputLut {
    first: i32,
    bits: u8,
    entries: Vec<u16>,
}

impl InputLut {
    fn lut(self) -> Lut {
        let Self {
            first,
            bits,
            entries,
        } = self;
        Lut {
            first,
            bits,
            entries,
        }
    }
}

/// The transforms that the input describes; none if a number of it cannot be one.
fn transforms(input: &mut Input) -> Option<GreyscaleTransform> {
    let modality = std::mem::replace(
        &mut input.modality,
        InputModality::Rescale {
            slope: 1.0,
            intercept: 0.0,
        },
    );
    let modality = match modality {
        InputModality::Rescale { slope, intercept } => ModalityTransform::Rescale {
            slope: Fixed::from_f64(slope)?,
            intercept: Fixed::from_f64(intercept)?,
        },
        InputModality::Lut(lut) => ModalityTransform::Lut(lut.lut()),
    };
    let voi = match std::mem::replace(&mut input.voi, InputVoi::Percentiles) {
        InputVoi::Window {
            centre,
            width,
            shape,
        } => VoiTransform::Window {
            centre: Fixed::from_f64(centre)?,
            width: Fixed::from_f64(width)?,
            function: [
                VoiLutFunction::Linear,
                VoiLutFunction::LinearExact,
                VoiLutFunction::Sigmoid,
            ][usize::from(shape % 3)],
        },
        InputVoi::Lut(lut) => VoiTransform::Lut(lut.lut()),
        InputVoi::Percentiles => VoiTransform::Percentiles,
    };
    Some(GreyscaleTransform {
        stored: Stored {
            bits: input.bits,
            signed: input.signed,
        },
        modality,
        voi,
        inverted: false,
        padding: input.padding.map(|(least, most)| least..=most),
    })
}

fuzz_target!(|input: Input| {
    let mut input = input;
    let width = usize::from(input.width).max(1);
    let rows = (input.stored.len() / width).min(MOST_ROWS);
    if rows == 0 {
        return;
    }
    let Some(grey) = transforms(&mut input) else {
        return;
    };
    let stored = &input.stored[..rows * width];
    let film = |grey: &GreyscaleTransform| {
        let film = grey.film(width as u32, rows as u32, stored.to_vec());
        film.expect("the size is the number of stored values")
    };
    let plain = film(&grey);
    assert_eq!(plain, film(&grey));
    let inverted = film(&GreyscaleTransform {
        inverted: true,
        ..grey
    });
    for (plain, inverted) in plain.pixels().iter().zip(inverted.pixels()) {
        let is_padding = *plain == 0 && *inverted == 0;
        assert!(is_padding || *inverted == u16::MAX - *plain);
    }
    assert_eq!(prepare(&plain).grey().len(), SIDE * SIDE);
});
