//! A disk whose power fails, for tests.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use plumbline_shared::durable::{Disk, Medium};

/// A disk that does a number of steps, and then no more.
pub(super) struct PowerCut(Mutex<State>);

struct State {
    /// Steps that are still done.
    left: usize,
    /// Files whose bytes may be lost.
    unsynced: Vec<PathBuf>,
    /// Renames that may be lost: names before and after.
    unsynced_names: Vec<[PathBuf; 2]>,
}

impl PowerCut {
    /// A disk that does `steps` steps.
    pub(super) fn after(steps: usize) -> Self {
        Self(Mutex::new(State {
            left: steps,
            unsynced: Vec::new(),
            unsynced_names: Vec::new(),
        }))
    }

    fn step<T>(&self, act: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.0.lock().unwrap();
        let left = state.left.checked_sub(1);
        state.left = left.ok_or_else(|| io::Error::other("the power is gone"))?;
        act(&mut state)
    }

    /// Leaves the disk as it may be found afterwards: all bytes that were not synced are lost, and
    /// if `names` says so the names as well.
    pub(super) fn lose_unsynced(self, names: bool) {
        let mut state = self.0.into_inner().unwrap();
        for file in &state.unsynced {
            if file.exists() {
                File::create(file).unwrap();
            }
        }
        state.unsynced_names.reverse();
        for [before, after] in state.unsynced_names {
            if names && after.exists() {
                fs::rename(after, before).unwrap();
            }
        }
    }
}

impl Medium for PowerCut {
    fn create(&self, path: &Path) -> io::Result<File> {
        self.step(|state| {
            state.unsynced.push(path.to_owned());
            Disk.create(path)
        })
    }

    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        self.step(|_| Disk.write(file, bytes))
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        self.step(|state| {
            let number = file.metadata()?.ino();
            let is_it = |path: &Path| path.metadata().is_ok_and(|other| other.ino() == number);
            state.unsynced.retain(|path| !is_it(path));
            Ok(())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(|state| {
            Disk.rename(from, to)?;
            for path in &mut state.unsynced {
                if let Ok(rest) = path.strip_prefix(from) {
                    *path = match rest == Path::new("") {
                        true => to.to_owned(),
                        false => to.join(rest),
                    };
                }
            }
            state.unsynced_names.push([from.into(), to.into()]);
            Ok(())
        })
    }

    fn exchange(&self, _: &Path, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.step(|state| {
            let is_there = |path: &Path| path.parent() == Some(folder);
            state.unsynced_names.retain(|[_, name]| !is_there(name));
            Ok(())
        })
    }
}
