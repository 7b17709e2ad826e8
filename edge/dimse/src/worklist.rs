//! Asking a modality worklist (PS3.4, annex K) which examinations are planned.

use std::time::{Duration, Instant};

use dicom_ul::pdu::PDataValueType;
use plumbline_shared::decode::Characters;
use serde::{Deserialize, Serialize};

use super::client::{ClientError, Peer, context, message, require_success, send};
use super::command::{C_FIND, Request, Response};
use super::data_set::{Damaged, ITEM, Reader, Tag, element};
use super::service::IMPLICIT;

/// Modality Worklist Information Model - FIND.
const WORKLIST: &str = "1.2.840.10008.5.1.4.31";

/// The most examinations that one question is answered with; the rest is not read.
const MOST_ANSWERS: usize = 2000;

/// The most bytes of all answers.
const MOST_BYTES: usize = 8 << 20;

/// The most characters of a text that is kept.
const MOST_TEXT: usize = 256;

/// The longest that all answers may take.
const ANSWERS: Duration = Duration::from_secs(120);

const CHARACTER_SET: Tag = (0x0008, 0x0005);
const STEPS: Tag = (0x0040, 0x0100);
const STATION_AE_TITLE: Tag = (0x0040, 0x0001);
const START_DATE: Tag = (0x0040, 0x0002);
const START_TIME: Tag = (0x0040, 0x0003);
const MODALITY: Tag = (0x0008, 0x0060);
const STEP_DESCRIPTION: Tag = (0x0040, 0x0007);
const STEP_ID: Tag = (0x0040, 0x0009);

/// Which examinations are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The day, `YYYYMMDD`.
    pub date: String,
    /// The modality, such as `DX`.
    pub modality: String,
    /// The AE title of the unit that they are planned for; empty for every unit.
    pub unit: String,
}

/// An examination that is planned: a scheduled procedure step. Each is the text of an element, without
/// padding and decoded by the answer's own character set; none where it is missing or empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Planned {
    /// Accession Number (0008,0050).
    pub accession_number: Option<String>,
    /// Study Instance UID (0020,000D).
    pub study_instance_uid: Option<String>,
    /// Patient's Name (0010,0010), its components separated by `^`.
    pub patient_name: Option<String>,
    /// Patient ID (0010,0020).
    pub patient_id: Option<String>,
    /// Patient's Birth Date (0010,0030), `YYYYMMDD`.
    pub patient_birth_date: Option<String>,
    /// Patient's Sex (0010,0040).
    pub patient_sex: Option<String>,
    /// Requested Procedure ID (0040,1001).
    pub requested_procedure_id: Option<String>,
    /// Requested Procedure Description (0032,1060).
    pub requested_procedure: Option<String>,
    /// Placer Order Number (0040,2016).
    pub placer_order_number: Option<String>,
    /// Filler Order Number (0040,2017).
    pub filler_order_number: Option<String>,
    /// Scheduled Station AE Title (0040,0001): the unit.
    pub unit: Option<String>,
    /// Scheduled Procedure Step Start Date (0040,0002), `YYYYMMDD`.
    pub start_date: Option<String>,
    /// Scheduled Procedure Step Start Time (0040,0003).
    pub start_time: Option<String>,
    /// Modality (0008,0060).
    pub modality: Option<String>,
    /// Scheduled Procedure Step Description (0040,0007).
    pub step: Option<String>,
    /// Scheduled Procedure Step ID (0040,0009).
    pub step_id: Option<String>,
}

impl Planned {
    /// The place of an element of the data set itself.
    fn outer(&mut self, tag: Tag) -> Option<&mut Option<String>> {
        Some(match tag {
            (0x0008, 0x0050) => &mut self.accession_number,
            (0x0010, 0x0010) => &mut self.patient_name,
            (0x0010, 0x0020) => &mut self.patient_id,
            (0x0010, 0x0030) => &mut self.patient_birth_date,
            (0x0010, 0x0040) => &mut self.patient_sex,
            (0x0020, 0x000D) => &mut self.study_instance_uid,
            (0x0032, 0x1060) => &mut self.requested_procedure,
            (0x0040, 0x1001) => &mut self.requested_procedure_id,
            (0x0040, 0x2016) => &mut self.placer_order_number,
            (0x0040, 0x2017) => &mut self.filler_order_number,
            _ => return None,
        })
    }

    /// The place of an element of the step.
    fn inner(&mut self, tag: Tag) -> Option<&mut Option<String>> {
        Some(match tag {
            STATION_AE_TITLE => &mut self.unit,
            START_DATE => &mut self.start_date,
            START_TIME => &mut self.start_time,
            MODALITY => &mut self.modality,
            STEP_DESCRIPTION => &mut self.step,
            STEP_ID => &mut self.step_id,
            _ => return None,
        })
    }

    /// Reads an answer's data set, in Implicit VR Little Endian. `characters` are of answers that name no
    /// character set.
    ///
    /// # Errors
    /// If it is damaged.
    pub fn parse(bytes: &[u8], characters: &Characters) -> Result<Self, Damaged> {
        let mut own = None;
        Reader::new(bytes, IMPLICIT).elements(|reader, tag, length| {
            match tag {
                CHARACTER_SET => {
                    let named = reader.text(length)?;
                    own = (!named.is_empty()).then(|| Characters::of(&named));
                }
                _ => reader.skip(length)?,
            }
            Ok(())
        })?;
        let characters = own.as_ref().unwrap_or(characters);
        let mut planned = Self::default();
        Reader::new(bytes, IMPLICIT).elements(|reader, tag, length| {
            if tag == STEPS {
                return reader.items(length, |items, length| {
                    items.item(length, |item, tag, length| match planned.inner(tag) {
                        Some(place) => {
                            *place = text(characters, item.value(length)?);
                            Ok(())
                        }
                        None => item.skip(length),
                    })
                });
            }
            match planned.outer(tag) {
                Some(place) => *place = text(characters, reader.value(length)?),
                None => reader.skip(length)?,
            }
            Ok(())
        })?;
        Ok(planned)
    }
}

fn text(characters: &Characters, bytes: &[u8]) -> Option<String> {
    let text = characters.text(bytes)?;
    Some(text.chars().take(MOST_TEXT).collect())
}

/// What a worklist has answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// The examinations.
    pub planned: Vec<Planned>,
    /// How many answers were damaged, and are left out.
    pub damaged: usize,
}

impl Peer<'_> {
    /// Asks a worklist these questions, and returns the examinations of the days asked for that it answers
    /// with. `characters` are of answers that name no character set.
    ///
    /// # Errors
    /// Why it does not answer all of them.
    pub fn query_worklist(
        &self,
        questions: &[Question],
        characters: &Characters,
    ) -> Result<Answers, ClientError> {
        let mut line = self.associate([(WORKLIST, IMPLICIT)])?;
        let context = context(&line, WORKLIST, "Modality Worklist")?;
        let until = Instant::now() + ANSWERS;
        let mut heard = Answers::default();
        let mut bytes = 0;
        for (message_id, question) in (1..).zip(questions) {
            let request = Request {
                field: C_FIND,
                message: message_id,
                sop_class: WORKLIST.into(),
                sop_instance: String::new(),
                has_data: true,
            };
            let command = PDataValueType::Command;
            send(&mut line, context, command, true, request.bytes())?;
            let keys = question.keys();
            send(&mut line, context, PDataValueType::Data, true, keys)?;
            let mut answers = 0;
            loop {
                let (command, data) = message(&mut line)?;
                let broken = |why: String| ClientError::BrokenOff(why);
                let response =
                    Response::parse(&command).map_err(|error| broken(error.to_string()))?;
                // Not pending: there are no more.
                if !matches!(response.status, 0xFF00 | 0xFF01) {
                    require_success(&response, "C-FIND")?;
                    break;
                }
                match Planned::parse(&data, characters) {
                    // Some worklists answer more than they were asked.
                    Ok(planned) if planned.start_date.as_ref() == Some(&question.date) => {
                        heard.planned.push(planned);
                    }
                    Ok(_) => {}
                    Err(Damaged) => heard.damaged += 1,
                }
                answers += 1;
                bytes += data.len();
                if answers == MOST_ANSWERS || bytes > MOST_BYTES {
                    line.abort();
                    let why = format!(
                        "it tells of more than {MOST_ANSWERS} examinations of one day, or of {} MiB: \
                         enter the unit's AE title there and here",
                        MOST_BYTES >> 20
                    );
                    return Err(broken(why));
                }
                if Instant::now() > until {
                    line.abort();
                    return Err(broken("it answers too slowly".into()));
                }
            }
        }
        line.release().ok();
        Ok(heard)
    }
}

impl Question {
    /// The keys of the query (PS3.4, table K.6-1), in Implicit VR Little Endian.
    fn keys(&self) -> Vec<u8> {
        let key = |tag, value: &str| element(tag, value.as_bytes(), b' ');
        let wanted = |tag| key(tag, "");
        let step = [
            key(MODALITY, &self.modality),
            key(STATION_AE_TITLE, &self.unit),
            key(START_DATE, &self.date),
            wanted(START_TIME),
            wanted((0x0040, 0x0006)),
            wanted(STEP_DESCRIPTION),
            wanted((0x0040, 0x0008)),
            wanted(STEP_ID),
        ];
        let step = element(ITEM, &step.concat(), 0);
        [
            wanted(CHARACTER_SET),
            wanted((0x0008, 0x0050)),
            wanted((0x0010, 0x0010)),
            wanted((0x0010, 0x0020)),
            wanted((0x0010, 0x0030)),
            wanted((0x0010, 0x0040)),
            wanted((0x0020, 0x000D)),
            wanted((0x0032, 0x1060)),
            element(STEPS, &step, 0),
            wanted((0x0040, 0x1001)),
            wanted((0x0040, 0x2016)),
            wanted((0x0040, 0x2017)),
        ]
        .concat()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(sets: &str, name: &[u8]) -> Vec<u8> {
        let step = [
            element(START_DATE, b"20261127", b' '),
            element((0x0040, 0x0008), &element(ITEM, b"", 0), 0),
            element(STEP_ID, b"S1", b' '),
        ];
        [
            element(CHARACTER_SET, sets.as_bytes(), b' '),
            element((0x0010, 0x0010), name, b' '),
            element((0x0010, 0x0020), b" 17 ", b' '),
            // Behind the text that it is for: it need not come first.
            element(STEPS, &element(ITEM, &step.concat(), 0), 0),
        ]
        .concat()
    }

    #[test]
    fn an_answer_is_read_by_its_own_character_set() {
        let of = |sets: &str, name: &[u8], default: &str| {
            let planned = Planned::parse(&answer(sets, name), &Characters::of(default)).unwrap();
            assert_eq!(planned.patient_id.as_deref(), Some("17"));
            assert_eq!(planned.start_date.as_deref(), Some("20261127"));
            assert_eq!(planned.step_id.as_deref(), Some("S1"));
            assert_eq!(planned.accession_number, None);
            planned.patient_name.unwrap()
        };
        let muller = "M\u{fc}ller^Anna";
        assert_eq!(of("ISO_IR 100", b"M\xfcller^Anna", "ISO_IR 192"), muller);
        assert_eq!(of("ISO_IR 192", muller.as_bytes(), "ISO_IR 100"), muller);
        // Those that say nothing are read as the configuration says.
        assert_eq!(of("", b"M\xfcller^Anna", "ISO_IR 100"), muller);
        let greek = of("ISO_IR 126", b"\xc4\xe9\xef\xed\xf5\xf3\xdf\xef\xf2", "");
        assert_eq!(
            greek,
            "\u{394}\u{3b9}\u{3bf}\u{3bd}\u{3c5}\u{3c3}\u{3af}\u{3bf}\u{3c2}"
        );
        let japanese = b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B";
        assert_eq!(
            of("\\ISO 2022 IR 87", japanese, ""),
            "Yamada^Tarou=\u{5c71}\u{7530}^\u{592a}\u{90ce}"
        );
    }

    #[test]
    fn an_answer_that_is_cut_off_is_damaged() {
        let whole = answer("ISO_IR 100", b"Doe");
        let characters = Characters::of("");
        for length in 1..8 {
            assert_eq!(Planned::parse(&whole[..length], &characters), Err(Damaged));
        }
        let last = &whole[..whole.len() - 1];
        assert_eq!(Planned::parse(last, &characters), Err(Damaged));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            Planned::parse(&bytes, &Characters::of("")).ok();
            let mut start = element(STEPS, b"", 0);
            let length = start.len() - 4;
            start[length..].fill(0xFF);
            start.extend(b"\xfe\xff\0\xe0\xff\xff\xff\xff");
            Planned::parse(&[start, bytes].concat(), &Characters::of("")).ok();
        }
    }
}
