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
mod films;
mod frozen;
mod learner;
mod loss;
mod optimiser;
mod recipe;
mod rounds;
mod run;
mod tensorboard;
mod work;

pub use augment::Augmentation;
pub use batches::Sampling;
pub use checkpoint::replace_file;
pub use films::PreparedFilms;
pub use loss::Loss;
pub use optimiser::{Algorithm, Optimiser, Rule};
pub use recipe::{Recipe, RecipeError, Round, Schedule, Trained};
pub use rounds::{Epoch, Event, TrainError, train};
pub use run::{Record, Run, RunError};
pub use work::Work;
