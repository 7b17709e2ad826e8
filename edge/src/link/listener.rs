//! Waits for hosts. Each connection has a thread.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, Scope};
use std::time::Instant;

use plumbline_dimse::{Patience, Stream};
use plumbline_wire::conversation::Conversation;
use plumbline_wire::hello::Agreement;
use rustls::ServerConfig;

use super::about::Station;
use super::session::{HELLO, LinkError, Session};
use crate::listen::{self, Open};
use crate::pulse::Pulse;

/// Connections beyond the most hosts: those that have not said hello yet, and those that are told to
/// come again. Further ones are closed.
const WAITING: usize = 16;

/// Listens for hosts.
pub struct LinkListener {
    socket: TcpListener,
    tls: Arc<ServerConfig>,
    most: usize,
    station: Station,
    connections: AtomicUsize,
    hosts: AtomicUsize,
}

impl LinkListener {
    /// Listens on `address` for at most so many hosts at a time, whose certificates `tls` verifies.
    ///
    /// # Errors
    /// The system's, such as that the port is in use.
    pub fn bind(
        address: SocketAddr,
        tls: Arc<ServerConfig>,
        most: usize,
        station: Station,
    ) -> io::Result<Self> {
        Ok(Self {
            socket: listen::bind(address)?,
            tls,
            most,
            station,
            connections: AtomicUsize::new(0),
            hosts: AtomicUsize::new(0),
        })
    }

    /// The address that it listens on.
    ///
    /// # Errors
    /// The system's.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Answers hosts until `stop` is true. Those that send a film then go on with it after the next
    /// start.
    pub fn run(&self, stop: &AtomicBool, pulse: &Pulse) {
        thread::scope(|scope| {
            listen::listen(&self.socket, stop, pulse, |socket, address| {
                self.connected(scope, socket, address.ip().to_canonical(), stop);
            });
        });
    }

    fn connected<'scope, 'env>(
        &'env self,
        scope: &'scope Scope<'scope, 'env>,
        socket: TcpStream,
        ip: IpAddr,
        stop: &'env AtomicBool,
    ) {
        let open = Open::one_more(&self.connections);
        if open.number > self.most + WAITING {
            tracing::warn!(%ip, "closed a host's connection: far more than there may be are open");
            return;
        }
        let served = thread::Builder::new()
            .name("host".into())
            .spawn_scoped(scope, move || {
                let ended = self.serve(socket, ip, stop);
                drop(open);
                self.count_hosts();
                match ended {
                    Ok(()) => tracing::debug!(%ip, "a host has left"),
                    Err(error) => tracing::info!(%ip, %error, "a host's connection ended"),
                }
            });
        if let Err(error) = served {
            tracing::warn!(%error, "closed a host's connection: no thread can be started for it");
        }
    }

    fn serve(&self, socket: TcpStream, ip: IpAddr, stop: &AtomicBool) -> Result<(), LinkError> {
        let patience = Patience {
            read: HELLO,
            write: HELLO,
            ..Patience::default()
        };
        let stream = Stream::new(socket, Some(&self.tls), patience, Instant::now() + HELLO);
        let mut conversation = Conversation::new(stream.map_err(LinkError::Setup)?);
        // Before the host's: one whose certificate is refused then has said nothing yet, and learns
        // why.
        conversation.say_hello(self.station.identity)?;
        let host = conversation.hear_hello()?;
        match self.station.identity.agreement(&host) {
            Agreement::Same => {}
            agreement => {
                let version = host.version;
                return Err(LinkError::OtherMessages { version, agreement });
            }
        }
        let open = Open::one_more(&self.hosts);
        self.count_hosts();
        tracing::info!(%ip, version = %host.version, "a host has connected");
        let mut session = Session::new(conversation, &self.station, stop);
        match open.number > self.most {
            true => session.refuse_once(&format!("{} hosts are connected: try later", self.most)),
            false => session.run(),
        }
    }

    fn count_hosts(&self) {
        let hosts = self.hosts.load(Ordering::Relaxed);
        self.station.receiver.metrics.hosts(hosts);
    }
}
