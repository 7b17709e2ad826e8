//! Storage commitment by the push model (PS3.4, annex J): asking another system whether it keeps
//! instances for good, and reading its answer.

use std::time::Duration;

use dicom_ul::pdu::PDataValueType;

use super::client::{ClientError, Peer, context, message, require_success, send};
use super::command::{N_EVENT_REPORT, Request, Response, action};
use super::data_set::{Damaged, ITEM, Reader, Tag, element};
use super::service::IMPLICIT;
use super::status::Status;

/// Storage Commitment Push Model.
pub const COMMITMENT: &str = "1.2.840.10008.1.20.1";

/// The instance that all requests are made of.
const WELL_KNOWN: &str = "1.2.840.10008.1.20.1.1";

/// Request Storage Commitment, the Action Type ID.
const ASK: u16 = 1;

/// How long an answer on the same association is waited for. Most answer on one of their own.
const ANSWER: Duration = Duration::from_secs(5);

const TRANSACTION_UID: Tag = (0x0008, 0x1195);
const FAILED: Tag = (0x0008, 0x1198);
const COMMITTED: Tag = (0x0008, 0x1199);
const CLASS: Tag = (0x0008, 0x1150);
const INSTANCE: Tag = (0x0008, 0x1155);
const REASON: Tag = (0x0008, 0x1197);

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
    pub fn parse(bytes: &[u8], transfer_syntax: &str) -> Result<Self, Damaged> {
        let mut answer = Self::default();
        Reader::new(bytes, transfer_syntax).elements(|reader, tag, length| {
            match tag {
                TRANSACTION_UID => answer.transaction = reader.text(length)?,
                COMMITTED => instances(reader, length, |instance, _| answer.kept.push(instance))?,
                FAILED => instances(reader, length, |instance, reason| {
                    answer.failed.push((instance, reason));
                })?,
                _ => reader.skip(length)?,
            }
            Ok(())
        })?;
        match answer.transaction.is_empty() {
            true => Err(Damaged),
            false => Ok(answer),
        }
    }
}

/// Reads a sequence of instances, and gives each with its Failure Reason, which is 0 if it has none.
fn instances(
    reader: &mut Reader,
    length: usize,
    mut each: impl FnMut(String, u16),
) -> Result<(), Damaged> {
    reader.items(length, |items, length| {
        let (mut instance, mut reason) = (String::new(), 0);
        items.item(length, |item, tag, length| {
            match (tag, length) {
                (INSTANCE, length) => instance = item.text(length)?,
                (REASON, 2) => reason = item.word()?,
                (_, length) => item.skip(length)?,
            }
            Ok(())
        })?;
        each(instance, reason);
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::service::EXPLICIT;
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
