//! What is to be sent, and when.

use plumbline_dimse::Committed;

use super::*;

/// A film of a study, with all that a report needs.
pub(super) fn keep_in(store: &Store, bytes: &[u8], instance: &str, study: &str) -> i64 {
    let mut header = header(instance);
    header.study_instance_uid = Some(study.into());
    header.series_instance_uid = Some("1.9".into());
    header.sop_class_uid = Some("1.2.840.10008.5.1.4.1.1.1".into());
    let mut incoming = store.begin().unwrap();
    incoming.write(bytes).unwrap();
    let arrival = Arrival {
        origin: Origin::Dicom,
        sender: "UNIT at 127.0.0.1",
        transfer_syntax: Some("1.2.840.10008.1.2"),
        header: Some(&header),
    };
    store.keep(incoming, &arrival).unwrap().film()
}

pub(super) fn recipients(store: &Store, names: &[&str], kinds: &[Kind]) {
    let recipients = names.iter().map(|name| Recipient {
        name: (*name).into(),
        kinds: kinds.to_vec(),
        commits: false,
    });
    store
        .set_recipients(&recipients.collect::<Vec<_>>())
        .unwrap();
}

fn next(store: &Store, to: &str) -> Option<(i64, Kind)> {
    let delivery = store.take_delivery(to).unwrap()?;
    let taken = (delivery.film, delivery.kind);
    assert!(
        store
            .end_delivery(&delivery, &Sent::Delivered(None), None)
            .unwrap()
    );
    Some(taken)
}

#[test]
fn each_destination_gets_what_it_asked_for_of_every_result() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    recipients(&store, &["archive"], &Kind::ALL);
    let film = keep_in(&store, b"one", "1.2.3", "1.5");
    assert_eq!(store.take_delivery("archive").unwrap(), None);
    read(&store, film, 0.7);
    assert_eq!(store.take_delivery("another").unwrap(), None);
    for kind in Kind::ALL {
        assert!(!store.film(film).unwrap().delivered);
        assert_eq!(next(&store, "archive"), Some((film, kind)));
    }
    assert_eq!(next(&store, "archive"), None);
    assert!(store.film(film).unwrap().delivered);
    // A person looks at it: another report and page, and the film waits for these.
    store.acknowledge(film, "a nurse").unwrap();
    assert!(!store.film(film).unwrap().delivered);
    assert_eq!(next(&store, "archive"), Some((film, Kind::Report)));
    assert_eq!(next(&store, "archive"), Some((film, Kind::Page)));
    // It is read again: what it looked like before stays filed.
    store.read_anyway(film, "a nurse", "doubt").unwrap();
    read(&store, film, 0.2);
    assert_eq!(next(&store, "archive"), Some((film, Kind::Report)));
    assert_eq!(next(&store, "archive"), Some((film, Kind::Capture)));
    assert_eq!(next(&store, "archive"), Some((film, Kind::Page)));
    assert_eq!(next(&store, "archive"), None);
    let results: Vec<_> = store.deliveries(Some(film), None, 99).unwrap();
    assert_eq!(results.len(), 10);
    // A film without a study cannot be filed in one.
    keep(&store, b"two", "1.2.4").unwrap();
    read(&store, 2, 0.7);
    assert_eq!(next(&store, "archive"), None);
    assert!(!store.film(2).unwrap().delivered);
}

#[test]
fn a_filing_is_the_result_as_it_was() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    recipients(&store, &["archive"], &[Kind::Report]);
    let film = keep_in(&store, b"one", "1.2.3", "1.5");
    read(&store, film, 0.7);
    store.acknowledge(film, "a nurse").unwrap();
    store.read_anyway(film, "a nurse", "doubt").unwrap();
    read(&store, film, 0.2);
    let mut results: Vec<_> = store.deliveries(None, None, 9).unwrap();
    results.reverse();
    let filings: Vec<_> = results
        .iter()
        .map(|listed| store.filing(film, listed.result).unwrap())
        .collect();
    let told: Vec<_> = filings
        .iter()
        .map(|filing| {
            let probability = filing.reading().unwrap().probability;
            (probability, filing.acknowledged_by.as_deref())
        })
        .collect();
    assert_eq!(told, [(0.7, None), (0.7, Some("a nurse")), (0.2, None)]);
    assert_eq!(filings[0].predecessor, None);
    assert_eq!(filings[1].predecessor.as_ref(), Some(&filings[0].revision));
    assert_eq!(filings[2].predecessor.as_ref(), Some(&filings[1].revision));
    assert!(store.filing(film, 1_000).is_err());
}

#[test]
fn order_is_kept_within_a_study_and_not_between_studies() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    recipients(&store, &["archive"], &[Kind::Report]);
    for (bytes, instance, study) in [
        (b"one", "1.2.1", "1.5"),
        (b"two", "1.2.2", "1.5"),
        (b"six", "1.2.3", "1.6"),
    ] {
        let film = keep_in(&store, bytes, instance, study);
        read(&store, film, 0.7);
    }
    let first = store.take_delivery("archive").unwrap().unwrap();
    assert_eq!(first.film, 1);
    // The second of its study waits while the first is on its way, and while it waits.
    let third = store.take_delivery("archive").unwrap().unwrap();
    assert_eq!(third.film, 3);
    assert_eq!(store.take_delivery("archive").unwrap(), None);
    let later = Sent::Later {
        why: "no room".into(),
        seconds: 3600,
        failed: true,
    };
    assert!(store.end_delivery(&first, &later, None).unwrap());
    assert_eq!(store.take_delivery("archive").unwrap(), None);
    // Only the one who has taken it can end it.
    assert!(
        !store
            .end_delivery(&first, &Sent::Delivered(None), None)
            .unwrap()
    );
    // A refused one holds up the others for an hour at most; here a person drops the wait.
    store.send_again(first.id, "a supervisor").unwrap();
    let first = store.take_delivery("archive").unwrap().unwrap();
    assert!(
        store
            .end_delivery(&first, &Sent::Refused("not such".into()), None)
            .unwrap()
    );
    assert_eq!(store.take_delivery("archive").unwrap(), None);
    let hour_ago = "UPDATE deliveries SET due = due - 3600000000001 WHERE state = 'refused'";
    store.lock().execute_batch(hour_ago).unwrap();
    assert_eq!(next(&store, "archive"), Some((2, Kind::Report)));
    let states: Vec<_> = store.count_deliveries().unwrap();
    assert_eq!(
        states,
        [
            ("archive".into(), DeliveryState::Delivered, 1),
            ("archive".into(), DeliveryState::Refused, 1),
            ("archive".into(), DeliveryState::Waiting, 1),
        ]
    );
    let gone = store.send_again(99, "a supervisor");
    assert!(matches!(gone, Err(StoreError::NoDelivery(99))));
}

#[test]
fn what_was_on_its_way_or_waited_is_due_after_a_new_start() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    recipients(&store, &["archive"], &[Kind::Report]);
    let film = keep_in(&store, b"one", "1.2.1", "1.5");
    read(&store, film, 0.7);
    let taken = store.take_delivery("archive").unwrap().unwrap();
    drop(store);
    let store = open(folder.path());
    let again = store.take_delivery("archive").unwrap().unwrap();
    assert_eq!(again.id, taken.id);
    assert!(
        !store
            .end_delivery(&taken, &Sent::Delivered(None), None)
            .unwrap()
    );
    let later = Sent::Later {
        why: "away".into(),
        seconds: 1 << 40,
        failed: false,
    };
    assert!(store.end_delivery(&again, &later, None).unwrap());
    assert_eq!(store.take_delivery("archive").unwrap(), None);
    // The system was started anew.
    let anew = "UPDATE deliveries SET due_boot = 'another start'";
    store.lock().execute_batch(anew).unwrap();
    let again = store.take_delivery("archive").unwrap().unwrap();
    assert_eq!((again.id, again.attempts), (taken.id, 1));
}

#[test]
fn the_stations_uid_stays() {
    let folder = TempDir::new().unwrap();
    let uid = open(folder.path()).station_uid().unwrap();
    assert!(uid.starts_with("2.25.") && uid.len() <= 64, "{uid}");
    assert_eq!(open(folder.path()).station_uid().unwrap(), uid);
}

#[test]
fn what_an_archive_says_of_keeping_is_entered() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    store
        .set_recipients(&[Recipient {
            name: "archive".into(),
            kinds: vec![Kind::Report],
            commits: true,
        }])
        .unwrap();
    assert_eq!(store.ask_commitment("archive").unwrap(), None);
    for (number, bytes) in [b"one", b"two", b"six", b"ten"].into_iter().enumerate() {
        let film = keep_in(
            &store,
            bytes,
            &format!("1.2.{number}"),
            &format!("1.5.{number}"),
        );
        read(&store, film, 0.7);
    }
    let deliver = |instance: &str| {
        let delivery = store.take_delivery("archive").unwrap().unwrap();
        let sent_as = SentAs {
            class: "1.1".into(),
            instance: instance.into(),
        };
        let sent = Sent::Delivered(None);
        assert!(
            store
                .end_delivery(&delivery, &sent, Some(&sent_as))
                .unwrap()
        );
        delivery.film
    };
    for instance in ["2.1", "2.2", "2.3", "2.4"] {
        deliver(instance);
    }
    assert!(!store.film(1).unwrap().delivered, "it is not kept yet");
    let asked = store.ask_commitment("archive").unwrap().unwrap();
    assert_eq!(asked.instances.len(), 4);
    assert_eq!(asked.instances[0], ("1.1".into(), "2.1".into()));
    assert_eq!(
        store.ask_commitment("archive").unwrap(),
        None,
        "one question at a time"
    );
    store.take_back_question(&asked).unwrap();
    let asked = store.ask_commitment("archive").unwrap().unwrap();
    let answer = Committed {
        transaction: asked.transaction.clone(),
        kept: vec!["2.1".into(), "2.9".into()],
        failed: vec![
            ("2.2".into(), 0x0112),
            ("2.3".into(), 0x0110),
            ("2.4".into(), 0x0122),
        ],
    };
    let of_another = Committed {
        transaction: "2.25.1".into(),
        ..answer.clone()
    };
    assert!(!store.committed(&of_another).unwrap());
    // Twice: archives do that.
    assert!(store.committed(&answer).unwrap());
    assert!(store.committed(&answer).unwrap());
    assert!(store.film(1).unwrap().delivered);
    let told = |film| {
        let told = store.deliveries(Some(film), None, 9).unwrap().remove(0);
        (told.state, told.kept, told.words)
    };
    let words = |reason| Some(format!("not kept: reason {reason}"));
    assert_eq!(told(1), (DeliveryState::Delivered, Some(true), None));
    assert_eq!(
        told(2),
        (DeliveryState::Waiting, Some(false), words("0112"))
    );
    assert_eq!(
        told(3),
        (DeliveryState::Delivered, Some(false), words("0110"))
    );
    assert_eq!(
        told(4),
        (DeliveryState::Refused, Some(false), words("0122"))
    );
    // What was lost is sent again, and asked about again.
    assert_eq!(deliver("2.2"), 2);
    let asked = store.ask_commitment("archive").unwrap().unwrap();
    assert_eq!(asked.instances, [("1.1".into(), "2.2".into())]);
    store.question_put(&asked).unwrap();
    // Nobody answers for a day.
    let day_ago = "UPDATE commitments SET asked = asked - 86400000000001";
    store.lock().execute_batch(day_ago).unwrap();
    let asked = store.ask_commitment("archive").unwrap().unwrap();
    assert_eq!(asked.instances.len(), 2, "and about the one that may pass");
    // An answer to the question before is as true.
    let late = Committed {
        failed: Vec::new(),
        kept: vec!["2.3".into()],
        ..answer
    };
    assert!(store.committed(&late).unwrap());
    assert_eq!(told(3).1, Some(true));
    store.verify_audit().unwrap();
    drop(store);
    // What was not put when the station ended is asked again.
    let store = open(folder.path());
    let asked = store.ask_commitment("archive").unwrap().unwrap();
    assert_eq!(asked.instances, [("1.1".into(), "2.2".into())]);
}

#[test]
fn what_waits_for_a_destination_that_is_no_more_holds_no_film() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    // Twice the same is once.
    recipients(&store, &["old"], &[Kind::Report, Kind::Report]);
    let film = keep_in(&store, b"one", "1.2.1", "1.5");
    read(&store, film, 0.7);
    recipients(&store, &["new"], &[Kind::Report]);
    let state = || store.deliveries(None, None, 9).unwrap().remove(0).state;
    assert_eq!(state(), DeliveryState::Dropped);
    assert!(store.film(film).unwrap().delivered);
    assert_eq!(store.take_delivery("old").unwrap(), None);
    let dropped = store.deliveries(None, Some(DeliveryState::Dropped), 9);
    assert_eq!(dropped.unwrap().len(), 1);
    recipients(&store, &["new", "old"], &[Kind::Report]);
    assert_eq!(state(), DeliveryState::Waiting);
    assert!(!store.film(film).unwrap().delivered);
    assert_eq!(next(&store, "old"), Some((film, Kind::Report)));
    assert!(store.film(film).unwrap().delivered);
}
