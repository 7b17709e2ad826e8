//! Errors of opening devices.

/// An error of opening a device.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The name is unknown.
    #[error("{0:?} is no device; give cpu, cuda, or cuda: and a number")]
    Name(String),
    /// The program was built without CUDA.
    #[error(
        "this plumbline was built without CUDA; build it with --features cuda as host/CUDA.md \
         says, or give --device cpu"
    )]
    WithoutCuda,
    /// A library of CUDA cannot be loaded.
    #[error(
        "CUDA needs the library {name}, which cannot be loaded ({why}); install it as host/CUDA.md \
         says, or give --device cpu"
    )]
    Library {
        /// The library's file.
        name: &'static str,
        /// The system's error.
        why: String,
    },
    /// The list names one GPU twice, or a GPU and the processor.
    #[error("{0} cannot train together; give different GPUs (cuda:0,cuda:1), or cpu alone")]
    Together(String),
    /// The machine has fewer GPUs.
    #[error("there is no cuda:{asked}; CUDA devices of this machine: {count}, numbered from 0")]
    NoSuch {
        /// The number asked for.
        asked: usize,
        /// Number of GPUs.
        count: usize,
    },
    /// The driver refuses the GPU.
    #[error(
        "CUDA does not give cuda:{asked} ({why}); see whether nvidia-smi shows it, or give --device cpu"
    )]
    Driver {
        /// The number asked for.
        asked: usize,
        /// CUDA's error.
        why: String,
    },
}
