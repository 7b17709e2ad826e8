//! The files of a bundle, opened and verified.

use std::fs;
use std::path::Path;

use plumbline_shared::features::{self, FeatureStatistics};
use plumbline_shared::manifest::{Input, Manifest, ManifestError};
use plumbline_shared::preprocess;

use crate::error::BundleError;

/// The network's file in a bundle.
pub const MODEL: &str = "model.onnx";
/// The manifest's file in a bundle.
pub const MANIFEST: &str = "manifest.json";
/// The text for people in a bundle.
pub const MODEL_CARD: &str = "MODEL_CARD.md";

/// The files of a bundle.
pub(super) struct Contents {
    pub manifest: Manifest,
    /// The network, an ONNX file.
    pub model: Vec<u8>,
    /// The statistics of the network's features, in bundles that have them.
    pub statistics: Option<FeatureStatistics>,
}

impl Contents {
    /// Reads the bundle in folder `bundle` and checks every file against the manifest, and the
    /// preprocessing against this program's.
    ///
    /// # Errors
    /// [`BundleError`] if a file is missing or was changed, or the bundle was made for another
    /// preprocessing or by another version.
    pub fn open(bundle: &Path) -> Result<Self, BundleError> {
        let read = |name: &str| {
            let path = bundle.join(name);
            fs::read(&path).map_err(|error| BundleError::File { path, error })
        };
        let bad = |error| BundleError::Manifest {
            bundle: bundle.to_path_buf(),
            error,
        };
        let manifest = Manifest::parse(&read(MANIFEST)?).map_err(bad)?;
        if !preprocess::is_compatible(&manifest.preprocessing)
            || manifest.input != Input::expected()
        {
            let bundle = bundle.to_path_buf();
            return Err(BundleError::Preprocessing { bundle });
        }
        let model = read(MODEL)?;
        manifest.verify(MODEL, &model).map_err(bad)?;
        let mut statistics = None;
        for name in manifest.files.keys().filter(|name| *name != MODEL) {
            let bytes = read(name)?;
            manifest.verify(name, &bytes).map_err(bad)?;
            if name == features::FILE {
                let read: Option<FeatureStatistics> = serde_json::from_slice(&bytes).ok();
                let known = manifest.architecture.features();
                let fitting = read.filter(|statistics| statistics.fit(known));
                let wrong = ManifestError::Value("feature statistics that are not its network's");
                statistics = Some(fitting.ok_or_else(|| bad(wrong))?);
            }
        }
        Ok(Self {
            manifest,
            model,
            statistics,
        })
    }
}
