//! Files and folders that are there whole or not at all, whatever happens meanwhile.
//!
//! Every file that Plumbline keeps is written here, with one promise: once a function here has
//! returned `Ok`, the new content survives a power cut; until then, and after any error, the place
//! holds what it held before. Assumed of the medium: a file's bytes survive once it is synced, a
//! name once its folder is synced, and a rename replaces a name at once or not at all.
//!
//! The new content lies beside its place under a temporary name, `.NAME.NUMBER.unfinished`, until
//! it is renamed. An error removes it; a process that is killed leaves it, and
//! [`remove_unfinished`] clears it away.

use std::ffi::{OsStr, OsString};
use std::format;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// The suffix of temporary names.
const UNFINISHED: &str = ".unfinished";

/// The age from which an unlocked temporary file counts as abandoned. A younger one may belong to
/// another process, which locks it just after making it.
const ABANDONED_AFTER: Duration = Duration::from_secs(60);

/// The operations that write files to a medium. The real one is [`Disk`]; tests make any operation
/// fail.
///
/// An operation that returns an error may have been done or not.
pub trait Medium {
    /// Makes a new file; fails if there is something of this name.
    ///
    /// # Errors
    /// The system's.
    fn create(&self, path: &Path) -> io::Result<File>;

    /// Appends bytes to the file.
    ///
    /// # Errors
    /// The system's.
    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()>;

    /// Returns when the file's bytes survive a power cut.
    ///
    /// # Errors
    /// The system's.
    fn sync(&self, file: &File) -> io::Result<()>;

    /// Renames `from` to `to` at once, and replaces a file there.
    ///
    /// # Errors
    /// The system's.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Exchanges the names of two folders at once.
    ///
    /// # Errors
    /// The system's; `Unsupported` where it cannot do that.
    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()>;

    /// Returns when the names in a folder survive a power cut.
    ///
    /// # Errors
    /// The system's.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
}

/// The system's own files.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Medium for Disk {
    fn create(&self, path: &Path) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).open(path)
    }

    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    #[cfg(target_os = "linux")]
    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        use rustix::io::Errno;

        match renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE) {
            Err(Errno::INVAL | Errno::NOSYS) => Err(io::ErrorKind::Unsupported.into()),
            done => Ok(done?),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn exchange(&self, _: &Path, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }
}

/// Writes `bytes` as the file `path`, and replaces one that is there.
///
/// # Errors
/// The system's.
pub fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_file_on(&Disk, path, bytes)
}

/// Does as [`replace_file`], on any medium.
///
/// # Errors
/// The medium's.
pub fn replace_file_on(medium: &dyn Medium, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut unfinished = Unfinished::create(medium, path)?;
    medium.write(&mut unfinished.file, bytes)?;
    unfinished.finish(medium)
}

/// Makes the folder `path`, within one that is there, unless it is there. Its name survives a power cut.
///
/// # Errors
/// The system's.
pub fn make_folder(path: &Path) -> io::Result<()> {
    make_folder_on(&Disk, path)
}

/// Does as [`make_folder`], on any medium.
///
/// # Errors
/// The medium's.
pub fn make_folder_on(medium: &dyn Medium, path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    fs::create_dir(path)?;
    medium.sync_folder(parent(path))
}

/// Writes a folder of `files`, names and bytes, and replaces a folder that is there.
///
/// # Errors
/// The system's. Then the folder that was there is unchanged.
pub fn replace_folder(path: &Path, files: &[(&str, &[u8])]) -> io::Result<()> {
    replace_folder_on(&Disk, path, files)
}

/// Does as [`replace_folder`], on any medium.
///
/// # Errors
/// The medium's.
pub fn replace_folder_on(
    medium: &dyn Medium,
    path: &Path,
    files: &[(&str, &[u8])],
) -> io::Result<()> {
    if path.exists() && !path.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    let parent = parent(path);
    let new = TemporaryFolder(temporary_name(path));
    fs::create_dir(&new.0)?;
    for (name, bytes) in files {
        let mut file = medium.create(&new.0.join(name))?;
        medium.write(&mut file, bytes)?;
        medium.sync(&file)?;
    }
    medium.sync_folder(&new.0)?;
    if !path.exists() {
        medium.rename(&new.0, path)?;
        return medium.sync_folder(parent);
    }
    match medium.exchange(&new.0, path) {
        // What was there goes with the temporary name.
        Ok(()) => medium.sync_folder(parent),
        Err(error) if error.kind() == io::ErrorKind::Unsupported => {
            // Not a temporary name: should the power fail between the two renames, this is all
            // that there is.
            let mut old = temporary_name(path).into_os_string();
            old.push(".previous");
            let old = TemporaryFolder(old.into());
            let renamed = medium
                .rename(path, &old.0)
                .and_then(|()| medium.rename(&new.0, path));
            if renamed.is_err() && !path.exists() {
                fs::rename(&old.0, path)?;
            }
            renamed?;
            medium.sync_folder(parent)
        }
        Err(error) => Err(error),
    }
}

/// A file that is being written beside its place, for those that write it in pieces or read it
/// before it gets its name. Removed when dropped unfinished.
#[derive(Debug)]
pub struct Unfinished {
    file: File,
    temporary: PathBuf,
    path: PathBuf,
}

impl Unfinished {
    /// Makes an empty file beside `path`, locked where the file system can lock.
    ///
    /// # Errors
    /// The medium's.
    pub fn create(medium: &dyn Medium, path: &Path) -> io::Result<Self> {
        let temporary = temporary_name(path);
        let file = medium.create(&temporary)?;
        // The lock only keeps `remove_unfinished` away.
        file.try_lock().ok();
        Ok(Self {
            file,
            temporary,
            path: path.to_path_buf(),
        })
    }

    /// Returns the file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The file's present, temporary name.
    pub fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// The medium's.
    pub fn write(&mut self, medium: &dyn Medium, bytes: &[u8]) -> io::Result<()> {
        medium.write(&mut self.file, bytes)
    }

    /// Syncs the file and gives it its name.
    ///
    /// # Errors
    /// The medium's.
    pub fn finish(self, medium: &dyn Medium) -> io::Result<()> {
        medium.sync(&self.file)?;
        medium.rename(&self.temporary, &self.path)?;
        medium.sync_folder(parent(&self.path))
    }

    /// Does as [`finish`](Self::finish) with another name on the same file system, for files that
    /// are named after their content.
    ///
    /// # Errors
    /// The medium's.
    pub fn finish_as(mut self, medium: &dyn Medium, path: &Path) -> io::Result<()> {
        self.path = path.to_path_buf();
        self.finish(medium)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Not there any more once it was renamed.
        fs::remove_file(&self.temporary).ok();
    }
}

/// A folder that is removed when dropped, with all that is in it.
struct TemporaryFolder(PathBuf);

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        // Not there any more once it was renamed.
        fs::remove_dir_all(&self.0).ok();
    }
}

/// Removes from `folder` the temporary files of processes that were killed while they wrote there.
pub fn remove_unfinished(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if !is_unfinished(&entry.file_name()) {
            continue;
        }
        let age = entry.metadata().and_then(|metadata| metadata.modified());
        let age = age.map(|time| SystemTime::now().duration_since(time).unwrap_or_default());
        if age.is_ok_and(|age| age < ABANDONED_AFTER) {
            continue;
        }
        if path.is_dir() {
            fs::remove_dir_all(&path).ok();
        } else if File::open(&path).is_ok_and(|file| file.try_lock().is_ok()) {
            fs::remove_file(&path).ok();
        }
    }
}

/// Returns true for the temporary names that files have here before they are whole.
pub fn is_unfinished(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(b".") && name.ends_with(UNFINISHED.as_bytes())
}

/// Returns the folder that `path` is in.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Returns a name beside `path` that no other process of this computer uses now.
fn temporary_name(path: &Path) -> PathBuf {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.map_or(0, |since| since.as_nanos() as u64);
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(
        ".{:x}-{now:x}-{number:x}{UNFINISHED}",
        process::id()
    ));
    path.with_file_name(name)
}

#[cfg(test)]
mod tests;
