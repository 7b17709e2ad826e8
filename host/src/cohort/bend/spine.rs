//! A spine that is bent, on the film, and its Cobb angle there.

use plumbline_phantom::Variates;
use plumbline_phantom::curve::{Cobb, Curve, LEVELS};
use plumbline_phantom::spine::level_at;
use plumbline_shared::clinical::CurveType;

use super::midline::Midline;

/// The film's height in millimetres of the patient, and the height of the top of T1 as a share of it.
const HEIGHT: (f64, f64) = (340.0, 430.0);
const TOP: (f64, f64) = (0.03, 0.13);

/// Near the film's upper and lower borders, within this share of its height, endplates do not count: a
/// film that is zoomed in lacks them, and they are not wholly turned.
pub(super) const BORDER: f64 = 0.1;

/// A curve is drawn anew if the film shows less of its Cobb angle than this.
const LEAST_SHOWN: f64 = 0.8;

/// The least angle that is drawn, in degrees: a curve of none has no end vertebrae.
const LEAST_DEGREES: f64 = 0.01;

/// The length of a film, and where the spine lies on it.
#[derive(Clone, Copy, Debug)]
struct Scale {
    /// Millimetres a row.
    pitch: f64,
    /// The row at which T1 begins.
    top: f64,
}

impl Scale {
    fn draw(rng: &mut Variates, rows: usize) -> Self {
        Self {
            pitch: rng.between(HEIGHT.0, HEIGHT.1) / rows as f64,
            top: rng.between(TOP.0, TOP.1) * rows as f64,
        }
    }

    /// The row of the straight film at a level, by bisection.
    #[cfg(test)]
    fn row(&self, level: f64) -> f64 {
        let (mut above, mut below) = (0.0, 10_000.0);
        for _ in 0..60 {
            let middle = (above + below) / 2.0;
            match self.level(middle) < level {
                true => above = middle,
                false => below = middle,
            }
        }
        above
    }

    /// The level at a row of the straight film.
    fn level(&self, row: f64) -> f64 {
        level_at((row - self.top) * self.pitch)
    }
}

/// A bent spine. What lies at a row of the straight film's midline lies on it at a place and in a
/// direction.
#[derive(Clone, Debug)]
pub(super) struct BentSpine {
    /// Shape of the curve, whatever its size.
    pub(super) kind: CurveType,
    /// The major curve, as far as the film shows it; its levels are indices in [`LEVELS`].
    pub(super) cobb: Cobb,
    /// Every curve of at least five degrees that the film shows, from above.
    pub(super) curves: Vec<Cobb>,
    /// Column and row for each row of the straight film, the one below its last included.
    places: Vec<[f64; 2]>,
    /// Directions from the vertical for the same rows, in radians, positive to the right downwards.
    directions: Vec<f64>,
    /// The row of the straight film and the tilt, in radians, of each superior endplate that counts.
    #[cfg(test)]
    pub(super) endplates: Vec<(f64, f64)>,
}

impl BentSpine {
    /// Bends the spine along `midline` of a film with so many rows by a curve whose Cobb angle, as
    /// far as the film shows it, is exactly `degrees`. None if the film shows too little of the curve.
    pub(super) fn draw(
        rng: &mut Variates,
        midline: &Midline,
        rows: usize,
        degrees: f64,
    ) -> Option<Self> {
        let degrees = degrees.max(LEAST_DEGREES);
        let scale = Scale::draw(rng, rows);
        let curve = Curve::draw(rng, degrees);
        let [first, last] = [BORDER, 1.0 - BORDER].map(|at| scale.level(at * rows as f64));
        let inside = |index: &usize| {
            let level = *index as f64;
            first <= level + 0.1 && level + 0.9 <= last
        };
        let shown: Vec<usize> = (0..LEVELS.len()).filter(inside).collect();
        let share = measured(&curve, &shown)?.degrees / degrees;
        if share < LEAST_SHOWN {
            return None;
        }
        let curve = curve.scaled(1.0 / share);
        let tilt = |row: usize| tilt(&curve, scale.level(row as f64));
        let tilts: Vec<f64> = (0..=rows).map(tilt).collect();
        let (places, directions) = followed(midline, &tilts);
        let beginning = *shown.first()?;
        let curves = Cobb::all(&endplates(&curve, &shown), 5.0).into_iter();
        Some(Self {
            kind: curve.kind(),
            cobb: measured(&curve, &shown)?,
            curves: curves.map(|cobb| from(cobb, beginning)).collect(),
            #[cfg(test)]
            endplates: (shown.iter())
                .map(|index| scale.row(*index as f64 + 0.1))
                .zip(endplates(&curve, &shown))
                .map(|(row, (superior, _))| (row, superior))
                .collect(),
            places,
            directions,
        })
    }

    /// The number of rows that the bent spine takes, from the first to the last of the straight film: fewer,
    /// as a bent spine is shorter.
    pub(super) fn height(&self) -> f64 {
        self.places[self.places.len() - 1][1]
    }

    /// The row of the straight film whose place is at a row of the bent one.
    pub(super) fn row_at(&self, row: f64) -> f64 {
        let after = self.places.partition_point(|place| place[1] <= row);
        let after = after.clamp(1, self.places.len() - 1);
        let (before, next) = (self.places[after - 1][1], self.places[after][1]);
        (after - 1) as f64 + (row - before) / (next - before)
    }

    /// The place and the direction of what lies at a row of the straight film's midline.
    pub(super) fn place(&self, row: f64) -> ([f64; 2], f64) {
        let last = self.places.len() - 2;
        let before = (row.max(0.0) as usize).min(last);
        let share = row - before as f64;
        let mix = |from: f64, to: f64| from + (to - from) * share;
        let (from, to) = (self.places[before], self.places[before + 1]);
        let along = share.clamp(0.0, 1.0);
        let (one, other) = (self.directions[before], self.directions[before + 1]);
        (
            [mix(from[0], to[0]), mix(from[1], to[1])],
            one + (other - one) * along,
        )
    }
}

/// The major curve between the vertebrae `shown`; none without any.
fn measured(curve: &Curve, shown: &[usize]) -> Option<Cobb> {
    let beginning = *shown.first()?;
    Some(from(Cobb::measure(&endplates(curve, shown)), beginning))
}

/// A curve whose levels were counted from the vertebra `beginning`.
fn from(cobb: Cobb, beginning: usize) -> Cobb {
    Cobb {
        upper: cobb.upper + beginning,
        lower: cobb.lower + beginning,
        apex: cobb.apex + beginning,
        ..cobb
    }
}

/// The tilts of the endplates of some vertebrae, from above.
fn endplates(curve: &Curve, shown: &[usize]) -> Vec<(f64, f64)> {
    let levels = shown.iter().map(|index| *index as f64);
    levels
        .map(|level| (curve.tilt(level + 0.1), curve.tilt(level + 0.9)))
        .collect()
}

/// The tilt at any level: above T1 the neck rights itself, below L5 the pelvis keeps the spine's.
fn tilt(curve: &Curve, level: f64) -> f64 {
    let righted = match level < 0.0 {
        true => (1.0 + level / 3.0).max(0.0),
        false => 1.0,
    };
    curve.tilt(level.clamp(0.0, LEVELS.len() as f64)) * righted
}

/// Follows the tilts, in radians from the midline's direction, row by row; the bent line has the
/// straight one's mean column.
fn followed(midline: &Midline, tilts: &[f64]) -> (Vec<[f64; 2]>, Vec<f64>) {
    let lean = libm::atan(midline.lean);
    let directions: Vec<f64> = tilts.iter().map(|tilt| tilt + lean).collect();
    let mut at = [midline.top, 0.0];
    let mut places = vec![at];
    for pair in directions.windows(2) {
        let (sin, cos) = libm::sincos((pair[0] + pair[1]) / 2.0);
        at = [at[0] + sin, at[1] + cos];
        places.push(at);
    }
    let away = places
        .iter()
        .enumerate()
        .map(|(row, place)| place[0] - midline.at(row as f64));
    let mean = away.sum::<f64>() / places.len() as f64;
    for place in &mut places {
        place[0] -= mean;
    }
    (places, directions)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIDLINE: Midline = Midline {
        top: 240.0,
        lean: 0.04,
    };

    /// A spine of a film that shows enough of the curve.
    fn spine(rng: &mut Variates, rows: usize, degrees: f64) -> BentSpine {
        loop {
            if let Some(spine) = BentSpine::draw(rng, &MIDLINE, rows, degrees) {
                return spine;
            }
        }
    }

    #[test]
    fn the_film_shows_exactly_the_angle_that_was_asked_for() {
        let mut rng = Variates::new(5, 1);
        for degrees in [0.0, 3.0, 10.0, 31.25, 70.0] {
            for _ in 0..20 {
                let spine = spine(&mut rng, 500, degrees);
                assert!((spine.cobb.degrees - degrees.max(LEAST_DEGREES)).abs() < 1e-9);
                // The same by the directions of the line itself, which rows sample finely enough.
                let way = spine.directions.iter();
                let (least, most) = way.fold((f64::MAX, f64::MIN), |(least, most), direction| {
                    (least.min(*direction), most.max(*direction))
                });
                assert!((most - least).to_degrees() >= degrees - 0.3);
            }
        }
    }

    #[test]
    fn rows_and_places_are_each_other_s_inverse() {
        let mut rng = Variates::new(7, 1);
        let spine = spine(&mut rng, 400, 50.0);
        for row in [0.0, 0.3, 117.25, 399.9, 400.0] {
            let (place, _) = spine.place(row);
            assert!((spine.row_at(place[1]) - row).abs() < 1e-6);
        }
        assert!(spine.height() < 400.0);
        // Its length is the straight spine's.
        let length: f64 = (spine.places.windows(2))
            .map(|pair| (pair[1][0] - pair[0][0]).hypot(pair[1][1] - pair[0][1]))
            .sum();
        assert!((length - 400.0).abs() < 1e-6);
    }

    #[test]
    fn a_spine_that_is_not_bent_is_the_midline() {
        let mut rng = Variates::new(9, 1);
        let spine = spine(&mut rng, 300, 0.0);
        for row in [0.0, 150.0, 300.0] {
            let ([column, at], direction) = spine.place(row);
            assert!((column - MIDLINE.at(at)).abs() < 0.3);
            assert!((direction - MIDLINE.lean.atan()).abs() < 1e-3);
        }
    }
}
