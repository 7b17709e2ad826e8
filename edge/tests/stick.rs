//! Sticks: what a station puts on one, and what another takes in of it.

#[path = "station/programs.rs"]
mod programs;
mod station;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::{InMemDicomObject, open_file};
use serde_json::Value;
use station::{Instance, PROGRAM, Sender, Station, sample, wait_for};
use tempfile::TempDir;

const FOUR: &str = "[[destination]]\nname = \"stick\"\nstick = \"STICK\"\n\
    sends = [\"originals\", \"reports\", \"captures\", \"pages\"]\n";

fn stick_at(path: &Path) -> String {
    FOUR.replace("STICK", path.to_str().unwrap())
}

fn send(station: &Station, film: &Instance) {
    let mut sender = Sender::connect(station).unwrap();
    assert_eq!(sender.store(film), 0);
    sender.release();
}

/// Waits until there are so many deliveries, each delivered.
fn all_delivered(station: &Station, count: usize) {
    wait_for(|| {
        let deliveries = station.deliveries();
        let done = |delivery: &Value| delivery["state"] == "delivered";
        (deliveries.len() == count && deliveries.iter().all(done)).then_some(())
    });
}

/// Runs `take-in` with these arguments, away from any station.
fn take_in(arguments: &[&str]) -> (bool, String) {
    let output = Command::new(PROGRAM)
        .arg("take-in")
        .args(arguments)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

/// The public key that a station tells.
fn key(station: &Station) -> String {
    let (_, told) = station.run(&["check"]);
    let key = told.split("sealed by key ").nth(1).unwrap_or_else(|| panic!("{told}"));
    key[..56].to_owned()
}

/// The files below a folder, by their paths.
fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(root).unwrap().display().to_string();
            files.insert(name, fs::read(&path).unwrap());
        }
    }
    files
}

fn text(object: &InMemDicomObject, tag: Tag) -> String {
    let element = object.element(tag).unwrap();
    element.to_str().unwrap().trim().to_owned()
}

/// The records of a DICOMDIR in their order, and the place of each in the file, by a search for the heads of
/// items: those that are told by `tags::DIRECTORY_RECORD_SEQUENCE` alone have places that offsets lead to.
struct Records {
    records: Vec<InMemDicomObject>,
    first: u32,
    last: u32,
    bytes: Vec<u8>,
}

/// A record with what leads to it: the types from the root down.
#[derive(Debug)]
struct Found {
    way: Vec<String>,
    record: InMemDicomObject,
}

impl Records {
    fn read(root: &Path) -> Self {
        let path = root.join("DICOMDIR");
        let object = open_file(&path).unwrap();
        let offset = |tag| object.element(tag).unwrap().to_int::<u32>().unwrap();
        let records = object.element(tags::DIRECTORY_RECORD_SEQUENCE).unwrap();
        Self {
            records: records.items().unwrap().to_vec(),
            first: offset(tags::OFFSET_OF_THE_FIRST_DIRECTORY_RECORD_OF_THE_ROOT_DIRECTORY_ENTITY),
            last: offset(tags::OFFSET_OF_THE_LAST_DIRECTORY_RECORD_OF_THE_ROOT_DIRECTORY_ENTITY),
            bytes: fs::read(path).unwrap(),
        }
    }

    /// The places of the records: items that begin with (0004,1400), which nothing else does.
    fn places(&self) -> Vec<u32> {
        let item = b"\xfe\xff\x00\xe0";
        let begins = |bytes: &[u8]| bytes.starts_with(item) && bytes[8..].starts_with(b"\x04\x00\x00\x14UL");
        let places = (0..self.bytes.len()).filter(|at| begins(&self.bytes[*at..]));
        let places: Vec<u32> = places.map(|at| at as u32).collect();
        assert_eq!(places.len(), self.records.len());
        places
    }

    /// All records, as offsets lead from the root.
    fn tree(&self) -> Vec<Found> {
        let places = self.places();
        let mut found = Vec::new();
        self.below(&places, self.first, &[], &mut found);
        assert_eq!(found.len(), self.records.len(), "every record is led to once");
        found
    }

    fn below(&self, places: &[u32], mut offset: u32, way: &[String], found: &mut Vec<Found>) {
        let mut last = 0;
        while offset != 0 {
            let index = places.iter().position(|place| *place == offset);
            let record = &self.records[index.expect("an offset leads to a record")];
            let mut here = way.to_vec();
            here.push(text(record, tags::DIRECTORY_RECORD_TYPE));
            let leads = |tag| record.element(tag).unwrap().to_int::<u32>().unwrap();
            let lower = leads(tags::OFFSET_OF_REFERENCED_LOWER_LEVEL_DIRECTORY_ENTITY);
            found.push(Found {
                way: here.clone(),
                record: record.clone(),
            });
            self.below(places, lower, &here, found);
            last = offset;
            offset = leads(tags::OFFSET_OF_THE_NEXT_DIRECTORY_RECORD);
        }
        if way.is_empty() {
            assert_eq!(last, self.last);
        }
    }

    /// The instances, each by the path of its file.
    fn instances(&self, root: &Path) -> BTreeMap<String, Found> {
        let files = self.tree().into_iter().filter_map(|found| {
            let id = found.record.element(tags::REFERENCED_FILE_ID).ok()?;
            let parts = id.to_multi_str().unwrap();
            for part in parts.iter() {
                let fits = |c: char| matches!(c, 'A'..='Z' | '0'..='9' | '_');
                assert!(part.len() <= 8 && part.chars().all(fits), "{part}");
            }
            Some((parts.join("/"), found))
        });
        let files: BTreeMap<_, _> = files.collect();
        for (path, Found { way, record }) in &files {
            let file = open_file(root.join(path)).unwrap();
            let meta = file.meta();
            let plain = |uid: &str| uid.trim_end_matches('\0').to_owned();
            assert_eq!(
                text(record, tags::REFERENCED_SOP_INSTANCE_UID_IN_FILE),
                plain(meta.media_storage_sop_instance_uid())
            );
            assert_eq!(
                text(record, tags::REFERENCED_SOP_CLASS_UID_IN_FILE),
                plain(meta.media_storage_sop_class_uid())
            );
            assert_eq!(
                text(record, tags::REFERENCED_TRANSFER_SYNTAX_UID_IN_FILE),
                plain(meta.transfer_syntax())
            );
            assert_eq!(way[..3], ["PATIENT", "STUDY", "SERIES"]);
        }
        files
    }
}

fn empty() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn dicoms(root: &Path) -> Vec<String> {
    let names = files(root).into_keys();
    names
        .filter(|name| name != "DICOMDIR" && !name.ends_with("SEAL"))
        .collect()
}

#[test]
fn a_stick_has_all_results_in_a_file_set_and_is_taken_in() {
    let stick = empty();
    let station = Station::start(&stick_at(stick.path()));
    send(&station, &Instance::read(&sample("phantom-6.dcm")));
    send(&station, &Instance::read(&sample("phantom-5.dcm")));
    all_delivered(&station, 8);
    let records = Records::read(stick.path());
    let instances = records.instances(stick.path());
    assert_eq!(instances.len(), 8);
    assert_eq!(instances.keys().cloned().collect::<Vec<_>>(), dicoms(stick.path()));
    let mut kinds = BTreeMap::new();
    for found in instances.values() {
        *kinds.entry(found.way[3].clone()).or_insert(0) += 1;
    }
    let kinds: Vec<_> = kinds.iter().map(|(kind, count)| (&**kind, *count)).collect();
    assert_eq!(kinds, [("ENCAP DOC", 2), ("IMAGE", 4), ("SR DOCUMENT", 2)]);
    // A patient and a study for each film, with its own values.
    for name in ["phantom-6.dcm", "phantom-5.dcm"] {
        let film = open_file(sample(name)).unwrap();
        let tree = records.tree();
        let of = |kind: &str, tag| {
            let record = |found: &&Found| {
                found.way.last().unwrap() == kind
                    && found.record.element(tag).is_ok()
                    && text(&found.record, tag) == text(&film, tag)
            };
            tree.iter().filter(record).count()
        };
        assert_eq!(of("PATIENT", tags::PATIENT_ID), 1);
        assert_eq!(of("PATIENT", tags::PATIENT_NAME), 1);
        assert_eq!(of("STUDY", tags::STUDY_INSTANCE_UID), 1);
        assert_eq!(of("SERIES", tags::SERIES_INSTANCE_UID), 1);
    }
    let report = instances.values().find(|found| found.way[3] == "SR DOCUMENT").unwrap();
    assert_eq!(text(&report.record, tags::VERIFICATION_FLAG), "UNVERIFIED");
    let title = report.record.element(tags::CONCEPT_NAME_CODE_SEQUENCE).unwrap();
    assert_eq!(title.items().unwrap().len(), 1);

    // Another computer takes it in.
    let key = key(&station);
    let out = empty();
    let (root, target) = (stick.path().to_str().unwrap(), out.path().to_str().unwrap());
    for there in [0, 8] {
        let (done, told) = take_in(&[root, "--key", &key, "--out", target]);
        assert!(done, "{told}");
        assert!(told.contains(&format!("8 files are in {target}, {there} of them")), "{told}");
    }
    let copied = files(out.path());
    for (name, bytes) in files(stick.path()) {
        if let Some(copy) = copied.get(&format!("{name}.dcm")) {
            assert_eq!(*copy, bytes);
        }
    }
    assert_eq!(copied.len(), 8);
    // Another station takes in the films.
    let other = Station::start("");
    let config = other.path("take-in.toml");
    fs::write(
        &config,
        format!(
            "data = \"{}\"\n[http]\nlisten = \"{}\"\n[stick]\nkeys = [\"{key}\"]\n",
            other.path("data").display(),
            other.http
        ),
    )
    .unwrap();
    for there in [0, 2] {
        let (done, told) = take_in(&[root, "--config", config.to_str().unwrap()]);
        assert!(done, "{told}");
        assert!(told.contains(&format!("has 2 films, {there} of them had")), "{told}");
        assert!(told.contains("6 reports, captures and pages are no films"), "{told}");
    }
    assert_eq!(other.settled().len(), 2);
}
