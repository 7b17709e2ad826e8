//! The films' files, each named after the SHA-256 of its bytes, in folders of two levels. A file
//! arrives in pieces under a temporary name in `incoming` and is hashed on the way.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use plumbline_shared::durable::{Medium, Unfinished};
use plumbline_shared::manifest::hexadecimal;
use sha2::{Digest, Sha256};

use super::error::StoreError;

/// How often the free space is looked at while a file arrives, in bytes.
const EVERY: u64 = 1 << 20;

/// Bytes that are copied at once.
const PIECE: usize = 1 << 20;

/// The films' files.
pub(super) struct Files {
    films: PathBuf,
    incoming: PathBuf,
    medium: Arc<dyn Medium + Send + Sync>,
    limits: Limits,
}

/// What films may take of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of a film's file.
    pub film: u64,
    /// The bytes of free space below which no film is received.
    pub reserve: u64,
    /// The bytes of free space below which delivered films leave, the oldest first.
    pub low_water: u64,
}

/// A film's file that is arriving.
pub struct Incoming {
    unfinished: Unfinished,
    hash: Sha256,
    bytes: u64,
    files: Arc<Files>,
}

impl Files {
    /// Opens the films' folder in `folder`, and removes what was arriving when the station stopped.
    pub(super) fn open(
        folder: &Path,
        medium: Arc<dyn Medium + Send + Sync>,
        limits: Limits,
    ) -> Result<Self, StoreError> {
        let files = Self::beside(folder, medium, limits);
        for folder in [&files.films, &files.incoming] {
            fs::create_dir_all(folder).map_err(|error| files.failed(folder, error))?;
        }
        files
            .medium
            .sync_folder(folder)
            .map_err(|error| files.failed(folder, error))?;
        for entry in entries(&files.incoming)? {
            fs::remove_file(&entry).map_err(|error| files.failed(&entry, error))?;
        }
        Ok(files)
    }

    /// Opens the films' folder in `folder` beside the process that receives films there.
    pub(super) fn beside(
        folder: &Path,
        medium: Arc<dyn Medium + Send + Sync>,
        limits: Limits,
    ) -> Self {
        Self {
            films: folder.join("films"),
            incoming: folder.join("incoming"),
            medium,
            limits,
        }
    }

    /// The file of the film with this hash.
    pub(super) fn path(&self, hash: &str) -> PathBuf {
        self.films.join(&hash[..2]).join(&hash[2..4]).join(hash)
    }

    /// Begins a file, if the disk has room for it.
    pub(super) fn begin(self: &Arc<Self>) -> Result<Incoming, StoreError> {
        self.require_room(0)?;
        let unfinished = Unfinished::create(&*self.medium, &self.incoming.join("film"));
        Ok(Incoming {
            unfinished: unfinished.map_err(|error| self.failed(&self.incoming, error))?,
            hash: Sha256::new(),
            bytes: 0,
            files: Arc::clone(self),
        })
    }

    /// Free space and size of the disk in bytes.
    pub(super) fn space(&self) -> Result<(u64, u64), StoreError> {
        let space = rustix::fs::statvfs(&self.films);
        let space = space.map_err(|error| self.failed(&self.films, error.into()))?;
        let bytes = |blocks: u64| blocks * space.f_frsize;
        Ok((bytes(space.f_bavail), bytes(space.f_blocks)))
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// Requires that the reserve stays free when so many bytes more are kept.
    pub(super) fn require_room(&self, bytes: u64) -> Result<(), StoreError> {
        match self.space()? {
            (free, _) if free < self.limits.reserve.saturating_add(bytes) => Err(self.full(free)),
            _ => Ok(()),
        }
    }

    /// Refuses below the reserve, from time to time while a file grows.
    pub(super) fn require_room_as_it_grows(
        &self,
        before: u64,
        after: u64,
    ) -> Result<(), StoreError> {
        match before / EVERY == after / EVERY {
            true => Ok(()),
            false => self.require_room(0),
        }
    }

    /// Appends bytes to a file.
    pub(super) fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        self.medium.write(file, bytes)
    }

    fn full(&self, free: u64) -> StoreError {
        StoreError::Full {
            free_mib: free >> 20,
            reserve_mib: self.limits.reserve >> 20,
        }
    }

    pub(super) fn failed(&self, path: &Path, error: io::Error) -> StoreError {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        match error.kind() {
            StorageFull | QuotaExceeded => self.full(0),
            _ => StoreError::File {
                path: path.to_path_buf(),
                error,
            },
        }
    }

    /// Removes the file of the film with this hash, if it is there.
    pub(super) fn remove(&self, hash: &str) -> Result<(), StoreError> {
        let path = self.path(hash);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.failed(&path, error)),
            _ => Ok(()),
        }
    }

    /// True if the file of the film with this hash is there and has the bytes that it had.
    pub(super) fn is_whole(&self, hash: &str) -> bool {
        self.digest(hash).is_ok_and(|digest| digest == hash)
    }

    /// The hash that the file of the film with this hash has now.
    pub(super) fn digest(&self, hash: &str) -> io::Result<String> {
        let mut digest = Sha256::new();
        let mut file = File::open(self.path(hash))?;
        let mut buffer = vec![0; 1 << 16];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(hexadecimal(&digest.finalize())),
                length => digest.update(&buffer[..length]),
            }
        }
    }

    /// Moves the file with this hash into the folder `orphans` beside the films'.
    pub(super) fn set_aside(&self, hash: &str) -> Result<(), StoreError> {
        let orphans = self.films.with_file_name("orphans");
        let moved = fs::create_dir_all(&orphans)
            .and_then(|()| fs::rename(self.path(hash), orphans.join(hash)));
        moved.map_err(|error| self.failed(&orphans, error))
    }

    /// The hashes of all files that are there.
    pub(super) fn hashes(&self) -> Result<Vec<String>, StoreError> {
        let mut hashes = Vec::new();
        let folders = |paths: Vec<PathBuf>| paths.into_iter().filter(|path| path.is_dir());
        for first in folders(entries(&self.films)?) {
            for second in folders(entries(&first)?) {
                for file in entries(&second)? {
                    let name = file.file_name().unwrap_or_default().to_string_lossy();
                    let is_hash = name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit());
                    if is_hash && self.path(&name) == file {
                        hashes.push(name.into_owned());
                    }
                }
            }
        }
        Ok(hashes)
    }

    /// Makes the two folders of a hash, so that they survive a power cut.
    fn make_folders(&self, path: &Path) -> Result<(), StoreError> {
        let second = path.parent().unwrap_or(&self.films);
        let first = second.parent().unwrap_or(&self.films);
        for (folder, parent) in [(first, &*self.films), (second, first)] {
            match fs::create_dir(folder) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(self.failed(folder, error)),
            }
            // Also where it was there: another thread may just have made it, without syncing yet.
            self.medium
                .sync_folder(parent)
                .map_err(|error| self.failed(parent, error))?;
        }
        Ok(())
    }
}

impl Incoming {
    /// Appends bytes to the file.
    ///
    /// # Errors
    /// If the file becomes too long, or the disk does not take it.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let files = &self.files;
        let (before, length) = (self.bytes, bytes.len() as u64);
        self.bytes = before.saturating_add(length);
        if self.bytes > files.limits.film {
            let most_mib = files.limits.film >> 20;
            return Err(StoreError::TooLong { most_mib });
        }
        files.require_room_as_it_grows(before, self.bytes)?;
        self.hash.update(bytes);
        let written = self.unfinished.write(&*files.medium, bytes);
        written.map_err(|error| files.failed(self.unfinished.temporary(), error))
    }

    /// Appends everything that `source` has; `goes_on` is called before each piece. An error within
    /// `Ok` is the source's.
    ///
    /// # Errors
    /// As [`Incoming::write`].
    pub fn write_all_of(
        &mut self,
        source: &mut impl Read,
        mut goes_on: impl FnMut(),
    ) -> Result<io::Result<()>, StoreError> {
        let mut piece = vec![0; PIECE];
        loop {
            goes_on();
            match source.read(&mut piece) {
                Ok(0) => return Ok(Ok(())),
                Ok(length) => self.write(&piece[..length])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Ok(Err(error)),
            }
        }
    }

    /// The file's present name, under which it can be read.
    pub fn path(&self) -> &Path {
        self.unfinished.temporary()
    }

    /// Number of bytes so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The SHA-256 of the bytes so far, in hexadecimal digits.
    pub(super) fn hash(&self) -> String {
        hexadecimal(&self.hash.clone().finalize())
    }

    /// Gives the file its final name, after its hash. It survives a power cut from then on.
    pub(super) fn finish(self, hash: &str) -> Result<(), StoreError> {
        let files = self.files;
        let path = files.path(hash);
        files.make_folders(&path)?;
        let finished = self.unfinished.finish_as(&*files.medium, &path);
        finished.map_err(|error| files.failed(&path, error))
    }
}

/// The paths in a folder.
pub(super) fn entries(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let paths = fs::read_dir(folder).and_then(|entries| {
        let paths = entries.map(|entry| entry.map(|entry| entry.path()));
        paths.collect::<io::Result<Vec<_>>>()
    });
    paths.map_err(|error| StoreError::File {
        path: folder.to_path_buf(),
        error,
    })
}
