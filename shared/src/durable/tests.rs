use std::cell::Cell;
use std::string::{String, ToString};
use std::vec::Vec;

use super::*;

/// A disk whose step number `fails` is not done, or done and reported as failed; later ones fail too,
/// as if the power were gone.
struct Faulty {
    step: Cell<usize>,
    fails: usize,
    done: bool,
    exchanges: bool,
}

impl Faulty {
    fn at(fails: usize, done: bool, exchanges: bool) -> Self {
        Self {
            step: Cell::new(0),
            fails,
            done,
            exchanges,
        }
    }

    fn step<T>(&self, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let step = self.step.replace(self.step.get() + 1);
        if step < self.fails {
            return act();
        }
        if step == self.fails && self.done {
            act()?;
        }
        Err(io::Error::other("the disk failed"))
    }
}

impl Medium for Faulty {
    fn create(&self, path: &Path) -> io::Result<File> {
        self.step(|| Disk.create(path))
    }

    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        self.step(|| Disk.write(file, bytes))
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        self.step(|| Disk.sync(file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(|| Disk.rename(from, to))
    }

    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        if !self.exchanges {
            return Err(io::ErrorKind::Unsupported.into());
        }
        self.step(|| Disk.exchange(one, other))
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.step(|| Disk.sync_folder(folder))
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_file_is_old_or_new_whatever_step_fails() {
    for fails in 0..5 {
        for done in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("file");
            replace_file(&path, b"old").unwrap();
            let result = replace_file_on(&Faulty::at(fails, done, true), &path, b"new");
            assert!(result.is_err(), "step {fails}");
            let content = fs::read(&path).unwrap();
            let renamed = fails > 3 || (fails == 3 && done);
            assert_eq!(
                content,
                if renamed { b"new" } else { b"old" },
                "step {fails}"
            );
            if !done || fails > 0 {
                assert_eq!(names(folder.path()), ["file"], "step {fails}");
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    replace_file_on(&Faulty::at(5, false, true), &path, b"new").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
}

#[test]
fn a_folder_is_old_or_new_whatever_step_fails() {
    let files: [(&str, &[u8]); 2] = [("a", b"new a"), ("b", b"new b")];
    for exchanges in [true, false] {
        let mut whole = None;
        for fails in 0..20 {
            for done in [false, true] {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("bundle");
                replace_folder(&path, &[("a", b"old a"), ("c", b"old c")]).unwrap();
                let medium = Faulty::at(fails, done, exchanges);
                let result = replace_folder_on(&medium, &path, &files);
                let held = names(&path);
                let old = held == ["a", "c"] && fs::read(path.join("a")).unwrap() == b"old a";
                let new = held == ["a", "b"] && fs::read(path.join("b")).unwrap() == b"new b";
                assert!(old || new, "step {fails}: {held:?}");
                if result.is_ok() {
                    assert!(new);
                    assert_eq!(names(folder.path()), ["bundle"]);
                    whole = Some(fails);
                }
            }
            if whole.is_some() {
                break;
            }
        }
        assert!(whole.is_some_and(|steps| steps > 8), "{whole:?}");
    }
}

#[test]
fn unfinished_files_of_the_living_stay() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let unfinished = Unfinished::create(&Disk, &path).unwrap();
    let long_ago = SystemTime::now() - Duration::from_secs(3600);
    let abandoned = folder.path().join(".file.1-2-3.unfinished");
    let young = folder.path().join(".file.1-2-4.unfinished");
    fs::write(&abandoned, b"half").unwrap();
    fs::write(&young, b"half").unwrap();
    fs::write(folder.path().join("mine.unfinished"), b"whole").unwrap();
    let set_old = |path: &Path| {
        File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_modified(long_ago)
    };
    set_old(&abandoned).unwrap();
    unfinished.file().set_modified(long_ago).unwrap();
    set_old(&folder.path().join("mine.unfinished")).unwrap();
    remove_unfinished(folder.path());
    assert!(!abandoned.exists() && young.exists());
    assert!(folder.path().join("mine.unfinished").exists());
    unfinished.finish(&Disk).unwrap();
    assert!(path.exists());
}

#[test]
fn a_bare_name_is_in_the_current_folder() {
    assert_eq!(parent(Path::new("name")), Path::new("."));
    assert_eq!(parent(Path::new("a/name")), Path::new("a"));
    assert_eq!(
        parent(Path::new("/name")).to_string_lossy().to_string(),
        "/"
    );
}
