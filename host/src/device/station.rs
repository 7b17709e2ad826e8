//! A station that is asked: where a connection breaks, another one goes on.

use std::fmt::Display;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use plumbline_shared::tls::Tls;
use plumbline_wire::hello::{Identity, Version};
use plumbline_wire::host::{self, FromStation, Info, ToStation};
use rustls::ClientConfig;

use super::{Address, Connection, DeviceError};

/// The waits before each new connection while nothing goes on: a minute and a half, in which a station
/// starts again.
const WAITS: [u64; 14] = [0, 1, 1, 2, 4, 8, 8, 8, 8, 8, 10, 10, 10, 10];

/// A station.
pub struct Station {
    address: Address,
    tls: Arc<ClientConfig>,
    ours: Identity,
    connection: Option<Connection>,
    /// Whether there was a connection: what never answered will most likely not do so soon.
    was_there: bool,
    note: fn(&dyn Display),
}

/// How often a broken connection is replaced while nothing goes on.
#[derive(Debug, Default)]
pub(super) struct Tries(usize);

impl Tries {
    /// Something went on: the connection was of use.
    pub(super) fn progressed(&mut self) {
        self.0 = 0;
    }

    fn next(&mut self) -> Option<Duration> {
        let wait = WAITS.get(self.0).copied().map(Duration::from_secs);
        self.0 += 1;
        wait
    }
}

impl Station {
    /// The station at `address`, to which this program shows the certificate of `tls`. `note` tells
    /// people when a connection broke and is replaced.
    ///
    /// # Errors
    /// [`DeviceError::Tls`].
    pub fn new(address: Address, tls: &Tls, note: fn(&dyn Display)) -> Result<Self, DeviceError> {
        const VERSION: Version = Version::of(env!("CARGO_PKG_VERSION"));
        Ok(Self {
            address,
            tls: tls.client()?,
            ours: host::identity(VERSION, rand::random()),
            connection: None,
            was_there: false,
            note,
        })
    }

    /// Asks how the station is, and gives its answer and its program's version to `take`.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub fn info<T>(&mut self, take: impl Fn(&Info, Version) -> T) -> Result<T, DeviceError> {
        self.ask(|connection, _| {
            connection.say(&ToStation::Info)?;
            let version = connection.version();
            match connection.hear()? {
                FromStation::Info(info) => Ok(take(&info, version)),
                _ => Err(DeviceError::Unexpected),
            }
        })
    }

    /// Does `work` on a connection, and again on another one if it broke.
    pub(super) fn ask<T>(
        &mut self,
        mut work: impl FnMut(&mut Connection, &mut Tries) -> Result<T, DeviceError>,
    ) -> Result<T, DeviceError> {
        let mut tries = Tries::default();
        loop {
            let done = self
                .connected()
                .and_then(|connection| work(connection, &mut tries));
            let error = match done {
                Ok(done) => return Ok(done),
                // The connection is as good as it was.
                Err(error @ DeviceError::Refused(_)) => return Err(error),
                Err(error) => error,
            };
            self.connection = None;
            if !error.may_pass() || !self.was_there {
                return Err(error);
            }
            let Some(wait) = tries.next() else {
                return Err(error);
            };
            (self.note)(&format_args!("{error}; connecting again"));
            thread::sleep(wait);
        }
    }

    fn connected(&mut self) -> Result<&mut Connection, DeviceError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(&self.address, &self.tls, self.ours)?,
        };
        self.was_there = true;
        Ok(self.connection.insert(connection))
    }
}
