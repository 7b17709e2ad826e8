//! What a station sends to other systems.

#[path = "station/archive.rs"]
mod archive;
mod station;

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use archive::{Archive, Deed, Stored};
use dicom_dictionary_std::tags;
use dicom_object::{DefaultDicomObject, InMemDicomObject, open_file};
use plumbline_edge::outbox::{ANSWERS, Meaning};
use serde_json::Value;
use station::{Instance, PROGRAM, Sender, Station, files, sample, wait_for, wait_up_to};

const SR: &str = "1.2.840.10008.5.1.4.1.1.88.34";
const CAPTURE: &str = "1.2.840.10008.5.1.4.1.1.7";

const FOLDER: &str = "[[destination]]\nname = \"folder\"\nfolder = \"FOLDER/out\"\n\
    sends = [\"captures\", \"originals\", \"reports\"]\n";

fn archive_at(address: &str) -> String {
    format!(
        "[[destination]]\nname = \"archive\"\naddress = \"{address}\"\nae_title = \"PACS\"\n\
         sends = [\"originals\", \"reports\", \"captures\"]\n"
    )
}

/// Waits until there are so many deliveries, and none waits.
fn all_delivered(station: &Station, count: usize) -> Vec<Value> {
    wait_for(|| {
        let deliveries = station.deliveries();
        let done = |delivery: &Value| delivery["state"] == "delivered";
        (deliveries.len() == count && deliveries.iter().all(done)).then_some(deliveries)
    })
}

/// Requires that the archive has got so many instances, each of them always with the same bytes.
fn require_instances(archive: &Archive, count: usize) {
    let mut by_uid: BTreeMap<String, Stored> = BTreeMap::new();
    for stored in archive.stored() {
        let first = by_uid
            .entry(stored.instance.clone())
            .or_insert(stored.clone());
        assert_eq!(*first, stored);
    }
    assert_eq!(by_uid.len(), count);
}

fn send(station: &Station, film: &Instance) {
    let mut sender = Sender::connect(station).unwrap();
    assert_eq!(sender.store(film), 0);
    sender.release();
}

fn named(files: &[PathBuf], kind: &str) -> Vec<DefaultDicomObject> {
    let name = |file: &&PathBuf| {
        file.file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with(kind)
    };
    files
        .iter()
        .filter(name)
        .map(|file| open_file(file).unwrap())
        .collect()
}

fn text(object: &InMemDicomObject, tag: dicom_core::Tag) -> String {
    object.element(tag).unwrap().to_str().unwrap().into_owned()
}

/// The items of a content tree, each by its concept's meaning and its value.
fn content(object: &InMemDicomObject, into: &mut Vec<(String, String)>) {
    let Ok(below) = object.element(tags::CONTENT_SEQUENCE) else {
        return;
    };
    for item in below.items().unwrap() {
        let coded = |tag| {
            let code = item.element(tag).ok()?.items()?.first()?.clone();
            Some(text(&code, tags::CODE_MEANING))
        };
        let value = match &*text(item, tags::VALUE_TYPE) {
            "CODE" => coded(tags::CONCEPT_CODE_SEQUENCE).unwrap(),
            "TEXT" => text(item, tags::TEXT_VALUE),
            "PNAME" => text(item, tags::PERSON_NAME),
            "NUM" => {
                let measured = item.element(tags::MEASURED_VALUE_SEQUENCE).unwrap();
                text(&measured.items().unwrap()[0], tags::NUMERIC_VALUE)
            }
            _ => String::new(),
        };
        into.push((
            coded(tags::CONCEPT_NAME_CODE_SEQUENCE).unwrap_or_default(),
            value,
        ));
        content(item, into);
    }
}

fn value_of(content: &[(String, String)], concept: &str) -> String {
    let item = content.iter().find(|(name, _)| name == concept);
    item.unwrap_or_else(|| panic!("{concept} is missing in {content:?}"))
        .1
        .clone()
}

#[test]
fn results_are_filed_in_the_films_study() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("out")).unwrap();
    let station = Station::start_in(folder, FOLDER);
    let film = Instance::read(&sample("phantom-6.dcm"));
    send(&station, &film);
    all_delivered(&station, 3);
    let out = station.path("out");
    let filed = files(&out);
    assert_eq!(filed.len(), 3, "{filed:?}");
    let source = open_file(sample("phantom-6.dcm")).unwrap();
    let result = station.settled().remove(0);
    assert_eq!(result["delivered"], true);

    let [original] = &named(&filed, "original")[..] else {
        panic!()
    };
    let pixels = |object: &InMemDicomObject| {
        object
            .element(tags::PIXEL_DATA)
            .unwrap()
            .to_bytes()
            .unwrap()
            .into_owned()
    };
    assert_eq!(pixels(original), pixels(&source));

    let [report] = &named(&filed, "report")[..] else {
        panic!()
    };
    for tag in [
        tags::STUDY_INSTANCE_UID,
        tags::PATIENT_ID,
        tags::PATIENT_NAME,
        tags::STUDY_ID,
    ] {
        assert_eq!(text(report, tag), text(&source, tag));
    }
    assert_eq!(text(report, tags::SOP_CLASS_UID), SR);
    assert_ne!(
        text(report, tags::SERIES_INSTANCE_UID),
        text(&source, tags::SERIES_INSTANCE_UID)
    );
    assert_eq!(text(report, tags::VERIFICATION_FLAG), "UNVERIFIED");
    assert!(
        report
            .element(tags::PREDECESSOR_DOCUMENTS_SEQUENCE)
            .is_err()
    );
    let mut items = Vec::new();
    content(report, &mut items);
    let reading = &result["reading"];
    let probability: f64 = value_of(&items, "Probability").parse().unwrap();
    assert!((probability - reading["probability"].as_f64().unwrap()).abs() < 1e-4);
    let present = match reading["positive"].as_bool().unwrap() {
        true => "Present",
        false => "Absent",
    };
    assert_eq!(value_of(&items, "Scoliosis deformity of spine"), present);
    assert_eq!(
        value_of(&items, "Algorithm Name"),
        reading["model"].as_str().unwrap()
    );
    let bundle = reading["bundle"].as_str().unwrap();
    assert!(
        items.iter().any(|(_, value)| value.ends_with(bundle)),
        "{items:?}"
    );
    assert!(value_of(&items, "Comment").ends_with("Screening aid, not a diagnosis."));

    let [capture] = &named(&filed, "capture")[..] else {
        panic!()
    };
    assert_eq!(text(capture, tags::PHOTOMETRIC_INTERPRETATION), "RGB");
    let rows: usize = text(capture, tags::ROWS).parse().unwrap();
    let columns: usize = text(capture, tags::COLUMNS).parse().unwrap();
    assert_eq!(pixels(capture).len(), 3 * rows * columns);

    // A person looks at it: another report names the first one.
    station.request(
        "POST",
        "/films/1/acknowledge",
        true,
        "application/json",
        b"{\"who\": \"a nurse\"}",
    );
    all_delivered(&station, 4);
    let first = text(report, tags::SOP_INSTANCE_UID);
    let reports = named(&files(&out), "report");
    let second = reports
        .iter()
        .find(|other| text(other, tags::SOP_INSTANCE_UID) != first);
    let second = second.expect("a second report");
    let predecessor = second
        .element(tags::PREDECESSOR_DOCUMENTS_SEQUENCE)
        .unwrap();
    let series = &predecessor.items().unwrap()[0];
    let series = &series
        .element(tags::REFERENCED_SERIES_SEQUENCE)
        .unwrap()
        .items()
        .unwrap()[0];
    let instance = &series
        .element(tags::REFERENCED_SOP_SEQUENCE)
        .unwrap()
        .items()
        .unwrap()[0];
    assert_eq!(text(instance, tags::REFERENCED_SOP_INSTANCE_UID), first);
    let mut items = Vec::new();
    content(second, &mut items);
    assert_eq!(value_of(&items, "Person Observer Name"), "a nurse^");
    assert_eq!(text(second, tags::VERIFICATION_FLAG), "UNVERIFIED");
}

#[test]
fn a_refused_film_gets_a_report_that_says_why_and_a_picture_none() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("out")).unwrap();
    let station = Station::start_in(folder, FOLDER);
    let film = Instance::read(&sample("phantom-4.dcm")).of_another_device();
    send(&station, &film);
    let picture = fs::read(sample("phantom-1.png")).unwrap();
    let head = b"--b\r\nContent-Disposition: form-data; name=\"film\"; filename=\"a\"\r\n\r\n";
    let body = [&head[..], &picture, b"\r\n--b--\r\n"].concat();
    let kind = "multipart/form-data; boundary=b";
    assert_eq!(station.request("POST", "/films", true, kind, &body).0, 201);
    all_delivered(&station, 2);
    assert_eq!(station.settled().len(), 2);
    let filed = files(&station.path("out"));
    assert_eq!(station.deliveries().len(), 2, "a picture has no study");
    let [report] = &named(&filed, "report")[..] else {
        panic!("{filed:?}")
    };
    let mut items = Vec::new();
    content(report, &mut items);
    let quality = value_of(&items, "Quality Assessment");
    assert_eq!(quality, "Unusable - Quality renders image unusable");
    assert_eq!(value_of(&items, "Quality Finding"), "Other failure");
    assert_eq!(
        value_of(&items, "Comment"),
        "Not read: the film should be taken or sent again. It was taken by a device of another kind \
         (modality MG), not by one of CR, DX, DR, RG; send a film of a digital or computed radiography unit. Screening \
         aid, not a diagnosis."
    );
    assert!(!items.iter().any(|(concept, _)| concept == "Probability"));
}

/// Takes so many films of one study while the archive is away, and requires that it gets everything once and
/// in order.
fn send_after_absence(films: usize) {
    // A port at which nobody answers yet.
    let address = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().to_string()
    };
    let station = Station::start(&archive_at(&address));
    let film = Instance::read(&sample("phantom-6.dcm"));
    for number in 1..=films {
        send(&station, &film.numbered(number));
    }
    station.settled_of(films, Duration::from_secs(600));
    wait_for(|| {
        let tried = |delivery: &Value| delivery["attempts"].as_u64() > Some(0);
        station.deliveries().iter().any(tried).then_some(())
    });
    let waiting = station.deliveries();
    assert!(
        waiting
            .iter()
            .all(|delivery| delivery["state"] == "waiting")
    );
    let words = waiting
        .iter()
        .find_map(|delivery| delivery["words"].as_str())
        .unwrap();
    assert!(words.contains("nobody answers"), "{words}");
    // Meanwhile it is told to stop, and started again.
    let folder = station.stop();
    let station = Station::start_in(folder, &archive_at(&address));
    let archive = Archive::start(&address, |_| Deed::Answer(0));
    let start = Instant::now();
    wait_up_to(Duration::from_secs(1200), || {
        let delivered = |film: &Value| film["delivered"] == true;
        station.films().iter().all(delivered).then_some(())
    });
    let seconds = start.elapsed().as_secs_f64();
    println!("{} objects in {seconds:.0} s", 3 * films);
    let stored = archive.stored();
    assert_eq!(stored.len(), 3 * films);
    // Each film's original, report and capture, film by film.
    for (index, of_film) in stored.chunks(3).enumerate() {
        let original = film.numbered(index + 1);
        assert_eq!(of_film[0].instance, original.sop_instance);
        assert_eq!(of_film[0].data, original.data);
        assert_eq!([&*of_film[1].class, &*of_film[2].class], [SR, CAPTURE]);
    }
}

#[test]
fn an_archive_that_was_away_gets_everything_once_and_in_order() {
    send_after_absence(3);
}

#[test]
#[ignore = "takes minutes: .ci/full"]
fn an_archive_that_was_away_for_long_gets_everything_once_and_in_order() {
    send_after_absence(200);
}

/// libfaketime, which tells a program another time of the wall clock.
fn faketime() -> PathBuf {
    let mut folders = fs::read_dir("/usr/lib").unwrap();
    let library = folders.find_map(|folder| {
        let library = folder.unwrap().path().join("faketime/libfaketime.so.1");
        library.is_file().then_some(library)
    });
    library.expect("libfaketime is not installed; run .ci/peers")
}

#[test]
#[ignore = "needs faketime: .ci/peers"]
fn a_clock_that_was_set_back_a_day_changes_neither_order_nor_instances() {
    // Nobody is there until both films have their results.
    let address = {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().to_string()
    };
    let film = Instance::read(&sample("phantom-6.dcm"));
    let station = Station::start(&archive_at(&address));
    send(&station, &film.numbered(1));
    station.settled();
    let folder = station.stop();
    let mut yesterday = Command::new(PROGRAM);
    yesterday.env("LD_PRELOAD", faketime());
    yesterday
        .env("FAKETIME", "-1d")
        .env("DONT_FAKE_MONOTONIC", "1");
    let station = Station::start_by(yesterday, folder, &archive_at(&address)).unwrap();
    send(&station, &film.numbered(2));
    let films = station.settled();
    let received = |index: usize| films[index]["received"].as_str().unwrap().to_owned();
    assert!(
        received(0) < received(1),
        "the newest film is the older by the clock"
    );
    let (_, health) = station.request("GET", "/health", false, "", b"");
    assert!(health.contains("clock"), "{health}");
    let archive = Archive::start(&address, |_| Deed::Answer(0));
    for told in station.deliveries() {
        let path = format!("/deliveries/{}/send-again", told["delivery"]);
        let who = b"{\"who\": \"a supervisor\"}";
        station.request("POST", &path, true, "application/json", who);
    }
    all_delivered(&station, 6);
    require_instances(&archive, 6);
    // Film, report and capture of the first, and then of the second.
    let classes: Vec<_> = archive
        .stored()
        .into_iter()
        .map(|stored| stored.class)
        .collect();
    let one = [film.sop_class.as_str(), SR, CAPTURE];
    assert_eq!(classes, [one, one].concat());
    let films: Vec<_> = archive
        .stored()
        .into_iter()
        .map(|stored| stored.instance)
        .collect();
    assert_eq!(
        (&films[0], &films[3]),
        (
            &film.numbered(1).sop_instance,
            &film.numbered(2).sop_instance
        )
    );
    let (whole, report) = station.run(&["check"]);
    assert!(report.contains("chain whole"), "{whole} {report}");
}

#[test]
fn every_answer_means_what_the_standard_says() {
    let deeds = [
        Deed::Answer(0xA700),
        Deed::Answer(0xB000),
        Deed::BreakOff,
        Deed::StoreSilently,
        Deed::AnswerTwice,
        Deed::Answer(0xA900),
    ];
    let deed = move |index: usize| deeds.get(index).copied().unwrap_or(Deed::Answer(0));
    let archive = Archive::start("127.0.0.1:0", deed);
    let station = Station::start(&archive_at(&archive.address.to_string()));
    let film = Instance::read(&sample("phantom-6.dcm"));
    send(&station, &film);
    let ended = wait_for(|| {
        let deliveries = station.deliveries();
        let waits = |delivery: &Value| delivery["state"] == "waiting";
        (deliveries.len() == 3 && !deliveries.iter().any(waits)).then_some(deliveries)
    });
    // The newest first: the capture was refused, the report broken off twice, the film put off once.
    let told: Vec<_> = ended
        .iter()
        .map(|told| {
            let attempts = told["attempts"].as_u64().unwrap();
            (
                told["state"].as_str().unwrap(),
                attempts,
                told["words"].as_str(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("refused", 1, Some("status A900: not such")),
            ("delivered", 3, None),
            ("delivered", 2, Some("status B000: not such")),
        ]
    );
    assert_eq!(station.films()[0]["delivered"], false);
    let again = format!("/deliveries/{}/send-again", ended[0]["delivery"]);
    let who = b"{\"who\": \"a supervisor\"}";
    assert_eq!(
        station
            .request("POST", &again, true, "application/json", who)
            .0,
        204
    );
    all_delivered(&station, 3);
    assert_eq!(
        station
            .request("POST", &again, true, "application/json", who)
            .0,
        404
    );
    assert_eq!(station.films()[0]["delivered"], true);
    // The report came twice, the second time the very same.
    require_instances(&archive, 3);
    let (whole, report) = station.run(&["check"]);
    assert!(report.contains("chain whole"), "{whole} {report}");
}

#[test]
fn answers_of_every_kind_are_told() {
    // In the order in which the two objects of each of three studies are sent.
    let answers = [0xB006, 0xC123, 0xB007, 0x0122, 0x0000, 0xA900];
    let archive = Archive::start("127.0.0.1:0", move |index| Deed::Answer(answers[index]));
    let address = archive.address;
    let station = Station::start(&format!(
        "[[destination]]\nname = \"archive\"\naddress = \"{address}\"\nae_title = \"PACS\"\n"
    ));
    for (index, name) in ["phantom-4.dcm", "phantom-5.dcm", "phantom-6.dcm"]
        .into_iter()
        .enumerate()
    {
        send(&station, &Instance::read(&sample(name)));
        wait_for(|| {
            let told = station.deliveries();
            let waits = |told: &Value| told["state"] == "waiting";
            (told.len() == 2 * (index + 1) && !told.iter().any(waits)).then_some(())
        });
    }
    let mut told = station.deliveries();
    told.reverse();
    for (told, answer) in told.iter().zip(answers) {
        let known = ANSWERS
            .iter()
            .find(|(from, to, _)| (*from..=*to).contains(&answer));
        let state = match known.unwrap().2 {
            Meaning::Delivered | Meaning::DeliveredWithWarning => "delivered",
            Meaning::Refused => "refused",
            Meaning::Later => unreachable!("not among these"),
        };
        assert_eq!(told["state"], state, "{told}");
        if answer != 0 {
            let words = told["words"].as_str().unwrap();
            assert!(
                words.starts_with(&format!("status {answer:04X}")),
                "{words}"
            );
        }
    }
    let (_, refused) = station.request("GET", "/deliveries?state=refused", true, "text/plain", b"");
    let refused: Vec<Value> = serde_json::from_str(&refused).unwrap();
    assert_eq!(refused.len(), 3);
}

#[test]
fn an_archive_that_rejects_the_station_for_good_is_asked_three_times() {
    let address = archive::reject();
    let station = Station::start(&archive_at(&address.to_string()));
    send(&station, &Instance::read(&sample("phantom-6.dcm")));
    let refused = wait_for(|| {
        let mut told = station.deliveries();
        told.retain(|told| told["state"] == "refused");
        told.pop()
    });
    assert_eq!(refused["attempts"], 3);
    assert!(
        refused["words"]
            .as_str()
            .unwrap()
            .contains("it rejects the station"),
        "{refused}"
    );
}

#[test]
fn an_archive_that_wants_tiny_pieces_is_left() {
    for most in [1, 5, 900] {
        let address = archive::accept_with_pdus_of(most);
        let station = Station::start(&archive_at(&address.to_string()));
        send(&station, &Instance::read(&sample("phantom-6.dcm")));
        let words = wait_for(|| {
            let deliveries = station.deliveries();
            let words = deliveries.iter().find_map(|told| told["words"].as_str());
            words.map(str::to_owned)
        });
        let said = format!("PDUs of at most {most} bytes");
        assert!(words.contains(&said), "{words}");
    }
}

/// Kills a station so many times while it sends, and requires that the archive has everything at the end,
/// each object with the same bytes however often it came.
fn kill_while_sending(kills: usize) {
    let archive = Archive::start("127.0.0.1:0", |_| Deed::Answer(0));
    let more = archive_at(&archive.address.to_string());
    let mut station = Station::start(&more);
    let film = Instance::read(&sample("phantom-6.dcm"));
    let mut random = 1_u64;
    for kill in 1..=kills {
        send(&station, &film.numbered(kill));
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        // From before the film is read to after all of it is sent.
        std::thread::sleep(Duration::from_millis(50 + (random >> 33) % 1500));
        let folder = station.kill();
        station = Station::start_in(folder, &more);
    }
    wait_up_to(Duration::from_secs(600), || {
        let delivered = |film: &Value| film["delivered"] == true;
        let films = station.films();
        (films.len() == kills && films.iter().all(delivered)).then_some(())
    });
    require_instances(&archive, 3 * kills);
    println!(
        "{kills} kills: {} objects came {} times",
        3 * kills,
        archive.stored().len()
    );
}

#[test]
fn a_station_that_is_killed_while_it_sends_files_nothing_twice() {
    kill_while_sending(4);
}

#[test]
#[ignore = "takes minutes: .ci/full"]
fn a_station_that_is_killed_very_often_while_it_sends_files_nothing_twice() {
    let kills = std::env::var("PLUMBLINE_KILLS");
    kill_while_sending(kills.map_or(200, |kills| kills.parse().unwrap()));
}
