//! The heat map: a class activation map, smoothed, over the film.

use image::{Rgb, RgbImage};
use plumbline_shared::gradcam::Cam;
use plumbline_shared::preprocess::{Rect, SIDE};
use plumbline_shared::text::blend;

/// Opacity of the map at its peak.
const STRONGEST: f32 = 0.62;
/// Value below which the map is transparent, so that its edge is not drawn.
const FAINTEST: f32 = 0.08;

/// A film's middle grey, on which legends show the map's colours as they look on a film.
const FILM: Rgb<u8> = Rgb([110, 110, 110]);

/// Returns the colour of `value`, 0 to 1, as it looks on a film.
pub(crate) fn on_film(value: f32) -> Rgb<u8> {
    blend(FILM, inferno(value), strength(value))
}

/// Returns the colour of `value`, 0 to 1: Matplotlib's "inferno", which is perceptually uniform.
fn inferno(value: f32) -> Rgb<u8> {
    let colour = colorous::INFERNO.eval_continuous(value.into());
    Rgb([colour.r, colour.g, colour.b])
}

/// Returns the opacity of `value`, 0 to 1.
fn strength(value: f32) -> f32 {
    let visible = ((value - FAINTEST) / (1.0 - FAINTEST)).clamp(0.0, 1.0);
    STRONGEST * visible.sqrt()
}

/// Lays `cam` over `picture`, a film that covers `content` of the network's input.
pub(crate) fn lay_over(picture: &mut RgbImage, cam: &Cam, content: Rect) {
    let (width, height) = (picture.width() as f32, picture.height() as f32);
    // From a pixel's centre in the picture to one in the network's input to a cell of the map.
    let along = |pixel: u32, side: f32, start: u32, length: u32, cells: usize| {
        let input = start as f32 + (pixel as f32 + 0.5) / side * length as f32;
        input * cells as f32 / SIDE as f32 - 0.5
    };
    let columns: Vec<Weights> = (0..picture.width())
        .map(|x| {
            Weights::at(
                along(x, width, content.left, content.width, cam.columns),
                cam.columns,
            )
        })
        .collect();
    for y in 0..picture.height() {
        let rows = Weights::at(
            along(y, height, content.top, content.height, cam.rows),
            cam.rows,
        );
        let line: Vec<f32> = (0..cam.columns)
            .map(|column| rows.sum(|row| cam.values[row * cam.columns + column]))
            .collect();
        for (x, columns) in columns.iter().enumerate() {
            let value = columns.sum(|column| line[column]).clamp(0.0, 1.0);
            let pixel = picture.get_pixel_mut(x as u32, y);
            *pixel = blend(*pixel, inferno(value), strength(value));
        }
    }
}

/// Four neighbouring cells and their weights in a value between them. (`image`'s resampling takes
/// whole pixels of its input, and a film's edges lie anywhere within the map's cells.)
struct Weights {
    cells: [usize; 4],
    shares: [f32; 4],
}

impl Weights {
    /// Returns the weights of cubic convolution with a = -1/2 (Keys, 1981); cells beyond the edge
    /// repeat it.
    fn at(position: f32, cells: usize) -> Self {
        let floor = position.floor();
        let t = position - floor;
        let cell = |offset: i32| (floor as i32 + offset).clamp(0, cells as i32 - 1) as usize;
        Self {
            cells: [cell(-1), cell(0), cell(1), cell(2)],
            shares: [
                ((2.0 - t) * t - 1.0) * t / 2.0,
                ((3.0 * t - 5.0) * t * t + 2.0) / 2.0,
                ((4.0 - 3.0 * t) * t + 1.0) * t / 2.0,
                (t - 1.0) * t * t / 2.0,
            ],
        }
    }

    fn sum(&self, value: impl Fn(usize) -> f32) -> f32 {
        let shares = self.cells.iter().zip(self.shares);
        shares.map(|(cell, share)| value(*cell) * share).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lightness_grows_evenly() {
        // CIE L* of sRGB, which a perceptually uniform map climbs in equal steps.
        let lightness = |Rgb(rgb): Rgb<u8>| {
            let linear = rgb.map(|c| {
                let c = f32::from(c) / 255.0;
                if c <= 0.040_45 {
                    c / 12.92
                } else {
                    ((c + 0.055) / 1.055).powf(2.4)
                }
            });
            let y = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
            if y <= 0.008_856 {
                903.3 * y
            } else {
                116.0 * y.cbrt() - 16.0
            }
        };
        let steps: Vec<f32> = (0..=20)
            .map(|i| lightness(inferno(i as f32 / 20.0)))
            .collect();
        for pair in steps.windows(2) {
            let step = pair[1] - pair[0];
            assert!((2.0..7.0).contains(&step), "{steps:?}");
        }
    }

    #[test]
    fn interpolation_keeps_cells_and_straight_lines() {
        let value = |position: f32| Weights::at(position, 8).sum(|cell| 3.0 * cell as f32 + 1.0);
        for position in [1.0, 2.25, 4.5, 5.9] {
            assert!(
                (value(position) - (3.0 * position + 1.0)).abs() < 1e-5,
                "{position}"
            );
        }
        assert_eq!(Weights::at(-3.0, 8).cells, [0; 4]);
        assert_eq!(Weights::at(12.0, 8).cells, [7; 4]);
    }
}
