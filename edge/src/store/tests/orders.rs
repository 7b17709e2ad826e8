//! What is planned, and which films it is of.

use plumbline_dimse::Planned;

use super::outbox::{keep_in, recipients};
use super::*;
use crate::worklist::day;

fn examination(accession: &str, step: &str) -> Planned {
    let some = |text: &str| Some(text.to_owned());
    Planned {
        accession_number: some(accession),
        // That of the films.
        study_instance_uid: some(&format!("1.5.{accession}")),
        patient_name: some("MU\u{d1}OZ^A"),
        patient_id: some("17"),
        start_date: some(&day(0)),
        step_id: some(step),
        ..Planned::default()
    }
}

fn numbers(store: &Store) -> Vec<(i64, Option<String>)> {
    let planned = store.worklist().unwrap().planned.into_iter();
    planned
        .map(|one| (one.examination, one.planned.accession_number))
        .collect()
}

#[test]
fn the_newest_answer_counts_and_numbers_stay() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    assert_eq!(store.worklist().unwrap().answered, None);
    let days = [day(0), day(1)];
    let set = |planned: &[Planned]| store.set_worklist(&days, planned).unwrap();
    set(&[examination("1", "a"), examination("2", "a")]);
    let (one, two) = (Some("1".to_owned()), Some("2".to_owned()));
    assert_eq!(numbers(&store), [(1, one), (2, two.clone())]);
    // The first was done or called off; the other has another time.
    let later = Planned {
        start_time: Some("1000".into()),
        ..examination("2", "a")
    };
    set(&[later.clone(), examination("3", "a")]);
    let numbers = numbers(&store);
    assert!(
        numbers.contains(&(2, two)) && numbers.len() == 2,
        "{numbers:?}"
    );
    let worklist = store.worklist().unwrap();
    assert!(worklist.planned.iter().any(|one| one.planned == later));
    assert!(worklist.answered.is_some());
    // What other days were told of stays for a week.
    let past = |days: i32| Planned {
        start_date: Some(day(-days)),
        ..examination(&format!("past{days}"), "a")
    };
    set(&[past(6), past(9)]);
    let left = self::numbers(&store);
    assert!(
        left.iter()
            .any(|(_, accession)| accession.as_deref() == Some("past6"))
    );
    assert!(
        left.iter()
            .all(|(_, accession)| accession.as_deref() != Some("past9"))
    );
}

#[test]
fn a_film_is_matched_when_it_comes_or_when_the_worklist_answers() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    recipients(&store, &["archive"], &Kind::ALL);
    let days = [day(0), day(1)];
    let early = keep_in(&store, b"one", "1.2.3", "1.5.1");
    read(&store, early, 0.7);
    assert_eq!(store.film(early).unwrap().order, None);
    let before = store.newest_audit().unwrap().unwrap().sequence;
    let told = [examination("1", "a"), examination("2", "a")];
    assert_eq!(store.set_worklist(&days, &told).unwrap(), 1);
    assert_eq!(store.film(early).unwrap().order, Some(told[0].clone()));
    // Its result is told again, with the order; what was told before is as it was.
    let reports = |film| {
        let deliveries = store.deliveries(Some(film), None, 99).unwrap();
        let of = |listed: &Listed| (listed.kind == Kind::Report).then_some(listed.result);
        let mut results: Vec<_> = deliveries.iter().filter_map(of).collect();
        results.sort_unstable();
        results
    };
    let results = reports(early);
    assert_eq!(results.len(), 2);
    let order = |result| store.filing(early, result).unwrap().film.order;
    assert_eq!(
        (order(results[0]), order(results[1])),
        (None, Some(told[0].clone()))
    );
    let again = store.filing(early, results[1]).unwrap();
    assert_eq!(again.predecessor.as_ref().unwrap().number, results[0]);
    assert!(again.reading().unwrap().probability == 0.7 && !again.acknowledged);
    assert!(results[1] > before);
    // Nothing more happens as long as it answers the same.
    assert_eq!(store.set_worklist(&days, &told).unwrap(), 0);
    assert_eq!(reports(early).len(), 2);

    let late = keep_in(&store, b"two", "1.2.4", "1.5.2");
    assert_eq!(store.film(late).unwrap().order, Some(told[1].clone()));
    read(&store, late, 0.2);
    assert_eq!(reports(late).len(), 1);
}

#[test]
fn a_person_decides_where_there_is_doubt() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    recipients(&store, &["archive"], &[Kind::Report]);
    // Somebody else's examination has the film's study.
    let doubtful = Planned {
        patient_name: Some("Roe^Ann".into()),
        ..examination("1", "a")
    };
    store
        .set_worklist(&[day(0)], std::slice::from_ref(&doubtful))
        .unwrap();
    let film = keep_in(&store, b"one", "1.2.3", "1.5.1");
    read(&store, film, 0.7);
    store.acknowledge(film, "Nurse A").unwrap();
    assert_eq!(store.film(film).unwrap().order, None);
    let offers = store.offers(film).unwrap();
    assert_eq!(offers.len(), 1);
    assert_eq!(offers[0].differs, ["patient_name"]);
    let number = offers[0].examination.examination;
    assert!(matches!(
        store.set_order(film, 99, "Nurse B"),
        Err(StoreError::NoExamination(99))
    ));
    assert!(matches!(
        store.set_order(77, number, "Nurse B"),
        Err(StoreError::NoFilm(77))
    ));
    store.set_order(film, number, "Nurse B").unwrap();
    let stored = store.film(film).unwrap();
    assert_eq!(
        (stored.order, stored.state),
        (Some(doubtful), State::Acknowledged)
    );
    let newest = store.deliveries(Some(film), None, 1).unwrap().remove(0);
    let filing = store.filing(film, newest.result).unwrap();
    assert!(filing.film.order.is_some() && filing.acknowledged);
    // Who chose the order has not acknowledged the result.
    assert_eq!(filing.acknowledged_by.as_deref(), Some("Nurse A"));
    assert_eq!(store.deliveries(Some(film), None, 9).unwrap().len(), 3);
    store.verify_audit().unwrap();
}
