//! De-identification in a child process, as films are decoded: their bytes are from outside.
//!
//! The child is this program again, with the hidden command `deidentify`. It answers on its standard output:
//! the length of the head (4 bytes, little endian), the head in JSON, and the film's new file.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use plumbline_shared::decode::{MAX_BYTES, read_file};
use serde::{Deserialize, Serialize};

use super::film::{Pseudonyms, rewrite};
use super::key::Key;
use crate::intake::{IntakeError, WAIT, ask_child, limit_self};

/// The most bytes of a head.
const MOST_HEAD: u32 = 1 << 16;

/// The start of an answer.
#[derive(Serialize, Deserialize)]
enum Head {
    /// The film was rewritten; its file follows.
    Done { film: Pseudonyms, bytes: u64 },
    /// It cannot be rewritten.
    Refused(String),
    /// The computer cannot do it now.
    Later(String),
}

/// A film that names nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deidentified {
    /// What it is called now.
    pub film: Pseudonyms,
    /// Its file.
    pub file: Vec<u8>,
}

/// Why a film cannot be de-identified.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeidentifyError {
    /// The station's key cannot be read or made.
    #[error("the key of pseudonyms cannot be used: {0}")]
    Key(io::Error),
    /// The film cannot be rewritten.
    #[error("it {0}")]
    Film(String),
    /// The computer cannot do it now.
    #[error("it {0}")]
    Later(String),
    /// The process that should do it failed.
    #[error("{}", .0.sentence())]
    Process(#[from] IntakeError),
}

impl DeidentifyError {
    /// True if the computer rather than the film is to blame.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Key(_) | Self::Later(_) => true,
            Self::Film(_) => false,
            Self::Process(error) => error.may_pass(),
        }
    }
}

/// De-identifies the film in the file `path` in a child process, with the key of the store in `folder`, which
/// is made if there is none. `program` is an executable of `plumbline-edge`.
///
/// # Errors
/// If the key cannot be had, or the film cannot be rewritten.
pub fn deidentify_with(
    program: &Path,
    folder: &Path,
    path: &Path,
) -> Result<Deidentified, DeidentifyError> {
    let key = Key::made_in(folder).map_err(DeidentifyError::Key)?;
    let arguments = [
        OsStr::new("deidentify"),
        OsStr::new("--key"),
        key.as_os_str(),
    ];
    ask_child(program, &arguments, path, WAIT, read_answer)?
}

/// Reads an answer; the refusal is within `Ok`.
fn read_answer(mut input: impl Read) -> io::Result<Result<Deidentified, DeidentifyError>> {
    let mut length = [0; 4];
    input.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if length > MOST_HEAD {
        return Err(io::Error::other("the head is too long"));
    }
    let mut head = vec![0; length as usize];
    input.read_exact(&mut head)?;
    match serde_json::from_slice(&head)? {
        Head::Done { film, bytes } if bytes <= 2 * MAX_BYTES as u64 => {
            let mut file = Vec::new();
            input.take(bytes).read_to_end(&mut file)?;
            match file.len() as u64 == bytes {
                true => Ok(Ok(Deidentified { film, file })),
                false => Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        Head::Done { .. } => Err(io::Error::other("the file is too long")),
        // It may quote the file: nothing of it may steer a terminal.
        Head::Refused(why) => {
            let why = why.replace(char::is_control, " ");
            Ok(Err(DeidentifyError::Film(why)))
        }
        Head::Later(why) => Ok(Err(DeidentifyError::Later(why))),
    }
}

/// Runs the hidden command: limits this process, rewrites the film at `path` with the key in the file `key`,
/// and answers on the standard output.
pub fn child_main(key: &Path, path: &Path) -> ExitCode {
    let (head, file) = match ready(key, path) {
        Err(why) => (Head::Later(why), Vec::new()),
        Ok((key, bytes)) => match rewrite(&bytes, &key) {
            Ok((film, file)) => {
                let bytes = file.len() as u64;
                (Head::Done { film, bytes }, file)
            }
            Err(why) => (Head::Refused(why), Vec::new()),
        },
    };
    match answer(io::stdout().lock(), &head, &file) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Limits this process, and reads the key and the film.
fn ready(key: &Path, path: &Path) -> Result<(Key, Vec<u8>), String> {
    limit_self()
        .map_err(|error| format!("cannot be rewritten within limits ({error}); allow setrlimit"))?;
    let bytes = read_file(path).map_err(|error| format!("cannot be read ({error})"))?;
    let key = Key::read(key).map_err(|error| format!("has no key ({error})"))?;
    Ok((key, bytes))
}

fn answer(mut output: impl Write, head: &Head, file: &[u8]) -> io::Result<()> {
    let head = serde_json::to_vec(head)?;
    output.write_all(&(head.len() as u32).to_le_bytes())?;
    output.write_all(&head)?;
    output.write_all(file)?;
    output.flush()
}
