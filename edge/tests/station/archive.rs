//! An archive that does what a test wants: stores, refuses, breaks off, answers twice.

#![allow(dead_code, reason = "each test program uses a part")]

use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use dicom_ul::association::server::{ServerAssociation, ServerAssociationOptions};
use dicom_ul::pdu::{
    AssociationAC, MAXIMUM_PDU_SIZE, PDataValue, PDataValueType, Pdu, PresentationContextResult,
    PresentationContextResultReason, UserVariableItem, read_pdu, write_pdu,
};
use plumbline_dimse::Request;

/// What the archive does with an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Answers with this status; keeps the instance if it means that.
    Answer(u16),
    /// Breaks the connection off in the middle of the instance.
    BreakOff,
    /// Stores it, and breaks off before the answer.
    StoreSilently,
    /// Stores it, and answers twice.
    AnswerTwice,
}

/// An instance that was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub class: String,
    pub instance: String,
    pub data: Vec<u8>,
}

/// An archive.
#[derive(Clone)]
pub struct Archive {
    pub address: SocketAddr,
    stored: Arc<Mutex<Vec<Stored>>>,
}

impl Archive {
    /// Starts an archive at `address`; `deed` is asked for every instance by its number, from 0.
    pub fn start(address: &str, deed: impl Fn(usize) -> Deed + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let archive = Self {
            address: listener.local_addr().unwrap(),
            stored: Arc::default(),
        };
        let serving = archive.clone();
        thread::spawn(move || {
            let count = Mutex::new(0);
            let next = || {
                let mut count = count.lock().unwrap();
                *count += 1;
                deed(*count - 1)
            };
            for socket in listener.incoming() {
                let options = ServerAssociationOptions::new()
                    .accept_any()
                    .ae_title("PACS")
                    .promiscuous(true);
                if let Ok(association) = options.establish(socket.unwrap()) {
                    serving.serve(association, &next);
                }
            }
        });
        archive
    }

    /// What was stored, in the order of arrival.
    pub fn stored(&self) -> Vec<Stored> {
        self.stored.lock().unwrap().clone()
    }

    fn serve(
        &self,
        mut association: ServerAssociation<TcpStream>,
        next: &impl Fn() -> Deed,
    ) -> Option<()> {
        loop {
            let (context, request, deed) = receive_command(&mut association, next)?;
            let mut data = Vec::new();
            loop {
                let value = receive_value(&mut association)?;
                data.extend(value.data);
                if deed == Deed::BreakOff {
                    return None;
                }
                if value.is_last {
                    break;
                }
            }
            let status = match deed {
                Deed::Answer(status) => status,
                _ => 0,
            };
            if matches!(status, 0 | 0xB000..=0xBFFF) {
                self.stored.lock().unwrap().push(Stored {
                    class: request.sop_class.clone(),
                    instance: request.sop_instance.clone(),
                    data,
                });
            }
            let answers = match deed {
                Deed::StoreSilently => return None,
                Deed::AnswerTwice => 2,
                _ => 1,
            };
            for _ in 0..answers {
                let value = PDataValue {
                    presentation_context_id: context,
                    value_type: PDataValueType::Command,
                    is_last: true,
                    data: answer(&request, status),
                };
                association.send(&Pdu::PData { data: vec![value] }).ok()?;
            }
        }
    }
}

fn receive_command(
    association: &mut ServerAssociation<TcpStream>,
    next: &impl Fn() -> Deed,
) -> Option<(u8, Request, Deed)> {
    let value = receive_value(association)?;
    let request = Request::parse(&value.data).unwrap();
    Some((value.presentation_context_id, request, next()))
}

/// The next value; none at the association's end.
fn receive_value(association: &mut ServerAssociation<TcpStream>) -> Option<PDataValue> {
    match association.receive().ok()? {
        Pdu::PData { mut data } => {
            assert_eq!(data.len(), 1);
            data.pop()
        }
        Pdu::ReleaseRQ => {
            association.send(&Pdu::ReleaseRP).ok();
            None
        }
        _ => None,
    }
}

/// Rejects every association for good: its name is another.
pub fn reject() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for socket in listener.incoming() {
            let options = ServerAssociationOptions::new()
                .accept_called_ae_title()
                .ae_title("ANOTHER")
                .promiscuous(true);
            options.establish(socket.unwrap()).ok();
        }
    });
    address
}

/// Accepts every association and tells that PDUs of at most `most` bytes are taken.
pub fn accept_with_pdus_of(most: u32) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            let mut head = [0; 6];
            socket.read_exact(&mut head).unwrap();
            let length = u32::from_be_bytes([head[2], head[3], head[4], head[5]]);
            let mut bytes = head.to_vec();
            (&socket)
                .take(length.into())
                .read_to_end(&mut bytes)
                .unwrap();
            let asked = read_pdu(&*bytes, MAXIMUM_PDU_SIZE, true).unwrap();
            let Some(Pdu::AssociationRQ(asked)) = asked else {
                panic!("{asked:?}")
            };
            let contexts = asked.presentation_contexts.into_iter();
            let accepted = contexts.map(|context| PresentationContextResult {
                id: context.id,
                reason: PresentationContextResultReason::Acceptance,
                transfer_syntax: context.transfer_syntaxes[0].clone(),
            });
            let accept = AssociationAC {
                protocol_version: asked.protocol_version,
                calling_ae_title: asked.calling_ae_title,
                called_ae_title: asked.called_ae_title,
                application_context_name: asked.application_context_name,
                presentation_contexts: accepted.collect(),
                user_variables: vec![UserVariableItem::MaxLength(most)],
            };
            write_pdu(&mut socket, &accept.into()).unwrap();
            // Until the other side has left.
            socket.read_to_end(&mut bytes).ok();
        }
    });
    address
}

/// A response with a comment (PS3.7, 9.3.1.2).
fn answer(request: &Request, status: u16) -> Vec<u8> {
    let comment = match status {
        0 => "",
        0xA700 => "no room",
        _ => "not such",
    };
    let mut set = Vec::new();
    for (element, value) in [
        (0x0100_u16, 0x8001_u16.to_le_bytes().to_vec()),
        (0x0120, request.message.to_le_bytes().to_vec()),
        (0x0800, 0x0101_u16.to_le_bytes().to_vec()),
        (0x0900, status.to_le_bytes().to_vec()),
        (0x0902, comment.as_bytes().to_vec()),
    ] {
        set.extend([0, 0]);
        set.extend(element.to_le_bytes());
        let padded = value.len() + value.len() % 2;
        set.extend((padded as u32).to_le_bytes());
        set.extend(&value);
        set.resize(set.len() + padded - value.len(), b' ');
    }
    let mut grouped = vec![0, 0, 0, 0, 4, 0, 0, 0];
    grouped.extend((set.len() as u32).to_le_bytes());
    [grouped, set].concat()
}
