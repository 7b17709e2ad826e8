//! Bundles on disk, whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use plumbline_shared::bundle::{MANIFEST, MODEL, MODEL_CARD};
use plumbline_shared::manifest::{Architecture, FORMAT, Input, Manifest, sha256};
use plumbline_shared::preprocess;

use super::ExportError;

/// What a bundle says of its model.
#[derive(Debug, Clone, PartialEq)]
pub struct About<'a> {
    /// The model's name, such as `chexnet`.
    pub model: &'a str,
    /// The model's version.
    pub model_version: &'a str,
    /// The network.
    pub architecture: Architecture,
    /// The smallest probability that counts as positive, above 0 and below 1.
    pub threshold: f64,
    /// The text of `MODEL_CARD.md`.
    pub card: &'a str,
}

/// Writes the bundle `target` from the ONNX file `model`, and returns its manifest.
///
/// The bundle is written beside its place and then moved there, so `target` never holds half a
/// bundle. A bundle that is already there is replaced; anything else is left alone.
///
/// # Errors
///
/// [`ExportError`] if something other than a bundle is in its place, a value is out of range, or
/// the disk refuses.
pub fn write_bundle(target: &Path, about: &About, model: &[u8]) -> Result<Manifest, ExportError> {
    let files = [(MODEL, model), (MODEL_CARD, about.card.as_bytes())];
    let manifest = Manifest {
        format: FORMAT,
        model: about.model.to_string(),
        model_version: about.model_version.to_string(),
        architecture: about.architecture,
        input: Input::expected(),
        preprocessing: preprocess::FINGERPRINT.to_string(),
        threshold: about.threshold,
        files: files
            .map(|(name, bytes)| (name.to_string(), sha256(bytes)))
            .into(),
    };
    let json = manifest.to_json()? + "\n";
    let occupied = is_occupied(target)?;

    let parent = match target.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(parent).map_err(at(parent))?;
    let staging = tempfile::Builder::new()
        .prefix(".bundle-")
        .tempdir_in(parent)
        .map_err(at(parent))?;
    let new = staging.path().join("new");
    fs::create_dir(&new).map_err(at(&new))?;
    for (name, bytes) in files.into_iter().chain([(MANIFEST, json.as_bytes())]) {
        let path = new.join(name);
        let write = || {
            let mut file = File::create_new(&path)?;
            file.write_all(bytes)?;
            file.sync_all()
        };
        write().map_err(at(&path))?;
    }
    if occupied {
        // What was there goes when the staging folder goes.
        fs::rename(target, staging.path().join("old")).map_err(at(target))?;
    }
    fs::rename(&new, target).map_err(at(target))?;
    Ok(manifest)
}

/// Whether there is a bundle, and nothing else, in the bundle's place.
fn is_occupied(target: &Path) -> Result<bool, ExportError> {
    let entries = match fs::read_dir(target) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Err(ExportError::Occupied(target.to_path_buf()));
        }
        Err(error) => return Err(at(target)(error)),
    };
    let names: Vec<String> = entries
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<io::Result<_>>()
        .map_err(at(target))?;
    let manifest = fs::read(target.join(MANIFEST)).ok();
    let manifest = manifest.and_then(|json| Manifest::parse(&json).ok());
    let ours = |name: &String| {
        name == MANIFEST
            || manifest
                .as_ref()
                .is_some_and(|m| m.files.contains_key(name))
    };
    if names.iter().all(ours) {
        Ok(true)
    } else {
        Err(ExportError::Occupied(target.to_path_buf()))
    }
}

fn at(path: &Path) -> impl Fn(io::Error) -> ExportError + use<> {
    let path: PathBuf = path.to_path_buf();
    move |error| ExportError::Write {
        path: path.clone(),
        error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABOUT: About = About {
        model: "chexnet",
        model_version: "1.0.0",
        architecture: Architecture::Densenet121,
        threshold: 0.5,
        card: "# A card\n",
    };

    fn names(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = names
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn is_whole_and_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("models/chexnet");
        for model in [&b"first"[..], b"second"] {
            write_bundle(&target, &ABOUT, model).unwrap();
            assert_eq!(names(&target), [MODEL_CARD, MANIFEST, MODEL]);
            let manifest = Manifest::parse(&fs::read(target.join(MANIFEST)).unwrap()).unwrap();
            manifest.verify(MODEL, model).unwrap();
            manifest.verify(MODEL_CARD, ABOUT.card.as_bytes()).unwrap();
            assert_eq!(
                names(target.parent().unwrap()),
                ["chexnet"],
                "nothing is left beside it"
            );
        }
    }

    #[test]
    fn leaves_alone_what_is_no_bundle() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("notes");
        fs::write(&target, "a file").unwrap();
        let refused = write_bundle(&target, &ABOUT, b"model");
        assert!(
            matches!(refused, Err(ExportError::Occupied(_))),
            "{refused:?}"
        );
        fs::remove_file(&target).unwrap();

        write_bundle(&target, &ABOUT, b"model").unwrap();
        fs::write(target.join("thesis.txt"), "years of work").unwrap();
        let refused = write_bundle(&target, &ABOUT, b"model");
        assert!(
            matches!(refused, Err(ExportError::Occupied(_))),
            "{refused:?}"
        );
        assert!(target.join("thesis.txt").exists());
    }

    #[test]
    fn writes_nothing_that_would_be_refused() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("chexnet");
        let about = About {
            threshold: 1.5,
            ..ABOUT
        };
        assert!(matches!(
            write_bundle(&target, &about, b"model"),
            Err(ExportError::Manifest(_))
        ));
        assert!(names(folder.path()).is_empty());
    }
}
