//! Proof sheets: what happened to a film, verified by a hash that somebody else has recorded.

mod station;

use std::fs;
use std::path::Path;
use std::process::Command;

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::open_file;
use serde_json::Value;
use sha2::{Digest, Sha256};
use station::*;

const FOLDER: &str = "[[destination]]\nname = \"folder\"\nfolder = \"FOLDER/out\"\n";

/// What no sheet of another film may hold.
const MARKERS: [&str; 4] = [
    "Marker^Otherpatient",
    "MARKER-ID-77",
    "1.2.826.0.1.77.77",
    "marker nurse",
];

/// A station with a film that was read, sent and acknowledged, and, between these, one of another patient.
fn with_films() -> Station {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("out")).unwrap();
    let station = Station::start_in(folder, FOLDER);
    let mut other = open_file(sample("phantom-4.dcm")).unwrap();
    for (tag, vr, text) in [
        (tags::PATIENT_NAME, VR::PN, MARKERS[0]),
        (tags::PATIENT_ID, VR::LO, MARKERS[1]),
        (tags::SOP_INSTANCE_UID, VR::UI, MARKERS[2]),
    ] {
        other.put(DataElement::new(tag, vr, PrimitiveValue::from(text)));
    }
    other.update_meta(|meta| meta.media_storage_sop_instance_uid = MARKERS[2].into());
    let path = station.path("other.dcm");
    other.write_to_file(&path).unwrap();
    let mut sender = Sender::connect(&station).unwrap();
    assert_eq!(sender.store(&Instance::read(&sample("phantom-6.dcm"))), 0);
    assert_eq!(sender.store(&Instance::read(&path)), 0);
    sender.release();
    station.settled();
    acknowledge(&station, 2, MARKERS[3]);
    acknowledge(&station, 1, "Muñoz");
    wait_for(|| {
        let told = station.deliveries();
        let done = told.iter().all(|delivery| delivery["state"] == "delivered");
        (told.len() == 6 && done).then_some(())
    });
    station
}

fn acknowledge(station: &Station, film: u32, who: &str) {
    let body = format!("{{\"who\": \"{who}\"}}");
    let path = format!("/films/{film}/acknowledge");
    let kind = "application/json";
    let (status, said) = station.request("POST", &path, true, kind, body.as_bytes());
    assert_eq!(status, 204, "{said}");
}

/// The newest hash of the station's audit log, as anybody can record it.
fn recorded(station: &Station) -> String {
    let (_, body) = station.request("GET", "/health", false, "text/plain", b"");
    let health: Value = serde_json::from_str(&body).unwrap();
    health["audit"]["hash"].as_str().unwrap().to_owned()
}

/// Runs `proof --verify` in a folder without a station.
fn verify(sheet: &Path, head: &str) -> (bool, String) {
    let output = Command::new(PROGRAM)
        .args(["proof", "--verify"])
        .arg(sheet)
        .args(["--head", head])
        .current_dir(sheet.parent().unwrap())
        .env("XDG_STATE_HOME", "/nonexistent")
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

fn hash(text: &str) -> String {
    Sha256::digest(text)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn require(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in {text:?}");
    }
}

#[test]
fn a_sheet_tells_a_films_life_and_can_be_verified_without_the_station() {
    let station = with_films();
    let head = recorded(&station);
    let (done, json) = station.run(&["proof", "1", "--json"]);
    assert!(done, "{json}");
    let sheet: Value = serde_json::from_str(&json).unwrap();
    let film = &station.films()[1];
    assert_eq!(sheet["film"]["sha256"], film["hash"]);
    assert_eq!(sheet["film"]["whole"], true);
    assert_eq!(
        sheet["result"]["reading"]["bundle"],
        film["reading"]["bundle"]
    );
    assert_eq!(sheet["deliveries"].as_array().unwrap().len(), 3);
    assert_eq!(sheet["proof"]["head"], *head);

    // Anybody can compute the chain, with what the documentation says.
    let mut previous = sheet["proof"]["before"].as_str().unwrap().to_owned();
    let mut own = Vec::new();
    for entry in sheet["proof"]["entries"].as_array().unwrap() {
        previous = match entry.as_array() {
            Some(digests) => {
                let digests = digests.iter().map(|digest| digest.as_str().unwrap());
                hash(&(previous + &digests.collect::<String>()))
            }
            None => {
                own.push(entry["detail"].as_str().unwrap());
                entry["hash"].as_str().unwrap().to_owned()
            }
        };
    }
    assert_eq!(previous, head);
    let bundle = film["reading"]["bundle"].as_str().unwrap();
    let report = sheet["deliveries"].as_array().unwrap().iter();
    let report = { report }
        .find(|delivery| delivery["kind"] == "report")
        .unwrap();
    let sent = format!("instance {}", report["instance"].as_str().unwrap());
    require(
        &own.join("\n"),
        &[
            &format!("received: SHA-256 {}", film["hash"].as_str().unwrap()),
            "passed the quality gate",
            "read: see a specialist",
            bundle,
            "acknowledged",
            &sent,
        ],
    );

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sheet.json");
    fs::write(&path, &json).unwrap();
    let (proved, said) = verify(&path, &head);
    assert!(proved, "{said}");
    require(
        &said,
        &[
            "proved: film 1",
            "by Muñoz",
            "None of its entries is missing",
            &sent,
        ],
    );
    let (proved, said) = verify(&path, &hash("another"));
    assert!(
        !proved && said.contains("none of the sheet's entries has the hash"),
        "{said}"
    );
    // What the station says of the present is not proved, and is not asked.
    fs::write(&path, json.replace("\"whole\":true", "\"whole\":false")).unwrap();
    assert!(verify(&path, &head).0);
    let start = json.find("\"proof\":").unwrap();
    for step in 0..40 {
        let index = start + 8 + (json.len() - start - 12) * step / 40;
        let mut changed = json.clone().into_bytes();
        changed[index] ^= 1;
        fs::write(&path, &changed).unwrap();
        let (proved, said) = verify(&path, &head);
        assert!(
            !proved && said.starts_with("plumbline-edge: "),
            "byte {index}: {said}"
        );
        require(&said, &["sheet.json", "changed"]);
    }
}

#[test]
fn a_sheet_is_text_or_a_pdf_and_tells_of_no_other_film() {
    let station = with_films();
    let film = &station.films()[1];
    let pdf = station.path("sheet.pdf");
    let (done, text) = station.run(&["proof", "1", "--pdf", pdf.to_str().unwrap()]);
    assert!(done, "{text}");
    let document = lopdf::Document::load(&pdf).unwrap();
    let pages: Vec<_> = document.get_pages().into_keys().collect();
    let printed = document.extract_text(&pages).unwrap();
    let printed = printed.split_whitespace().collect::<Vec<_>>().join(" ");
    let digest = film["hash"].as_str().unwrap();
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for told in [&flat, &printed] {
        require(
            told,
            &[
                "Proof sheet of film 1",
                digest,
                "has the bytes that were received",
                "Refer to a specialist",
                "acknowledged, by Muñoz",
                "report of result",
                "to folder: delivered",
                "ends with the hash",
            ],
        );
    }
    let (_, json) = station.run(&["proof", "1", "--json"]);
    for told in [&text, &printed, &json] {
        for marker in MARKERS {
            assert!(!told.contains(marker), "{marker} is in {told}");
        }
    }
    let instance = film["header"]["sop_instance_uid"].as_str().unwrap();
    let since = |text: String| text[text.find("The film now").unwrap()..].to_owned();
    for name in [digest, instance] {
        let (done, same) = station.run(&["proof", name]);
        assert!(done && since(same) == since(text.clone()), "{name}");
    }
    let (done, said) = station.run(&["proof", "1.2.3"]);
    assert!(
        !done && said.contains("no film has the number, SHA-256 or SOP"),
        "{said}"
    );
    let (done, said) = station.run(&["proof", "1", "--head", "00"]);
    assert!(
        !done && said.contains("no entry of the audit log"),
        "{said}"
    );

    // A file that was changed behind the station's back is told.
    let file = find(&station.path("data"), digest);
    let mut bytes = fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::remove_file(&file).unwrap();
    fs::write(&file, bytes).unwrap();
    let (done, said) = station.run(&["proof", "1"]);
    assert!(
        done && said.contains("was changed: its SHA-256 is"),
        "{said}"
    );
}

/// The file of this name somewhere below a folder.
fn find(folder: &Path, name: &str) -> std::path::PathBuf {
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path
                .file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with(name)
            {
                return path;
            }
        }
    }
    panic!("there is no file {name}");
}
