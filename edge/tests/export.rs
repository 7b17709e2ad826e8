//! Films that leave the station without the names of their patients.

#[path = "station/programs.rs"]
mod programs;
mod station;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry, VirtualVr};
use dicom_core::header::Header;
use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags, uids};
use dicom_object::{DefaultDicomObject, FileMetaTableBuilder, InMemDicomObject, open_file};
use plumbline_edge::deidentify::rows;
use programs::run;
use rusqlite::Connection;
use station::*;

/// Begins each text that must not leave.
const MARK: &str = "ZQM";

/// Begins each UID that must not leave.
const UID: &str = "1.2.999.77.";

/// The attributes that a film keeps, so that the station takes it.
const NEEDED: [Tag; 4] = [
    tags::SOP_CLASS_UID,
    tags::BURNED_IN_ANNOTATION,
    tags::PHOTOMETRIC_INTERPRETATION,
    tags::SPECIFIC_CHARACTER_SET,
];

/// All attributes of the dictionary whose values are texts or UIDs, and all sequences.
fn attributes() -> (Vec<(Tag, VR)>, Vec<Tag>) {
    let (mut texts, mut sequences) = (Vec::new(), Vec::new());
    let groups = (0x0008..0x0100).chain([0x0400, 0x2000, 0x2050, 0x2200]);
    for group in groups.filter(|group: &u16| group.is_multiple_of(2)) {
        for element in 1..=0xffff {
            let tag = Tag(group, element);
            let Some(entry) = StandardDataDictionary.by_tag(tag) else {
                continue;
            };
            match entry.vr() {
                VirtualVr::Exact(VR::SQ) => sequences.push(tag),
                VirtualVr::Exact(vr) if is_text(vr) && !NEEDED.contains(&tag) => {
                    texts.push((tag, vr));
                }
                _ => {}
            }
        }
    }
    (texts, sequences)
}

fn is_text(vr: VR) -> bool {
    use VR::{AE, AS, CS, DA, DT, LO, LT, PN, SH, ST, TM, UC, UI, UR, UT};
    [AE, AS, CS, DA, DT, LO, LT, PN, SH, ST, TM, UC, UI, UR, UT].contains(&vr)
}

/// Writes marks, each its own.
#[derive(Default)]
struct Marker {
    made: usize,
}

impl Marker {
    fn mark(&mut self, object: &mut InMemDicomObject, tag: Tag, vr: VR) {
        self.made += 1;
        let text = match vr {
            VR::UI => format!("{UID}{}", self.made),
            _ => format!("{MARK}{}", self.made),
        };
        object.put(DataElement::new(tag, vr, text));
    }

    /// An object with marks in these attributes, in private ones and in what is not of this data set.
    fn object(&mut self, texts: &[(Tag, VR)]) -> InMemDicomObject {
        let mut object = InMemDicomObject::new_empty();
        for &(tag, vr) in texts {
            self.mark(&mut object, tag, vr);
        }
        for tag in [
            Tag(0x0009, 0x0010),
            Tag(0x0009, 0x1001),
            Tag(0x0029, 0x0010),
        ] {
            self.mark(&mut object, tag, VR::LO);
        }
        for (group, element, vr) in [
            (0x0029, 0x1002, VR::UN),
            (0x0029, 0x1003, VR::OB),
            (0x0028, 0x2000, VR::OB),
            (0x0042, 0x0011, VR::OB),
            (0x0018, 0x1150, VR::UN),
            (0x5000, 0x2500, VR::LO),
            (0x6000, 0x0022, VR::LO),
            (0x6000, 0x4000, VR::LT),
            (0x6002, 0x3000, VR::OB),
            (0xfffc, 0xfffc, VR::OB),
        ] {
            self.made += 1;
            let bytes = format!("{MARK}{:05}", self.made).into_bytes();
            let value = match vr {
                VR::LO | VR::LT => PrimitiveValue::from(String::from_utf8(bytes).unwrap()),
                _ => PrimitiveValue::U8(bytes.into()),
            };
            object.put(DataElement::new(Tag(group, element), vr, value));
        }
        object
    }
}

fn sequence(object: &mut InMemDicomObject, tag: Tag, items: Vec<InMemDicomObject>) {
    object.put(DataElement::new(tag, VR::SQ, DataSetSequence::from(items)));
}

/// A film with marks in every text and at every depth, and with private elements, written as `syntax`.
fn marked(syntax: &str, path: &Path) {
    let source = open_file(sample("phantom-6.dcm")).unwrap().into_inner();
    let (mut texts, sequences) = attributes();
    assert!(
        texts.len() > 1000 && sequences.len() > 500,
        "{}",
        texts.len()
    );
    let mut marker = Marker::default();
    let mut film = marker.object(&texts);
    let few = [
        (tags::PATIENT_NAME, VR::PN),
        (tags::TEXT_VALUE, VR::UT),
        (tags::CODE_MEANING, VR::LO),
        (tags::REFERENCED_SOP_INSTANCE_UID, VR::UI),
        (tags::STUDY_DATE, VR::DA),
    ];
    for tag in sequences {
        let mut item = marker.object(&few);
        // A code that is known, with another meaning.
        for (tag, vr, text) in [
            (tags::CODE_VALUE, VR::SH, "51185008"),
            (tags::CODING_SCHEME_DESIGNATOR, VR::SH, "SCT"),
        ] {
            item.put(DataElement::new(tag, vr, text));
        }
        let mut unknown = marker.object(&few);
        marker.mark(&mut unknown, tags::CODE_VALUE, VR::SH);
        sequence(&mut film, tag, vec![item, unknown]);
    }
    // Items with a code are of concepts.
    texts.retain(|(tag, _)| *tag != tags::CODE_VALUE);
    // Three sequences deep: a view, its modifier, and that one's own.
    let own = source
        .element(tags::SOP_INSTANCE_UID)
        .unwrap()
        .to_str()
        .unwrap();
    let mut deepest = marker.object(&texts);
    deepest.put(DataElement::new(
        tags::REFERENCED_SOP_INSTANCE_UID,
        VR::UI,
        &*own,
    ));
    let mut deep = InMemDicomObject::new_empty();
    sequence(&mut deep, tags::SOURCE_IMAGE_SEQUENCE, vec![deepest]);
    let mut item = marker.object(&texts);
    sequence(&mut item, tags::REFERENCED_IMAGE_SEQUENCE, vec![deep]);
    sequence(&mut film, tags::SOURCE_IMAGE_SEQUENCE, vec![item]);
    let mut private = InMemDicomObject::new_empty();
    sequence(
        &mut private,
        Tag(0x0011, 0x1010),
        vec![marker.object(&texts)],
    );
    sequence(&mut film, Tag(0x0011, 0x1010), vec![private]);
    if syntax != uids::IMPLICIT_VR_LITTLE_ENDIAN {
        // A public attribute under another VR. In implicit VR nothing tells a text from numbers.
        marker.mark(&mut film, tags::PLANAR_CONFIGURATION, VR::LO);
    }
    for tag in NEEDED.into_iter().chain([tags::SOP_INSTANCE_UID]) {
        film.put(source.element(tag).unwrap().clone());
    }
    for element in &source {
        let tag = element.tag();
        if tag.group() >= 0x0028 && film.get(tag).is_none() {
            film.put(element.clone());
        }
    }
    let meta = FileMetaTableBuilder::new()
        .transfer_syntax(syntax)
        .implementation_version_name("ZQM_VERSION")
        .source_application_entity_title("ZQM_SOURCE")
        .private_information_creator_uid("1.2.999.77.0")
        .private_information(b"ZQM_PRIVATE!".to_vec());
    film.with_meta(meta).unwrap().write_to_file(path).unwrap();
}

fn saying(answer: Option<&str>, number: usize, path: &Path) {
    let mut film = open_file(sample("phantom-6.dcm")).unwrap();
    film.remove_element(tags::BURNED_IN_ANNOTATION);
    if let Some(answer) = answer {
        film.put(DataElement::new(tags::BURNED_IN_ANNOTATION, VR::CS, answer));
    }
    let instance = format!("1.2.999.78.{number}");
    film.put(DataElement::new(tags::SOP_INSTANCE_UID, VR::UI, &*instance));
    film.update_meta(|meta| meta.media_storage_sop_instance_uid = instance);
    film.write_to_file(path).unwrap();
}

fn watching(more: &str) -> Station {
    let folder = tempfile::tempdir().unwrap();
    for name in ["films", "out"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    let more = format!("[folder]\npath = \"FOLDER/films\"\n{more}");
    Station::start_in(folder, &more)
}

fn settle(station: &Station, count: usize) {
    wait_for(|| (station.films().len() == count).then_some(()));
    station.settled();
}

/// The files of an export, without its table.
fn exported(folder: &Path) -> Vec<PathBuf> {
    let mut exported = files(folder);
    exported.retain(|file| file.parent() != Some(folder));
    exported
}

fn text(object: &InMemDicomObject, tag: Tag) -> String {
    object.element(tag).unwrap().to_str().unwrap().into_owned()
}

fn pixels(object: &InMemDicomObject) -> Vec<u8> {
    let pixels = object.element(tags::PIXEL_DATA).unwrap();
    pixels.to_bytes().unwrap().into_owned()
}

fn has(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

fn events(station: &Station, event: &str) -> Vec<String> {
    let database = Connection::open(station.path("data/plumbline.sqlite")).unwrap();
    let mut rows = database
        .prepare("SELECT object FROM audit WHERE event = ?1 ORDER BY sequence")
        .unwrap();
    let rows = rows.query_map([event], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn no_word_of_a_film_leaves_and_its_pixels_stay() {
    let station = watching("");
    let syntaxes = [
        uids::EXPLICIT_VR_LITTLE_ENDIAN,
        uids::IMPLICIT_VR_LITTLE_ENDIAN,
    ];
    for (number, syntax) in syntaxes.into_iter().enumerate() {
        let made = station.path("made.dcm");
        marked(syntax, &made);
        let source = fs::read(&made).unwrap();
        assert!(has(&source, "ZQM_SOURCE") && has(&source, "ZQM900"));
        let watched = station.path(&format!("films/{number}.dcm"));
        fs::rename(&made, &watched).unwrap();
        settle(&station, number + 1);
        let out = station.path(&format!("research-{number}"));
        let film = (number + 1).to_string();
        let (ended, said) = station.run(&[
            "export",
            "--deidentified",
            "--film",
            &film,
            "--out",
            out.to_str().unwrap(),
        ]);
        assert!(ended && said.contains("1 films are in"), "{said}");
        let files = exported(&out);
        let [file] = &files[..] else {
            panic!("{files:?}")
        };
        let bytes = fs::read(file).unwrap();
        let source = open_file(&watched).unwrap();
        let instance_before = text(&source, tags::SOP_INSTANCE_UID);
        let table = fs::read(out.join("films.csv")).unwrap();
        let name = file.display().to_string();
        for written in [&bytes, &table, &name.into_bytes()] {
            for gone in [MARK, UID, &*instance_before] {
                assert!(!has(written, gone), "{gone}");
            }
        }
        let film = open_file(file).unwrap();
        assert_eq!(film.meta().transfer_syntax().trim_end_matches('\0'), syntax);
        assert_eq!(pixels(&film), pixels(&source));
        assert_eq!(text(&film, tags::PATIENT_IDENTITY_REMOVED), "YES");
        let profile = film
            .element(tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE)
            .unwrap();
        assert_eq!(
            text(&profile.items().unwrap()[0], tags::CODE_VALUE),
            "113100"
        );
        assert_eq!(
            text(&film, tags::LONGITUDINAL_TEMPORAL_INFORMATION_MODIFIED),
            "REMOVED"
        );
        // The reference to itself, three sequences deep.
        let mut nested = film.clone().into_inner();
        for tag in [
            tags::SOURCE_IMAGE_SEQUENCE,
            tags::REFERENCED_IMAGE_SEQUENCE,
            tags::SOURCE_IMAGE_SEQUENCE,
        ] {
            nested = nested.element(tag).unwrap().items().unwrap()[0].clone();
        }
        let instance = text(&film, tags::SOP_INSTANCE_UID);
        assert_eq!(text(&nested, tags::REFERENCED_SOP_INSTANCE_UID), instance);
        assert_eq!(
            film.meta()
                .media_storage_sop_instance_uid()
                .trim_end_matches('\0'),
            instance
        );
        // A known code has its own meaning, and one that is not known is gone.
        let region = film.element(tags::ANATOMIC_REGION_SEQUENCE).unwrap();
        let [region] = region.items().unwrap() else {
            panic!("{region:?}")
        };
        assert_eq!(text(region, tags::CODE_VALUE), "51185008");
        assert_eq!(text(region, tags::CODE_MEANING), "Thorax");
        require_as_listed(&film);
    }
    let of = |number: usize, tag| {
        let file = exported(&station.path(&format!("research-{number}"))).remove(0);
        text(&open_file(file).unwrap(), tag)
    };
    assert_eq!(events(&station, "110106").len(), 2);
    // The same number of the same patient, and the same study, in two exports.
    for tag in [tags::STUDY_INSTANCE_UID, tags::PATIENT_ID] {
        assert_eq!(of(0, tag), of(1, tag), "{tag}");
    }
}

/// Requires that nothing is left that the list says is removed or has no value.
fn require_as_listed(film: &DefaultDicomObject) {
    let is = |what: &str| -> BTreeSet<String> {
        let rows = rows().into_iter().filter(|row| row.done == what);
        rows.map(|row| row.tag).collect()
    };
    let (removed, emptied) = (is("removed"), is("emptied"));
    assert!(removed.len() > 400);
    let mut left = Vec::new();
    every(film, &mut left);
    for (tag, is_empty) in left {
        let name = tag.to_string();
        assert!(!removed.contains(&name), "{name}");
        assert!(is_empty || !emptied.contains(&name), "{name}");
        assert!(tag.group().is_multiple_of(2), "{name}");
    }
}

fn every(object: &InMemDicomObject, into: &mut Vec<(Tag, bool)>) {
    for element in object {
        let items = element.items().unwrap_or_default();
        let value = element.value();
        let is_empty = match value.primitive() {
            Some(value) => value.calculate_byte_len() == 0,
            None => items.is_empty(),
        };
        into.push((element.tag(), is_empty));
        for item in items {
            every(item, into);
        }
    }
}

#[test]
fn films_that_may_show_text_are_held_back_until_somebody_has_looked() {
    let more = "[[destination]]\nname = \"research\"\nfolder = \"FOLDER/out\"\n\
                sends = [\"deidentified\"]\n";
    let station = watching(more);
    for (number, answer) in [Some("NO"), Some("YES"), None].into_iter().enumerate() {
        let made = station.path("made.dcm");
        saying(answer, number, &made);
        fs::rename(&made, station.path(&format!("films/{number}.dcm"))).unwrap();
        settle(&station, number + 1);
    }
    fs::copy(sample("phantom-1.png"), station.path("films/picture.png")).unwrap();
    settle(&station, 4);
    let export = |name: &str, more: &[&str]| {
        let out = station.path(name);
        let arguments = ["export", "--deidentified", "--out", out.to_str().unwrap()];
        let (ended, said) = station.run(&[&arguments, more].concat());
        (out, ended, said)
    };
    let (out, ended, said) = export("all", &[]);
    assert!(!ended, "{said}");
    assert!(said.contains("1 films are in"), "{said}");
    assert!(said.contains(": 2: films 3, 2;"), "{said}");
    assert!(said.contains("left out: film 4: it is a picture"), "{said}");
    assert_eq!(exported(&out).len(), 1);

    let (_, ended, said) = export("all", &[]);
    assert!(!ended && said.contains("not empty"), "{said}");
    let films = ["--film", "2", "--film", "3", "--film", "9"];
    let (checked, ended, said) =
        export("checked", &[&films[..], &["--burned-in-checked"]].concat());
    assert!(!ended && said.contains("2 films are in"), "{said}");
    assert!(said.contains("left out: film 9:"), "{said}");
    let files = exported(&checked);
    assert_eq!(files.len(), 2);
    assert_eq!(
        files[0].parent().unwrap().file_name(),
        exported(&out)[0].parent().unwrap().file_name()
    );

    // The table says what was read, and names nobody.
    let mut table = csv::Reader::from_path(checked.join("films.csv")).unwrap();
    let rows: Vec<csv::StringRecord> = table.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 2);
    let reading = station
        .films()
        .into_iter()
        .find(|film| film["film"] == 2)
        .unwrap();
    for row in &rows {
        assert!(checked.join(&row[0]).is_file());
        let film = open_file(checked.join(&row[0])).unwrap();
        assert_eq!(row[1], text(&film, tags::PATIENT_ID));
        assert_eq!(row[2], text(&film, tags::STUDY_INSTANCE_UID));
        assert_eq!((&row[3], &row[4], &row[5]), ("", "read", "1"));
        let probability: f64 = row[6].parse().unwrap();
        assert_eq!(
            probability,
            reading["reading"]["probability"].as_f64().unwrap()
        );
        assert_eq!(row[8], *reading["reading"]["model"].as_str().unwrap());
        assert_eq!(&row[10], "accepted");
    }

    // The destination got the one, and the others are refused with words.
    let deliveries = wait_for(|| {
        let deliveries = station.deliveries();
        let waits = |delivery: &serde_json::Value| delivery["state"] == "waiting";
        (deliveries.len() == 3 && !deliveries.iter().any(waits)).then_some(deliveries)
    });
    for delivery in deliveries {
        match delivery["film"].as_i64() {
            Some(1) => assert_eq!(delivery["state"], "delivered", "{delivery}"),
            _ => {
                assert_eq!(delivery["state"], "refused", "{delivery}");
                assert!(
                    delivery["words"]
                        .as_str()
                        .unwrap()
                        .contains("--burned-in-checked")
                );
            }
        }
    }
    let sent = exported(&station.path("out"));
    assert_eq!(sent.len(), 1);
    assert_eq!(
        fs::read(&sent[0]).unwrap(),
        fs::read(&exported(&out)[0]).unwrap()
    );
    assert_eq!(events(&station, "110106").len(), 3);
    assert!(!station.log().contains("Phantom^"));
}

#[test]
fn hostile_films_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    fs::write(&key, [7; 32]).unwrap();
    let said = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let arguments = [
            "deidentify",
            "--key",
            key.to_str().unwrap(),
            path.to_str().unwrap(),
        ];
        run(PROGRAM, &arguments).1
    };
    let whole = fs::read(sample("phantom-6.dcm")).unwrap();
    assert!(said("whole", &whole).contains("\"Done\""));
    for cut in [0, 100, 200, 700, whole.len() / 2] {
        let said = said("cut", &whole[..cut]);
        assert!(said.contains("\"Refused\""), "{cut}: {said}");
    }
    let mut film = open_file(sample("phantom-6.dcm")).unwrap();
    film.put(DataElement::new(
        Tag(0x6000, 0x0102),
        VR::US,
        PrimitiveValue::from(12_u16),
    ));
    let path = folder.path().join("overlay.dcm");
    film.write_to_file(&path).unwrap();
    assert!(said("overlay", &fs::read(&path).unwrap()).contains("overlay within its pixels"));
    film.remove_element(Tag(0x6000, 0x0102));
    film.put(DataElement::new(
        tags::SOP_CLASS_UID,
        VR::UI,
        "1.2.840.10008.5.1.4.1.1.2",
    ));
    film.write_to_file(&path).unwrap();
    assert!(said("ct", &fs::read(&path).unwrap()).contains("another SOP class"));
}

/// What dciodvfy has against a file: each error once, with neither values nor numbers.
fn errors(path: &Path) -> BTreeSet<String> {
    let (_, said) = run("/usr/bin/dciodvfy", &[path.to_str().unwrap()]);
    let errors = said.lines().filter(|line| line.starts_with("Error"));
    errors.map(str::to_owned).collect()
}

/// The DICOM films of the repository that the station exports.
fn samples() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folders = ["tests/films", "shared/tests/films"];
    let files = folders.map(|folder| fs::read_dir(root.join(folder)).unwrap());
    let mut films: Vec<_> = files
        .into_iter()
        .flatten()
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "dcm"))
        .collect();
    films.sort();
    films
}

/// De-identifies a file by the hidden command; none if it is refused.
fn deidentified(path: &Path, folder: &Path) -> Option<PathBuf> {
    let key = folder.join("key");
    fs::write(&key, [7; 32]).unwrap();
    let output = Command::new(PROGRAM)
        .arg("deidentify")
        .arg("--key")
        .args([&key, path])
        .output()
        .unwrap();
    let (length, rest) = output.stdout.split_first_chunk().unwrap();
    let (head, file) = rest.split_at(u32::from_le_bytes(*length) as usize);
    let written = folder.join(path.file_name().unwrap());
    let done = head.starts_with(b"{\"Done\"");
    done.then(|| fs::write(&written, file).unwrap())?;
    Some(written)
}

#[test]
#[ignore = "needs dicom3tools and pydicom: .ci/peers"]
fn pydicom_finds_no_mark_and_dciodvfy_no_new_fault() {
    let folder = tempfile::tempdir().unwrap();
    let python = format!("{}/bin/python", std::env::var("PLUMBLINE_PEERS").unwrap());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pydicom_deidentified.py");
    let pydicom = |what: &str, source: &Path, target: &Path| {
        let arguments =
            [&script, Path::new(what), source, target].map(|part| part.to_str().unwrap());
        let (ran, said) = run(&python, &arguments);
        assert!(ran, "{said}");
    };
    let mut done = 0;
    for source in samples() {
        let Some(target) = deidentified(&source, folder.path()) else {
            continue;
        };
        done += 1;
        pydicom("check", &source, &target);
        let new: Vec<_> = errors(&target)
            .difference(&errors(&source))
            .cloned()
            .collect();
        assert!(new.is_empty(), "{}: {new:#?}", source.display());
    }
    assert!(done >= 40, "{done}");
    for name in ["phantom-6.dcm", "phantom-4.dcm"] {
        let marked = folder.path().join("marked.dcm");
        pydicom("make", &sample(name), &marked);
        let made = tempfile::tempdir().unwrap();
        let target = deidentified(&marked, made.path()).unwrap();
        pydicom("check", &marked, &target);
    }
}
