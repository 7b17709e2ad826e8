//! The audit log, and databases that are damaged or of another version.

use super::*;

#[test]
fn the_audit_log_is_append_only_and_a_change_is_noticed() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    assert_eq!(store.verify_audit().unwrap(), None);
    for instance in ["1.2.3", "1.2.4", "1.2.5"] {
        keep(&store, instance.as_bytes(), instance).unwrap();
    }
    let newest = store.verify_audit().unwrap().unwrap();
    assert_eq!(newest.sequence, 3);
    let tamper = |sql: &str| store.lock().execute_batch(sql);
    assert!(tamper("UPDATE audit SET detail = 'x'").is_err());
    assert!(tamper("DELETE FROM audit").is_err());
    tamper("DROP TRIGGER audit_is_not_changed; DROP TRIGGER audit_is_not_deleted").unwrap();
    let columns = [
        "wall",
        "since_boot",
        "boot",
        "event",
        "type",
        "action",
        "outcome",
        "who",
        "object",
        "detail",
        "hash",
    ];
    for column in columns {
        let number = matches!(column, "since_boot" | "outcome");
        let value = if number { "77" } else { "'x'" };
        tamper(&format!(
            "SAVEPOINT before; UPDATE audit SET {column} = {value} WHERE sequence = 2"
        ))
        .unwrap();
        let broken = store.verify_audit();
        assert!(
            matches!(broken, Err(StoreError::Chain { sequence: 2, .. })),
            "{column}"
        );
        tamper("ROLLBACK TO before; RELEASE before").unwrap();
    }
    assert!(store.verify_audit().is_ok());
    tamper("PRAGMA foreign_keys = OFF; DELETE FROM audit WHERE sequence = 2").unwrap();
    assert!(matches!(
        store.verify_audit(),
        Err(StoreError::Chain { sequence: 2, .. })
    ));
}

#[test]
fn rows_that_name_missing_ones_are_noticed() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    keep(&store, b"one", "1.2.3").unwrap();
    store.require_sound().unwrap();
    // The newest entry of the log: no chain tells that it is missing.
    let tamper = "DROP TRIGGER audit_is_not_deleted; PRAGMA foreign_keys = OFF;
        DELETE FROM audit WHERE sequence = 1";
    store.lock().execute_batch(tamper).unwrap();
    assert!(store.verify_audit().is_ok());
    assert!(matches!(store.require_sound(), Err(StoreError::Damaged(_))));
}

#[test]
fn databases_of_every_version_are_brought_to_the_newest() {
    for version in 0..=schema::VERSIONS.len() {
        let folder = TempDir::new().unwrap();
        let database = Connection::open(folder.path().join(DATABASE)).unwrap();
        for step in &schema::VERSIONS[..version] {
            database.execute_batch(step).unwrap();
        }
        database
            .pragma_update(None, "user_version", version)
            .unwrap();
        drop(database);
        let store = open(folder.path());
        keep(&store, b"one", "1.2.3").unwrap();
        read(&store, 1, 0.75);
    }
    let folder = TempDir::new().unwrap();
    let database = Connection::open(folder.path().join(DATABASE)).unwrap();
    database.pragma_update(None, "user_version", 99).unwrap();
    drop(database);
    let newer = Store::open(folder.path(), LIMITS, disk());
    assert!(matches!(newer, Err(StoreError::Newer { version: 99, .. })));
}
