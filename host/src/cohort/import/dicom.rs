//! Trees of DICOM files, with a table of labels.
//!
//! Everything that a file's header tells is taken from there: patient, study, view, age and sex. The table
//! names films by `SOPInstanceUID`, by their path in the source, by `StudyInstanceUID`, by
//! `AccessionNumber` or by `PatientID`; the first of these that a film is named by counts.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use plumbline_shared::decode::{Header, header};
use rayon::prelude::*;

use super::error::ImportError;
use super::gathered::{Found, Gathered};
use super::rejects::{Origin, Reason, Reject};
use super::source::{Located, Source};
use super::table::{Table, shortened};
use super::{cells, folder};

/// Modalities of projection radiography (PS3.3, C.7.3.1.1.1), and `OT` of films converted to DICOM.
const MODALITIES: [&str; 5] = ["CR", "DX", "RG", "RF", "OT"];

/// Columns by which a row of the table of labels names films, the most telling first.
const KEYS: [&[&str]; 5] = [
    &["SOPInstanceUID"],
    &["path", "film", "image", "filename", "file"],
    &["StudyInstanceUID"],
    &["AccessionNumber"],
    &["PatientID"],
];

pub(super) fn read(sources: &[Source], labels: &Path) -> Result<Gathered, ImportError> {
    let mut gathered = Gathered::default();
    let mut labels = Labels::read(labels, &mut gathered)?;
    for (number, source) in sources.iter().enumerate() {
        let files = folder::films(source, &mut gathered);
        let headers: Vec<Result<(Located, Header), Reason>> = files
            .par_iter()
            .map(|file| {
                let located = source.located(file)?;
                let header = read_header(&located.file)?;
                Ok((located, header))
            })
            .collect();
        for (file, header) in files.iter().zip(headers) {
            let origin = Origin::whole(&source.given);
            let found = header.and_then(|(located, header)| {
                film(located, header, number, &mut labels, origin.clone())
            });
            gathered.add(origin, &source.shown(file), found);
        }
    }
    gathered.rejects.extend(labels.unused());
    Ok(gathered)
}

fn read_header(file: &Path) -> Result<Header, Reason> {
    let bytes = fs::read(file)
        .map_err(|error| Reason::Undecodable(format!("the file cannot be read ({error})")))?;
    header(&bytes).map_err(|error| Reason::Undecodable(error.to_string()))
}

fn film(
    located: Located,
    header: Header,
    source: usize,
    labels: &mut Labels,
    origin: Origin,
) -> Result<Found, Reason> {
    // A film without a label that is unfit for another reason is still named in the table.
    let label = labels.of(&located.path, &header);
    if let Some(modality) = header.modality
        && !MODALITIES.contains(&modality.as_str())
    {
        return Err(Reason::Modality(shortened(&modality)));
    }
    let label = label.ok_or(Reason::Unlabelled)?;
    let patient = header.patient_id.ok_or(Reason::NoPatient)?;
    let projection = cells::projection(header.view_position.as_deref().unwrap_or_default())?;
    let born = header.study_date.zip(header.patient_birth_date);
    Ok(Found {
        instance: header.sop_instance_uid,
        study: header.study_instance_uid,
        label: Some(label),
        age: (header.patient_age.as_deref().and_then(cells::age))
            .or_else(|| born.and_then(|(day, birth)| cells::age_on(&day, &birth))),
        sex: header.patient_sex.as_deref().and_then(cells::sex),
        projection,
        ..Found::new(origin, source, located, patient)
    })
}

/// A row of the table of labels.
struct Label {
    line: u64,
    positive: bool,
    used: bool,
}

/// The table of labels.
struct Labels {
    file: PathBuf,
    /// Labels by the number of the key in [`KEYS`], and its value.
    rows: HashMap<(usize, String), Label>,
}

impl Labels {
    fn read(file: &Path, gathered: &mut Gathered) -> Result<Self, ImportError> {
        let mut table = Table::open(file)?;
        let label = table.required(&["label", "class", "scoliosis", "target"])?;
        let keys = KEYS.map(|names| table.column(names));
        let keys = keys.into_iter().collect::<Result<Vec<_>, _>>()?;
        if keys.iter().all(Option::is_none) {
            table.required(&KEYS.concat())?;
        }
        let mut rows: HashMap<(usize, String), Label> = HashMap::new();
        while let Some(row) = table.next()? {
            let row = match row {
                Ok(row) => row,
                Err(broken) => {
                    gathered.reject(table.origin(broken.line), "", broken.reason);
                    continue;
                }
            };
            let mut cells = keys.iter().map(|column| row.get(*column)).enumerate();
            let key = cells.find_map(|(number, cell)| Some((number, cell?.to_owned())));
            let name = key.as_ref().map(|(_, name)| name.clone());
            let first = key.as_ref().and_then(|key| rows.get(key));
            let cell = row.get(label).ok_or(Reason::Unlabelled);
            let reason = match (key, cell.and_then(cells::label), first) {
                (None, _, _) => Reason::Unnamed,
                (_, Err(reason), _) => reason,
                (Some(key), Ok(positive), None) => {
                    let label = Label {
                        line: row.line,
                        positive,
                        used: false,
                    };
                    rows.insert(key, label);
                    continue;
                }
                (_, Ok(positive), Some(first)) => {
                    let at = table.origin(first.line).to_string();
                    match first.positive == positive {
                        true => Reason::Duplicate(at),
                        false => Reason::Conflict(at),
                    }
                }
            };
            gathered.reject(table.origin(row.line), &name.unwrap_or_default(), reason);
        }
        Ok(Self {
            file: file.to_owned(),
            rows,
        })
    }

    /// Returns the label of the film at `path`.
    fn of(&mut self, path: &str, header: &Header) -> Option<bool> {
        let names = [
            header.sop_instance_uid.as_deref(),
            Some(path),
            header.study_instance_uid.as_deref(),
            header.accession_number.as_deref(),
            header.patient_id.as_deref(),
        ];
        let mut label = None;
        for (number, name) in names.into_iter().enumerate() {
            let Some(name) = name else { continue };
            if let Some(row) = self.rows.get_mut(&(number, name.to_owned())) {
                row.used = true;
                label = label.or(Some(row.positive));
            }
        }
        label
    }

    /// Returns rejects for the rows that name no film.
    fn unused(self) -> impl Iterator<Item = Reject> {
        let rows = self.rows.into_iter().filter(|(_, row)| !row.used);
        let file = self.file;
        rows.map(move |((_, name), row)| Reject {
            origin: Origin {
                file: file.clone(),
                line: Some(row.line),
            },
            film: name,
            reason: Reason::Absent,
        })
    }
}

#[cfg(test)]
mod tests {
    use dicom_core::{DataElement, PrimitiveValue, Tag, VR, dicom_value};
    use dicom_dictionary_std::{tags, uids};
    use dicom_object::{FileMetaTableBuilder, InMemDicomObject};

    use super::super::Format;
    use super::super::tests::Bench;
    use plumbline_shared::clinical::{Projection, Sex};

    /// A film of 8 x 8 pixels with these elements in its header.
    fn film(bench: &Bench, name: &str, header: &[(Tag, &str)]) {
        let mut object = InMemDicomObject::new_empty();
        let defaults = [
            (tags::MODALITY, "DX"),
            (tags::PATIENT_ID, "p"),
            (tags::VIEW_POSITION, "PA"),
            (tags::SOP_INSTANCE_UID, name),
            (tags::PHOTOMETRIC_INTERPRETATION, "MONOCHROME2"),
        ];
        for (tag, value) in defaults.iter().chain(header) {
            object.put(DataElement::new(*tag, VR::LO, PrimitiveValue::from(*value)));
        }
        for (tag, value) in [
            (tags::SAMPLES_PER_PIXEL, 1),
            (tags::ROWS, 8),
            (tags::COLUMNS, 8),
            (tags::BITS_ALLOCATED, 16),
            (tags::BITS_STORED, 16),
            (tags::HIGH_BIT, 15),
            (tags::PIXEL_REPRESENTATION, 0),
        ] {
            object.put(DataElement::new(tag, VR::US, dicom_value!(U16, [value])));
        }
        let start = name.bytes().map(u16::from).sum::<u16>();
        let pixels: Vec<u16> = (0..64).map(|i| start + 9 * i).collect();
        let pixels = PrimitiveValue::U16(pixels.into());
        object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, pixels));
        let meta = FileMetaTableBuilder::new()
            .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)
            .media_storage_sop_class_uid(uids::DIGITAL_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION)
            .media_storage_sop_instance_uid(name);
        let mut file = Vec::new();
        object
            .with_meta(meta)
            .unwrap()
            .write_all(&mut file)
            .unwrap();
        bench.write(&format!("source/{name}"), file);
    }

    fn labels(bench: &Bench) -> Format {
        Format::Dicom {
            labels: bench.path("labels.csv"),
        }
    }

    #[test]
    fn headers_say_who_and_the_table_says_what() {
        let bench = Bench::new();
        let who = [
            (tags::PATIENT_ID, "7"),
            (tags::STUDY_INSTANCE_UID, "1.9"),
            (tags::PATIENT_AGE, "018M"),
            (tags::PATIENT_SEX, "F"),
        ];
        film(&bench, "1.1", &who);
        film(
            &bench,
            "deep/er/1.2.dcm",
            &[
                (tags::PATIENT_ID, "8"),
                (tags::VIEW_POSITION, ""),
                (tags::PATIENT_BIRTH_DATE, "19400305"),
                (tags::STUDY_DATE, "20040304"),
            ],
        );
        film(
            &bench,
            "1.3",
            &[(tags::PATIENT_ID, "9"), (tags::ACCESSION_NUMBER, "A1")],
        );
        film(
            &bench,
            "1.4",
            &[(tags::PATIENT_ID, "7"), (tags::STUDY_INSTANCE_UID, "1.9")],
        );
        film(&bench, "1.5", &[(tags::PATIENT_ID, "10")]);
        bench.write(
            "labels.csv",
            "SOP Instance UID,Path,study_instance_uid,AccessionNumber,PatientID,label\n\
             1.1,,,,,yes\n,deep/er/1.2.dcm,,,,0\n,,1.9,,,0\n,,,A1,,1\n,,,,10,1\n",
        );
        let imported = bench.import(labels(&bench));
        imported.assert_rejects(&[]);
        let film = |name: &str| imported.film(name);
        // The most telling row counts.
        assert_eq!(
            (film("1.1").label, film("1.4").label),
            (Some(true), Some(false))
        );
        assert_eq!(
            (film("1.3").label, film("1.5").label),
            (Some(true), Some(true))
        );
        let first = film("1.1");
        assert_eq!(
            (first.patient.as_str(), first.study.as_deref()),
            ("7", Some("1.9"))
        );
        assert_eq!((first.age, first.sex), (Some(1), Some(Sex::Female)));
        assert_eq!(first.projection, Some(Projection::Pa));
        let second = film("deep/er/1.2.dcm");
        assert_eq!(
            (second.label, second.age, second.projection),
            (Some(false), Some(63), None)
        );
    }

    #[test]
    fn patients_are_told_apart_by_bytes_where_their_characters_are_unknown() {
        let bench = Bench::new();
        let named = |name: &str, set: &str, id: &[u8]| {
            let header = [
                (tags::PATIENT_ID, "P####z"),
                (tags::SPECIFIC_CHARACTER_SET, set),
            ];
            film(&bench, name, &header);
            let path = bench.path(&format!("source/{name}"));
            let mut file = std::fs::read(&path).unwrap();
            let at = file.windows(4).position(|bytes| bytes == b"####").unwrap();
            file[at..at + 4].copy_from_slice(id);
            std::fs::write(path, file).unwrap();
        };
        named("1.1", "", b"\xe9aaa");
        named("1.2", "", b"\xe8aaa");
        named("1.3", "", b"\x1baaa");
        named("1.4", "", b"\x02aaa");
        // Known sets are decoded.
        named("1.5", "ISO_IR 100", b"aa\xe9a");
        named("1.6", "ISO_IR 192", "aa\u{e9}".as_bytes());
        bench.write(
            "labels.csv",
            "SOPInstanceUID,label\n1.1,1\n1.2,1\n1.3,1\n1.4,1\n1.5,1\n1.6,1\n",
        );
        let imported = bench.import(labels(&bench));
        imported.assert_rejects(&[]);
        let patient = |name: &str| imported.film(name).patient.clone();
        let patients = ["1.1", "1.2", "1.3", "1.4"].map(patient);
        assert_eq!(
            patients,
            ["P\\xE9aaaz", "P\\xE8aaaz", "P\\x1Baaaz", "P\\x02aaaz"]
        );
        assert_eq!(patient("1.5"), "Paa\u{e9}az");
        assert_eq!(patient("1.6"), "Paa\u{e9}z");
    }

    #[test]
    fn hostile_files_and_rows_are_rejected_one_by_one() {
        let bench = Bench::new();
        film(&bench, "1.1", &[]);
        film(&bench, "1.2", &[(tags::SOP_INSTANCE_UID, "1.1")]);
        film(&bench, "1.3", &[(tags::PATIENT_ID, "stranger")]);
        film(&bench, "1.4", &[(tags::PATIENT_ID, "")]);
        film(&bench, "1.5", &[(tags::MODALITY, "CT")]);
        film(&bench, "1.6", &[(tags::VIEW_POSITION, "LLO")]);
        film(&bench, "1.7", &[(tags::VIEW_POSITION, "LL")]);
        film(&bench, "1.8", &[(tags::PHOTOMETRIC_INTERPRETATION, "RGB")]);
        let whole = std::fs::read(bench.path("source/1.1")).unwrap();
        bench.write("source/cut.dcm", &whole[..whole.len() / 2]);
        bench.write("source/empty.dcm", "");
        bench.films(&["source/picture.png"]);
        bench.write("source/DICOMDIR", "");
        bench.write(
            "labels.csv",
            "PatientID,SOPInstanceUID,label\np,,0\n,1.4,1\nq,,1\np,,0\np,,1\nr,,perhaps\n\
             r,,\n,,1\nr\n",
        );
        let imported = bench.import(labels(&bench));
        assert_eq!(imported.report.films, 1);
        imported.assert_rejects(&[
            (None, "1.2", "the same as 1.1 in"),
            (None, "1.3", "no label"),
            (None, "1.4", "patient is not named"),
            (None, "1.5", "\"CT\""),
            (None, "1.6", "\"LLO\""),
            (None, "1.7", "lateral"),
            (None, "1.8", "colour"),
            (None, "cut.dcm", "damaged"),
            (None, "empty.dcm", "empty"),
            (None, "picture.png", "not a DICOM file"),
            (None, "DICOMDIR", "no film"),
            (Some(4), "q", "no such file"),
            (Some(5), "p", "the same as line 2"),
            (Some(6), "p", "another label"),
            (Some(7), "r", "\"perhaps\""),
            (Some(8), "r", "no label"),
            (Some(9), "", "names no film"),
            (Some(10), "", "1 cells"),
        ]);
    }

    #[test]
    fn a_table_that_cannot_be_used_is_told_in_a_sentence() {
        let bench = Bench::new();
        film(&bench, "1.1", &[]);
        for (bytes, words) in [
            (&b"PatientID,remark\n"[..], "no column `label`"),
            (b"label,remark\n", "no column `SOPInstanceUID`"),
            (b"label,PatientID,patient_id\n", "two columns"),
            (b"PatientID,label\nJos\xe9,1\n", "line 2"),
            (b"PatientID,label\nq,1\n", "none of 2 films"),
        ] {
            bench.write("labels.csv", bytes);
            let sentence = bench.failure(labels(&bench));
            assert!(sentence.contains(words), "{sentence}");
        }
        std::fs::remove_file(bench.path("labels.csv")).unwrap();
        assert!(bench.failure(labels(&bench)).contains("cannot read"));
        std::fs::remove_file(bench.path("source/1.1")).unwrap();
        bench.write("labels.csv", "PatientID,label\n");
        assert!(
            bench
                .failure(labels(&bench))
                .contains("names no film at all")
        );
    }
}
