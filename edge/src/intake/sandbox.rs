//! Decoding in a child process. Films come from outside and their decoders are complex: a film that
//! crashes its decoder, or makes it ask for all memory or all time, costs that film and nothing
//! else.
//!
//! The child is this program again, with the hidden command `decode` or `inspect`. It limits itself before it
//! opens the film, and answers on its standard output as [`plumbline_wire::decoder`] says.
//!
//! The child is killed when the thread that started it ends (`PR_SET_PDEATHSIG` looks at threads),
//! so that thread must wait for the answer, as [`decode_with`] does.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use plumbline_shared::decode::{self, DecodeError, ErrorKind, Header};
use plumbline_shared::film::Film;
use plumbline_wire::decoder::RefusalCode;
use rustix::io::Errno;
use rustix::process::{
    Resource, Rlimit, Signal, getppid, set_parent_process_death_signal, setrlimit,
};

use super::answer::{self, Answer, Content, Refusal};
use super::error::IntakeError;
use crate::pipe::TimedPipe;

/// Limit of the child's address space, the program's own included.
const MEMORY_MIB: u64 = 2048;

/// Limit of the child's processor time.
const PROCESSOR_SECONDS: u64 = 20;

/// Longest wait for an answer.
pub const WAIT: Duration = Duration::from_secs(30);

/// The running program, even if an update has replaced its file since it was started.
pub const THIS_PROGRAM: &str = "/proc/self/exe";

/// The content of a film's file.
#[derive(Debug)]
pub struct DecodedFile {
    /// The film.
    pub film: Film,
    /// What was done to make it of its file, in words.
    pub notes: Vec<String>,
    /// The patient, examination and view, if the file is a DICOM file.
    pub header: Option<Header>,
}

/// Decodes the film at `path` in a child process, within `wait`. `program` is an executable of
/// `plumbline-edge`, such as [`THIS_PROGRAM`] within `plumbline-edge` itself.
///
/// # Errors
/// If the film is refused, takes too much memory or time, or crashes its decoder.
pub fn decode_with(
    program: &Path,
    path: &Path,
    wait: Duration,
) -> Result<DecodedFile, IntakeError> {
    match ask(program, "decode", path, wait)? {
        (header, Content::Film(film, notes)) => Ok(DecodedFile {
            film,
            notes,
            header,
        }),
        (_, Content::Whole) => Err(failure(path, None, Ok(ExitStatus::default()))),
    }
}

/// Checks in a child process, within `wait`, that the file `path` is whole, and returns the header if
/// it is a DICOM file. Its pixels are not decoded if it is. `program` is as with [`decode_with`].
///
/// # Errors
/// If the file is damaged or cut off, takes too much memory or time, or crashes its decoder.
pub fn inspect_with(
    program: &Path,
    path: &Path,
    wait: Duration,
) -> Result<Option<Header>, IntakeError> {
    ask(program, "inspect", path, wait).map(|(header, _)| header)
}

/// Runs the hidden command `command` of `program` on the file `path`.
fn ask(
    program: &Path,
    command: &str,
    path: &Path,
    wait: Duration,
) -> Result<(Option<Header>, Content), IntakeError> {
    let Answer { content, header } =
        ask_child(program, &[OsStr::new(command)], path, wait, answer::read)?;
    match content {
        Ok(content) => Ok((header, content)),
        Err(Refusal { code, sentence }) => Err(IntakeError::Refused {
            path: path.to_path_buf(),
            code,
            reason: sentence,
            header: header.map(Box::new),
        }),
    }
}

/// Runs a hidden command of `program`, with its other arguments, on the file `path`, and reads its answer
/// within `wait`.
///
/// # Errors
/// If there is no answer: the command took too much memory or time, or crashed.
pub(crate) fn ask_child<T>(
    program: &Path,
    command: &[&OsStr],
    path: &Path,
    wait: Duration,
    read: impl FnOnce(TimedPipe) -> io::Result<T>,
) -> Result<T, IntakeError> {
    let deadline = Instant::now() + wait;
    let child = Command::new(program)
        .args(command)
        .arg("--")
        .arg(path)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        // A signal to the station's group must not make a good film look damaged.
        .process_group(0)
        .spawn();
    let mut child = child.map_err(|error| IntakeError::NoProcess {
        path: path.to_path_buf(),
        error,
    })?;
    // An answer that breaks off or does not come in time is an error.
    let pipe = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe.into());
    let answer = pipe.and_then(|pipe| read(TimedPipe::new(pipe, deadline)));
    // The child has answered, or never will.
    let ended = child.kill().and_then(|()| child.wait());
    answer.map_err(|error: io::Error| {
        let late = (error.kind() == io::ErrorKind::TimedOut).then_some(wait);
        failure(path, late, ended)
    })
}

/// Returns the error of a child that gave no answer; `late` is the wait, if it was too long.
fn failure(path: &Path, late: Option<Duration>, ended: io::Result<ExitStatus>) -> IntakeError {
    let path = path.to_path_buf();
    let signal = ended.as_ref().ok().and_then(ExitStatusExt::signal);
    if late.is_some() || signal == Some(Signal::XCPU.as_raw()) {
        let seconds = late.map_or(PROCESSOR_SECONDS, |wait| wait.as_secs());
        return IntakeError::TooSlow { path, seconds };
    }
    let how = match (ended, signal) {
        (_, Some(signal)) => format!("signal {signal}"),
        (Ok(status), None) => status.to_string(),
        (Err(error), None) => error.to_string(),
    };
    IntakeError::Fatal {
        path,
        how,
        mib: MEMORY_MIB,
    }
}

/// What a child process is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// The film.
    Decode,
    /// Whether the file is whole.
    Inspect,
}

/// Runs the hidden command of `task`: limits this process, reads the file at `path`, and answers on
/// the standard output.
pub fn child_main(task: Task, path: &Path) -> ExitCode {
    let answer = match limit_self() {
        Ok(()) => read_file(task, path),
        Err(error) => Answer {
            header: None,
            content: Err(Refusal {
                code: RefusalCode::Unreadable,
                sentence: format!("its decoder cannot be limited ({error}); allow setrlimit"),
            }),
        },
    };
    match answer::write(io::stdout().lock(), &answer) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Limits the memory, the time and the files of this process.
pub(crate) fn limit_self() -> rustix::io::Result<()> {
    // A station that is killed takes its decoders with it, also one that is killed just now.
    let parent = getppid();
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if getppid() != parent {
        return Err(Errno::SRCH);
    }
    for (resource, current, maximum) in [
        (Resource::As, MEMORY_MIB << 20, MEMORY_MIB << 20),
        // Only the lower limit has a signal of its own, by which the parent knows it.
        (Resource::Cpu, PROCESSOR_SECONDS, PROCESSOR_SECONDS + 1),
        (Resource::Core, 0, 0),
        // Pipes are not files.
        (Resource::Fsize, 0, 0),
    ] {
        let limit = Rlimit {
            current: Some(current),
            maximum: Some(maximum),
        };
        setrlimit(resource, limit)?;
    }
    Ok(())
}

/// Does `task` on the file at `path`.
fn read_file(task: Task, path: &Path) -> Answer {
    let bytes = match decode::read_file(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            return Answer {
                header: None,
                content: Err(Refusal::of(&error)),
            };
        }
    };
    let (header, content) = match task {
        Task::Inspect => {
            let (header, whole) = decode::inspect(&bytes);
            (header, whole.map(|()| Content::Whole))
        }
        Task::Decode => {
            let (header, film) = decode::header_and_film(&bytes);
            let content = film.map(|decoded| {
                let notes = decoded.notes.iter().map(ToString::to_string);
                Content::Film(decoded.film, notes.collect())
            });
            (header, content)
        }
    };
    Answer {
        header,
        content: content.map_err(|error| Refusal::of(&error)),
    }
}

impl Refusal {
    fn of(error: &DecodeError) -> Self {
        Self {
            code: match error.kind() {
                ErrorKind::Unreadable => RefusalCode::Unreadable,
                ErrorKind::Length => RefusalCode::Length,
                ErrorKind::Format => RefusalCode::Format,
                ErrorKind::Unsupported => RefusalCode::Unsupported,
                ErrorKind::Colour => RefusalCode::Colour,
                ErrorKind::NoPixels => RefusalCode::NoPixels,
                ErrorKind::Size => RefusalCode::Size,
                ErrorKind::NotSquare => RefusalCode::NotSquare,
                ErrorKind::Blank => RefusalCode::Blank,
                ErrorKind::NothingShown => RefusalCode::NothingShown,
                ErrorKind::ForProcessing => RefusalCode::ForProcessing,
                ErrorKind::Crashed => RefusalCode::Crashed,
                _ => RefusalCode::Damaged,
            },
            sentence: error.to_string(),
        }
    }
}
