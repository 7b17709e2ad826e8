//! What proves the entries of one film.

use plumbline_shared::manifest::sha256;

use super::*;
use crate::store::audit::{self, Entry, Row};
use crate::store::{Action, Chain, ChainError, Link};

/// A store with two films, of which the first was read, and acknowledged after the second came.
fn two_films(folder: &Path) -> Store {
    let store = open(folder);
    keep(&store, b"one", "1.2.3").unwrap();
    keep(&store, b"two", "1.2.4").unwrap();
    read(&store, 1, 0.7);
    store.acknowledge(1, "a nurse").unwrap();
    store
}

fn head(store: &Store) -> String {
    store.newest_audit().unwrap().unwrap().hash
}

#[test]
fn a_films_entries_lead_to_the_newest_hash_without_telling_of_others() {
    let folder = TempDir::new().unwrap();
    let store = two_films(folder.path());
    let head = head(&store);
    let chain = store.chain(1, None).unwrap();
    let proved = chain.verify(&head).unwrap();
    let told: Vec<_> = proved.rows.iter().map(|row| &*row.detail).collect();
    assert_eq!(told[0], format!("received: SHA-256 {}", sha256(b"one")));
    assert_eq!(told.last(), Some(&"acknowledged"));
    assert_eq!((proved.rows.len(), proved.later), (4, 0));
    let other = chain
        .entries
        .iter()
        .filter(|entry| matches!(entry, Link::Other(_)));
    assert_eq!(other.count(), 1);
    let json = serde_json::to_string(&chain).unwrap();
    assert!(
        !json.contains("1.2.4") && !json.contains("film 2"),
        "{json}"
    );
    assert_eq!(serde_json::from_str::<Chain>(&json).unwrap(), chain);
    // Up to a hash that was recorded before, and no further.
    let Link::Own(first) = &chain.entries[0] else {
        panic!()
    };
    let proved = chain.verify(&first.hash).unwrap();
    assert_eq!((proved.rows.len(), proved.later), (1, 3));
    let shorter = store.chain(1, Some(&first.hash)).unwrap();
    assert_eq!((shorter.entries.len(), &shorter.head), (1, &first.hash));
    let unknown = store.chain(1, Some("0"));
    assert!(matches!(unknown, Err(StoreError::NoHash(_))));
    assert!(matches!(store.chain(3, None), Err(StoreError::NoFilm(3))));
}

#[test]
fn no_byte_of_a_chain_can_be_changed() {
    let folder = TempDir::new().unwrap();
    let store = two_films(folder.path());
    let head = head(&store);
    let json = serde_json::to_string(&store.chain(1, None).unwrap()).unwrap();
    for index in 0..json.len() {
        for change in [0x01, 0x02, 0x20] {
            let mut bytes = json.clone().into_bytes();
            bytes[index] ^= change;
            let Ok(chain) = serde_json::from_slice::<Chain>(&bytes) else {
                continue;
            };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(chain.verify(&head).is_err(), "byte {index} of {changed}");
        }
    }
}

#[test]
fn entries_can_be_neither_hidden_nor_added() {
    let folder = TempDir::new().unwrap();
    let store = two_films(folder.path());
    let head = head(&store);
    let chain = store.chain(1, None).unwrap();
    let foreign = chain
        .entries
        .iter()
        .position(|entry| matches!(entry, Link::Other(_)));
    let foreign = foreign.unwrap();
    let altered = |change: &dyn Fn(&mut Chain)| {
        let mut chain = chain.clone();
        change(&mut chain);
        chain.verify(&head).map(|_| ()).unwrap_err()
    };
    // An entry of the film's is told as if it were another film's.
    let hide = altered(&|chain| {
        let Link::Own(row) = &chain.entries[2] else {
            panic!()
        };
        chain.entries[2] = Link::Other(row.digests());
    });
    assert_eq!(hide, ChainError::Foreign(3));
    // The same digits, parted one digit earlier.
    let parted = altered(&|chain| {
        let Link::Own(row) = &chain.entries[2] else {
            panic!()
        };
        let [object, rest] = row.digests();
        let (start, last) = object.split_at(63);
        chain.entries[2] = Link::Other([start.to_owned(), format!("{last}{rest}")]);
    });
    assert_eq!(parted, ChainError::Foreign(3));
    let Link::Own(other) = &store.chain(2, None).unwrap().entries[0] else {
        panic!()
    };
    let add = altered(&|chain| chain.entries[foreign] = Link::Own(other.clone()));
    assert_eq!(add, ChainError::Foreign(2));
    assert_eq!(
        altered(&|chain| drop(chain.entries.remove(0))),
        ChainError::Beginning
    );
    assert_eq!(
        altered(&|chain| chain.entries.clear()),
        ChainError::Beginning
    );
    assert!(matches!(
        altered(&|chain| drop(chain.entries.remove(2))),
        ChainError::Changed(_)
    ));
    assert_eq!(
        altered(&|chain| drop(chain.entries.pop())),
        ChainError::Head
    );
    assert!(matches!(
        chain.verify("0").unwrap_err(),
        ChainError::NotRecorded(_)
    ));
}

#[test]
fn entries_of_older_programs_are_verified_and_not_told_of_others() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    keep(&store, b"one", "1.2.3").unwrap();
    let older = |object: &str| {
        let database = store.lock();
        let last = audit::newest(&database).unwrap().unwrap();
        let entry = Entry::on_film(Action::Update, "a nurse", object, "seen");
        audit::append(&database, &entry).unwrap();
        let row = "SELECT * FROM audit ORDER BY sequence DESC LIMIT 1";
        let row = database.query_row(row, [], Row::of).unwrap();
        let hash = row.older_hash_after(&last.hash);
        let again = "DROP TRIGGER IF EXISTS audit_is_not_changed";
        database.execute_batch(again).unwrap();
        let again = "UPDATE audit SET hash = ?1 WHERE sequence = ?2";
        database.execute(again, (hash, row.sequence)).unwrap();
    };
    older("film 1, 1.2.3");
    assert!(store.verify_audit().is_ok());
    let chain = store.chain(1, None).unwrap();
    assert_eq!(chain.verify(&head(&store)).unwrap().rows.len(), 2);
    older("film 2");
    assert!(store.verify_audit().is_ok());
    assert!(matches!(
        store.chain(1, None),
        Err(StoreError::Undivided {
            film: 1,
            sequence: 3
        })
    ));
}

/// Two hashes that Python's hashlib made of the entry by the formulas of [`Row`].
#[test]
fn hashes_are_those_that_logs_have() {
    let row = |hash: &str| Row {
        sequence: 3,
        wall: "2026-11-27T06:00:00.000000+00:00".into(),
        since_boot: 1_234_567_890_123,
        boot: "b".into(),
        event: "110103".into(),
        kind: String::new(),
        action: "U".into(),
        outcome: 4,
        who: "Nurse A".into(),
        object: "film 1, 1.2.3".into(),
        detail: "acknowledged".into(),
        hash: hash.into(),
    };
    let before = "0".repeat(64);
    let older = "43086e40c5cc99601b6925361bd8aef68af418dd612f722e0ab5cfc60f95dfb9";
    let newer = "df2a7a278a02b1fc29b75dfaedea0e3c646727618d791b69427c681dd6dd8450";
    assert!(row(older).follows(&before) && row(newer).follows(&before));
    assert_eq!(row("").older_hash_after(&before), older);
    assert!(!row(older).follows(newer));
}
