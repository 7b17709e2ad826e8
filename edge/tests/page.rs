//! Pages for paper, as they are filed, served and written, and as programs that nobody here wrote read
//! them: lopdf always, poppler, qpdf, dcmtk and dicom3tools by `.ci/peers`.

#[path = "station/programs.rs"]
mod programs;
mod station;

use std::fs;
use std::path::{Path, PathBuf};

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::open_file;
use programs::{free_port, run, storescp};
use station::*;

const PAGE: &str = "1.2.840.10008.5.1.4.1.1.104.1";

const FOLDER: &str = "[[destination]]\nname = \"folder\"\nfolder = \"FOLDER/out\"\n\
    sends = [\"pages\"]\n";

/// A long name whose every part must be on the page.
const LONG: &str = "Wolfeschlegelsteinhausenbergerdorff Ibárruri^Hubert Blaine Sr";

/// A sample film of another patient, in this character set.
fn film_of(sample_name: &str, number: u32, set: &str, texts: &[(Tag, VR, &str)]) -> Instance {
    let mut object = open_file(sample(sample_name)).unwrap();
    let instance = format!("1.2.826.0.1.3680043.10.1.{number}");
    let always = [
        (tags::SPECIFIC_CHARACTER_SET, VR::CS, set),
        (tags::SOP_INSTANCE_UID, VR::UI, &*instance),
    ];
    for (tag, vr, text) in always.iter().chain(texts) {
        object.put(DataElement::new(*tag, *vr, PrimitiveValue::from(*text)));
    }
    object.update_meta(|meta| meta.media_storage_sop_instance_uid = instance.clone());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("film.dcm");
    object.write_to_file(&path).unwrap();
    Instance::read(&path)
}

/// A station that has sent the pages of a referred film that a person has acknowledged, of one without a
/// sign, and of a refused one, and has another film that came as a picture.
fn with_pages(more: &str) -> Station {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("out")).unwrap();
    let station = Station::start_in(folder, more);
    let hospital = (tags::INSTITUTION_NAME, VR::LO, "Γενικό Νοσοκομείο");
    let films = [
        film_of(
            "phantom-6.dcm",
            1,
            "ISO_IR 126",
            &[(tags::PATIENT_NAME, VR::PN, "Παπαδοπούλου^Μαρία"), hospital],
        ),
        film_of(
            "phantom-4.dcm",
            2,
            "ISO_IR 144",
            &[(tags::PATIENT_NAME, VR::PN, "Жуковська^Ольга")],
        ),
        film_of(
            "phantom-5.dcm",
            3,
            "ISO_IR 192",
            &[
                (tags::PATIENT_NAME, VR::PN, LONG),
                (tags::PATIENT_ID, VR::LO, &"0123456789".repeat(6)),
                (tags::MODALITY, VR::CS, "MG"),
            ],
        ),
    ];
    let mut sender = Sender::connect(&station).unwrap();
    for film in &films {
        assert_eq!(sender.store(film), 0);
    }
    sender.release();
    upload(&station, &fs::read(sample("phantom-1.png")).unwrap());
    station.settled();
    acknowledge(&station, "Muñoz");
    station
}

fn upload(station: &Station, film: &[u8]) {
    let head = b"--x\r\nContent-Disposition: form-data; name=\"film\"; filename=\"a.png\"\r\n\r\n";
    let body = [&head[..], film, b"\r\n--x--\r\n"].concat();
    let kind = "multipart/form-data; boundary=x";
    let (status, said) = station.request("POST", "/films", true, kind, &body);
    assert_eq!(status, 201, "{said}");
}

fn acknowledge(station: &Station, who: &str) {
    let body = format!("{{\"who\": \"{who}\"}}");
    let path = "/films/1/acknowledge";
    let (status, said) = station.request("POST", path, true, "application/json", body.as_bytes());
    assert_eq!(status, 204, "{said}");
}

/// The page that the station serves of a film.
fn served(station: &Station, film: u32) -> Vec<u8> {
    let path = format!("/films/{film}/page.pdf");
    let (status, page) = station.request_bytes("GET", &path, true, "text/plain", b"");
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&page));
    page
}

/// The page that `plumbline-edge page` writes of a film.
fn written(station: &Station, film: u32) -> Vec<u8> {
    let out = station.path(&format!("{film}.pdf"));
    let (done, said) = station.run(&["page", &film.to_string(), "--out", out.to_str().unwrap()]);
    assert!(done && said.is_empty(), "{said}");
    fs::read(out).unwrap()
}

/// The files in the folder, once there are so many.
fn filed(station: &Station, count: usize) -> Vec<PathBuf> {
    wait_for(|| {
        let studies = fs::read_dir(station.path("out")).unwrap();
        let files = studies.flat_map(|study| fs::read_dir(study.unwrap().path()).unwrap());
        let files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        let done = |file: &PathBuf| file.extension().is_some_and(|end| end != "unfinished");
        (files.len() == count && files.iter().all(done)).then_some(files)
    })
}

/// The words of a PDF of one page, as lopdf reads them.
fn words(pdf: &[u8]) -> String {
    assert!(
        pdf.starts_with(b"%PDF-1.7") && pdf.len() < 500 << 10,
        "{}",
        pdf.len()
    );
    let document = lopdf::Document::load_mem(pdf).unwrap();
    assert_eq!(document.get_pages().len(), 1);
    spaced(&document.extract_text(&[1]).unwrap())
}

fn spaced(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn require(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in {text:?}");
    }
}

#[test]
fn a_page_says_what_the_station_says_and_is_the_same_each_time() {
    let station = with_pages(FOLDER);
    let mut films = station.films();
    films.reverse();
    // One for each DICOM film, and another once the first was acknowledged; none for a picture.
    let filed = filed(&station, 4);
    let mut pages = Vec::new();
    for file in &filed {
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(
            name.starts_with("page-2.25.") && name.ends_with(".pdf"),
            "{name}"
        );
        pages.push(fs::read(file).unwrap());
    }
    for film in 1..=4 {
        let page = served(&station, film);
        assert!(page == written(&station, film), "film {film}");
        assert_eq!(pages.contains(&page), film != 4);
        let text = words(&page);
        require(
            &text,
            &["Screening aid, not a diagnosis", "Station PLUMBLINE"],
        );
        let told = &films[film as usize - 1];
        require(&text, &[&told["hash"].as_str().unwrap()[..16]]);
        if told["reading"].is_null() {
            assert!(!text.contains("positive from"), "{text}");
            continue;
        }
        let reading = &told["reading"];
        let numbers = format!(
            "probability {:.2}, positive from {:.2}",
            reading["probability"].as_f64().unwrap(),
            reading["threshold"].as_f64().unwrap()
        );
        let model = |key: &str| reading[key].as_str().unwrap();
        require(
            &text,
            &[
                &numbers,
                model("model"),
                model("model_version"),
                &model("bundle")[..16],
            ],
        );
    }
    let text = words(&served(&station, 1));
    require(
        &text,
        &[
            "Παπαδοπούλου, Μαρία",
            "Γενικό Νοσοκομείο",
            "Refer to a specialist: the film looks like one with scoliosis",
            ", by Muñoz",
        ],
    );
    let text = words(&served(&station, 2));
    require(
        &text,
        &["Жуковська, Ольга", "No sign of scoliosis", "not yet"],
    );
    let text = words(&served(&station, 3));
    let findings = films[2]["findings"].as_array().unwrap();
    let sentence = findings[0]["sentence"].as_str().unwrap();
    require(
        &text,
        &[
            "Not read: the film should be taken or sent again",
            "Hubert Blaine Sr",
        ],
    );
    require(&text, &[&sentence[1..20]]);
    // Long texts are broken into lines, and nothing of them is lost.
    let joined = text.replace(' ', "");
    require(
        &joined,
        &[
            &"0123456789".repeat(6),
            "Wolfeschlegelsteinhausenbergerdorff",
        ],
    );
}

#[test]
fn who_may_not_have_a_page_is_told_why() {
    let station = Station::start("");
    let asked = |path: &str, token| station.request("GET", path, token, "text/plain", b"");
    assert_eq!(asked("/films/1/page.pdf", false).0, 401);
    assert_eq!(asked("/films/1/page.pdf", true).0, 404);
    let out = station.path("page.pdf");
    let (done, said) = station.run(&["page", "7", "--out", out.to_str().unwrap()]);
    assert!(!done && said.contains("there is no film 7"), "{said}");
    assert!(!out.exists());
    // Two films of one name and other bytes wait for a person.
    let mut sender = Sender::connect(&station).unwrap();
    let film = film_of("phantom-4.dcm", 1, "ISO_IR 100", &[]);
    let other = film_of(
        "phantom-4.dcm",
        1,
        "ISO_IR 100",
        &[(tags::STUDY_ID, VR::SH, "7")],
    );
    assert_eq!(sender.store(&film), 0);
    assert_eq!(sender.store(&other), 0);
    sender.release();
    let (status, said) = asked("/films/2/page.pdf", true);
    assert!(
        status == 409 && said.contains("no result yet"),
        "{status} {said}"
    );
}

/// Runs a program that must succeed, and returns what it said.
fn succeeds(program: &str, arguments: &[&str]) -> String {
    let (done, said) = run(program, arguments);
    assert!(done, "{program}: {said}");
    said
}

#[test]
#[ignore = "needs poppler and qpdf: .ci/peers"]
fn pdf_readers_of_others_read_the_pages() {
    let station = with_pages(FOLDER);
    for (film, name) in [
        (1, "Παπαδοπούλου, Μαρία"),
        (2, "Жуковська, Ольга"),
        (3, "Ibárruri"),
    ] {
        written(&station, film);
        let path = station.path(&format!("{film}.pdf"));
        let path = path.to_str().unwrap();
        let text = succeeds("/usr/bin/pdftotext", &["-layout", path, "-"]);
        require(&text, &[name, "Screening aid, not a diagnosis"]);
        let fonts = succeeds("/usr/bin/pdffonts", &[path]);
        let font = fonts
            .lines()
            .find(|line| line.contains("DejaVuSans"))
            .unwrap();
        // Embedded, a subset, and with the characters of its glyphs.
        assert!(font.contains("yes yes yes"), "{fonts}");
        let said = succeeds("/usr/bin/qpdf", &["--check", path]);
        assert!(
            said.contains("No syntax or stream encoding errors found"),
            "{said}"
        );
        let about = succeeds("/usr/bin/pdfinfo", &[path]);
        assert!(
            about.contains("A4") && about.contains("Pages:           1"),
            "{about}"
        );
    }
}

#[test]
#[ignore = "needs dcmtk and dicom3tools: .ci/peers"]
fn archives_of_others_take_pages_and_give_them_back() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let out = folder.path().join("sink");
    let _storescp = storescp(&out, "PACS", port);
    let archive = format!(
        "[[destination]]\nname = \"archive\"\naddress = \"127.0.0.1:{port}\"\nae_title = \"PACS\"\n\
         sends = [\"pages\", \"reports\"]\n"
    );
    let station = with_pages(&(archive + FOLDER));
    let told = wait_for(|| {
        let told = station.deliveries();
        let done = told.iter().all(|delivery| delivery["state"] == "delivered");
        (told.len() == 12 && done).then_some(told)
    });
    assert!(told.iter().all(|delivery| delivery["instance"].is_string()));
    let mut back: Vec<Vec<u8>> = Vec::new();
    let stored: Vec<_> = fs::read_dir(&out)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    assert_eq!(stored.len(), 8);
    for file in &stored {
        let object = open_file(file).unwrap();
        if object
            .meta()
            .media_storage_sop_class_uid
            .trim_end_matches('\0')
            != PAGE
        {
            continue;
        }
        let path = file.to_str().unwrap();
        let said = succeeds("dciodvfy", &[path]);
        let complaint = |line: &&str| line.starts_with("Error") || line.starts_with("Warning");
        assert_eq!(said.lines().find(complaint), None, "{said}");
        let pdf = folder.path().join("back.pdf");
        succeeds("/usr/bin/dcm2pdf", &[path, pdf.to_str().unwrap()]);
        back.push(fs::read(pdf).unwrap());
        let item = |tag| object.element(tag).unwrap().items().unwrap()[0].clone();
        let source = item(tags::SOURCE_INSTANCE_SEQUENCE);
        let source = source.element(tags::REFERENCED_SOP_INSTANCE_UID).unwrap();
        assert!(
            source
                .to_str()
                .unwrap()
                .starts_with("1.2.826.0.1.3680043.10.1.")
        );
    }
    let mut filed: Vec<_> = filed(&station, 4).iter().map(|file| read(file)).collect();
    filed.sort();
    back.sort();
    assert!(filed == back);
    let (whole, said) = station.run(&["check"]);
    assert!(whole && said.contains("takes what is sent"), "{said}");
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap()
}
