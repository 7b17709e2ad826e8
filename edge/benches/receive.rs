//! Films of a large detector by several associations at once: to the station, which also reads them,
//! and to dcmtk's storescp and Orthanc, which only store them, one after the other in one run.
//!
//!     cargo bench --workspace --bench receive -- [FILMS [ASSOCIATIONS]]
//!
//! Prints films a minute until all are stored, and of the station until all are read as well, and
//! the most memory that the station's process held. Those that are not installed are left out.

mod large_film;
#[path = "../tests/station/mod.rs"]
mod station;

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use large_film::film;
use station::*;

/// Sends `count` films by so many associations, and returns the time until all are acknowledged.
fn send(
    address: SocketAddr,
    called: &str,
    film: &Instance,
    count: usize,
    associations: usize,
) -> Duration {
    let next = AtomicUsize::new(0);
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..associations {
            scope.spawn(|| {
                let mut sender = Sender::connect_to(address, "UNIT", called).unwrap();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return sender.release();
                    }
                    assert_eq!(sender.store(&film.numbered(number)), 0);
                }
            });
        }
    });
    start.elapsed()
}

/// The most memory that a process has held, in MiB.
fn peak(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        >> 10
}

struct Background(Child);

impl Drop for Background {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn start(program: &str, arguments: &[&str]) -> Option<Background> {
    let mut command = Command::new(program);
    let command = command
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    match command.spawn() {
        Ok(child) => Some(Background(child)),
        Err(_) => {
            println!("{program} is not installed");
            None
        }
    }
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

fn per_minute(count: usize, time: Duration) -> f64 {
    count as f64 * 60.0 / time.as_secs_f64()
}

fn main() {
    let numbers: Vec<usize> = std::env::args()
        .filter_map(|text| text.parse().ok())
        .collect();
    let count = numbers.first().copied().unwrap_or(500);
    let associations = numbers.get(1).copied().unwrap_or(4);
    let film = film();
    println!(
        "{count} films of {} bytes by {associations} associations",
        film.data.len()
    );

    let station = Station::start("");
    let begun = Instant::now();
    let stored = send(station.dicom, "PLUMBLINE", &film, count, associations);
    println!("station, stored: {:.0} a minute", per_minute(count, stored));
    let films = station.settled_of(count, Duration::from_secs(3600));
    let read = begun.elapsed();
    assert!(
        films.iter().all(|film| film["state"] == "read"),
        "{}",
        films[0]
    );
    println!(
        "station, stored and read: {:.0} a minute",
        per_minute(count, read)
    );
    println!("station, memory: {} MiB", peak(station.process()));
    drop(station);

    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let address = free_address();
    fs::create_dir(path("sink")).unwrap();
    let port = address.port().to_string();
    if let Some(_sink) = start(
        "/usr/bin/storescp",
        &["--fork", "-od", &path("sink"), &port],
    ) {
        wait_for(|| TcpStream::connect(address).ok());
        let stored = send(address, "SINK", &film, count, associations);
        println!(
            "storescp, stored: {:.0} a minute",
            per_minute(count, stored)
        );
        fs::remove_dir_all(path("sink")).unwrap();
    }

    let address = free_address();
    let configuration = serde_json::json!({
        "StorageDirectory": path("orthanc"),
        "IndexDirectory": path("orthanc"),
        "HttpServerEnabled": false,
        "DicomPort": address.port(),
        "DicomAet": "ORTHANC",
        "DicomCheckModalityHost": false,
        "DicomAlwaysAllowStore": true,
    });
    fs::write(path("orthanc.json"), configuration.to_string()).unwrap();
    if Path::new("/usr/sbin/Orthanc").exists()
        && let Some(_orthanc) = start("/usr/sbin/Orthanc", &[&path("orthanc.json")])
    {
        wait_for(|| TcpStream::connect(address).ok());
        let stored = send(address, "ORTHANC", &film, count, associations);
        println!("Orthanc, stored: {:.0} a minute", per_minute(count, stored));
    }
}
