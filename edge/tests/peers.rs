//! The station with DICOM programs that nobody here wrote: dcmtk, Orthanc and pynetdicom.
//! `.ci/peers` installs them and runs these tests.

#[path = "station/programs.rs"]
mod programs;
mod station;

use std::fs;
use std::path::{Path, PathBuf};

use programs::{Background, Orthanc, certificates, free_port, run, wait_for_port};
use station::*;

/// Sends `film` by dcmtk's storescu with `options`.
fn storescu(station: &Station, options: &[&str], film: &Path) -> (bool, String) {
    let port = station.dicom.port().to_string();
    let film = film.to_str().unwrap();
    let rest = [
        "-v",
        "-aet",
        "UNIT",
        "-aec",
        "PLUMBLINE",
        "127.0.0.1",
        &port,
        film,
    ];
    run("/usr/bin/storescu", &[options, &rest].concat())
}

/// A golden film, under a SOP Instance UID of its own as dcmtk makes it.
fn golden(folder: &Path, name: &str) -> PathBuf {
    let films = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/tests/films");
    let copy = folder.join(name);
    fs::copy(films.join(name), &copy).unwrap();
    let (done, said) = run(
        "/usr/bin/dcmodify",
        &["-nb", "-gin", copy.to_str().unwrap()],
    );
    assert!(done, "{said}");
    copy
}

#[test]
#[ignore = "needs dcmtk: .ci/peers"]
fn dcmtk_stores_films_of_every_transfer_syntax_it_has() {
    let station = Station::start("");
    let folder = tempfile::tempdir().unwrap();
    let port = station.dicom.port().to_string();
    let (echoed, said) = run(
        "/usr/bin/echoscu",
        &["-v", "-aec", "PLUMBLINE", "127.0.0.1", &port],
    );
    assert!(echoed, "{said}");
    let films = [
        ("-xi", "implicit_12.dcm"),
        ("-xe", "explicit_16.dcm"),
        ("-xb", "big_endian_14.dcm"),
        ("-xd", "deflated_12.dcm"),
        ("-xy", "jpeg_baseline_8.dcm"),
        ("-xx", "jpeg_extended_12.dcm"),
        ("-xs", "jpeg_lossless_16.dcm"),
        ("-xv", "jpeg_2000_16.dcm"),
        ("-xw", "jpeg_2000_lossy_12.dcm"),
        ("-xt", "jpeg_ls_12.dcm"),
        ("-xu", "jpeg_ls_near_16.dcm"),
        ("-xr", "rle_16.dcm"),
    ];
    for (option, name) in films {
        let (stored, said) = storescu(&station, &[option], &golden(folder.path(), name));
        assert!(
            stored && said.contains("Received Store Response (Success)"),
            "{name}: {said}"
        );
    }
    let read = station.settled();
    assert_eq!(read.len(), films.len());
    // They are smaller than any chest film, and are refused for nothing that has to do with their
    // pixels' way.
    for film in &read {
        assert_eq!(film["findings"][0]["code"], "too-small", "{film}");
    }
}

#[test]
#[ignore = "needs dcmtk: .ci/peers"]
fn dcmtk_repeats_aborts_and_sends_small_pdus() {
    let station = Station::start("");
    let film = sample("phantom-4.dcm");
    let (stored, said) = storescu(
        &station,
        &["--max-send-pdu", "4096", "--repeat", "20"],
        &film,
    );
    assert!(stored, "{said}");
    assert_eq!(
        said.matches("Store Response (Success)").count(),
        20,
        "{said}"
    );
    let (_, said) = storescu(&station, &["--abort"], &sample("phantom-5.dcm"));
    assert!(said.contains("Received Store Response (Success)"), "{said}");
    // What the station has no use for is not negotiated.
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("ct.dcm");
    fs::copy(&film, &other).unwrap();
    let class = "(0008,0016)=1.2.840.10008.5.1.4.1.1.2";
    run(
        "/usr/bin/dcmodify",
        &["-nb", "-m", class, other.to_str().unwrap()],
    );
    let (stored, said) = storescu(&station, &["-R"], &other);
    assert!(
        !stored || said.contains("No presentation context"),
        "{said}"
    );
    assert_eq!(station.settled().len(), 2);
}

#[test]
#[ignore = "needs dcmtk and openssl: .ci/peers"]
fn dcmtk_needs_a_certificate_where_tls_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    certificates(folder.path(), &["station", "unit"]);
    let ca = path("ca.crt");
    let station = Station::start(&format!(
        "[dicom]\nlisten = \"127.0.0.1:0\"\ntls_certificate = \"{}\"\ntls_key = \"{}\"\n\
         tls_authorities = \"{ca}\"\n",
        path("station.crt"),
        path("station.key"),
    ));
    let film = sample("phantom-4.dcm");
    let (stored, said) = storescu(&station, &[], &film);
    assert!(!stored, "{said}");
    let (stored, said) = storescu(&station, &["+tla", "+cf", &ca], &film);
    assert!(!stored, "{said}");
    let (key, certificate) = (path("unit.key"), path("unit.crt"));
    let (stored, said) = storescu(&station, &["+tls", &key, &certificate, "+cf", &ca], &film);
    assert!(stored, "{said}");
    assert_eq!(station.settled().len(), 1);
}

#[test]
#[ignore = "needs Orthanc: .ci/peers"]
fn orthanc_sends_films_and_is_checked_as_a_peer() {
    let folder = tempfile::tempdir().unwrap();
    let (port, web) = (free_port(), free_port());
    let station = Station::start(&format!(
        "[[peer]]\nname = \"archive\"\naddress = \"127.0.0.1:{port}\"\nae_title = \"ORTHANC\"\n\
         service = \"storage\"\n"
    ));
    let orthanc = Orthanc::start(folder.path(), port, web, station.dicom.port());
    for name in ["phantom-4.dcm", "phantom-5.dcm"] {
        let stored = orthanc.ask("/instances", &fs::read(sample(name)).unwrap());
        let id = stored["ID"].as_str().unwrap();
        for _ in 0..2 {
            let sent = orthanc.ask("/modalities/station/store", id.as_bytes());
            assert_eq!(sent["FailedInstancesCount"], 0, "{sent}");
        }
    }
    let films = station.settled();
    assert_eq!(films.len(), 2);
    assert!(
        films.iter().all(|film| film["state"] == "read"),
        "{films:?}"
    );
    let (whole, report) = station.run(&["check"]);
    assert!(
        whole && report.contains("peer archive: answers, and takes reports"),
        "{report}"
    );
}

#[test]
#[ignore = "needs dcmtk: .ci/peers"]
fn check_says_what_is_wrong_with_a_peer() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("LIST");
    fs::create_dir(&list).unwrap();
    fs::write(list.join("lockfile"), b"").unwrap();
    let dump = folder.path().join("item.dump");
    let today = run("date", &["+%Y%m%d"]).1;
    let text = format!(
        "(0008,0050) SH [A1]\n(0010,0010) PN [Doe^Jane]\n(0010,0020) LO [1]\n\
         (0020,000d) UI [1.2.3]\n(0032,1060) LO [Chest]\n(0040,1001) SH [P1]\n\
         (0040,0100) SQ\n(fffe,e000) na\n(0008,0060) CS [DX]\n(0040,0001) AE [UNIT]\n\
         (0040,0002) DA [{}]\n(0040,0003) TM [1000]\n(0040,0007) LO [Chest]\n\
         (0040,0009) SH [S1]\n(fffe,e00d) na\n(fffe,e0dd) na\n",
        today.trim()
    );
    fs::write(&dump, text).unwrap();
    let item = list.join("a.wl");
    let paths = [dump.to_str().unwrap(), item.to_str().unwrap()];
    let (made, said) = run("/usr/bin/dump2dcm", &["-F", "+te", paths[0], paths[1]]);
    assert!(made, "{said}");
    let ports = [free_port(), free_port(), free_port()];
    let text = ports.map(|port| port.to_string());
    let folder_path = folder.path().to_str().unwrap();
    let _worklist = Background::start("/usr/bin/wlmscpfs", &["-dfp", folder_path, &text[0]]);
    let _echo_only =
        Background::start("/usr/bin/storescp", &["-aet", "SINK", "--refuse", &text[1]]);
    ports[..2].iter().for_each(|port| wait_for_port(*port));
    let peer = |name: &str, port: u16, title: &str, service: &str| {
        format!(
            "[[peer]]\nname = \"{name}\"\naddress = \"127.0.0.1:{port}\"\nae_title = \"{title}\"\n\
             service = \"{service}\"\n"
        )
    };
    let station = Station::start(
        &[
            peer("list", ports[0], "LIST", "worklist"),
            peer("other list", ports[0], "OTHER", "worklist"),
            peer("sink", ports[1], "SINK", "storage"),
            peer("nobody", ports[2], "X", "storage"),
        ]
        .concat(),
    );
    let (whole, report) = station.run(&["check"]);
    assert!(!whole);
    for line in [
        "ok     peer list: answers, and expects 1 patients for CR and DX today",
        "WRONG  peer other list: it",
        "WRONG  peer sink: it rejects the station",
        "WRONG  peer nobody: nobody answers at",
    ] {
        assert!(report.contains(line), "{line} is not in\n{report}");
    }
}

#[test]
#[ignore = "needs pynetdicom: .ci/peers"]
fn pynetdicom_sends_by_several_associations() {
    let station = Station::start("");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pynetdicom_sender.py");
    let python = std::env::var("PLUMBLINE_PEERS").expect("the folder of a virtual environment");
    let python = format!("{python}/bin/python");
    let port = station.dicom.port().to_string();
    let film = sample("phantom-4.dcm");
    let arguments = [script.to_str().unwrap(), &port, film.to_str().unwrap()];
    let (sent, said) = run(&python, &arguments);
    assert!(sent, "{said}\n{}", station.log());
    let films = station.settled();
    assert_eq!(films.len(), 24, "{said}");
    assert!(films.iter().all(|film| film["state"] == "read"));
}
