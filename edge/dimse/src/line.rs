//! An association that the station opened, with TLS or without.

use std::collections::VecDeque;
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use dicom_ul::ClientAssociation;
use dicom_ul::association::Error;
use dicom_ul::association::client::{ClientAssociationOptions, TlsStream};
use dicom_ul::pdu::{PDV_HEADER_SIZE, PDataValue, Pdu, PresentationContextResultReason};

use super::client::PeerTls;
use super::service::{LEAST_PDU, MOST_PDU};

/// An association.
pub(super) struct Line {
    association: Kind,
    /// What has come and was not looked at yet: a PDU may hold parts of several messages.
    values: VecDeque<PDataValue>,
}

enum Kind {
    Plain(Box<ClientAssociation<TcpStream>>),
    Tls(Box<ClientAssociation<TlsStream>>),
}

/// Calls a method of whichever association it is.
macro_rules! either {
    ($kind:expr, $association:ident => $call:expr) => {
        match $kind {
            Kind::Plain($association) => $call,
            Kind::Tls($association) => $call,
        }
    };
}

impl Line {
    /// Opens an association at `address`, with TLS if there is some.
    pub fn open(
        options: ClientAssociationOptions,
        address: impl ToSocketAddrs,
        tls: Option<PeerTls>,
    ) -> Result<Self, Error> {
        let association = match tls {
            None => Kind::Plain(Box::new(options.establish(address)?)),
            Some(PeerTls { config, name }) => {
                let options = options.tls_config(config.clone()).server_name(name);
                Kind::Tls(Box::new(options.establish_tls(address)?))
            }
        };
        Ok(Self {
            association,
            values: VecDeque::new(),
        })
    }

    /// Sets how long each of the next reads may take.
    pub fn wait(&mut self, longest: Duration) -> io::Result<()> {
        let socket = match &mut self.association {
            Kind::Plain(association) => association.inner_stream(),
            Kind::Tls(association) => &mut association.inner_stream().sock,
        };
        socket.set_read_timeout(Some(longest))
    }

    /// The presentation context in which `class` was accepted with the transfer syntax `syntax`.
    pub fn context(&self, class: &str, syntax: &str) -> Option<u8> {
        let contexts =
            either!(&self.association, association => association.presentation_contexts());
        let accepted = contexts.iter().find(|context| {
            context.abstract_syntax == class
                && context.transfer_syntax == syntax
                && context.reason == PresentationContextResultReason::Acceptance
        });
        accepted.map(|context| context.id)
    }

    /// The most bytes of a PDU that the other side takes.
    pub fn most(&self) -> u32 {
        either!(&self.association, association => association.acceptor_max_pdu_length())
    }

    /// The most bytes of a message's part in one PDU that both sides take.
    pub fn most_data(&self) -> usize {
        self.most()
            .clamp(LEAST_PDU, MOST_PDU)
            .saturating_sub(PDV_HEADER_SIZE) as usize
    }

    pub fn send(&mut self, pdu: &Pdu) -> Result<(), Error> {
        either!(&mut self.association, association => association.send(pdu))
    }

    /// The next part of a message; none if another PDU comes, such as the end of the association.
    pub fn value(&mut self) -> Result<Option<PDataValue>, Error> {
        while self.values.is_empty() {
            match either!(&mut self.association, association => association.receive())? {
                Pdu::PData { data } => self.values.extend(data),
                _ => return Ok(None),
            }
        }
        Ok(self.values.pop_front())
    }

    pub fn release(self) -> Result<(), Error> {
        either!(self.association, association => association.release())
    }

    /// Ends the association at once. The other side may have done so.
    pub fn abort(self) {
        either!(self.association, association => association.abort()).ok();
    }
}
