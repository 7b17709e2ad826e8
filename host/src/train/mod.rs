//! Training: a recipe, a cohort and a seed to a run.
//!
//! A run is a folder: `recipe.toml` and `run.json` (what was trained on what), `epochs.csv` (one
//! line an epoch), `best.safetensors` (the best epoch's weights by validation ROC-AUC) and, while
//! it is going on, `checkpoint.safetensors` (everything needed to go on after the last whole
//! epoch).

mod augment;
mod batches;
mod checkpoint;
mod films;
mod loss;
mod optimiser;
mod recipe;
mod rounds;
mod run;

pub use augment::Augmentation;
pub use checkpoint::replace_file;
pub use films::PreparedFilms;
pub use loss::binary_cross_entropy;
pub use optimiser::{Algorithm, Optimiser};
pub use recipe::{Recipe, RecipeError, Round, Schedule, Trained};
pub use rounds::{Epoch, TrainError, train};
pub use run::{Record, Run, RunError};
