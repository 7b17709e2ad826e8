//! Asking another system for a service, to see whether it would be given.

use std::fmt::Write as _;
use std::net::ToSocketAddrs;
use std::sync::Arc;
use std::time::Duration;

use dicom_ul::association::Error;
use dicom_ul::association::client::ClientAssociationOptions;
use dicom_ul::pdu::{AssociationRJResult, PDataValue, PDataValueType, Pdu};
use rustls::ClientConfig;

use super::command::{C_ECHO, CommandError, Request, Response, has_data};
use super::line::Line;
use super::service::{IMPLICIT, MOST_PDU, VERIFICATION};

const CONNECT: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(30);

/// The most bytes of a message that is received.
const MOST_MESSAGE: usize = 4 << 20;

/// Another system.
#[derive(Clone, Copy, Debug)]
pub struct Peer<'a> {
    /// Its host and port.
    pub address: &'a str,
    /// Its AE title.
    pub ae_title: &'a str,
    /// The station's AE title.
    pub own_title: &'a str,
    /// TLS, if it is spoken.
    pub tls: Option<PeerTls<'a>>,
}

/// TLS with another system.
#[derive(Clone, Copy, Debug)]
pub struct PeerTls<'a> {
    /// The station's certificate, and the authorities that are trusted.
    pub config: &'a Arc<ClientConfig>,
    /// The name that the other system's certificate must have.
    pub name: &'a str,
}

/// Why a service was not given.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The name or the port leads nowhere.
    #[error(
        "nobody answers at {address} ({why}): see that it runs, and that address and port are right"
    )]
    NoConnection {
        /// The address.
        address: String,
        /// The system's reason.
        why: String,
    },
    /// It rejected the association.
    #[error(
        "it rejects the station ({why}): enter the station there, and compare both AE titles letter by letter"
    )]
    Rejected {
        /// Why, in the protocol's terms.
        why: String,
        /// True if it would not be different later.
        permanent: bool,
    },
    /// It does not offer the service.
    #[error("it does not offer {0}: allow it there")]
    NotOffered(String),
    /// It answered with a failure.
    #[error("it answers {service} with status {status:04X}{comment}")]
    Status {
        /// The service.
        service: &'static str,
        /// The status.
        status: u16,
        /// Its comment, after a colon and a blank.
        comment: String,
    },
    /// What is to be sent cannot be read.
    #[error("what is to be sent cannot be read ({0}): check the disk")]
    Unreadable(String),
    /// It broke off, or speaks another protocol.
    #[error("it broke off ({0}): see its log")]
    BrokenOff(String),
}

impl Peer<'_> {
    /// Sends a C-ECHO.
    ///
    /// # Errors
    /// Why it was not answered.
    pub fn echo(&self) -> Result<(), ClientError> {
        let mut association = self.associate([(VERIFICATION, IMPLICIT)])?;
        let context = context(&association, VERIFICATION, "Verification")?;
        let request = Request {
            field: C_ECHO,
            message: 1,
            sop_class: VERIFICATION.into(),
            sop_instance: String::new(),
            has_data: false,
        };
        send(
            &mut association,
            context,
            PDataValueType::Command,
            true,
            request.bytes(),
        )?;
        let response = response(&mut association)?;
        require_success(&response, "C-ECHO")?;
        association.release().ok();
        Ok(())
    }

    /// Asks whether it would give these services: SOP classes, each in one transfer syntax.
    ///
    /// # Errors
    /// Why it would not give the first that it does not.
    pub fn offers(&self, services: &[(&str, &str)]) -> Result<(), ClientError> {
        let association = self.associate(services.iter().copied())?;
        let missing = services
            .iter()
            .find(|(class, syntax)| association.context(class, syntax).is_none());
        association.release().ok();
        match missing {
            None => Ok(()),
            Some((class, syntax)) => Err(ClientError::NotOffered(service_name(class, syntax))),
        }
    }

    /// Asks for an association with these presentation contexts: SOP classes, each in one transfer syntax,
    /// as of several the other system would choose one.
    pub(super) fn associate<'c>(
        &self,
        contexts: impl IntoIterator<Item = (&'c str, &'c str)>,
    ) -> Result<Line, ClientError> {
        let no_connection = |why: String| ClientError::NoConnection {
            address: self.address.to_owned(),
            why,
        };
        // The library names no cause for a host that is not known.
        let addresses = self.address.to_socket_addrs();
        let address = addresses
            .map_err(|error| no_connection(error.to_string()))?
            .next();
        let address = address.ok_or_else(|| no_connection("no address".into()))?;
        let mut options = ClientAssociationOptions::new()
            .calling_ae_title(self.own_title)
            .called_ae_title(self.ae_title)
            .max_pdu_length(MOST_PDU)
            .connection_timeout(CONNECT)
            .read_timeout(ANSWER)
            .write_timeout(ANSWER);
        for (class, syntax) in contexts {
            options = options.with_presentation_context(class, vec![syntax]);
        }
        Line::open(options, address, self.tls).map_err(|error| match error {
            Error::Rejected { association_rj, .. } => ClientError::Rejected {
                why: association_rj.source.to_string(),
                permanent: association_rj.result == AssociationRJResult::Permanent,
            },
            Error::NoAcceptedPresentationContexts { .. } => {
                ClientError::NotOffered("what the station wants of it".into())
            }
            Error::Connect { source, .. } => no_connection(source.to_string()),
            error => ClientError::BrokenOff(error.to_string()),
        })
    }
}

/// A SOP class in a transfer syntax, for people.
pub(super) fn service_name(class: &str, syntax: &str) -> String {
    format!("SOP class {class} in transfer syntax {syntax}")
}

/// The presentation context in which a class was accepted in the transfer syntax of queries.
pub(super) fn context(line: &Line, class: &str, name: &str) -> Result<u8, ClientError> {
    let context = line.context(class, IMPLICIT);
    context.ok_or_else(|| ClientError::NotOffered(name.to_owned()))
}

pub(super) fn send(
    association: &mut Line,
    context: u8,
    value_type: PDataValueType,
    is_last: bool,
    data: Vec<u8>,
) -> Result<(), ClientError> {
    let value = PDataValue {
        presentation_context_id: context,
        value_type,
        is_last,
        data,
    };
    association
        .send(&Pdu::PData { data: vec![value] })
        .map_err(broken_off)
}

/// Receives the next response; its data set, if it has one, is not looked at.
pub(super) fn response(line: &mut Line) -> Result<Response, ClientError> {
    let (command, _) = message(line)?;
    Response::parse(&command).map_err(|error| ClientError::BrokenOff(error.to_string()))
}

/// Receives the next message: its command set and its data set, which is empty if it has none.
pub(super) fn message(line: &mut Line) -> Result<(Vec<u8>, Vec<u8>), ClientError> {
    let (mut command, mut set) = (Vec::new(), Vec::new());
    while command.len() + set.len() <= MOST_MESSAGE {
        let value = line.value().map_err(broken_off)?;
        let value = value.ok_or_else(|| ClientError::BrokenOff("it sent no answer".into()))?;
        match value.value_type {
            PDataValueType::Command => {
                command.extend(value.data);
                let damaged = |error: CommandError| ClientError::BrokenOff(error.to_string());
                if value.is_last && !has_data(&command).map_err(damaged)? {
                    return Ok((command, set));
                }
            }
            PDataValueType::Data => {
                set.extend(value.data);
                if value.is_last {
                    return Ok((command, set));
                }
            }
        }
    }
    Err(ClientError::BrokenOff("its answer is far too long".into()))
}

pub(super) fn require_success(
    response: &Response,
    service: &'static str,
) -> Result<(), ClientError> {
    if response.status == 0 {
        return Ok(());
    }
    let mut comment = String::new();
    if !response.comment.is_empty() {
        write!(comment, ": {:?}", response.comment).expect("a string takes all");
    }
    let status = response.status;
    Err(ClientError::Status {
        service,
        status,
        comment,
    })
}

pub(super) fn broken_off(error: Error) -> ClientError {
    ClientError::BrokenOff(error.to_string())
}
