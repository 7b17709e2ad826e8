//! A film that is sent to a station to be read.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use plumbline_wire::host::{FromStation, ToStation};
use plumbline_wire::object::{CHUNK, Chunk, Have, Object, Sending};
use sha2::{Digest, Sha256};

use super::{Connection, DeviceError, Station};

/// Bytes that are hashed at once.
const PIECE: usize = 64 << 10;

/// A film's file.
pub struct FilmFile {
    path: PathBuf,
    file: File,
    name: String,
    object: Object,
}

/// What a station tells of a film.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The result's number.
    pub number: u64,
    /// The film as JSON, as `plumbline-edge films --json` prints it.
    pub line: String,
}

impl FilmFile {
    /// Opens the file, and hashes it.
    ///
    /// # Errors
    /// [`DeviceError::Film`], [`DeviceError::EmptyFilm`].
    pub fn open(path: &Path) -> Result<Self, DeviceError> {
        let failed = |error| DeviceError::Film {
            path: path.to_path_buf(),
            error,
        };
        let file = File::open(path).map_err(failed)?;
        let (sha256, length) = hash(&file, u64::MAX).map_err(failed)?;
        if length == 0 {
            let path = path.to_path_buf();
            return Err(DeviceError::EmptyFilm { path });
        }
        let name = path.file_name().unwrap_or_default();
        Ok(Self {
            path: path.to_path_buf(),
            file,
            name: name.to_string_lossy().into_owned(),
            object: Object { sha256, length },
        })
    }

    /// Bytes of the file.
    pub fn length(&self) -> u64 {
        self.object.length
    }

    /// Sends the film to `station`, as far as it is not there, and waits for its result. Where a
    /// connection breaks, another one goes on. `sent` is told how many bytes are there.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub fn screen(
        &self,
        station: &mut Station,
        mut sent: impl FnMut(u64),
    ) -> Result<Told, DeviceError> {
        let mut best = None;
        station.ask(|connection, tries| {
            let have = self.announce(connection)?;
            if best.is_none_or(|best| have.offset > best) {
                best = Some(have.offset);
                tries.progressed();
            }
            self.send(connection, &have, &mut sent)?;
            loop {
                match connection.hear()? {
                    FromStation::Waiting => tries.progressed(),
                    FromStation::Result { number, line } => {
                        let line = line.to_owned();
                        return Ok(Told { number, line });
                    }
                    _ => return Err(DeviceError::Unexpected),
                }
            }
        })
    }

    /// Announces the film, and returns what the station has of it.
    fn announce(&self, connection: &mut Connection) -> Result<Have, DeviceError> {
        let (name, film) = (&*self.name, self.object);
        connection.say(&ToStation::Screen { name, film })?;
        match connection.hear()? {
            FromStation::Have(have) => Ok(have),
            _ => Err(DeviceError::Unexpected),
        }
    }

    /// Sends what the station does not have.
    fn send(
        &self,
        connection: &mut Connection,
        have: &Have,
        sent: &mut impl FnMut(u64),
    ) -> Result<(), DeviceError> {
        let failed = |error| DeviceError::Film {
            path: self.path.clone(),
            error,
        };
        let (ours, _) = hash(&self.file, have.offset).map_err(failed)?;
        let mut sending = Sending::new(&self.object, have, ours);
        let mut bytes = vec![0; CHUNK];
        while let Some((offset, length)) = sending.next(CHUNK) {
            let bytes = &mut bytes[..length];
            self.file.read_exact_at(bytes, offset).map_err(failed)?;
            connection.say(&ToStation::Chunk(Chunk { offset, bytes }))?;
            sent(offset + length as u64);
        }
        Ok(())
    }
}

/// The SHA-256 of the first bytes of a file, at most `most`, and how many these are.
fn hash(file: &File, most: u64) -> io::Result<([u8; 32], u64)> {
    let mut hash = Sha256::new();
    let mut piece = vec![0; PIECE];
    let mut offset = 0;
    while offset < most {
        let room = usize::try_from(most - offset).unwrap_or(PIECE).min(PIECE);
        let length = match file.read_at(&mut piece[..room], offset) {
            Ok(0) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            length => length?,
        };
        hash.update(&piece[..length]);
        offset += length as u64;
    }
    Ok((hash.finalize().into(), offset))
}
