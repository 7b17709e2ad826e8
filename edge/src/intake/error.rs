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
    #[error("{}: {}", path.display(), self.sentence())]
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
    #[error("{}: {}", path.display(), self.sentence())]
    TooSlow {
        /// The file.
        path: PathBuf,
        /// The limit in seconds.
        seconds: u64,
    },
    /// The decoder ended without an answer.
    #[error("{}: {}", path.display(), self.sentence())]
    Fatal {
        /// The file.
        path: PathBuf,
        /// The process's exit status or signal.
        how: String,
        /// The memory limit in MiB.
        mib: u64,
    },
    /// No decoder process could be started.
    #[error("{}: {}", path.display(), self.sentence())]
    NoProcess {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
}

impl IntakeError {
    /// What is wrong and what to do, without the file's name.
    pub fn sentence(&self) -> String {
        match self {
            Self::Refused { reason, .. } => reason.clone(),
            Self::TooSlow { seconds, .. } => {
                format!("decoding took longer than {seconds} seconds; export it again")
            }
            Self::Fatal { how, mib, .. } => format!(
                "the decoder crashed ({how}): the file is damaged or asks for more than {mib} MiB \
                 of memory; export it again"
            ),
            Self::NoProcess { error, .. } => {
                format!(
                    "no process to decode it can be started ({error}); free memory or processes"
                )
            }
        }
    }

    /// True if the computer rather than the file is to blame: it has no process, is too busy, or the
    /// decoder was killed from outside.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::NoProcess { .. } | Self::TooSlow { .. } => true,
            Self::Fatal { how, .. } => ["signal 2", "signal 9", "signal 15"].contains(&&**how),
            Self::Refused { code, .. } => *code == RefusalCode::Unreadable,
        }
    }

    /// The reason as a word for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Refused { code, .. } => code.name(),
            Self::TooSlow { .. } => "too-slow",
            Self::Fatal { .. } => "decoder-crashed",
            Self::NoProcess { .. } => "no-process",
        }
    }
}
