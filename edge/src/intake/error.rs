//! Errors of decoding a film in a child process.

use std::io;
use std::path::PathBuf;

use plumbline_shared::decode::Header;
use plumbline_wire::decoder::RefusalCode;

/// An error of decoding a film in a child process. Each message is a whole sentence and names the
/// file.
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
        /// The decoder's sentence, for people.
        reason: String,
        /// The file's patient, examination and view, where these can be read.
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
        /// The limit in seconds.
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
        /// The process's exit status or signal.
        how: String,
        /// The memory limit in MiB.
        mib: u64,
    },
    /// No decoder process could be started.
    #[error("no process to decode {path} can be started ({error}); free memory or processes", path = path.display())]
    NoProcess {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
}
