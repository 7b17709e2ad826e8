//! Faults within the database's own writes, made by strace: the disk fails, is full, or the station
//! is killed at each write and each sync of a film's way through the database. No acknowledged film
//! is lost, none is there twice, the audit log's chain is whole, and the same sentence comes of it.
//!
//! Faults at the writes of a film's file are tried in `store/tests.rs`. `PLUMBLINE_FAULTS` says of
//! how many places one is tried; `.ci/run` takes every fortieth, `.ci/full` each.

mod station;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

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
    let every = std::env::var("PLUMBLINE_FAULTS");
    let every: usize = every.map_or(40, |every| every.parse().unwrap());
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/tests/films");
    let film = Instance::read(&golden.join("explicit_16.dcm"));
    let mut tried = 0;
    let mut acknowledged = 0;
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
            let (folder, sent) = with_fault(folder, &film, call, fault, place);
            let trace = fs::read_to_string(folder.path().join("strace")).unwrap();
            after(folder, &film, sent, &format!("{fault} at {call} {place}"));
            if trace.matches(&format!("{call}(")).count() < place {
                break;
            }
            places += 1;
            acknowledged += usize::from(sent);
        }
        println!("{fault} at {call}: {places} places");
        assert!(places >= 1, "{call} {places}");
        tried += places;
    }
    println!("{tried} faults tried; the film was acknowledged in spite of {acknowledged}");
}

/// Runs a station whose system call of this number on the database fails, sends it a film and lets
/// it read. Returns true if the film was acknowledged.
fn with_fault(
    folder: TempDir,
    film: &Instance,
    call: &str,
    fault: &str,
    place: usize,
) -> (TempDir, bool) {
    let mut strace = Command::new("strace");
    // -D: the program, not strace, is the process that was started.
    strace.args(["-D", "-f", "-qq", "-e", &format!("trace={call}")]);
    strace.args(["-e", &format!("inject={call}:{fault}:when={place}")]);
    strace.arg("-o").arg(folder.path().join("strace"));
    for file in ["plumbline.sqlite", "plumbline.sqlite-wal"] {
        strace.arg("-P").arg(folder.path().join("data").join(file));
    }
    strace.arg(PROGRAM);
    let station = match Station::start_by(strace, folder, "") {
        Ok(station) => station,
        Err(folder) => return (folder, false),
    };
    let sent = Sender::connect(&station).is_ok_and(|mut sender| sender.try_store(film) == Some(0));
    let start = Instant::now();
    // The answer is written, unless it is what fails.
    while sent && start.elapsed() < Duration::from_secs(2) {
        let (_, films) = station.run(&["films", "--json"]);
        if films.contains("\"refused\"") {
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    (station.end(STOP), sent)
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
