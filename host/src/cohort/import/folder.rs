//! Films in folders that are named after their class, or in a table of paths and labels.

use std::path::{Path, PathBuf};

use plumbline_shared::decode::{Listing, ListingError};

use super::cells;
use super::error::ImportError;
use super::gathered::{Found, Gathered};
use super::rejects::{Origin, Reason};
use super::source::Source;
use super::table::{Column, Row, Table, shortened};

/// Names of the folder of positives, in small letters.
const POSITIVE: [&str; 3] = ["scoliosis", "positive", "1"];

pub(super) fn read(sources: &[Source], positive: Option<&str>) -> Result<Gathered, ImportError> {
    let mut gathered = Gathered::default();
    for (number, source) in sources.iter().enumerate() {
        match &source.table {
            Some(table) => read_table(table, number, source, &mut gathered)?,
            None => read_folders(number, source, positive, &mut gathered)?,
        }
    }
    Ok(gathered)
}

/// Notes that patients are not known.
fn note_patients(gathered: &mut Gathered, source: &Source) {
    gathered.notes.push(format!(
        "{} does not name patients: each film counts as one of its own, and if it is not, splits \
         share patients",
        source.given.display()
    ));
}

/// Returns the name of a patient of whom this is the only film.
fn own_patient(source: usize, path: &str) -> String {
    format!("source-{}/{path}", source + 1)
}

fn read_folders(
    number: usize,
    source: &Source,
    positive: Option<&str>,
    gathered: &mut Gathered,
) -> Result<(), ImportError> {
    let is_positive = |class: &str| match positive {
        Some(name) => class == name,
        None => POSITIVE.contains(&class.to_lowercase().as_str()),
    };
    let classes = classes(source)?;
    if !classes.iter().any(|class| is_positive(class)) {
        let wanted = match positive {
            Some(name) => format!("folder {name:?}"),
            None => "folder called scoliosis, positive or 1".into(),
        };
        let there = match &classes[..] {
            [] => "no folders at all".into(),
            _ => shortened(&classes.join(", ")),
        };
        return Err(ImportError::Lacking {
            folder: source.given.clone(),
            what: format!("{wanted}, but {there}; name the folder of positives by --positive"),
        });
    }
    note_patients(gathered, source);
    for film in films(source, gathered) {
        let shown = source.shown(&film);
        let origin = Origin::whole(&source.given);
        let found = source.located(&film).and_then(|located| {
            let (class, _) = located.path.split_once('/').ok_or(Reason::Unlabelled)?;
            let label = is_positive(class);
            let patient = own_patient(number, &located.path);
            Ok(Found {
                label: Some(label),
                ..Found::new(origin.clone(), number, located, patient)
            })
        });
        gathered.add(origin, &shown, found);
    }
    Ok(())
}

/// Returns the names of the folders in a source, sorted, without hidden ones.
fn classes(source: &Source) -> Result<Vec<String>, ImportError> {
    let unreadable = |error| ImportError::Unreadable {
        path: source.given.clone(),
        source: error,
    };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&source.root).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type().map_err(unreadable)?.is_dir() && !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Returns all films of a source, found by name or content, and rejects other files.
pub(super) fn films(source: &Source, gathered: &mut Gathered) -> Vec<PathBuf> {
    let listing = Listing::of(std::slice::from_ref(&source.root));
    for file in &listing.skipped {
        let origin = Origin::whole(&source.given);
        gathered.reject(origin, &source.shown(file), Reason::NoFilm);
    }
    for failure in &listing.failures {
        if let ListingError::Unreadable { path, source: why } = failure {
            let origin = Origin::whole(&source.given);
            let reason = Reason::Row(format!("it cannot be read ({why})"));
            gathered.reject(origin, &source.shown(path), reason);
        }
    }
    listing.films
}

struct Columns {
    film: Option<Column>,
    label: Option<Column>,
    patient: Option<Column>,
    study: Option<Column>,
    age: Option<Column>,
    sex: Option<Column>,
    projection: Option<Column>,
    split: Option<Column>,
}

fn read_table(
    file: &Path,
    number: usize,
    source: &Source,
    gathered: &mut Gathered,
) -> Result<(), ImportError> {
    let table = Table::open(file)?;
    let columns = Columns {
        film: table.required(&["path", "film", "image", "filename", "file"])?,
        label: table.required(&["label", "class", "scoliosis", "target"])?,
        patient: table.column(&["patient", "patient_id", "subject"])?,
        study: table.column(&["study", "study_id"])?,
        age: table.column(&["age"])?,
        sex: table.column(&["sex", "gender"])?,
        projection: table.column(&["projection", "view"])?,
        split: table.column(&["split"])?,
    };
    if columns.patient.is_none() {
        note_patients(gathered, source);
    }
    gathered.add_rows(table, columns.film, |row, film, origin| {
        row_film(row, &columns, film, number, source, origin)
    })
}

fn row_film(
    row: &Row,
    columns: &Columns,
    film: &str,
    number: usize,
    source: &Source,
    origin: Origin,
) -> Result<Found, Reason> {
    let label = row.get(columns.label).ok_or(Reason::Unlabelled)?;
    let label = cells::label(label)?;
    let projection = cells::projection(row.get(columns.projection).unwrap_or_default())?;
    let split = match columns.split {
        Some(_) => Some(cells::split(row.get(columns.split).unwrap_or_default())?),
        None => None,
    };
    let located = source.locate(film)?;
    let patient = match columns.patient {
        Some(_) => row.get(columns.patient).ok_or(Reason::NoPatient)?.into(),
        None => own_patient(number, &located.path),
    };
    Ok(Found {
        study: row.get(columns.study).map(str::to_owned),
        split,
        label: Some(label),
        age: row.get(columns.age).and_then(cells::age),
        sex: row.get(columns.sex).and_then(cells::sex),
        projection,
        ..Found::new(origin, number, located, patient)
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::Bench;
    use super::super::{Format, ImportOptions};
    use crate::cohort::Split;
    use plumbline_shared::clinical::{Projection, Sex};

    fn folders(positive: Option<&str>) -> Format {
        Format::Folder {
            positive: positive.map(str::to_owned),
        }
    }

    fn table(bench: &Bench) -> ImportOptions {
        ImportOptions {
            sources: vec![bench.path("source/labels.csv")],
            ..bench.options(folders(None))
        }
    }

    #[test]
    fn names_that_break_lines_are_rejected() {
        let bench = Bench::new();
        bench.films(&["source/scoliosis/a.png", "source/normal/b.png"]);
        bench.films(&["source/normal/c\rd.png"]);
        let imported = bench.import(folders(None));
        imported.assert_rejects(&[(None, "normal/c\rd.png", "control character")]);
        assert_eq!(imported.report.films, 2);
    }

    #[test]
    fn folders_are_classes() {
        let bench = Bench::new();
        bench.films(&[
            "source/Scoliosis/1/a.png",
            "source/normal/b.png",
            "source/other/c.png",
        ]);
        bench.films(&["source/loose.png"]);
        bench.write("source/normal/notes.txt", "");
        bench.write("source/normal/damaged.jpg", "");
        let imported = bench.import(folders(None));
        let a = imported.film("source-1/Scoliosis/1/a.png");
        assert_eq!(
            (a.label, a.patient.as_str()),
            (Some(true), "source-1/Scoliosis/1/a.png")
        );
        assert_eq!(imported.film("c.png").label, Some(false));
        assert_eq!((imported.report.films, imported.report.patients), (3, 3));
        imported.assert_rejects(&[
            (None, "loose.png", "no label"),
            (None, "normal/notes.txt", "no film"),
            (None, "normal/damaged.jpg", "empty"),
        ]);
        assert!(
            imported
                .report
                .to_string()
                .contains("does not name patients")
        );
        let mut options = bench.options(folders(Some("other")));
        options.out = bench.path("others");
        let imported = bench.import_by(&options);
        assert_eq!(imported.film("c.png").label, Some(true));
        assert_eq!(imported.film("a.png").label, Some(false));
    }

    #[cfg(unix)]
    #[test]
    fn names_and_links_that_cannot_be_kept_are_rejected() {
        use std::os::unix::ffi::OsStringExt;
        let bench = Bench::new();
        bench.films(&["source/1/a.png", "source/0/back\\slash.png", "secret.png"]);
        std::os::unix::fs::symlink("../../secret.png", bench.path("source/0/link.png")).unwrap();
        let film = std::fs::read(bench.path("secret.png")).unwrap();
        bench.write("source/0/blank.png ", &film);
        let latin = std::ffi::OsString::from_vec(b"M\xfcller.png".to_vec());
        std::fs::write(bench.path("source/0").join(latin), &film).unwrap();
        let imported = bench.import(folders(None));
        assert_eq!(imported.report.films, 1);
        imported.assert_rejects(&[
            (None, "0/back\\slash.png", "cannot hold the name"),
            (None, "0/blank.png ", "cannot hold the name"),
            (None, "0/M\u{fffd}ller.png", "cannot hold the name"),
            (None, "0/link.png", "leads out"),
        ]);
    }

    #[test]
    fn folders_without_a_positive_class_are_told_in_a_sentence() {
        let bench = Bench::new();
        bench.films(&["source/train/a.png", "source/test/b.png"]);
        let sentence = bench.failure(folders(None));
        assert!(
            sentence.contains("test, train") && sentence.contains("--positive"),
            "{sentence}"
        );
        assert!(
            bench
                .failure(folders(Some("curved")))
                .contains("\"curved\"")
        );
    }

    #[test]
    fn a_table_of_labels_is_read() {
        let bench = Bench::new();
        bench.films(&["source/x/a.png", "source/b.png", "source/c.png"]);
        bench.write(
            "source/labels.csv",
            "\u{feff}Label;Image;Patient_ID;Age;Sex;View;Split\r\nyes;x/a.png;p;14;f;PA;test\r\n\
             Normal;b.png;q;14,5;Male;;Validation\r\n0;c.png;p;;;ap;test\r\n",
        );
        let imported = bench.import_by(&table(&bench));
        imported.assert_rejects(&[]);
        let a = imported.film("source-1/x/a.png");
        assert_eq!(
            (a.label, a.patient.as_str(), a.split),
            (Some(true), "p", Split::Test)
        );
        assert_eq!(
            (a.age, a.sex, a.projection),
            (Some(14), Some(Sex::Female), Some(Projection::Pa))
        );
        let b = imported.film("source-1/b.png");
        assert_eq!(
            (b.label, b.split, b.age, b.sex),
            (Some(false), Split::Val, None, Some(Sex::Male))
        );
    }

    #[test]
    fn hostile_rows_are_rejected_one_by_one() {
        let bench = Bench::new();
        bench.films(&["source/a.png", "source/b.png", "secret.png"]);
        let outside = bench.path("secret.png").display().to_string();
        bench.write(
            "source/labels.csv",
            format!(
                "file,label,patient,split\na.png,1,p,train\na.png,1,p,train\na.png,0,p,train\n\
                 b.png,maybe,q,val\nb.png,,q,val\nb.png,0,,val\nb.png,0,q,\nb.png,0,q,practice\n\
                 ../secret.png,0,q,val\n{outside},0,q,val\n..\\secret.png,0,q,val\n,0,q,val\n\
                 none.png,0,q,val\n.,0,q,val\nb.png,0\nb.png,0,p,val\nlabels.csv,0,q,val\n"
            ),
        );
        let imported = bench.import_by(&table(&bench));
        assert_eq!(imported.report.films, 1);
        imported.assert_rejects(&[
            (Some(3), "a.png", "the same as line 2"),
            (Some(4), "a.png", "another label"),
            (Some(5), "b.png", "\"maybe\""),
            (Some(6), "b.png", "no label"),
            (Some(7), "b.png", "patient is not named"),
            (Some(8), "b.png", "split"),
            (Some(9), "b.png", "\"practice\""),
            (Some(10), "../secret.png", "leads out"),
            (Some(11), &outside, "leads out"),
            (Some(12), "..\\secret.png", "leads out"),
            (Some(13), "", "names no film"),
            (Some(14), "none.png", "no such file"),
            (Some(15), ".", "leads out"),
            (Some(16), "", "2 cells"),
            (Some(17), "b.png", "films before it are for train"),
            (Some(18), "labels.csv", "not a film"),
        ]);
    }

    #[test]
    fn a_table_that_cannot_be_used_is_told_in_a_sentence() {
        let bench = Bench::new();
        for (bytes, words) in [
            (&b"label,patient\n"[..], "no column `path`"),
            (b"path,patient\n", "no column `label`"),
            (b"path,label,Label\n", "two columns"),
            (b"path,label\na.png,1\nb\xe9.png,1\n", "line 3"),
            (b"path,label\n", "names no film at all"),
            (b"", "no column"),
            (b"path,label\na.png,1\n", "none of 1 films"),
        ] {
            bench.write("source/labels.csv", bytes);
            let sentence = bench.failure_by(&table(&bench));
            assert!(sentence.contains(words), "{sentence}");
            assert!(sentence.contains("labels.csv"), "{sentence}");
        }
    }
}
