//! Films, rejects and notes that a format's reader has gathered.

use super::error::ImportError;
use super::rejects::{Origin, Reason, Reject};
use super::source::Located;
use super::table::{Column, Row, Table};
use crate::cohort::manifest::{NO_FINDING, Split};
use plumbline_shared::clinical::{Projection, Sex};

/// A film that a reader found.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) origin: Origin,
    /// Number of its source.
    pub(super) source: usize,
    pub(super) located: Located,
    /// A name of the film beside its file, such as the SOP Instance UID.
    pub(super) instance: Option<String>,
    pub(super) patient: String,
    pub(super) study: Option<String>,
    pub(super) split: Option<Split>,
    pub(super) label: Option<bool>,
    /// As the manifest holds them.
    pub(super) findings: Option<String>,
    pub(super) age: Option<u8>,
    pub(super) sex: Option<Sex>,
    pub(super) projection: Option<Projection>,
}

impl Found {
    /// Makes a film of which nothing is known but the patient.
    pub(super) fn new(origin: Origin, source: usize, located: Located, patient: String) -> Self {
        Self {
            origin,
            source,
            located,
            patient,
            instance: None,
            study: None,
            split: None,
            label: None,
            findings: None,
            age: None,
            sex: None,
            projection: None,
        }
    }

    /// Returns true if the splits should share it out as a positive: if it has scoliosis or, where
    /// that is not known, any finding.
    pub(super) fn is_positive(&self) -> bool {
        let finds = || (self.findings.as_deref()).is_some_and(|names| names != NO_FINDING);
        self.label.unwrap_or_else(finds)
    }
}

/// Films, rejects and notes of all sources.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) films: Vec<Found>,
    pub(super) rejects: Vec<Reject>,
    pub(super) notes: Vec<String>,
}

impl Gathered {
    /// Takes a film, which is called `film` at `origin`, or rejects it.
    pub(super) fn add(&mut self, origin: Origin, film: &str, found: Result<Found, Reason>) {
        match found {
            Ok(found) => self.films.push(found),
            Err(reason) => self.reject(origin, film, reason),
        }
    }

    /// Takes the films of a table's rows, which are named in column `name` and read by `film`.
    pub(super) fn add_rows(
        &mut self,
        mut table: Table,
        name: Option<Column>,
        mut film: impl FnMut(&Row, &str, Origin) -> Result<Found, Reason>,
    ) -> Result<(), ImportError> {
        while let Some(row) = table.next()? {
            match row {
                Ok(row) => {
                    let origin = table.origin(row.line);
                    match row.get(name) {
                        Some(name) => self.add(origin.clone(), name, film(&row, name, origin)),
                        None => self.reject(origin, "", Reason::Unnamed),
                    }
                }
                Err(broken) => self.reject(table.origin(broken.line), "", broken.reason),
            }
        }
        Ok(())
    }

    /// Rejects a film, which is called `film` at `origin`.
    pub(super) fn reject(&mut self, origin: Origin, film: &str, reason: Reason) {
        self.rejects.push(Reject {
            origin,
            film: film.to_owned(),
            reason,
        });
    }
}
