use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use plumbline_shared::decode::Header;
use plumbline_shared::manifest::sha256;
use plumbline_wire::panel::{
    Event as PanelEvent, EventId, FilmResult, Occurrence, Outcome as Shown, Press,
};
use tempfile::TempDir;

use super::*;
use crate::clock::Moment;

pub(super) const LIMITS: Limits = Limits {
    film: 1 << 20,
    reserve: 0,
    low_water: 0,
};

pub(super) fn open(folder: &Path) -> Store {
    Store::open(folder, LIMITS, disk()).unwrap()
}

fn header(instance: &str) -> Header {
    let mut header = Header::default();
    header.sop_instance_uid = Some(instance.into());
    header.patient_name = Some("Mu\u{f1}oz^A".into());
    header
}

pub(super) fn keep(store: &Store, bytes: &[u8], instance: &str) -> Result<Kept, StoreError> {
    let mut incoming = store.begin()?;
    for piece in bytes.chunks(3) {
        incoming.write(piece)?;
    }
    let arrival = Arrival {
        origin: Origin::Dicom,
        sender: "UNIT at 127.0.0.1",
        transfer_syntax: Some("1.2.840.10008.1.2"),
        header: Some(&header(instance)),
    };
    store.keep(incoming, &arrival)
}

fn reading(probability: f64) -> StoredReading {
    StoredReading {
        model: "chexnet".into(),
        model_version: "0.2.0".into(),
        bundle: "ab".into(),
        threshold: 0.5,
        logit: 1.25,
        probability,
        positive: probability >= 0.5,
        cam: vec![vec![0.0, 0.5], vec![1.0, 0.25]],
        film_notes: vec!["inverted".into()],
        milliseconds: [1.0, 2.0, 3.5, 0.25],
    }
}

pub(super) fn read(store: &Store, film: i64, probability: f64) {
    let job = store.take().unwrap().unwrap();
    assert_eq!(job.film, film);
    let answer = Answer::Read {
        findings: Vec::new(),
        reading: reading(probability),
    };
    assert_eq!(store.answer(&job, &answer).unwrap(), Some(State::Read));
}

#[test]
fn films_are_kept_with_their_bytes_and_header() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let kept = keep(&store, b"a film", "1.2.3").unwrap();
    assert_eq!(kept, Kept::New(1));
    drop(store);
    let store = open(folder.path());
    let film = store.film(1).unwrap();
    assert_eq!((film.state, film.bytes), (State::Received, 6));
    assert_eq!(film.header, header("1.2.3"));
    assert_eq!(film.hash, sha256(b"a film"));
    let job = store.take().unwrap().unwrap();
    assert_eq!(fs::read(&job.path).unwrap(), b"a film");
    assert!(store.damaged_films().unwrap().is_empty());
    fs::write(&job.path, b"A film").unwrap();
    assert_eq!(store.damaged_films().unwrap(), [1]);
    assert!(matches!(store.film(2), Err(StoreError::NoFilm(2))));
}

#[test]
fn the_same_bytes_are_kept_once_and_other_bytes_are_held() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    assert_eq!(keep(&store, b"one", "1.2.3").unwrap(), Kept::New(1));
    assert_eq!(keep(&store, b"one", "1.2.3").unwrap(), Kept::Known(1));
    assert_eq!(keep(&store, b"two", "1.2.4").unwrap(), Kept::New(2));
    assert_eq!(keep(&store, b"ONE", "1.2.3").unwrap(), Kept::Conflict(3));
    // Neither of the two is read by itself.
    assert_eq!(store.take().unwrap().unwrap().film, 2);
    assert_eq!(store.take().unwrap(), None);
    for film in [1, 3] {
        assert!(store.film(film).unwrap().held.is_some());
    }
    // A person decides.
    store.read_anyway(3, "supervisor", "the later one").unwrap();
    let job = store.take().unwrap().unwrap();
    // The gate has not seen it yet.
    assert!((job.film, job.read_anyway) == (3, false));
    assert_eq!(store.newest(10).unwrap(), [3, 2, 1]);
}

/// A DICOM file with an element of file meta information, a transfer syntax and a data set.
fn dicom(writer: &str, transfer_syntax: &str, data_set: &[u8]) -> Vec<u8> {
    let element = |element: u16, vr: &[u8], value: &str| {
        let mut bytes = vec![2, 0];
        bytes.extend(element.to_le_bytes());
        bytes.extend(vr);
        bytes.extend((value.len() as u16).to_le_bytes());
        bytes.extend(value.as_bytes());
        bytes
    };
    let version = b"\x02\0\x01\0OB\0\0\x02\0\0\0\0\x01".to_vec();
    let meta = [
        version,
        element(0x10, b"UI", transfer_syntax),
        element(0x13, b"SH", writer),
    ];
    let meta = meta.concat();
    let mut file = vec![0; 128];
    file.extend(b"DICM\x02\0\0\0UL\x04\0");
    file.extend((meta.len() as u32).to_le_bytes());
    file.extend(meta);
    file.extend(data_set);
    file
}

#[test]
fn the_same_data_set_in_another_file_is_the_same_film() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let explicit = "1.2.840.10008.1.2.1\0";
    let files = [
        (dicom("STATION", explicit, b"pixels"), Kept::New(1)),
        (dicom("OF THE UNIT", explicit, b"pixels"), Kept::Known(1)),
        (dicom("STATION", explicit, b"pixelS"), Kept::Conflict(2)),
        (dicom("STATION", explicit, b"pixels!"), Kept::Conflict(3)),
        (
            dicom("STATION", "1.2.840.10008.1.2\0", b"pixels"),
            Kept::Conflict(4),
        ),
        (b"DICM".to_vec(), Kept::Conflict(5)),
        (vec![0; 300], Kept::Conflict(6)),
    ];
    for (file, kept) in &files {
        assert_eq!(keep(&store, file, "1.2.3").unwrap(), *kept);
    }
    assert_eq!(store.files.hashes().unwrap().len(), 6);
    // One that claims more file meta information than it has.
    let mut cut = files[0].0.clone();
    cut.truncate(150);
    assert_eq!(keep(&store, &cut, "1.2.3").unwrap(), Kept::Conflict(7));
}

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
fn what_no_row_names_is_removed_at_the_start() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    keep(&store, b"one", "1.2.3").unwrap();
    let mut arriving = store.begin().unwrap();
    arriving.write(b"half").unwrap();
    let arriving = arriving.path().to_path_buf();
    fs::copy(&arriving, arriving.with_file_name(".left.unfinished")).unwrap();
    let orphan = folder.path().join("films/aa/bb");
    fs::create_dir_all(&orphan).unwrap();
    let name = format!("aabb{}", "0".repeat(60));
    fs::write(orphan.join(&name), b"two").unwrap();
    fs::write(orphan.join("x"), b"no hash").unwrap();
    drop(store);
    let store = open(folder.path());
    assert!(!orphan.join(&name).exists());
    assert_eq!(
        fs::read(folder.path().join("orphans").join(&name)).unwrap(),
        b"two"
    );
    let left = fs::read_dir(folder.path().join("incoming")).unwrap();
    assert_eq!(left.count(), 0);
    assert!(store.damaged_films().unwrap().is_empty());
}

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
fn below_the_reserve_nothing_is_received() {
    let folder = TempDir::new().unwrap();
    let limits = Limits {
        reserve: u64::MAX,
        ..LIMITS
    };
    let store = Store::open(folder.path(), limits, disk()).unwrap();
    assert!(matches!(store.begin(), Err(StoreError::Full { .. })));
    drop(store);
    let store = open(folder.path());
    let long = keep(&store, &vec![7; (1 << 20) + 1], "1.2.3");
    assert!(matches!(long, Err(StoreError::TooLong { most_mib: 1 })));
    let left = fs::read_dir(folder.path().join("incoming")).unwrap();
    assert_eq!(left.count(), 0);
}

#[test]
fn only_delivered_films_leave_the_oldest_first() {
    let folder = TempDir::new().unwrap();
    let limits = Limits {
        low_water: u64::MAX,
        ..LIMITS
    };
    let store = Store::open(folder.path(), limits, disk()).unwrap();
    for (film, instance) in [(1, "1.2.3"), (2, "1.2.4"), (3, "1.2.5")] {
        keep(&store, instance.as_bytes(), instance).unwrap();
        read(&store, film, 0.75);
    }
    assert_eq!(store.make_room(WAIT).unwrap(), 0);
    store.deliver(2, "outbox", "PACS").unwrap();
    store.deliver(1, "outbox", "PACS").unwrap();
    assert_eq!(
        store.remove_oldest().unwrap(),
        Some(store.film(1).unwrap().hash)
    );
    assert_eq!(store.make_room(WAIT).unwrap(), 1);
    let removed = [1, 2, 3].map(|film| store.film(film).unwrap().removed);
    assert_eq!(removed, [true, true, false]);
    // The result stays, and the file comes back if it is sent again.
    assert!(store.film(1).unwrap().reading.is_some());
    assert!(store.read_anyway(1, "supervisor", "again").is_err());
    assert_eq!(keep(&store, b"1.2.3", "1.2.3").unwrap(), Kept::Known(1));
    assert!(!store.film(1).unwrap().removed);
    assert!(store.damaged_films().unwrap().is_empty());
    store.read_anyway(1, "supervisor", "again").unwrap();
    assert!(store.verify_audit().is_ok());
    drop(store);
    assert!(open(folder.path()).damaged_films().unwrap().is_empty());
}

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
    let (restored, old) = restore(&target, &data, LIMITS).unwrap();
    assert_eq!((restored.films, restored.damaged), (2, Vec::new()));
    assert_eq!(fs::read(data.join(TOKEN)).unwrap(), b"secret");
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

#[test]
fn files_that_stay_in_a_folder_are_remembered() {
    use std::os::unix::ffi::OsStrExt;
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let version = |written| FileVersion {
        number: i64::MIN,
        bytes: 3,
        written,
    };
    // A name need not be text.
    let path = Path::new(std::ffi::OsStr::from_bytes(b"/films/\xff.dcm"));
    store.file_stays(path, version(1)).unwrap();
    store.file_stays(path, version(2)).unwrap();
    drop(store);
    let store = open(folder.path());
    assert_eq!(
        store.stored_files().unwrap(),
        [(path.to_path_buf(), version(2))]
    );
    store.file_left(path).unwrap();
    assert_eq!(store.stored_files().unwrap(), []);
}

/// An event of the panel's start 9.
fn event(number: u32, what: Occurrence) -> PanelEvent {
    let id = EventId { boot: 9, number };
    PanelEvent { id, at: 0, what }
}

fn pressed(film: Option<u64>) -> Occurrence {
    Occurrence::Button {
        press: Press::Short,
        film,
    }
}

#[test]
fn the_panel_shows_the_newest_result_until_somebody_has_seen_it() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    assert_eq!(store.panel_state().unwrap(), PanelState::default());
    keep(&store, b"one", "1.2.3").unwrap();
    assert!(store.panel_state().unwrap().busy);
    read(&store, 1, 0.75);
    keep(&store, b"two", "1.2.4").unwrap();
    read(&store, 2, 0.25);
    let shown = || store.panel_state().unwrap().result;
    let result = |film, outcome| Some(FilmResult { film, outcome });
    assert_eq!(shown(), result(2, Shown::NoSign));
    assert!(!store.panel_state().unwrap().busy);

    let press = event(0, pressed(Some(2)));
    let deed = store.keep_panel_event(&press, 0).unwrap();
    assert_eq!(deed, PanelDeed::Acknowledged(2));
    assert_eq!(shown(), result(1, Shown::Refer));
    // The board tells it again, as it has not heard that it was kept.
    assert_eq!(store.keep_panel_event(&press, 0).unwrap(), PanelDeed::Known);
    // A press for a result that somebody else has acknowledged meanwhile does nothing.
    let late = event(1, pressed(Some(2)));
    assert_eq!(store.keep_panel_event(&late, 0).unwrap(), PanelDeed::Noted);
    assert_eq!(shown(), result(1, Shown::Refer));
    let who: String = (store.lock())
        .query_row(
            "SELECT who FROM audit WHERE detail = 'acknowledged'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(who, "panel button");

    keep(&store, b"three", "1.2.5").unwrap();
    let job = store.take().unwrap().unwrap();
    let refused = Answer::Refused {
        findings: Vec::new(),
    };
    store.answer(&job, &refused).unwrap();
    assert_eq!(shown(), result(3, Shown::TakeAgain));
    // Of a day ago, by a log that was written then.
    let old = "DROP TRIGGER audit_is_not_changed; UPDATE audit SET wall = '2026-01-01T10:00:00Z'";
    store.lock().execute_batch(old).unwrap();
    assert_eq!(shown(), None);
}

#[test]
fn a_film_belongs_to_its_exposure_or_is_missing_until_somebody_has_seen_that() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let second = 1_000_000_000;
    let started = Moment::now().since_boot;
    let number = std::cell::Cell::new(0);
    let expose = |seconds_ago: i64| {
        number.set(number.get() + 1);
        let exposure = event(number.get(), Occurrence::Exposure);
        let at = Moment::now().since_boot - seconds_ago * second;
        assert_eq!(
            store.keep_panel_event(&exposure, at).unwrap(),
            PanelDeed::Exposed
        );
    };
    let miss = || store.miss_films(60 * second, started).unwrap();
    let missing = || store.panel_state().unwrap().film_missing;
    // Its film comes in time.
    expose(30);
    keep(&store, b"one", "1.2.3").unwrap();
    assert_eq!((miss(), missing()), (0, false));
    // One that came before the exposure is not its film.
    expose(0);
    expose(61);
    assert_eq!((miss(), missing()), (1, true));
    assert_eq!(miss(), 0);
    // The film of the exposure that waits comes first, then that of the one that was missing.
    keep(&store, b"two", "1.2.4").unwrap();
    assert!(missing());
    keep(&store, b"three", "1.2.5").unwrap();
    assert!(!missing());
    // Somebody has seen that one is missing; sent again, a film that is known is nobody's.
    expose(61);
    assert_eq!(keep(&store, b"two", "1.2.4").unwrap(), Kept::Known(2));
    assert_eq!((miss(), missing()), (1, true));
    let deed = store.keep_panel_event(&event(0, pressed(None)), 0).unwrap();
    assert_eq!((deed, missing()), (PanelDeed::Seen, false));
    // An exposure before a restart of the system is waited for from the program's start on.
    expose(0);
    let other = "UPDATE exposures SET boot = 'another' WHERE id = 5";
    store.lock().execute_batch(other).unwrap();
    assert_eq!(miss(), 0);
    let long_ago = started - 61 * second;
    assert_eq!(store.miss_films(60 * second, long_ago).unwrap(), 1);
    let alerts: i64 = (store.lock())
        .query_row(
            "SELECT count(*) FROM audit WHERE object = 'X-ray unit'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(alerts, 3);
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

/// A medium whose operation of a number fails, and which tells how many there were.
struct Failing {
    fails: usize,
    kind: Fault,
    done: AtomicUsize,
}

/// How an operation fails.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// It is not done.
    Error,
    /// Half of the bytes are written.
    Torn,
    /// It is done, and yet an error is told.
    DoneButFailed,
    /// The disk is full.
    Full,
}

impl Failing {
    /// True if this operation is the one that fails.
    fn now(&self) -> bool {
        self.done.fetch_add(1, Ordering::Relaxed) == self.fails
    }

    fn error(&self) -> io::Error {
        match self.kind {
            Fault::Full => io::ErrorKind::StorageFull.into(),
            _ => io::Error::other("the medium failed"),
        }
    }

    fn run(&self, work: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        if !self.now() {
            return work();
        }
        if matches!(self.kind, Fault::DoneButFailed) {
            work()?;
        }
        Err(self.error())
    }
}

impl Medium for Failing {
    fn create(&self, path: &Path) -> io::Result<File> {
        match self.now() {
            true => Err(self.error()),
            false => Disk.create(path),
        }
    }

    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        if !self.now() {
            return Disk.write(file, bytes);
        }
        match self.kind {
            Fault::Torn => Disk.write(file, &bytes[..bytes.len() / 2])?,
            Fault::DoneButFailed => Disk.write(file, bytes)?,
            Fault::Error | Fault::Full => {}
        }
        Err(self.error())
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        self.run(|| Disk.sync(file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.run(|| Disk.rename(from, to))
    }

    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        self.run(|| Disk.exchange(one, other))
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.run(|| Disk.sync_folder(folder))
    }
}

#[test]
fn a_fault_at_any_place_of_a_films_way_loses_no_kept_film() {
    let mut places = HashMap::new();
    for kind in [Fault::Error, Fault::Torn, Fault::DoneButFailed, Fault::Full] {
        for fails in 0.. {
            let folder = TempDir::new().unwrap();
            // The folders are made on a sound disk: only the film's way is tried.
            drop(open(folder.path()));
            let medium = Arc::new(Failing {
                fails,
                kind,
                done: AtomicUsize::new(0),
            });
            let kept = Store::open(folder.path(), LIMITS, medium.clone())
                .and_then(|store| keep(&store, b"a film", "1.2.3"));
            let whole = medium.done.load(Ordering::Relaxed) <= fails;
            // The station starts again on a sound disk, and the sender sends again what it was not
            // told to forget.
            let store = open(folder.path());
            match &kept {
                Ok(kept) => assert_eq!(kept.film(), 1),
                Err(_) => {
                    assert!(store.newest(10).unwrap().is_empty(), "{kind:?} at {fails}");
                    assert_eq!(keep(&store, b"a film", "1.2.3").unwrap(), Kept::New(1));
                }
            }
            assert!(
                matches!(kept, Err(StoreError::Full { .. }) | Ok(_))
                    || !matches!(kind, Fault::Full)
            );
            assert_eq!(store.newest(10).unwrap(), [1]);
            assert!(store.damaged_films().unwrap().is_empty());
            read(&store, 1, 0.75);
            assert!(store.verify_audit().is_ok());
            let files = store.files.hashes().unwrap();
            assert_eq!(files.len(), 1);
            *places.entry(format!("{kind:?}")).or_insert(0) += usize::from(!whole);
            if whole {
                break;
            }
        }
    }
    println!("faults tried: {places:?}");
    assert!(places.values().all(|places| *places >= 8), "{places:?}");
}

#[test]
fn films_without_a_database_are_not_taken_for_orphans() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    keep(&store, b"one", "1.2.3").unwrap();
    drop(store);
    fs::rename(folder.path().join(DATABASE), folder.path().join("away")).unwrap();
    let opened = Store::open(folder.path(), LIMITS, disk());
    assert!(matches!(opened, Err(StoreError::DatabaseMissing { .. })));
    fs::rename(folder.path().join("away"), folder.path().join(DATABASE)).unwrap();
    assert!(open(folder.path()).damaged_films().unwrap().is_empty());
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
