//! Films of a large detector sent to dcmtk's storescp: by a station for which it was away, and by dcmtk's
//! storescu, one after the other in one run.
//!
//!     cargo bench --workspace --bench send -- [FILMS]
//!
//! Prints films a minute until the last is acknowledged.

mod large_film;
#[path = "../tests/station/programs.rs"]
mod programs;
#[path = "../tests/station/mod.rs"]
mod station;

use std::fs;
use std::time::{Duration, Instant};

use large_film::film;
use programs::{free_port, run, storescp};
use station::*;

fn tell(who: &str, count: usize, time: Duration) {
    let rate = count as f64 * 60.0 / time.as_secs_f64();
    println!("{who}: {rate:.0} films a minute");
}

fn main() {
    let mut numbers = std::env::args().filter_map(|text| text.parse().ok());
    let count: usize = numbers.next().unwrap_or(200);
    // The gate refuses it, so that it is read at once.
    let film = film().of_another_device();
    println!("{count} films of {} bytes", film.data.len());
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let station = Station::start(&format!(
        "[[destination]]\nname = \"sink\"\naddress = \"127.0.0.1:{port}\"\nae_title = \"SINK\"\n\
         sends = [\"originals\"]\n"
    ));
    let mut sender = Sender::connect(&station).unwrap();
    for number in 0..count {
        assert_eq!(sender.store(&film.numbered(number)), 0);
    }
    sender.release();
    station.settled_of(count, Duration::from_secs(3600));
    // storescu's files are those that the station keeps.
    let kept = folder.path().join("kept");
    fs::create_dir(&kept).unwrap();
    let films = files(&station.path("data/films"));
    assert_eq!(films.len(), count);
    for (number, film) in films.iter().enumerate() {
        fs::copy(film, kept.join(format!("{number}.dcm"))).unwrap();
    }

    let out = folder.path().join("station");
    let _station_sink = storescp(&out, "SINK", port);
    let first = station.deliveries().last().unwrap()["delivery"].clone();
    let start = Instant::now();
    let again = format!("/deliveries/{first}/send-again");
    let who = b"{\"who\": \"benchmark\"}";
    station.request("POST", &again, true, "application/json", who);
    wait_up_to(Duration::from_secs(3600), || {
        let (_, metrics) = station.request("GET", "/metrics", false, "", b"");
        let waits = metrics
            .lines()
            .any(|line| line.contains("waiting") && !line.ends_with(" 0"));
        (!waits && files(&out).len() == count).then_some(())
    });
    tell("station", count, start.elapsed());
    drop(station);

    let out = folder.path().join("storescu");
    let port = free_port();
    let _sink = storescp(&out, "SINK", port);
    let port = port.to_string();
    let start = Instant::now();
    let (sent, said) = run(
        "/usr/bin/storescu",
        &[
            "-aec",
            "SINK",
            "+sd",
            "127.0.0.1",
            &port,
            kept.to_str().unwrap(),
        ],
    );
    assert!(sent, "{said}");
    tell("storescu", count, start.elapsed());
    assert_eq!(files(&out).len(), count);
}
