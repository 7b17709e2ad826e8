//! The station as a user of worklists that nobody here wrote: dcmtk's and Orthanc's. `.ci/peers` installs
//! them and runs these tests.

#[path = "station/programs.rs"]
mod programs;
mod station;

use std::fs;
use std::path::Path;

use dicom_dictionary_std::tags;
use dicom_object::open_file;
use programs::{Background, Orthanc, free_port, run, wait_for_port};
use serde_json::{Value, json};
use station::*;

/// A patient's name by character set: DICOM's term, the name's bytes, and the name.
const NAMES: [(&str, &[u8], &str); 6] = [
    ("ISO_IR 100", b"M\xfcller^J\xf6rg", "M\u{fc}ller^J\u{f6}rg"),
    (
        "ISO_IR 126",
        b"\xc4\xe9\xef\xed\xf5\xf3\xdf\xef\xf2",
        "\u{394}\u{3b9}\u{3bf}\u{3bd}\u{3c5}\u{3c3}\u{3af}\u{3bf}\u{3c2}",
    ),
    (
        "ISO_IR 144",
        b"\xbb\xee\xda\x63\xe0\xd1\xe3\xe0\xd3",
        "\u{41b}\u{44e}\u{43a}c\u{440}\u{431}\u{443}\u{440}\u{433}",
    ),
    (
        "\\ISO 2022 IR 87",
        b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B",
        "Yamada^Tarou=\u{5c71}\u{7530}^\u{592a}\u{90ce}",
    ),
    (
        "ISO_IR 192",
        "Nov\u{e1}k^Ji\u{159}\u{ed}".as_bytes(),
        "Nov\u{e1}k^Ji\u{159}\u{ed}",
    ),
    // None is named: by the station's configuration.
    ("", b"Nu\xf1ez^Ana", "Nu\u{f1}ez^Ana"),
];

fn today() -> String {
    run("date", &["+%Y%m%d"]).1.trim().to_owned()
}

/// Writes an examination of today into a worklist's folder, as `N.wl`.
fn plan(folder: &Path, number: usize, set: &str, name: &[u8], modality: &str, study: &str) {
    let mut dump = Vec::new();
    if !set.is_empty() {
        dump.extend(format!("(0008,0005) CS [{set}]\n").bytes());
    }
    dump.extend(format!("(0008,0050) SH [A{number}]\n(0010,0010) PN [").bytes());
    dump.extend(name);
    dump.extend(
        format!(
            "]\n(0010,0020) LO [P{number}]\n(0010,0030) DA [20110203]\n(0010,0040) CS [F]\n\
             (0020,000d) UI [{study}]\n(0032,1060) LO [Chest]\n(0040,0100) SQ\n(fffe,e000) na\n\
             (0008,0060) CS [{modality}]\n(0040,0001) AE [UNIT]\n(0040,0002) DA [{}]\n\
             (0040,0003) TM [1000]\n(0040,0007) LO [Chest]\n(0040,0009) SH [S{number}]\n\
             (fffe,e00d) na\n(fffe,e0dd) na\n(0040,1001) SH [R{number}]\n",
            today()
        )
        .bytes(),
    );
    let text = folder.join("item.dump");
    fs::write(&text, dump).unwrap();
    let item = folder.join(format!("{number}.wl"));
    let (made, said) = run(
        "/usr/bin/dump2dcm",
        &["-F", "+te", text.to_str().unwrap(), item.to_str().unwrap()],
    );
    assert!(made, "{said}");
}

fn worklist_at(port: u16, title: &str) -> String {
    format!(
        "[worklist]\naddress = \"127.0.0.1:{port}\"\nae_title = \"{title}\"\n\
         characters = \"ISO_IR 100\"\n"
    )
}

fn get(station: &Station, path: &str) -> Value {
    let (status, body) = station.request("GET", path, true, "", b"");
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

/// The examinations that the station knows of, once it knows of so many.
fn planned(station: &Station, count: usize) -> Vec<Value> {
    wait_for(|| {
        let planned = get(station, "/worklist")["planned"]
            .as_array()
            .unwrap()
            .clone();
        (planned.len() == count).then_some(planned)
    })
}

/// dcmtk's worklist over the files in `folder`, at `port`.
fn wlmscpfs(folder: &Path, port: u16) -> Background {
    let list = folder.join("LIST");
    fs::create_dir_all(&list).unwrap();
    fs::write(list.join("lockfile"), b"").unwrap();
    // Each answer in its file's character set; dcmtk would tell none otherwise.
    let arguments = ["-csk", "-dfp", folder.to_str().unwrap(), &port.to_string()];
    let process = Background::start("/usr/bin/wlmscpfs", &arguments);
    wait_for_port(port);
    process
}

#[test]
#[ignore = "needs dcmtk: .ci/peers"]
fn names_of_every_script_are_read_from_dcmtk_and_kept_while_it_is_away() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let process = wlmscpfs(folder.path(), port);
    for (number, (set, name, _)) in NAMES.iter().enumerate() {
        let modality = if number % 2 == 0 { "CR" } else { "DX" };
        plan(
            &folder.path().join("LIST"),
            number,
            set,
            name,
            modality,
            &format!("1.2.{number}"),
        );
    }
    plan(
        &folder.path().join("LIST"),
        9,
        "ISO_IR 100",
        b"CT^Only",
        "CT",
        "1.2.9",
    );
    let station = Station::start(&worklist_at(port, "LIST"));
    let told = planned(&station, NAMES.len());
    for (number, (_, _, name)) in NAMES.iter().enumerate() {
        let accession = format!("A{number}");
        let one = told
            .iter()
            .find(|one| one["accession_number"] == *accession)
            .unwrap();
        assert_eq!(one["patient_name"], *name);
        assert_eq!(one["unit"], "UNIT");
        assert_eq!(one["requested_procedure_id"], format!("R{number}"));
    }
    let (whole, report) = station.run(&["check"]);
    assert!(
        whole && report.contains("ok     worklist: answers, and expects 6 patients"),
        "{report}"
    );
    drop(process);
    let (whole, report) = station.run(&["check"]);
    assert!(
        !whole && report.contains("WRONG  worklist: nobody answers"),
        "{report}"
    );
    let folder = station.stop();
    let station = Station::start_in(folder, &worklist_at(port, "LIST"));
    wait_for(|| {
        station
            .log()
            .contains("the worklist does not answer")
            .then_some(())
    });
    assert_eq!(planned(&station, NAMES.len()).len(), NAMES.len());
}

#[test]
#[ignore = "needs Orthanc and dcmtk: .ci/peers"]
fn orthanc_answers_in_the_character_set_that_it_was_told() {
    for (encoding, (set, name, text)) in ["Latin1", "Greek", "Cyrillic", "Japanese"]
        .iter()
        .zip(NAMES)
    {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("list");
        fs::create_dir(&list).unwrap();
        plan(&list, 1, set, name, "DX", "1.2.1");
        let (port, web) = (free_port(), free_port());
        let more = json!({
            "DefaultEncoding": encoding,
            "Plugins": ["/usr/share/orthanc/plugins/libModalityWorklists.so"],
            "Worklists": { "Enable": true, "Database": list },
        });
        let _orthanc = Orthanc::start_with(folder.path(), port, web, free_port(), more);
        let station = Station::start(&worklist_at(port, "ORTHANC"));
        let told = planned(&station, 1);
        // Orthanc's Japanese (ISO_IR 13) has no characters of two bytes.
        if *encoding != "Japanese" {
            assert_eq!(told[0]["patient_name"], text, "{encoding}");
        }
        assert_eq!(told[0]["patient_id"], "P1");
    }
}

#[test]
#[ignore = "needs dcmtk, dicom3tools and highdicom: .ci/peers"]
fn a_film_is_matched_and_its_report_names_the_order() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let _process = wlmscpfs(folder.path(), port);
    let list = folder.path().join("LIST");
    let film = sample("phantom-6.dcm");
    let object = open_file(&film).unwrap();
    let text = |tag| {
        object
            .element(tag)
            .unwrap()
            .to_str()
            .unwrap()
            .trim_end_matches('\0')
            .to_owned()
    };
    let study = text(tags::STUDY_INSTANCE_UID);
    // The examination of the film's study, but of another patient.
    plan(&list, 1, "ISO_IR 100", b"Doe^Jane", "DX", &study);
    let data = tempfile::tempdir().unwrap();
    fs::create_dir(data.path().join("out")).unwrap();
    let more = worklist_at(port, "LIST")
        + "[[destination]]\nname = \"folder\"\nfolder = \"FOLDER/out\"\nsends = [\"reports\"]\n";
    let station = Station::start_in(data, &more);
    planned(&station, 1);
    let mut sender = Sender::connect(&station).unwrap();
    assert_eq!(sender.store(&Instance::read(&film)), 0);
    sender.release();
    let films = station.settled();
    assert_eq!(films[0]["order"], Value::Null);
    let offers = get(&station, "/films/1/offers");
    assert_eq!(offers[0]["by"], "Study Instance UID");
    // The phantom was taken on another day, too.
    assert_eq!(
        offers[0]["differs"],
        json!(["patient_id", "patient_name", "study_date"])
    );
    let chosen = json!({ "who": "Nurse", "examination": offers[0]["examination"] }).to_string();
    let post = |body: &str| {
        let kind = "application/json";
        station.request("POST", "/films/1/order", true, kind, body.as_bytes())
    };
    assert_eq!(post("{\"who\": \" \", \"examination\": 1}").0, 400);
    assert_eq!(post("{\"who\": \"Nurse\", \"examination\": 77}").0, 404);
    assert_eq!(post(&chosen).0, 204);
    let out = station.path("out");
    let reports = wait_for(|| {
        let study = fs::read_dir(&out).unwrap().next()?.unwrap().path();
        let files: Vec<_> = fs::read_dir(study)
            .unwrap()
            .map(|file| file.unwrap().path())
            .collect();
        (files.len() == 2).then_some(files)
    });
    let mut orders = Vec::new();
    for report in reports {
        let (valid, said) = run("dciodvfy", &[report.to_str().unwrap()]);
        assert!(valid && !said.contains("Error"), "{said}");
        let report = open_file(&report).unwrap();
        // The film's own patient and study stay, whatever the order says.
        let id = report
            .element(tags::PATIENT_ID)
            .unwrap()
            .to_str()
            .unwrap()
            .into_owned();
        assert_eq!(id, text(tags::PATIENT_ID));
        if let Ok(requests) = report.element(tags::REFERENCED_REQUEST_SEQUENCE) {
            let item = &requests.items().unwrap()[0];
            let of = |tag| {
                item.element(tag)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .trim_end()
                    .to_owned()
            };
            orders.push((of(tags::ACCESSION_NUMBER), of(tags::REQUESTED_PROCEDURE_ID)));
            assert!(report.element(tags::PREDECESSOR_DOCUMENTS_SEQUENCE).is_ok());
        }
    }
    assert_eq!(orders, [("A1".to_owned(), "R1".to_owned())]);
    assert_eq!(station.films()[0]["order"]["accession_number"], "A1");
}
