//! The cohort's manifest: `cohort.csv`, one row a film, which a spreadsheet opens.
//!
//! | column | |
//! |---|---|
//! | `film` | path of the film, relative to the cohort's folder |
//! | `patient` | identifier; all films of one patient are in one split |
//! | `study` | identifier of the examination |
//! | `split` | `train`, `val` or `test` |
//! | `label` | 1: scoliosis, 0: none, empty: not known, or not to be told from this film |
//! | `refusal` | the reason for which a reader should refuse the film: a name of [`Refusal`], such as `lateral` or `blank`; empty: it should not |
//! | `findings` | other findings, names separated by a bar, `No Finding` for nothing, empty: not known |
//! | `cobb_degrees` | Cobb angle of the major curve, degrees, two decimals |
//! | `curve` | `none`, `thoracic`, `thoracolumbar` or `double` |
//! | `apex` | vertebra at the apex of the major curve, such as `T8` |
//! | `convexity` | `left`, `right` or `none`: the patient's side that the major curve bulges to |
//! | `cobb_angles` | every curve of five degrees or more from above, such as `T5-T11 right 34.21; T11-L4 left 28.10` |
//! | `rotation_degrees` | the patient's axial rotation before the detector, positive with the left side to the front |
//! | `mask` | path of the spine's mask: 0 outside the column from T1 to L5, 10, 20 ... 170 in the bodies of T1, T2 ... L5, 255 in discs; of a bent film 255 in a band along the spine |
//! | `age` | years |
//! | `sex` | `F` or `M` |
//! | `projection` | `PA`, `AP`, `FRONTAL` (one of these two, not said which) or `LATERAL` |
//! | `seed` | seed of the cohort that the film was drawn for |
//!
//! Reading needs `film`, `patient`, `split` and `label`; empty cells of other columns are unknown,
//! and columns not listed here are passed over.

use std::path::{Component, Path, PathBuf};

use plumbline_phantom::curve::{Cobb, LEVELS};
use plumbline_shared::clinical::{
    Convexity, CurveType, Projection, Refusal, SCOLIOSIS_DEGREES, Sex,
};
use serde::{Deserialize, Serialize};

use super::error::CohortError;
use super::newlines::Newlines;

/// Name of the manifest in a cohort's folder.
pub const MANIFEST: &str = "cohort.csv";

/// Columns that every manifest has.
const NEEDED: [&str; 4] = ["film", "patient", "split", "label"];

/// The part of a cohort that a film belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Films for training: weights are fitted to them.
    Train,
    /// Films for validation: runs and thresholds are chosen by them.
    Val,
    /// Films for testing: results are stated on them.
    Test,
}

impl Split {
    /// All splits.
    pub const ALL: [Self; 3] = [Self::Train, Self::Val, Self::Test];

    /// Returns the name in the manifest.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
        }
    }
}

/// The finding of a film that shows none, as ChestX-ray14 writes it.
pub const NO_FINDING: &str = "No Finding";

/// One row of the manifest as it is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) film: String,
    pub(crate) patient: String,
    #[serde(default)]
    pub(crate) study: Option<String>,
    pub(crate) split: Split,
    pub(crate) label: Option<u8>,
    #[serde(default)]
    pub(crate) refusal: Option<Refusal>,
    #[serde(default)]
    pub(crate) findings: Option<String>,
    #[serde(default, serialize_with = "two_decimals")]
    pub(crate) cobb_degrees: Option<f32>,
    #[serde(default)]
    pub(crate) curve: Option<CurveType>,
    #[serde(default)]
    pub(crate) apex: Option<String>,
    #[serde(default)]
    pub(crate) convexity: Option<Convexity>,
    #[serde(default)]
    pub(crate) cobb_angles: Option<String>,
    #[serde(default, serialize_with = "two_decimals")]
    pub(crate) rotation_degrees: Option<f32>,
    #[serde(default)]
    pub(crate) mask: Option<String>,
    #[serde(default)]
    pub(crate) age: Option<u8>,
    #[serde(default)]
    pub(crate) sex: Option<Sex>,
    #[serde(default)]
    pub(crate) projection: Option<Projection>,
    #[serde(default)]
    pub(crate) seed: Option<u64>,
}

impl Row {
    /// Makes the row of a film that is called otherwise and of which all is known that is of `entry`, but
    /// for its mask.
    pub(crate) fn of(entry: &Entry, film: String) -> Self {
        let findings = entry.findings.as_ref();
        Self {
            study: entry.study.clone(),
            label: entry.label.map(u8::from),
            refusal: entry.refusal,
            findings: findings.map(|findings| written(findings)),
            cobb_degrees: entry.cobb_degrees,
            curve: entry.curve,
            apex: entry.apex.clone(),
            convexity: entry.convexity,
            cobb_angles: entry.cobb_angles.clone(),
            rotation_degrees: entry.rotation_degrees,
            age: entry.age,
            sex: entry.sex,
            projection: entry.projection,
            ..Self::new(film, entry.patient.clone(), entry.split)
        }
    }

    /// Fills in the truth about a spine of which every curve is known: the major one, of exactly
    /// `degrees`, and those of five degrees or more. A spine that is straight enough has no kind of curve.
    pub(crate) fn tell_curve(
        &mut self,
        degrees: f64,
        kind: CurveType,
        major: &Cobb,
        curves: &[Cobb],
    ) {
        let positive = degrees >= SCOLIOSIS_DEGREES;
        let (curve, convexity) = match positive {
            true => (kind, major.convexity),
            false => (CurveType::None, Convexity::None),
        };
        let curves: Vec<String> = curves.iter().map(Cobb::to_string).collect();
        self.label = Some(u8::from(positive));
        self.cobb_degrees = Some(degrees as f32);
        self.curve = Some(curve);
        self.apex = positive.then(|| LEVELS[major.apex].to_owned());
        self.convexity = Some(convexity);
        self.cobb_angles = Some(curves.join("; "));
    }

    /// Makes the row of a film of which nothing else is known.
    pub(crate) fn new(film: String, patient: String, split: Split) -> Self {
        Self {
            film,
            patient,
            study: None,
            split,
            label: None,
            refusal: None,
            findings: None,
            cobb_degrees: None,
            curve: None,
            apex: None,
            convexity: None,
            cobb_angles: None,
            rotation_degrees: None,
            mask: None,
            age: None,
            sex: None,
            projection: None,
            seed: None,
        }
    }
}

fn two_decimals<S: serde::Serializer>(value: &Option<f32>, to: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => to.serialize_str(&format!("{value:.2}")),
        None => to.serialize_none(),
    }
}

/// One film of a cohort.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Entry {
    /// The film's file, the cohort's folder included.
    pub film: PathBuf,
    /// The patient.
    pub patient: String,
    /// The examination.
    pub study: Option<String>,
    /// The split.
    pub split: Split,
    /// True if the film shows scoliosis; none where that is not known.
    pub label: Option<bool>,
    /// The reason for which a reader should refuse the film, if there is one.
    pub refusal: Option<Refusal>,
    /// Other findings of the film, where they are known; empty for none.
    pub findings: Option<Vec<String>>,
    /// Cobb angle of the major curve, in degrees.
    pub cobb_degrees: Option<f32>,
    /// Kind of curve.
    pub curve: Option<CurveType>,
    /// Vertebra at the apex.
    pub apex: Option<String>,
    /// Side of the convexity.
    pub convexity: Option<Convexity>,
    /// Every curve of five degrees or more, in words.
    pub cobb_angles: Option<String>,
    /// The patient's axial rotation in degrees, positive with the left side to the front.
    pub rotation_degrees: Option<f32>,
    /// The spine mask's file, the cohort's folder included.
    pub mask: Option<PathBuf>,
    /// Age in years.
    pub age: Option<u8>,
    /// Sex.
    pub sex: Option<Sex>,
    /// Projection.
    pub projection: Option<Projection>,
}

/// Reads the manifest `bytes` of the cohort in `folder`.
pub(crate) fn read(folder: &Path, bytes: &[u8]) -> Result<Vec<Entry>, CohortError> {
    let file = folder.join(MANIFEST);
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(Newlines::of(bytes));
    let header = header(&file, reader.headers())?;
    let mut entries = Vec::new();
    let mut record = csv::StringRecord::new();
    loop {
        let refused = |error: csv::Error| CohortError::Row {
            file: file.clone(),
            line: error.position().map_or(0, csv::Position::line),
            what: reason(&error, &header),
        };
        if !reader.read_record(&mut record).map_err(refused)? {
            return Ok(entries);
        }
        let row: Row = record.deserialize(Some(&header)).map_err(refused)?;
        let bad = |what: String| CohortError::Row {
            file: file.clone(),
            line: record.position().map_or(0, csv::Position::line),
            what,
        };
        entries.push(entry(folder, row).map_err(bad)?);
    }
}

/// Checks the header for the columns that must be there.
fn header(
    file: &Path,
    read: Result<&csv::StringRecord, csv::Error>,
) -> Result<csv::StringRecord, CohortError> {
    let header = read.map_err(|source| CohortError::Row {
        file: file.to_owned(),
        line: 1,
        what: reason(&source, &csv::StringRecord::new()),
    })?;
    let is_missing = |column: &&str| !header.iter().any(|name| name == *column);
    match NEEDED.into_iter().find(is_missing) {
        Some(column) => Err(CohortError::MissingColumn {
            file: file.to_owned(),
            column,
        }),
        None => Ok(header.clone()),
    }
}

/// Checks a row; its error is the fault in words.
fn entry(folder: &Path, row: Row) -> Result<Entry, String> {
    let label = match row.label {
        None => None,
        Some(0) => Some(false),
        Some(1) => Some(true),
        Some(other) => return Err(format!("label is {other}, but must be 0, 1 or empty")),
    };
    if row.patient.is_empty() {
        return Err("the patient is empty".into());
    }
    let is_angle = |angle| (0.0..=180.0).contains(&angle);
    if !row.cobb_degrees.is_none_or(is_angle) {
        return Err("cobb_degrees must lie between 0 and 180".into());
    }
    let inside = |path: &str| match within(path) {
        Some(path) => Ok(folder.join(path)),
        None => Err(format!(
            "the path {path:?} leads out of the cohort's folder"
        )),
    };
    Ok(Entry {
        film: inside(&row.film)?,
        patient: row.patient,
        study: row.study,
        split: row.split,
        label,
        refusal: row.refusal,
        findings: row.findings.as_deref().map(findings),
        cobb_degrees: row.cobb_degrees,
        curve: row.curve,
        apex: row.apex,
        convexity: row.convexity,
        cobb_angles: row.cobb_angles,
        rotation_degrees: row.rotation_degrees,
        mask: row.mask.as_deref().map(inside).transpose()?,
        age: row.age,
        sex: row.sex,
        projection: row.projection,
    })
}

/// Returns the cell of findings with these names.
pub(super) fn written<S: AsRef<str>>(findings: &[S]) -> String {
    match findings.is_empty() {
        true => NO_FINDING.to_owned(),
        false => {
            let names: Vec<&str> = findings.iter().map(AsRef::as_ref).collect();
            names.join("|")
        }
    }
}

/// Returns the names in a cell of findings.
fn findings(cell: &str) -> Vec<String> {
    let names = cell.split('|').map(str::trim);
    names
        .filter(|name| !name.is_empty() && *name != NO_FINDING)
        .map(str::to_owned)
        .collect()
}

/// Returns the sentence of a CSV error, without the position that the caller gives in its own words.
fn reason(error: &csv::Error, header: &csv::StringRecord) -> String {
    match error.kind() {
        csv::ErrorKind::Deserialize { err, .. } => {
            let column = err.field().and_then(|field| header.get(field as usize));
            format!("column `{}`: {}", column.unwrap_or("?"), err.kind())
        }
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => format!("it has {len} fields where the header has {expected_len}"),
        csv::ErrorKind::Utf8 { .. } => "it is not UTF-8 text".into(),
        _ => error.to_string(),
    }
}

/// Returns a path if it is relative and of plain names alone.
pub(super) fn within(path: &str) -> Option<&Path> {
    let plain = !path.is_empty()
        && !path.contains('\\')
        && Path::new(path)
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
    plain.then(|| Path::new(path))
}

/// Returns the manifest's bytes.
pub(crate) fn write(rows: &[Row]) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row)?;
    }
    writer
        .into_inner()
        .map_err(|error| csv::Error::from(error.into_error()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        Row {
            film: "films/000000.png".into(),
            patient: "P, \"1\"".into(),
            study: Some("1.2.3".into()),
            split: Split::Val,
            label: Some(1),
            refusal: Some(Refusal::OverExposed),
            findings: Some("Effusion|Mass".into()),
            cobb_degrees: Some(23.5),
            curve: Some(CurveType::Double),
            apex: Some("T8".into()),
            convexity: Some(Convexity::Right),
            cobb_angles: Some("T5-T11 right 23.50".into()),
            rotation_degrees: Some(-2.25),
            mask: Some("masks/000000.png".into()),
            age: Some(14),
            sex: Some(Sex::Female),
            projection: Some(Projection::Pa),
            seed: Some(7),
        }
    }

    fn failure(text: &str) -> String {
        read(Path::new("/c"), text.as_bytes())
            .expect_err("must be refused")
            .to_string()
    }

    #[test]
    fn what_is_written_is_read() {
        let bytes = write(&[row()]).unwrap();
        let entries = read(Path::new("/c"), &bytes).unwrap();
        assert_eq!(
            entries,
            [Entry {
                film: "/c/films/000000.png".into(),
                patient: "P, \"1\"".into(),
                study: Some("1.2.3".into()),
                split: Split::Val,
                label: Some(true),
                refusal: Some(Refusal::OverExposed),
                findings: Some(vec!["Effusion".into(), "Mass".into()]),
                cobb_degrees: Some(23.5),
                curve: Some(CurveType::Double),
                apex: Some("T8".into()),
                convexity: Some(Convexity::Right),
                cobb_angles: Some("T5-T11 right 23.50".into()),
                rotation_degrees: Some(-2.25),
                mask: Some("/c/masks/000000.png".into()),
                age: Some(14),
                sex: Some(Sex::Female),
                projection: Some(Projection::Pa),
            }]
        );
    }

    #[test]
    fn four_columns_are_enough_and_others_are_passed_over() {
        let text = "remark,label,split,patient,film\nx,0,train,a,f.png\n,,train,a,g.png\n";
        let entries = read(Path::new("/c"), text.as_bytes()).unwrap();
        assert_eq!([entries[0].label, entries[1].label], [Some(false), None]);
        assert_eq!(entries[0].cobb_degrees, None);
        assert_eq!(entries[0].findings, None);
    }

    #[test]
    fn no_finding_is_known_to_be_none() {
        let text = "film,patient,split,label,findings\nf.png,a,train,,No Finding\n";
        let entries = read(Path::new("/c"), text.as_bytes()).unwrap();
        assert_eq!(entries[0].findings, Some(Vec::new()));
    }

    #[test]
    fn hostile_rows_are_refused_by_line() {
        let message = failure("film,patient,label\nf.png,a,0\n");
        assert!(
            message.contains("split") && message.contains("cohort.csv"),
            "{message}"
        );
        let head = "film,patient,split,label,cobb_degrees\nf.png,a,train,0,1.0\n";
        for (row, word) in [
            ("../f.png,a,train,0,1.0", "leads out"),
            ("/etc/passwd,a,train,0,1.0", "leads out"),
            ("a\\..\\f.png,a,train,0,1.0", "leads out"),
            (",a,train,0,1.0", "leads out"),
            ("f.png,,train,0,1.0", "patient"),
            ("f.png,a,practice,0,1.0", "practice"),
            ("f.png,a,train,2,1.0", "label is 2"),
            ("f.png,a,train,yes,1.0", "label"),
            ("f.png,a,train,0,NaN", "cobb_degrees"),
            ("f.png,a,train", "field"),
        ] {
            let message = failure(&format!("{head}{row}\n"));
            assert!(
                message.contains("line 3") && message.contains(word),
                "{row}: {message}"
            );
        }
        let message = failure("film,patient,split,label\r\nf.png,a,train,0\r\nf.png,a,train,2\r\n");
        assert!(message.contains("line 3"), "{message}");
        let mut bytes = head.as_bytes().to_vec();
        bytes.extend_from_slice(b"\xff\xfe,a,train,0,1\n");
        let message = read(Path::new("/c"), &bytes).unwrap_err().to_string();
        assert!(
            message.contains("line 3") && message.contains("UTF-8"),
            "{message}"
        );
    }
}
