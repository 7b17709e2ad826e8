//! Films that come in parts, over one connection after the other: what has come of each lies in the
//! folder `parts` under the film's SHA-256, also after a restart.
//!
//! These files are not synced. After a power cut any bytes may be in them, so they are hashed again
//! whenever the film's sender goes on, and the sender compares.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use plumbline_shared::manifest::hexadecimal;
use plumbline_wire::object::{Chunk, Have, Object, ObjectError, Progress, Receiving};

use super::Store;
use super::error::StoreError;
use super::files::{Incoming, entries};

/// The most films of which parts are kept while nobody sends them.
const MOST: usize = 8;

/// The age from which on parts of a film that nobody sends are removed.
const OLD: Duration = Duration::from_secs(3 * 24 * 3600);

/// Bytes that are read from a file at once.
const PIECE: usize = 64 << 10;

/// An error of a film that comes in parts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PartError {
    /// The disk does not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The bytes are not the film's, or not the next ones.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// Another connection sends the same film now.
    #[error("the film is now sent over another connection")]
    TakenOver,
}

/// The films of which parts have come.
#[derive(Default)]
pub(super) struct Parts {
    /// The films that are being sent, each with whether its connection may still write.
    sent: Mutex<HashMap<[u8; 32], Claim>>,
}

type Claim = Arc<Mutex<bool>>;

/// A film that comes in parts.
pub struct Part<'s> {
    store: &'s Store,
    object: Object,
    receiving: Receiving,
    file: File,
    path: PathBuf,
    claim: Claim,
}

impl Store {
    /// Begins to receive a film in parts, or goes on with it. If another connection does so, it is
    /// ended: its host has most likely lost it.
    ///
    /// # Errors
    /// If the film is too long, the disk has no room for it or cannot be used.
    pub fn part(&self, object: Object) -> Result<Part<'_>, PartError> {
        let receiving = Receiving::new(object)?;
        let most = self.files.limits().film;
        if object.length > most {
            let most_mib = most >> 20;
            return Err(StoreError::TooLong { most_mib }.into());
        }
        let folder = self.parts_folder();
        let path = folder.join(hexadecimal(&object.sha256));
        let failed = |error| self.files.failed(&path, error);
        fs::create_dir_all(&folder).map_err(failed)?;
        let claim = self.claim(object.sha256);
        let mut options = File::options();
        let options = options.read(true).write(true).create(true).truncate(false);
        let file = options.open(&path).map_err(|error| {
            self.parts.sent().remove(&object.sha256);
            failed(error)
        })?;
        let mut part = Part {
            store: self,
            object,
            receiving,
            file,
            path: path.clone(),
            claim,
        };
        part.read_again().map_err(failed)?;
        self.trim_parts()?;
        let missing = object.length - part.have().offset;
        self.files.require_room(missing)?;
        Ok(part)
    }

    /// Removes parts of films that nobody sends: old ones, the oldest where there are too many, and
    /// all of them where the disk is full.
    ///
    /// # Errors
    /// If the disk cannot be used.
    pub fn trim_parts(&self) -> Result<(), StoreError> {
        let folder = self.parts_folder();
        if !folder.exists() {
            return Ok(());
        }
        // Held until the files are gone: nobody may begin with one of them meanwhile.
        let sent = self.parts.sent();
        let is_sent = |path: &Path| {
            let mut sent = sent.keys().map(|sha256| folder.join(hexadecimal(sha256)));
            sent.any(|sent| sent == path)
        };
        let mut idle = Vec::new();
        for path in entries(&folder)? {
            let written = fs::metadata(&path).and_then(|file| file.modified());
            if !is_sent(&path) {
                idle.push((written.unwrap_or(SystemTime::UNIX_EPOCH), path));
            }
        }
        idle.sort();
        let full = !self.has_room()?;
        let too_many = idle.len().saturating_sub(MOST);
        for (index, (written, path)) in idle.into_iter().enumerate() {
            let old = written.elapsed().is_ok_and(|age| age >= OLD);
            if full || old || index < too_many {
                fs::remove_file(&path).map_err(|error| self.files.failed(&path, error))?;
            }
        }
        Ok(())
    }

    fn parts_folder(&self) -> PathBuf {
        self.folder.join("parts")
    }

    /// Claims the film for this connection alone.
    fn claim(&self, film: [u8; 32]) -> Claim {
        let claim = Arc::new(Mutex::new(true));
        let before = self.parts.sent().insert(film, Arc::clone(&claim));
        if let Some(before) = before {
            // Waits until what is just being written is written.
            *lock(&before) = false;
        }
        claim
    }
}

impl Parts {
    fn sent(&self) -> MutexGuard<'_, HashMap<[u8; 32], Claim>> {
        lock(&self.sent)
    }
}

impl Part<'_> {
    /// What has come of the film.
    pub fn have(&self) -> Have {
        self.receiving.have()
    }

    /// True if all of it has come.
    pub fn is_whole(&self) -> bool {
        self.have().offset == self.object.length
    }

    /// Keeps bytes of the film.
    ///
    /// # Errors
    /// [`PartError`]. After one of the store the film must be begun again.
    pub fn write(&mut self, chunk: &Chunk) -> Result<Progress, PartError> {
        let claim = Arc::clone(&self.claim);
        let mine = lock(&claim);
        if !*mine {
            return Err(PartError::TakenOver);
        }
        let files = &self.store.files;
        let progress = self.receiving.accept(chunk);
        let failed = |error| files.failed(&self.path, error);
        let begins = progress.is_ok() && chunk.offset == 0;
        if begins || progress == Err(ObjectError::Mismatch) {
            empty(&mut self.file).map_err(failed)?;
        }
        let progress = progress?;
        let end = chunk.offset + chunk.bytes.len() as u64;
        files.require_room_as_it_grows(chunk.offset, end)?;
        let written = files.write(&mut self.file, chunk.bytes);
        written.map_err(failed)?;
        Ok(progress)
    }

    /// Copies the film, which is whole, to where films arrive.
    ///
    /// # Errors
    /// If the disk does not take it, or has not kept the bytes.
    pub fn incoming(&mut self) -> Result<Incoming, PartError> {
        let mut incoming = self.store.begin()?;
        let failed = |error| self.store.files.failed(&self.path, error);
        self.file.rewind().map_err(failed)?;
        let copied = incoming.write_all_of(&mut self.file, || {})?;
        copied.map_err(failed)?;
        match incoming.hash() == hexadecimal(&self.object.sha256) {
            true => Ok(incoming),
            false => Err(ObjectError::Mismatch.into()),
        }
    }

    /// Removes the parts: the film is kept, or never can be.
    ///
    /// # Errors
    /// If the disk cannot be used.
    pub fn remove(self) -> Result<(), StoreError> {
        let mine = lock(&self.claim);
        match *mine {
            true => {
                let removed = fs::remove_file(&self.path);
                removed.map_err(|error| self.store.files.failed(&self.path, error))
            }
            false => Ok(()),
        }
    }

    /// Hashes what has come before; what cannot be the film's is forgotten.
    fn read_again(&mut self) -> io::Result<()> {
        let mut piece = vec![0; PIECE];
        loop {
            let offset = self.have().offset;
            let length = match self.file.read(&mut piece) {
                Ok(0) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                length => length?,
            };
            let bytes = &piece[..length];
            if self.receiving.accept(&Chunk { offset, bytes }).is_err() {
                empty(&mut self.file)?;
                // Only an empty object cannot be received.
                self.receiving = Receiving::new(self.object).map_err(io::Error::other)?;
                return Ok(());
            }
        }
    }
}

impl Drop for Part<'_> {
    fn drop(&mut self) {
        let mut sent = self.store.parts.sent();
        let mine = sent.get(&self.object.sha256);
        if mine.is_some_and(|claim| Arc::ptr_eq(claim, &self.claim)) {
            sent.remove(&self.object.sha256);
        }
    }
}

fn empty(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that is done under these locks can be half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::store::tests::{LIMITS, open};
    use crate::store::{Limits, Store, disk};

    fn named(bytes: &[u8]) -> Object {
        Object {
            sha256: Sha256::digest(bytes).into(),
            length: bytes.len() as u64,
        }
    }

    fn write(part: &mut Part, offset: u64, bytes: &[u8]) -> Result<Progress, PartError> {
        part.write(&Chunk { offset, bytes })
    }

    #[test]
    fn a_film_comes_in_parts_also_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let film = b"a whole film";
        let store = open(folder.path());
        let mut part = store.part(named(film)).unwrap();
        assert_eq!(write(&mut part, 0, b"a wh").unwrap(), Progress::More);
        assert!(matches!(
            write(&mut part, 9, b"lm"),
            Err(PartError::Object(_))
        ));
        drop(part);
        drop(store);
        let store = open(folder.path());
        let mut part = store.part(named(film)).unwrap();
        assert_eq!((part.have().offset, part.is_whole()), (4, false));
        assert_eq!(write(&mut part, 4, b"ole film").unwrap(), Progress::Whole);
        assert!(part.is_whole());
        let incoming = part.incoming().unwrap();
        assert_eq!(fs::read(incoming.path()).unwrap(), film);
        // Its connection broke before it was kept.
        drop((part, incoming));
        let part = store.part(named(film)).unwrap();
        assert!(part.is_whole());
        part.remove().unwrap();
        assert_eq!(store.part(named(film)).unwrap().have().offset, 0);
    }

    #[test]
    fn what_is_not_the_film_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        let mut part = store.part(named(b"film")).unwrap();
        let path = part.path.clone();
        write(&mut part, 0, b"fi").unwrap();
        let wrong = write(&mut part, 2, b"ne");
        assert!(matches!(
            wrong,
            Err(PartError::Object(ObjectError::Mismatch))
        ));
        assert_eq!(fs::read(&path).unwrap(), b"");
        // It is begun anew on the same connection.
        write(&mut part, 0, b"fo").unwrap();
        write(&mut part, 0, b"fi").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"fi");
        assert_eq!(write(&mut part, 2, b"lm").unwrap(), Progress::Whole);
        // What was damaged behind the program's back is noticed before it is kept.
        fs::write(&path, b"fool").unwrap();
        assert!(matches!(
            part.incoming(),
            Err(PartError::Object(ObjectError::Mismatch))
        ));
        drop(part);
        for damaged in [&b"fool"[..], b"longer than the film"] {
            fs::write(&path, damaged).unwrap();
            assert_eq!(store.part(named(b"film")).unwrap().have().offset, 0);
            assert_eq!(fs::read(&path).unwrap(), b"");
        }
    }

    #[test]
    fn the_latest_connection_has_the_film() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        let mut first = store.part(named(b"film")).unwrap();
        write(&mut first, 0, b"fi").unwrap();
        let mut second = store.part(named(b"film")).unwrap();
        assert!(matches!(
            write(&mut first, 2, b"l"),
            Err(PartError::TakenOver)
        ));
        // Its end takes nothing from the other.
        first.remove().unwrap();
        assert_eq!(write(&mut second, 2, b"lm").unwrap(), Progress::Whole);
        assert_eq!(store.parts.sent().len(), 1);
        drop(second);
        assert!(store.parts.sent().is_empty());
    }

    #[test]
    fn parts_take_no_more_of_the_disk_than_they_may() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        let limit = LIMITS.film;
        let mut film = named(b"film");
        film.length = limit + 1;
        let long = store.part(film).map(|_| ());
        assert!(matches!(
            long,
            Err(PartError::Store(StoreError::TooLong { .. }))
        ));
        film.length = 0;
        assert!(store.part(film).is_err());
        let begin = |store: &Store, number: u8| {
            let mut part = store.part(named(&[number; 9])).unwrap();
            write(&mut part, 0, &[number]).unwrap();
            part.path.clone()
        };
        let mut paths: Vec<_> = (0..MOST as u8)
            .map(|number| begin(&store, number))
            .collect();
        let age = |path: &Path, age: Duration| {
            let file = File::options().append(true).open(path).unwrap();
            file.set_modified(SystemTime::now() - age).unwrap();
        };
        for (index, path) in paths.iter().enumerate() {
            age(path, Duration::from_secs(600 - index as u64));
        }
        paths.push(begin(&store, 100));
        // The newest one was being sent while it was looked.
        store.trim_parts().unwrap();
        let there = |paths: &[PathBuf]| paths.iter().filter(|path| path.exists()).count();
        assert!(!paths[0].exists() && there(&paths) == MOST);
        age(&paths[5], OLD);
        let sent = store.part(named(&[6; 9])).unwrap();
        age(&paths[6], 2 * OLD);
        store.trim_parts().unwrap();
        assert!(!paths[5].exists() && paths[6].exists() && there(&paths) == MOST - 1);
        drop(sent);
        drop(store);
        let full = Limits {
            reserve: u64::MAX / 2,
            ..LIMITS
        };
        let store = Store::open(folder.path(), full, disk()).unwrap();
        assert!(matches!(
            store.part(named(b"film")).map(|_| ()),
            Err(PartError::Store(StoreError::Full { .. }))
        ));
        assert_eq!(there(&paths), 0);
    }
}
