//! Results by number, for hosts that ask for what is new. The number of a film's result is that of the
//! audit log's entry by which the film came to its state: it grows with every change.

use plumbline_shared::manifest::hexadecimal;
use rusqlite::{OptionalExtension, params};

use super::Store;
use super::error::StoreError;
use super::state::State;

/// The newest state of each film that has a result, by the entry of the audit log.
const RESULTS: &str = "SELECT audit, film FROM states
    WHERE state IN ('read', 'refused', 'failed', 'acknowledged') AND NOT EXISTS
        (SELECT 1 FROM states AS later WHERE later.film = states.film AND later.audit > states.audit)";

impl Store {
    /// Returns the results behind number `after`, at most `most`, in the order of their numbers: each
    /// one's number and film.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn results(&self, after: u64, most: u32) -> Result<Vec<(u64, i64)>, StoreError> {
        let database = self.lock();
        let query = format!("{RESULTS} AND audit > ?1 ORDER BY audit LIMIT ?2");
        let mut statement = database.prepare_cached(&query)?;
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let results =
            statement.query_map(params![after, most], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(results.collect::<Result<_, _>>()?)
    }

    /// Returns the number of the newest result; 0 if there is none.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn newest_result(&self) -> Result<u64, StoreError> {
        let query = format!("{RESULTS} ORDER BY audit DESC LIMIT 1");
        let newest = (self.lock())
            .query_row(&query, [], |row| row.get(0))
            .optional()?;
        Ok(newest.unwrap_or(0))
    }

    /// Returns the number of the entry by which a film came to its state.
    ///
    /// # Errors
    /// [`StoreError::NoFilm`].
    pub fn result_number(&self, film: i64) -> Result<u64, StoreError> {
        let newest = "SELECT max(audit) FROM states WHERE film = ?1";
        let newest: Option<u64> = self.lock().query_row(newest, [film], |row| row.get(0))?;
        newest.ok_or(StoreError::NoFilm(film))
    }

    /// Returns the number of a film's result.
    ///
    /// # Errors
    /// [`StoreError::NoFilm`], or [`StoreError::State`] if it has none (yet, or again).
    pub fn result_of(&self, film: i64) -> Result<i64, StoreError> {
        let database = self.lock();
        let newest = "SELECT state, audit FROM states WHERE film = ?1 ORDER BY audit DESC LIMIT 1";
        let newest = database.query_row(newest, [film], |row| Ok((row.get(0)?, row.get(1)?)));
        match newest.optional()?.ok_or(StoreError::NoFilm(film))? {
            (State::Read | State::Refused | State::Failed | State::Acknowledged, number) => {
                Ok(number)
            }
            (state, _) => {
                let why = "it has no result yet; ask again later";
                Err(StoreError::State { film, state, why })
            }
        }
    }

    /// Returns the film whose file has this SHA-256, if there is one.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn film_of(&self, sha256: &[u8; 32]) -> Result<Option<i64>, StoreError> {
        let film = "SELECT id FROM films WHERE hash = ?1";
        let film = self
            .lock()
            .query_row(film, [hexadecimal(sha256)], |row| row.get(0));
        Ok(film.optional()?)
    }
}

#[cfg(test)]
mod tests {
    use crate::store::tests::{keep, open, read};

    #[test]
    fn a_result_has_the_number_of_its_last_change() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        let films = |after, most| {
            let results = store.results(after, most).unwrap();
            results
                .into_iter()
                .map(|(_, film)| film)
                .collect::<Vec<_>>()
        };
        assert_eq!((store.newest_result().unwrap(), films(0, 9)), (0, vec![]));
        for (film, bytes) in [b"one", b"two", b"six"].into_iter().enumerate() {
            keep(&store, bytes, &format!("1.2.{film}")).unwrap();
        }
        assert_eq!((store.newest_result().unwrap(), films(0, 9)), (0, vec![]));
        read(&store, 1, 0.7);
        read(&store, 2, 0.2);
        assert_eq!((films(0, 9), films(0, 1)), (vec![1, 2], vec![1]));
        let first = store.result_number(1).unwrap();
        assert_eq!(store.results(first - 1, 1).unwrap(), [(first, 1)]);
        assert_eq!(films(first, 9), [2]);
        let newest = store.newest_result().unwrap();
        assert_eq!(newest, store.result_number(2).unwrap());
        // A change moves it to the end, and it is told once.
        store.acknowledge(1, "a nurse").unwrap();
        assert_eq!((films(0, 9), films(newest, 9)), (vec![2, 1], vec![1]));
        // One that is to be read again has no result meanwhile.
        store.read_anyway(1, "a nurse", "doubt").unwrap();
        assert_eq!(films(0, 9), [2]);
        let job = store.take().unwrap().unwrap();
        assert_eq!(job.film, 1);
        assert!(films(u64::MAX, 9).is_empty());
    }
}
