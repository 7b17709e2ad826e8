//! Decoding in a child process. Films come from outside and their decoders are many and old: a
//! film that brings its decoder down, or makes it ask for all memory or all time, costs that film
//! and nothing else.
//!
//! The child is this program again, with the hidden command `decode`. It limits itself before it
//! opens the film, and answers on its standard output in one frame, numbers little-endian:
//!
//! | bytes | a film | a refusal |
//! |---|---|---|
//! | 1 | `F` | `E` |
//! | 4 | width | length of the text |
//! | 4 | height | |
//! | rest | pixels, 2 bytes each, row-major | the text in UTF-8 |

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use plumbline_shared::decode::{self, DecodeError};
use plumbline_shared::film::Film;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, Signal, set_parent_process_death_signal, setrlimit};

use super::IntakeError;

/// The child's address space, the program's own included.
const MEMORY_MIB: u64 = 2048;

/// The child's processor time.
const PROCESSOR_SECONDS: u64 = 20;

/// How long an answer is waited for.
pub const WAIT: Duration = Duration::from_secs(30);

/// The running program, even if an update has replaced its file since it was started.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// The longest refusal that is believed.
const LONGEST_TEXT: u32 = 4096;

const FILM: u8 = b'F';
const REFUSAL: u8 = b'E';

/// What the child says.
type Answer = Result<Film, String>;

/// Decodes the film at `path` in a child process of this program.
///
/// # Errors
/// If the film is refused, takes too much memory or time, or brings its decoder down.
pub fn decode_in_child(path: &Path) -> Result<Film, IntakeError> {
    decode_with(Path::new(THIS_PROGRAM), path, WAIT)
}

/// Decodes the film at `path` with `program`, an executable of this program, within `wait`.
///
/// # Errors
/// Like [`decode_in_child`]'s.
pub fn decode_with(program: &Path, path: &Path, wait: Duration) -> Result<Film, IntakeError> {
    let deadline = Instant::now() + wait;
    let child = Command::new(program)
        .args(["decode", "--"])
        .arg(path)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut child = child.map_err(|error| IntakeError::NoProcess {
        path: path.to_path_buf(),
        error,
    })?;
    let answer = answer_of(&mut child, deadline);
    // It has answered, or never will.
    let ended = child.kill().and_then(|()| child.wait());
    match answer {
        Ok(Ok(film)) => Ok(film),
        Ok(Err(reason)) => Err(IntakeError::Refused {
            path: path.to_path_buf(),
            reason,
        }),
        Err(error) => {
            let late = (error.kind() == io::ErrorKind::TimedOut).then_some(wait);
            Err(failure(path, late, ended))
        }
    }
}

/// The child's answer; an error if it breaks off or does not come in time.
fn answer_of(child: &mut Child, deadline: Instant) -> io::Result<Answer> {
    let pipe = (child.stdout.take()).ok_or(io::ErrorKind::BrokenPipe)?;
    read_answer(Timed { pipe, deadline })
}

/// A child's output up to a moment, after which reading it is an error of the kind `TimedOut`.
struct Timed {
    pipe: ChildStdout,
    deadline: Instant,
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let left = Timespec::try_from(left).map_err(io::Error::other)?;
            let mut pipe = [PollFd::new(&self.pipe, PollFlags::IN)];
            match poll(&mut pipe, Some(&left)) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return self.pipe.read(buffer),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Why a child gave no answer; `late` is the time that it was waited for in vain.
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

/// Reads one frame and believes none of its numbers.
fn read_answer(mut output: impl Read) -> io::Result<Answer> {
    let mut kind = [0];
    output.read_exact(&mut kind)?;
    let mut number = || {
        let mut bytes = [0; 4];
        output.read_exact(&mut bytes)?;
        io::Result::Ok(u32::from_le_bytes(bytes))
    };
    match kind[0] {
        FILM => {
            let (width, height) = (number()?, number()?);
            Film::check_size(width, height).map_err(io::Error::other)?;
            let mut bytes = vec![0; 2 * width as usize * height as usize];
            output.read_exact(&mut bytes)?;
            let pixels = (bytes.as_chunks().0.iter()).map(|pair| u16::from_le_bytes(*pair));
            let film = Film::new(width, height, pixels.collect()).map_err(io::Error::other)?;
            Ok(Ok(film))
        }
        REFUSAL => {
            let length = number()?.min(LONGEST_TEXT);
            let mut text = vec![0; length as usize];
            output.read_exact(&mut text)?;
            // A refusal may quote the file: nothing of it may steer a terminal.
            let text = String::from_utf8_lossy(&text);
            Ok(Err(text.replace(char::is_control, " ")))
        }
        kind => Err(io::Error::other(format!("a frame of kind {kind}"))),
    }
}

/// The hidden command `decode`: limits this process, decodes the film at `path`, and answers on
/// the standard output.
pub fn child_main(path: &Path) -> ExitCode {
    let answer = match limit_self() {
        Ok(()) => decode_file(path),
        Err(error) => Err(format!(
            "its decoder cannot be limited ({error}); allow setrlimit"
        )),
    };
    match write_answer(io::stdout().lock(), &answer) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Takes from this process what a film has no right to.
fn limit_self() -> rustix::io::Result<()> {
    // A station that is killed takes its decoders with it.
    set_parent_process_death_signal(Some(Signal::KILL))?;
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

fn decode_file(path: &Path) -> Answer {
    let unreadable =
        |error: io::Error| format!("the file cannot be read ({error}); check its permissions");
    let kind = fs::metadata(path).map_err(unreadable)?;
    if !kind.is_file() {
        // Opening a pipe would wait for somebody who writes to it.
        return Err("it is a folder or a device, not a file; give the film's file".into());
    }
    let file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > decode::MAX_BYTES {
        return Err(DecodeError::TooLong(length).to_string());
    }
    let mut bytes = Vec::with_capacity(length);
    // A growing file has no length to trust.
    let most = decode::MAX_BYTES as u64 + 1;
    file.take(most)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    decode::decode(&bytes).map_err(|error| error.to_string())
}

fn write_answer(mut output: impl Write, answer: &Answer) -> io::Result<()> {
    match answer {
        Ok(film) => {
            output.write_all(&[FILM])?;
            output.write_all(&film.width().to_le_bytes())?;
            output.write_all(&film.height().to_le_bytes())?;
            let bytes: Vec<u8> = film.pixels().iter().flat_map(|p| p.to_le_bytes()).collect();
            output.write_all(&bytes)?;
        }
        Err(reason) => {
            output.write_all(&[REFUSAL])?;
            output.write_all(&(reason.len() as u32).to_le_bytes())?;
            output.write_all(reason.as_bytes())?;
        }
    }
    output.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_their_way() {
        let film = Film::new(3, 2, vec![0, 1, 256, 65535, 4, 5]).unwrap();
        for answer in [Ok(film), Err("the file is empty".into())] {
            let mut frame = Vec::new();
            write_answer(&mut frame, &answer).unwrap();
            assert_eq!(read_answer(&frame[..]).unwrap(), answer);
            for length in 0..frame.len() {
                assert!(read_answer(&frame[..length]).is_err());
            }
        }
    }

    #[test]
    fn claimed_sizes_are_not_believed() {
        let mut frame = vec![FILM];
        frame.extend([0xff; 8]);
        assert!(read_answer(&frame[..]).is_err());
        assert!(read_answer(&b"X1234"[..]).is_err());
        let long = [&[REFUSAL, 0xff, 0xff, 0xff, 0xff][..], &[b'a'; 5000]].concat();
        assert_eq!(read_answer(&long[..]).unwrap().unwrap_err().len(), 4096);
    }
}
