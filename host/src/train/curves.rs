//! A run's losses and ROC-AUC over its epochs, drawn as SVG.

use std::ops::Range;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::events::Epoch;

const SIZE: (u32, u32) = (960, 360);
/// Told apart by colour-blind readers too (Okabe and Ito, 2008).
const TRAINING: RGBColor = RGBColor(0, 114, 178);
const VALIDATION: RGBColor = RGBColor(213, 94, 0);

/// An error of drawing the curves.
#[derive(Debug, thiserror::Error)]
#[error("cannot draw the curves: {0}")]
pub struct CurvesError(String);

type Line<'a> = (&'a str, RGBColor, Vec<f64>);

/// The SVG: losses on the left, validation ROC-AUC on the right; grey lines begin further rounds.
///
/// # Errors
/// If the drawing library fails.
pub fn curves(epochs: &[Epoch]) -> Result<String, CurvesError> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let failed = |error: DrawingAreaErrorKind<_>| CurvesError(error.to_string());
        area.fill(&WHITE).map_err(failed)?;
        let (left, right) = area.split_horizontally(SIZE.0 / 2);
        let of = |value: fn(&Epoch) -> f64| epochs.iter().map(value).collect::<Vec<_>>();
        let losses = [
            ("training", TRAINING, of(|e| e.loss)),
            ("validation", VALIDATION, of(|e| e.validation_loss)),
        ];
        let areas = [("validation", VALIDATION, of(|e| e.validation_roc_auc))];
        let rounds = epochs.windows(2).enumerate();
        let starts: Vec<usize> = rounds
            .filter(|(_, pair)| pair[0].round != pair[1].round)
            .map(|(index, _)| index + 1)
            .collect();
        let (top, bottom) = (
            SeriesLabelPosition::UpperRight,
            SeriesLabelPosition::LowerRight,
        );
        panel(&left, ("loss", top), &losses, &starts).map_err(failed)?;
        panel(&right, ("ROC-AUC", bottom), &areas, &starts).map_err(failed)?;
        area.present().map_err(failed)?;
    }
    Ok(svg)
}

fn panel<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    (title, legend): (&str, SeriesLabelPosition),
    lines: &[Line],
    starts: &[usize],
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    let epochs = lines.iter().map(|line| line.2.len()).max().unwrap_or(0);
    let range = range(lines);
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .caption(title, ("sans-serif", 18))
        .x_label_area_size(32)
        .y_label_area_size(48)
        .build_cartesian_2d(0.5..epochs as f64 + 0.5, range.clone())?;
    chart
        .configure_mesh()
        .x_desc("epoch")
        .x_labels(epochs.min(12))
        .x_label_formatter(&|x| format!("{x:.0}"))
        .light_line_style(WHITE)
        .draw()?;
    for start in starts {
        let x = *start as f64 + 0.5;
        let rule = [(x, range.start), (x, range.end)];
        chart.draw_series([PathElement::new(rule, BLACK.mix(0.3))])?;
    }
    for (name, colour, values) in lines {
        let colour = *colour;
        let points: Vec<(f64, f64)> = (1..).map(f64::from).zip(values.iter().copied()).collect();
        chart.draw_series(
            points
                .iter()
                .map(|point| Circle::new(*point, 3, colour.filled())),
        )?;
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(2)))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(legend)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.2))
        .draw()
}

/// From the least to the greatest value with room about them.
fn range(lines: &[Line]) -> Range<f64> {
    let values = || {
        lines
            .iter()
            .flat_map(|line| &line.2)
            .copied()
            .filter(|v| v.is_finite())
    };
    let least = values().fold(f64::INFINITY, f64::min);
    let greatest = values().fold(f64::NEG_INFINITY, f64::max);
    if least > greatest {
        return 0.0..1.0;
    }
    let room = (0.05 * (greatest - least)).max(1e-3);
    least - room..greatest + room
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(round: usize, loss: f64) -> Epoch {
        Epoch {
            round,
            epoch: 1,
            loss,
            validation_loss: loss + 0.1,
            validation_roc_auc: 1.0 - loss,
            best: true,
            ended: 0.0,
            seconds: 1.0,
        }
    }

    #[test]
    fn every_epoch_has_its_points() {
        let svg = curves(&[epoch(1, 0.7), epoch(1, 0.5), epoch(2, 0.4)]).unwrap();
        assert_eq!(svg.matches("<circle").count(), 9);
        for word in ["loss", "ROC-AUC", "training", "validation", "epoch"] {
            assert!(svg.contains(word), "{word}");
        }
        // No epochs, one, and values that are no numbers still make a picture.
        assert!(curves(&[]).unwrap().contains("</svg>"));
        assert!(curves(&[epoch(1, f64::NAN)]).unwrap().contains("</svg>"));
    }
}
