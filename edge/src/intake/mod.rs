//! Where films come in, read without trusting them.

mod sandbox;

use std::io;
use std::path::PathBuf;

pub use sandbox::{WAIT, child_main, decode_in_child, decode_with};

/// Why a film does not come in. Each message is a whole sentence and names the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IntakeError {
    /// The decoder refused the file.
    #[error("{path}: {reason}", path = path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// The decoder's sentence.
        reason: String,
    },
    /// The decoder was at it for too long.
    #[error(
        "{path} took longer to decode than the {seconds} seconds that a film may; export it again",
        path = path.display()
    )]
    TooSlow {
        /// The file.
        path: PathBuf,
        /// The limit.
        seconds: u64,
    },
    /// The decoder ended without an answer.
    #[error(
        "{path} ended its decoder ({how}): it is damaged or asks for more than {mib} MiB of memory; \
         export it again",
        path = path.display()
    )]
    Fatal {
        /// The file.
        path: PathBuf,
        /// How the process ended.
        how: String,
        /// The limit.
        mib: u64,
    },
    /// No decoder process could be had.
    #[error("no process to decode {path} can be started ({error}); free memory or processes", path = path.display())]
    NoProcess {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}
