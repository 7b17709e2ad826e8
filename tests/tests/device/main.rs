//! The link between host and station: both programs with each other, and each with another side that
//! does what they never would.

mod authority;
mod broken;
mod relay;
mod sides;
mod station;

use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use authority::Authority;
use plumbline_wire::hello::{Agreement, Identity};
use plumbline_wire::host::{FromStation, Info, LogEntry, Panel, ToStation};
use plumbline_wire::object::{Chunk, Have};
use plumbline_wire::panel::Activity;
use relay::Relay;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::json;
use sha2::{Digest, Sha256};
use sides::*;
use station::*;

#[test]
fn a_station_tells_how_it_is() {
    let station = Station::start();
    // Its reader opens the bundle meanwhile.
    let text = wait_for(|| {
        let text = printed(&station.device(&["info"]));
        (!text.contains("no reader is ready")).then_some(text)
    });
    let version = env!("CARGO_PKG_VERSION");
    let named = format!("station  PLUMBLINE, version {version}");
    for line in [
        &named,
        "state    ready",
        "panel    none",
        "results  up to number 0",
    ] {
        assert!(
            text.lines().any(|said| said == line),
            "{line} is not in\n{text}"
        );
    }
    assert!(
        text.contains("bundle   chexnet ") && !text.contains("WRONG"),
        "{text}"
    );
    let info = &told(&station.device(&["info", "--json"]))[0];
    let manifest = fs::read(plumbline_tests::root().join("models/chexnet/manifest.json")).unwrap();
    assert_eq!(
        info["bundle"]["sha256"],
        plumbline_shared::manifest::sha256(&manifest)
    );
    assert!(
        info["disk_free"].as_u64() > Some(0)
            && info["disk_size"].as_u64() > info["disk_free"].as_u64()
    );
    assert_eq!(
        (&info["faults"], &info["version"]),
        (&json!([]), &json!(version))
    );
    let mut check = plumbline_tests::program("plumbline-edge");
    let report = plumbline_tests::succeed(
        check
            .args(["check", "--config"])
            .arg(station.path("station.toml")),
    );
    assert!(
        report.contains("ok     TLS of the link: certificates and key can be used"),
        "{report}"
    );
}

#[test]
fn what_is_wrong_with_a_station_is_told() {
    let station =
        Station::start_with("[store]\nreserve_mib = 1000000000\nlow_water_mib = 1000000000\n");
    let text = printed(&station.device(&["info"]));
    assert!(
        text.contains("WRONG    the disk is full: no film is received"),
        "{text}"
    );
    let film = sample("phantom-1.png");
    let why = complaint(&station.device(&["screen", film.to_str().unwrap()]));
    assert!(
        why.contains("phantom-1.png: the station says: the disk has"),
        "{why}"
    );
}

#[test]
fn films_are_screened_and_results_and_logs_fetched() {
    let mut station = Station::start();
    let films = ["phantom-4.dcm", "phantom-1.png"].map(|name| sample(name).display().to_string());
    let [first, second] = films.each_ref().map(String::as_str);
    let screened = told(&station.device(&["screen", "--json", first, second]));
    let mut listed = station.films();
    listed.reverse();
    let numbers: Vec<u64> = screened
        .iter()
        .map(|film| film["number"].as_u64().unwrap())
        .collect();
    assert!(numbers[0] < numbers[1], "{numbers:?}");
    for ((film, listed), path) in screened.iter().zip(&mut listed).zip(&films) {
        assert_eq!(
            (&film["state"], &film["origin"]),
            (&json!("read"), &json!("host"))
        );
        listed["number"] = film["number"].clone();
        listed["path"] = json!(path);
        assert_eq!(film, listed);
    }
    // A film that is known is told, not sent, not kept again.
    let again = told(&station.device(&["screen", "--json", first]));
    assert_eq!(again[0], screened[0]);
    assert_eq!(station.films().len(), 2);
    let text = printed(&station.device(&["screen", first]));
    assert!(
        text.contains("phantom-4.dcm  read ") && text.contains(", probability 0."),
        "{text}"
    );

    let results = |after: u64| {
        let after = after.to_string();
        let results = told(&station.device(&["results", "--json", "--after", &after]));
        results
            .iter()
            .map(|film| film["number"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(results(0), numbers);
    assert_eq!(results(numbers[0]), numbers[1..]);
    assert!(results(numbers[1]).is_empty());
    let text = printed(&station.device(&["results"]));
    assert_eq!(text.lines().count(), 2, "{text}");
    let why = complaint(&station.device(&["results", "--after", "1000000"]));
    assert!(
        why.contains(&format!("end at number {}", numbers[1])),
        "{why}"
    );

    let text = printed(&station.device(&["logs"]));
    assert!(text.contains("INFO received film=1 origin=Host"), "{text}");
    assert!(
        !text.contains("phantom"),
        "a file's name may be a patient's: {text}"
    );
    let logs = told(&station.device(&["logs", "--json"]));
    let newest = logs.last().unwrap()["number"].as_u64().unwrap();
    // Each question leaves some lines of its own.
    let after = (newest - 3).to_string();
    let rest = told(&station.device(&["logs", "--json", "--after", &after]));
    assert_eq!(rest[..3], logs[logs.len() - 3..]);
    station.kill_and_start();
    let after = newest.to_string();
    let later = told(&station.device(&["logs", "--json", "--after", &after]));
    let is_later = |line: &serde_json::Value| line["number"].as_u64().unwrap() > newest;
    assert!(!later.is_empty() && later.iter().all(is_later), "{later:?}");
}

#[test]
fn results_and_logs_are_followed() {
    let station = Station::start();
    let mut command = plumbline_tests::program("plumbline");
    let output = fs::File::create(station.path("followed")).unwrap();
    let to = format!("tcp://{}", station.address);
    command.args(["device", "results", "--follow", "--json", "--to", &to]);
    command.arg("--certificate").arg(&station.host.certificate);
    command.arg("--key").arg(&station.host.key);
    command.arg("--authorities").arg(&station.host.authorities);
    let mut follower = command.stdout(output).spawn().unwrap();
    let film = Film::read(&sample("phantom-5.dcm"));
    let mut host = connect(station.address, &station.host);
    film.announce(&mut host);
    film.send(&mut host, 0, film.bytes.len());
    let (number, _) = result(&mut host);
    let followed = wait_for(|| {
        let text = fs::read_to_string(station.path("followed")).unwrap();
        text.ends_with('\n').then_some(text)
    });
    follower.kill().unwrap();
    follower.wait().unwrap();
    let told: serde_json::Value = serde_json::from_str(followed.trim()).unwrap();
    assert_eq!(told["number"], number);
}

#[test]
fn nobody_is_answered_without_the_right_certificate() {
    let station = Station::start();
    let others = Authority::new(station.folder.path(), "others");
    let stranger = others.sign("stranger", &[]);
    // One who trusts the station, and whom it does not.
    let mut shown = stranger.clone();
    shown.authorities = station.host.authorities.clone();
    let why = complaint(&device(&["info"], station.address, &shown));
    assert!(
        why.contains("does not take this computer's certificate"),
        "{why}"
    );
    // One whom the station trusts, and who does not trust it.
    let mut shown = station.host.clone();
    shown.authorities = stranger.authorities.clone();
    let why = complaint(&device(&["info"], station.address, &shown));
    assert!(
        why.contains("is not trusted (invalid peer certificate: UnknownIssuer)"),
        "{why}"
    );
    // A station that is called by another name than its certificate's.
    let to = format!("tcp://localhost:{}", station.address.port());
    let why = complaint(&device_to(&["info"], &to, &station.host));
    assert!(
        why.contains("call the station as its certificate does"),
        "{why}"
    );
    // The wrong key.
    let mut shown = station.host.clone();
    shown.key = stranger.key.clone();
    let why = complaint(&device(&["info"], station.address, &shown));
    assert!(
        why.contains("see that it and the key belong together"),
        "{why}"
    );
    shown.key = station.path("none.key");
    let why = complaint(&device(&["info"], station.address, &shown));
    assert!(
        why.contains("none.key holds no usable private key"),
        "{why}"
    );

    // No certificate at all.
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_file(&station.host.authorities).unwrap();
    roots.add(authority).unwrap();
    let config = ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = station.address.ip().into();
    let connection = ClientConnection::new(config.into(), name).unwrap();
    let socket = TcpStream::connect(station.address).unwrap();
    let mut stream = StreamOwned::new(connection, socket);
    let why = stream.read(&mut [0; 64]).unwrap_err().to_string();
    assert!(why.contains("CertificateRequired"), "{why}");
    let told = "peer sent no certificates";
    wait_for(|| station.said().contains(told).then_some(()));
    info(&mut connect(station.address, &station.host));
}

#[test]
fn programs_of_other_versions_say_which_side_is_older() {
    let today = today();
    let others = [
        (
            Identity {
                protocol: today.protocol - 1,
                ..today
            },
            "older: update it",
        ),
        (
            Identity {
                protocol: today.protocol + 1,
                ..today
            },
            "newer: update this one",
        ),
        (
            Identity {
                schema: [7; 8],
                ..today
            },
            "update both",
        ),
    ];
    let running = Station::start();
    for (other, said_of_it) in others {
        // The station's program, and a host of another version: its hello tells the host as much.
        let (mut host, theirs) = connect_as(running.address, &running.host, other).unwrap();
        assert_ne!(other.agreement(&theirs), Agreement::Same);
        assert!(host.hear::<FromStation>().is_err());
        wait_for(|| {
            let said = running.said();
            let mut lines = said.lines();
            let told = |line: &str| {
                line.contains("program has version 9.8.7") && line.contains(said_of_it)
            };
            lines.any(told).then_some(())
        });
        // The host's program, and a station of another version.
        let own = running.authority.sign("other", &["127.0.0.1"]);
        let (address, thread) = station(&own, other, vec![Box::new(|_| {})]);
        let why = complaint(&device(&["info"], address, &running.host));
        assert!(
            why.contains("the station's program has version 9.8.7 and this one "),
            "{why}"
        );
        assert!(why.contains(said_of_it), "{why}");
        thread.join().unwrap();
    }
}

#[test]
fn a_station_stops_although_hosts_are_connected() {
    let mut station = Station::start();
    let film = Film::read(&sample("phantom-4.dcm"));
    let mut idle = connect(station.address, &station.host);
    info(&mut idle);
    let mut sending = connect(station.address, &station.host);
    film.announce(&mut sending);
    film.send(&mut sending, 0, 100_000);
    let waited = station.stop();
    assert!(waited < Duration::from_secs(20), "{waited:?}");
}

#[test]
fn the_panels_logs_are_decoded_by_its_program() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "authority");
    let [own, shown] = ["station", "host"].map(|name| authority.sign(name, &["127.0.0.1"]));
    let build = [
        0x0d, 0xe4, 0xc7, 0xa7, 0x34, 0xb5, 0x26, 0xb2, 0x58, 0xa2, 0x5e, 0x03, 0x45, 0x14, 0x05,
        0xb3, 0xe4, 0xe3, 0x13, 0x97,
    ];
    let answer = move |mut side: StationSide| {
        let time = "2026-11-26T16:00:00Z";
        loop {
            match side.hear::<ToStation>() {
                Ok(ToStation::Info) => side
                    .say(&FromStation::Info(Info {
                        station: "S",
                        activity: Activity::Ready,
                        faults: "",
                        bundle: None,
                        disk_free: 1,
                        disk_size: 2,
                        clock: time,
                        clock_doubt: None,
                        panel: Panel::Silent,
                        newest_result: 0,
                        newest_log: 9,
                    }))
                    .unwrap(),
                Ok(ToStation::Logs { after: 7, .. }) => {
                    let entry = LogEntry::Panel {
                        build,
                        boot: 1,
                        missing: 3,
                        frames: &[1, 0, 0x74, 0x0e, 2, 0],
                    };
                    side.say(&FromStation::Log {
                        number: 8,
                        time,
                        entry,
                    })
                    .unwrap();
                    let entry = LogEntry::Panel {
                        build: [1; 20],
                        boot: 1,
                        missing: 0,
                        frames: &[1, 0],
                    };
                    side.say(&FromStation::Log {
                        number: 9,
                        time,
                        entry,
                    })
                    .unwrap();
                    side.say(&FromStation::End { more: false }).unwrap();
                }
                Ok(other) => panic!("{other:?}"),
                Err(_) => return,
            }
        }
    };
    let (address, thread) = station(&own, today(), vec![Box::new(answer), Box::new(answer)]);
    let firmware = plumbline_tests::root().join("shared/tests/firmware");
    let arguments = [
        "logs",
        "--after",
        "7",
        "--firmware",
        firmware.to_str().unwrap(),
    ];
    let text = printed(&device(&arguments, address, &shown));
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert!(lines[0].ends_with("panel: 3 pieces are missing"), "{text}");
    assert!(
        lines[1].contains("INFO") && lines[1].contains("battery 3700 mV"),
        "{text}"
    );
    assert!(lines[2].contains("the button is stuck"), "{text}");
    assert!(lines[3].contains("2 bytes by the program 0101"), "{text}");
    let logs = told(&device(
        &["logs", "--after", "7", "--json"],
        address,
        &shown,
    ));
    assert_eq!(logs[0]["panel"]["missing"], 3);
    assert!(
        logs[0]["panel"]["lines"][0]
            .as_str()
            .unwrap()
            .contains("--firmware")
    );
    thread.join().unwrap();
}

#[test]
fn a_station_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let shown = Authority::new(folder.path(), "authority").sign("host", &["127.0.0.1"]);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // Something else answers, in plain words.
    let other = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        socket.write_all(b"220 mail.example ESMTP\r\n").unwrap();
        // Until the host has gone.
        io::copy(&mut socket, &mut io::sink()).ok();
    });
    let why = complaint(&device(&["info"], address, &shown));
    assert!(why.contains("is no station's link"), "{why}");
    other.join().unwrap();
    let why = complaint(&device(&["info"], address, &shown));
    assert!(
        why.contains(&format!("no station can be reached at {address}")),
        "{why}"
    );
    let output = device_to(&["info"], "serial:/dev/ttyACM0", &shown);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("write tcp://HOST:PORT"));
}
