//! Open-i's collection of Indiana University (Demner-Fushman et al., JAMIA 23, 2016): reports and
//! PNG files, as XML or as the two tables that Kaggle has of it.
//!
//! Positives are those whose coders put `Scoliosis` first in a major term; the automatic terms find
//! less than half of them. The reports do not name patients, so each report is taken as one.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use roxmltree::{Document, Node};

use super::cells;
use super::rejects::{Origin, Reason};
use super::source::{Index, Source};
use super::table::{Table, shortened};
use super::{Found, Gathered, ImportError};
use crate::cohort::manifest::NO_FINDING;

const REPORTS: &str = "indiana_reports.csv";
const PROJECTIONS: &str = "indiana_projections.csv";
/// How a major term of a positive report begins.
const SCOLIOSIS: &str = "scoliosis";
/// No report is longer, in bytes.
const LONGEST_REPORT: u64 = 1 << 20;

/// What a report says of its films.
#[derive(Debug, Clone, PartialEq)]
struct Terms {
    positive: bool,
    findings: String,
}

impl Terms {
    /// Of the major terms, such as `Scoliosis/thoracic vertebrae/mild`; `None` if nobody has coded
    /// the report.
    fn of<'a>(majors: impl Iterator<Item = &'a str>) -> Option<Self> {
        let heads: Vec<&str> = majors
            .map(|major| major.split('/').next().unwrap_or(major).trim())
            .filter(|head| !head.is_empty() && !head.eq_ignore_ascii_case("No Indexing"))
            .collect();
        let is_finding = |head: &&&str| !head.eq_ignore_ascii_case("normal");
        let findings = heads.iter().filter(is_finding).copied();
        let start = |head: &str| head.get(..SCOLIOSIS.len()).map(str::to_ascii_lowercase);
        (!heads.is_empty()).then(|| Self {
            positive: heads
                .iter()
                .any(|head| start(head).as_deref() == Some(SCOLIOSIS)),
            findings: match findings.clone().next() {
                Some(_) => cells::findings(findings),
                None => NO_FINDING.into(),
            },
        })
    }
}

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
            read_reports(sources, &reports, &index, &mut gathered);
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

/// What the table of reports says, by report: its line and its terms, if it was coded.
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

fn read_reports(
    sources: &[Source],
    reports: &[(usize, &str)],
    index: &Index,
    gathered: &mut Gathered,
) {
    let mut firsts: HashMap<String, Origin> = HashMap::new();
    for &(source, path) in reports {
        let file = sources[source].folder().join(path);
        let origin = Origin::whole(&file);
        let text = match text(&sources[source], path) {
            Ok(text) => text,
            Err(reason) => {
                gathered.reject(origin, "", reason);
                continue;
            }
        };
        let report = match Report::parse(&text) {
            Ok(report) => report,
            Err(what) => {
                gathered.reject(origin, "", Reason::Row(what));
                continue;
            }
        };
        if let Some(first) = firsts.get(&report.uid) {
            let first = format!("{first}: both are report {:?}", shortened(&report.uid));
            gathered.reject(origin, "", Reason::Duplicate(first));
            continue;
        }
        firsts.insert(report.uid.clone(), origin.clone());
        if report.images.is_empty() {
            let reason = Reason::Row("the report has no film".into());
            gathered.reject(origin.clone(), "", reason);
        }
        for image in &report.images {
            let image = format!("{image}.png");
            let film = || {
                let terms = report.terms.clone().ok_or(Reason::Unlabelled)?;
                let (source, located) = index.find(&image, source, None)?;
                Ok(Found {
                    study: Some(report.uid.clone()),
                    label: Some(terms.positive),
                    findings: Some(terms.findings),
                    ..Found::new(origin.clone(), source, located, report.uid.clone())
                })
            };
            gathered.add(origin.clone(), &image, film());
        }
    }
}

fn text(source: &Source, path: &str) -> Result<String, Reason> {
    let file = source.locate(path)?.file;
    let unreadable = |error| Reason::Row(format!("the report cannot be read ({error})"));
    let length = fs::metadata(&file).map_err(unreadable)?.len();
    if length > LONGEST_REPORT {
        let most = LONGEST_REPORT >> 20;
        return Err(Reason::Row(format!(
            "the report has {length} bytes, more than the {most} MiB that are read"
        )));
    }
    let bytes = fs::read(&file).map_err(unreadable)?;
    String::from_utf8(bytes)
        .map_err(|_| Reason::Row("the report is not UTF-8 text; save it as UTF-8".into()))
}

/// A report in XML.
struct Report {
    uid: String,
    terms: Option<Terms>,
    /// Its films' names without extension.
    images: Vec<String>,
}

impl Report {
    fn parse(text: &str) -> Result<Self, String> {
        let document = Document::parse(text).map_err(|error| {
            let error = shortened(&error.to_string());
            format!("the report is no XML: {error}")
        })?;
        let of = |name: &'static str| {
            let nodes = document.descendants();
            nodes.filter(move |node: &Node| node.has_tag_name(name))
        };
        let id = |node: Node| Some(node.attribute("id")?.trim().to_owned());
        let uid = of("uId").find_map(id).filter(|uid| !uid.is_empty());
        let majors = of("major").filter(|node| {
            let parent = node.parent();
            parent.is_some_and(|parent| parent.has_tag_name("MeSH"))
        });
        Ok(Self {
            uid: uid.ok_or("the report has no uId")?,
            terms: Terms::of(majors.filter_map(|node| node.text())),
            images: of("parentImage").filter_map(id).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::Bench;
    use super::*;
    use crate::cohort::Projection;

    fn report(uid: &str, mesh: &str, images: &[&str]) -> String {
        let image = |name: &&str| {
            format!(
                "<parentImage id=\"{name}\"><figureId>F1</figureId>\
                 <caption>PA and lateral</caption></parentImage>"
            )
        };
        let images: String = images.iter().map(image).collect();
        format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<eCitation><uId id=\"{uid}\"/>\
             <MedlineCitation><Article/></MedlineCitation><MeSH>{mesh}</MeSH>{images}</eCitation>"
        )
    }

    #[test]
    fn reports_in_xml_are_read_by_their_major_terms() {
        let bench = Bench::new();
        let images = ["a-1", "a-2", "b-1", "c-1"];
        bench.films(
            &images
                .map(|name| format!("pictures/NLMCR_png/{name}.png"))
                .each_ref()
                .map(String::as_str),
        );
        let major =
            "<major>Scoliosis/thoracic vertebrae/right</major><major>Aorta/tortuous</major>";
        for (name, text) in [
            ("1", report("CXR1", major, &["a-1", "a-2"])),
            ("2", report("CXR2", "<major>normal</major>", &["b-1"])),
            (
                "3",
                report(
                    "CXR3",
                    "<major>Opacity/lung</major><automatic>scoliosis</automatic>",
                    &["c-1"],
                ),
            ),
        ] {
            bench.write(&format!("source/ecgen-radiology/{name}.xml"), text);
        }
        let mut options = bench.options(Format::OpenI);
        options.sources.push(bench.path("pictures"));
        let imported = bench.import_by(&options);
        imported.assert_rejects(&[]);
        let a = imported.film("source-2/NLMCR_png/a-2.png");
        assert_eq!(
            (a.label, a.patient.as_str(), a.projection),
            (Some(true), "CXR1", None)
        );
        assert_eq!(a.study.as_deref(), Some("CXR1"));
        assert_eq!(
            a.findings.as_deref().map(|names| names.join(" ")),
            Some("Scoliosis Aorta".into())
        );
        assert_eq!(imported.film("b-1.png").findings.as_deref(), Some(&[][..]));
        assert_eq!(imported.film("c-1.png").label, Some(false));
        assert!(
            imported
                .report
                .to_string()
                .contains("of 4 films the projection is not said")
        );
    }

    #[test]
    fn hostile_reports_are_rejected_one_by_one() {
        let bench = Bench::new();
        bench.films(&["source/a.png", "source/b.png", "secret.png"]);
        let normal = "<major>normal</major>";
        let bomb = "<!DOCTYPE x [<!ENTITY a \"aaaa\">]><eCitation>&a;</eCitation>";
        let deep = "<a>".repeat(300_000);
        for (name, text) in [
            ("01", report("CXR1", normal, &["a"])),
            ("02", report("CXR1", normal, &["b"])),
            ("03", report("CXR3", normal, &["a"])),
            ("04", report("CXR4", "<major>Scoliosis</major>", &["a"])),
            ("05", report("CXR5", normal, &["../secret"])),
            ("06", report("CXR6", normal, &["absent"])),
            ("07", report("CXR7", "", &["b"])),
            ("08", report("CXR8", "<major>No Indexing</major>", &["b"])),
            ("09", report("", normal, &["b"])),
            ("10", report("CXR10", normal, &[])),
            ("11", "<eCitation><uId".into()),
            ("12", bomb.into()),
            ("13", deep),
            ("14", " ".repeat((1 << 20) + 1)),
        ] {
            bench.write(&format!("source/r/{name}.xml"), text);
        }
        bench.write("source/r/15.xml", b"<a>\xe9</a>");
        let imported = bench.import(Format::OpenI);
        assert_eq!(imported.report.films, 1);
        imported.assert_rejects(&[
            (None, "", "both are report \"CXR1\""),
            (None, "a.png", "the same as a.png in"),
            (None, "a.png", "another label"),
            (None, "../secret.png", "leads out"),
            (None, "absent.png", "no such file"),
            (None, "b.png", "no label"),
            (None, "b.png", "no label"),
            (None, "", "no uId"),
            (None, "", "no film"),
            (None, "", "no XML"),
            (None, "", "no XML"),
            (None, "", "no XML"),
            (None, "", "more than the 1 MiB"),
            (None, "", "not UTF-8"),
        ]);
    }

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
