//! A bundle's manifest, `manifest.json`: the model, its input, and the hashes of its files.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::architecture::Architecture;
use crate::clinical::Refusal;
use crate::preprocess;

/// The format this version writes and reads.
pub const FORMAT: u32 = 1;

/// Reasons to refuse a manifest, or a file it lists.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// The file is not JSON, or not a manifest.
    #[error("manifest.json cannot be read ({0}): install the bundle again")]
    Json(String),
    /// The manifest was written by another version.
    #[error(
        "manifest.json has format {0}, this program reads format {FORMAT}: install a bundle and a program of the same version"
    )]
    Format(u32),
    /// A file name is not plain.
    #[error(
        "manifest.json lists {0:?}, which is not a plain file name: do not trust this bundle, install one from a known source"
    )]
    FileName(String),
    /// A value is outside its range.
    #[error("manifest.json gives {0}: install the bundle again")]
    Value(&'static str),
    /// The manifest does not list the file.
    #[error("manifest.json does not list {0}: install the bundle again")]
    Unlisted(String),
    /// The file is not the one that was exported.
    #[error(
        "{0} is damaged or was changed (its SHA-256 is not the manifest's): install the bundle again"
    )]
    Hash(String),
}

/// The input tensor of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// Number of channels, all equal.
    pub channels: usize,
    /// Number of rows.
    pub height: usize,
    /// Number of columns.
    pub width: usize,
    /// The mean that is subtracted from each channel, on a scale of 0 to 1.
    pub mean: [f32; 3],
    /// The standard deviation that each channel is then divided by.
    pub deviation: [f32; 3],
}

impl Input {
    /// Returns the tensor that [`preprocess`] makes; every model must take it.
    pub const fn expected() -> Self {
        Self {
            channels: 3,
            height: preprocess::SIDE,
            width: preprocess::SIDE,
            mean: preprocess::MEAN,
            deviation: preprocess::DEVIATION,
        }
    }
}

/// The limit of one output of a gate's network.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RefusalLimit {
    /// The reason that the output stands for.
    pub refusal: Refusal,
    /// The smallest probability from which a film is refused, above 0 and below 1.
    pub threshold: f64,
}

/// A bundle's manifest.
///
/// ```
/// use plumbline_shared::architecture::Architecture;
/// use plumbline_shared::manifest::{FORMAT, Input, Manifest, sha256};
/// use plumbline_shared::preprocess::FINGERPRINT;
///
/// let manifest = Manifest {
///     format: FORMAT,
///     model: "chexnet".into(),
///     model_version: "1.0.0".into(),
///     architecture: Architecture::Densenet121,
///     input: Input::expected(),
///     preprocessing: FINGERPRINT.into(),
///     threshold: 0.5,
///     refusals: Vec::new(),
///     files: [("model.onnx".into(), sha256(b"the network"))].into(),
/// };
/// let json = manifest.to_json()?;
/// let read = Manifest::parse(json.as_bytes())?;
/// assert_eq!(read, manifest);
/// assert!(read.verify("model.onnx", b"the network").is_ok());
/// assert!(read.verify("model.onnx", b"another network").is_err());
/// # Ok::<(), plumbline_shared::manifest::ManifestError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The manifest's own format, [`FORMAT`].
    pub format: u32,
    /// The model's name, such as `chexnet`.
    pub model: String,
    /// The model's version.
    pub model_version: String,
    /// The network.
    pub architecture: Architecture,
    /// The network's input tensor.
    pub input: Input,
    /// The [fingerprint](preprocess::FINGERPRINT) of the preprocessing that the model was trained
    /// with.
    pub preprocessing: String,
    /// The smallest probability that counts as positive, above 0 and below 1.
    pub threshold: f64,
    /// The limits of a gate's outputs, in their order; empty for other networks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<RefusalLimit>,
    /// The bundle's other files: name to SHA-256 in lower-case hexadecimal digits.
    pub files: BTreeMap<String, String>,
}

impl Manifest {
    /// Reads `manifest.json` and checks everything that can be checked without the other files.
    ///
    /// # Errors
    ///
    /// [`ManifestError`] if it is not a manifest of this format, or holds a value outside its
    /// range or a file name that could lead outside the bundle.
    pub fn parse(json: &[u8]) -> Result<Self, ManifestError> {
        #[derive(Deserialize)]
        struct Versioned {
            format: u32,
        }
        let unreadable = |error: serde_json::Error| ManifestError::Json(error.to_string());
        let Versioned { format } = serde_json::from_slice(json).map_err(unreadable)?;
        if format != FORMAT {
            return Err(ManifestError::Format(format));
        }
        let manifest: Self = serde_json::from_slice(json).map_err(unreadable)?;
        manifest.check()?;
        Ok(manifest)
    }

    /// Writes the manifest as JSON, one value a line.
    ///
    /// # Errors
    ///
    /// [`ManifestError`] if [`Manifest::parse`] would refuse it.
    pub fn to_json(&self) -> Result<String, ManifestError> {
        self.check()?;
        serde_json::to_string_pretty(self).map_err(|error| ManifestError::Json(error.to_string()))
    }

    /// Checks that `bytes` are the listed file `name`.
    ///
    /// # Errors
    ///
    /// [`ManifestError::Unlisted`] or [`ManifestError::Hash`].
    pub fn verify(&self, name: &str, bytes: &[u8]) -> Result<(), ManifestError> {
        match self.files.get(name) {
            None => Err(ManifestError::Unlisted(name.to_string())),
            Some(hash) if *hash == sha256(bytes) => Ok(()),
            Some(_) => Err(ManifestError::Hash(name.to_string())),
        }
    }

    fn check(&self) -> Result<(), ManifestError> {
        if let Some(name) = self.files.keys().find(|name| !is_plain(name)) {
            return Err(ManifestError::FileName(name.clone()));
        }
        if !self.files.values().all(|hash| is_sha256(hash)) {
            return Err(ManifestError::Value("a hash that is not a SHA-256"));
        }
        let of_gate = self.architecture == Architecture::Gate;
        let named = self.refusals.iter().map(|limit| limit.refusal);
        if !named.eq(Refusal::ALL.into_iter().filter(|_| of_gate)) {
            return Err(ManifestError::Value(
                "other reasons to refuse a film than its network answers for",
            ));
        }
        let Input {
            mean, deviation, ..
        } = &self.input;
        let finite = |value: &f32| value.is_finite();
        if !mean.iter().all(finite) || !deviation.iter().all(|d| finite(d) && *d > 0.0) {
            return Err(ManifestError::Value(
                "a mean or a deviation that no tensor can be scaled with",
            ));
        }
        let thresholds = self.refusals.iter().map(|limit| limit.threshold);
        let is_threshold = |threshold: f64| threshold > 0.0 && threshold < 1.0;
        if !thresholds.chain([self.threshold]).all(is_threshold) {
            return Err(ManifestError::Value(
                "a threshold that is not between 0 and 1",
            ));
        }
        Ok(())
    }
}

/// Returns the SHA-256 of `bytes` in lower-case hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// Returns true for a SHA-256 in lower-case hexadecimal digits.
pub fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Returns `bytes` in lower-case hexadecimal digits.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns true if a file name is letters, digits, `.`, `_` and `-`, does not start with a dot, and
/// so stays inside its folder on every system.
fn is_plain(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    !name.is_empty() && !name.starts_with('.') && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        Manifest {
            format: FORMAT,
            model: "chexnet".into(),
            model_version: "1.2.3".into(),
            architecture: Architecture::Densenet121,
            input: Input::expected(),
            preprocessing: "00ff".into(),
            threshold: 0.25,
            refusals: Vec::new(),
            files: [("model.onnx".to_string(), sha256(b"abc"))].into(),
        }
    }

    #[test]
    fn survives_its_file() {
        let json = manifest().to_json().unwrap();
        assert!(json.contains("\"architecture\": \"densenet121\""));
        assert_eq!(Manifest::parse(json.as_bytes()), Ok(manifest()));
    }

    #[test]
    fn hashes_like_everybody_else() {
        // FIPS 180-4, the example of one block.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(b"abc"), abc);
        let manifest = manifest();
        assert_eq!(manifest.verify("model.onnx", b"abc"), Ok(()));
        let hash = ManifestError::Hash("model.onnx".into());
        assert_eq!(manifest.verify("model.onnx", b"abd"), Err(hash));
        let unlisted = ManifestError::Unlisted("other".into());
        assert_eq!(manifest.verify("other", b"abc"), Err(unlisted));
    }

    #[test]
    fn a_later_format_is_told_before_anything_else() {
        let refused = Manifest::parse(br#"{"format": 2, "threshold": "soft"}"#);
        assert_eq!(refused, Err(ManifestError::Format(2)));
    }

    #[test]
    fn file_names_stay_inside() {
        for name in [
            "../model.onnx",
            "/etc/passwd",
            "a\\b",
            "",
            "..",
            ".hidden",
            "C:x",
            "a b",
            "é",
        ] {
            let mut bad = manifest();
            bad.files.insert(name.into(), sha256(b""));
            let json = serde_json::to_vec(&bad).unwrap();
            assert_eq!(
                Manifest::parse(&json),
                Err(ManifestError::FileName(name.into()))
            );
        }
    }

    #[test]
    fn a_gate_has_a_limit_for_every_reason() {
        let limits = |threshold| {
            let limit = |refusal| RefusalLimit { refusal, threshold };
            Refusal::ALL.map(limit).to_vec()
        };
        let gate = Manifest {
            architecture: Architecture::Gate,
            refusals: limits(0.75),
            ..manifest()
        };
        let json = gate.to_json().unwrap();
        assert_eq!(Manifest::parse(json.as_bytes()), Ok(gate.clone()));
        let mut swapped = gate.clone();
        swapped.refusals.swap(0, 1);
        let mut fewer = gate.clone();
        fewer.refusals.pop();
        let certain = Manifest {
            refusals: limits(1.0),
            ..gate.clone()
        };
        let reader = Manifest {
            refusals: limits(0.5),
            ..manifest()
        };
        for bad in [swapped, fewer, certain, reader] {
            assert!(matches!(bad.to_json(), Err(ManifestError::Value(_))));
        }
    }

    #[test]
    fn values_out_of_range_are_refused() {
        for threshold in [0.0, 1.0, -0.5, f64::NAN] {
            let bad = Manifest {
                threshold,
                ..manifest()
            };
            assert!(
                matches!(bad.to_json(), Err(ManifestError::Value(_))),
                "{threshold}"
            );
        }
        let mut bad = manifest();
        bad.files.insert("model.onnx".into(), "BA78".into());
        assert!(matches!(bad.to_json(), Err(ManifestError::Value(_))));
    }

    #[test]
    fn input_that_cannot_be_scaled_is_refused() {
        for scale in [f32::INFINITY, f32::NAN, 0.0] {
            let mut bad = manifest();
            bad.input.deviation[1] = scale;
            assert!(matches!(bad.to_json(), Err(ManifestError::Value(_))));
        }
        let mut bad = manifest();
        bad.input.mean[2] = f32::NEG_INFINITY;
        assert!(matches!(bad.to_json(), Err(ManifestError::Value(_))));
        // JSON has no infinity, but 1e39 is one in single precision.
        let text = manifest().to_json().unwrap().replacen("0.485", "1e39", 1);
        assert!(Manifest::parse(text.as_bytes()).is_err());
    }

    #[test]
    fn a_threshold_comes_back_to_its_last_bit() {
        // Spread over the whole range by the golden ratio.
        for i in 1..2000_u32 {
            let exact = Manifest {
                threshold: (f64::from(i) * 0.618_033_988_749_894_8).fract(),
                ..manifest()
            };
            let json = exact.to_json().unwrap();
            assert_eq!(Manifest::parse(json.as_bytes()), Ok(exact));
        }
    }
}
