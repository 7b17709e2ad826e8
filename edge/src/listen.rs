//! Accepting connections, by which films come from an X-ray unit or a host.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::pulse::Pulse;

/// How often a listener looks whether the station is to stop.
pub(crate) const LOOK: Duration = Duration::from_millis(250);

/// Listens on `address`.
///
/// # Errors
/// The system's, such as that the port is in use.
pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpListener::bind(address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Gives each connection to `connected` until `stop` is true; `pulse` shows that the listener lives.
pub(crate) fn listen(
    socket: &TcpListener,
    stop: &AtomicBool,
    pulse: &Pulse,
    mut connected: impl FnMut(TcpStream, SocketAddr),
) {
    while !stop.load(Ordering::Relaxed) {
        pulse.beat();
        let look = Timespec::try_from(LOOK).unwrap_or_default();
        let mut sockets = [PollFd::new(socket, PollFlags::IN)];
        if !matches!(poll(&mut sockets, Some(&look)), Ok(1..)) {
            continue;
        }
        match socket.accept() {
            Ok((socket, address)) => connected(socket, address),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                // Out of file descriptors, most likely: let some close.
                thread::sleep(LOOK);
            }
        }
    }
}

/// One of the open connections, counted until it is dropped.
pub(crate) struct Open<'a> {
    count: &'a AtomicUsize,
    /// How many are open, this one included.
    pub number: usize,
}

impl<'a> Open<'a> {
    /// Counts one more.
    pub fn one_more(count: &'a AtomicUsize) -> Self {
        let number = count.fetch_add(1, Ordering::Relaxed) + 1;
        Self { count, number }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}
