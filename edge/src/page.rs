//! The page of a film's result, made from the store, and `plumbline-edge page`, which writes it into a file.

use std::path::Path;

use anyhow::{Context, Result};
use plumbline_shared::durable::replace_file;

use crate::config::Settings;
use crate::intake::{IntakeError, THIS_PROGRAM, WAIT, decode_with};
use crate::report::{self, Picture, ReportError, Station};
use crate::store::{Filing, Store, StoreError};

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PageError {
    /// The store's error.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The film cannot be decoded just now.
    #[error("the film cannot be decoded just now ({}): try it again later", .0.sentence())]
    Decode(IntakeError),
    /// The page itself.
    #[error(transparent)]
    Report(#[from] ReportError),
}

/// Makes the page of `film`'s newest result. `program` is an executable of `plumbline-edge`.
///
/// # Errors
/// [`PageError`].
pub fn newest(
    store: &Store,
    station: &Station,
    program: &Path,
    film: i64,
) -> Result<Vec<u8>, PageError> {
    let filing = store.filing(film, store.result_of(film)?)?;
    of(store, station, program, &filing)
}

/// Makes the page of a result. A film that cannot be shown any more, or never could, has a page as well.
///
/// # Errors
/// [`PageError`].
pub fn of(
    store: &Store,
    station: &Station,
    program: &Path,
    filing: &Filing,
) -> Result<Vec<u8>, PageError> {
    let made = |picture| Ok(report::page(station, filing, picture)?);
    let path = match store.path(&filing.film) {
        Err(StoreError::State { why, .. }) => return made(Picture::Missing(why)),
        path => path?,
    };
    match decode_with(program, &path, WAIT) {
        Ok(decoded) => made(Picture::Film(&decoded.film)),
        Err(error) if error.may_pass() => Err(PageError::Decode(error)),
        Err(error) => made(Picture::Missing(&error.sentence())),
    }
}

/// Writes the page of `film`'s newest result into the file `out`. The station with `settings` may run
/// meanwhile.
///
/// # Errors
/// If there is no such film, it has no result, or the file cannot be written.
pub fn write(settings: &Settings, film: i64, out: &Path) -> Result<()> {
    let store = Store::beside(&settings.data, settings.limits)?;
    let station = Station {
        uid: store.station_uid()?,
        name: settings.dicom.ae_title.clone(),
    };
    let pdf = newest(&store, &station, Path::new(THIS_PROGRAM), film)?;
    replace_file(out, &pdf).with_context(|| format!("{} cannot be written", out.display()))
}
