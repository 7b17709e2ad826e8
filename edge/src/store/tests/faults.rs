//! A medium that fails at each place of a film's way.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// A medium whose operation of a number fails, and which tells how many there were.
struct Failing {
    fails: usize,
    kind: Fault,
    done: AtomicUsize,
}

/// How an operation fails.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// It is not done.
    Error,
    /// Half of the bytes are written.
    Torn,
    /// It is done, and yet an error is told.
    DoneButFailed,
    /// The disk is full.
    Full,
}

impl Failing {
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

#[test]
fn a_fault_at_any_place_of_a_films_way_loses_no_kept_film() {
    let mut places = HashMap::new();
    for kind in [Fault::Error, Fault::Torn, Fault::DoneButFailed, Fault::Full] {
        for fails in 0.. {
            let folder = TempDir::new().unwrap();
            // The folders are made on a sound disk: only the film's way is tried.
            drop(open(folder.path()));
            let medium = Arc::new(Failing {
                fails,
                kind,
                done: AtomicUsize::new(0),
            });
            let kept = Store::open(folder.path(), LIMITS, medium.clone())
                .and_then(|store| keep(&store, b"a film", "1.2.3"));
            let whole = medium.done.load(Ordering::Relaxed) <= fails;
            // The station starts again on a sound disk, and the sender sends again what it was not
            // told to forget.
            let store = open(folder.path());
            match &kept {
                Ok(kept) => assert_eq!(kept.film(), 1),
                Err(_) => {
                    assert!(store.newest(10).unwrap().is_empty(), "{kind:?} at {fails}");
                    assert_eq!(keep(&store, b"a film", "1.2.3").unwrap(), Kept::New(1));
                }
            }
            assert!(
                matches!(kept, Err(StoreError::Full { .. }) | Ok(_))
                    || !matches!(kind, Fault::Full)
            );
            assert_eq!(store.newest(10).unwrap(), [1]);
            assert!(store.damaged_films().unwrap().is_empty());
            read(&store, 1, 0.75);
            assert!(store.verify_audit().is_ok());
            let files = store.files.hashes().unwrap();
            assert_eq!(files.len(), 1);
            *places.entry(format!("{kind:?}")).or_insert(0) += usize::from(!whole);
            if whole {
                break;
            }
        }
    }
    println!("faults tried: {places:?}");
    assert!(places.values().all(|places| *places >= 8), "{places:?}");
}
