//! The report of an import.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use super::rejects::{REJECTS, Reject};
use crate::cohort::manifest::Row;
use plumbline_shared::clinical::Projection;

/// The outcome of an import in numbers; its text is printed by `cohort import` at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The cohort's folder.
    pub out: PathBuf,
    /// Number of films in the cohort.
    pub films: usize,
    /// Of these, films with scoliosis.
    pub positives: usize,
    /// Of these, films that are not known to have it or not.
    pub unlabelled: usize,
    /// Number of patients in the cohort.
    pub patients: usize,
    /// Films by [`Projection`] as the manifest names it; those of unknown projection under `not
    /// said`.
    pub projections: BTreeMap<&'static str, usize>,
    /// Films that were rejected, by the kind of reason.
    pub rejects: BTreeMap<&'static str, usize>,
    /// Notes for the user, one sentence each.
    pub notes: Vec<String>,
}

impl Report {
    pub(super) fn new(
        out: PathBuf,
        rows: &[Row],
        rejects: &[Reject],
        mut notes: Vec<String>,
    ) -> Self {
        let patients: BTreeSet<&str> = rows.iter().map(|row| row.patient.as_str()).collect();
        let mut projections = BTreeMap::new();
        for row in rows {
            let name = row.projection.map_or(UNSAID, Projection::name);
            *projections.entry(name).or_default() += 1;
        }
        if let Some(films) = projections.get(UNSAID) {
            notes.push(format!(
                "of {films} films the projection is not said; they are taken as frontal, and lateral \
                 ones may be among them"
            ));
        }
        let mut kinds = BTreeMap::new();
        for reject in rejects {
            *kinds.entry(reject.reason.kind()).or_default() += 1;
        }
        Self {
            out,
            films: rows.len(),
            positives: rows.iter().filter(|row| row.label == Some(1)).count(),
            unlabelled: rows.iter().filter(|row| row.label.is_none()).count(),
            patients: patients.len(),
            projections,
            rejects: kinds,
            notes,
        }
    }
}

const UNSAID: &str = "not said";

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |counts: &BTreeMap<&str, usize>| {
            let parts: Vec<String> = counts.iter().map(|(k, n)| format!("{k} {n}")).collect();
            parts.join(", ")
        };
        let (films, patients) = (self.films, self.patients);
        write!(
            f,
            "{films} films of {patients} patients in {}: ",
            self.out.display()
        )?;
        if self.unlabelled < films {
            let negatives = films - self.positives - self.unlabelled;
            write!(f, "{} positive, {negatives} negative, ", self.positives)?;
        }
        writeln!(f, "{} without a label", self.unlabelled)?;
        writeln!(f, "projection: {}", list(&self.projections))?;
        match self.rejects.values().sum() {
            0usize => writeln!(f, "rejected: none")?,
            sum => writeln!(
                f,
                "rejected: {sum} ({}); {} says why of each",
                list(&self.rejects),
                self.out.join(REJECTS).display()
            )?,
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        Ok(())
    }
}
