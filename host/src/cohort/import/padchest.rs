//! PadChest (Bustos et al., Medical Image Analysis 66, 2020): one table and PNG files of 16 bits.
//!
//! The labels are a Python list as text. The projection is in `Projection`; `ViewPosition_DICOM`,
//! from the DICOM files, is often wrong. Patients have up to 39 figures, so they are text. The
//! archive does not tell if the PNG files of films that were MONOCHROME1 are inverted, so these are
//! pointed out.

use std::path::Path;

use super::cells;
use super::error::ImportError;
use super::gathered::{Found, Gathered};
use super::index::Index;
use super::python_list;
use super::rejects::{Origin, Reason};
use super::source::Source;
use super::table::{Column, Row, Table, shortened};
use crate::cohort::manifest::NO_FINDING;

/// The label of positives (UMLS C0036439).
const SCOLIOSIS: &str = "scoliosis";
/// The label of films without findings.
const NORMAL: &str = "normal";
/// Labels of reports on the quality of the film, or of no change since another one: alone they tell
/// no finding.
const SILENT: [&str; 3] = ["exclude", "suboptimal study", "unchanged"];

struct Columns {
    image: Option<Column>,
    folder: Option<Column>,
    labels: Option<Column>,
    patient: Option<Column>,
    study: Option<Column>,
    projection: Option<Column>,
    birth: Option<Column>,
    day: Option<Column>,
    sex: Option<Column>,
    photometric: Option<Column>,
}

pub(super) fn read(sources: &[Source]) -> Result<Gathered, ImportError> {
    let mut gathered = Gathered::default();
    let index = Index::of(sources, &mut gathered);
    for (number, source) in sources.iter().enumerate() {
        let tables = source.tables(|name| {
            let name = name.to_ascii_lowercase();
            name.starts_with("padchest_chest_x_ray_images_labels")
                && (name.ends_with(".csv") || name.ends_with(".csv.gz"))
        })?;
        let [file] = &tables[..] else {
            return Err(ImportError::Lacking {
                folder: source.given.clone(),
                what: format!(
                    "single table PADCHEST_chest_x_ray_images_labels_160K*.csv or .csv.gz, but {}; \
                     give the table itself",
                    tables.len()
                ),
            });
        };
        read_table(file, number, &index, &mut gathered)?;
    }
    Ok(gathered)
}

fn read_table(
    file: &Path,
    source: usize,
    index: &Index,
    gathered: &mut Gathered,
) -> Result<(), ImportError> {
    let table = Table::open(file)?;
    let columns = Columns {
        image: table.required(&["ImageID"])?,
        folder: table.column(&["ImageDir"])?,
        labels: table.required(&["Labels"])?,
        patient: table.required(&["PatientID"])?,
        study: table.column(&["StudyID"])?,
        projection: table.required(&["Projection"])?,
        birth: table.column(&["PatientBirth"])?,
        day: table.column(&["StudyDate_DICOM"])?,
        sex: table.column(&["PatientSex_DICOM"])?,
        photometric: table.column(&["PhotometricInterpretation_DICOM"])?,
    };
    let mut monochrome1 = 0;
    gathered.add_rows(table, columns.image, |row, image, origin| {
        let found = film(row, &columns, image, source, index, origin);
        if found.is_ok() && row.get(columns.photometric) == Some("MONOCHROME1") {
            monochrome1 += 1;
        }
        found
    })?;
    if monochrome1 > 0 {
        gathered.notes.push(format!(
            "of {monochrome1} films the DICOM files were MONOCHROME1; look whether their PNG files show bones \
             dark, and leave them out if so"
        ));
    }
    Ok(())
}

fn film(
    row: &Row,
    columns: &Columns,
    image: &str,
    source: usize,
    index: &Index,
    origin: Origin,
) -> Result<Found, Reason> {
    let cell = row.get(columns.labels).ok_or(Reason::Unlabelled)?;
    let labels = python_list::parse(cell).ok_or_else(|| {
        let cell = shortened(cell);
        Reason::Row(format!(
            "the labels {cell:?} are not a list such as ['normal']"
        ))
    })?;
    if labels.iter().all(|label| SILENT.contains(&label.as_str())) {
        return Err(Reason::Unlabelled);
    }
    let patient = row.get(columns.patient).ok_or(Reason::NoPatient)?;
    let projection = cells::projection(row.get(columns.projection).unwrap_or_default())?;
    // Folders are numbers, which spreadsheets like to give a fraction.
    let folder = row.get(columns.folder);
    let folder = folder.map(|folder| folder.strip_suffix(".0").unwrap_or(folder));
    let (source, located) = index.find(image, source, folder)?;
    let age = row.get(columns.day).zip(row.get(columns.birth));
    let says_nothing = |label: &&String| *label == NORMAL || SILENT.contains(&label.as_str());
    let others = labels.iter().filter(|label| !says_nothing(label));
    Ok(Found {
        study: row.get(columns.study).map(str::to_owned),
        label: Some(labels.iter().any(|label| label == SCOLIOSIS)),
        findings: Some(match others.clone().next() {
            Some(_) => cells::findings(others.map(String::as_str)),
            None => NO_FINDING.into(),
        }),
        age: age.and_then(|(day, birth)| cells::age_on(day, birth)),
        sex: row.get(columns.sex).and_then(cells::sex),
        projection,
        ..Found::new(origin, source, located, patient.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::Bench;
    use plumbline_shared::clinical::{Projection, Sex};

    const TABLE: &str = "source/PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv";
    /// As the archive's, with an unnamed first column.
    const HEADER: &str = ",ImageID,ImageDir,StudyDate_DICOM,StudyID,PatientID,PatientBirth,\
                          PatientSex_DICOM,ViewPosition_DICOM,Projection,Report,Labels,\
                          PhotometricInterpretation_DICOM\n";

    #[test]
    fn the_archives_own_quirks_are_read() {
        let bench = Bench::new();
        bench.films(&[
            "source/0/a.png",
            "source/54/b.png",
            "source/c.png",
            "source/d.png",
        ]);
        bench.films(&["source/54/a.png"]);
        let rows = "0,a.png,0,20140915,s1,839860488694292331637988235681460987,1950.0,F,POSTEROANTERIOR,\
                    PA,\"dos, lineas\nnormal\",\"['scoliosis', ' aortic elongation ', '']\",MONOCHROME1\n\
                    1,b.png,54.0,20140915,s1,839860488694292331637988235681460987,1950.0,F,,AP_horizontal,,['normal'],MONOCHROME2\n\
                    2,c.png,,2014,s2,7,,None,LATERAL,UNK,,\"[\"\"Chilaiditi's sign\"\", 'dorsal scoliosis']\",\n\
                    3,d.png,,20140915,s2,7,1950,M,PA,L,,['scoliosis'],\n";
        bench.write(TABLE, format!("{HEADER}{rows}"));
        let imported = bench.import(Format::PadChest);
        imported.assert_rejects(&[(Some(6), "d.png", "lateral")]);
        let a = imported.film("source-1/0/a.png");
        assert_eq!(a.patient, "839860488694292331637988235681460987");
        assert_eq!(
            (a.label, a.age, a.sex),
            (Some(true), Some(64), Some(Sex::Female))
        );
        assert_eq!(a.study.as_deref(), Some("s1"));
        assert_eq!(a.projection, Some(Projection::Pa));
        let names = ["scoliosis", "aortic elongation"].map(str::to_owned);
        assert_eq!(a.findings.as_deref(), Some(&names[..]));
        let b = imported.film("source-1/54/b.png");
        assert_eq!((b.label, b.projection), (Some(false), Some(Projection::Ap)));
        assert_eq!(b.findings.as_deref(), Some(&[][..]));
        // The label is the whole name, not a part of another.
        let c = imported.film("source-1/c.png");
        assert_eq!(
            (c.label, c.age, c.sex, c.projection),
            (Some(false), None, None, None)
        );
        let text = imported.report.to_string();
        assert!(
            text.contains("of 1 films the DICOM files were MONOCHROME1"),
            "{text}"
        );
    }

    #[test]
    fn hostile_rows_are_rejected_one_by_one() {
        let bench = Bench::new();
        bench.films(&["source/a.png", "source/b.png", "source/c.png", "secret.png"]);
        bench.write("source/broken.png", "\u{89}PNG");
        let row = |image: &str, patient: &str, projection: &str, labels: &str| {
            format!("0,{image},0,20140915,s,{patient},1950,F,,{projection},,{labels},\n")
        };
        let rows = [
            row("a.png", "1", "PA", "['normal']"),
            row("a.png", "1", "PA", "['normal']"),
            row("a.png", "1", "PA", "['scoliosis']"),
            row("b.png", "1", "PA", ""),
            row("b.png", "1", "PA", "nan"),
            row("b.png", "1", "PA", "[]"),
            row("b.png", "1", "PA", "\"['unchanged', 'exclude']\""),
            row("b.png", "1", "PA", "scoliosis"),
            row("b.png", "", "PA", "['normal']"),
            row("b.png", "1", "COSTAL", "['normal']"),
            row("b.png", "1", "EXCLUDE", "['normal']"),
            row("absent.png", "1", "PA", "['normal']"),
            row("../secret.png", "1", "PA", "['normal']"),
            row("/etc/passwd", "1", "PA", "['normal']"),
            row("..\\secret.png", "1", "PA", "['normal']"),
            row("", "1", "PA", "['normal']"),
            row("broken.png", "1", "PA", "['normal']"),
            "1,b.png\n".into(),
            row("c.png", "2", "PA", "['scoliosis']"),
            "2,\"b.png,0\n3,b.png,0\n".into(),
        ];
        bench.write(TABLE, format!("\u{feff}{HEADER}{}", rows.concat()));
        let imported = bench.import(Format::PadChest);
        assert_eq!(imported.report.films, 2);
        assert_eq!(imported.film("c.png").label, Some(true));
        imported.assert_rejects(&[
            (Some(3), "a.png", "the same as line 2"),
            (Some(4), "a.png", "another label"),
            (Some(5), "b.png", "no label"),
            (Some(6), "b.png", "no label"),
            (Some(7), "b.png", "no label"),
            (Some(8), "b.png", "no label"),
            (Some(9), "b.png", "not a list"),
            (Some(10), "b.png", "patient is not named"),
            (Some(11), "b.png", "COSTAL"),
            (Some(12), "b.png", "EXCLUDE"),
            (Some(13), "absent.png", "no such file"),
            (Some(14), "../secret.png", "leads out"),
            (Some(15), "/etc/passwd", "leads out"),
            (Some(16), "..\\secret.png", "leads out"),
            (Some(17), "", "names no film"),
            (Some(18), "broken.png", "not a film"),
            (Some(19), "", "2 cells"),
            (Some(21), "", "quotation"),
        ]);
    }

    #[test]
    fn a_table_that_cannot_be_used_is_told_in_a_sentence() {
        let bench = Bench::new();
        bench.films(&["source/a.png"]);
        assert!(bench.failure(Format::PadChest).contains("PADCHEST"));
        bench.write(TABLE, HEADER.replace("Labels", "Findings"));
        let sentence = bench.failure(Format::PadChest);
        assert!(sentence.contains("no column `Labels`"), "{sentence}");
        bench.write(TABLE, [HEADER.as_bytes(), b"0,M\xfcller.png\n"].concat());
        let sentence = bench.failure(Format::PadChest);
        assert!(
            sentence.contains("line 2") && sentence.contains("UTF-8"),
            "{sentence}"
        );
        bench.write(TABLE, HEADER);
        assert!(
            bench
                .failure(Format::PadChest)
                .contains("names no film at all")
        );
        bench.write(&format!("{TABLE}.gz"), "");
        assert!(bench.failure(Format::PadChest).contains("but 2"));
    }
}
