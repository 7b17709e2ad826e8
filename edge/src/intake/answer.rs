//! The decoder's answer on the pipe, in `plumbline-wire`'s format.

use std::io::{self, Read, Write};

use plumbline_shared::decode::Header;
use plumbline_shared::film::Film;
use plumbline_wire::decoder::{self, MOST, Outcome, RefusalCode, cut};

/// A decoder's answer for one file.
#[derive(Debug, PartialEq)]
pub(super) struct Answer {
    /// The patient, examination and view of a DICOM file.
    pub header: Option<Header>,
    /// What was asked for, or the reason to refuse the file.
    pub content: Result<Content, Refusal>,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Content {
    /// The film and what was done to it.
    Film(Film, Vec<String>),
    /// Only that the file is whole.
    Whole,
}

/// The reason to refuse a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The reason, for programs.
    pub code: RefusalCode,
    /// The reason and the remedy, for people.
    pub sentence: String,
}

/// Reads one answer and checks all of its numbers.
pub(super) fn read(mut input: impl Read) -> io::Result<Answer> {
    let mut length = [0; 4];
    input.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > MOST {
        return Err(io::Error::other("the message is too long"));
    }
    let mut message = [0; MOST];
    let message = &mut message[..length];
    input.read_exact(message)?;
    let answer = decoder::decode(message).map_err(io::Error::other)?;
    let header = answer.header.map(owned);
    let content = match answer.outcome {
        Outcome::Whole => Ok(Content::Whole),
        Outcome::Film {
            width,
            height,
            notes,
        } => {
            Film::check_size(width, height).map_err(io::Error::other)?;
            let mut bytes = vec![0; 2 * width as usize * height as usize];
            input.read_exact(&mut bytes)?;
            let pixels = (bytes.as_chunks().0.iter()).map(|pair| u16::from_le_bytes(*pair));
            let film = Film::new(width, height, pixels.collect()).map_err(io::Error::other)?;
            let notes = notes
                .lines()
                .map(|note| note.replace(char::is_control, " "));
            Ok(Content::Film(film, notes.collect()))
        }
        Outcome::Refused { code, sentence } => Err(Refusal {
            code,
            // A refusal may quote the file: nothing of it may steer a terminal.
            sentence: sentence.replace(char::is_control, " "),
        }),
    };
    Ok(Answer { header, content })
}

/// Writes one answer.
pub(super) fn write(mut output: impl Write, answer: &Answer) -> io::Result<()> {
    let notes = match &answer.content {
        Ok(Content::Film(_, notes)) => notes.join("\n"),
        Ok(Content::Whole) | Err(_) => String::new(),
    };
    let outcome = match &answer.content {
        Ok(Content::Whole) => Outcome::Whole,
        Ok(Content::Film(film, _)) => Outcome::Film {
            width: film.width(),
            height: film.height(),
            notes: cut(&notes),
        },
        Err(Refusal { code, sentence }) => Outcome::Refused {
            code: *code,
            sentence: cut(sentence),
        },
    };
    let message = decoder::Answer {
        header: answer.header.as_ref().map(borrowed),
        outcome,
    };
    let mut buffer = [0; MOST];
    let message = decoder::encode(&message, &mut buffer).map_err(io::Error::other)?;
    output.write_all(&(message.len() as u32).to_le_bytes())?;
    output.write_all(message)?;
    if let Ok(Content::Film(film, _)) = &answer.content {
        let bytes: Vec<u8> = film.pixels().iter().flat_map(|p| p.to_le_bytes()).collect();
        output.write_all(&bytes)?;
    }
    output.flush()
}

/// Both headers have the same fields, one with text of its own and one with borrowed text.
macro_rules! between_headers {
    ($($field:ident)+) => {
        fn borrowed(header: &Header) -> decoder::Header<'_> {
            decoder::Header {
                $($field: header.$field.as_deref().map(cut),)+
                rows: header.rows,
                columns: header.columns,
            }
        }

        fn owned(message: decoder::Header) -> Header {
            let mut header = Header::default();
            $(header.$field = message.$field.map(str::to_owned);)+
            header.rows = message.rows;
            header.columns = message.columns;
            header
        }
    };
}

between_headers! {
    patient_name patient_id issuer_of_patient_id patient_birth_date patient_sex patient_age
    accession_number study_instance_uid series_instance_uid sop_class_uid sop_instance_uid
    study_date study_time study_id study_description series_number instance_number
    image_type pixel_spacing
    referring_physician_name institution_name station_name modality
    body_part_examined view_position lossy_image_compression burned_in_annotation
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(answer: &Answer) -> Vec<u8> {
        let mut frame = Vec::new();
        write(&mut frame, answer).unwrap();
        frame
    }

    #[test]
    fn answers_survive_their_way() {
        let film = Film::new(3, 2, vec![0, 1, 256, 65535, 4, 5]).unwrap();
        let mut header = Header::default();
        header.patient_name = Some("Mu\u{f1}oz^A".into());
        header.view_position = Some("PA".into());
        (header.rows, header.columns) = (Some(2), Some(3));
        let refusal = Refusal {
            code: RefusalCode::Length,
            sentence: "the file is empty".into(),
        };
        let notes = vec!["inverted".to_owned(), "turned".to_owned()];
        for content in [
            Ok(Content::Film(film, notes)),
            Ok(Content::Whole),
            Err(refusal),
        ] {
            for header in [None, Some(header.clone())] {
                let content = content.clone();
                let answer = Answer { header, content };
                let frame = written(&answer);
                assert_eq!(read(&frame[..]).unwrap(), answer);
                for length in 0..frame.len() {
                    assert!(read(&frame[..length]).is_err());
                }
            }
        }
    }

    #[test]
    fn claimed_sizes_are_not_believed() {
        let message = |outcome| {
            let mut buffer = [0; MOST];
            let header = None;
            let message = decoder::encode(&decoder::Answer { header, outcome }, &mut buffer);
            let message = message.unwrap();
            [&(message.len() as u32).to_le_bytes(), message].concat()
        };
        let (width, height) = (u32::MAX, u32::MAX);
        let film = Outcome::Film {
            width,
            height,
            notes: "",
        };
        assert!(read(&message(film)[..]).is_err());
        assert!(read(&b"\xff\xff\xff\xff1234"[..]).is_err());
    }

    #[test]
    fn a_refusal_cannot_steer_a_terminal_or_grow() {
        let refused = |sentence: &str| {
            let content = Err(Refusal {
                code: RefusalCode::Damaged,
                sentence: sentence.into(),
            });
            let header = None;
            let frame = written(&Answer { header, content });
            read(&frame[..]).unwrap().content.unwrap_err().sentence
        };
        assert_eq!(refused("a\u{1b}[2Jb"), "a [2Jb");
        assert_eq!(refused(&"a".repeat(5000)).len(), decoder::MOST_TEXT);
    }
}
