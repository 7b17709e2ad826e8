//! The station tests itself.

mod station;

use std::fs;

use dicom_dictionary_std::tags;
use dicom_object::open_file;
use serde_json::Value;
use station::{Station, files, wait_for};

fn newest(station: &Station) -> Value {
    let (status, body) = station.request("GET", "/self-test", true, "", b"");
    assert_eq!(status, 200);
    serde_json::from_str(&body).unwrap()
}

/// Has the station test itself, and returns how that ended.
fn tested(station: &Station) -> Value {
    let before = newest(station)["film"].as_i64();
    assert_eq!(station.request("POST", "/self-test", true, "", b"").0, 202);
    wait_for(|| {
        let test = newest(station);
        (test["film"].as_i64() > before && !test["wrong"].is_null()).then_some(test)
    })
}

#[test]
fn a_test_film_goes_the_whole_way_and_is_marked() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("out")).unwrap();
    let more = "[[destination]]\nname = \"folder\"\nfolder = \"FOLDER/out\"\n\
        sends = [\"originals\", \"reports\", \"captures\"]\n\
        [[destination]]\nname = \"away\"\nfolder = \"FOLDER/away\"\n";
    let station = Station::start_in(folder, more);
    assert_eq!(newest(&station), Value::Null);
    let first = tested(&station);
    assert_eq!(first["wrong"], serde_json::json!([]));
    let film = &station.films()[0];
    assert_eq!(
        (&film["origin"], &film["state"]),
        (&"self-test".into(), &"read".into())
    );
    assert_eq!(film["reading"]["positive"], true);
    // Results of tests and films of tests cannot be taken for a patient's.
    let files = wait_for(|| Some(files(&station.path("out"))).filter(|files| files.len() == 3));
    for file in files {
        let object = open_file(file).unwrap();
        let text = |tag| {
            object
                .element(tag)
                .unwrap()
                .to_str()
                .unwrap()
                .trim_end()
                .to_owned()
        };
        assert_eq!(text(tags::QUALITY_CONTROL_SUBJECT), "YES");
        assert_eq!(text(tags::PATIENT_ID), "PLUMBLINE-SELF-TEST");
    }
    let (_, health) = station.request("GET", "/health", false, "", b"");
    assert!(health.contains("\"healthy\":true"), "{health}");
    // What the first has not delivered by the time of the second is told.
    let second = tested(&station);
    let wrong = second["wrong"].as_array().unwrap();
    assert!(
        wrong.len() == 1 && wrong[0].as_str().unwrap().contains("have not come to away"),
        "{wrong:?}"
    );
    let (status, health) = station.request("GET", "/health", false, "", b"");
    assert!(
        status == 503 && health.contains("have not come to away"),
        "{health}"
    );
    fs::create_dir(station.path("away")).unwrap();
    wait_for(|| {
        let delivered = |one: &Value| one["state"] == "delivered";
        station.deliveries().iter().all(delivered).then_some(())
    });
    let third = tested(&station);
    assert_eq!(third["wrong"], serde_json::json!([]));
    assert_eq!(third["logit"], first["logit"]);
    let (_, health) = station.request("GET", "/health", false, "", b"");
    assert!(health.contains("\"healthy\":true"), "{health}");
}

#[test]
fn the_test_film_is_one_that_is_meant() {
    let station = Station::start(
        "[intended_use]\nyoungest = 30\noldest = 40\nmodalities = [\"CR\"]\n\
         body_parts = [\"THORAX\"]\n",
    );
    assert_eq!(tested(&station)["wrong"], serde_json::json!([]));
}

#[test]
fn a_station_that_refuses_its_test_film_says_so() {
    // Its view is one of those that are not read.
    let station = Station::start("[intended_use]\nother_views = [\"PA\"]\n");
    let test = tested(&station);
    let wrong = test["wrong"][0].as_str().unwrap();
    assert!(
        wrong.contains("the self-test's film was not read"),
        "{wrong}"
    );
    let (status, health) = station.request("GET", "/health", false, "", b"");
    assert!(status == 503 && health.contains("was not read"), "{health}");
}
