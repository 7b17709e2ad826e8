//! Putting an object on a stick: its file first, then the seal, then the DICOMDIR, each whole or not at all. A
//! stick that is pulled at any moment is a file-set that lacks at most the last object, and all that its DICOMDIR
//! names is sealed.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use minisign::PublicKey;
use plumbline_shared::decode::{MAX_BYTES, header};
use plumbline_shared::durable::{Medium, make_folder_on, remove_unfinished, replace_file_on};
use plumbline_shared::manifest::sha256;

use super::directory::{self, DICOMDIR, Directory, DirectoryError};
use super::key::SealKey;
use super::names::{FOLDER, SEAL, component, file_name};
use super::object::{Object, ObjectError};
use super::seal::{self, Seal, SealError};

/// The most names that are tried for a file, as others may have the same.
const MOST_TURNS: u32 = 16;

/// Two destinations may be the same stick.
static WRITING: Mutex<()> = Mutex::new(());

/// Why an object cannot be put on a stick.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StickError {
    /// There is no stick.
    #[error("{0} is not there: put the stick in")]
    NotThere(PathBuf),
    /// The stick cannot be read or written.
    #[error("{path} cannot be read or written ({error})")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Its DICOMDIR is none that could be extended.
    #[error(
        "the DICOMDIR there cannot be extended ({0}), and is left as it is: put another stick in, or move what \
         is on this one"
    )]
    Directory(DirectoryError),
    /// The station's own seal there does not hold.
    #[error("{0}, {1}, is left as it is: put another stick in, or move that folder", .path.display(), .error)]
    Seal {
        /// The station's folder.
        path: PathBuf,
        /// Why.
        error: SealError,
    },
    /// The object itself.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// Another object of its SOP Instance UID is there.
    #[error("{0} on the stick has the same SOP Instance UID and other bytes: neither is changed")]
    Other(String),
}

impl StickError {
    /// True if the object is to blame, and not the stick.
    pub fn is_of_object(&self) -> bool {
        matches!(self, Self::Object(_) | Self::Other(_))
    }
}

/// What became of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It was written, or what was not whole of it.
    Written,
    /// It was there.
    There,
}

/// Puts an object on the stick whose file-set is in the folder `root`, on `medium`, sealed by `key` of the
/// station whose AE title is `station`.
///
/// # Errors
/// [`StickError`]. Then what was there is there as it was.
pub fn put(
    medium: &dyn Medium,
    root: &Path,
    key: &SealKey,
    station: &str,
    object: &Object,
) -> Result<Put, StickError> {
    let _alone = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    object.require_uids()?;
    let mut directory = open_directory(root)?;
    let folder = root.join(FOLDER).join(key.folder());
    let mut seal = open_seal(&folder, key)?;
    let study = component('T', object.study());
    let in_study = folder.join(&study);
    make_folders(medium, root, &in_study)?;

    let (name, there) = free_name(&in_study, object)?;
    let id = [FOLDER, &*key.folder(), &study, &name];
    let entered = object
        .enter(&mut directory, &id)
        .map_err(|error| match error {
            ObjectError::Directory(error) => StickError::Directory(error),
            error => StickError::Object(error),
        })?;
    let mut put = Put::There;
    let mut write = |path: PathBuf, bytes: &[u8]| {
        put = Put::Written;
        let written = replace_file_on(medium, &path, bytes);
        written.map_err(|error| StickError::File { path, error })
    };
    if !there {
        write(in_study.join(&name), object.file)?;
    }
    let hash = sha256(object.file);
    let path = format!("{study}/{name}");
    if seal.files.insert(path, hash.clone()) != Some(hash) {
        let path = folder.join(SEAL);
        let sealed = seal.write(key, station);
        let sealed = sealed.map_err(|error| StickError::Seal {
            path: folder.clone(),
            error,
        })?;
        write(path, &sealed)?;
    }
    if entered {
        write(root.join(DICOMDIR), &directory.into_bytes())?;
    }
    Ok(put)
}

/// Looks whether an object could be put on a stick now; nothing is written.
///
/// # Errors
/// [`StickError`].
pub fn require_usable(root: &Path, key: &SealKey) -> Result<(), StickError> {
    open_directory(root)?;
    open_seal(&root.join(FOLDER).join(key.folder()), key)?;
    Ok(())
}

fn open_directory(root: &Path) -> Result<Directory, StickError> {
    // Never made: what is not mounted is not there.
    if !root.is_dir() {
        return Err(StickError::NotThere(root.to_path_buf()));
    }
    let directory = match read(&root.join(DICOMDIR), directory::MOST_BYTES)? {
        Some(bytes) => Directory::read(bytes),
        None => Directory::new(),
    };
    directory.map_err(StickError::Directory)
}

fn open_seal(folder: &Path, key: &SealKey) -> Result<Seal, StickError> {
    let Some(file) = read(&folder.join(SEAL), seal::MOST_BYTES)? else {
        return Ok(Seal::default());
    };
    let failed = |error| StickError::Seal {
        path: folder.to_path_buf(),
        error,
    };
    let public = PublicKey::from_base64(&key.public());
    let public = public.map_err(|_| failed(SealError::Damaged))?;
    Seal::read(&file, &key.folder(), &[public]).map_err(failed)
}

/// Makes the folders from `root` down to `folder`.
fn make_folders(medium: &dyn Medium, root: &Path, folder: &Path) -> Result<(), StickError> {
    let failed = |error| StickError::File {
        path: folder.to_path_buf(),
        error,
    };
    remove_unfinished(root);
    let mut above = root.to_path_buf();
    for part in folder.strip_prefix(root).into_iter().flatten() {
        let below = above.join(part);
        make_folder_on(medium, &below).map_err(failed)?;
        remove_unfinished(&below);
        above = below;
    }
    Ok(())
}

/// The name of the object's file in its study's folder, and whether the file is there.
fn free_name(folder: &Path, object: &Object) -> Result<(String, bool), StickError> {
    for turn in 0..MOST_TURNS {
        let name = file_name(object.kind, object.instance, turn);
        let Some(there) = read(&folder.join(&name), MAX_BYTES as u64)? else {
            return Ok((name, false));
        };
        if there == object.file {
            return Ok((name, true));
        }
        let there = header(&there)
            .ok()
            .and_then(|header| header.sop_instance_uid);
        if there.as_deref() == Some(object.instance) {
            return Err(StickError::Other(name));
        }
    }
    Err(StickError::Other(file_name(
        object.kind,
        object.instance,
        0,
    )))
}

/// Reads a file of at most so many bytes; none if there is none.
pub(super) fn read(path: &Path, most: u64) -> Result<Option<Vec<u8>>, StickError> {
    let failed = |error| StickError::File {
        path: path.to_path_buf(),
        error,
    };
    let told = match fs::symlink_metadata(path) {
        Ok(told) => told,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    // A pipe would never end, and a link leads off the stick.
    if !told.is_file() {
        return Err(failed(io::Error::other("it is no file")));
    }
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(failed)?;
    file.take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    match bytes.len() as u64 <= most {
        true => Ok(Some(bytes)),
        false => Err(failed(io::Error::other("it is too long"))),
    }
}
