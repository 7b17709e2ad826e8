//! The answer of a decoder process: a film, or why there is none, and what its DICOM file says.
//!
//! On the pipe an answer is
//!
//! | bytes | |
//! |---|---|
//! | 4 | length n of the message, little endian, at most [`MOST`] |
//! | n | the [`Answer`] in postcard's format |
//! | 2 x width x height | of a film its pixels, row-major, little endian |
//!
//! The reader must believe no number of it: the decoder has read a file from outside.

use serde::{Deserialize, Serialize};

/// The most bytes of a message.
pub const MOST: usize = 16 << 10;

/// The most bytes of one text in a message; longer ones are cut by [`cut`].
pub const MOST_TEXT: usize = 512;

/// A decoder's answer for a file.
///
/// ```
/// use plumbline_wire::decoder::{Answer, MOST, Outcome, decode, encode};
///
/// let answer = Answer { header: None, outcome: Outcome::Film { width: 3, height: 2, notes: "inverted" } };
/// let mut buffer = [0; MOST];
/// let message = encode(&answer, &mut buffer)?;
/// assert_eq!(decode(message)?, answer);
/// # Ok::<(), plumbline_wire::decoder::MessageError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer<'a> {
    /// The DICOM header, if it is a DICOM file that can be read so far.
    #[serde(borrow)]
    pub header: Option<Header<'a>>,
    /// The film, or why there is none.
    pub outcome: Outcome<'a>,
}

/// A film, or why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome<'a> {
    /// The pixels follow the message.
    Film {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
        /// What was done to make the film of its file, a line for each thing.
        notes: &'a str,
    },
    /// The file gives no film.
    Refused {
        /// The reason, for programs.
        code: RefusalCode,
        /// The reason and what to do, for people.
        sentence: &'a str,
    },
    /// The file is whole; its film was not asked for.
    Whole,
}

/// Reasons why a file gives no film.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum RefusalCode {
    /// The system does not give the file.
    Unreadable,
    /// The file has no bytes, or more than are read.
    Length,
    /// The file is of no known format.
    Format,
    /// The format is known, but not this kind of it.
    Unsupported,
    /// The file contradicts its format.
    Damaged,
    /// The picture is in colour.
    Colour,
    /// The DICOM file has no pixels.
    NoPixels,
    /// The picture has no film's size.
    Size,
    /// The pixels are not square.
    NotSquare,
    /// The film shows nothing.
    Blank,
    /// The film's window shows nothing of it.
    NothingShown,
    /// The values are not yet processed for display.
    ForProcessing,
    /// The decoder crashed on the file.
    Crashed,
}

impl RefusalCode {
    /// The reason as a word for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Length => "length",
            Self::Format => "format",
            Self::Unsupported => "unsupported",
            Self::Damaged => "damaged",
            Self::Colour => "colour",
            Self::NoPixels => "no-pixels",
            Self::Size => "size",
            Self::NotSquare => "not-square",
            Self::Blank => "blank",
            Self::NothingShown => "nothing-shown",
            Self::ForProcessing => "for-processing",
            Self::Crashed => "crashed",
        }
    }
}

/// The elements of a DICOM file beside its pixels; text in UTF-8, absent where it is missing or
/// empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header<'a> {
    /// Patient's Name (0010,0010).
    pub patient_name: Option<&'a str>,
    /// Patient ID (0010,0020).
    pub patient_id: Option<&'a str>,
    /// Issuer of Patient ID (0010,0021).
    pub issuer_of_patient_id: Option<&'a str>,
    /// Patient's Birth Date (0010,0030).
    pub patient_birth_date: Option<&'a str>,
    /// Patient's Sex (0010,0040).
    pub patient_sex: Option<&'a str>,
    /// Patient's Age (0010,1010).
    pub patient_age: Option<&'a str>,
    /// Accession Number (0008,0050).
    pub accession_number: Option<&'a str>,
    /// Study Instance UID (0020,000D).
    pub study_instance_uid: Option<&'a str>,
    /// Series Instance UID (0020,000E).
    pub series_instance_uid: Option<&'a str>,
    /// SOP Class UID (0008,0016).
    pub sop_class_uid: Option<&'a str>,
    /// SOP Instance UID (0008,0018).
    pub sop_instance_uid: Option<&'a str>,
    /// Study Date (0008,0020).
    pub study_date: Option<&'a str>,
    /// Study Time (0008,0030).
    pub study_time: Option<&'a str>,
    /// Study ID (0020,0010).
    pub study_id: Option<&'a str>,
    /// Study Description (0008,1030).
    pub study_description: Option<&'a str>,
    /// Series Number (0020,0011).
    pub series_number: Option<&'a str>,
    /// Instance Number (0020,0013).
    pub instance_number: Option<&'a str>,
    /// Image Type (0008,0008).
    pub image_type: Option<&'a str>,
    /// Pixel Spacing (0028,0030).
    pub pixel_spacing: Option<&'a str>,
    /// Referring Physician's Name (0008,0090).
    pub referring_physician_name: Option<&'a str>,
    /// Institution Name (0008,0080).
    pub institution_name: Option<&'a str>,
    /// Station Name (0008,1010).
    pub station_name: Option<&'a str>,
    /// Modality (0008,0060).
    pub modality: Option<&'a str>,
    /// Body Part Examined (0018,0015).
    pub body_part_examined: Option<&'a str>,
    /// View Position (0018,5101).
    pub view_position: Option<&'a str>,
    /// Lossy Image Compression (0028,2110).
    pub lossy_image_compression: Option<&'a str>,
    /// Burned In Annotation (0028,0301).
    pub burned_in_annotation: Option<&'a str>,
    /// Rows (0028,0010).
    pub rows: Option<u16>,
    /// Columns (0028,0011).
    pub columns: Option<u16>,
}

/// An error of reading or writing a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// The message is longer than its buffer.
    #[error("the message has more bytes than its buffer")]
    TooLong,
    /// The bytes are no message.
    #[error("the bytes are not a decoder's answer")]
    Malformed,
}

/// Writes a message into `buffer`, [`MOST`] bytes of which hold any answer whose texts were
/// [`cut`].
///
/// # Errors
/// [`MessageError::TooLong`].
pub fn encode<'b>(answer: &Answer, buffer: &'b mut [u8]) -> Result<&'b [u8], MessageError> {
    match postcard::to_slice(answer, buffer) {
        Ok(message) => Ok(message),
        Err(_) => Err(MessageError::TooLong),
    }
}

/// Reads a message; nothing may follow it.
///
/// # Errors
/// [`MessageError::Malformed`].
pub fn decode(message: &[u8]) -> Result<Answer<'_>, MessageError> {
    crate::message::read(message).ok_or(MessageError::Malformed)
}

/// The longest start of `text` that has at most [`MOST_TEXT`] bytes.
pub fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MOST_TEXT)]
}

#[cfg(test)]
mod tests {
    extern crate std;

    use proptest::prelude::*;
    use std::string::String;
    use std::vec;

    use super::*;

    proptest! {
        #[test]
        fn messages_survive_their_way(
            texts in proptest::collection::vec(proptest::option::of(".{0,700}"), 3),
            (width, height) in any::<(u32, u32)>(),
            refused in any::<bool>(),
        ) {
            let text = |index: usize| texts[index].as_deref().map(cut);
            let header = Header {
                patient_name: text(0),
                view_position: text(1),
                ..Header::default()
            };
            let outcome = match refused {
                true => Outcome::Refused {
                    code: RefusalCode::Damaged,
                    sentence: text(2).unwrap_or_default(),
                },
                false => Outcome::Film {
                    width,
                    height,
                    notes: text(2).unwrap_or_default(),
                },
            };
            let answer = Answer { header: text(0).map(|_| header), outcome };
            let mut buffer = [0; MOST];
            let message = encode(&answer, &mut buffer).unwrap();
            prop_assert_eq!(decode(message), Ok(answer));
            for length in 0..message.len() {
                prop_assert_eq!(decode(&message[..length]), Err(MessageError::Malformed));
            }
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(answer) = decode(&bytes) {
                let mut buffer = [0; MOST];
                let again = encode(&answer, &mut buffer).unwrap();
                prop_assert_eq!(decode(again), Ok(answer));
            }
        }
    }

    #[test]
    fn the_longest_texts_have_room() {
        let long: String = "患".repeat(1000);
        let text = Some(cut(&long));
        assert_eq!(cut(&long).len(), 510);
        let header = Header {
            patient_name: text,
            patient_id: text,
            issuer_of_patient_id: text,
            patient_birth_date: text,
            patient_sex: text,
            patient_age: text,
            accession_number: text,
            study_instance_uid: text,
            series_instance_uid: text,
            sop_class_uid: text,
            sop_instance_uid: text,
            study_date: text,
            study_time: text,
            study_id: text,
            study_description: text,
            series_number: text,
            instance_number: text,
            image_type: text,
            pixel_spacing: text,
            referring_physician_name: text,
            institution_name: text,
            station_name: text,
            modality: text,
            body_part_examined: text,
            view_position: text,
            lossy_image_compression: text,
            burned_in_annotation: text,
            rows: Some(u16::MAX),
            columns: Some(u16::MAX),
        };
        let answer = Answer {
            header: Some(header),
            outcome: Outcome::Refused {
                code: RefusalCode::Crashed,
                sentence: cut(&long),
            },
        };
        let mut buffer = vec![0; MOST];
        assert!(encode(&answer, &mut buffer).is_ok());
        assert_eq!(encode(&answer, &mut [0; 100]), Err(MessageError::TooLong));
    }
}
