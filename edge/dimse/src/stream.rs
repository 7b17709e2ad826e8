//! A TCP connection, with TLS or without, that waits no longer than it may: for each read and
//! write, and until a moment by which all must be done.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// How long a connection may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For one read.
    pub read: Duration,
    /// For one write.
    pub write: Duration,
    /// For the whole association.
    pub association: Duration,
    /// For one object.
    pub object: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            read: Duration::from_secs(30),
            write: Duration::from_secs(30),
            association: Duration::from_secs(600),
            object: Duration::from_secs(120),
        }
    }
}

/// A connection.
#[derive(Debug)]
pub struct Stream {
    transport: Transport,
}

#[derive(Debug)]
enum Transport {
    Plain(Timed),
    Tls(Box<StreamOwned<ServerConnection, Timed>>),
}

impl Stream {
    /// Takes a connection that was accepted, to be done by `deadline`. With `tls` its first read or
    /// write does the handshake.
    ///
    /// # Errors
    /// The system's, or TLS's.
    pub fn new(
        socket: TcpStream,
        tls: Option<&Arc<ServerConfig>>,
        patience: Patience,
        deadline: Instant,
    ) -> io::Result<Self> {
        // Responses are short, and senders wait for them.
        socket.set_nodelay(true)?;
        socket.set_write_timeout(Some(patience.write))?;
        let timed = Timed {
            socket,
            patience: patience.read,
            deadline,
        };
        let transport = match tls {
            None => Transport::Plain(timed),
            Some(config) => {
                let connection = ServerConnection::new(Arc::clone(config));
                let connection = connection.map_err(io::Error::other)?;
                Transport::Tls(Box::new(StreamOwned::new(connection, timed)))
            }
        };
        Ok(Self { transport })
    }

    /// Sets how long the next reads may take each, and until when.
    pub fn wait(&mut self, patience: Duration, deadline: Instant) {
        let timed = match &mut self.transport {
            Transport::Plain(timed) => timed,
            Transport::Tls(stream) => &mut stream.sock,
        };
        timed.patience = patience;
        timed.deadline = deadline;
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.transport {
            Transport::Plain(timed) => timed.read(buffer),
            Transport::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match &mut self.transport {
            Transport::Plain(timed) => timed.write(buffer),
            Transport::Tls(stream) => stream.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.transport {
            Transport::Plain(timed) => timed.flush(),
            Transport::Tls(stream) => stream.flush(),
        }
    }
}

/// A socket whose reads end in time, with an error of the kind `TimedOut`.
#[derive(Debug)]
struct Timed {
    socket: TcpStream,
    patience: Duration,
    deadline: Instant,
}

impl Timed {
    /// Time left until the deadline.
    fn left(&self) -> io::Result<Duration> {
        match self.deadline.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(io::ErrorKind::TimedOut.into()),
            left => Ok(left),
        }
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wait = self.patience.min(self.left()?);
        self.socket.set_read_timeout(Some(wait))?;
        timed_out(self.socket.read(buffer))
    }
}

impl Write for Timed {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.left()?;
        timed_out(self.socket.write(buffer))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

/// Linux calls a timeout `WouldBlock`.
fn timed_out<T>(result: io::Result<T>) -> io::Result<T> {
    result.map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
        _ => error,
    })
}
