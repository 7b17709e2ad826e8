//! The tube, the detector and the rays between them.

use crate::layer::Size;

/// A point source and a flat detector across the z axis: the patient's front-to-back axis, or its
/// left-to-right one for a lateral film.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Camera {
    /// Columns and rows of the film.
    pub(crate) size: Size,
    /// Pixel pitch at the detector, in millimetres.
    pub(crate) pitch: f64,
    /// Focal spot, in patient coordinates.
    pub(crate) source: [f64; 3],
    /// Depth of the detector plane.
    pub(crate) detector: f64,
    /// Detector coordinates of the film's centre, in millimetres.
    pub(crate) centre: [f64; 2],
    /// Cosine and sine of the in-plane rotation.
    pub(crate) turn: [f64; 2],
    /// The patient stands sideways, the left side at the detector.
    pub(crate) lateral: bool,
    /// The film reaches from neck to hips.
    pub(crate) whole_spine: bool,
}

/// A ray as x and y over the depth z, both linear.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ray {
    /// x and y where the ray crosses z = 0.
    pub(crate) at: [f32; 2],
    /// Change of x and y for a millimetre of z.
    pub(crate) slope: [f32; 2],
}

impl Ray {
    /// Returns the length of the ray for a millimetre of z.
    pub(crate) fn secant(&self) -> f32 {
        (1.0 + self.slope[0] * self.slope[0] + self.slope[1] * self.slope[1]).sqrt()
    }
}

/// The place on the film that a point falls on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shadow {
    /// Column and row, in pixels; a pixel's centre lies at its index plus a half.
    pub(crate) at: [f32; 2],
    /// Pixels for a millimetre at the point's depth.
    pub(crate) scale: f32,
}

impl Camera {
    /// Returns the detector coordinates of a film position given in pixels.
    pub(crate) fn detector_at(&self, column: f64, row: f64) -> [f64; 2] {
        let [across, down] = self.size.middle();
        let (u, v) = ((column - across) * self.pitch, (row - down) * self.pitch);
        let [cos, sin] = self.turn;
        [
            self.centre[0] + cos * u + sin * v,
            self.centre[1] - sin * u + cos * v,
        ]
    }

    /// Returns the ray to a film position given in pixels.
    pub(crate) fn ray(&self, column: f64, row: f64) -> Ray {
        let [u, v] = self.detector_at(column, row);
        let run = self.detector - self.source[2];
        let slope = [(u - self.source[0]) / run, (v - self.source[1]) / run];
        Ray {
            at: [
                (self.source[0] - slope[0] * self.source[2]) as f32,
                (self.source[1] - slope[1] * self.source[2]) as f32,
            ],
            slope: [slope[0] as f32, slope[1] as f32],
        }
    }

    /// Returns the shadow of a point of the patient.
    pub(crate) fn shadow(&self, point: [f64; 3]) -> Shadow {
        let point = self.seen(point);
        let magnification = (self.detector - self.source[2]) / (point[2] - self.source[2]);
        let u = self.source[0] + (point[0] - self.source[0]) * magnification - self.centre[0];
        let v = self.source[1] + (point[1] - self.source[1]) * magnification - self.centre[1];
        let [cos, sin] = self.turn;
        let [across, down] = self.size.middle();
        Shadow {
            at: [
                (across + (cos * u - sin * v) / self.pitch) as f32,
                (down + (sin * u + cos * v) / self.pitch) as f32,
            ],
            scale: (magnification / self.pitch) as f32,
        }
    }

    /// Returns the coordinates before the detector of a point of the patient.
    pub(crate) fn seen(&self, [x, y, z]: [f64; 3]) -> [f64; 3] {
        if self.lateral { [-z, y, x] } else { [x, y, z] }
    }

    /// Returns the direction on the film, in pixels, of a direction in the coronal plane.
    pub(crate) fn turned(&self, x: f64, y: f64) -> [f32; 2] {
        let [cos, sin] = self.turn;
        [(cos * x - sin * y) as f32, (sin * x + cos * y) as f32]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ray_to_a_shadow_meets_the_point() {
        for (source, detector) in [(-1680.0, 120.0), (1680.0, -120.0)] {
            let camera = Camera {
                size: Size {
                    width: 512,
                    height: 400,
                },
                pitch: 0.8,
                source: [12.0, 140.0, source],
                detector,
                centre: [3.0, 150.0],
                turn: [libm::cos(0.05), libm::sin(0.05)],
                lateral: false,
                whole_spine: false,
            };
            for point in [[0.0, 0.0, 0.0], [80.0, 210.0, -60.0], [-120.0, 40.0, 70.0]] {
                let [column, row] = camera.shadow(point).at.map(f64::from);
                let ray = camera.ray(column, row);
                for axis in [0, 1] {
                    let met = ray.at[axis] + ray.slope[axis] * point[2] as f32;
                    assert!((f64::from(met) - point[axis]).abs() < 0.01);
                }
            }
        }
    }
}
