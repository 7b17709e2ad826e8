//! Sticks: what a station puts on one, and what another takes in of it.

#[path = "station/programs.rs"]
mod programs;
mod station;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dicom_core::header::Header as _;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::{InMemDicomObject, open_file};
use programs::run;
use serde_json::Value;
use station::{Instance, PROGRAM, Sender, Station, files, sample, wait_for};
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
    let key = told
        .split("sealed by key ")
        .nth(1)
        .unwrap_or_else(|| panic!("{told}"));
    key[..56].to_owned()
}

/// The bytes of the files below a folder, by their paths from there.
fn contents(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let content = |path: PathBuf| {
        let name = path.strip_prefix(root).unwrap().display().to_string();
        (name, fs::read(&path).unwrap())
    };
    files(root).into_iter().map(content).collect()
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

/// A record with what leads to it: the types from the root down, and the records above it.
#[derive(Debug)]
struct Found {
    way: Vec<String>,
    above: Vec<InMemDicomObject>,
    record: InMemDicomObject,
}

impl Records {
    fn read(root: &Path) -> Self {
        Self::of(&root.join("DICOMDIR"))
    }

    fn of(path: &Path) -> Self {
        let object = open_file(path).unwrap();
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
        let begins =
            |bytes: &[u8]| bytes.starts_with(item) && bytes[8..].starts_with(b"\x04\x00\x00\x14UL");
        let places = (0..self.bytes.len()).filter(|at| begins(&self.bytes[*at..]));
        let places: Vec<u32> = places.map(|at| at as u32).collect();
        assert_eq!(places.len(), self.records.len());
        places
    }

    /// All records, as offsets lead from the root.
    fn tree(&self) -> Vec<Found> {
        let places = self.places();
        let mut found = Vec::new();
        self.below(&places, self.first, &[], &[], &mut found);
        assert_eq!(
            found.len(),
            self.records.len(),
            "every record is led to once"
        );
        found
    }

    fn below(
        &self,
        places: &[u32],
        mut offset: u32,
        way: &[String],
        above: &[InMemDicomObject],
        found: &mut Vec<Found>,
    ) {
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
                above: above.to_vec(),
                record: record.clone(),
            });
            let levels = [above, std::slice::from_ref(record)].concat();
            self.below(places, lower, &here, &levels, found);
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
        for (path, Found { way, record, .. }) in &files {
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
    let names = contents(root).into_keys();
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
    assert_eq!(
        instances.keys().cloned().collect::<Vec<_>>(),
        dicoms(stick.path())
    );
    let mut kinds = BTreeMap::new();
    for found in instances.values() {
        *kinds.entry(found.way[3].clone()).or_insert(0) += 1;
    }
    let kinds: Vec<_> = kinds
        .iter()
        .map(|(kind, count)| (&**kind, *count))
        .collect();
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
    let report = instances
        .values()
        .find(|found| found.way[3] == "SR DOCUMENT")
        .unwrap();
    assert_eq!(text(&report.record, tags::VERIFICATION_FLAG), "UNVERIFIED");
    let title = report
        .record
        .element(tags::CONCEPT_NAME_CODE_SEQUENCE)
        .unwrap();
    assert_eq!(title.items().unwrap().len(), 1);

    // Another computer takes it in.
    let key = key(&station);
    let out = empty();
    let (root, target) = (stick.path().to_str().unwrap(), out.path().to_str().unwrap());
    for there in [0, 8] {
        let (done, told) = take_in(&[root, "--key", &key, "--out", target]);
        assert!(done, "{told}");
        assert!(
            told.contains(&format!("8 files are in {target}, {there} of them")),
            "{told}"
        );
    }
    let copied = contents(out.path());
    for (name, bytes) in contents(stick.path()) {
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
        assert!(
            told.contains(&format!("has 2 films, {there} of them had")),
            "{told}"
        );
        assert!(
            told.contains("6 reports, captures and pages are no films"),
            "{told}"
        );
    }
    assert_eq!(other.settled().len(), 2);
}

/// Copies a stick.
fn copy_of(root: &Path) -> TempDir {
    let copy = empty();
    for (name, bytes) in contents(root) {
        let path = copy.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    copy
}

#[test]
fn what_is_changed_missing_or_unsealed_is_told_and_not_taken() {
    let stick = empty();
    let station = Station::start(&stick_at(stick.path()));
    send(&station, &Instance::read(&sample("phantom-6.dcm")));
    all_delivered(&station, 4);
    let key = key(&station);
    // A second station on the same stick.
    let second = Station::start(&format!(
        "[[destination]]\nname = \"stick\"\nstick = \"{}\"\nsends = [\"originals\"]\n",
        stick.path().display()
    ));
    send(&second, &Instance::read(&sample("phantom-6.dcm")));
    send(&second, &Instance::read(&sample("phantom-4.dcm")));
    all_delivered(&second, 2);
    let other_key = self::key(&second);
    assert_ne!(key, other_key);
    // The film of both is in the file-set once.
    let records = Records::read(stick.path());
    assert_eq!(records.instances(stick.path()).len(), 5);
    assert_eq!(dicoms(stick.path()).len(), 6);

    let taken = |root: &Path, keys: &[&str]| {
        let out = empty();
        let keys = keys.iter().flat_map(|key| ["--key", key]);
        let mut arguments = vec![root.to_str().unwrap()];
        arguments.extend(keys);
        arguments.extend(["--out", out.path().to_str().unwrap()]);
        let (whole, told) = take_in(&arguments);
        (whole, told, contents(out.path()).len())
    };
    let both = [&*key, &*other_key];
    let (whole, told, count) = taken(stick.path(), &both);
    assert!(whole && count == 6, "{told}");
    // One who trusts the first alone gets its files alone.
    let (whole, told, count) = taken(stick.path(), &both[..1]);
    assert!(!whole && count == 4, "{told}");
    assert!(
        told.contains("not taken: its seal was changed, or is of a key that is not known here"),
        "{told}"
    );
    assert_eq!(told.lines().count(), 3, "{told}");

    let film = {
        let mut names = dicoms(stick.path()).into_iter();
        names.find(|name| name.contains("/F")).unwrap()
    };
    // What is done to the stick, what is told then, and how many files are taken all the same.
    type Case<'a> = (&'a str, &'a dyn Fn(&Path), &'a str, usize);
    let cases: [Case; 6] = [
        (
            "a byte changed",
            &|root| {
                let mut bytes = fs::read(root.join(&film)).unwrap();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                fs::write(root.join(&film), bytes).unwrap();
            },
            "changed: it has other bytes than were sealed",
            5,
        ),
        (
            "a file removed",
            &|root| fs::remove_file(root.join(&film)).unwrap(),
            "missing: it is sealed, and not there",
            5,
        ),
        (
            "a link in place of a file",
            &|root| {
                fs::remove_file(root.join(&film)).unwrap();
                std::os::unix::fs::symlink("/dev/zero", root.join(&film)).unwrap();
            },
            "not taken: it is no file",
            5,
        ),
        (
            "a file added",
            &|root| {
                let added = root.join(&film).with_file_name("F0000000");
                fs::copy(sample("phantom-5.dcm"), added).unwrap();
            },
            "F0000000: not taken: no seal lists it",
            6,
        ),
        (
            "a seal cut off",
            &|root| {
                for name in contents(root)
                    .into_keys()
                    .filter(|name| name.ends_with("SEAL"))
                {
                    let bytes = fs::read(root.join(&name)).unwrap();
                    fs::write(root.join(&name), &bytes[..bytes.len() - 3]).unwrap();
                }
            },
            "not taken: its seal is damaged",
            0,
        ),
        (
            "seals exchanged",
            &|root| {
                let seals: Vec<_> = (contents(root).into_keys())
                    .filter(|name| name.ends_with("SEAL"))
                    .collect();
                let [one, other] = &seals[..] else { panic!() };
                let (one, other) = (root.join(one), root.join(other));
                let kept = fs::read(&one).unwrap();
                fs::copy(&other, &one).unwrap();
                fs::write(&other, kept).unwrap();
            },
            "its seal is signed and lists what no seal does",
            0,
        ),
    ];
    for (what, change, expected, count_expected) in cases {
        let copy = copy_of(stick.path());
        change(copy.path());
        let (whole, told, count) = taken(copy.path(), &both);
        assert!(!whole && told.contains(expected), "{what}: {told}");
        assert_eq!(count, count_expected, "{what}: {told}");
    }
    // What is others' on the stick is left there.
    let copy = copy_of(stick.path());
    fs::write(copy.path().join("README.TXT"), "for the journey").unwrap();
    let (whole, told, count) = taken(copy.path(), &both);
    assert!(whole && count == 6, "{told}");
    assert!(
        told.contains("1 other files on the stick are no station's"),
        "{told}"
    );

    let root = stick.path().to_str().unwrap();
    let refused = |arguments: &[&str], expected: &str| {
        let (whole, told) = take_in(arguments);
        assert!(!whole && told.contains(expected), "{told}");
    };
    refused(&[root, "--out", "/nowhere"], "no station's key is known");
    refused(
        &[root, "--key", "RWQ", "--out", "/nowhere"],
        "\"RWQ\" is no public key",
    );
    refused(
        &["/nowhere", "--key", &key],
        "/nowhere is not there: put the stick in",
    );
    refused(
        &["/proc", "--key", &key, "--out", "/nowhere"],
        "/proc has nothing of a Plumbline station",
    );
    let config = station.path("gone.toml");
    let text = format!(
        "data = \"{}\"\n[http]\nlisten = \"127.0.0.1:1\"\n",
        station.path("data").display()
    );
    fs::write(&config, text).unwrap();
    let config = config.to_str().unwrap();
    refused(
        &[root, "--key", &key, "--config", config],
        "no station answers at http://127.0.0.1:1",
    );
}

#[test]
fn a_stick_that_is_not_there_or_is_not_one_is_waited_for() {
    let folder = empty();
    let stick = folder.path().join("stick");
    let station = Station::start(&stick_at(&stick));
    send(&station, &Instance::read(&sample("phantom-6.dcm")));
    let words = |expected: &str| {
        wait_for(|| {
            let told = station.deliveries();
            let mut words = told.iter().filter_map(|one| one["words"].as_str());
            words.any(|words| words.contains(expected)).then_some(())
        });
        let (whole, told) = station.run(&["check"]);
        assert!(!whole && told.contains(expected), "{told}");
    };
    words("is not there: put the stick in");
    assert!(!stick.exists());
    // One with a file-set that cannot be read, which stays as it is.
    fs::create_dir(&stick).unwrap();
    fs::write(stick.join("DICOMDIR"), "of somebody").unwrap();
    words("it is no DICOMDIR");
    assert_eq!(fs::read(stick.join("DICOMDIR")).unwrap(), b"of somebody");
    assert_eq!(contents(&stick).len(), 1);
    // Another one is put in.
    fs::remove_file(stick.join("DICOMDIR")).unwrap();
    all_delivered(&station, 4);
    let (_, told) = station.run(&["check"]);
    assert!(told.contains("ok     destination stick"), "{told}");
    assert_eq!(Records::read(&stick).instances(&stick).len(), 4);
}

/// Another vendor's file-set: two films that dcmtk has put into a DICOMDIR of its own.
fn foreign_file_set(root: &Path) {
    add_by_dcmtk(root, &[4, 6], &["+F", "ELSEWHERE"]);
}

/// Has dcmtk put films into a DICOMDIR.
fn add_by_dcmtk(root: &Path, films: &[u32], how: &[&str]) {
    let images = root.join("IMAGES");
    fs::create_dir_all(&images).unwrap();
    for number in films {
        let film = sample(&format!("phantom-{number}.dcm"));
        fs::copy(film, images.join(format!("IM{number}"))).unwrap();
    }
    let made = Command::new("/usr/bin/dcmmkdir")
        .args(["+I", "+r", "-nb"])
        .args(how)
        .arg("IMAGES")
        .current_dir(root)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
}

/// Has dcmtk make a DICOMDIR of the same files by the profile, without inventing anything, and requires that ours
/// has the same records with the same keys.
fn require_keys_as_dcmtk_has_them(root: &Path) {
    let folder = empty();
    let theirs = folder.path().join("DICOMDIR");
    let made = Command::new("/usr/bin/dcmmkdir")
        .args(["-Pfl", "+r", "+p", "[FDRCP]???????", "+D"])
        .arg(&theirs)
        .arg("PLUMB")
        .current_dir(root)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let by_uid = |records: Records| {
        let all = records.tree().into_iter().filter_map(|found| {
            let uid = tags::REFERENCED_SOP_INSTANCE_UID_IN_FILE;
            found.record.element(uid).ok()?;
            Some((text(&found.record, uid), found))
        });
        all.collect::<BTreeMap<_, _>>()
    };
    let (ours, theirs) = (by_uid(Records::read(root)), by_uid(Records::of(&theirs)));
    assert_eq!(ours.len(), 8);
    assert!(ours.keys().eq(theirs.keys()));
    let mut compared = 0;
    for (uid, theirs) in &theirs {
        let ours = &ours[uid];
        assert_eq!(ours.way, theirs.way);
        let levels =
            |found: &Found| [&found.above[..], std::slice::from_ref(&found.record)].concat();
        for (ours, theirs) in levels(ours).iter().zip(&levels(theirs)) {
            for element in theirs.iter() {
                let tag = element.tag();
                let offset = tag.group() == 4 && matches!(tag.element(), 0x1400 | 0x1420);
                if offset || tag == tags::SPECIFIC_CHARACTER_SET {
                    continue;
                }
                let own = ours
                    .element(tag)
                    .unwrap_or_else(|_| panic!("{tag} is missing"));
                let value = |element: &dicom_object::mem::InMemElement| match element.items() {
                    Some(items) => format!("{} items", items.len()),
                    None => element.to_str().unwrap().trim().to_owned(),
                };
                assert_eq!(value(own), value(element), "{tag}");
                compared += 1;
            }
        }
    }
    assert!(compared > 200, "{compared}");
}

/// A sample film of another patient, whose name is in another character set.
fn film_in_cyrillic() -> Instance {
    let mut film = open_file(sample("phantom-5.dcm")).unwrap();
    for (tag, vr, text) in [
        (tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 144"),
        (tags::PATIENT_NAME, VR::PN, "Жуковська^Ольга"),
    ] {
        film.put(DataElement::new(tag, vr, PrimitiveValue::from(text)));
    }
    let folder = empty();
    let path = folder.path().join("film.dcm");
    film.write_to_file(&path).unwrap();
    Instance::read(&path)
}

#[test]
#[ignore = "needs dcmtk, dicom3tools, minisign and pydicom: .ci/peers"]
fn others_read_a_stick_and_what_is_added_to_theirs() {
    let python = format!("{}/bin/python", std::env::var("PLUMBLINE_PEERS").unwrap());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pydicom_file_set.py");
    for (foreign, mut expected) in [(false, 8), (true, 10)] {
        let stick = empty();
        let root = stick.path().to_str().unwrap();
        if foreign {
            foreign_file_set(stick.path());
        }
        let before = fs::read(stick.path().join("DICOMDIR")).ok();
        let station = Station::start(&stick_at(stick.path()));
        send(&station, &Instance::read(&sample("phantom-6.dcm")));
        send(&station, &film_in_cyrillic());
        all_delivered(&station, 8);
        if foreign {
            // Its film is in the file-set already, and is not entered twice.
            expected -= 1;
        }
        let records = Records::read(stick.path());
        assert_eq!(records.instances(stick.path()).len(), expected);
        if let Some(before) = before {
            let object = open_file(stick.path().join("DICOMDIR")).unwrap();
            assert_eq!(text(&object, tags::FILE_SET_ID), "ELSEWHERE");
            assert!(records.bytes.len() > before.len());
        }
        if !foreign {
            require_keys_as_dcmtk_has_them(stick.path());
        }
        let directory = format!("{root}/DICOMDIR");
        let (valid, said) = run("dciodvfy", &[&directory]);
        // The profile's keys are none of the general DICOMDIR's.
        let complaint = |line: &&str| {
            (line.starts_with("Error") || line.starts_with("Warning"))
                && !line.contains("not present in standard DICOM IOD")
        };
        let complaints: Vec<_> = said.lines().filter(complaint).collect();
        assert!(valid && complaints.is_empty(), "{said}");
        let (dumped, said) = run("/usr/bin/dcmdump", &["+Qn", &directory]);
        assert!(
            dumped && !said.contains("W:") && !said.contains("E:"),
            "{said}"
        );
        assert_eq!(
            said.matches("#  offset=").count(),
            records.records.len(),
            "{said}"
        );

        let (ran, said) = run(
            &python,
            &["-W", "error::UserWarning", script.to_str().unwrap(), root],
        );
        assert!(ran, "{said}");
        let read = said.lines().map(serde_json::from_str);
        let read: Vec<Value> = read
            .collect::<Result<_, _>>()
            .unwrap_or_else(|_| panic!("{said}"));
        assert_eq!(read.len(), expected);
        for instance in &read {
            assert_eq!(instance["same"], true, "{instance}");
            let path = instance["path"].as_str().unwrap();
            let file = format!("{root}/{path}");
            let (dumped, said) = run("/usr/bin/dcmftest", &[&file]);
            assert!(dumped, "{said}");
            let (dumped, said) = run("/usr/bin/dcmdump", &["+fo", &file]);
            assert!(dumped, "{said}");
        }
        let named = |name: &str| read.iter().filter(|one| one["patient"] == name).count();
        assert_eq!(named("Жуковська^Ольга"), 4, "{read:?}");

        // dcmtk adds to what the station has written, and the station to that.
        let film = Instance::read(&sample("phantom-6.dcm")).numbered(7);
        if !foreign {
            add_by_dcmtk(stick.path(), &[4], &["+A"]);
        }
        send(&station, &film);
        all_delivered(&station, 12);
        let instances = Records::read(stick.path()).instances(stick.path());
        assert_eq!(instances.len(), 13);

        // As docs/stick.md tells how to verify a seal without this program.
        let verify = "cd $0 && cp PLUMB/*/SEAL $2/both && cd $2 && \
            sed '/^untrusted comment: /,$d' both > list && \
            sed -n '/^untrusted comment: /,$p' both > list.minisig && \
            minisign -Vm list -P $1 && cd $0 && sha256sum -c $2/list";
        let folder = empty();
        let (key, folder) = (key(&station), folder.path().to_str().unwrap());
        let (whole, said) = run("bash", &["-c", verify, root, &key, folder]);
        assert!(whole && said.matches(": OK").count() == 12, "{said}");
        assert!(
            said.contains("Trusted comment: 12 files of station PLUMBLINE"),
            "{said}"
        );
    }
}
