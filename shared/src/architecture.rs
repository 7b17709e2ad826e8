//! The study's two networks and the gate's: their names, and the facts that every program must agree on.

use alloc::string::{String, ToString};
use core::fmt;

use serde::{Deserialize, Serialize};

#[cfg(doc)]
use crate::clinical::Refusal;

/// A network architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Architecture {
    /// EfficientNet-B0 with a 1280-512-128-2 head.
    EfficientnetB0,
    /// DenseNet121 with a 1024-1 head (CheXNet).
    Densenet121,
    /// The gate's small network, one output for each [`Refusal`].
    Gate,
}

impl Architecture {
    /// All architectures.
    pub const ALL: [Self; 3] = [Self::EfficientnetB0, Self::Densenet121, Self::Gate];

    /// Returns the name used in files and on command lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EfficientnetB0 => "efficientnet-b0",
            Self::Densenet121 => "densenet121",
            Self::Gate => "gate",
        }
    }

    /// Returns the number of channels of the last feature map, the head's input.
    pub const fn features(self) -> usize {
        match self {
            Self::EfficientnetB0 => 1280,
            Self::Densenet121 => 1024,
            Self::Gate => 128,
        }
    }

    /// Returns the head's fully connected layers by their names in a state dict, in order. There is
    /// a ReLU after each but the last.
    pub const fn head(self) -> &'static [&'static str] {
        match self {
            Self::EfficientnetB0 => &["classifier.0", "classifier.2", "classifier.4"],
            Self::Densenet121 | Self::Gate => &["classifier"],
        }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An error of a name that is no architecture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no architecture: use efficientnet-b0, densenet121 or gate")]
pub struct UnknownArchitecture(String);

impl core::str::FromStr for Architecture {
    type Err = UnknownArchitecture;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|architecture| architecture.name() == name)
            .ok_or_else(|| UnknownArchitecture(name.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn architectures_by_name() {
        for architecture in Architecture::ALL {
            assert_eq!(architecture.name().parse(), Ok(architecture));
            let json = serde_json::to_string(&architecture).unwrap();
            assert_eq!(json.trim_matches('"'), architecture.name());
        }
        assert!("resnet".parse::<Architecture>().is_err());
    }
}
