//! Where films come in, read without trusting them.

mod answer;
mod sandbox;

use std::io;
use std::path::PathBuf;

use plumbline_shared::decode::Header;
use plumbline_wire::decoder::RefusalCode;
pub use sandbox::{FilmAndHeader, WAIT, child_main, decode_in_child, decode_with};

/// Why a film does not come in. Each message is a whole sentence and names the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IntakeError {
    /// The decoder refused the file.
    #[error("{path}: {reason}", path = path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// The reason, for programs.
        code: RefusalCode,
        /// The decoder's sentence.
        reason: String,
        /// What the file says beside its pixels, where that can be read.
        header: Option<Box<Header>>,
    },
    /// Decoding took too long.
    #[error(
        "decoding {path} took longer than {seconds} seconds; export it again",
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
        "the decoder crashed on {path} ({how}): the file is damaged or asks for more than {mib} MiB of \
         memory; export it again",
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
