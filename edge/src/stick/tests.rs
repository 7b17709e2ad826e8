//! Sticks that are pulled, used twice, or not what they should be.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::{FileMetaTableBuilder, InMemDicomObject, open_file};
use minisign::PublicKey;
use plumbline_dimse::service::EXPLICIT;
use plumbline_shared::decode::{Header, header};
use plumbline_shared::durable::Disk;
use proptest::prelude::*;
use tempfile::TempDir;

use super::names::{SEAL, file_name};
use super::*;
use crate::failing::{Failing, Fault};
use crate::store::Kind;

const CAPTURE: &str = "1.2.840.10008.5.1.4.1.1.7";

/// A film's file, with its header.
struct Film {
    instance: String,
    file: Vec<u8>,
    header: Header,
}

impl Film {
    fn new(patient: &str, study: &str, number: u32) -> Self {
        let instance = format!("{study}.9.{number}");
        let texts = [
            (tags::SOP_CLASS_UID, VR::UI, CAPTURE),
            (tags::SOP_INSTANCE_UID, VR::UI, &*instance),
            (tags::PATIENT_NAME, VR::PN, "Muñoz^A"),
            (tags::PATIENT_ID, VR::LO, patient),
            (tags::STUDY_INSTANCE_UID, VR::UI, study),
            (tags::SERIES_INSTANCE_UID, VR::UI, &format!("{study}.9")),
            (tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192"),
        ];
        let object = InMemDicomObject::from_element_iter(
            texts.map(|(tag, vr, text)| DataElement::new(tag, vr, PrimitiveValue::from(text))),
        );
        let meta = FileMetaTableBuilder::new().transfer_syntax(EXPLICIT);
        let mut file = Vec::new();
        object
            .with_meta(meta)
            .unwrap()
            .write_all(&mut file)
            .unwrap();
        let header = header(&file).unwrap();
        Self {
            instance,
            file,
            header,
        }
    }

    fn object(&self) -> Object<'_> {
        Object {
            kind: Kind::Original,
            class: CAPTURE,
            instance: &self.instance,
            syntax: EXPLICIT,
            header: &self.header,
            file: &self.file,
        }
    }

    fn put(&self, root: &Path, key: &SealKey) -> Result<Put, StickError> {
        put(&Disk, root, key, "PLUMBLINE", &self.object())
    }
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn new_key() -> SealKey {
    SealKey::made_in(folder().path()).unwrap()
}

/// The files of a stick by their paths.
fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => {
                    let name = path.strip_prefix(root).unwrap().display().to_string();
                    files.insert(name, fs::read(&path).unwrap());
                }
            }
        }
    }
    files
}

/// The paths that the DICOMDIR names, as dicom-object reads it.
fn named(root: &Path) -> Vec<String> {
    if !root.join(DICOMDIR).exists() {
        return Vec::new();
    }
    let object = open_file(root.join(DICOMDIR)).unwrap();
    let records = object.element(tags::DIRECTORY_RECORD_SEQUENCE).unwrap();
    let path = |record: &InMemDicomObject| {
        let id = record.element(tags::REFERENCED_FILE_ID).ok()?;
        Some(id.to_multi_str().unwrap().join("/"))
    };
    records.items().unwrap().iter().filter_map(path).collect()
}

/// Requires that what the DICOMDIR names is there and sealed, and that it has its own bytes.
fn require_whole(root: &Path, key: &SealKey, films: &[&Film]) {
    let named = named(root);
    let files = files(root);
    let folder = format!("PLUMB/{}", key.folder());
    let public = PublicKey::from_base64(&key.public()).unwrap();
    let seal = files.get(&format!("{folder}/{SEAL}"));
    let seal = seal.map(|seal| Seal::read(seal, &key.folder(), &[public]).unwrap());
    let sealed = seal.unwrap_or_default().files;
    for path in &named {
        let bytes = &files[path];
        assert!(films.iter().any(|film| film.file == *bytes), "{path}");
        let below = path.strip_prefix(&format!("{folder}/")).unwrap();
        assert_eq!(sealed[below], plumbline_shared::manifest::sha256(bytes));
    }
    for (below, hash) in &sealed {
        let bytes = &files[&format!("{folder}/{below}")];
        assert_eq!(*hash, plumbline_shared::manifest::sha256(bytes));
    }
    if let Some(directory) = files.get(DICOMDIR) {
        Directory::read(directory.clone()).unwrap();
    }
}

#[test]
fn a_stick_that_is_pulled_at_any_write_lacks_at_most_the_last_object() {
    let key = new_key();
    let (one, two) = (Film::new("7", "1.2.3", 1), Film::new("7", "1.2.3", 2));
    let both = [&one, &two];
    let mut places = 0;
    for kind in Fault::ALL {
        for first in [true, false] {
            for fails in 0.. {
                let stick = folder();
                let root = stick.path();
                let film = if first { &one } else { &two };
                if !first {
                    one.put(root, &key).unwrap();
                }
                let medium = Failing::at(fails, kind);
                let failed = put(&medium, root, &key, "PLUMBLINE", &film.object()).is_err();
                assert_eq!(failed, medium.has_failed(), "{kind:?} at {fails}");
                require_whole(root, &key, &both);
                let there = named(root).len();
                assert!(there >= usize::from(!first), "{kind:?} at {fails}");
                // The station tries again, with the stick put in again.
                film.put(root, &key).unwrap();
                require_whole(root, &key, &both);
                assert_eq!(named(root).len(), 1 + usize::from(!first));
                assert_eq!(film.put(root, &key).unwrap(), Put::There);
                let unfinished = |name: &String| name.ends_with(".unfinished");
                assert!(!files(root).keys().any(unfinished));
                if !failed {
                    break;
                }
                places += 1;
            }
        }
    }
    println!("faults tried: {places}");
    assert!(places >= 80, "{places}");
}

#[test]
fn what_is_there_is_written_once_and_never_changed() {
    let key = new_key();
    let stick = folder();
    let root = stick.path();
    let film = Film::new("7", "1.2.3", 1);
    assert_eq!(film.put(root, &key).unwrap(), Put::Written);
    let before = files(root);
    assert_eq!(film.put(root, &key).unwrap(), Put::There);
    assert_eq!(files(root), before);
    // The same instance with other bytes is not taken.
    let mut other = Film::new("8", "1.2.3", 1);
    assert!(matches!(other.put(root, &key), Err(StickError::Other(_))));
    assert_eq!(files(root), before);
    // One whose name is taken has another one.
    other = Film::new("7", "1.2.3", 2);
    let study = root
        .join("PLUMB")
        .join(key.folder())
        .join(names::component('T', "1.2.3"));
    let taken = study.join(file_name(Kind::Original, &other.instance, 0));
    fs::write(&taken, &film.file).unwrap();
    assert_eq!(other.put(root, &key).unwrap(), Put::Written);
    let next = study.join(file_name(Kind::Original, &other.instance, 1));
    assert_eq!(fs::read(next).unwrap(), other.file);
    assert_eq!(fs::read(taken).unwrap(), film.file);
    assert_eq!(named(root).len(), 2);
    require_whole(root, &key, &[&film, &other]);
}

#[test]
fn stations_share_a_stick_and_its_patients() {
    let stick = folder();
    let root = stick.path();
    let films = [
        Film::new("7", "1.2.3", 1),
        Film::new("7", "1.2.3", 2),
        Film::new("7", "1.2.4", 1),
        Film::new("8", "1.2.5", 1),
    ];
    for key in [new_key(), new_key()] {
        for film in &films {
            film.put(root, &key).unwrap();
        }
    }
    let object = open_file(root.join(DICOMDIR)).unwrap();
    let records = object.element(tags::DIRECTORY_RECORD_SEQUENCE).unwrap();
    let mut kinds = BTreeMap::new();
    for record in records.items().unwrap() {
        let kind = record.element(tags::DIRECTORY_RECORD_TYPE).unwrap();
        *kinds
            .entry(kind.to_str().unwrap().into_owned())
            .or_insert(0) += 1;
    }
    let kinds: Vec<_> = kinds
        .iter()
        .map(|(kind, count)| (&**kind, *count))
        .collect();
    assert_eq!(
        kinds,
        [("IMAGE", 4), ("PATIENT", 2), ("SERIES", 3), ("STUDY", 3)]
    );
    // Both have sealed files of their own: one alone would not do for who trusts the other.
    assert_eq!(files(root).len(), 1 + 2 * (films.len() + 1));
}

#[test]
fn what_is_no_stick_of_films_is_left_as_it_is() {
    let key = new_key();
    let film = Film::new("7", "1.2.3", 1);
    let absent = folder().path().join("absent");
    let told = film.put(&absent, &key).unwrap_err();
    assert!(
        told.to_string()
            .ends_with("absent is not there: put the stick in"),
        "{told}"
    );
    assert!(!absent.exists());
    let stick = folder();
    let root = stick.path();
    for other in [&b"a text"[..], b"", &film.file] {
        fs::write(root.join(DICOMDIR), other).unwrap();
        let told = film.put(root, &key).unwrap_err();
        assert!(!told.is_of_object());
        assert!(told.to_string().contains("it is no DICOMDIR"), "{told}");
        assert_eq!(
            files(root),
            BTreeMap::from([(DICOMDIR.into(), other.to_vec())])
        );
    }
    fs::remove_file(root.join(DICOMDIR)).unwrap();
    film.put(root, &key).unwrap();
    let seal = root.join("PLUMB").join(key.folder()).join(SEAL);
    let mut changed = fs::read(&seal).unwrap();
    changed[100] ^= 1;
    fs::write(&seal, &changed).unwrap();
    let before = files(root);
    let told = Film::new("7", "1.2.3", 2).put(root, &key).unwrap_err();
    assert!(told.to_string().contains("its seal was changed"), "{told}");
    assert_eq!(files(root), before);
    // A film without a study is nobody's in a DICOMDIR.
    let mut lost = Film::new("7", "1.2.3", 3);
    lost.header.study_instance_uid = Some("none".into());
    let told = lost.put(folder().path(), &key).unwrap_err();
    assert!(told.is_of_object(), "{told}");
}

/// A DICOMDIR with two films.
fn directory() -> Vec<u8> {
    static MADE: OnceLock<Vec<u8>> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let (stick, key) = (folder(), new_key());
        Film::new("7", "1.2.3", 1).put(stick.path(), &key).unwrap();
        Film::new("7", "1.2.3", 2).put(stick.path(), &key).unwrap();
        fs::read(stick.path().join(DICOMDIR)).unwrap()
    });
    made.clone()
}

#[test]
fn a_directory_that_is_cut_off_is_refused() {
    let whole = directory();
    for length in 0..whole.len() {
        assert!(
            Directory::read(whole[..length].to_vec()).is_err(),
            "{length}"
        );
    }
    assert_eq!(Directory::read(whole.clone()).unwrap().into_bytes(), whole);
}

#[test]
fn a_directory_whose_records_lead_in_a_circle_is_refused() {
    let whole = directory();
    let object = open_file_of(&whole);
    let first =
        object.element(tags::OFFSET_OF_THE_FIRST_DIRECTORY_RECORD_OF_THE_ROOT_DIRECTORY_ENTITY);
    let first = first.unwrap().to_int::<u32>().unwrap().to_le_bytes();
    // Offsets of next and lower records.
    let heads = [b"\x04\x00\x00\x14UL\x04\x00", b"\x04\x00\x20\x14UL\x04\x00"];
    let mut tried = 0;
    for at in 0..whole.len() - 12 {
        if heads.iter().any(|head| whole[at..].starts_with(*head)) {
            let mut turned = whole.clone();
            turned[at + 8..at + 12].copy_from_slice(&first);
            let told = Directory::read(turned).unwrap_err().to_string();
            assert_eq!(told, "its records lead in a circle");
            let mut nowhere = whole.clone();
            nowhere[at + 8..at + 12].copy_from_slice(&[7, 0, 0, 0]);
            let told = Directory::read(nowhere).unwrap_err().to_string();
            assert_eq!(told, "an offset in it leads to no record");
            tried += 1;
        }
    }
    assert_eq!(tried, 10);
}

fn open_file_of(bytes: &[u8]) -> dicom_object::DefaultDicomObject {
    dicom_object::from_reader(bytes).unwrap()
}

proptest! {
    /// Whatever is changed, it is read and extended, or refused.
    #[test]
    fn any_directory_is_refused_or_extended(
        changes in proptest::collection::vec((any::<u16>(), any::<u8>()), 0..6),
        cut in any::<u16>(),
    ) {
        let mut bytes = directory();
        for (at, byte) in changes {
            let at = usize::from(at) % bytes.len();
            bytes[at] = byte;
        }
        if cut < 4000 {
            bytes.truncate(usize::from(cut));
        }
        let before = bytes.len();
        if let Ok(mut directory) = Directory::read(bytes) {
            let film = Film::new("9", "1.2.9", 1);
            if film.object().enter(&mut directory, &["PLUMB", "F0000000"]).is_ok() {
                prop_assert!(directory.into_bytes().len() > before);
            }
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut file = crate::intake::file_meta("1.2.840.10008.1.3.10", "1.2", EXPLICIT);
        file.extend(bytes);
        Directory::read(file).ok();
    }
}
