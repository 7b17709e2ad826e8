//! Many files that are synced and get their names on threads of their own.
//!
//! A sync waits for the medium, some milliseconds for every file, so that many wait together here
//! while the calling threads make further files. What holds for one file of
//! [`plumbline_shared::durable`] holds for each: under its name it is whole. The names themselves
//! survive a power cut once [`finishing`] has returned.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use plumbline_shared::durable::{Medium, Unfinished};

/// Threads that sync.
const THREADS: usize = 8;

/// Files that may wait for these.
const WAITING: usize = 32;

/// A file that cannot be written.
#[derive(Debug)]
pub(super) struct Unwritten {
    /// The file.
    pub(super) file: PathBuf,
    /// The system's reason.
    pub(super) source: io::Error,
}

/// Takes files that are to be finished.
pub(super) struct Finisher<'a> {
    medium: FoldersLater<'a>,
    sender: SyncSender<(PathBuf, Unfinished)>,
    failure: &'a Mutex<Option<Unwritten>>,
}

impl Finisher<'_> {
    /// Writes a file, by `fill`, that is going to be called `path`. It may not be there yet when
    /// this returns.
    ///
    /// # Errors
    /// This file's, or that of one before it.
    pub(super) fn write(
        &self,
        path: &Path,
        fill: impl FnOnce(&mut &File) -> io::Result<()>,
    ) -> Result<(), Unwritten> {
        let mut earlier = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(failure) = earlier.take() {
            return Err(failure);
        }
        drop(earlier);
        let failed = |source| Unwritten {
            file: path.to_owned(),
            source,
        };
        let unfinished = Unfinished::create(&self.medium, path).map_err(failed)?;
        fill(&mut unfinished.file()).map_err(failed)?;
        let gone = |_| failed(io::Error::other("no thread is left to sync it"));
        self.sender
            .send((path.to_owned(), unfinished))
            .map_err(gone)
    }
}

/// Does `work`, which writes files into `folders`, and returns when all of them survive a power
/// cut.
///
/// # Errors
/// The work's, or that of a file. Other files may be there then, each of them whole.
pub(super) fn finishing<R, E: From<Unwritten>>(
    medium: &(dyn Medium + Sync),
    folders: &[PathBuf],
    work: impl FnOnce(&Finisher<'_>) -> Result<R, E>,
) -> Result<R, E> {
    let failure = Mutex::new(None);
    let (sender, receiver) = sync_channel(WAITING);
    let receiver = Mutex::new(receiver);
    let result = thread::scope(|scope| {
        let (receiver, failure) = (&receiver, &failure);
        let threads: Vec<_> = (0..THREADS)
            .map(|_| scope.spawn(move || finish_all(&FoldersLater(medium), receiver, failure)))
            .collect();
        let finisher = Finisher {
            medium: FoldersLater(medium),
            sender,
            failure,
        };
        let result = work(&finisher);
        // The threads end when nothing can come any more.
        drop(finisher);
        for thread in threads {
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
        result
    })?;
    if let Some(failure) = failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(failure.into());
    }
    for folder in folders {
        medium.sync_folder(folder).map_err(|source| Unwritten {
            file: folder.clone(),
            source,
        })?;
    }
    Ok(result)
}

/// Finishes files as they come.
fn finish_all(
    medium: &FoldersLater<'_>,
    receiver: &Mutex<Receiver<(PathBuf, Unfinished)>>,
    failure: &Mutex<Option<Unwritten>>,
) {
    loop {
        let next = receiver
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv();
        let Ok((file, unfinished)) = next else {
            return;
        };
        if let Err(source) = unfinished.finish(medium) {
            let mut failure = failure.lock().unwrap_or_else(PoisonError::into_inner);
            failure.get_or_insert(Unwritten { file, source });
        }
    }
}

/// A medium whose folders are synced later.
struct FoldersLater<'a>(&'a (dyn Medium + Sync));

impl Medium for FoldersLater<'_> {
    fn create(&self, path: &Path) -> io::Result<File> {
        self.0.create(path)
    }

    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        self.0.write(file, bytes)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        self.0.sync(file)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        self.0.exchange(one, other)
    }

    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

/// Makes a folder and those above it, and returns those that were not there, the highest first.
///
/// # Errors
/// The system's.
pub(super) fn create_folders(medium: &dyn Medium, folder: &Path) -> io::Result<Vec<PathBuf>> {
    let is_absent = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.exists();
    let absent = folder.ancestors().take_while(is_absent);
    let mut made: Vec<PathBuf> = absent.map(Path::to_owned).collect();
    made.reverse();
    fs::create_dir_all(folder)?;
    for folder in &made {
        let parent = folder
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        medium.sync_folder(parent.unwrap_or(Path::new(".")))?;
    }
    Ok(made)
}
