//! One connection to a station.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use plumbline_wire::conversation::Conversation;
use plumbline_wire::hello::{Agreement, Identity, Version};
use plumbline_wire::host::{FromStation, ToStation};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::{Address, DeviceError};

/// How long connecting may take, for each of a name's addresses.
const CONNECT: Duration = Duration::from_secs(10);

/// How long the station may be silent: a film's file is looked at for up to 30 s before it is kept.
const SILENCE: Duration = Duration::from_secs(60);

/// A connection to a station that has said hello.
pub struct Connection {
    address: Address,
    conversation: Conversation<StreamOwned<ClientConnection, TcpStream>>,
    version: Version,
}

impl Connection {
    /// Connects, and exchanges hellos.
    ///
    /// # Errors
    /// [`DeviceError`], each with what to do.
    pub(super) fn open(
        address: &Address,
        tls: &Arc<ClientConfig>,
        ours: Identity,
    ) -> Result<Self, DeviceError> {
        let unreachable = |error| DeviceError::Unreachable {
            address: address.clone(),
            error,
        };
        let socket = connect(address).map_err(unreachable)?;
        let name = ServerName::try_from(address.host().to_owned());
        let name = name.map_err(|error| unreachable(io::Error::other(error)))?;
        let connection = ClientConnection::new(Arc::clone(tls), name);
        let connection = connection.map_err(|error| unreachable(io::Error::other(error)))?;
        let mut conversation = Conversation::new(StreamOwned::new(connection, socket));
        let failed = |error| DeviceError::of(error, address);
        // The station speaks first: what it thinks of our certificate comes before anything is lost.
        let theirs = conversation.hear_hello().map_err(failed)?;
        conversation.say_hello(ours).map_err(failed)?;
        match ours.agreement(&theirs) {
            Agreement::Same => Ok(Self {
                address: address.clone(),
                conversation,
                version: theirs.version,
            }),
            agreement => Err(DeviceError::OtherMessages {
                theirs: theirs.version,
                ours: ours.version,
                agreement,
            }),
        }
    }

    /// The version of the station's program.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Says a message.
    ///
    /// # Errors
    /// [`DeviceError::Broken`].
    pub fn say(&mut self, message: &ToStation) -> Result<(), DeviceError> {
        let said = self.conversation.say(message);
        said.map_err(|error| DeviceError::of(error, &self.address))
    }

    /// Waits for the station's next message.
    ///
    /// # Errors
    /// [`DeviceError::Refused`] if it does not do what was asked; those of the connection.
    pub fn hear(&mut self) -> Result<FromStation<'_>, DeviceError> {
        match self.conversation.hear() {
            Ok(FromStation::Refused { sentence }) => Err(DeviceError::Refused(sentence.to_owned())),
            Ok(message) => Ok(message),
            Err(error) => Err(DeviceError::of(error, &self.address)),
        }
    }
}

fn connect(address: &Address) -> io::Result<TcpStream> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in (address.host(), address.port()).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(socket) => {
                // Questions are short, and their answers are waited for.
                socket.set_nodelay(true)?;
                socket.set_read_timeout(Some(SILENCE))?;
                socket.set_write_timeout(Some(SILENCE))?;
                return Ok(socket);
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}
