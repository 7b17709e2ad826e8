//! Where each place of a bent film comes from.
//!
//! Close to the spine the film is turned and moved with it as a whole, so that endplates carry the
//! curve's angles. Farther away it is moved sideways alone, by a share of the spine's own way, and at
//! its left and right borders not at all: ribs and mediastinum follow, arms and collimation stay.
//!
//! A film that is to stay straight goes through a field of the same kind, drawn for a curve like those of
//! bent films, which is held still around the spine: away from it nothing tells the two apart.

use plumbline_phantom::Variates;

use super::midline::Midline;
use super::spine::{BORDER, BentSpine};

/// How far from the spine the film is turned with it, in shares of the film's width: wholly, and at all.
const TURNED: (f64, f64) = (0.07, 0.30);

/// How far from the spine it is moved as far as the spine, and from where on by the thorax's share.
const MOVED: (f64, f64) = (0.07, 0.25);

/// The thorax's share of the spine's way.
const SHARE: (f64, f64) = (0.25, 0.75);

/// From where on, as a share of the way to the border, the movement fades.
const FADES: f64 = 0.6;

/// How far from the spine a field is held still, in shares of the film's width: wholly, and at all.
const STILL: (f64, f64) = (0.06, 0.22);

/// From the film's upper and lower borders on, the turn begins within this share of its height.
const ENDS: f64 = 0.8 * BORDER;

/// The most that a film is zoomed in beyond what its shorter spine asks for: the endplates that count
/// stay on the film.
const MOST_ZOOM: f64 = 1.0 / (1.0 - BORDER);

/// The least area that a field may leave of a piece of film, as a share: less would fold it.
const LEAST_AREA: f64 = 0.2;

/// The field that gives a film one spine.
#[derive(Clone, Debug)]
struct Bending {
    spine: BentSpine,
    midline: Midline,
    size: [f64; 2],
    share: f64,
}

impl Bending {
    fn draw(
        rng: &mut Variates,
        midline: Midline,
        [width, height]: [usize; 2],
        degrees: f64,
    ) -> Option<Self> {
        Some(Self {
            spine: BentSpine::draw(rng, &midline, height, degrees)?,
            midline,
            size: [width as f64, height as f64],
            share: rng.between(SHARE.0, SHARE.1),
        })
    }

    /// Pixels of the bent film for one of the straight film, so that both have the same height.
    fn zoom(&self) -> f64 {
        self.size[1] / self.spine.height()
    }

    /// The line that the spine follows on the bent film where it is held still.
    fn still_midline(&self) -> Midline {
        let [width, height] = self.size;
        let zoomed = |column: f64| width / 2.0 + (column - width / 2.0) * self.zoom();
        let (top, bottom) = (self.midline.at(0.0), self.midline.at(height));
        Midline {
            top: zoomed(top),
            lean: (zoomed(bottom) - zoomed(top)) / height,
        }
    }

    /// Where a place of the bent film comes from.
    fn source(&self, place: [f64; 2]) -> Source {
        let [width, height] = self.size;
        let x = width / 2.0 + (place[0] - width / 2.0) / self.zoom();
        let y = place[1] / self.zoom();
        let row = self.spine.row_at(y);
        let still = [x, row];
        let ([column, _], _) = self.spine.place(row);
        let beside = x - column;
        let away = beside.abs() / width;
        // Moved sideways.
        let border = if beside > 0.0 { width - column } else { column };
        let to_border = beside.abs() / border.max(1.0);
        let share = self.share + (1.0 - self.share) * fall(away, MOVED);
        let moved = share * fall(to_border, (FADES, 1.0));
        let movement = column - self.midline.at(row);
        let sideways = [x - moved * movement, row];
        // Turned with the spine: the row whose direction points across it to this place.
        let ends = rise(row.min(height - row) / height, (0.0, ENDS));
        let turned = fall(away, TURNED) * ends;
        if turned == 0.0 {
            return Source {
                still,
                moved: sideways,
            };
        }
        let (mut along, mut across) = (row, beside);
        for _ in 0..3 {
            let ([column, at], direction) = self.spine.place(along);
            let (sin, cos) = libm::sincos(direction);
            let (dx, dy) = (x - column, y - at);
            along += dx * sin + dy * cos;
            across = dx * cos - dy * sin;
        }
        // The straight spine has the midline's direction.
        let (sin, cos) = libm::sincos(libm::atan(self.midline.lean));
        let whole = [self.midline.at(along) + across * cos, along - across * sin];
        Source {
            still,
            moved: mix(sideways, whole, turned),
        }
    }
}

/// Where a place of a bent film comes from on the straight one.
struct Source {
    /// If the film were moved up and down alone, as the spine becomes shorter.
    still: [f64; 2],
    /// As it is bent.
    moved: [f64; 2],
}

/// Corners of a sampled field along the film's longer side.
const CORNERS: f64 = 128.0;

/// A field at the corners of a grid.
pub(super) struct SampledField {
    /// Column and row of the old film, and how far to the right of the spine's middle the corner is.
    corners: Vec<[f64; 3]>,
    columns: usize,
    /// Pixels from corner to corner.
    step: f64,
}

impl SampledField {
    /// The place of the old film that comes to a place of the new one, and how far to the right of
    /// the spine's middle that is, in pixels.
    pub(super) fn at(&self, [x, y]: [f64; 2]) -> ([f64; 2], f64) {
        let (x, y) = (x / self.step, y / self.step);
        let (column, row) = (x as usize, y as usize);
        let (right, down) = (x - column as f64, y - row as f64);
        let corner = row * self.columns + column;
        let along = |corner: usize, axis: usize| {
            let (left, next) = (self.corners[corner][axis], self.corners[corner + 1][axis]);
            left + (next - left) * right
        };
        let [column, row, beside] = [0, 1, 2].map(|axis| {
            let (upper, lower) = (along(corner, axis), along(corner + self.columns, axis));
            upper + (lower - upper) * down
        });
        ([column, row], beside)
    }
}

/// What becomes of a film.
#[derive(Clone, Debug)]
pub(super) struct Field {
    /// The spine's own bending.
    own: Bending,
    /// A bending that leaves the spine alone.
    around: Option<Bending>,
    /// Pixels of the new film for one of the old, beside what the bendings ask for.
    zoom: f64,
}

impl Field {
    /// A field that bends a spine along `midline` on a film of a `size` by an angle in `degrees`, and
    /// moves the film around it as one of `around` degrees would. None if the film would show too
    /// little of the curve, if the field would fold it, or if it would need what is beyond its borders.
    pub(super) fn draw(
        rng: &mut Variates,
        midline: Midline,
        size: [usize; 2],
        degrees: f64,
        around: Option<f64>,
    ) -> Option<Self> {
        let around = match around {
            Some(degrees) => Some(Bending::draw(rng, midline, size, degrees)?),
            None => None,
        };
        let midline = around.as_ref().map_or(midline, Bending::still_midline);
        let mut field = Self {
            own: Bending::draw(rng, midline, size, degrees)?,
            around,
            zoom: 1.0,
        };
        while field.reaches_beyond() {
            field.zoom *= 1.01;
            if field.zoom > MOST_ZOOM {
                return None;
            }
        }
        (field.least_area() >= LEAST_AREA).then_some(field)
    }

    /// The spine that the film shows.
    pub(super) fn spine(&self) -> &BentSpine {
        &self.own.spine
    }

    /// The field at the corners of a grid, between which it is nearly straight.
    pub(super) fn sampled(&self) -> SampledField {
        let [width, height] = self.own.size;
        let step = width.max(height) / CORNERS;
        // One more on each side, as places beyond the last corner have neighbours, too.
        let [columns, rows] = self
            .own
            .size
            .map(|length| (length / step).ceil() as usize + 2);
        let corners = (0..rows).flat_map(|row| (0..columns).map(move |column| (column, row)));
        let corners = corners.map(|(column, row)| {
            let place = [column as f64 * step, row as f64 * step];
            let ([x, y], beside) = self.at(place);
            [x, y, beside]
        });
        SampledField {
            corners: corners.collect(),
            columns,
            step,
        }
    }

    /// The place of the old film that comes to a place of the new one, which has the same size, and how
    /// far to the right of the spine's middle that is, in pixels.
    fn at(&self, place: [f64; 2]) -> ([f64; 2], f64) {
        let middle = self.own.size.map(|length| length / 2.0);
        let zoomed = [0, 1].map(|axis| middle[axis] + (place[axis] - middle[axis]) / self.zoom);
        // On the film that the spine's own bending begins with.
        let bent = self.own.source(zoomed).moved;
        let beside = bent[0] - self.own.midline.at(bent[1]);
        let Some(around) = &self.around else {
            return (bent, beside);
        };
        let source = around.source(bent);
        let away = (source.still[0] - around.midline.at(source.still[1])).abs();
        let share = rise(away / around.size[0], STILL);
        (mix(source.still, source.moved, share), beside)
    }

    /// The place of the old film that comes to a place of the new one.
    fn source(&self, place: [f64; 2]) -> [f64; 2] {
        self.at(place).0
    }

    /// A grid of places over the film.
    fn grid(&self, steps: usize) -> impl Iterator<Item = [f64; 2]> + use<> {
        let [width, height] = self.own.size;
        let share = move |at: usize| at as f64 / steps as f64;
        (0..=steps * steps + 2 * steps).map(move |at| {
            [
                width * share(at % (steps + 1)),
                height * share(at / (steps + 1)),
            ]
        })
    }

    fn reaches_beyond(&self) -> bool {
        let [width, height] = self.own.size;
        let inside = |[x, y]: [f64; 2]| {
            (-0.5..=width + 0.5).contains(&x) && (-0.5..=height + 0.5).contains(&y)
        };
        self.grid(48).any(|place| !inside(self.source(place)))
    }

    /// The smallest area of the old film that a pixel of the new one shows, beside what the zoom alone
    /// leaves it.
    fn least_area(&self) -> f64 {
        let bendings = [Some(&self.own), self.around.as_ref()];
        let zooms = bendings.into_iter().flatten().map(Bending::zoom);
        let zoom = self.zoom * zooms.product::<f64>();
        let area = |[x, y]: [f64; 2]| {
            let from = self.source([x, y]);
            let (right, below) = (self.source([x + 1.0, y]), self.source([x, y + 1.0]));
            let (a, b) = (right[0] - from[0], right[1] - from[1]);
            let (c, d) = (below[0] - from[0], below[1] - from[1]);
            (a * d - b * c) * zoom.powi(2)
        };
        self.grid(48).map(area).fold(f64::MAX, f64::min)
    }
}

fn mix(from: [f64; 2], to: [f64; 2], share: f64) -> [f64; 2] {
    [0, 1].map(|axis| from[axis] + (to[axis] - from[axis]) * share)
}

/// From 0 at the first bound smoothly to 1 at the second.
fn rise(value: f64, (from, to): (f64, f64)) -> f64 {
    let share = ((value - from) / (to - from)).clamp(0.0, 1.0);
    share * share * (3.0 - 2.0 * share)
}

/// From 1 at the first bound smoothly to 0 at the second.
fn fall(value: f64, bounds: (f64, f64)) -> f64 {
    1.0 - rise(value, bounds)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIDLINE: Midline = Midline {
        top: 205.0,
        lean: 0.02,
    };
    const SIZE: [usize; 2] = [400, 480];

    fn field(seed: u64, degrees: f64, around: Option<f64>) -> Field {
        let mut rng = Variates::new(seed, 1);
        loop {
            if let Some(field) = Field::draw(&mut rng, MIDLINE, SIZE, degrees, around) {
                return field;
            }
        }
    }

    /// The tilt, in radians as the spine has it, of a line of the new film that was horizontal on
    /// the old one, where the new film's spine crosses it.
    fn endplate(field: &Field, row: f64) -> f64 {
        // The place of the new film on the spine whose source is at the row, by bisection.
        let column = |y: f64| {
            let (mut left, mut right) = (0.0, SIZE[0] as f64);
            for _ in 0..50 {
                let middle = (left + right) / 2.0;
                match field.at([middle, y]).1 < 0.0 {
                    true => left = middle,
                    false => right = middle,
                }
            }
            left
        };
        let (mut above, mut below) = (0.0, SIZE[1] as f64);
        for _ in 0..50 {
            let middle = (above + below) / 2.0;
            match field.source([column(middle), middle])[1] < row {
                true => above = middle,
                false => below = middle,
            }
        }
        let place = [column(above), above];
        let rise = |to: [f64; 2]| field.source(to)[1] - field.source(place)[1];
        let (along, down) = (
            rise([place[0] + 0.5, place[1]]),
            rise([place[0], place[1] + 0.5]),
        );
        (along / down).atan()
    }

    #[test]
    fn every_endplate_that_counts_lies_on_the_film_with_its_tilt() {
        for seed in 1..60 {
            let degrees = f64::from(10 + seed % 50);
            let field = field(u64::try_from(seed).unwrap(), degrees, None);
            let (mut least, mut most) = (f64::MAX, f64::MIN);
            for (row, tilt) in &field.own.spine.endplates {
                let drawn = endplate(&field, *row);
                assert!(
                    (drawn - tilt).abs().to_degrees() < 0.6,
                    "{drawn} for {tilt} of {seed}"
                );
                (least, most) = (least.min(drawn), most.max(drawn));
            }
            // The angle is that of superior with inferior endplates, which differ a little more.
            let angle = (most - least).to_degrees();
            assert!(
                (0.6 * degrees..degrees + 1.0).contains(&angle),
                "{angle} for {degrees}"
            );
        }
    }

    #[test]
    fn what_is_held_still_stays_straight() {
        for seed in 1..5 {
            let field = field(seed, 0.0, Some(40.0));
            let tilts = (60..430).map(|row| endplate(&field, f64::from(row)));
            let (least, most) = tilts.fold((f64::MAX, f64::MIN), |(least, most), tilt| {
                (least.min(tilt), most.max(tilt))
            });
            assert!((most - least).to_degrees() < 0.5, "{least} {most}");
            // Yet the film is moved beside it.
            let away = (0..SIZE[1]).map(|row| {
                let place = [100.0, row as f64];
                field.around.as_ref().map_or(0.0, |around| {
                    let source = around.source(place);
                    (source.moved[0] - source.still[0]).abs()
                })
            });
            assert!(away.fold(0.0, f64::max) > 2.0);
        }
    }

    #[test]
    fn between_corners_the_field_is_as_at_them() {
        for (seed, around) in [(1, None), (2, Some(60.0))] {
            let field = field(seed, if around.is_none() { 60.0 } else { 3.0 }, around);
            let sampled = field.sampled();
            for place in (0..2000).map(|i| [f64::from(i * 37 % 400), f64::from(i * 91 % 480)]) {
                let place = [place[0] + 0.5, place[1] + 0.5];
                let ([x, y], beside) = sampled.at(place);
                let (exact, exactly_beside) = field.at(place);
                assert!((x - exact[0]).hypot(y - exact[1]) < 0.15, "{place:?}");
                assert!((beside - exactly_beside).abs() < 0.15);
            }
        }
    }

    #[test]
    fn nothing_comes_from_beyond_the_film_and_nothing_is_folded() {
        for seed in 0..30 {
            let around = (seed % 2 == 0).then_some(55.0);
            let degrees = if around.is_some() { 4.0 } else { 55.0 };
            let field = field(seed, degrees, around);
            for place in field.grid(97) {
                let [x, y] = field.source(place);
                assert!((-1.0..401.0).contains(&x) && (-1.0..481.0).contains(&y));
            }
            assert!(field.least_area() >= LEAST_AREA);
        }
    }
}
