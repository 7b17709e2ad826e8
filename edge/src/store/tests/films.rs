//! Films arrive, stay and leave.

use super::*;

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
