//! A station as its senders and its operator see it.

mod station;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use dicom_ul::association::Error;
use dicom_ul::pdu::PDataValueType;
use plumbline_dimse::{C_ECHO, Request};
use rustix::process::Signal;
use serde_json::{Value, json};
use station::*;

fn echo(sender: &mut Sender) -> u16 {
    let request = Request {
        field: C_ECHO,
        message: 9,
        sop_class: VERIFICATION.into(),
        ..Request::default()
    };
    sender.ask(VERIFICATION, &request.bytes(), None).status
}

#[test]
fn films_that_are_sent_are_kept_once_and_read_as_screen_reads_them() {
    let station = Station::start("");
    let names = ["phantom-4.dcm", "phantom-5.dcm", "phantom-6.dcm"];
    let instances = names.map(|name| Instance::read(&sample(name)));
    let mut sender = Sender::connect(&station).unwrap();
    assert_eq!(echo(&mut sender), 0);
    for instance in instances.iter().chain(&instances) {
        assert_eq!(sender.store(instance), 0);
    }
    sender.release();
    let films = station.settled();
    assert_eq!(films.len(), 3);
    let output = Command::new(PROGRAM)
        .args(["screen", "--json"])
        .args(names.map(sample))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let screened = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    for ((film, line), instance) in films.iter().rev().zip(screened).zip(&instances) {
        assert_eq!(film["state"], "read");
        assert_eq!(film["reading"]["probability"], line["probability"]);
        assert_eq!(film["reading"]["cam"], line["cam"]);
        assert_eq!(film["header"]["sop_instance_uid"], *instance.sop_instance);
        // The data set's bytes are the sender's, behind file meta information.
        let hash = film["hash"].as_str().unwrap();
        let path = format!("data/films/{}/{}/{hash}", &hash[..2], &hash[2..4]);
        let kept = fs::read(station.path(&path)).unwrap();
        assert!(kept.ends_with(&instance.data));
        assert_eq!(&kept[128..132], b"DICM");
    }
    let (whole, report) = station.run(&["check"]);
    assert!(whole, "{report}");
    assert!(
        report.contains("audit log: chain whole up to entry"),
        "{report}"
    );
}

#[test]
fn what_cannot_be_stored_gets_its_status_and_costs_no_association() {
    let station = Station::start("[store]\nfilm_mib = 1\nreserve_mib = 16\nlow_water_mib = 16\n");
    let film = Instance::read(&sample("phantom-4.dcm"));
    let small = |instance: &str| {
        let element = |group: u16, number: u16, vr: &[u8], value: &str| {
            let mut bytes = [group.to_le_bytes(), number.to_le_bytes()].concat();
            bytes.extend(vr);
            bytes.extend((value.len() as u16).to_le_bytes());
            bytes.extend(value.as_bytes());
            bytes
        };
        let class = format!("{DX}\0");
        [
            element(8, 0x16, b"UI", &class),
            element(8, 0x18, b"UI", instance),
        ]
        .concat()
    };
    let mut sender = Sender::connect(&station).unwrap();
    let mut ask = |class: &str, instance: &str, data: &[u8]| {
        let response = sender.ask(DX, &store_command(class, instance), Some(data));
        assert!(response.comment.len() <= 64, "{}", response.comment);
        response.status
    };
    // A data set without pixels is stored, and refused by the reader.
    assert_eq!(ask(DX, "1.2.34", &small("1.2.34")), 0x0000);
    assert_eq!(ask(DX, "1.2.35", &small("1.2.34")), 0xA900);
    assert_eq!(ask(CR, "1.2.34", &small("1.2.34")), 0x0122);
    assert_eq!(ask(DX, "../../1.2", &small("1.2.34")), 0x0115);
    assert_eq!(ask(DX, "1.2.34", b"this is no data set at all"), 0xC000);
    let cut = &small("1.2.36")[..30];
    assert_eq!(ask(DX, "1.2.36", cut), 0xC000);
    let half = &film.data[..film.data.len() / 2];
    assert_eq!(ask(DX, &film.sop_instance, half), 0xC000);
    // More than a film may have here.
    assert_eq!(ask(DX, "1.2.37", &vec![0; (1 << 20) + 1]), 0xC000);
    assert_eq!(echo(&mut sender), 0);
    let unknown = Request {
        field: 0x0021,
        message: 3,
        sop_class: DX.into(),
        ..Request::default()
    };
    assert_eq!(sender.ask(DX, &unknown.bytes(), None).status, 0x0211);
    sender.release();
    let films = station.settled();
    assert_eq!(films.len(), 1);
    assert_eq!(films[0]["state"], "refused");
    assert_eq!(films[0]["findings"][0]["code"], "no-pixels");
    let json = "application/json";
    let why = json!({ "who": "Dr B", "why": "" }).to_string();
    let (status, _) = station.request("POST", "/films/1/read-anyway", true, json, why.as_bytes());
    assert_eq!(status, 400);
    let left = fs::read_dir(station.path("data/incoming")).unwrap();
    assert_eq!(left.count(), 0);
}

#[test]
fn below_the_reserve_a_film_is_told_to_come_later() {
    let station = Station::start("[store]\nreserve_mib = 1000000000\nlow_water_mib = 1000000000\n");
    let mut sender = Sender::connect(&station).unwrap();
    let film = Instance::read(&sample("phantom-4.dcm"));
    assert_eq!(sender.store(&film), 0xA700);
    sender.release();
    assert!(station.films().is_empty());
    let (status, health) = station.request("GET", "/health", false, "text/plain", b"");
    assert_eq!(status, 503);
    assert!(health.contains("the disk is full"), "{health}");
}

#[test]
fn callers_are_told_why_they_are_rejected() {
    let station = Station::start(
        "[dicom]\nlisten = \"127.0.0.1:0\"\ncallers = [\"UNIT\", \"VIEWER\"]\n\
         senders = [\"UNIT\"]\nassociations = 1\n",
    );
    let busy = "local limit exceeded";
    let connect = |calling: &str, called: &str| match Sender::connect_as(&station, calling, called)
    {
        Err(Error::Rejected { association_rj, .. }) => Err(association_rj.source.to_string()),
        Err(error) => panic!("{error}"),
        Ok(sender) => Ok(sender),
    };
    // A connection that has just been closed may still count.
    let when_free = |calling: &str, called: &str| {
        wait_for(|| match connect(calling, called) {
            Err(why) if why == busy => None,
            connected => Some(connected),
        })
    };
    let rejected = |calling, called| when_free(calling, called).err().unwrap();
    assert_eq!(
        rejected("OTHER", "PLUMBLINE"),
        "calling AE title not recognized"
    );
    assert_eq!(
        rejected("UNIT", "Plumbline"),
        "called AE title not recognized"
    );
    let mut viewer = when_free("VIEWER", "PLUMBLINE").unwrap();
    let film = Instance::read(&sample("phantom-4.dcm"));
    assert_eq!(echo(&mut viewer), 0);
    assert_eq!(viewer.store(&film), 0x0124);
    // One association is open, as many as there may be. Connections that say nothing do not count.
    let silent = [(); 10].map(|()| TcpStream::connect(station.dicom).unwrap());
    assert_eq!(connect("UNIT", "PLUMBLINE").err().unwrap(), busy);
    viewer.release();
    let mut unit = when_free("UNIT", "PLUMBLINE").unwrap();
    drop(silent);
    assert_eq!(unit.store(&film), 0);
    let log = station.log();
    assert!(
        log.contains("it called \"Plumbline\", and this station's name is \"PLUMBLINE\""),
        "{log}"
    );
}

#[test]
fn the_same_instance_with_other_bytes_is_held_until_a_person_decides() {
    let station = Station::start("");
    let mut film = Instance::read(&sample("phantom-4.dcm"));
    let mut sender = Sender::connect(&station).unwrap();
    assert_eq!(sender.store(&film), 0);
    assert_eq!(station.settled()[0]["state"], "read");
    *film.data.last_mut().unwrap() ^= 1;
    assert_eq!(sender.store(&film), 0);
    sender.release();
    let films = station.settled();
    assert_eq!(
        (&films[0]["state"], &films[1]["state"]),
        (&json!("received"), &json!("read"))
    );
    assert!(!films[0]["held"].is_null());
    let who = json!({ "who": "Dr B", "why": "the later film" }).to_string();
    let anyway = |token| {
        let json = "application/json";
        station
            .request("POST", "/films/2/read-anyway", token, json, who.as_bytes())
            .0
    };
    assert_eq!(anyway(false), 401);
    assert_eq!(anyway(true), 204);
    let films = station.settled();
    assert_eq!(films[0]["state"], "read");
    // The gate was not overruled.
    assert!(films[0]["read_anyway"].is_null());
    let json = "application/json";
    let acknowledged = |film: &str| {
        let path = format!("/films/{film}/acknowledge");
        station.request("POST", &path, true, json, who.as_bytes()).0
    };
    assert_eq!(["2", "2", "7"].map(acknowledged), [204, 409, 404]);
}

#[test]
fn a_station_that_is_told_to_stop_keeps_what_waits() {
    let station = Station::start("");
    let film = Instance::read(&sample("phantom-5.dcm"));
    let mut sender = Sender::connect(&station).unwrap();
    // Half of a film has come when the station is told to stop.
    let command = store_command(&film.sop_class, &film.sop_instance);
    sender.send(&film.sop_class, PDataValueType::Command, true, &command);
    let (first, second) = film.data.split_at(film.data.len() / 2);
    for chunk in first.chunks(16_000) {
        sender.send(&film.sop_class, PDataValueType::Data, false, chunk);
    }
    // One that has only sent, and is not heard yet, is told to come again.
    let incoming = station.path("data/incoming");
    wait_for(|| fs::read_dir(&incoming).unwrap().next().map(|_| ()));
    signal(station.process(), Signal::TERM);
    wait_for(|| station.log().contains("stopping").then_some(()));
    for chunk in second.chunks(16_000) {
        sender.send(&film.sop_class, PDataValueType::Data, false, chunk);
    }
    sender.send(&film.sop_class, PDataValueType::Data, true, b"");
    assert_eq!(sender.response().status, 0);
    let folder = station.stop();
    let station = Station::start_in(folder, "");
    assert_eq!(station.settled()[0]["state"], "read");
    let (whole, report) = station.run(&["check"]);
    assert!(whole, "{report}");
}

#[test]
fn a_station_that_was_killed_goes_on() {
    let mut folder = tempfile::tempdir().unwrap();
    for name in ["phantom-4.dcm", "phantom-5.dcm", "phantom-6.dcm"] {
        let station = Station::start_in(folder, "");
        let film = Instance::read(&sample(name));
        let mut sender = Sender::connect(&station).unwrap();
        assert_eq!(sender.store(&film), 0);
        folder = station.kill();
    }
    let station = Station::start_in(folder, "");
    let films = station.settled();
    assert_eq!(films.len(), 3);
    assert!(
        films.iter().all(|film| film["state"] == "read"),
        "{films:?}"
    );
    assert!(station.run(&["check"]).0);
}

#[test]
fn a_reader_that_is_killed_costs_a_second_try() {
    let station = Station::start("");
    let kill_readers = || {
        let tasks = format!("/proc/{}/task", station.process());
        let threads = fs::read_dir(tasks).unwrap().flatten();
        let children = threads.map(|thread| fs::read_to_string(thread.path().join("children")));
        let children = children.flatten().collect::<String>();
        for child in children.split_whitespace() {
            signal(child.parse().unwrap(), Signal::KILL);
        }
        !children.trim().is_empty()
    };
    wait_for(|| kill_readers().then_some(()));
    let mut sender = Sender::connect(&station).unwrap();
    assert_eq!(sender.store(&Instance::read(&sample("phantom-4.dcm"))), 0);
    let films = station.settled();
    assert_eq!(films[0]["state"], "read", "{films:?}\n{}", station.log());
}

#[test]
fn uploads_need_the_token_and_are_checked_as_films_by_dicom() {
    let station = Station::start("");
    let upload = |name: &str, bytes: &[u8], token| {
        let head = format!(
            "--b\r\nContent-Disposition: form-data; name=\"film\"; filename=\"{name}\"\r\n\r\n"
        );
        let body = [head.as_bytes(), bytes, b"\r\n--b--\r\n"].concat();
        station.request(
            "POST",
            "/films",
            token,
            "multipart/form-data; boundary=b",
            &body,
        )
    };
    let film = fs::read(sample("phantom-1.png")).unwrap();
    assert_eq!(upload("a.png", &film, false).0, 401);
    assert_eq!(
        upload("a.png", &film, true),
        (201, "[{\"film\":1,\"kept\":\"new\"}]".into())
    );
    assert_eq!(
        upload("b.png", &film, true).1,
        "[{\"film\":1,\"kept\":\"known\"}]"
    );
    let (status, why) = upload("a.png", &film[..film.len() / 2], true);
    assert_eq!(status, 422, "{why}");
    assert!(why.contains("damaged"), "{why}");
    assert_eq!(
        station
            .request("POST", "/films", true, "text/plain", b"x")
            .0,
        400
    );
    assert_eq!(station.settled()[0]["state"], "read");
    let (status, one) = station.request("GET", "/films/1", true, "text/plain", b"");
    assert_eq!(status, 200);
    assert!(one.contains("\"sender\":\"a.png\""), "{one}");
    let change = |what: &str, body: Value| {
        let (path, body) = (format!("/films/1/{what}"), body.to_string());
        let asked = station.request("POST", &path, true, "application/json", body.as_bytes());
        asked.0
    };
    for (what, body) in [
        ("acknowledge", json!({ "who": " " })),
        ("read-anyway", json!({ "who": "a nurse" })),
        ("delivered", json!({ "who": "", "to": "PACS" })),
    ] {
        assert_eq!(change(what, body), 400, "{what}");
    }
    let long = "n".repeat(70_000);
    assert_eq!(change("acknowledge", json!({ "who": long })), 413);
    assert_eq!(change("acknowledge", json!({ "who": "a nurse" })), 204);
    let (status, health) = station.request("GET", "/health", false, "text/plain", b"");
    assert_eq!(status, 200, "{health}");
    let (status, metrics) = station.request("GET", "/metrics", false, "text/plain", b"");
    assert_eq!(status, 200);
    for line in [
        "plumbline_films_received_total{origin=\"http\",kept=\"new\"} 1",
        "plumbline_films_received_total{origin=\"http\",kept=\"known\"} 1",
        "plumbline_films{state=\"acknowledged\"} 1",
        "plumbline_step_seconds_count{step=\"decode\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
}

#[test]
fn a_watched_folder_gives_its_whole_films() {
    let folder = tempfile::tempdir().unwrap();
    let films = folder.path().join("films");
    fs::create_dir(&films).unwrap();
    fs::copy(sample("phantom-2.png"), films.join("before.png")).unwrap();
    let station = Station::start_in(
        folder,
        "[folder]\npath = \"FOLDER/films\"\nafter = \"move\"\nmoved_to = \"FOLDER/done\"\n",
    );
    let films = station.path("films");
    fs::copy(sample("phantom-4.dcm"), films.join("film.dcm")).unwrap();
    // A copy that is still going on, and one that broke off.
    let bytes = fs::read(sample("phantom-3.png")).unwrap();
    let (first, second) = bytes.split_at(bytes.len() / 2);
    let mut slow = fs::File::create(films.join("slow.png")).unwrap();
    slow.write_all(first).unwrap();
    fs::write(films.join("broken.png"), first).unwrap();
    fs::write(films.join("hidden.png.part"), &bytes).unwrap();
    wait_for(|| (station.films().len() == 2).then_some(()));
    slow.write_all(second).unwrap();
    drop(slow);
    wait_for(|| (station.films().len() == 3).then_some(()));
    wait_for(|| (fs::read_dir(station.path("done")).unwrap().count() == 3).then_some(()));
    let mut left: Vec<_> = fs::read_dir(&films)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["broken.png", "hidden.png.part"]);
    assert!(station.settled().iter().all(|film| film["state"] == "read"));
    let (whole, report) = station.run(&["check"]);
    assert!(!whole && report.contains("broken.png"), "{report}");
}

#[test]
fn a_film_is_the_same_from_a_folder_and_over_the_network_and_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("films")).unwrap();
    let film = folder.path().join("films/film.dcm");
    fs::copy(sample("phantom-4.dcm"), film).unwrap();
    let watch = "[folder]\npath = \"FOLDER/films\"\n";
    let station = Station::start_in(folder, watch);
    wait_for(|| (station.films().len() == 1).then_some(()));
    let mut sender = Sender::connect(&station).unwrap();
    assert_eq!(sender.store(&Instance::read(&sample("phantom-4.dcm"))), 0);
    sender.release();
    let films = station.settled();
    assert_eq!((films.len(), &films[0]["state"]), (1, &json!("read")));
    let station = Station::start_in(station.stop(), watch);
    // Longer than a file must be unchanged that no event told of.
    std::thread::sleep(Duration::from_secs(3));
    let (_, metrics) = station.request("GET", "/metrics", false, "text/plain", b"");
    assert!(!metrics.contains("films_received_total{"), "{metrics}");
    fs::copy(sample("phantom-5.dcm"), station.path("films/film.dcm")).unwrap();
    wait_for(|| (station.films().len() == 2).then_some(()));
}

#[test]
fn slow_and_hostile_peers_are_dropped() {
    let station = Station::start("");
    let send = |bytes: &[u8]| {
        let mut socket = TcpStream::connect(station.dicom).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        socket.write_all(bytes).unwrap();
        let start = Instant::now();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).ok();
        (answer, start.elapsed())
    };
    // No PDU, one that announces 4 GiB, P-DATA before an association, an unknown type.
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"\x01\0\xff\xff\xff\xff",
        b"\x04\0\0\0\0\x0a\0\0\0\x06\x01\x03abcd",
        b"\x77\0\0\0\0\x04abcd",
    ] {
        let (_, time) = send(bytes);
        assert!(time < Duration::from_secs(20), "{bytes:?} took {time:?}");
    }
    let mut sender = Sender::connect(&station).unwrap();
    assert_eq!(echo(&mut sender), 0);
}

#[test]
fn logs_and_metrics_name_no_patient() {
    let marker = "MARKERQ7";
    let film = fs::read(sample("phantom-4.dcm")).unwrap();
    // The header's texts are replaced in place by a marker of the same length.
    let mut instance = Instance::read(&sample("phantom-4.dcm"));
    let mut at = 0;
    let mut marked = 0;
    while at + 8 < instance.data.len() {
        let word = |at: usize| u16::from_le_bytes([instance.data[at], instance.data[at + 1]]);
        let vr = instance.data[at + 4..at + 6].to_vec();
        // Into sequences and their items.
        if word(at) == 0xFFFE || &vr == b"SQ" {
            at += if word(at) == 0xFFFE { 8 } else { 12 };
            continue;
        }
        if [&b"OB"[..], b"OW", b"UN", b"UT"].contains(&&vr[..]) {
            break;
        }
        let length = usize::from(word(at + 6));
        let text = [&b"LO"[..], b"SH", b"PN", b"LT", b"ST", b"UC"].contains(&&vr[..]);
        if text && length > 0 {
            let value: Vec<u8> = marker.bytes().cycle().take(length).collect();
            instance.data[at + 8..at + 8 + length].copy_from_slice(&value);
            marked += 1;
        }
        at += 8 + length;
    }
    assert!(
        marked >= 8,
        "{marked} texts in a film of {} bytes",
        film.len()
    );
    let station = Station::start(
        "[log]\nverbose = true\n[folder]\npath = \"FOLDER\"\n[[destination]]\n\
         name = \"gone\"\nfolder = \"FOLDER/gone\"\n[[destination]]\nname = \"here\"\n\
         folder = \"FOLDER/data\"\nsends = [\"originals\", \"reports\", \"captures\"]\n",
    );
    let mut sender = Sender::connect(&station).unwrap();
    assert_eq!(sender.store(&instance.numbered(7)), 0);
    assert_eq!(sender.store(&instance), 0);
    *instance.data.last_mut().unwrap() ^= 1;
    assert_eq!(sender.store(&instance), 0);
    assert_eq!(
        sender.store(&Instance {
            sop_instance: "1.2".into(),
            ..instance
        }),
        0xA900
    );
    let name = format!("{marker}.png");
    fs::copy(sample("phantom-1.png"), station.path(&name)).unwrap();
    fs::write(station.path(&format!("{marker}.dcm")), b"no film").unwrap();
    wait_for(|| (station.films().len() == 4).then_some(()));
    let films = station.settled();
    assert!(films.iter().any(|film| film.to_string().contains("MARKER")));
    wait_for(|| station.log().contains("no whole film").then_some(()));
    for word in ["delivered", "not delivered yet"] {
        wait_for(|| station.log().contains(word).then_some(()));
    }
    let (_, metrics) = station.request("GET", "/metrics", false, "text/plain", b"");
    let (_, health) = station.request("GET", "/health", false, "text/plain", b"");
    let folder = station.stop();
    let log = fs::read_to_string(folder.path().join("log")).unwrap();
    assert!(log.lines().count() > 5, "{log}");
    for text in [log, metrics, health] {
        assert!(!text.contains("MARKER"), "{text}");
    }
}

#[test]
fn a_backup_is_taken_and_restored_by_the_program() {
    let station = Station::start("");
    let mut sender = Sender::connect(&station).unwrap();
    assert_eq!(sender.store(&Instance::read(&sample("phantom-4.dcm"))), 0);
    sender.release();
    station.settled();
    let target = station.path("backup");
    let target = target.to_str().unwrap();
    let (done, said) = station.run(&["backup", target]);
    assert!(done && said.starts_with("1 films are in"), "{said}");
    let (done, said) = station.run(&["restore", target]);
    assert!(
        !done && said.contains("is in use by another plumbline-edge"),
        "{said}"
    );
    let folder = station.stop();
    fs::remove_dir_all(folder.path().join("data")).unwrap();
    let config = folder.path().join("station.toml");
    let restored = Command::new(PROGRAM)
        .args(["restore", "--config"])
        .arg(&config)
        .arg(target)
        .status()
        .unwrap();
    assert!(restored.success());
    let station = Station::start_in(folder, "");
    assert_eq!(station.settled()[0]["state"], "read");
}
