//! Films by DICOM: the provider of C-STORE and C-ECHO. Each association has a thread; the bytes of a
//! data set go to the disk as they come, behind file meta information of the station's own.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, Scope};
use std::time::Instant;

use ipnet::IpNet;
use rustls::ServerConfig;

use super::file_meta::file_meta;
use super::receiver::{Announced, ReceiveError, Receiver, Way};
use crate::listen::{self, Open};
use crate::pulse::Pulse;
use crate::store::{Incoming, Origin, StoreError};
use plumbline_dimse::{
    Association, AssociationError, C_CANCEL, C_ECHO, C_STORE, COMMITMENT, Committed, Message,
    N_EVENT_REPORT, Patience, Rules, Status, Stream, is_uid,
};
use plumbline_shared::printable::printable;

/// The most bytes of an answer about commitment that are read.
const MOST_COMMITMENT: usize = 4 << 20;

/// Connections beyond the most associations: those that have not asked for one yet, and those that are
/// told to come again. Further ones are closed.
const WAITING: usize = 64;

/// Listens for associations.
pub struct DicomListener {
    socket: TcpListener,
    rules: Rules,
    addresses: Vec<IpNet>,
    most: usize,
    tls: Option<Arc<ServerConfig>>,
    patience: Patience,
    receiver: Receiver,
    connections: AtomicUsize,
    associations: AtomicUsize,
}

/// How a listener treats those who connect.
pub struct DicomOptions {
    /// Whom the station answers, and what it takes.
    pub rules: Rules,
    /// The addresses that may connect; any if there are none.
    pub addresses: Vec<IpNet>,
    /// The most associations at a time.
    pub associations: usize,
    /// TLS, if all must speak it.
    pub tls: Option<Arc<ServerConfig>>,
    /// How long a connection may take.
    pub patience: Patience,
}

impl DicomListener {
    /// Listens on `address`.
    ///
    /// # Errors
    /// The system's, such as that the port is in use.
    pub fn bind(
        address: SocketAddr,
        options: DicomOptions,
        receiver: Receiver,
    ) -> io::Result<Self> {
        Ok(Self {
            socket: listen::bind(address)?,
            rules: options.rules,
            addresses: options.addresses,
            most: options.associations,
            tls: options.tls,
            patience: options.patience,
            receiver,
            connections: AtomicUsize::new(0),
            associations: AtomicUsize::new(0),
        })
    }

    /// The address that it listens on.
    ///
    /// # Errors
    /// The system's.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Serves associations until `stop` is true. Then those that are receiving a film finish it.
    pub fn run(&self, stop: &AtomicBool, pulse: &Pulse) {
        thread::scope(|scope| {
            listen::listen(&self.socket, stop, pulse, |socket, address| {
                self.connected(scope, socket, address, stop);
            });
        });
    }

    fn connected<'scope, 'env>(
        &'env self,
        scope: &'scope Scope<'scope, 'env>,
        socket: TcpStream,
        address: SocketAddr,
        stop: &'env AtomicBool,
    ) {
        let ip = address.ip().to_canonical();
        if !self.may_connect(ip) {
            tracing::warn!(%ip, "closed a connection: the address is not on the configuration's list");
            return;
        }
        let open = Open::one_more(&self.connections);
        if open.number > self.most + WAITING {
            tracing::warn!(%ip, "closed a connection: far more than there may be are open");
            return;
        }
        let served = thread::Builder::new()
            .name("association".into())
            .spawn_scoped(scope, move || {
                let metrics = &self.receiver.metrics;
                let ended = self.serve(socket, ip, stop);
                drop(open);
                metrics.associations(self.associations.load(Ordering::Relaxed));
                match ended {
                    Ok(()) => metrics.association_ended("released"),
                    Err(error) => {
                        metrics.association_ended(ending(&error));
                        tracing::info!(%ip, %error, "an association ended");
                    }
                }
            });
        if let Err(error) = served {
            tracing::warn!(%error, "closed a connection: no thread can be started for it");
        }
    }

    fn may_connect(&self, ip: IpAddr) -> bool {
        self.addresses.is_empty() || self.addresses.iter().any(|network| network.contains(&ip))
    }

    fn serve(
        &self,
        socket: TcpStream,
        ip: IpAddr,
        stop: &AtomicBool,
    ) -> Result<(), AssociationError> {
        let deadline = Instant::now() + self.patience.association;
        let stream = Stream::new(socket, self.tls.as_ref(), self.patience, deadline)
            .map_err(AssociationError::Connection)?;
        // Held until the association has ended.
        let mut slot = None;
        let has_room = || {
            let taken = Open::one_more(&self.associations);
            let has_room = taken.number <= self.most;
            slot = has_room.then_some(taken);
            has_room
        };
        let mut association =
            Association::accept(stream, &self.rules, self.patience, deadline, has_room, stop)?;
        let metrics = &self.receiver.metrics;
        metrics.associations(self.associations.load(Ordering::Relaxed));
        let sender = format!("{} at {ip}", association.caller().escape_debug());
        tracing::debug!(sender, "an association began");
        while let Some(message) = association.next_message()? {
            let (status, comment) = match message.request.field {
                C_CANCEL => continue,
                C_STORE => self.store(&mut association, &message, &sender)?,
                N_EVENT_REPORT if message.sop_class == COMMITMENT => {
                    self.hear_commitment(&mut association, &message, &sender)?
                }
                field => {
                    if message.request.has_data {
                        association.data(&message, |_| {})?;
                    }
                    match field {
                        C_ECHO => (Status::Success, None),
                        _ => (Status::UnrecognisedOperation, None),
                    }
                }
            };
            self.receiver.metrics.answered(status);
            let response = message.request.response(status, comment.as_deref());
            association.respond(&message, &response)?;
        }
        Ok(())
    }

    /// Receives the film of a C-STORE, and returns what to answer. A film that cannot be kept costs
    /// one failure status, not the association.
    fn store(
        &self,
        association: &mut Association,
        message: &Message,
        sender: &str,
    ) -> Result<(Status, Option<String>), AssociationError> {
        let request = &message.request;
        let mut incoming = match self.refused(association, message) {
            Some(refusal) => Err(refusal),
            None => self.begin(message).map_err(refusal_of),
        };
        if request.has_data {
            association.data(message, |bytes| {
                if let Ok(film) = &mut incoming
                    && let Err(error) = film.write(bytes)
                {
                    incoming = Err(refusal_of(error));
                }
            })?;
        }
        let kept = incoming.and_then(|incoming| {
            let way = Way {
                origin: Origin::Dicom,
                sender,
                announced: Some(Announced {
                    sop_class: &request.sop_class,
                    sop_instance: &request.sop_instance,
                    transfer_syntax: &message.transfer_syntax,
                }),
            };
            let received = self.receiver.receive(incoming, &way);
            received.map_err(refusal_of_received)
        });
        match kept {
            Ok(_) => Ok((Status::Success, None)),
            Err((status, comment)) => {
                tracing::warn!(
                    sender,
                    status = status.code(),
                    comment,
                    "a film was not stored"
                );
                Ok((status, Some(comment)))
            }
        }
    }

    /// Hears what an archive says of keeping what was sent to it, and returns what to answer.
    fn hear_commitment(
        &self,
        association: &mut Association,
        message: &Message,
        sender: &str,
    ) -> Result<(Status, Option<String>), AssociationError> {
        let mut bytes = Vec::new();
        if message.request.has_data {
            association.data(message, |piece| {
                if bytes.len() + piece.len() <= MOST_COMMITMENT {
                    bytes.extend(piece);
                }
            })?;
        }
        let answer = match Committed::parse(&bytes, &message.transfer_syntax) {
            Ok(answer) => answer,
            Err(error) => {
                tracing::warn!(sender, %error, "an answer about commitment was not understood");
                return Ok((Status::InvalidArgument, Some(error.to_string())));
            }
        };
        match self.receiver.store.committed(&answer) {
            Ok(true) => Ok((Status::Success, None)),
            Ok(false) => {
                let transaction = printable(&answer.transaction);
                tracing::warn!(
                    sender,
                    transaction,
                    "an answer about commitment was not asked for"
                );
                Ok((Status::Success, None))
            }
            Err(error) => Ok({
                let (status, comment) = refusal_of(error);
                (status, Some(comment))
            }),
        }
    }

    /// Why a film is refused before its data set has come.
    fn refused(&self, association: &Association, message: &Message) -> Option<Refusal> {
        let request = &message.request;
        let caller = association.caller();
        let senders = &self.rules.senders;
        let refusal = |status, comment: &str| Some((status, comment.to_owned()));
        if !is_uid(&request.sop_class) || !is_uid(&request.sop_instance) || !request.has_data {
            return refusal(
                Status::InvalidArgument,
                "the command lacks a UID or a data set",
            );
        }
        if request.sop_class != message.sop_class || !is_stored(&message.sop_class) {
            return refusal(
                Status::ClassNotSupported,
                "this SOP Class was not negotiated",
            );
        }
        if !senders.is_empty() && !senders.iter().any(|sender| sender == caller) {
            return refusal(Status::NotAuthorised, "this AE title may not store here");
        }
        None
    }

    fn begin(&self, message: &Message) -> Result<Incoming, StoreError> {
        let request = &message.request;
        let mut incoming = self.receiver.store.begin()?;
        incoming.write(&file_meta(
            &request.sop_class,
            &request.sop_instance,
            &message.transfer_syntax,
        ))?;
        Ok(incoming)
    }
}

/// A status and the comment that goes with it, without anything of the film.
type Refusal = (Status, String);

fn refusal_of(error: StoreError) -> Refusal {
    let (status, comment) = match &error {
        StoreError::TooLong { most_mib } => (
            Status::CannotUnderstand,
            format!("more than {most_mib} MiB"),
        ),
        StoreError::Full { free_mib, .. } => (
            Status::OutOfResources,
            format!("{free_mib} MiB of disk left, too little: send it later"),
        ),
        _ => (
            Status::OutOfResources,
            "disk or database cannot be written: send it later".to_owned(),
        ),
    };
    if !matches!(error, StoreError::TooLong { .. }) {
        tracing::error!(%error, "a film cannot be stored");
    }
    (status, comment)
}

fn refusal_of_received(error: ReceiveError) -> Refusal {
    let (status, comment) = match error {
        ReceiveError::Store(error) => return refusal_of(error),
        ReceiveError::OtherInstance => (
            Status::DoesNotMatchClass,
            "class or instance UID are not those of the command",
        ),
        ReceiveError::NotWhole(error) if error.may_pass() => (
            Status::OutOfResources,
            "the station is too busy: send it later",
        ),
        ReceiveError::NotWhole(_) => (
            Status::CannotUnderstand,
            "the data set is damaged or cut off",
        ),
    };
    (status, comment.to_owned())
}

fn is_stored(class: &str) -> bool {
    let mut classes = plumbline_dimse::service::STORAGE.iter();
    classes.any(|storage| storage.uid == class)
}

/// An association's end, for counting.
fn ending(error: &AssociationError) -> &'static str {
    match error {
        AssociationError::Ended => "ended by the peer",
        AssociationError::TooSlow => "too slow",
        AssociationError::Stopping => "station stopped",
        AssociationError::Rejected(_) => "rejected",
        AssociationError::Protocol(_) => "protocol violated",
        _ => "connection failed",
    }
}
