//! Storing instances in another system by C-STORE (PS3.4, annex B).

use std::io::{self, Read};
use std::time::{Duration, Instant};

use dicom_ul::pdu::PDataValueType;

use super::client::{ClientError, Peer, broken_off, response, send, service_name};
use super::command::{C_STORE, Request, Response};
use super::line::Line;
use super::service::LEAST_PDU;

/// An instance that is to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instance<'a> {
    /// Its SOP Class UID.
    pub class: &'a str,
    /// Its SOP Instance UID.
    pub uid: &'a str,
    /// The transfer syntax of its data set.
    pub syntax: &'a str,
}

/// An association on which instances are stored.
pub struct Sender {
    association: Line,
    /// The number of the last message.
    message: u16,
}

impl Peer<'_> {
    /// Opens an association to store instances of these SOP classes, each in one transfer syntax.
    ///
    /// # Errors
    /// Why it cannot be had; also if the other system takes only PDUs so short that it must be broken.
    pub fn open_storage<'c>(
        &self,
        offers: impl IntoIterator<Item = (&'c str, &'c str)>,
    ) -> Result<Sender, ClientError> {
        let association = self.associate(offers)?;
        let most = association.most();
        if most < LEAST_PDU {
            association.abort();
            return Err(ClientError::BrokenOff(format!(
                "it takes PDUs of at most {most} bytes, and {LEAST_PDU} are the least that make sense"
            )));
        }
        Ok(Sender {
            association,
            message: 0,
        })
    }
}

impl Sender {
    /// True if the other system stores such an instance.
    pub fn takes(&self, instance: &Instance) -> bool {
        self.context(instance).is_some()
    }

    fn context(&self, instance: &Instance) -> Option<u8> {
        self.association.context(instance.class, instance.syntax)
    }

    /// Stores an instance whose data set `data` reads, and returns the other system's answer. It may take
    /// `longest`, the answer included.
    ///
    /// # Errors
    /// [`ClientError::NotOffered`], after which others can still be stored; after any other error the
    /// association is of no more use.
    pub fn store(
        &mut self,
        instance: &Instance,
        data: &mut dyn Read,
        longest: Duration,
    ) -> Result<Response, ClientError> {
        let Some(context) = self.context(instance) else {
            let what = service_name(instance.class, instance.syntax);
            return Err(ClientError::NotOffered(what));
        };
        let until = Instant::now() + longest;
        self.message = self.message.wrapping_add(1);
        let request = Request {
            field: C_STORE,
            message: self.message,
            sop_class: instance.class.into(),
            sop_instance: instance.uid.into(),
            has_data: true,
        };
        let command = PDataValueType::Command;
        send(
            &mut self.association,
            context,
            command,
            true,
            request.bytes(),
        )?;
        let most = self.association.most_data() as u64;
        let mut piece = read_piece(data, most)?;
        loop {
            let next = read_piece(data, most)?;
            let last = next.is_empty();
            send(
                &mut self.association,
                context,
                PDataValueType::Data,
                last,
                piece,
            )?;
            if last {
                break;
            }
            if Instant::now() > until {
                let why = "it takes the instance too slowly".to_owned();
                return Err(ClientError::BrokenOff(why));
            }
            piece = next;
        }
        loop {
            let response = response(&mut self.association)?;
            // A second answer to an earlier message says nothing of this one.
            if response.message == self.message {
                return Ok(response);
            }
            if Instant::now() > until {
                return Err(ClientError::BrokenOff("it does not answer".into()));
            }
        }
    }

    /// Ends the association at once, after an error.
    pub fn abort(self) {
        self.association.abort();
    }

    /// Ends the association.
    ///
    /// # Errors
    /// If the other system does not agree; what was stored is stored.
    pub fn release(self) -> Result<(), ClientError> {
        self.association.release().map_err(broken_off)
    }
}

/// Reads the next piece of a data set, shorter than `most` bytes only at its end.
fn read_piece(data: &mut dyn Read, most: u64) -> Result<Vec<u8>, ClientError> {
    let mut piece = Vec::new();
    let read = data.take(most).read_to_end(&mut piece);
    let unreadable = |error: io::Error| ClientError::Unreadable(error.to_string());
    read.map_err(unreadable)?;
    Ok(piece)
}
