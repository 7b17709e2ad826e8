//! ChestX-ray14 of the NIH Clinical Center (Wang et al., CVPR 2017): one table and PNG files.
//!
//! It has fourteen findings and knows nothing of scoliosis, so its films have no label and serve to
//! pretrain. Its own lists of training and test films are not followed: they leave nothing to
//! validate on.

use std::path::Path;

use super::cells;
use super::error::ImportError;
use super::gathered::{Found, Gathered};
use super::index::Index;
use super::rejects::{Origin, Reason};
use super::source::Source;
use super::table::{Column, Row, Table};

struct Columns {
    image: Option<Column>,
    findings: Option<Column>,
    patient: Option<Column>,
    study: Option<Column>,
    age: Option<Column>,
    sex: Option<Column>,
    view: Option<Column>,
}

pub(super) fn read(sources: &[Source]) -> Result<Gathered, ImportError> {
    let mut gathered = Gathered::default();
    let index = Index::of(sources, &mut gathered);
    let mut tables = Vec::new();
    for (number, source) in sources.iter().enumerate() {
        let found = source.tables(|name| {
            let name = name.to_ascii_lowercase();
            name.starts_with("data_entry_2017") && name.ends_with(".csv")
        })?;
        tables.extend(found.into_iter().map(|file| (number, file)));
    }
    // The films may lie in sources of their own.
    let [(source, file)] = &tables[..] else {
        let given: Vec<String> = (sources.iter())
            .map(|source| source.given.display().to_string())
            .collect();
        return Err(ImportError::Lacking {
            folder: given.join(", ").into(),
            what: format!(
                "single table Data_Entry_2017*.csv, but {}; give the table itself",
                tables.len()
            ),
        });
    };
    read_table(file, *source, &index, &mut gathered)?;
    gathered.notes.push(
        "ChestX-ray14 knows nothing of scoliosis: the films have no label and serve to pretrain"
            .into(),
    );
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
        image: table.required(&["Image Index"])?,
        findings: table.required(&["Finding Labels"])?,
        patient: table.required(&["Patient ID"])?,
        study: table.column(&["Follow-up #"])?,
        age: table.column(&["Patient Age"])?,
        sex: table.column(&["Patient Gender", "Patient Sex"])?,
        view: table.required(&["View Position"])?,
    };
    gathered.add_rows(table, columns.image, |row, image, origin| {
        film(row, &columns, image, source, index, origin)
    })
}

fn film(
    row: &Row,
    columns: &Columns,
    image: &str,
    source: usize,
    index: &Index,
    origin: Origin,
) -> Result<Found, Reason> {
    let findings = row.get(columns.findings).ok_or(Reason::Unlabelled)?;
    let patient = row.get(columns.patient).ok_or(Reason::NoPatient)?;
    let projection = cells::projection(row.get(columns.view).unwrap_or_default())?;
    let (source, located) = index.find(image, source, None)?;
    let names = findings.split('|').map(str::trim);
    Ok(Found {
        // Each follow-up is an examination.
        study: (row.get(columns.study)).map(|follow_up| format!("{patient}-{follow_up}")),
        findings: Some(cells::findings(names.filter(|name| !name.is_empty()))),
        age: row.get(columns.age).and_then(cells::age),
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

    const TABLE: &str = "source/Data_Entry_2017.csv";
    /// As the archive's: a title is broken in two by its comma.
    const HEADER: &str = "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,\
                          Patient Gender,View Position,OriginalImage[Width,Height],\
                          OriginalImagePixelSpacing[x,y],\n";

    #[test]
    fn both_layouts_are_read_without_labels() {
        let bench = Bench::new();
        bench.films(&[
            "source/images_001/images/a.png",
            "source/images/b.png",
            "source/c.png",
        ]);
        let rows = "a.png,Cardiomegaly|Pleural_Thickening,000,1,058Y,M,PA,2682,2749,0.143,0.143,\n\
                    b.png,No Finding,012,1,414,F,AP,2682,2749,0.143,0.143,\n\
                    c.png,Hernia,0,2,7,F,AP,2682,2749,0.143,0.143,\n";
        bench.write(TABLE, format!("{HEADER}{rows}"));
        bench.write("source/test_list.txt", "a.png\n");
        let imported = bench.import(Format::Nih);
        imported.assert_rejects(&[]);
        assert_eq!(
            (imported.report.unlabelled, imported.report.patients),
            (3, 2)
        );
        let a = imported.film("source-1/images_001/images/a.png");
        let names = ["Cardiomegaly", "Pleural_Thickening"].map(str::to_owned);
        assert_eq!(a.findings.as_deref(), Some(&names[..]));
        assert_eq!((a.label, a.age, a.sex), (None, Some(58), Some(Sex::Male)));
        assert_eq!(
            (a.patient.as_str(), a.study.as_deref()),
            ("1", Some("1-000"))
        );
        let b = imported.film("source-1/images/b.png");
        assert_eq!((b.age, b.projection), (None, Some(Projection::Ap)));
        assert_eq!(b.findings.as_deref(), Some(&[][..]));
        let text = imported.report.to_string();
        assert!(
            text.contains("3 without a label") && text.contains("pretrain"),
            "{text}"
        );
    }

    #[test]
    fn hostile_rows_are_rejected_one_by_one() {
        let bench = Bench::new();
        bench.films(&["source/images/a.png", "source/images/b.png", "secret.png"]);
        bench.films(&["source/images/twice.png", "source/images_small/twice.png"]);
        let row = |image: &str, findings: &str, patient: &str, view: &str| {
            format!("{image},{findings},0,{patient},58,F,{view},1,1,1,1,\n")
        };
        let rows = [
            row("a.png", "Mass", "1", "PA"),
            row("a.png", "Mass", "1", "PA"),
            row("b.png", "", "1", "PA"),
            row("b.png", "Mass", "", "PA"),
            row("b.png", "Mass", "1", "OBLIQUE"),
            row("twice.png", "Mass", "1", "PA"),
            row("none.png", "Mass", "1", "PA"),
            row("images/../../secret.png", "Mass", "1", "PA"),
            row("images/b.png", "No Finding", "3", "LL"),
            "b.png,Mass\n".into(),
        ];
        bench.write(TABLE, format!("{HEADER}{}", rows.concat()));
        let imported = bench.import(Format::Nih);
        assert_eq!(imported.report.films, 1);
        imported.assert_rejects(&[
            (Some(3), "images/a.png", "the same as line 2"),
            (Some(4), "b.png", "no label"),
            (Some(5), "b.png", "patient is not named"),
            (Some(6), "b.png", "OBLIQUE"),
            (Some(7), "twice.png", "images_small/twice.png"),
            (Some(8), "none.png", "no such file"),
            (Some(9), "images/../../secret.png", "leads out"),
            (Some(10), "images/b.png", "lateral"),
            (Some(11), "", "2 cells"),
        ]);
    }

    #[test]
    fn a_table_that_cannot_be_used_is_told_in_a_sentence() {
        let bench = Bench::new();
        bench.films(&["source/images/a.png"]);
        assert!(bench.failure(Format::Nih).contains("Data_Entry_2017"));
        bench.write(TABLE, HEADER.replace("Patient ID", "Patient"));
        let sentence = bench.failure(Format::Nih);
        assert!(sentence.contains("no column `Patient ID`"), "{sentence}");
        bench.write(TABLE, [HEADER.as_bytes(), b"a.png,Se\xf1al\n"].concat());
        assert!(bench.failure(Format::Nih).contains("line 2"));
    }
}
