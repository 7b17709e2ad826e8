//! Bundles on disk, whole or not at all.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use plumbline_reader::{MANIFEST, MODEL, MODEL_CARD};
use plumbline_shared::architecture::Architecture;
use plumbline_shared::durable::replace_folder;
use plumbline_shared::features::{self, FeatureStatistics};
use plumbline_shared::manifest::{FORMAT, Input, Manifest, ManifestError, RefusalLimit, sha256};
use plumbline_shared::preprocess;

use super::error::ExportError;

/// The facts that a bundle states about its model.
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
    /// The limits of a gate's outputs; empty for other networks.
    pub refusals: &'a [RefusalLimit],
    /// The statistics of the network's features, if they were measured.
    pub statistics: Option<&'a FeatureStatistics>,
    /// The text of `MODEL_CARD.md`.
    pub card: &'a str,
}

/// Writes the bundle `target` from the ONNX file `model`, and returns its manifest.
///
/// `target` never holds half a bundle, and a written one survives a power cut. A bundle that is
/// already there is replaced, an empty folder too; anything else is left alone.
///
/// # Errors
///
/// [`ExportError`] if something other than a bundle is in its place, a value is out of range, or
/// the disk refuses.
pub fn write_bundle(target: &Path, about: &About, model: &[u8]) -> Result<Manifest, ExportError> {
    let statistics = about.statistics.map(features_file).transpose()?;
    let mut files = vec![(MODEL, model), (MODEL_CARD, about.card.as_bytes())];
    files.extend(statistics.as_deref().map(|bytes| (features::FILE, bytes)));
    let manifest = Manifest {
        format: FORMAT,
        model: about.model.to_string(),
        model_version: about.model_version.to_string(),
        architecture: about.architecture,
        input: Input::expected(),
        preprocessing: preprocess::FINGERPRINT.to_string(),
        threshold: about.threshold,
        refusals: about.refusals.to_vec(),
        files: BTreeMap::new(),
    };
    write_files(target, manifest, &files)
}

/// Returns the bytes of [`features::FILE`].
pub(super) fn features_file(statistics: &FeatureStatistics) -> Result<Vec<u8>, ExportError> {
    let json = serde_json::to_vec(statistics);
    json.map_err(|error| ManifestError::Json(error.to_string()).into())
}

/// Writes the bundle `target` of `files`, and returns its manifest, which is `manifest` with their
/// hashes.
pub(super) fn write_files(
    target: &Path,
    manifest: Manifest,
    files: &[(&str, &[u8])],
) -> Result<Manifest, ExportError> {
    let hashes = files.iter();
    let hashes = hashes.map(|(name, bytes)| (name.to_string(), sha256(bytes)));
    let manifest = Manifest {
        files: hashes.collect(),
        ..manifest
    };
    let json = manifest.to_json()? + "\n";
    require_free(target)?;
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent).map_err(at(parent))?;
    }
    let with_manifest = [files, &[(MANIFEST, json.as_bytes())]].concat();
    replace_folder(target, &with_manifest).map_err(at(target))?;
    Ok(manifest)
}

/// Refuses a place that holds something else than a bundle and nothing besides.
fn require_free(target: &Path) -> Result<(), ExportError> {
    let entries = match fs::read_dir(target) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
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
    // Other programs have a manifest.json, too: only one that lists the rest makes a bundle.
    let ours = |name: &String| {
        let listed = |m: &Manifest| name == MANIFEST || m.files.contains_key(name);
        manifest.as_ref().is_some_and(listed)
    };
    match names.iter().all(ours) {
        true => Ok(()),
        false => Err(ExportError::Occupied(target.to_path_buf())),
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
        refusals: &[],
        statistics: None,
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
    fn another_programs_manifest_makes_no_bundle() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("extension");
        fs::create_dir(&target).unwrap();
        let theirs = r#"{"manifest_version": 3, "name": "a browser extension"}"#;
        fs::write(target.join(MANIFEST), theirs).unwrap();
        let refused = write_bundle(&target, &ABOUT, b"model");
        assert!(
            matches!(refused, Err(ExportError::Occupied(_))),
            "{refused:?}"
        );
        assert_eq!(fs::read_to_string(target.join(MANIFEST)).unwrap(), theirs);
        assert_eq!(names(folder.path()), ["extension"]);
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
