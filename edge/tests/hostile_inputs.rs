//! Configurations and uploads damaged at random: the first end in settings or in faults that name a
//! line, the second in an answer, and the station goes on. The way in by DICOM and the decoder have
//! fuzz targets of their own; these two would need every network library built once more for one.
//! `PLUMBLINE_ROUNDS` says how many inputs each test makes.

#[path = "../../host/tests/hostile/mutation.rs"]
mod mutation;
mod station;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::time::Duration;

use mutation::Random;
use plumbline_edge::config::Settings;
use station::*;

/// The most memory that a station may take, in KiB. At rest it takes some 15,000.
const MOST_MEMORY: u64 = 200_000;

fn rounds(few: usize) -> usize {
    let rounds = std::env::var("PLUMBLINE_ROUNDS");
    rounds.map_or(few, |rounds| rounds.parse().unwrap())
}

#[test]
fn damaged_configurations_give_settings_or_faults() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let documented = fs::read_to_string(folder.join("station.toml")).unwrap();
    let every = documented.replace("\n#", "\n");
    let packaged = fs::read(folder.join("debian/station.toml")).unwrap();
    let seeds = [documented.into_bytes(), every.into_bytes(), packaged];
    let words = [
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        "=",
        "\"",
        "\"\"\"",
        "'''",
        "\\u0000",
        "\u{feff}",
        "0x",
        "1e999",
        "inf",
        "nan",
        "true",
        ".",
        ",",
        "\r",
        "#",
        "[dicom]",
        "[[peer]]",
        "listen",
        "99999999999999999999",
        "1979-05-27T07:32:00Z",
        "data = []",
        "[::1]:0",
        "%s",
        "\u{202e}",
    ];
    let mut random = Random::new(3);
    let (mut usable, mut faulty) = (0, 0);
    for _ in 0..rounds(5000) {
        let bytes = random.damaged(&seeds, &words);
        let text = String::from_utf8_lossy(&bytes);
        match Settings::parse(Path::new("station.toml"), &text) {
            Ok(_) => usable += 1,
            Err(faults) => {
                faulty += 1;
                assert!(!faults.faults.is_empty(), "{text}");
                for fault in &faults.faults {
                    let lines = 1..=text.matches('\n').count() + 1;
                    assert!(lines.contains(&fault.line), "{fault:?} in {text}");
                    assert!(!fault.what.is_empty(), "{text}");
                }
            }
        }
    }
    println!("{usable} configurations could be used, {faulty} not");
    assert!(usable > 0 && faulty > 0);
}

#[test]
fn damaged_uploads_get_an_answer_and_leave_the_station_alive() {
    let station = Station::start("");
    let token = fs::read_to_string(station.path("data/token")).unwrap();
    let request = |(head, body): &(&str, Vec<u8>)| {
        let head = format!(
            "{head}\r\nHost: station\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\
             Content-Length: {}\r\n\r\n",
            token.trim(),
            body.len()
        );
        [head.as_bytes(), body].concat()
    };
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/tests/films");
    let upload = |name: &str| {
        let film = fs::read(golden.join(name)).unwrap();
        let part = b"--b\r\nContent-Disposition: form-data; name=\"film\"; filename=\"a\"\r\n\r\n";
        let body = [&part[..], &film, b"\r\n--b--\r\n"].concat();
        let head = "POST /films HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b";
        (head, body)
    };
    let acknowledge = "POST /films/1/acknowledge HTTP/1.1\r\nContent-Type: application/json";
    let read_anyway = "POST /films/1/read-anyway HTTP/1.1\r\nContent-Type: application/json";
    let requests = [
        upload("explicit_16.dcm"),
        upload("grey_8.png"),
        (acknowledge, b"{\"who\": \"a nurse\"}".to_vec()),
        (read_anyway, b"{\"who\": \"a\", \"why\": \"b\"}".to_vec()),
        ("GET /films?newest=3 HTTP/1.1", Vec::new()),
        ("GET /health HTTP/1.1", Vec::new()),
    ];
    let seeds: Vec<_> = requests.iter().map(request).collect();
    let words = [
        "\r\n",
        "\r\n\r\n",
        "--b",
        "--b--",
        "filename=\"",
        "Transfer-Encoding: chunked\r\n",
        "../",
        "%00",
        "boundary=",
        "Content-Length: 99999999999999999999\r\n",
        "Expect: 100-continue\r\n",
        "/films/-1",
        "\0",
        "Content-Disposition: form-data\r\n",
        "HTTP/2.0",
        "Upgrade: h2c\r\n",
        "\u{e9}",
    ];
    let mut random = Random::new(5);
    let mut answers: BTreeMap<String, usize> = BTreeMap::new();
    for round in 0..rounds(200) {
        let bytes = match round % 2 {
            0 => random.damaged(&seeds, &words),
            // A damaged body of the length that its head tells comes further.
            _ => {
                let (head, body) = &requests[random.below(requests.len())];
                request(&(head, random.damaged(std::slice::from_ref(body), &words)))
            }
        };
        let mut socket = TcpStream::connect(station.http).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        socket.write_all(&bytes).ok();
        // Who ends its side is not answered, but a body that is too short must end.
        if round % 2 == 0 {
            socket.shutdown(Shutdown::Write).ok();
        }
        let mut answer = Vec::new();
        if let Err(error) = socket.read_to_end(&mut answer) {
            let waits = error.kind() == std::io::ErrorKind::WouldBlock;
            assert!(!waits, "no answer to {}", String::from_utf8_lossy(&bytes));
        }
        let answer = String::from_utf8_lossy(&answer);
        let status = answer.split(' ').nth(1).unwrap_or("none");
        assert_ne!(status, "500", "{answer}");
        *answers.entry(status.to_owned()).or_default() += 1;
    }
    wait_for(|| {
        let (status, health) = station.request("GET", "/health", false, "text/plain", b"");
        // The films' dates are of another day.
        (status == 200 || health.contains("more than a day apart")).then_some(())
    });
    let process = fs::read_to_string(format!("/proc/{}/status", station.process())).unwrap();
    let peak = process.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak: u64 = peak
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    println!(
        "{answers:?}; {} films were kept; at most {peak} KiB",
        station.films().len()
    );
    assert!(peak < MOST_MEMORY, "{peak} KiB");
    let (whole, report) = station.run(&["check"]);
    assert!(whole, "{report}");
}
