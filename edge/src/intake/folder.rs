//! Films from a watched folder, such as a share that a unit exports to. A file is taken once it is
//! whole: after its writer has closed or renamed it, or when its size has not changed for a while,
//! and if nothing of it is missing. The system's events make that quick; a scan finds what no event
//! told, as network shares send none.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver as Queue, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind, RenameMode};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use plumbline_shared::durable::is_unfinished;

use super::receiver::{ReceiveError, Receiver, Way};
use crate::config::After;
use crate::pulse::Pulse;
use crate::store::{FileVersion, Origin, StoreError};

/// The time between two scans.
const SCAN: Duration = Duration::from_secs(10);

/// How long a file's size must not change if no event told that it was closed.
const STABLE: Duration = Duration::from_secs(2);

/// How often the watcher looks whether the station is to stop.
const LOOK: Duration = Duration::from_millis(250);

/// Watches a folder.
pub struct Watcher {
    folder: PathBuf,
    after: After,
    receiver: Receiver,
    events: Queue<PathBuf>,
    seen: HashMap<PathBuf, Seen>,
    pulse: Arc<Pulse>,
    _watcher: Option<RecommendedWatcher>,
}

/// The version of the plain file `path`.
fn version_of(path: &Path) -> Option<FileVersion> {
    let metadata = fs::symlink_metadata(path).ok()?;
    metadata.is_file().then(|| version(&metadata))
}

fn version(metadata: &fs::Metadata) -> FileVersion {
    FileVersion {
        number: metadata.ino() as i64,
        bytes: metadata.len() as i64,
        written: metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec(),
    }
}

/// What is known of a file.
#[derive(Debug)]
struct Seen {
    version: FileVersion,
    since: Instant,
    state: FileState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FileState {
    /// It may still be written.
    Growing,
    /// It was stored.
    Stored,
    /// It is no whole film.
    Unreadable,
}

impl Watcher {
    /// Watches `folder`; `after` says what becomes of a file after it was stored.
    ///
    /// # Errors
    /// If the folder, or that for stored files, cannot be used.
    pub fn new(
        folder: &Path,
        after: After,
        receiver: Receiver,
        pulse: Arc<Pulse>,
    ) -> io::Result<Self> {
        fs::read_dir(folder)?;
        if let After::Move(target) = &after {
            fs::create_dir_all(target)?;
        }
        let (sender, events) = channel();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return };
            let whole = matches!(
                event.kind,
                EventKind::Access(AccessKind::Close(AccessMode::Write))
                    | EventKind::Modify(ModifyKind::Name(RenameMode::To))
            );
            for path in event.paths.into_iter().filter(|_| whole) {
                sender.send(path).ok();
            }
        });
        let watcher = watcher.and_then(|mut watcher| {
            watcher.watch(folder, RecursiveMode::NonRecursive)?;
            Ok(watcher)
        });
        if let Err(error) = &watcher {
            tracing::warn!(%error, "the watched folder sends no events: it is scanned every 10 s");
        }
        let stored = receiver.store.stored_files().map_err(io::Error::other)?;
        let seen = stored.into_iter().map(|(path, version)| {
            let seen = Seen {
                version,
                since: Instant::now(),
                state: FileState::Stored,
            };
            (path, seen)
        });
        Ok(Self {
            folder: folder.to_path_buf(),
            after,
            seen: seen.collect(),
            receiver,
            events,
            pulse,
            _watcher: watcher.ok(),
        })
    }

    /// Takes films until `stop` is true.
    pub fn run(mut self, stop: &AtomicBool) {
        let mut scanned: Option<Instant> = None;
        while !stop.load(Ordering::Relaxed) {
            self.pulse.beat();
            // A file that grew needs a second look sooner than the next scan.
            let growing = (self.seen.values()).any(|seen| seen.state == FileState::Growing);
            let pause = if growing { STABLE } else { SCAN };
            if scanned.is_none_or(|scanned| scanned.elapsed() >= pause) {
                self.scan(stop);
                scanned = Some(Instant::now());
            }
            match self.events.recv_timeout(LOOK) {
                Ok(path) => self.look(&path, true),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(LOOK),
            }
        }
    }

    /// Looks at every file in the folder.
    fn scan(&mut self, stop: &AtomicBool) {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) => {
                tracing::error!(%error, "the watched folder cannot be read");
                return;
            }
        };
        let paths: HashSet<_> = entries.flatten().map(|entry| entry.path()).collect();
        let store = &self.receiver.store;
        self.seen.retain(|path, seen| {
            let there = paths.contains(path);
            if !there
                && seen.state == FileState::Stored
                && let Err(error) = store.file_left(path)
            {
                tracing::warn!(%error, "a file that has left the watched folder is remembered");
            }
            there
        });
        for path in paths {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            self.look(&path, false);
        }
        let unreadable = self
            .seen
            .values()
            .filter(|seen| seen.state == FileState::Unreadable);
        self.receiver.metrics.unreadable_files(unreadable.count());
    }

    /// Takes a file if it is whole. `closed`: an event told that nobody writes it any more.
    fn look(&mut self, path: &Path, closed: bool) {
        if !is_candidate(path) {
            return;
        }
        let Some(version) = version_of(path) else {
            return;
        };
        let seen = self.seen.entry(path.to_path_buf()).or_insert(Seen {
            version,
            since: Instant::now(),
            state: FileState::Growing,
        });
        if seen.version != version {
            *seen = Seen {
                version,
                since: Instant::now(),
                state: FileState::Growing,
            };
        }
        let stable = closed || seen.since.elapsed() >= STABLE;
        if seen.state != FileState::Growing || !stable {
            return;
        }
        let state = match self.take(path) {
            // The file was replaced or written while it was read: look at it again.
            Ok(Some(read)) if Some(read) != version_of(path) => return,
            Ok(Some(read)) => self.settle(path, read),
            Ok(None) | Err(ReceiveError::Store(StoreError::TooLong { .. })) => {
                FileState::Unreadable
            }
            // The station, not the file: try again.
            Err(ReceiveError::Store(error)) => {
                tracing::error!(%error, "a file of the watched folder cannot be stored");
                return;
            }
            Err(ReceiveError::NotWhole(error)) if error.may_pass() => return,
            // It may be a copy that stopped for a while: a change brings it back.
            Err(_) => FileState::Unreadable,
        };
        if state == FileState::Unreadable {
            tracing::warn!(
                "a file in the watched folder is no whole film; `plumbline-edge check` names it"
            );
        }
        if let Some(seen) = self.seen.get_mut(path) {
            seen.state = state;
        }
    }

    /// Copies a file into the store, and returns the version that was read; none if the system does not
    /// give the file.
    fn take(&self, path: &Path) -> Result<Option<FileVersion>, ReceiveError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let opened = File::open(path).and_then(|file| Ok((file.metadata()?, file)));
        let Ok((metadata, mut file)) = opened else {
            return Ok(None);
        };
        let mut incoming = self.receiver.store.begin()?;
        let copied = incoming.write_all_of(&mut file, || self.pulse.beat())?;
        if copied.is_err() {
            return Ok(None);
        }
        let way = Way {
            origin: Origin::Folder,
            sender: &name,
            announced: None,
        };
        self.receiver.receive(incoming, &way)?;
        Ok(Some(version(&metadata)))
    }

    /// Does what is to be done with a file that was stored.
    fn settle(&self, path: &Path, version: FileVersion) -> FileState {
        let settled = match &self.after {
            After::Leave => {
                if let Err(error) = self.receiver.store.file_stays(path, version) {
                    tracing::warn!(%error, "a file that stays is read again after a restart");
                }
                Ok(())
            }
            After::Delete => fs::remove_file(path),
            After::Move(target) => {
                let name = path.file_name().unwrap_or_default();
                move_file(path, &target.join(name))
            }
        };
        if let Err(error) = settled {
            tracing::error!(%error, "a file that was stored cannot leave the watched folder");
        }
        FileState::Stored
    }
}

/// Moves a file, also to another file system, where it never replaces one.
fn move_file(from: &Path, to: &Path) -> io::Result<()> {
    let mut target = to.to_path_buf();
    for number in 1.. {
        if !target.exists() {
            break;
        }
        let mut name = to.as_os_str().to_owned();
        name.push(format!(".{number}"));
        target = name.into();
    }
    match fs::rename(from, &target) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            fs::copy(from, &target)?;
            File::open(&target)?.sync_all()?;
            fs::remove_file(from)
        }
        moved => moved,
    }
}

/// False for names that programs give to files they are still writing.
fn is_candidate(path: &Path) -> bool {
    let Some(name) = path.file_name() else {
        return false;
    };
    let text = name.to_string_lossy().to_lowercase();
    let temporary = [
        ".part",
        ".partial",
        ".tmp",
        ".temp",
        ".filepart",
        ".crdownload",
    ];
    !is_unfinished(name)
        && !text.starts_with(['.', '~'])
        && !temporary.iter().any(|suffix| text.ends_with(suffix))
}
