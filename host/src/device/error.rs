//! Errors of asking a station.

use std::io;
use std::path::PathBuf;

use plumbline_shared::tls::TlsError;
use plumbline_wire::conversation::ConversationError;
use plumbline_wire::hello::{Agreement, Version};

use super::Address;

/// An error of asking a station. Each message is a whole sentence.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The text is no address.
    #[error(
        "{0:?} is no station's address: write tcp://HOST:PORT, as the station says at its start"
    )]
    Address(String),
    /// Certificates or key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Nobody answers there.
    #[error(
        "no station can be reached at {address} ({error}): see that it runs, has [link], and the address is right"
    )]
    Unreachable {
        /// The address.
        address: Address,
        /// The system's error.
        error: io::Error,
    },
    /// The station's certificate is not trusted.
    #[error(
        "the certificate of {address} is not trusted ({why}): give the authority that has signed it by \
         --authorities, and call the station as its certificate does"
    )]
    StationCertificate {
        /// The address.
        address: Address,
        /// What is wrong with it.
        why: String,
    },
    /// The station does not trust this program's certificate.
    #[error(
        "{address} does not take this computer's certificate ({why}): give by --certificate one that an \
         authority of the station has signed"
    )]
    HostCertificate {
        /// The address.
        address: Address,
        /// What the station says.
        why: String,
    },
    /// What answers is no station's link.
    #[error("what answers at {address} is no station's link ({why}): correct the address")]
    NoStation {
        /// The address.
        address: Address,
        /// What is wrong.
        why: String,
    },
    /// The station's program speaks other messages.
    #[error("the station's program has version {theirs} and this one {ours}: {agreement}")]
    OtherMessages {
        /// The station's version.
        theirs: Version,
        /// This program's.
        ours: Version,
        /// Which side is older.
        agreement: Agreement,
    },
    /// The connection broke.
    #[error("the connection to {address} broke ({why}): try again, it goes on where it was")]
    Broken {
        /// The address.
        address: Address,
        /// How.
        why: String,
    },
    /// The station does not do what was asked.
    #[error("the station says: {0}")]
    Refused(String),
    /// The station said something else than the answer.
    #[error("the station's answer is not one to this question: report it as a fault of Plumbline")]
    Unexpected,
    /// A film's file cannot be read.
    #[error("{} cannot be read ({error})", path.display())]
    Film {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// A film's file has no bytes.
    #[error("{} is empty: send a film", path.display())]
    EmptyFilm {
        /// The file.
        path: PathBuf,
    },
    /// The answer cannot be printed.
    #[error("the answer cannot be printed")]
    Print(#[from] io::Error),
}

impl DeviceError {
    /// True if it may help to connect again.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Broken { .. } | Self::Unreachable { .. })
    }

    /// What an error of a connection to `address` means.
    pub(super) fn of(error: ConversationError, address: &Address) -> Self {
        let address = address.clone();
        let error = match error {
            ConversationError::Connection(error) => error,
            ConversationError::Ended => {
                let why = error.to_string();
                return Self::Broken { address, why };
            }
            error => {
                let why = error.to_string();
                return Self::NoStation { address, why };
            }
        };
        let tls = error.get_ref().and_then(|error| error.downcast_ref());
        let why = |error: &rustls::Error| error.to_string();
        match tls {
            Some(error @ rustls::Error::InvalidCertificate(_)) => Self::StationCertificate {
                address,
                why: why(error),
            },
            Some(error @ rustls::Error::AlertReceived(_)) => Self::HostCertificate {
                address,
                why: why(error),
            },
            Some(error) => Self::NoStation {
                address,
                why: why(error),
            },
            None => {
                let why = match error.kind() {
                    // Linux calls a time-out so.
                    io::ErrorKind::WouldBlock => "it is silent for too long".to_owned(),
                    _ => error.to_string(),
                };
                Self::Broken { address, why }
            }
        }
    }
}
