//! Either side of the link by the wire's own types, to say what the programs would not.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::thread::{self, JoinHandle};

use plumbline_shared::tls::Tls;
use plumbline_wire::conversation::{Conversation, ConversationError};
use plumbline_wire::hello::{Identity, Version};
use plumbline_wire::host::{FromStation, ToStation, identity};
use plumbline_wire::object::{Chunk, Have, Object};
use rustls::{ClientConnection, ServerConnection, StreamOwned};
use sha2::{Digest, Sha256};

use crate::station::LONG;

pub type HostSide = Conversation<StreamOwned<ClientConnection, TcpStream>>;
pub type StationSide = Conversation<StreamOwned<ServerConnection, TcpStream>>;

/// A program of this version of the messages.
pub fn today() -> Identity {
    identity(Version::of("9.8.7"), 1)
}

/// Connects as a host, and exchanges hellos.
pub fn connect(to: SocketAddr, shown: &Tls) -> HostSide {
    let (side, _) = connect_as(to, shown, today()).unwrap();
    side
}

/// Connects as a host of some identity, and returns the station's.
pub fn connect_as(
    to: SocketAddr,
    shown: &Tls,
    ours: Identity,
) -> Result<(HostSide, Identity), ConversationError> {
    let socket = TcpStream::connect(to).unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    let name = to.ip().into();
    let connection = ClientConnection::new(shown.client().unwrap(), name).unwrap();
    let mut side = Conversation::new(StreamOwned::new(connection, socket));
    let theirs = side.hear_hello()?;
    side.say_hello(ours)?;
    Ok((side, theirs))
}

/// A station that answers one connection after the other by `answers`.
pub fn station(
    shown: &Tls,
    ours: Identity,
    answers: Vec<Box<dyn FnOnce(StationSide) + Send>>,
) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let config = shown.server().unwrap();
    let thread = thread::spawn(move || {
        for answer in answers {
            let (socket, _) = listener.accept().unwrap();
            let connection = ServerConnection::new(config.clone()).unwrap();
            let mut side = Conversation::new(StreamOwned::new(connection, socket));
            side.say_hello(ours).unwrap();
            // One who is of another version may leave at once.
            if side.hear_hello().is_ok() {
                answer(side);
            }
        }
    });
    (address, thread)
}

/// A film in memory.
pub struct Film {
    pub bytes: Vec<u8>,
    pub object: Object,
}

impl Film {
    pub fn read(path: &Path) -> Self {
        Self::of(std::fs::read(path).unwrap())
    }

    pub fn of(bytes: Vec<u8>) -> Self {
        let object = Object {
            sha256: Sha256::digest(&bytes).into(),
            length: bytes.len() as u64,
        };
        Self { bytes, object }
    }

    /// Announces the film, and returns what the station has of it.
    pub fn announce(&self, side: &mut HostSide) -> Have {
        let film = self.object;
        let name = "MARKERQ7.dcm";
        side.say(&ToStation::Screen { name, film }).unwrap();
        match side.hear().unwrap() {
            FromStation::Have(have) => have,
            other => panic!("{other:?}"),
        }
    }

    /// Sends bytes of the film.
    pub fn send(&self, side: &mut HostSide, from: usize, to: usize) {
        let bytes = &self.bytes[from..to];
        for (index, bytes) in bytes.chunks(9_000).enumerate() {
            let offset = (from + index * 9_000) as u64;
            side.say(&ToStation::Chunk(Chunk { offset, bytes }))
                .unwrap();
        }
    }
}

/// Waits for a film's result: its number, and the film.
pub fn result(side: &mut HostSide) -> (u64, serde_json::Value) {
    loop {
        match side.hear().unwrap() {
            FromStation::Waiting => {}
            FromStation::Result { number, line } => {
                return (number, serde_json::from_str(line).unwrap());
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Waits for a refusal.
pub fn refusal(side: &mut HostSide) -> String {
    match side.hear().unwrap() {
        FromStation::Refused { sentence } => sentence.to_owned(),
        other => panic!("{other:?}"),
    }
}

/// Asks how the station is, and so waits until it has done all that was said before.
pub fn info(side: &mut HostSide) {
    side.say(&ToStation::Info).unwrap();
    assert!(matches!(side.hear().unwrap(), FromStation::Info(_)));
}
