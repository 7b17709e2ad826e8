//! An association that the station opened, with TLS or without.

use std::net::{TcpStream, ToSocketAddrs};

use dicom_ul::ClientAssociation;
use dicom_ul::association::Error;
use dicom_ul::association::client::{ClientAssociationOptions, TlsStream};
use dicom_ul::pdu::{PDV_HEADER_SIZE, Pdu, PresentationContextNegotiated};

use super::client::PeerTls;
use super::service::{LEAST_PDU, MOST_PDU};

/// An association.
pub(super) enum Line {
    Plain(Box<ClientAssociation<TcpStream>>),
    Tls(Box<ClientAssociation<TlsStream>>),
}

/// Calls a method of whichever association it is.
macro_rules! either {
    ($line:expr, $association:ident => $call:expr) => {
        match $line {
            Line::Plain($association) => $call,
            Line::Tls($association) => $call,
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
        match tls {
            None => Ok(Self::Plain(Box::new(options.establish(address)?))),
            Some(PeerTls { config, name }) => {
                let options = options.tls_config(config.clone()).server_name(name);
                Ok(Self::Tls(Box::new(options.establish_tls(address)?)))
            }
        }
    }

    pub fn contexts(&self) -> &[PresentationContextNegotiated] {
        either!(self, association => association.presentation_contexts())
    }

    /// The most bytes of a PDU that the other side takes.
    pub fn most(&self) -> u32 {
        either!(self, association => association.acceptor_max_pdu_length())
    }

    /// The most bytes of a message's part in one PDU that both sides take.
    pub fn most_data(&self) -> usize {
        self.most()
            .clamp(LEAST_PDU, MOST_PDU)
            .saturating_sub(PDV_HEADER_SIZE) as usize
    }

    pub fn send(&mut self, pdu: &Pdu) -> Result<(), Error> {
        either!(self, association => association.send(pdu))
    }

    pub fn receive(&mut self) -> Result<Pdu, Error> {
        either!(self, association => association.receive())
    }

    pub fn release(self) -> Result<(), Error> {
        either!(self, association => association.release())
    }

    pub fn abort(self) -> Result<(), Error> {
        either!(self, association => association.abort())
    }
}
