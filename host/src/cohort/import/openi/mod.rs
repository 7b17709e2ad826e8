//! Open-i's collection of Indiana University (Demner-Fushman et al., JAMIA 23, 2016): reports and
//! PNG files, as XML or as the two tables that Kaggle has of it.
//!
//! Positives are those whose coders put `Scoliosis` first in a major term; the automatic terms find
//! less than half of them. The reports do not name patients, so each report is taken as one.

mod reports;
mod terms;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::cells;
use super::error::ImportError;
use super::gathered::{Found, Gathered};
use super::index::Index;
use super::rejects::Reason;
use super::source::Source;
use super::table::{Table, shortened};
use terms::Terms;

const REPORTS: &str = "indiana_reports.csv";
const PROJECTIONS: &str = "indiana_projections.csv";

pub(super) fn read(sources: &[Source]) -> Result<Gathered, ImportError> {
    let mut gathered = Gathered::default();
    let index = Index::of(sources, &mut gathered);
    let reports = index.with_extension("xml");
    let tables: Vec<(usize, PathBuf)> = (0..)
        .zip(sources)
        .map(|(number, source)| (number, source.folder().join(REPORTS)))
        .filter(|(_, table)| table.is_file())
        .collect();
    match (&tables[..], &reports[..]) {
        ([], []) => Err(ImportError::Lacking {
            folder: sources[0].given.clone(),
            what: format!("XML report and no table {REPORTS}; give the folder that does"),
        }),
        ([(source, table)], _) => {
            read_tables(table, *source, &index, &mut gathered)?;
            Ok(gathered)
        }
        ([], _) => {
            reports::read(sources, &reports, &index, &mut gathered);
            Ok(gathered)
        }
        _ => Err(ImportError::Lacking {
            folder: sources[0].given.clone(),
            what: format!(
                "single table {REPORTS}, but {}; give one of them",
                tables.len()
            ),
        }),
    }
}

fn read_tables(
    reports: &Path,
    source: usize,
    index: &Index,
    gathered: &mut Gathered,
) -> Result<(), ImportError> {
    let projections = reports.with_file_name(PROJECTIONS);
    let terms = table_terms(reports, gathered)?;
    let table = Table::open(&projections)?;
    let uid = table.required(&["uid"])?;
    let image = table.required(&["filename"])?;
    let projection = table.required(&["projection"])?;
    gathered.add_rows(table, image, |row, image, origin| {
        let report = row.get(uid).ok_or(Reason::NoPatient)?;
        let (_, terms) = terms.get(report).ok_or_else(|| {
            let report = shortened(report);
            Reason::Row(format!("{REPORTS} has no usable report {report:?}"))
        })?;
        let terms = terms.as_ref().ok_or(Reason::Unlabelled)?;
        let projection = cells::projection(row.get(projection).unwrap_or_default())?;
        let (source, located) = index.find(image, source, None)?;
        Ok(Found {
            study: Some(report.to_owned()),
            label: Some(terms.positive),
            findings: Some(terms.findings.clone()),
            projection,
            ..Found::new(origin, source, located, report.to_owned())
        })
    })
}

/// Reads the table of reports: by report, its line and its terms, if it was coded.
fn table_terms(
    reports: &Path,
    gathered: &mut Gathered,
) -> Result<HashMap<String, (u64, Option<Terms>)>, ImportError> {
    let mut table = Table::open(reports)?;
    let (uid, mesh) = (table.required(&["uid"])?, table.required(&["MeSH"])?);
    let mut terms: HashMap<String, (u64, Option<Terms>)> = HashMap::new();
    while let Some(row) = table.next()? {
        let (line, reason) = match row {
            Err(broken) => (broken.line, broken.reason),
            Ok(row) => match row.get(uid).map(|uid| (uid, terms.get(uid))) {
                None => (row.line, Reason::Row("the report has no uid".into())),
                Some((_, Some((first, _)))) => {
                    let first = table.origin(*first).to_string();
                    (row.line, Reason::Duplicate(first))
                }
                Some((uid, None)) => {
                    let majors = row.get(mesh).unwrap_or_default().split(';');
                    terms.insert(uid.to_owned(), (row.line, Terms::of(majors)));
                    continue;
                }
            },
        };
        gathered.reject(table.origin(line), "", reason);
    }
    Ok(terms)
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::Bench;
    use super::*;
    use crate::cohort::manifest::NO_FINDING;
    use plumbline_shared::clinical::Projection;

    const REPORT_HEADER: &str =
        "uid,MeSH,Problems,image,indication,comparison,findings,impression\n";

    #[test]
    fn the_two_tables_are_read_and_hostile_rows_rejected() {
        let bench = Bench::new();
        bench.films(
            &["1_a", "1_b", "2_a", "3_a", "4_a", "secret"]
                .map(|name| format!("source/images/images_normalized/{name}.png"))
                .each_ref()
                .map(String::as_str),
        );
        bench.write(
            "source/indiana_reports.csv",
            format!(
                "{REPORT_HEADER}1,Scoliosis/thoracic vertebrae;Spine/degenerative,,,,,,\n\
                 2,normal,normal,,,,\"None.\nNone.\",\n3,No Indexing,,,,,,\n2,Scoliosis,,,,,,\n\
                 ,normal,,,,,,\n4,normal\n"
            ),
        );
        bench.write(
            "source/indiana_projections.csv",
            "uid,filename,projection\n1,1_a.png,Frontal\n1,1_b.png,Lateral\n2,2_a.png,Frontal\n\
             3,3_a.png,Frontal\n4,4_a.png,Frontal\n2,../secret.png,Frontal\n2,2_a.png,Frontal\n\
             1,2_a.png,Frontal\n2,9.png,Frontal\n,2_a.png,Frontal\n2,2_a.png,Sideways\n2\n",
        );
        let imported = bench.import(Format::OpenI);
        let positive = imported.film("1_a.png");
        assert_eq!(
            (positive.label, positive.projection),
            (Some(true), Some(Projection::Frontal))
        );
        assert_eq!(imported.film("2_a.png").label, Some(false));
        assert_eq!(imported.report.films, 2);
        imported.assert_rejects(&[
            (Some(6), "", "the same as line 3"),
            (Some(7), "", "no uid"),
            (Some(8), "", "2 cells"),
            (Some(3), "images/images_normalized/1_b.png", "lateral"),
            (Some(5), "3_a.png", "no label"),
            (Some(6), "4_a.png", "no usable report \"4\""),
            (Some(7), "../secret.png", "leads out"),
            (
                Some(8),
                "images/images_normalized/2_a.png",
                "the same as line 4",
            ),
            (Some(9), "images/images_normalized/2_a.png", "another label"),
            (Some(10), "9.png", "no such file"),
            (Some(11), "2_a.png", "patient is not named"),
            (Some(12), "2_a.png", "Sideways"),
            (Some(13), "", "1 cells"),
        ]);
    }

    #[test]
    fn sources_that_cannot_be_used_are_told_in_a_sentence() {
        let bench = Bench::new();
        bench.films(&["source/a.png"]);
        assert!(
            bench
                .failure(Format::OpenI)
                .contains("no XML report and no table")
        );
        bench.write("source/indiana_reports.csv", REPORT_HEADER);
        let sentence = bench.failure(Format::OpenI);
        assert!(sentence.contains("indiana_projections.csv"), "{sentence}");
        bench.write("source/indiana_projections.csv", "uid,file\n");
        assert!(
            bench
                .failure(Format::OpenI)
                .contains("no column `filename`")
        );
        bench.write(
            "source/indiana_projections.csv",
            b"uid,filename,projection\n1,\xe9,Frontal\n",
        );
        assert!(bench.failure(Format::OpenI).contains("line 2"));
        bench.write("source/indiana_reports.csv", "uid,Problems\n");
        assert!(bench.failure(Format::OpenI).contains("no column `MeSH`"));
    }

    #[test]
    fn terms_are_known_by_their_heads() {
        let of = |majors: &str| Terms::of(majors.split(';'));
        let terms = of(" scoliosis ;Calcified Granuloma/lung").unwrap();
        assert_eq!(
            (terms.positive, terms.findings.as_str()),
            (true, "scoliosis|Calcified Granuloma")
        );
        assert!(!of("Spine/scoliosis").unwrap().positive);
        assert_eq!(of("normal").unwrap().findings, NO_FINDING);
        assert_eq!(of("No Indexing;"), None);
        assert!(!of("Scoli\u{f6}sis").unwrap().positive);
    }
}
