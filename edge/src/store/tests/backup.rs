//! Backups, and what they make of damaged films.

use super::*;
use crate::deidentify::KEY;

#[test]
fn a_backup_of_a_running_station_is_restored() {
    let folder = TempDir::new().unwrap();
    let (data, target) = (folder.path().join("data"), folder.path().join("backup"));
    let store = open(&data);
    keep(&store, b"one", "1.2.3").unwrap();
    back_up(&data, &target, LIMITS).unwrap();
    keep(&store, b"two", "1.2.4").unwrap();
    read(&store, 1, 0.75);
    let backed_up = back_up(&data, &target, LIMITS).unwrap();
    assert_eq!(backed_up.films, 2);
    // Not under a running station.
    assert!(matches!(
        restore(&target, &data, LIMITS),
        Err(StoreError::InUse { .. })
    ));
    keep(&store, b"three", "1.2.5").unwrap();
    drop(store);
    fs::write(data.join(TOKEN), "secret").unwrap();
    fs::write(data.join(KEY), "key").unwrap();
    let (restored, old) = restore(&target, &data, LIMITS).unwrap();
    assert_eq!((restored.films, restored.damaged), (2, Vec::new()));
    assert_eq!(fs::read(data.join(TOKEN)).unwrap(), b"secret");
    assert_eq!(fs::read(data.join(KEY)).unwrap(), b"key");
    let store = open(&data);
    assert_eq!(store.newest(10).unwrap(), [2, 1]);
    // The log goes on with what it says of the one before.
    let newest = store.verify_audit().unwrap().unwrap();
    assert_eq!(Some(&newest), restored.newest.as_ref());
    assert_eq!(newest.sequence, backed_up.newest.unwrap().sequence + 1);
    let detail: String = (store.lock())
        .query_row(
            "SELECT detail FROM audit ORDER BY sequence DESC",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert!(detail.contains("ended at entry 7, "), "{detail}");
    assert_eq!(store.film(1).unwrap().reading, Some(reading(0.75)));
    assert!(store.damaged_films().unwrap().is_empty());
    drop(store);
    let old = old.unwrap();
    assert_eq!(open(&old).newest(10).unwrap(), [3, 2, 1]);
}

/// Damages the file of film `film` in the store or backup in `folder`.
fn damage(store: &Store, film: i64, folder: &Path) {
    let files = Files::beside(folder, disk(), LIMITS);
    fs::write(files.path(&store.film(film).unwrap().hash), b"").unwrap();
}

#[test]
fn damaged_films_are_listed_and_the_others_copied() {
    let folder = TempDir::new().unwrap();
    let (data, target) = (folder.path().join("data"), folder.path().join("backup"));
    let store = open(&data);
    for instance in ["1.2.3", "1.2.4", "1.2.5"] {
        keep(&store, instance.as_bytes(), instance).unwrap();
    }
    damage(&store, 2, &data);
    let done = back_up(&data, &target, LIMITS).unwrap();
    assert_eq!((done.films, done.damaged), (2, vec![2]));
    damage(&store, 3, &target);
    drop(store);
    let (done, _) = restore(&target, &data, LIMITS).unwrap();
    assert_eq!((done.films, done.damaged), (1, vec![2, 3]));
    let store = open(&data);
    assert_eq!(store.damaged_films().unwrap(), [2, 3]);
    // A film that is sent again is whole again.
    assert_eq!(keep(&store, b"1.2.4", "1.2.4").unwrap(), Kept::Known(2));
    assert_eq!(store.damaged_films().unwrap(), [3]);
    // And the next backup mends the one that was cut short.
    assert_eq!(keep(&store, b"1.2.5", "1.2.5").unwrap(), Kept::Known(3));
    let done = back_up(&data, &target, LIMITS).unwrap();
    assert_eq!((done.films, done.damaged), (3, Vec::new()));
    drop(store);

    // A damaged database changes nothing.
    let database = fs::read(target.join(DATABASE)).unwrap();
    fs::write(target.join(DATABASE), &database[..database.len() / 2]).unwrap();
    assert!(restore(&target, &data, LIMITS).is_err());
    let store = open(&data);
    assert_eq!(store.newest(10).unwrap(), [3, 2, 1]);
    assert!(store.damaged_films().unwrap().is_empty());

    for inside in [
        data.clone(),
        data.join("backup"),
        folder.path().to_path_buf(),
    ] {
        let refused = back_up(&data, &inside, LIMITS);
        assert!(matches!(refused, Err(StoreError::BackupInStore { .. })));
    }
}
