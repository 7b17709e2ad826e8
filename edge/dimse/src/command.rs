//! Command sets (PS3.7, 6.3 and annex E): implicit VR little endian, group 0000.

use super::data_set;

/// The most bytes of a command set. Those of requests have some hundreds.
pub const MOST: usize = 16 << 10;

/// The Offending Element (0000,0901) of a data set that is not the command's: its SOP Class UID
/// (0008,0016) and SOP Instance UID (0008,0018).
const OFFENDING: [u8; 8] = [8, 0, 0x16, 0, 8, 0, 0x18, 0];

/// The most characters of an Error Comment (0000,0902), LO.
const MOST_COMMENT: usize = 64;

/// (0000,0800) when no data set follows; any other value when one does.
const NO_DATA_SET: u16 = 0x0101;

/// The bit of Command Field (0000,0100) that responses have.
const RESPONSE: u16 = 0x8000;

/// C-FIND-RQ.
pub const C_FIND: u16 = 0x0020;
/// C-STORE-RQ.
pub const C_STORE: u16 = 0x0001;
/// C-ECHO-RQ.
pub const C_ECHO: u16 = 0x0030;
/// N-EVENT-REPORT-RQ.
pub const N_EVENT_REPORT: u16 = 0x0100;
/// N-ACTION-RQ.
pub(super) const N_ACTION: u16 = 0x0130;
/// C-CANCEL-RQ, which is never answered.
pub const C_CANCEL: u16 = 0x0FFF;

/// A request as it was received. UIDs are text without padding, and not checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Command Field (0000,0100).
    pub field: u16,
    /// Message ID (0000,0110).
    pub message: u16,
    /// Affected SOP Class UID (0000,0002).
    pub sop_class: String,
    /// Affected SOP Instance UID (0000,1000).
    pub sop_instance: String,
    /// True if a data set follows.
    pub has_data: bool,
}

/// An error of a command set that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// An element reaches past the end, or is of another group.
    #[error("the command set is damaged")]
    Damaged,
    /// There is no Command Field, or no word where there should be.
    #[error("the command set lacks an element")]
    Incomplete,
    /// It is a response, to a request that was never sent.
    #[error("the command is a response to no request")]
    Response,
}

impl Request {
    /// Reads a command set.
    ///
    /// # Errors
    /// If it is damaged, or no request.
    pub fn parse(bytes: &[u8]) -> Result<Self, CommandError> {
        let set = CommandSet::parse(bytes)?;
        let field = set.field.ok_or(CommandError::Incomplete)?;
        if field & RESPONSE != 0 {
            return Err(CommandError::Response);
        }
        // A C-CANCEL has none of its own.
        let message = match set.message {
            None if field != C_CANCEL => return Err(CommandError::Incomplete),
            message => message.unwrap_or_default(),
        };
        Ok(Self {
            field,
            message,
            sop_class: set.sop_class,
            sop_instance: set.sop_instance,
            has_data: set.data.ok_or(CommandError::Incomplete)? != NO_DATA_SET,
        })
    }

    /// The request as bytes, with medium priority if a data set follows.
    pub fn bytes(&self) -> Vec<u8> {
        let mut elements = Vec::new();
        text(&mut elements, 0x0002, &self.sop_class, 0);
        number(&mut elements, 0x0100, self.field);
        number(&mut elements, 0x0110, self.message);
        if self.has_data {
            number(&mut elements, 0x0700, 0);
        }
        let data = if self.has_data { 0 } else { NO_DATA_SET };
        number(&mut elements, 0x0800, data);
        if !self.sop_instance.is_empty() {
            text(&mut elements, 0x1000, &self.sop_instance, 0);
        }
        grouped(elements)
    }

    /// The response to this request, as bytes. `comment` says why the status is no success.
    pub fn response(&self, status: super::Status, comment: Option<&str>) -> Vec<u8> {
        let mut elements = Vec::new();
        if !self.sop_class.is_empty() {
            text(&mut elements, 0x0002, &self.sop_class, 0);
        }
        number(&mut elements, 0x0100, self.field | RESPONSE);
        number(&mut elements, 0x0120, self.message);
        number(&mut elements, 0x0800, NO_DATA_SET);
        number(&mut elements, 0x0900, status.code());
        if status == super::Status::DoesNotMatchClass {
            element(&mut elements, 0x0901, &OFFENDING);
        }
        if let Some(comment) = comment {
            text(&mut elements, 0x0902, &short(comment), b' ');
        }
        if !self.sop_instance.is_empty() {
            text(&mut elements, 0x1000, &self.sop_instance, 0);
        }
        grouped(elements)
    }
}

/// The command set of an N-ACTION of type `action`, the first message of its association, that a data set
/// follows.
pub(super) fn action(sop_class: &str, sop_instance: &str, action: u16) -> Vec<u8> {
    let mut elements = Vec::new();
    text(&mut elements, 0x0003, sop_class, 0);
    number(&mut elements, 0x0100, N_ACTION);
    number(&mut elements, 0x0110, 1);
    number(&mut elements, 0x0800, 0);
    text(&mut elements, 0x1001, sop_instance, 0);
    number(&mut elements, 0x1008, action);
    grouped(elements)
}

/// A response to a request of the station's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// Message ID Being Responded To (0000,0120).
    pub message: u16,
    /// Status (0000,0900).
    pub status: u16,
    /// Error Comment (0000,0902).
    pub comment: String,
    /// True if a data set follows.
    pub has_data: bool,
}

impl Response {
    /// Reads a command set.
    ///
    /// # Errors
    /// If it is damaged, or no response.
    pub fn parse(bytes: &[u8]) -> Result<Self, CommandError> {
        let set = CommandSet::parse(bytes)?;
        Ok(Self {
            message: set.responds_to.ok_or(CommandError::Incomplete)?,
            status: set.status.ok_or(CommandError::Incomplete)?,
            comment: set.comment,
            has_data: set.data.ok_or(CommandError::Incomplete)? != NO_DATA_SET,
        })
    }
}

/// True if a data set follows the command set `bytes`.
pub(super) fn has_data(bytes: &[u8]) -> Result<bool, CommandError> {
    let data = CommandSet::parse(bytes)?.data;
    Ok(data.ok_or(CommandError::Incomplete)? != NO_DATA_SET)
}

/// The elements of a command set that are of use here.
#[derive(Default)]
struct CommandSet {
    field: Option<u16>,
    message: Option<u16>,
    responds_to: Option<u16>,
    data: Option<u16>,
    status: Option<u16>,
    sop_class: String,
    sop_instance: String,
    comment: String,
}

impl CommandSet {
    fn parse(mut bytes: &[u8]) -> Result<Self, CommandError> {
        let mut set = Self::default();
        while !bytes.is_empty() {
            let (head, rest) = bytes.split_at_checked(8).ok_or(CommandError::Damaged)?;
            let word = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
            let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
            let (value, rest) = rest.split_at_checked(length).ok_or(CommandError::Damaged)?;
            if word(0) != 0 {
                return Err(CommandError::Damaged);
            }
            let number = || match value {
                [low, high, ..] => Some(u16::from_le_bytes([*low, *high])),
                _ => None,
            };
            match word(2) {
                0x0002 => set.sop_class = unpadded(value),
                0x0100 => set.field = number(),
                0x0110 => set.message = number(),
                0x0120 => set.responds_to = number(),
                0x0800 => set.data = number(),
                0x0900 => set.status = number(),
                0x0902 => set.comment = unpadded(value),
                0x1000 => set.sop_instance = unpadded(value),
                _ => {}
            }
            bytes = rest;
        }
        Ok(set)
    }
}

/// A command set of `elements`, behind their length.
fn grouped(elements: Vec<u8>) -> Vec<u8> {
    let mut command = Vec::new();
    element(&mut command, 0x0000, &(elements.len() as u32).to_le_bytes());
    command.extend(elements);
    command
}

/// A comment in at most 64 printable ASCII characters, without a backslash, which would separate
/// two values.
fn short(comment: &str) -> String {
    let plain = comment.chars().map(|c| match c {
        ' '..='~' if c != '\\' => c,
        _ => '?',
    });
    plain.take(MOST_COMMENT).collect()
}

fn unpadded(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    text.trim_matches(['\0', ' ']).to_owned()
}

fn element(set: &mut Vec<u8>, number: u16, value: &[u8]) {
    set.extend(data_set::element((0, number), value, 0));
}

fn number(set: &mut Vec<u8>, tag: u16, number: u16) {
    element(set, tag, &number.to_le_bytes());
}

fn text(set: &mut Vec<u8>, number: u16, text: &str, padding: u8) {
    set.extend(data_set::element((0, number), text.as_bytes(), padding));
}

/// True for a UID (PS3.5, 9.1): at most 64 digits and dots, no component empty. Components with a
/// leading zero are let pass, as many devices write them.
pub fn is_uid(text: &str) -> bool {
    let components = text.split('.');
    (1..=64).contains(&text.len())
        && components.into_iter().all(|component| {
            !component.is_empty() && component.bytes().all(|byte| byte.is_ascii_digit())
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Status;

    /// The C-STORE-RQ that dcmtk 3.6.7's storescu sends for a film.
    fn store() -> Vec<u8> {
        let mut elements = Vec::new();
        text(&mut elements, 0x0002, "1.2.840.10008.5.1.4.1.1.1.1", 0);
        number(&mut elements, 0x0100, C_STORE);
        number(&mut elements, 0x0110, 7);
        number(&mut elements, 0x0700, 0);
        number(&mut elements, 0x0800, 1);
        text(&mut elements, 0x1000, "1.2.3.4", 0);
        grouped(elements)
    }

    #[test]
    fn a_request_is_read_and_answered() {
        let request = Request::parse(&store()).unwrap();
        assert_eq!((request.field, request.message), (C_STORE, 7));
        assert_eq!(request.sop_instance, "1.2.3.4");
        assert!(request.has_data);
        let response = request.response(Status::OutOfResources, Some("dis\\k \u{e9} full\n"));
        assert_eq!(Request::parse(&response), Err(CommandError::Response));
        assert!(response.len().is_multiple_of(2));
        let length = u32::from_le_bytes(response[8..12].try_into().unwrap()) as usize;
        assert_eq!(length, response.len() - 12);
        let find = |part: &[u8]| response.windows(part.len()).any(|window| window == part);
        assert!(find(b"\0\0\x00\x09\x02\0\0\0\x00\xa7"));
        assert!(find(b"\0\0\x20\x01\x02\0\0\0\x07\0"));
        assert!(find(b"dis?k ? full?"));
        let read = Response::parse(&response).unwrap();
        assert_eq!((read.status, read.has_data), (0xA700, false));
        assert_eq!(read.comment, "dis?k ? full?");
        let other = request.response(Status::DoesNotMatchClass, None);
        let offending = b"\0\0\x01\x09\x08\0\0\0\x08\0\x16\0\x08\0\x18\0";
        assert!(other.windows(16).any(|window| window == offending));
        let long = request.response(Status::CannotUnderstand, Some(&"x".repeat(500)));
        assert_eq!(long.iter().filter(|byte| **byte == b'x').count(), 64);
    }

    #[test]
    fn requests_survive_their_way() {
        for has_data in [false, true] {
            let request = Request {
                field: C_FIND,
                message: 3,
                sop_class: "1.2.840.10008.5.1.4.31".into(),
                sop_instance: if has_data {
                    "1.2.3".into()
                } else {
                    String::new()
                },
                has_data,
            };
            assert_eq!(Request::parse(&request.bytes()), Ok(request));
        }
    }

    #[test]
    fn what_is_no_request_is_told() {
        let whole = store();
        for length in 0..whole.len() {
            // Without its last element it is a request of less.
            let less = Request::parse(&whole[..length]).ok();
            assert!(
                less.is_none_or(|less| less.sop_instance.is_empty()),
                "{length}"
            );
        }
        let mut other = whole.clone();
        other[0] = 8;
        assert_eq!(Request::parse(&other), Err(CommandError::Damaged));
    }

    #[test]
    fn uids_are_digits_and_dots() {
        for uid in ["1", "1.2.840.10008.1.1", "2.25.0123"] {
            assert!(is_uid(uid), "{uid}");
        }
        let long = "1".repeat(65);
        for text in [
            "",
            ".",
            "1.",
            "1..2",
            "../1",
            "1.2/3",
            "1.a",
            "1.2 ",
            "1.\u{661}",
            &long,
        ] {
            assert!(!is_uid(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(request) = Request::parse(&bytes) {
                prop_assert_eq!(Request::parse(&request.response(Status::Success, None)), Err(CommandError::Response));
            }
        }
    }
}
