//! What a station sends to archives on the web (STOW-RS).

#[path = "station/programs.rs"]
mod programs;
mod station;
#[path = "station/web_archive.rs"]
mod web_archive;

use std::fs;
use std::io::Cursor;
use std::path::Path;

use dicom_dictionary_std::tags;
use dicom_object::from_reader;
use programs::{Background, Orthanc, certificates, free_port, wait_for_port};
use serde_json::{Value, json};
use station::{Instance, Sender, Station, sample, wait_for};
use web_archive::{Asked, Reply, WebArchive};

fn send(station: &Station, film: &Instance) {
    let mut sender = Sender::connect(station).unwrap();
    assert_eq!(sender.store(film), 0);
    sender.release();
}

/// The film under a Study Instance UID of its own.
fn of_another_study(mut film: Instance) -> Instance {
    let study = b"\x20\0\x0d\0UI";
    let at = film
        .data
        .windows(study.len())
        .position(|window| window == study);
    // Behind tag, VR and length, the first digit behind `2.25.`.
    film.data[at.unwrap() + study.len() + 2 + 5] = b'7';
    film.numbered(7)
}

/// Waits until so many deliveries have ended, and returns them, the oldest first.
fn ended(station: &Station, count: usize) -> Vec<Value> {
    wait_for(|| {
        let mut told = station.deliveries();
        told.reverse();
        let waits = |told: &Value| told["state"] == "waiting";
        (told.len() == count && !told.iter().any(waits)).then_some(told)
    })
}

/// The DICOM file in a request, which has one part.
fn part(asked: &Asked) -> Vec<u8> {
    let kind = asked.header("content-type").unwrap();
    let boundary = kind
        .strip_prefix("multipart/related; type=\"application/dicom\"; boundary=")
        .unwrap();
    let head = format!("--{boundary}\r\nContent-Type: application/dicom\r\n\r\n");
    let tail = format!("\r\n--{boundary}--\r\n");
    let body = asked.body.strip_prefix(head.as_bytes()).unwrap();
    body.strip_suffix(tail.as_bytes()).unwrap().to_vec()
}

/// An answer that names no instance and has this reason in this sequence.
macro_rules! reason {
    ($sequence:literal, $tag:literal, $code:literal) => {
        concat!(
            "{\"",
            $sequence,
            "\": {\"vr\": \"SQ\", \"Value\": [{\"",
            $tag,
            "\": {\"vr\": \"US\", \"Value\": [",
            $code,
            "]}}]}}"
        )
    };
}

const JSON: &str = "Content-Type: application/dicom+json";

#[test]
fn answers_over_the_web_mean_what_the_standard_says() {
    const REPLIES: &[Reply] = &[
        // The first film: all that passes.
        Reply::Answer(503, "Retry-After: 1", "later"),
        Reply::BreakOff,
        Reply::Answer(500, "", ""),
        Reply::Answer(409, JSON, reason!("00081198", "00081197", 42752)),
        Reply::Answer(200, JSON, reason!("00081199", "00081196", 45056)),
        // The second: some of it failed, which is all there is.
        Reply::Answer(202, JSON, reason!("00081198", "00081197", 290)),
        // The third and the fourth, which a server between refuses once for its size.
        Reply::Answer(415, "Content-Type: text/plain", "no such\u{7}syntax"),
        Reply::Answer(401, "", ""),
        Reply::Answer(403, "", ""),
        Reply::Answer(413, "", ""),
    ];
    let archive = WebArchive::start(REPLIES);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("token"), "abc.def\n").unwrap();
    let more = format!(
        "[[destination]]\nname = \"web\"\nurl = \"http://{}/dicom-web/\"\n\
         token = \"FOLDER/token\"\nsends = [\"reports\"]\n",
        archive.address
    );
    let station = Station::start_in(folder, &more);
    let [one, two, three] = ["phantom-4.dcm", "phantom-5.dcm", "phantom-6.dcm"]
        .map(|name| Instance::read(&sample(name)));
    let four = of_another_study(Instance::read(&sample("phantom-6.dcm")));
    for (index, film) in [one, two, three, four].iter().enumerate() {
        send(&station, film);
        ended(&station, index + 1);
    }
    let told = ended(&station, 4);
    let told: Vec<_> = told
        .iter()
        .map(|one| {
            let attempts = one["attempts"].as_u64().unwrap();
            (
                one["state"].as_str().unwrap(),
                attempts,
                one["words"].as_str().unwrap_or_default(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("delivered", 5, "status 200, reason B000"),
            ("refused", 1, "status 202, reason 0122"),
            ("refused", 1, "status 415: no such\u{fffd}syntax"),
            ("delivered", 4, ""),
        ]
    );
    let asked = archive.asked();
    assert_eq!(asked.len(), REPLIES.len());
    let first = part(&asked[0]);
    for again in &asked[1..4] {
        assert_eq!(part(again), first);
    }
    let report = from_reader(Cursor::new(first)).unwrap();
    let study = report
        .element(tags::STUDY_INSTANCE_UID)
        .unwrap()
        .to_str()
        .unwrap();
    let study = study.trim_end_matches('\0');
    assert_eq!(
        asked[0].line,
        format!("POST /dicom-web/studies/{study} HTTP/1.1")
    );
    for one in &asked {
        assert_eq!(one.header("authorization"), Some("Bearer abc.def"));
        assert_eq!(one.header("accept"), Some("application/dicom+json"));
    }
}

#[test]
fn a_destination_that_is_not_there_is_waited_for() {
    let port = free_port();
    let station = Station::start(&format!(
        "[[destination]]\nname = \"web\"\nurl = \"http://127.0.0.1:{port}/dicom-web\"\n"
    ));
    send(&station, &Instance::read(&sample("phantom-6.dcm")));
    wait_for(|| {
        let told = station.deliveries();
        told.iter()
            .any(|one| one["attempts"].as_u64() >= Some(2))
            .then_some(())
    });
    assert!(
        station
            .deliveries()
            .iter()
            .all(|one| one["state"] == "waiting")
    );
    let (whole, report) = station.run(&["check"]);
    assert!(
        !whole && report.contains("WRONG  destination web: it does not answer"),
        "{report}"
    );
}

const DICOM_WEB: &str = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so";

#[test]
#[ignore = "needs Orthanc with DICOMweb: .ci/peers"]
fn orthanc_takes_everything_over_the_web() {
    let folder = tempfile::tempdir().unwrap();
    let (port, web) = (free_port(), free_port());
    let more = json!({ "Plugins": [DICOM_WEB] });
    let orthanc = Orthanc::start_with(folder.path(), port, web, free_port(), more);
    // A pace at which a film of 100 KiB takes a second.
    let station = Station::start(&format!(
        "[[destination]]\nname = \"orthanc\"\nurl = \"http://127.0.0.1:{web}/dicom-web\"\n\
         kib_per_second = 512\nsends = [\"originals\", \"reports\", \"captures\"]\n"
    ));
    let (whole, report) = station.run(&["check"]);
    assert!(whole && report.contains("lets the station in"), "{report}");
    for film in ["phantom-4.dcm", "phantom-6.dcm"] {
        send(&station, &Instance::read(&sample(film)));
    }
    let told = ended(&station, 6);
    assert!(
        told.iter().all(|one| one["state"] == "delivered"),
        "{told:?}"
    );
    let instances: Vec<String> = serde_json::from_slice(&orthanc.get("/instances")).unwrap();
    assert_eq!(instances.len(), 6);
    let original = fs::read(sample("phantom-6.dcm")).unwrap();
    let files: Vec<_> = instances
        .iter()
        .map(|instance| orthanc.get(&format!("/instances/{instance}/file")))
        .collect();
    // The film's data set came as it was.
    let pixels = &original[original.len() - 4096..];
    assert!(files.iter().any(|file| file.ends_with(pixels)));
    let studies: Vec<String> = serde_json::from_slice(&orthanc.get("/studies")).unwrap();
    assert_eq!(studies.len(), 2);
}

#[test]
#[ignore = "needs Orthanc with DICOMweb, socat and openssl: .ci/peers"]
fn an_archive_is_spoken_to_by_tls_and_only_if_its_certificate_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    certificates(folder.path(), &["station", "archive"]);
    let other = tempfile::tempdir().unwrap();
    certificates(other.path(), &["station"]);
    let (port, web, tls) = (free_port(), free_port(), free_port());
    let more = json!({ "Plugins": [DICOM_WEB] });
    let orthanc = Orthanc::start_with(folder.path(), port, web, free_port(), more);
    // Before Orthanc, as hospitals have it: Debian's crashes when it is to speak TLS itself.
    let outside = format!(
        "OPENSSL-LISTEN:{tls},reuseaddr,fork,cert={},key={},cafile={},verify=1",
        path("archive.crt"),
        path("archive.key"),
        path("ca.crt")
    );
    let _proxy = Background::start(
        "/usr/bin/socat",
        &[&outside, &format!("TCP:127.0.0.1:{web}")],
    );
    wait_for_port(tls);
    let destination = |authorities: &Path, own: bool| {
        let shown = match own {
            true => format!(
                "tls_certificate = \"{}\"\ntls_key = \"{}\"\n",
                path("station.crt"),
                path("station.key")
            ),
            false => String::new(),
        };
        format!(
            "[[destination]]\nname = \"orthanc\"\nurl = \"https://localhost:{tls}/dicom-web\"\n\
             tls_authorities = \"{}\"\n{shown}",
            authorities.join("ca.crt").display()
        )
    };
    for (authorities, own) in [(other.path(), true), (folder.path(), false)] {
        let station = Station::start(&destination(authorities, own));
        send(&station, &Instance::read(&sample("phantom-6.dcm")));
        wait_for(|| {
            let told = station.deliveries();
            told.iter()
                .any(|one| one["attempts"].as_u64() >= Some(1))
                .then_some(())
        });
        let told = station.deliveries();
        assert!(told.iter().all(|one| one["state"] == "waiting"), "{told:?}");
    }
    let station = Station::start(&destination(folder.path(), true));
    send(&station, &Instance::read(&sample("phantom-6.dcm")));
    let told = ended(&station, 2);
    assert!(
        told.iter().all(|one| one["state"] == "delivered"),
        "{told:?}"
    );
    let instances: Vec<String> = serde_json::from_slice(&orthanc.get("/instances")).unwrap();
    assert_eq!(instances.len(), 2);
}
