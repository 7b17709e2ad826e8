//! Films are read, refused, and read again.

use super::*;

#[test]
fn a_film_goes_through_its_states_and_nothing_is_overwritten() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    keep(&store, b"one", "1.2.3").unwrap();
    assert!(store.acknowledge(1, "nurse").is_err());
    read(&store, 1, 0.75);
    let film = store.film(1).unwrap();
    assert_eq!(
        (film.state, film.reading),
        (State::Read, Some(reading(0.75)))
    );
    store.acknowledge(1, "nurse").unwrap();
    store
        .read_anyway(1, "supervisor", "another bundle")
        .unwrap();
    assert_eq!(store.film(1).unwrap().reading, Some(reading(0.75)));
    read(&store, 1, 0.25);
    assert_eq!(store.film(1).unwrap().reading, Some(reading(0.25)));
    let states = {
        let database = store.lock();
        let mut statement = database
            .prepare("SELECT state FROM states ORDER BY audit")
            .unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.collect::<Result<Vec<State>, _>>().unwrap()
    };
    use State::{Acknowledged, Gated, Read, Received, Superseded};
    let expected = [
        Received,
        Gated,
        Read,
        Acknowledged,
        Superseded,
        Received,
        Gated,
        Read,
    ];
    assert_eq!(states, expected);
    let readings: i64 = (store.lock())
        .query_row("SELECT count(*) FROM readings", [], |row| row.get(0))
        .unwrap();
    assert_eq!(readings, 2);
    let newest = store.verify_audit().unwrap().unwrap();
    assert_eq!(newest.sequence, 8);
}

#[test]
fn a_refused_film_keeps_its_findings() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    keep(&store, b"one", "1.2.3").unwrap();
    let job = store.take().unwrap().unwrap();
    let findings = vec![Finding {
        code: "too-small".into(),
        refuses: true,
        sentence: "It has 3 x 2 pixels.".into(),
    }];
    let answer = Answer::Refused {
        findings: findings.clone(),
    };
    assert_eq!(store.answer(&job, &answer).unwrap(), Some(State::Refused));
    let film = store.film(1).unwrap();
    assert_eq!(film.findings, findings);
    assert_eq!(film.reason.as_deref(), Some("It has 3 x 2 pixels."));
    assert_eq!(store.count().unwrap(), [(State::Refused, 1)]);
    store
        .read_anyway(1, "supervisor", "small, but clear")
        .unwrap();
    assert!(store.take().unwrap().unwrap().read_anyway);
    let film = store.film(1).unwrap();
    assert_eq!(
        film.read_anyway.as_deref(),
        Some("supervisor: small, but clear")
    );
}

#[test]
fn a_reader_may_crash_once() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    keep(&store, b"one", "1.2.3").unwrap();
    let crash = Answer::Crashed {
        how: "signal 9".into(),
    };
    for state in [State::Received, State::Failed] {
        let job = store.take().unwrap().unwrap();
        assert_eq!((job.film, store.take().unwrap()), (1, None));
        assert_eq!(store.answer(&job, &crash).unwrap(), Some(state));
        // An answer counts once.
        assert_eq!(store.answer(&job, &crash).unwrap(), None);
    }
    assert_eq!(store.take().unwrap(), None);
    // After a supervisor's word it may crash once again.
    store.read_anyway(1, "supervisor", "try again").unwrap();
    let job = store.take().unwrap().unwrap();
    assert_eq!(store.answer(&job, &crash).unwrap(), Some(State::Received));
}

#[test]
fn jobs_of_a_station_that_crashed_are_taken_back() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    keep(&store, b"one", "1.2.3").unwrap();
    assert!(store.take().unwrap().is_some());
    assert!(matches!(
        Store::open(folder.path(), LIMITS, disk()),
        Err(StoreError::InUse { .. })
    ));
    drop(store);
    let store = open(folder.path());
    assert!(store.take().unwrap().is_some());
}

#[test]
fn an_answer_to_a_film_that_was_taken_back_does_not_count() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    keep(&store, b"one", "1.2.3").unwrap();
    let first = store.take().unwrap().unwrap();
    store
        .read_anyway(1, "supervisor", "whatever the gate says")
        .unwrap();
    let refused = Answer::Refused {
        findings: Vec::new(),
    };
    assert_eq!(store.answer(&first, &refused).unwrap(), None);
    read(&store, 1, 0.75);
    // One that is held while a reader has it is not read either.
    keep(&store, b"two", "1.2.4").unwrap();
    let job = store.take().unwrap().unwrap();
    assert_eq!(keep(&store, b"TWO", "1.2.4").unwrap(), Kept::Conflict(3));
    assert_eq!(store.answer(&job, &refused).unwrap(), None);
    assert_eq!(store.film(2).unwrap().state, State::Received);
}
