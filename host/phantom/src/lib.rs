//! Phantoms: chest films drawn by physics, with the exact truth.
//!
//! A point source 1 to 1.8 m from the detector; soft tissues as solids whose chords along each ray
//! are closed forms, cut out of one another; bones as hollow tubes, the vertebrae as tilted
//! cylinders with endplates; Beer and Lambert's law at two energies, scatter and grid, noise by
//! dose, blur, raw values, and the curve, window and header of a unit. Everything but the coronal
//! curve is drawn alike for both classes: build, posture, diseases, devices, exposure.

mod beam;
mod bones;
mod camera;
mod chord;
mod clouding;
pub mod curve;
mod develop;
mod elementary;
mod elsewhere;
pub mod files;
mod findings;
mod layer;
mod marks;
mod objects;
mod organs;
mod patient;
mod pelvis;
mod pen;
mod phantom;
mod rng;
mod ruler;
mod sections;
pub mod spine;
#[cfg(test)]
mod tests;
mod tissue;
mod vertebrae;
mod vessels;

pub use develop::Film;
pub use layer::Size;
pub use patient::Patient;
pub use phantom::{FilmSpec, Frame, Phantom, REFUSALS};
pub use rng::Variates;
