//! Faults within the database's own writes, made by strace: the disk fails, is full, or the station
//! is killed at each write and each sync of a film's way through the database. No acknowledged film
//! is lost, none is there twice, the audit log's chain is whole, and the same sentence comes of it.
//!
//! The same while a result is sent: what was delivered is delivered, and nothing comes twice.
//!
//! Faults at the writes of a film's file are tried in `store/tests.rs`. `PLUMBLINE_FAULTS` says of
//! how many places one is tried; `.ci/run` takes every fortieth, `.ci/full` each.

#[path = "station/archive.rs"]
mod archive;
mod station;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use archive::{Archive, Deed};
use station::*;
use tempfile::TempDir;

/// What happens at a system call, in strace's words.
const FAULTS: [(&str, &str); 5] = [
    ("pwrite64", "error=EIO"),
    ("pwrite64", "error=ENOSPC"),
    ("pwrite64", "signal=KILL"),
    ("fsync", "error=EIO"),
    ("fsync", "signal=KILL"),
];

/// How long a station whose database fails may take to stop.
const STOP: Duration = Duration::from_secs(20);

#[test]
#[ignore = "needs strace: .ci/peers"]
fn a_fault_at_any_write_of_the_database_loses_no_acknowledged_film() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/tests/films");
    let film = Instance::read(&golden.join("explicit_16.dcm"));
    let refused = |station: &Station| station.run(&["films", "--json"]).1.contains("\"refused\"");
    let mut acknowledged = 0;
    at_every_place(|folder, fault, what| {
        let (folder, sent, calls) = with_fault(folder, "", &film, fault, refused);
        after(folder, &film, sent, what);
        acknowledged += usize::from(sent);
        calls
    });
    println!("the film was acknowledged in spite of {acknowledged} faults");
}

#[test]
#[ignore = "needs strace: .ci/peers"]
fn a_fault_at_any_write_while_sending_delivers_once() {
    let archive = Archive::start("127.0.0.1:0", |_| Deed::Answer(0));
    let more = format!(
        "[[destination]]\nname = \"archive\"\naddress = \"{}\"\nae_title = \"PACS\"\n\
         sends = [\"originals\", \"reports\"]\n",
        archive.address
    );
    // The gate refuses it, so that it has a result at once.
    let film = Instance::read(&sample("phantom-6.dcm")).of_another_device();
    let mut number = 0;
    at_every_place(|folder, fault, what| {
        number += 1;
        let film = film.numbered(number);
        let before = archive.stored().len();
        let come = || archive.stored().len() - before;
        let (folder, sent, calls) = with_fault(folder, &more, &film, fault, |_| come() >= 2);
        let station = Station::start_in(folder, &more);
        assert_eq!(
            Sender::connect(&station).unwrap().try_store(&film),
            Some(0),
            "{what}"
        );
        wait_for(|| {
            let told = station.deliveries();
            let done = |one: &serde_json::Value| one["state"] == "delivered";
            (told.len() == 2 && told.iter().all(done)).then_some(())
        });
        // An archive knows an object by its UID, which is the same whenever it comes, as are its bytes.
        let mut objects = BTreeMap::new();
        for stored in archive.stored().split_off(before) {
            let first = objects
                .entry(stored.instance.clone())
                .or_insert(stored.clone());
            assert_eq!(*first, stored, "{what}");
        }
        assert_eq!(objects.len(), 2, "{what}: acknowledged {sent}");
        // Without its destination: the archive of this test answers no echo.
        let station = Station::start_in(station.end(STOP), "");
        let (whole, report) = station.run(&["check"]);
        assert!(whole, "{what}: {report}");
        station.end(STOP);
        calls
    });
}

/// A system call, what is to happen at it, and at which of its calls.
type Fault = (&'static str, &'static str, usize);

/// Tries faults at every place of the database's writes, as far apart as `PLUMBLINE_FAULTS` says, until there
/// are none left. `attempt` returns how many such calls there were.
fn at_every_place(mut attempt: impl FnMut(TempDir, Fault, &str) -> usize) {
    let every = std::env::var("PLUMBLINE_FAULTS");
    let every: usize = every.map_or(40, |every| every.parse().unwrap());
    let mut tried = 0;
    for (call, fault) in FAULTS {
        let mut places = 0;
        // There are some ten writes to a sync.
        let step = if call == "fsync" {
            every.div_ceil(10)
        } else {
            every
        };
        for place in (1..).step_by(step) {
            let folder = tempfile::tempdir().unwrap();
            let what = format!("{fault} at {call} {place}");
            if attempt(folder, (call, fault, place), &what) < place {
                break;
            }
            places += 1;
        }
        println!("{fault} at {call}: {places} places");
        assert!(places >= 1, "{call} {places}");
        tried += places;
    }
    println!("{tried} faults tried");
}

/// Runs a station with such a fault, sends it a film and waits a little until `done`. Returns its folder,
/// whether the film was acknowledged, and how many of these system calls there were.
fn with_fault(
    folder: TempDir,
    more: &str,
    film: &Instance,
    (call, fault, place): Fault,
    done: impl Fn(&Station) -> bool,
) -> (TempDir, bool, usize) {
    let mut strace = Command::new("strace");
    // -D: the program, not strace, is the process that was started.
    strace.args(["-D", "-f", "-qq", "-e", &format!("trace={call}")]);
    strace.args(["-e", &format!("inject={call}:{fault}:when={place}")]);
    strace.arg("-o").arg(folder.path().join("strace"));
    for file in ["plumbline.sqlite", "plumbline.sqlite-wal"] {
        strace.arg("-P").arg(folder.path().join("data").join(file));
    }
    strace.arg(PROGRAM);
    let calls = |folder: &TempDir| {
        let trace = fs::read_to_string(folder.path().join("strace")).unwrap();
        trace.matches(&format!("{call}(")).count()
    };
    let station = match Station::start_by(strace, folder, more) {
        Ok(station) => station,
        Err(folder) => {
            let calls = calls(&folder);
            return (folder, false, calls);
        }
    };
    let sent = Sender::connect(&station).is_ok_and(|mut sender| sender.try_store(film) == Some(0));
    let start = Instant::now();
    // The end comes, unless it is what fails.
    while sent && start.elapsed() < Duration::from_secs(2) && !done(&station) {
        thread::sleep(Duration::from_millis(50));
    }
    let folder = station.end(STOP);
    let calls = calls(&folder);
    (folder, sent, calls)
}

/// What must hold once the disk is sound again.
fn after(folder: TempDir, film: &Instance, sent: bool, what: &str) {
    let station = Station::start_in(folder, "");
    let before = station.films().len();
    assert!(
        before <= 1 && (before == 1 || !sent),
        "{what}: {before} films"
    );
    let mut sender = Sender::connect(&station).unwrap();
    assert_eq!(sender.try_store(film), Some(0), "{what}");
    sender.release();
    let films = station.settled();
    assert_eq!(films.len(), 1, "{what}");
    assert_eq!(
        films[0]["findings"][0]["code"], "too-small",
        "{what}: {}",
        films[0]
    );
    let (whole, report) = station.run(&["check"]);
    assert!(whole, "{what}: {report}");
    station.end(STOP);
}
