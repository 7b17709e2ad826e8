//! What the station files, as programs that nobody here wrote take and check it: dcmtk, Orthanc,
//! dicom3tools, highdicom and PixelMed. `.ci/peers` installs all but the last and runs these tests.

#[path = "station/programs.rs"]
mod programs;
mod station;

use std::fs;
use std::path::{Path, PathBuf};

use programs::{Background, Orthanc, certificates, free_port, run, storescp, wait_for_port};
use serde_json::Value;
use station::*;

/// A station that files reports and captures of a referred film that a person has acknowledged, of one
/// without a sign and of a refused one into a folder. Returns the station and the files.
fn filed() -> (Station, Vec<PathBuf>) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("out")).unwrap();
    let more = "[[destination]]\nname = \"folder\"\nfolder = \"FOLDER/out\"\n";
    let station = Station::start_in(folder, more);
    let mut sender = Sender::connect(&station).unwrap();
    for name in ["phantom-6.dcm", "phantom-4.dcm"] {
        assert_eq!(sender.store(&Instance::read(&sample(name))), 0);
    }
    let refused = Instance::read(&sample("phantom-5.dcm")).of_another_device();
    assert_eq!(sender.store(&refused), 0);
    sender.release();
    station.settled();
    let who = b"{\"who\": \"Mu\xc3\xb1oz\"}";
    let path = "/films/1/acknowledge";
    assert_eq!(
        station
            .request("POST", path, true, "application/json", who)
            .0,
        204
    );
    let out = station.path("out");
    let files = wait_for(|| {
        let studies = fs::read_dir(&out)
            .unwrap()
            .map(|study| study.unwrap().path());
        let files: Vec<_> = studies
            .flat_map(|study| fs::read_dir(study).unwrap())
            .map(|file| file.unwrap().path())
            .filter(|file| file.extension().is_some_and(|extension| extension == "dcm"))
            .collect();
        (files.len() >= 6).then_some(files)
    });
    assert_eq!(files.len(), 6, "{files:?}");
    (station, files)
}

fn is_report(file: &Path) -> bool {
    file.file_name()
        .unwrap()
        .to_string_lossy()
        .starts_with("report")
}

#[test]
#[ignore = "needs dicom3tools, dcmtk and highdicom: .ci/peers"]
fn what_is_filed_is_valid_and_means_what_it_says() {
    let (_station, files) = filed();
    let python = format!("{}/bin/python", std::env::var("PLUMBLINE_PEERS").unwrap());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/highdicom_reader.py");
    let mut read: Vec<Value> = Vec::new();
    for file in &files {
        let path = file.to_str().unwrap();
        let (valid, said) = run("dciodvfy", &[path]);
        let complaint = |line: &&str| line.starts_with("Error") || line.starts_with("Warning");
        let complaints: Vec<_> = said.lines().filter(complaint).collect();
        assert!(valid && complaints.is_empty(), "{said}");
        if is_report(file) {
            let (dumped, said) = run("/usr/bin/dsrdump", &[path]);
            assert!(
                dumped && said.contains("Imaging Measurement Report"),
                "{said}"
            );
            let (ran, said) = run(&python, &[script.to_str().unwrap(), path]);
            assert!(ran, "{said}");
            read.push(serde_json::from_str(said.trim()).unwrap());
        }
    }
    read.sort_by_key(|report| report["revision"].as_i64());
    let told: Vec<_> = read.iter().map(|report| &report["evaluations"]).collect();
    let present = "Scoliosis deformity of spine: Present";
    let usable = "Quality Assessment: Usable - Meets the quality control standard";
    assert_eq!(read.len(), 4);
    let contains =
        |report: &Value, what: &str| report.as_array().unwrap().iter().any(|said| said == what);
    for number in [0, 3] {
        assert!(
            contains(told[number], present) && contains(told[number], usable),
            "{told:?}"
        );
        assert_eq!(read[number]["finding"], "Scoliosis deformity of spine");
        assert!(read[number]["probability"].as_f64().unwrap() > 0.5);
        assert!(read[number]["corners"].as_u64().unwrap() >= 5);
    }
    assert_eq!(read[3]["predecessors"], 1);
    assert!(
        contains(told[1], "Scoliosis deformity of spine: Absent"),
        "{told:?}"
    );
    let unusable = "Quality Assessment: Unusable - Quality renders image unusable";
    assert!(contains(told[2], unusable) && contains(told[2], "Quality Finding: Other failure"));
    assert_eq!(read[2]["probability"], Value::Null);
}

#[test]
#[ignore = "needs PixelMed, and Java: .ci/full"]
fn pixelmed_finds_no_fault_but_those_of_its_older_tables() {
    let (_station, files) = filed();
    for report in files.iter().filter(|file| is_report(file)) {
        let (_, said) = run("DicomSRValidator", &[report.to_str().unwrap()]);
        assert!(said.contains("Root Template TID_1500"), "{said}");
        assert!(said.contains("IOD validation complete"), "{said}");
        let faults = said.lines().filter(|line| {
            let fault = line.starts_with("Error") || line.starts_with("Warning");
            fault
                && !(line.contains("43468-8") && line.contains("not found in context group 100"))
                && !(line.contains("Algorithm Manufacturer") && line.contains("not in template"))
        });
        assert_eq!(faults.collect::<Vec<_>>(), [""; 0]);
    }
}

#[test]
#[ignore = "needs Orthanc and dcmtk: .ci/peers"]
fn archives_of_others_keep_all_of_it_in_the_films_study() {
    let folder = tempfile::tempdir().unwrap();
    let (port, web, sink) = (free_port(), free_port(), free_port());
    let destination = |name: &str, port: u16, title: &str| {
        format!(
            "[[destination]]\nname = \"{name}\"\naddress = \"127.0.0.1:{port}\"\n\
             ae_title = \"{title}\"\nsends = [\"originals\", \"reports\", \"captures\"]\n"
        )
    };
    let more = destination("orthanc", port, "ORTHANC")
        + "commitment = true\n"
        + &destination("storescp", sink, "PACS");
    let station = Station::start(&more);
    let mut sender = Sender::connect(&station).unwrap();
    let film = Instance::read(&sample("phantom-6.dcm"));
    for number in 1..=4 {
        assert_eq!(sender.store(&film.numbered(number)), 0);
    }
    sender.release();
    station.settled();
    // Both archives were away until now.
    let orthanc = Orthanc::start(folder.path(), port, web, station.dicom.port());
    let out = folder.path().join("sink");
    let _storescp = storescp(&out, "PACS", sink);
    wait_for(|| {
        let films = station.films();
        films
            .iter()
            .all(|film| film["delivered"] == true)
            .then_some(())
    });
    assert_eq!(fs::read_dir(&out).unwrap().count(), 12);
    // A film counts as delivered once Orthanc has said, on an association of its own, that it keeps it.
    for told in station.deliveries() {
        let kept = match told["destination"].as_str() {
            Some("orthanc") => Value::Bool(true),
            _ => Value::Null,
        };
        assert_eq!(told["kept"], kept, "{told}");
    }
    let json = |path: &str| -> Value { serde_json::from_slice(&orthanc.get(path)).unwrap() };
    let studies = json("/studies");
    let [study] = &studies.as_array().unwrap()[..] else {
        panic!("{studies}")
    };
    let study = json(&format!("/studies/{}/statistics", study.as_str().unwrap()));
    assert_eq!(
        (&study["CountInstances"], &study["CountSeries"]),
        (&12.into(), &3.into())
    );
    let (whole, report) = station.run(&["check"]);
    assert!(
        whole && report.contains("destination orthanc: answers, and takes what is sent"),
        "{report}"
    );
}

#[test]
#[ignore = "needs pynetdicom: .ci/peers"]
fn what_an_archive_has_lost_is_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let station = Station::start(&format!(
        "[[destination]]\nname = \"archive\"\naddress = \"127.0.0.1:{port}\"\n\
         ae_title = \"PACS\"\ncommitment = true\n"
    ));
    let python = format!("{}/bin/python", std::env::var("PLUMBLINE_PEERS").unwrap());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pynetdicom_archive.py");
    let said = folder.path().join("said");
    let ports = [port, station.dicom.port()].map(|port| port.to_string());
    let arguments = [script.to_str().unwrap(), &ports[0], &ports[1]];
    let _archive = Background::start_into(&python, &arguments, &said);
    wait_for_port(port);
    let mut sender = Sender::connect(&station).unwrap();
    assert_eq!(sender.store(&Instance::read(&sample("phantom-6.dcm"))), 0);
    sender.release();
    wait_for(|| {
        let told = station.deliveries();
        let kept = |told: &Value| told["kept"] == true;
        (told.len() == 2 && told.iter().all(kept)).then_some(())
    });
    assert_eq!(station.films()[0]["delivered"], true);
    // Both, and the one that was lost again under the same UID; each answer came twice.
    let lines = || fs::read_to_string(&said).unwrap();
    wait_for(|| (lines().matches("answered").count() == 4).then_some(()));
    let said = lines();
    let stored: Vec<_> = said
        .lines()
        .filter(|line| line.starts_with("stored"))
        .collect();
    assert_eq!(stored.len(), 3, "{said}");
    assert_eq!(stored[0], stored[2], "{said}");
    for answer in ["answered 0000 1 1", "answered 0000 1 0"] {
        assert_eq!(said.matches(answer).count(), 2, "{said}");
    }
}

#[test]
#[ignore = "needs dcmtk and openssl: .ci/peers"]
fn dcmtk_is_sent_to_by_tls_and_only_if_its_certificate_is_right() {
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path(), &["station", "pacs"]);
    let path = |name: &str| folder.path().join(name).display().to_string();
    let port = free_port();
    let destination = |host: &str, authority: &str| {
        format!(
            "[[destination]]\nname = \"{host} {authority}\"\naddress = \"{host}:{port}\"\n\
             ae_title = \"PACS\"\ntls_certificate = \"{}\"\ntls_key = \"{}\"\n\
             tls_authorities = \"{}\"\n",
            path("station.crt"),
            path("station.key"),
            path(authority)
        )
    };
    // The third trusts another authority than the archive's.
    let more = [
        "localhost ca.crt",
        "127.0.0.1 ca.crt",
        "localhost station.crt",
    ]
    .map(|both| {
        destination(
            both.split(' ').next().unwrap(),
            both.split(' ').nth(1).unwrap(),
        )
    });
    let out = folder.path().join("sink");
    fs::create_dir(&out).unwrap();
    let (key, certificate, authority) = (path("pacs.key"), path("pacs.crt"), path("ca.crt"));
    let arguments = [
        &["-aet", "PACS", "-od", out.to_str().unwrap(), "--fork"][..],
        &["+tls", &key, &certificate, "+cf", &authority, "-rc"],
        &[&port.to_string()],
    ];
    let _storescp = Background::start("/usr/bin/storescp", &arguments.concat());
    wait_for_port(port);
    let station = Station::start(&more.concat());
    let mut sender = Sender::connect(&station).unwrap();
    assert_eq!(sender.store(&Instance::read(&sample("phantom-6.dcm"))), 0);
    sender.release();
    let told = wait_for(|| {
        let told: Vec<Value> = station.deliveries();
        let tried = |told: &&Value| told["attempts"].as_u64() > Some(0);
        // Those to the third wait: its first was tried.
        (told.iter().filter(tried).count() == 5).then_some(told)
    });
    for told in told {
        let to = told["destination"].as_str().unwrap();
        match to.ends_with("station.crt") {
            false => assert_eq!(told["state"], "delivered", "{told}"),
            true => assert_eq!(told["state"], "waiting", "{told}"),
        }
    }
    assert_eq!(fs::read_dir(&out).unwrap().count(), 2);
    let (whole, report) = station.run(&["check"]);
    assert!(!whole, "{report}");
    for (name, word) in [
        (
            "localhost ca.crt",
            "ok     destination localhost ca.crt: answers",
        ),
        (
            "localhost station.crt",
            "WRONG  destination localhost station.crt",
        ),
    ] {
        assert!(report.contains(word), "{name}: {report}");
    }
}
