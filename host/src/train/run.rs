//! A run's folder.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use candle_core::Device;
use plumbline_shared::durable::{Disk, Medium, is_unfinished, remove_unfinished, replace_file_on};
use serde::{Deserialize, Serialize};

use super::checkpoint::{self, Progress};
use super::curves::curves;
use super::events::Epoch;
use super::learner::OptimiserState;
use super::recipe::{Recipe, RecipeError};
use super::tensorboard;
use plumbline_nets::{Network, Parameters, Variant, WeightsError, WeightsFile, weights_to_bytes};

/// An error of a run's folder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The folder holds a run already.
    #[error("{} holds a run; give --resume to continue it, or another folder", .0.display())]
    Begun(PathBuf),
    /// The folder holds something else.
    #[error("{} is not empty and holds no run; give a new folder", .0.display())]
    NotEmpty(PathBuf),
    /// The folder holds a run of something else.
    #[error("{path} holds another run: its {what} is not the given one; give another folder")]
    Different {
        /// The folder.
        path: PathBuf,
        /// The part that differs.
        what: &'static str,
    },
    /// A file could not be read or written.
    #[error("cannot use {path}: {source}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{path} is not the record of a run: {what}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The fault.
        what: String,
    },
    /// The recipe.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// The weights.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The network could not be built.
    #[error(transparent)]
    Network(#[from] candle_core::Error),
}

/// The material of a run, kept in `run.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The cohort's fingerprint.
    pub cohort: String,
    /// The preprocessing's fingerprint.
    pub preprocessing: String,
    /// The initial weights' SHA-256, where some were given.
    pub initial_weights: Option<String>,
    /// Training and validation films that cannot be used.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: usize,
    /// The variant of the network, which the initial weights decide.
    #[serde(default, skip_serializing_if = "Variant::is_default")]
    pub variant: Variant,
    /// The program's version.
    pub plumbline: String,
    /// The git revision of its sources, where it was built in a repository.
    pub revision: Option<String>,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// A run's folder with its recipe.
pub struct Run {
    folder: PathBuf,
    /// The medium that its files are kept on.
    medium: Box<dyn Medium + Send + Sync>,
    /// The run's recipe.
    pub recipe: Recipe,
    /// The run's material.
    pub record: Record,
}

fn file_error(path: &Path) -> impl FnOnce(io::Error) -> RunError + use<> {
    let path = path.to_owned();
    |source| RunError::File { path, source }
}

impl Run {
    /// Begins a run in a new or empty folder, or, with `resume`, opens the one begun there with
    /// the same recipe and material. A folder in which a run was about to begin counts as empty.
    ///
    /// # Errors
    /// If the folder is not empty, cannot be written, or holds another run.
    pub fn begin(
        folder: &Path,
        recipe: Recipe,
        record: Record,
        resume: bool,
    ) -> Result<Self, RunError> {
        Self::begin_on(Box::new(Disk), folder, recipe, record, resume)
    }

    /// [`begin`](Self::begin) with the run's files on any medium.
    ///
    /// # Errors
    /// As [`begin`](Self::begin), and the medium's.
    pub fn begin_on(
        medium: Box<dyn Medium + Send + Sync>,
        folder: &Path,
        recipe: Recipe,
        record: Record,
        resume: bool,
    ) -> Result<Self, RunError> {
        fs::create_dir_all(folder).map_err(file_error(folder))?;
        remove_unfinished(folder);
        if folder.join("run.json").exists() {
            if !resume {
                return Err(RunError::Begun(folder.to_owned()));
            }
            let run = Self {
                medium,
                ..Self::open(folder)?
            };
            run.require_same(&recipe, &record)?;
            return Ok(run);
        }
        // run.json is written after recipe.toml: without it nothing has begun.
        let ours = |entry: fs::DirEntry| {
            let name = entry.file_name();
            name == "recipe.toml" || is_unfinished(&name)
        };
        for entry in fs::read_dir(folder).map_err(file_error(folder))? {
            if !ours(entry.map_err(file_error(folder))?) {
                return Err(RunError::NotEmpty(folder.to_owned()));
            }
        }
        let run = Self {
            folder: folder.to_owned(),
            medium,
            recipe,
            record,
        };
        let malformed = |what: String| RunError::Malformed {
            path: folder.to_owned(),
            what,
        };
        let recipe = toml::to_string(&run.recipe).map_err(|error| malformed(error.to_string()))?;
        run.replace("recipe.toml", recipe.as_bytes())?;
        let record =
            serde_json::to_string_pretty(&run.record).map_err(|e| malformed(e.to_string()))?;
        run.replace("run.json", record.as_bytes())?;
        Ok(run)
    }

    /// Refuses to go on with another recipe or other material; logs another revision.
    fn require_same(&self, recipe: &Recipe, record: &Record) -> Result<(), RunError> {
        let different = |what| RunError::Different {
            path: self.folder.clone(),
            what,
        };
        if self.recipe != *recipe {
            return Err(different("recipe"));
        }
        let same_revision = Record {
            revision: self.record.revision.clone(),
            ..record.clone()
        };
        if self.record != same_revision {
            return Err(different(
                "cohort, films that can be used, initial weights or version",
            ));
        }
        if self.record != *record {
            let revision = record.revision.as_deref().unwrap_or("unknown");
            self.log(&format!("goes on at revision {revision}"))?;
        }
        Ok(())
    }

    /// Opens a run for what it has learnt.
    ///
    /// # Errors
    /// If the folder is not a run's.
    pub fn open(folder: &Path) -> Result<Self, RunError> {
        let recipe = Recipe::read(&folder.join("recipe.toml"))?;
        let path = folder.join("run.json");
        let text = fs::read_to_string(&path).map_err(file_error(&path))?;
        let record = serde_json::from_str(&text).map_err(|error| RunError::Malformed {
            path,
            what: error.to_string(),
        })?;
        Ok(Self {
            folder: folder.to_owned(),
            medium: Box::new(Disk),
            recipe,
            record,
        })
    }

    /// The best epoch's weights.
    pub fn best_weights(&self) -> PathBuf {
        self.folder.join("best.safetensors")
    }

    /// The state after the last whole epoch.
    pub fn checkpoint(&self) -> PathBuf {
        self.folder.join("checkpoint.safetensors")
    }

    /// Keeps the weights as the best so far.
    ///
    /// # Errors
    /// If they cannot be written.
    pub(super) fn save_best(&self, parameters: &Parameters) -> Result<(), RunError> {
        let description = self.recipe.description(self.record.variant);
        let bytes = weights_to_bytes(&parameters.tensors(), &description)?;
        self.replace("best.safetensors", &bytes)
    }

    /// Keeps the state after an epoch.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn save_checkpoint(
        &self,
        parameters: &Parameters,
        state: &OptimiserState,
        progress: Progress,
    ) -> Result<(), RunError> {
        let bytes = checkpoint::to_bytes(parameters, state, progress)?;
        self.replace("checkpoint.safetensors", &bytes)
    }

    /// The network with the best epoch's weights, on the CPU.
    ///
    /// # Errors
    /// If there are none yet, or they are not this network's.
    pub fn network(&self) -> Result<(Network, Parameters), RunError> {
        let mut parameters = Parameters::blank(&Device::Cpu);
        let (architecture, variant) = (self.recipe.architecture, self.record.variant);
        let network = Network::build(architecture, variant, self.recipe.head(), &mut parameters)?;
        WeightsFile::read(&self.best_weights())?.give_all(&parameters)?;
        Ok((network, parameters))
    }

    /// The epochs recorded so far.
    ///
    /// # Errors
    /// If the record cannot be read.
    pub fn epochs(&self) -> Result<Vec<Epoch>, RunError> {
        let path = self.folder.join("epochs.csv");
        if !path.exists() {
            return Ok(Vec::new());
        }
        let text = fs::read(&path).map_err(file_error(&path))?;
        csv::Reader::from_reader(&text[..])
            .deserialize()
            .collect::<Result<_, _>>()
            .map_err(|error| RunError::Malformed {
                path,
                what: error.to_string(),
            })
    }

    /// Replaces the record of epochs: the table, the curves and TensorBoard's events.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn record_epochs(&self, epochs: &[Epoch]) -> Result<(), RunError> {
        let malformed = |name: &str| {
            let path = self.folder.join(name);
            move |what: String| RunError::Malformed { path, what }
        };
        let mut table = csv::Writer::from_writer(Vec::new());
        for epoch in epochs {
            table
                .serialize(epoch)
                .map_err(|error| malformed("epochs.csv")(error.to_string()))?;
        }
        let table = table
            .into_inner()
            .map_err(|error| malformed("epochs.csv")(error.to_string()))?;
        self.replace("epochs.csv", &table)?;
        let curves = curves(epochs).map_err(|error| malformed("curves.svg")(error.to_string()))?;
        self.replace("curves.svg", curves.as_bytes())?;
        self.replace(tensorboard::EVENTS, &tensorboard::file(epochs))
    }

    /// Adds a line to the run's log, with the time.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn log(&self, line: &str) -> Result<(), RunError> {
        let path = self.folder.join("train.log");
        let time = humantime::format_rfc3339_seconds(SystemTime::now());
        let mut options = OpenOptions::new();
        options
            .create(true)
            .append(true)
            .open(&path)
            .and_then(|mut file| writeln!(file, "{time} {line}"))
            .map_err(file_error(&path))
    }

    fn replace(&self, name: &str, content: &[u8]) -> Result<(), RunError> {
        let path = self.folder.join(name);
        replace_file_on(&*self.medium, &path, content).map_err(file_error(&path))
    }
}
