//! Storage commitment by the push model (PS3.4, annex J): asking another system whether it keeps
//! instances for good, and reading its answer.

use std::time::Duration;

use dicom_ul::pdu::PDataValueType;

use super::client::{ClientError, Peer, context, message, require_success, send};
use super::command::{N_EVENT_REPORT, Request, Response, action};
use super::implicit::element;
use super::service::{EXPLICIT, IMPLICIT};
use super::status::Status;

/// Storage Commitment Push Model.
pub const COMMITMENT: &str = "1.2.840.10008.1.20.1";

/// The instance that all requests are made of.
const WELL_KNOWN: &str = "1.2.840.10008.1.20.1.1";

/// Request Storage Commitment, the Action Type ID.
const ASK: u16 = 1;

/// How long an answer on the same association is waited for. Most answer on one of their own.
const ANSWER: Duration = Duration::from_secs(5);

/// How deep sequences may lie within each other in an answer.
const DEEPEST: u32 = 16;

const TRANSACTION_UID: (u16, u16) = (0x0008, 0x1195);
const FAILED: (u16, u16) = (0x0008, 0x1198);
const COMMITTED: (u16, u16) = (0x0008, 0x1199);
const CLASS: (u16, u16) = (0x0008, 0x1150);
const INSTANCE: (u16, u16) = (0x0008, 0x1155);
const REASON: (u16, u16) = (0x0008, 0x1197);
const ITEM: (u16, u16) = (0xFFFE, 0xE000);
const ITEM_END: (u16, u16) = (0xFFFE, 0xE00D);
const SEQUENCE_END: (u16, u16) = (0xFFFE, 0xE0DD);

/// A length that is not told: an end is marked.
const UNDEFINED: usize = 0xFFFF_FFFF;

/// The answer to a request for commitment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// The transaction that was asked for.
    pub transaction: String,
    /// The SOP Instance UIDs of what the other system keeps.
    pub kept: Vec<String>,
    /// The SOP Instance UIDs of what it does not, each with its Failure Reason (PS3.3, C.14.1.1).
    pub failed: Vec<(String, u16)>,
}

/// An error of an answer that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer about commitment is damaged")]
pub struct DamagedAnswer;

impl Peer<'_> {
    /// Asks whether the instances (SOP Class and SOP Instance UIDs) are kept for good, under the
    /// Transaction UID `transaction`. Returns the answer if it comes at once on the same association;
    /// others come on one that the other system opens.
    ///
    /// # Errors
    /// Why it cannot be asked.
    pub fn ask_commitment(
        &self,
        transaction: &str,
        instances: &[(String, String)],
    ) -> Result<Option<Committed>, ClientError> {
        let mut line = self.associate([(COMMITMENT, IMPLICIT)])?;
        let id = context(&line, COMMITMENT, "Storage Commitment")?;
        let command = action(COMMITMENT, WELL_KNOWN, ASK);
        send(&mut line, id, PDataValueType::Command, true, command)?;
        let question = question(transaction, instances);
        let mut pieces = question.chunks(line.most_data()).peekable();
        while let Some(piece) = pieces.next() {
            let last = pieces.peek().is_none();
            send(&mut line, id, PDataValueType::Data, last, piece.to_vec())?;
        }
        // From here on the question may have been heard, whatever becomes of the association.
        let (mut answer, mut heard) = (None, false);
        while answer.is_none() || !heard {
            let Ok((command, data)) = message(&mut line) else {
                break;
            };
            if let Ok(response) = Response::parse(&command) {
                require_success(&response, "the request for commitment")?;
                heard = true;
                // Nothing more may come, which is no fault.
                line.wait(ANSWER).ok();
                continue;
            }
            let request = Request::parse(&command);
            let Ok(request) = request else { break };
            if request.field != N_EVENT_REPORT {
                break;
            }
            answer = Committed::parse(&data, IMPLICIT).ok();
            let response = request.response(Status::Success, None);
            if send(&mut line, id, PDataValueType::Command, true, response).is_err() {
                break;
            }
        }
        line.release().ok();
        Ok(answer)
    }
}

/// The data set of a request, in implicit VR little endian.
fn question(transaction: &str, instances: &[(String, String)]) -> Vec<u8> {
    let items = instances.iter().flat_map(|(class, instance)| {
        let uids = [(CLASS, class), (INSTANCE, instance)];
        let uids = uids.map(|(tag, uid)| element(tag, uid.as_bytes(), 0));
        element(ITEM, &uids.concat(), 0)
    });
    let items: Vec<u8> = items.collect();
    [
        element(TRANSACTION_UID, transaction.as_bytes(), 0),
        element(COMMITTED, &items, 0),
    ]
    .concat()
}

impl Committed {
    /// Reads the data set of an answer, in Implicit or Explicit VR Little Endian.
    ///
    /// # Errors
    /// If it is damaged, or names no transaction.
    pub fn parse(bytes: &[u8], transfer_syntax: &str) -> Result<Self, DamagedAnswer> {
        let mut reader = Reader {
            bytes,
            explicit: transfer_syntax == EXPLICIT,
        };
        let mut answer = Self::default();
        while !reader.bytes.is_empty() {
            let (tag, length) = reader.head()?;
            match tag {
                TRANSACTION_UID => answer.transaction = reader.text(length)?,
                COMMITTED => reader.items(length, |instance, _| answer.kept.push(instance))?,
                FAILED => reader.items(length, |instance, reason| {
                    answer.failed.push((instance, reason));
                })?,
                _ => reader.skip(length, 0)?,
            }
        }
        match answer.transaction.is_empty() {
            true => Err(DamagedAnswer),
            false => Ok(answer),
        }
    }
}

/// What is left of a data set.
struct Reader<'a> {
    bytes: &'a [u8],
    explicit: bool,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], DamagedAnswer> {
        let (taken, rest) = self.bytes.split_at_checked(length).ok_or(DamagedAnswer)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn word(&mut self) -> Result<u16, DamagedAnswer> {
        let bytes = self.take(2)?;
        Ok(u16::from_le_bytes([bytes[0], bytes[1]]))
    }

    fn long(&mut self) -> Result<usize, DamagedAnswer> {
        let (low, high) = (self.word()?, self.word()?);
        Ok(usize::from(high) << 16 | usize::from(low))
    }

    /// An element's tag and the length of its value.
    fn head(&mut self) -> Result<((u16, u16), usize), DamagedAnswer> {
        let tag = (self.word()?, self.word()?);
        // Items have no VR (PS3.5, 7.5).
        if !self.explicit || tag.0 == ITEM.0 {
            return Ok((tag, self.long()?));
        }
        let length = match self.take(2)? {
            b"OB" | b"OD" | b"OF" | b"OL" | b"OV" | b"OW" | b"SQ" | b"SV" | b"UC" | b"UN"
            | b"UR" | b"UT" | b"UV" => {
                self.take(2)?;
                self.long()?
            }
            _ => self.word()?.into(),
        };
        Ok((tag, length))
    }

    fn text(&mut self, length: usize) -> Result<String, DamagedAnswer> {
        let text = String::from_utf8_lossy(self.take(length)?);
        Ok(text.trim_matches(['\0', ' ']).to_owned())
    }

    /// Reads past a value.
    fn skip(&mut self, length: usize, depth: u32) -> Result<(), DamagedAnswer> {
        if length != UNDEFINED {
            return self.take(length).map(|_| ());
        }
        if depth == DEEPEST {
            return Err(DamagedAnswer);
        }
        loop {
            match self.head()? {
                (ITEM_END | SEQUENCE_END, _) => return Ok(()),
                (_, length) => self.skip(length, depth + 1)?,
            }
        }
    }

    /// The part of the data set that a value of this length is; all that is left, if it has none.
    fn part(&mut self, length: usize) -> Result<Self, DamagedAnswer> {
        let bytes = match length {
            UNDEFINED => self.bytes,
            length => self.take(length)?,
        };
        let explicit = self.explicit;
        Ok(Self { bytes, explicit })
    }

    /// Goes on behind `part`, if that had no length of its own.
    fn after(&mut self, part: &Self, length: usize) {
        if length == UNDEFINED {
            self.bytes = part.bytes;
        }
    }

    /// Reads a sequence, and gives each item's instance and Failure Reason, which is 0 if it has none.
    fn items(
        &mut self,
        length: usize,
        mut each: impl FnMut(String, u16),
    ) -> Result<(), DamagedAnswer> {
        let mut items = self.part(length)?;
        // Without a length it goes on until its end is marked.
        while length == UNDEFINED || !items.bytes.is_empty() {
            let item_length = match items.head()? {
                (SEQUENCE_END, _) => break,
                (ITEM, length) => length,
                _ => return Err(DamagedAnswer),
            };
            let mut item = items.part(item_length)?;
            let (mut instance, mut reason) = (String::new(), 0);
            while item_length == UNDEFINED || !item.bytes.is_empty() {
                match item.head()? {
                    (ITEM_END, _) => break,
                    (INSTANCE, length) => instance = item.text(length)?,
                    (REASON, 2) => reason = item.word()?,
                    (_, length) => item.skip(length, 0)?,
                }
            }
            items.after(&item, item_length);
            each(instance, reason);
        }
        self.after(&items, length);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_question_is_read_as_it_was_written() {
        let instances = [("1.2.3", "1.2.3.4"), ("1.2", "1.22")]
            .map(|(class, instance)| (class.to_owned(), instance.to_owned()));
        let answer = Committed::parse(&question("2.25.7", &instances), IMPLICIT).unwrap();
        assert_eq!(answer.transaction, "2.25.7");
        assert_eq!(answer.kept, ["1.2.3.4", "1.22"]);
        assert_eq!(answer.failed, []);
    }

    #[test]
    fn undefined_lengths_and_explicit_elements_are_read() {
        let mut bytes = b"\x08\0\x95\x11UI\x04\x001.23".to_vec();
        // A sequence that nobody asked for, one of failures, both without lengths.
        for (element, inner) in [(0x40_u8, &b"\x08\0\x55\x11UI\x02\x001\0"[..]), (0x98, b"")] {
            bytes.extend([8, 0, element, 0x11]);
            bytes.extend(b"SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff");
            bytes.extend(inner);
            bytes.extend(b"\x08\0\x55\x11UI\x04\x001.9\0\x08\0\x97\x11US\x02\0\x12\x01");
            bytes.extend(b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0");
        }
        let answer = Committed::parse(&bytes, EXPLICIT).unwrap();
        assert_eq!(answer.transaction, "1.23");
        assert_eq!(answer.kept, [""; 0]);
        assert_eq!(answer.failed, [("1.9".to_owned(), 0x0112)]);
        for length in 0..bytes.len() {
            // Cut off anywhere it is either damaged or lacks the failures.
            if let Ok(cut) = Committed::parse(&bytes[..length], EXPLICIT) {
                assert!(cut.failed.is_empty(), "{length}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            explicit in any::<bool>(),
        ) {
            let syntax = if explicit { EXPLICIT } else { IMPLICIT };
            Committed::parse(&bytes, syntax).ok();
            // Within an item of a sequence, whose ends may be anywhere.
            let mut start = [element(TRANSACTION_UID, b"1.2", 0), element(FAILED, b"", 0)].concat();
            let length = start.len() - 4;
            start[length..].fill(0xFF);
            start.extend(b"\xfe\xff\0\xe0\xff\xff\xff\xff");
            Committed::parse(&[start, bytes].concat(), IMPLICIT).ok();
        }
    }
}
