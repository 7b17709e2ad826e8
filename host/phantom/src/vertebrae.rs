//! The shadows of the vertebrae, and the mask of the column.

use crate::bones::CORTICAL;
use crate::camera::Camera;
use crate::layer::{Bounds, Layer, Size};
use crate::spine::{CERVICAL, Spine, Vertebra};

/// Attenuation of cancellous bone beyond that of the soft tissue that it displaces, in 1/mm.
const CANCELLOUS: f32 = 0.0092;
/// The same for disc: cartilage is a little denser than muscle.
const DISC: f32 = 0.0006;
/// Value of the body of T1 in a mask, and the step from each body to the next below.
const BODY_STEP: u8 = 10;
/// Thickness of endplates and side walls, in millimetres.
const SHELL: f32 = 1.1;

/// A vertebra's own frame on the film: s to the patient's left along the body, h towards the feet.
struct Frame {
    centre: [f32; 2],
    across: [f32; 2],
    down: [f32; 2],
    /// Millimetres for a pixel at the vertebra's depth.
    millimetres: f32,
}

impl Frame {
    fn new(camera: &Camera, vertebra: &Vertebra) -> Self {
        let tilt = (vertebra.superior + vertebra.inferior) / 2.0;
        let (sin, cos) = (libm::sin(tilt), libm::cos(tilt));
        let shadow = camera.shadow(vertebra.centre);
        Self {
            centre: shadow.at,
            across: camera.turned(cos, -sin),
            down: camera.turned(sin, cos),
            millimetres: 1.0 / shadow.scale,
        }
    }

    /// Calls `paint` with (s, h) in millimetres and the index of every pixel of a box that holds
    /// what lies within `reach` millimetres of the centre along s and along h.
    fn each(&self, reach: [f32; 2], size: Size, mut paint: impl FnMut(f32, f32, usize)) {
        let [s, h] = reach.map(|reach| reach / self.millimetres);
        let [width, height] = [0, 1].map(|k| s * self.across[k].abs() + h * self.down[k].abs());
        let [x, y] = self.centre;
        let (upper, lower) = ([x - width, y - height], [x + width, y + height]);
        let bounds = Bounds::around(upper, lower, 0.0, size);
        for row in bounds.top..bounds.bottom {
            let dy = (row as f32 + 0.5 - self.centre[1]) * self.millimetres;
            for column in bounds.left..bounds.right {
                let dx = (column as f32 + 0.5 - self.centre[0]) * self.millimetres;
                paint(
                    dx * self.across[0] + dy * self.across[1],
                    dx * self.down[0] + dy * self.down[1],
                    row * size.width + column,
                );
            }
        }
    }
}

/// The endplates of a vertebra in its own frame.
struct Body {
    half: f32,
    half_height: f32,
    /// Slope dh/ds of the superior and inferior endplates.
    superior: f32,
    inferior: f32,
}

impl Body {
    fn new(vertebra: &Vertebra) -> Self {
        let mean = (vertebra.superior + vertebra.inferior) / 2.0;
        Self {
            half: (vertebra.width / 2.0) as f32,
            half_height: (vertebra.height / 2.0) as f32,
            superior: -libm::tan(vertebra.superior - mean) as f32,
            inferior: -libm::tan(vertebra.inferior - mean) as f32,
        }
    }

    /// Half-width at height h: the body has a waist.
    fn half_at(&self, h: f32) -> f32 {
        let along = (h / self.half_height).clamp(-1.0, 1.0);
        self.half * (1.0 - 0.11 * (1.0 - along * along))
    }

    /// Heights of the endplates at s.
    fn ends(&self, s: f32) -> (f32, f32) {
        (
            -self.half_height + s * self.superior,
            self.half_height + s * self.inferior,
        )
    }
}

/// Attenuation within an ellipse whose wall is denser: a pedicle, a lamina, a process seen end-on.
struct Stud {
    centre: [f32; 2],
    semi: [f32; 2],
    wall: f32,
    core: f32,
}

impl Stud {
    fn at(&self, s: f32, h: f32) -> f32 {
        let (s, h) = (s - self.centre[0], h - self.centre[1]);
        if s.abs() >= self.semi[0] || h.abs() >= self.semi[1] {
            return 0.0;
        }
        let (x, y) = (s / self.semi[0], h / self.semi[1]);
        let q = x * x + y * y;
        if q >= 1.0 {
            return 0.0;
        }
        // A rounded wall: rises over the outer fifth of the ellipse, falls to the core within.
        let rim = (1.0 - q).min(1.0) * 4.0;
        if rim < 1.0 {
            self.wall * rim
        } else {
            self.core + (self.wall - self.core) * (1.6 - 0.6 * rim).max(0.0)
        }
    }
}

/// Adds every vertebra. `grain` is a mottle about 1 that stands for the trabeculae.
pub(crate) fn add_spine(
    layer: &mut Layer,
    camera: &Camera,
    spine: &Spine,
    bone: f64,
    grain: &Layer,
) {
    for (index, vertebra) in spine.column().iter().enumerate() {
        let vertebra = &if camera.lateral {
            sideways(vertebra)
        } else {
            *vertebra
        };
        let frame = Frame::new(camera, vertebra);
        let body = Body::new(vertebra);
        let depth = (vertebra.depth / 2.0) as f32;
        let shadow = camera.detector_at(f64::from(frame.centre[0]), f64::from(frame.centre[1]));
        let run = camera.detector - camera.source[2];
        let ray = (shadow[1] - camera.source[1]) / run;
        // How far a ray moves along the vertebra's axis for a millimetre of depth.
        let slant = ((ray + libm::tan(vertebra.sagittal)) as f32)
            .abs()
            .max(0.02);
        let cortical = (CORTICAL * bone) as f32;
        let cancellous = CANCELLOUS * bone as f32;
        let studs = if camera.lateral {
            arch_from_the_side(vertebra, cortical)
        } else {
            studs(vertebra, index < CERVICAL, cortical)
        };
        let disc = vertebra.disc as f32;
        // Sideways to the tips of the processes, downwards past the disc and the spinous process.
        let reach = [
            body.half * if camera.lateral { 3.6 } else { 1.8 },
            body.half_height * 2.0 + disc,
        ];
        frame.each(reach, layer.size, |s, h, pixel| {
            let mut sum = 0.0;
            let (top, bottom) = body.ends(s);
            let half = body.half_at(h);
            let q = s / half;
            if q.abs() < 1.0 {
                let deep = depth * (1.0 - q * q).sqrt();
                // Length of the chord on which the axial position lies between two planes.
                let between = |low: f32, high: f32| {
                    let (a, b) = ((low - h) / slant, (high - h) / slant);
                    (b.min(deep) - a.max(-deep)).max(0.0)
                };
                let whole = between(top, bottom);
                let plates = between(top, top + SHELL) + between(bottom - SHELL, bottom);
                let bore = s / (half - SHELL);
                let walls = 1.0 - ((1.0 - bore * bore).max(0.0) / (1.0 - q * q)).sqrt();
                let shell = (whole * walls + plates * 0.55).min(whole * 0.8);
                sum += cortical * 0.75 * shell
                    + cancellous * (whole - shell) * (1.0 + grain.values[pixel]);
                sum += DISC * (between(bottom, bottom + disc));
            }
            for stud in &studs {
                sum += stud.at(s, h);
            }
            layer.values[pixel] += sum;
        });
    }
}

/// The arch and its processes, carried to the side by the vertebra's rotation.
fn studs(vertebra: &Vertebra, cervical: bool, cortical: f32) -> Vec<Stud> {
    let (width, height) = (vertebra.width as f32, vertebra.height as f32);
    let depth = vertebra.depth as f32;
    let (sin, cos) = (
        libm::sin(vertebra.rotation) as f32,
        libm::cos(vertebra.rotation) as f32,
    );
    // Sideways place of a point `s` left of and `behind` behind the body's centre.
    let place = |s: f32, behind: f32| s * cos + behind * sin;
    let mut studs = Vec::with_capacity(8);
    for side in [-1.0f32, 1.0] {
        studs.push(Stud {
            centre: [place(side * 0.31 * width, depth * 0.62), -0.16 * height],
            semi: [0.095 * width + 0.8, 0.27 * height],
            wall: 7.5 * cortical,
            core: 2.2 * cortical,
        });
        studs.push(Stud {
            centre: [place(side * 0.2 * width, depth * 0.95), 0.30 * height],
            semi: [0.19 * width, 0.42 * height],
            wall: 2.4 * cortical,
            core: 1.7 * cortical,
        });
        if !cervical {
            // Transverse process.
            studs.push(Stud {
                centre: [place(side * 0.64 * width, depth * 0.95), -0.14 * height],
                semi: [0.24 * width, 0.20 * height],
                wall: 2.6 * cortical,
                core: 1.5 * cortical,
            });
        }
    }
    studs.push(Stud {
        centre: [place(0.0, depth * 1.45), 0.52 * height],
        semi: [0.065 * width + 1.0, 0.44 * height],
        wall: 6.0 * cortical,
        core: 4.5 * cortical,
    });
    studs
}

/// The vertebra as it is seen from the left: its depth is across the film, its front to the left.
fn sideways(vertebra: &Vertebra) -> Vertebra {
    Vertebra {
        superior: -vertebra.sagittal,
        inferior: -vertebra.sagittal,
        sagittal: (vertebra.superior + vertebra.inferior) / 2.0,
        rotation: 0.0,
        width: vertebra.depth,
        depth: vertebra.width,
        ..*vertebra
    }
}

/// Pedicle, joints and spinous process, seen from the side.
fn arch_from_the_side(vertebra: &Vertebra, cortical: f32) -> Vec<Stud> {
    let (deep, height) = (vertebra.width as f32, vertebra.height as f32);
    [
        ([0.62, -0.18], [0.16, 0.16], 3.0),
        ([0.88, 0.1], [0.13, 0.62], 3.6),
        ([1.35, 0.38], [0.42, 0.22], 3.0),
    ]
    .map(|(centre, semi, wall): ([f32; 2], [f32; 2], f32)| Stud {
        centre: [centre[0] * deep, centre[1] * height],
        semi: [semi[0] * deep, semi[1] * height],
        wall: wall * cortical,
        core: 0.7 * wall * cortical,
    })
    .into()
}

/// Returns the mask of the column, row-major: 10, 20 ... 170 where the bodies of T1, T2 ... L5
/// project, 255 in the discs between and below, 0 elsewhere.
pub(crate) fn mask(camera: &Camera, spine: &Spine) -> Vec<u8> {
    let mut mask = vec![0; camera.size.pixels()];
    for (index, vertebra) in spine.vertebrae().iter().enumerate() {
        let body = Body::new(vertebra);
        let above = spine.column()[CERVICAL + index - 1].disc as f32 / 2.0;
        let below = vertebra.disc as f32 / 2.0;
        let above = if index == 0 { 0.0 } else { above };
        let reach = [body.half * 1.1, body.half_height * 1.6 + above + below];
        let shorten = libm::cos(vertebra.sagittal) as f32;
        Frame::new(camera, vertebra).each(reach, camera.size, |s, h, pixel| {
            let (top, bottom) = body.ends(s);
            let h = h / shorten;
            if s.abs() >= body.half_at(h) {
                return;
            }
            if h > top && h < bottom {
                mask[pixel] = BODY_STEP * (index as u8 + 1);
            } else if h > top - above * 1.3 && h < bottom + below * 1.3 && mask[pixel] == 0 {
                // A little over half the disc, so that no seam stays open on a convex side.
                mask[pixel] = 255;
            }
        });
    }
    mask
}
