//! The picture for people: the film, the heat map of where the network looked, and its result.

mod caption;
mod heat;
mod panel;

use image::imageops::{self, FilterType};
use image::{ImageBuffer, Luma, Rgb, RgbImage};
use plumbline_shared::film::Film;
use plumbline_shared::gradcam::Cam;
use plumbline_shared::preprocess::Rect;

pub use caption::Caption;
pub(crate) use heat::{lay_over, on_film};

/// Length of the film's longer side in the picture.
const LONGER_SIDE: u32 = 1024;
/// Pixels around the film and the panel.
const MARGIN: u32 = 28;
const BACKGROUND: Rgb<u8> = Rgb([16, 19, 24]);

/// Draws `film`, which covers `content` of the network's input, under the heat map `cam`, and beside
/// it the panel of `caption`.
pub fn overlay(film: &Film, cam: &Cam, content: Rect, caption: &Caption) -> RgbImage {
    let mut picture = readable(film, LONGER_SIDE);
    heat::lay_over(&mut picture, cam, content);
    let height = picture.height().max(panel::HEIGHT);
    let mut canvas = RgbImage::from_pixel(
        picture.width() + panel::WIDTH + 3 * MARGIN,
        height + 2 * MARGIN,
        BACKGROUND,
    );
    let top = MARGIN + (height - picture.height()) / 2;
    imageops::replace(&mut canvas, &picture, MARGIN.into(), top.into());
    let left = picture.width() + 2 * MARGIN;
    panel::draw(&mut canvas, left, MARGIN, height, caption);
    canvas
}

/// Returns the film in grey, with `longer_side` pixels along its longer side.
pub(crate) fn readable(film: &Film, longer_side: u32) -> RgbImage {
    let (width, height) = (film.width(), film.height());
    let longer = u64::from(width.max(height));
    let scaled = |side: u32| (u64::from(side) * u64::from(longer_side)).div_ceil(longer) as u32;
    let borrowed = ImageBuffer::<Luma<u16>, &[u16]>::from_raw(width, height, film.pixels());
    let Some(borrowed) = borrowed else {
        unreachable!("a film holds width x height pixels");
    };
    let scaled = imageops::resize(
        &borrowed,
        scaled(width),
        scaled(height),
        FilterType::CatmullRom,
    );
    RgbImage::from_fn(scaled.width(), scaled.height(), |x, y| {
        let grey = (u32::from(scaled.get_pixel(x, y).0[0]) * 255 + 32767) / 65535;
        Rgb([grey as u8; 3])
    })
}

#[cfg(test)]
mod tests {
    use plumbline_shared::decision::Decision;

    use super::*;

    fn caption(decision: &Decision) -> Caption<'_> {
        Caption {
            film: "a film.png",
            model: "chexnet",
            model_version: "1.0.0",
            decision,
            doubts: &[],
            notes: &[],
        }
    }

    #[test]
    fn doubts_are_to_be_seen() {
        let film = Film::new(64, 64, vec![30_000; 4096]).unwrap();
        let cam = Cam {
            rows: 1,
            columns: 1,
            values: vec![0.0],
        };
        let decision = Decision::from_logits(&[1.0], 0.5).unwrap();
        let doubts = ["This film is of something that the network has never seen.".to_owned()];
        let drawn = |doubts: &[String]| {
            let caption = Caption {
                doubts,
                ..caption(&decision)
            };
            overlay(&film, &cam, prepare_content(&film), &caption)
        };
        let (with, without) = (drawn(&doubts), drawn(&[]));
        let differ = with.pixels().zip(without.pixels()).filter(|(a, b)| a != b);
        assert!(differ.count() > 500);
    }

    /// The mean saturation of the pixels around (x, y).
    fn colour(picture: &RgbImage, x: u32, y: u32) -> f32 {
        let around = (x - 8..x + 8).flat_map(|x| (y - 8..y + 8).map(move |y| (x, y)));
        let spread = |(x, y)| {
            let Rgb([r, g, b]) = *picture.get_pixel(x, y);
            f32::from(r.max(g).max(b) - r.min(g).min(b))
        };
        around.map(spread).sum::<f32>() / 256.0
    }

    #[test]
    fn the_heat_is_where_the_film_is() {
        // A film twice as high as wide fills the middle half of the network's input, so the map's
        // columns 2 to 5 are the film's quarters.
        let film = Film::new(200, 400, vec![30_000; 80_000]).unwrap();
        let content = prepare_content(&film);
        assert_eq!((content.left, content.width), (64, 128));
        let mut cam = Cam {
            rows: 8,
            columns: 8,
            values: vec![0.0; 64],
        };
        cam.values[8 + 5] = 1.0;
        let decision = Decision::from_logits(&[1.0], 0.5).unwrap();
        let picture = overlay(&film, &cam, content, &caption(&decision));
        let at = |column: u32, row: u32| {
            let (x, y) = (MARGIN + column * 128 + 64, MARGIN + row * 128 + 64);
            colour(&picture, x, y)
        };
        assert!(at(3, 1) > 40.0, "{}", at(3, 1));
        for (column, row) in [(0, 1), (1, 1), (3, 4), (2, 7), (0, 6)] {
            assert!(at(column, row) < 1.0, "{column} {row}");
        }
    }

    fn prepare_content(film: &Film) -> Rect {
        plumbline_shared::preprocess::prepare(film).content()
    }

    #[test]
    fn extreme_films_and_names_are_drawn() {
        let decision = Decision::from_logits(&[-40.0], 0.5).unwrap();
        let cam = Cam {
            rows: 8,
            columns: 8,
            values: vec![0.5; 64],
        };
        let long = "患者\u{1b}[31m🩻\u{0}עברית".repeat(60);
        for (width, height) in [(64, 64), (3000, 64), (64, 3000)] {
            let film = Film::new(width, height, vec![65_535; (width * height) as usize]).unwrap();
            let content = prepare_content(&film);
            let caption = Caption {
                film: &long,
                doubts: std::slice::from_ref(&long),
                ..caption(&decision)
            };
            let picture = overlay(&film, &cam, content, &caption);
            assert!(picture.height() >= panel::HEIGHT && picture.width() > panel::WIDTH);
        }
    }
}
