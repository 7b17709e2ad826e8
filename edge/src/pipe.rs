//! A child process's output, read up to a moment.

use std::io::{self, Read};
use std::process::ChildStdout;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// A child's output up to a moment, after which reading it is an error of the kind `TimedOut`.
#[derive(Debug)]
pub(crate) struct TimedPipe {
    pipe: ChildStdout,
    deadline: Instant,
}

impl TimedPipe {
    pub(crate) fn new(pipe: ChildStdout, deadline: Instant) -> Self {
        Self { pipe, deadline }
    }

    /// Sets another moment.
    pub(crate) fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }
}

impl Read for TimedPipe {
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
