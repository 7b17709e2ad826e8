//! Connections that break, and other sides that do what neither program would.

use super::*;

#[test]
fn a_film_goes_on_where_its_connection_broke() {
    let station = Station::start();
    let path = sample("phantom-6.dcm");
    let length = fs::metadata(&path).unwrap().len() as usize;
    // After the handshake and a good part of the film, and again early.
    assert!(length > 300_000, "{length}");
    let relay = Relay::start(station.address, &[200_000, 90_000]);
    let output = device(
        &["screen", "--json", path.to_str().unwrap()],
        relay.address,
        &station.host,
    );
    let screened = told(&output);
    assert_eq!(screened[0]["state"], "read");
    assert_eq!(
        screened[0]["hash"],
        plumbline_shared::manifest::sha256(&fs::read(&path).unwrap())
    );
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.matches("connecting again").count(), 2, "{said}");
    let carried = relay.carried();
    assert_eq!(carried.len(), 3, "{carried:?}");
    // Each carried what was missing, but for the chunk that was on its way when one broke, and the
    // handshakes.
    let all: usize = carried.iter().sum();
    assert!(
        all < length + 2 * (48 << 10) + 20_000,
        "{carried:?} for {length}"
    );
    assert!(carried[2] < length - 150_000, "{carried:?} for {length}");
    assert_eq!(station.films().len(), 1);
    let left = fs::read_dir(station.path("data/parts")).unwrap().count();
    assert_eq!(left, 0, "the parts of a film that is kept are left");
}

#[test]
fn a_film_goes_on_after_its_station_was_killed() {
    let mut station = Station::start();
    let film = Film::read(&sample("phantom-4.dcm"));
    let (half, length) = (film.bytes.len() / 2, film.bytes.len());
    let mut host = connect(station.address, &station.host);
    assert_eq!(film.announce(&mut host).offset, 0);
    film.send(&mut host, 0, half);
    info(&mut host);
    station.kill_and_start();
    let mut host = connect(station.address, &station.host);
    let have = film.announce(&mut host);
    let sha256 = Sha256::digest(&film.bytes[..half]).into();
    assert_eq!(
        have,
        Have {
            offset: half as u64,
            sha256
        }
    );
    film.send(&mut host, half, length);
    let (_, told) = result(&mut host);
    assert_eq!((&told["state"], &told["film"]), (&json!("read"), &json!(1)));

    // What a power cut has damaged is noticed by the hash.
    let film = Film::read(&sample("phantom-5.dcm"));
    film.announce(&mut host);
    film.send(&mut host, 0, half);
    info(&mut host);
    station.kill_and_start();
    let hash = plumbline_shared::manifest::sha256(&film.bytes);
    let part = station.path("data/parts").join(hash);
    let mut bytes = fs::read(&part).unwrap();
    assert_eq!(bytes, film.bytes[..half]);
    bytes[100] ^= 1;
    fs::write(&part, bytes).unwrap();
    let mut host = connect(station.address, &station.host);
    let have = film.announce(&mut host);
    assert_ne!(
        have.sha256,
        <[u8; 32]>::from(Sha256::digest(&film.bytes[..half]))
    );
    film.send(&mut host, 0, film.bytes.len());
    assert_eq!(result(&mut host).1["state"], "read");
}

#[test]
fn a_film_that_is_not_what_was_announced_is_refused() {
    let station = Station::start();
    let film = Film::read(&sample("phantom-4.dcm"));
    let mut other = Film::read(&sample("phantom-4.dcm"));
    *other.bytes.last_mut().unwrap() ^= 1;
    let mut host = connect(station.address, &station.host);
    assert_eq!(film.announce(&mut host).offset, 0);
    other.send(&mut host, 0, other.bytes.len());
    let why = refusal(&mut host);
    assert!(why.contains("not those that were announced"), "{why}");
    assert!(station.films().is_empty());
    // Nothing of it is left, and it can be sent at once.
    assert_eq!(film.announce(&mut host).offset, 0);
    film.send(&mut host, 0, film.bytes.len());
    let (number, told) = result(&mut host);
    assert_eq!(told["state"], "read");
    // What is known need not be sent.
    let sha256 = film.object.sha256;
    assert_eq!(
        film.announce(&mut host),
        Have {
            offset: film.object.length,
            sha256
        }
    );
    assert_eq!(result(&mut host), (number, told));

    // What is no film, or too long for one, costs a sentence.
    let nothing = Film::of(b"this is no film at all".repeat(1000));
    nothing.announce(&mut host);
    nothing.send(&mut host, 0, nothing.bytes.len());
    let why = refusal(&mut host);
    assert!(!why.is_empty() && !why.contains("/"), "{why}");
    let mut film = nothing.object;
    film.length = 1 << 40;
    let name = "long";
    host.say(&ToStation::Screen { name, film }).unwrap();
    assert!(refusal(&mut host).contains("the most that a film may have"));
    assert_eq!(station.films().len(), 1);
    assert_eq!(fs::read_dir(station.path("data/parts")).unwrap().count(), 0);
    let said = station.said();
    assert!(
        !said.contains("MARKER"),
        "a file's name may be a patient's: {said}"
    );
}

#[test]
fn a_film_is_taken_over_by_the_connection_that_sends_it_now() {
    let station = Station::start();
    let film = Film::read(&sample("phantom-4.dcm"));
    let mut first = connect(station.address, &station.host);
    film.announce(&mut first);
    film.send(&mut first, 0, 100_000);
    info(&mut first);
    let mut second = connect(station.address, &station.host);
    assert_eq!(film.announce(&mut second).offset, 100_000);
    film.send(&mut first, 100_000, 100_001);
    assert!(
        first.hear::<FromStation>().is_err(),
        "the first connection goes on"
    );
    film.send(&mut second, 100_000, film.bytes.len());
    assert_eq!(result(&mut second).1["state"], "read");
}

#[test]
fn hostile_bytes_end_the_connection_and_nothing_else() {
    let station = Station::start();
    let film = Film::read(&sample("phantom-4.dcm"));
    // Before TLS.
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0xff; 5000],
        &[0x16, 3, 1, 0xff, 0xff, 1],
    ] {
        let mut socket = TcpStream::connect(station.address).unwrap();
        socket.set_read_timeout(Some(LONG)).unwrap();
        socket.write_all(bytes).ok();
        socket.shutdown(std::net::Shutdown::Write).ok();
        assert!(ends(&mut socket), "{bytes:?}");
    }
    // Instead of a hello, and after it.
    let chunk = |offset, bytes| ToStation::Chunk(Chunk { offset, bytes });
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0; 4],
        &[0xff; 64],
        &[1, 0, 0, 0, 99],
        &[2, 0, 0, 0, 0, 0],
    ] {
        let mut host = connect(station.address, &station.host);
        host.stream().write_all(bytes).unwrap();
        assert!(ends(host.stream()), "{bytes:?}");
    }
    // Messages out of their order.
    let mut host = connect(station.address, &station.host);
    host.say(&chunk(0, b"film")).unwrap();
    assert!(ends(host.stream()), "bytes of no film");
    for (offset, bytes) in [(5, &b"film"[..]), (0, b""), (u64::MAX, b"film")] {
        let mut host = connect(station.address, &station.host);
        film.announce(&mut host);
        host.say(&chunk(offset, bytes)).unwrap();
        assert!(ends(host.stream()), "bytes at {offset}");
    }
    let mut host = connect(station.address, &station.host);
    let small = Film::of(b"four".to_vec());
    small.announce(&mut host);
    host.say(&chunk(0, b"five!")).unwrap();
    assert!(ends(host.stream()), "more bytes than announced");
    info(&mut connect(station.address, &station.host));
}

/// True if the other side closes.
fn ends(stream: &mut impl Read) -> bool {
    let mut buffer = [0; 4096];
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(20) {
        match stream.read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() != std::io::ErrorKind::WouldBlock,
        }
    }
    false
}

#[test]
fn slow_hosts_are_dropped() {
    let station = Station::start_with("connections = 1\n");
    let start = Instant::now();
    // One who says nothing at all, and one who stops in the middle of a message.
    let mut silent = TcpStream::connect(station.address).unwrap();
    silent.set_read_timeout(Some(LONG)).unwrap();
    assert!(matches!(silent.read(&mut [0; 9]), Ok(0) | Err(_)));
    let waited = start.elapsed();
    assert!((9..60).contains(&waited.as_secs()), "{waited:?}");
    let mut host = connect(station.address, &station.host);
    host.stream().write_all(&[200, 0, 0, 0, 1]).unwrap();
    // Meanwhile others are told to come again.
    let why = complaint(&station.device(&["info"]));
    assert!(
        why.contains("the station says: 1 hosts are connected: try later"),
        "{why}"
    );
    let start = Instant::now();
    let trickle = |host: &mut HostSide| {
        host.stream().write_all(&[1]).ok();
        thread::sleep(Duration::from_secs(2));
        host.stream()
            .sock
            .set_read_timeout(Some(Duration::from_millis(10)))
            .unwrap();
        let read = host.stream().read(&mut [0; 9]);
        !matches!(read, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
    };
    while !trickle(&mut host) {
        assert!(
            start.elapsed() < Duration::from_secs(90),
            "a slow host holds the station"
        );
    }
    wait_for(|| station.device(&["info"]).status.success().then_some(()));
}
