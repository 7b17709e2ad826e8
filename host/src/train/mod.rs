//! Training: a recipe, a cohort and a seed to a run.
//!
//! A run is a folder: `recipe.toml` and `run.json` (what was trained on what), `epochs.csv` (one
//! line an epoch), `curves.svg` and a TensorBoard event file (the same to look at), `train.log`,
//! `best.safetensors` (the best epoch's weights by validation ROC-AUC) and `checkpoint.safetensors`
//! (everything needed to go on after the last whole epoch).

mod augment;
mod average;
mod batches;
mod checkpoint;
mod curves;
mod epoch;
mod error;
mod events;
mod films;
mod frozen;
mod learner;
mod optimiser;
mod recipe;
mod rounds;
mod run;
mod tensorboard;
mod work;

pub use augment::Augmentation;
pub use batches::Sampling;
pub use error::TrainError;
pub use events::{Epoch, Event};
pub use films::PreparedFilms;
pub use optimiser::{Algorithm, Optimiser, Rule};
pub use plumbline_nets::ops::Loss;
pub use recipe::{Recipe, RecipeError, Round, Schedule, Trained};
pub use rounds::train;
pub use run::{Record, Run, RunError};
pub use work::Work;
