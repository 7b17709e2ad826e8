//! Films of a large detector by several associations at once: to the station, which also reads them,
//! and to dcmtk's storescp and Orthanc, which only store them, one after the other in one run.
//!
//!     cargo bench --workspace --bench receive -- [FILMS [ASSOCIATIONS]]
//!
//! Prints films a minute until all are stored, and of the station until all are read as well, and
//! the most memory that the station's process held. Those that are not installed are left out.

#[path = "../tests/station/mod.rs"]
mod station;

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use plumbline_shared::decode::decode;
use station::*;

const WIDTH: usize = 2048;
const HEIGHT: usize = 2500;

/// A phantom on a detector of 2048 x 2500 pixels of 16 bits, in explicit VR little endian.
fn film() -> Instance {
    let small = decode(&fs::read(sample("phantom-4.dcm")).unwrap())
        .unwrap()
        .film;
    let (width, height) = (small.width() as usize, small.height() as usize);
    let mut pixels = Vec::with_capacity(WIDTH * HEIGHT * 2);
    for row in 0..HEIGHT {
        for column in 0..WIDTH {
            let pixel = small.pixels()[row * height / HEIGHT * width + column * width / WIDTH];
            pixels.extend(pixel.to_le_bytes());
        }
    }
    let sop_instance = format!("2.25.{:030}", 0);
    let mut data = Vec::new();
    let mut element = |group: u16, number: u16, vr: &[u8; 2], value: &[u8]| {
        data.extend(group.to_le_bytes());
        data.extend(number.to_le_bytes());
        data.extend(vr);
        let padded = value.len() + value.len() % 2;
        match vr {
            b"OW" => {
                data.extend([0, 0]);
                data.extend((padded as u32).to_le_bytes());
            }
            _ => data.extend((padded as u16).to_le_bytes()),
        }
        data.extend(value);
        data.resize(data.len() + value.len() % 2, 0);
    };
    let word = |number: usize| (number as u16).to_le_bytes();
    element(0x0008, 0x0016, b"UI", DX.as_bytes());
    element(0x0008, 0x0018, b"UI", sop_instance.as_bytes());
    element(0x0008, 0x0060, b"CS", b"DX");
    element(0x0010, 0x0020, b"LO", b"1");
    element(0x0020, 0x000D, b"UI", b"2.25.1");
    element(0x0020, 0x000E, b"UI", b"2.25.2");
    element(0x0028, 0x0002, b"US", &word(1));
    element(0x0028, 0x0004, b"CS", b"MONOCHROME2 ");
    element(0x0028, 0x0010, b"US", &word(HEIGHT));
    element(0x0028, 0x0011, b"US", &word(WIDTH));
    element(0x0028, 0x0100, b"US", &word(16));
    element(0x0028, 0x0101, b"US", &word(16));
    element(0x0028, 0x0102, b"US", &word(15));
    element(0x0028, 0x0103, b"US", &word(0));
    element(0x0028, 0x1050, b"DS", b"32767.5 ");
    element(0x0028, 0x1051, b"DS", b"65535 ");
    element(0x7FE0, 0x0010, b"OW", &pixels);
    Instance {
        sop_class: DX.into(),
        sop_instance,
        data,
    }
}

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
