//! Peers and films that mean harm, or could.

mod station;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use plumbline_dimse::{Patience, Rules};
use plumbline_edge::intake::{DicomListener, DicomOptions, Receiver};
use plumbline_edge::metrics::Metrics;
use plumbline_edge::pulse::Pulse;
use plumbline_edge::reading::Bell;
use plumbline_edge::store::{Limits, Store};
use plumbline_shared::durable::Disk;
use station::*;

/// An A-ASSOCIATE-RQ for Digital X-Ray, as dcmtk's storescu sends it.
fn request() -> Vec<u8> {
    let item = |kind: u8, content: &[u8]| {
        let mut bytes = vec![kind, 0];
        bytes.extend((content.len() as u16).to_be_bytes());
        bytes.extend(content);
        bytes
    };
    let context = [
        &[1, 0, 0, 0][..],
        &item(0x30, DX.as_bytes()),
        &item(0x40, b"1.2.840.10008.1.2"),
    ]
    .concat();
    let user = item(0x51, &16_384_u32.to_be_bytes());
    let body = [
        &[0, 1, 0, 0][..],
        b"PLUMBLINE       UNIT            ",
        &[0; 32],
        &item(0x10, b"1.2.840.10008.3.1.1.1"),
        &item(0x20, &context),
        &item(0x50, &user),
    ]
    .concat();
    let mut bytes = vec![1, 0];
    bytes.extend((body.len() as u32).to_be_bytes());
    bytes.extend(body);
    bytes
}

/// A P-DATA-TF with one value.
fn data(control: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len() as u32 + 2;
    let mut bytes = vec![4, 0];
    bytes.extend((length + 4).to_be_bytes());
    bytes.extend(length.to_be_bytes());
    bytes.extend([1, control]);
    bytes.extend(content);
    bytes
}

/// Runs `test` with the address of a listener of little patience.
fn with_listener(patience: Patience, test: impl FnOnce(SocketAddr)) {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits {
        film: 1 << 20,
        reserve: 0,
        low_water: 0,
    };
    let receiver = Receiver {
        store: Arc::new(Store::open(folder.path(), limits, Arc::new(Disk)).unwrap()),
        program: PathBuf::from(PROGRAM),
        bell: Arc::new(Bell::default()),
        metrics: Arc::new(Metrics::default()),
        clock: Arc::default(),
        panel: None,
        self_test: Arc::default(),
    };
    let options = DicomOptions {
        rules: Rules {
            ae_title: "PLUMBLINE".into(),
            callers: Vec::new(),
            senders: Vec::new(),
            for_processing: false,
        },
        addresses: Vec::new(),
        associations: 2,
        tls: None,
        patience,
    };
    let local = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = DicomListener::bind(local, options, receiver).unwrap();
    let address = listener.address().unwrap();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| listener.run(&stop, &Pulse::default()));
        test(address);
        stop.store(true, Ordering::Relaxed);
    });
}

/// Sends `bytes`, then `drip` again and again, and returns how long the listener bears it.
fn borne(address: SocketAddr, bytes: &[u8], drip: Option<&[u8]>) -> Duration {
    let mut socket = TcpStream::connect(address).unwrap();
    let start = Instant::now();
    socket.write_all(bytes).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    while start.elapsed() < Duration::from_secs(60) {
        if let Some(drip) = drip
            && socket.write_all(drip).is_err()
        {
            break;
        }
        if matches!(socket.read(&mut [0; 1000]), Ok(0)) {
            break;
        }
    }
    start.elapsed()
}

#[test]
fn slow_peers_are_dropped_in_time() {
    let patience = Patience {
        read: Duration::from_secs(1),
        write: Duration::from_secs(1),
        association: Duration::from_secs(6),
        object: Duration::from_secs(3),
    };
    with_listener(patience, |address| {
        let command = store_command(DX, "1.2.3");
        let begun = [request(), data(3, &command)].concat();
        let dropped = |what: &str, bytes: &[u8], drip: Option<&[u8]>, seconds: u64| {
            let borne = borne(address, bytes, drip);
            let bounds = Duration::from_millis(seconds * 900)..Duration::from_secs(seconds + 20);
            assert!(bounds.contains(&borne), "{what}: {borne:?}");
        };
        dropped("says nothing", b"", None, 1);
        dropped("half of a request", &request()[..50], None, 1);
        dropped(
            "a request, byte by byte",
            b"\x01\0\0\x01\0\0",
            Some(b"\0"),
            1,
        );
        dropped("nothing after the request", &request(), None, 1);
        dropped(
            "an object, piece by piece",
            &begun,
            Some(&data(0, b"ab")),
            3,
        );
    });
}

#[test]
fn any_bytes_leave_the_listener_alive() {
    let patience = Patience {
        read: Duration::from_millis(200),
        ..Patience::default()
    };
    with_listener(patience, |address| {
        let whole = [
            request(),
            data(3, &store_command(DX, "1.2.3")),
            data(2, b"\x08\0\x16\0\x04\0\0\0abcd"),
            b"\x05\0\0\0\0\x04\0\0\0\0".to_vec(),
        ]
        .concat();
        let mut random = 7_u64;
        let mut next = |most: usize| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (random >> 33) as usize % most
        };
        for _ in 0..300 {
            let mut bytes = whole.clone();
            for _ in 0..=next(4) {
                let at = next(bytes.len());
                bytes[at] = next(256) as u8;
            }
            bytes.truncate(bytes.len() - next(bytes.len() / 4));
            let mut socket = TcpStream::connect(address).unwrap();
            socket.write_all(&bytes).ok();
            socket.shutdown(std::net::Shutdown::Write).ok();
            socket
                .set_read_timeout(Some(Duration::from_secs(30)))
                .unwrap();
            let mut answer = Vec::new();
            let closed = socket.read_to_end(&mut answer);
            let timed_out =
                closed.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
            assert!(!timed_out, "{bytes:?}");
        }
    });
}

#[test]
fn bombs_and_names_that_steer_are_harmless() {
    let station = Station::start("");
    let mut film = Instance::read(&sample("phantom-4.dcm"));
    let at = film
        .data
        .windows(8)
        .position(|window| window.starts_with(b"\x10\0\x10\0PN"))
        .unwrap();
    let length = usize::from(film.data[at + 6]);
    let name: Vec<u8> = b"<b>\x1b[2J\"'\n\0\\"
        .iter()
        .copied()
        .cycle()
        .take(length)
        .collect();
    film.data[at + 8..at + 8 + length].copy_from_slice(&name);
    let mut sender = Sender::connect(&station).unwrap();
    assert_eq!(sender.store(&film), 0);
    sender.release();
    assert_eq!(station.settled()[0]["state"], "read");
    let (_, table) = station.run(&["films"]);
    assert!(!table.contains('\u{1b}'), "{table:?}");
    let (status, list) = station.request("GET", "/films", true, "text/plain", b"");
    assert!(status == 200 && !list.contains('\u{1b}'), "{list:?}");

    // Two GiB of zeros in two MiB.
    let bomb = station.path("bomb.dcm");
    let script = "import sys, zlib\n\
        c = zlib.compressobj(9, zlib.DEFLATED, -15)\n\
        meta = b'\\x02\\0\\x10\\0UI\\x16\\x001.2.840.10008.1.2.1.99'\n\
        with open(sys.argv[1], 'wb') as f:\n\
        \x20   f.write(bytes(128) + b'DICM' + meta)\n\
        \x20   for _ in range(2048): f.write(c.compress(bytes(1 << 20)))\n\
        \x20   f.write(c.flush())\n";
    let made = std::process::Command::new("python3")
        .args(["-c", script])
        .arg(&bomb)
        .status();
    if !made.is_ok_and(|made| made.success()) {
        println!("no python3 here: no bomb was tried");
        return;
    }
    let bytes = fs::read(&bomb).unwrap();
    let head = b"--b\r\nContent-Disposition: form-data; name=\"film\"; filename=\"a\"\r\n\r\n";
    let body = [&head[..], &bytes, b"\r\n--b--\r\n"].concat();
    let kind = "multipart/form-data; boundary=b";
    let start = Instant::now();
    let (status, said) = station.request("POST", "/films", true, kind, &body);
    assert_eq!(status, 422, "{said}");
    assert!(start.elapsed() < Duration::from_secs(60));
    assert_eq!(station.films().len(), 1);
}
