//! The collection's reports in XML. They do not say which of their films is the frontal one.

use std::collections::HashMap;
use std::fs;

use roxmltree::{Document, Node};

use super::super::gathered::{Found, Gathered};
use super::super::index::Index;
use super::super::rejects::{Origin, Reason};
use super::super::source::Source;
use super::super::table::shortened;
use super::terms::Terms;

/// No report is longer, in bytes.
const LONGEST_REPORT: u64 = 1 << 20;

/// Reads the reports, each by the number of its source and its path.
pub(super) fn read(
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
    use super::super::super::Format;
    use super::super::super::tests::Bench;

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
}
