//! The terms by which coders have described a report.

use super::super::cells;
use crate::cohort::manifest::NO_FINDING;

/// Beginning of a major term of a positive report, in small letters.
const SCOLIOSIS: &str = "scoliosis";

/// A report's statement on its films.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Terms {
    /// True of scoliosis.
    pub(super) positive: bool,
    /// All findings, as the manifest holds them.
    pub(super) findings: String,
}

impl Terms {
    /// Reads the major terms, such as `Scoliosis/thoracic vertebrae/mild`; `None` if nobody has coded
    /// the report.
    pub(super) fn of<'a>(majors: impl Iterator<Item = &'a str>) -> Option<Self> {
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
