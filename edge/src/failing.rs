//! A medium for tests, one operation of which fails.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use plumbline_shared::durable::{Disk, Medium};

/// A medium whose operation of a number fails, and which tells how many there were.
pub(crate) struct Failing {
    fails: usize,
    kind: Fault,
    done: AtomicUsize,
}

/// How an operation fails.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// It is not done.
    Error,
    /// Half of the bytes are written.
    Torn,
    /// It is done, and yet an error is told.
    DoneButFailed,
    /// The disk is full.
    Full,
}

impl Fault {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Error, Self::Torn, Self::DoneButFailed, Self::Full];
}

impl Failing {
    /// A medium whose operation of this number, from 0, fails.
    pub fn at(fails: usize, kind: Fault) -> Self {
        Self {
            fails,
            kind,
            done: AtomicUsize::new(0),
        }
    }

    /// True if that operation was tried.
    pub fn has_failed(&self) -> bool {
        self.done.load(Ordering::Relaxed) > self.fails
    }

    /// True if this operation is the one that fails.
    fn now(&self) -> bool {
        self.done.fetch_add(1, Ordering::Relaxed) == self.fails
    }

    fn error(&self) -> io::Error {
        match self.kind {
            Fault::Full => io::ErrorKind::StorageFull.into(),
            _ => io::Error::other("the medium failed"),
        }
    }

    fn run(&self, work: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        if !self.now() {
            return work();
        }
        if matches!(self.kind, Fault::DoneButFailed) {
            work()?;
        }
        Err(self.error())
    }
}

impl Medium for Failing {
    fn create(&self, path: &Path) -> io::Result<File> {
        match self.now() {
            true => Err(self.error()),
            false => Disk.create(path),
        }
    }

    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        if !self.now() {
            return Disk.write(file, bytes);
        }
        match self.kind {
            Fault::Torn => Disk.write(file, &bytes[..bytes.len() / 2])?,
            Fault::DoneButFailed => Disk.write(file, bytes)?,
            Fault::Error | Fault::Full => {}
        }
        Err(self.error())
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        self.run(|| Disk.sync(file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.run(|| Disk.rename(from, to))
    }

    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        self.run(|| Disk.exchange(one, other))
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.run(|| Disk.sync_folder(folder))
    }
}
