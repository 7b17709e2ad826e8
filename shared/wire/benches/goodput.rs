//! What a serial line of 921,600 baud and a TCP connection carry of messages, in real time:
//! `cargo bench -p plumbline-wire --bench goodput`.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use plumbline_wire::frame::{BODY, FRAME};
use plumbline_wire::hello::Version;
use plumbline_wire::host::ToStation;
use plumbline_wire::link::{Link, Timing};
use plumbline_wire::message::read;
use plumbline_wire::object::{CHUNK, Chunk, Object, Progress, Receiving, Sending};
use plumbline_wire::panel;
use plumbline_wire::stream::{self, BUFFER, MOST, Messages};
use sha2::{Digest, Sha256};

/// 921,600 baud, 10 bits a byte.
const BYTES_A_SECOND: u64 = 92_160;

type Error = Box<dyn std::error::Error>;

fn main() -> Result<(), Error> {
    for both in [false, true] {
        let [up, down] = serial(both)?;
        let share = |bytes: u64| bytes as f64 * 100.0 / BYTES_A_SECOND as f64;
        println!(
            "serial, {}: board to station {up} bytes/s of bodies ({:.1} % of the line), back {down} \
             ({:.1} %)",
            if both { "both ways" } else { "one way" },
            share(up),
            share(down)
        );
    }
    let (megabytes, seconds) = (512, tcp(512 << 20)?);
    println!(
        "TCP on loopback, both ends, with the receiver's SHA-256: {:.0} MB a second of one core",
        megabytes as f64 * 1.048_576 / seconds
    );
    Ok(())
}

/// Bytes of bodies a second each way between a board and a station, through a proxy that lets bytes
/// pass as slowly as the line.
fn serial(both: bool) -> Result<[u64; 2], Error> {
    let (board, board_proxy) = UnixStream::pair()?;
    let (station, station_proxy) = UnixStream::pair()?;
    let came = [AtomicU64::new(0), AtomicU64::new(0)];
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let threads = [
            scope.spawn(|| pace(&board_proxy, &station_proxy, &stop)),
            scope.spawn(|| pace(&station_proxy, &board_proxy, &stop)),
            scope.spawn(|| end::<8, 8>(&board, 1, true, &came[1], &stop)),
            scope.spawn(|| end::<16, 16>(&station, 2, both, &came[0], &stop)),
        ];
        thread::sleep(Duration::from_secs(1));
        let all = || [&came[0], &came[1]].map(|bytes| bytes.load(Ordering::Relaxed));
        let (start, before) = (Instant::now(), all());
        thread::sleep(Duration::from_secs(10));
        let (after, seconds) = (all(), start.elapsed().as_secs_f64());
        stop.store(true, Ordering::Relaxed);
        for thread in threads {
            thread.join().expect("a thread that ends")?;
        }
        Ok([0, 1].map(|way| ((after[way] - before[way]) as f64 / seconds) as u64))
    })
}

/// Passes bytes on, each after its time on the line.
fn pace(mut from: &UnixStream, mut to: &UnixStream, stop: &AtomicBool) -> std::io::Result<()> {
    from.set_read_timeout(Some(Duration::from_micros(100)))?;
    let mut buffer = [0; 64];
    let mut free_at = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        let Some(length) = some(from.read(&mut buffer))? else {
            // Idle time is lost; time for which this thread slept too long is not.
            free_at = free_at.max(Instant::now());
            continue;
        };
        let nanoseconds = length as u64 * 1_000_000_000 / BYTES_A_SECOND;
        free_at += Duration::from_nanos(nanoseconds);
        thread::sleep(free_at.saturating_duration_since(Instant::now()));
        to.write_all(&buffer[..length])?;
    }
    Ok(())
}

/// One end of the line, which sends all it can if `sends`.
fn end<const SEND: usize, const RECEIVE: usize>(
    mut port: &UnixStream,
    boot: u64,
    sends: bool,
    came: &AtomicU64,
    stop: &AtomicBool,
) -> std::io::Result<()> {
    let me = panel::identity(Version::of("1.0.0"), boot);
    let mut link = Link::<SEND, RECEIVE>::new(me, Timing::DEFAULT);
    // With the length before them these bytes fill a body.
    let filler = [0xa5_u8; BODY - 2];
    port.set_read_timeout(Some(Duration::from_millis(1)))?;
    let start = Instant::now();
    let (mut out, mut buffer) = ([0; FRAME], [0; 512]);
    while !stop.load(Ordering::Relaxed) {
        let length = some(port.read(&mut buffer))?.unwrap_or_default();
        let now = start.elapsed().as_micros() as u64;
        let mut bytes = &buffer[..length];
        while link.receive(now, &mut bytes).is_some() {}
        while let Some(body) = link.message() {
            came.fetch_add(body.len() as u64, Ordering::Relaxed);
        }
        while sends && link.send(&&filler[..]).is_ok() {}
        while let Some(frame) = link.transmit(now, &mut out) {
            port.write_all(frame)?;
        }
    }
    Ok(())
}

/// Seconds of processor time in which an object of `length` bytes goes through a connection to this
/// thread itself.
fn tcp(length: usize) -> Result<f64, Error> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut host = TcpStream::connect(listener.local_addr()?)?;
    let mut station = listener.accept()?.0;
    host.set_nonblocking(true)?;
    station.set_nonblocking(true)?;

    let bytes: Vec<u8> = (0..length).map(|index| ((index * 31) >> 7) as u8).collect();
    let object = Object {
        sha256: Sha256::digest(&bytes).into(),
        length: length as u64,
    };
    let mut receiving = Receiving::new(object)?;
    let mut sending = Sending::new(&object, &receiving.have(), Sha256::digest(b"").into());
    let (mut out, mut buffer, mut port) = (vec![0; BUFFER], vec![0; MOST], vec![0; 64 << 10]);
    let mut messages = Messages::new(&mut buffer);
    let mut rest: &[u8] = &[];
    let start = processor_seconds()?;
    loop {
        if rest.is_empty()
            && let Some((offset, length)) = sending.next(CHUNK)
        {
            let bytes = &bytes[offset as usize..][..length];
            rest = stream::write(&ToStation::Chunk(Chunk { offset, bytes }), &mut out)?;
        }
        let written = some(host.write(rest))?.unwrap_or_default();
        rest = &rest[written..];
        let length = some(station.read(&mut port))?.unwrap_or_default();
        let mut came = &port[..length];
        while let Some(message) = messages.next(&mut came)? {
            let Some(ToStation::Chunk(chunk)) = read(message) else {
                return Err("no chunk".into());
            };
            if receiving.accept(&chunk)? == Progress::Whole {
                return Ok(processor_seconds()? - start);
            }
        }
    }
}

/// The processor time of this thread, the system's part included.
fn processor_seconds() -> Result<f64, Error> {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds: u64 = times.split(' ').next().unwrap_or_default().parse()?;
    Ok(nanoseconds as f64 / 1e9)
}

/// What was read or written, or `None` if nothing could be yet.
fn some(result: std::io::Result<usize>) -> std::io::Result<Option<usize>> {
    match result {
        Ok(length) => Ok(Some(length)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
