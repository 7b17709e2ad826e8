//! A line between host and station that breaks.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A relay to a station, which carries each connection up to a number of bytes.
pub struct Relay {
    pub address: SocketAddr,
    /// The bytes that each connection carried from the host.
    carried: Arc<Mutex<Vec<usize>>>,
}

impl Relay {
    /// Relays to `to`; connection i breaks after `most[i]` bytes from the host, later ones do not.
    pub fn start(to: SocketAddr, most: &'static [usize]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let carried = Arc::new(Mutex::new(Vec::new()));
        let counts = Arc::clone(&carried);
        thread::spawn(move || {
            for (index, host) in listener.incoming().enumerate() {
                let (host, station) = (host.unwrap(), TcpStream::connect(to).unwrap());
                counts.lock().unwrap().push(0);
                let to_host = host.try_clone().unwrap();
                let from_station = station.try_clone().unwrap();
                let most = most.get(index).copied().unwrap_or(usize::MAX);
                let counts = Arc::clone(&counts);
                // The station still reads what was carried and then ends the connection: only then
                // does the host learn that it broke, so that time has no part in how much arrived.
                thread::spawn(move || {
                    carry(&host, &station, most, |bytes| {
                        counts.lock().unwrap()[index] += bytes
                    });
                    station.shutdown(Shutdown::Write).ok();
                });
                thread::spawn(move || {
                    carry(&from_station, &to_host, usize::MAX, |_| {});
                    from_station.shutdown(Shutdown::Both).ok();
                    to_host.shutdown(Shutdown::Both).ok();
                });
            }
        });
        Self { address, carried }
    }

    /// The bytes that each connection carried from the host.
    pub fn carried(&self) -> Vec<usize> {
        self.carried.lock().unwrap().clone()
    }
}

/// Carries bytes until a side ends or `most` are carried.
fn carry(mut from: &TcpStream, mut to: &TcpStream, mut most: usize, count: impl Fn(usize)) {
    let mut buffer = [0; 4096];
    while most > 0 {
        let room = buffer.len().min(most);
        let Ok(length @ 1..) = from.read(&mut buffer[..room]) else {
            break;
        };
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
        count(length);
        most -= length;
    }
}
