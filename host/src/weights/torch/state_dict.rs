//! The tensors of an object: a state dict, a checkpoint with one, or a whole module.

use crate::weights::error::WeightsImportError;
use crate::weights::pickle::{Id, Pickle, Value};

/// Keys under which checkpoints keep the weights; others have them under none.
const WEIGHTS: [&str; 4] = ["state_dict", "model_state_dict", "model", "net"];

/// Greatest depth of modules in each other.
const DEPTH: usize = 64;

/// Greatest number of entries of dictionaries that are looked at.
const MOST_ENTRIES: usize = 100_000;

/// Bytes of a name at most.
const LONGEST_NAME: usize = 300;

/// Returns everything in the pickle's weights that may be a tensor, with its name.
///
/// # Errors
/// If there is more of it than weights need.
pub fn named<'a>(pickle: &Pickle<'a>) -> Result<Vec<(String, Id)>, WeightsImportError> {
    let mut collector = Collector {
        pickle,
        named: Vec::new(),
        budget: MOST_ENTRIES,
    };
    collector.collect(weights(pickle), "", 0)?;
    Ok(collector.named)
}

/// Returns the place of the weights: the object itself, or the one that a checkpoint keeps under a
/// known key.
fn weights(pickle: &Pickle) -> Id {
    let mut root = pickle.root();
    for _ in 0..4 {
        let entries = pickle.entries(root);
        let found = WEIGHTS.iter().find_map(|key| {
            let (_, id) = entries.iter().find(|(name, _)| name == key)?;
            let holds = !pickle.entries(*id).is_empty() || state_of_module(pickle, *id).is_some();
            holds.then_some(*id)
        });
        match found {
            Some(id) => root = id,
            None => break,
        }
    }
    root
}

/// Returns the state of a pickled module: that of an object, if it has `_modules`.
fn state_of_module(pickle: &Pickle, id: Id) -> Option<Id> {
    let Value::Object {
        state: Some(state), ..
    } = *pickle.get(id)
    else {
        return None;
    };
    let mut entries = pickle.entries(state).into_iter();
    entries.any(|(key, _)| key == "_modules").then_some(state)
}

/// Walks dictionaries and modules.
struct Collector<'p, 'a> {
    pickle: &'p Pickle<'a>,
    named: Vec<(String, Id)>,
    /// Entries that may still be looked at: modules can share parts without end.
    budget: usize,
}

impl<'a> Collector<'_, 'a> {
    fn collect(&mut self, id: Id, prefix: &str, depth: usize) -> Result<(), WeightsImportError> {
        let Some(state) = state_of_module(self.pickle, id) else {
            return self.add(id, prefix);
        };
        for (part, id) in self.entries(state)? {
            match part {
                "_parameters" | "_buffers" => self.add(id, prefix)?,
                "_modules" if depth == DEPTH => {
                    return Err(WeightsImportError::damaged(
                        "its modules lie too deep in each other",
                    ));
                }
                "_modules" => {
                    for (key, id) in self.entries(id)? {
                        let inner = format!("{}.", name(prefix, key)?);
                        self.collect(id, &inner, depth + 1)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn add(&mut self, id: Id, prefix: &str) -> Result<(), WeightsImportError> {
        for (key, id) in self.entries(id)? {
            self.named.push((name(prefix, key)?, id));
        }
        Ok(())
    }

    fn entries(&mut self, id: Id) -> Result<Vec<(&'a str, Id)>, WeightsImportError> {
        let entries = self.pickle.entries(id);
        let left = self.budget.checked_sub(entries.len() + 1);
        self.budget =
            left.ok_or_else(|| WeightsImportError::damaged("it names more than weights need"))?;
        Ok(entries)
    }
}

fn name(prefix: &str, key: &str) -> Result<String, WeightsImportError> {
    if prefix.len() + key.len() > LONGEST_NAME {
        return Err(WeightsImportError::damaged(
            "its names are longer than any tensor's",
        ));
    }
    Ok(format!("{prefix}{key}"))
}
