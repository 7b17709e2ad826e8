//! The DICOM message exchange (PS3.7) on associations (PS3.8), as a provider of services. PDUs are
//! read and written by `dicom-ul`; what is above them is here. [`Peer`] asks others for services.

mod association;
mod client;
mod command;
mod commitment;
mod data_set;
mod line;
mod negotiation;
mod sender;
pub mod service;
mod status;
mod stream;
mod worklist;

pub use association::{Association, AssociationError, Message};
pub use client::{ClientError, Peer, PeerTls};
pub use command::{
    C_CANCEL, C_ECHO, C_FIND, C_STORE, CommandError, N_EVENT_REPORT, Request, Response, is_uid,
};
pub use commitment::{COMMITMENT, Committed};
pub use data_set::Damaged;
pub use negotiation::{Rejection, Rules};
pub use sender::{Instance, Sender};
pub use status::Status;
pub use stream::{Patience, Stream};
pub use worklist::{Answers, Planned, Question};
