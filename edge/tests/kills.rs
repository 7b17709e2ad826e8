//! A station that is killed again and again while films come: no film that was acknowledged is lost,
//! none is there twice, and each gets the result that it would have got.
//!
//! `PLUMBLINE_KILLS` says how often; `.ci/run` takes 20, `.ci/full` 200.

mod station;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use station::*;

/// Senders at the same time.
const SENDERS: usize = 3;

/// One film of so many is of a size that is read; the others are too small, and refused at once.
const READ_EVERY: usize = 20;

#[test]
#[ignore = "takes minutes: .ci/run"]
fn a_station_that_is_killed_loses_no_acknowledged_film() {
    let kills = std::env::var("PLUMBLINE_KILLS");
    let kills: u32 = kills.map_or(20, |kills| kills.parse().unwrap());
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/tests/films");
    let films = [
        Instance::read(&golden.join("explicit_16.dcm")),
        Instance::read(&sample("phantom-4.dcm")),
    ];
    let next = AtomicUsize::new(1);
    let acknowledged: Mutex<HashMap<String, usize>> = Mutex::default();
    let mut folder = tempfile::tempdir().unwrap();
    // A linear congruential generator: the moments need not be good, but they are the same again.
    let mut random = 1_u64;
    let mut twice = 0;
    let start = Instant::now();
    for _ in 0..kills {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let moment = Duration::from_millis((random >> 33) % 700);
        let station = Station::start_in(folder, "");
        // What the last one has acknowledged is sent again now and then, as units do.
        let again = acknowledged
            .lock()
            .unwrap()
            .iter()
            .next()
            .map(|(uid, kind)| (uid.clone(), *kind));
        thread::scope(|scope| {
            for _ in 0..SENDERS {
                scope.spawn(|| {
                    let Ok(mut sender) = Sender::connect(&station) else {
                        return;
                    };
                    if let Some((uid, kind)) = &again {
                        let number = uid.trim_start_matches("2.25.").parse().unwrap();
                        let sent = sender.try_store(&films[*kind].numbered(number));
                        assert!(matches!(sent, None | Some(0)), "{sent:?}");
                    }
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        let kind = usize::from(number.is_multiple_of(READ_EVERY));
                        let film = films[kind].numbered(number);
                        match sender.try_store(&film) {
                            Some(0) => {
                                let mut acknowledged = acknowledged.lock().unwrap();
                                acknowledged.insert(film.sop_instance, kind);
                            }
                            Some(status) => panic!("status {status:04X}"),
                            None => return,
                        }
                    }
                });
            }
            thread::sleep(moment);
            signal(station.process(), Signal::KILL);
        });
        twice += usize::from(again.is_some());
        folder = station.kill();
    }
    let station = Station::start_in(folder, "");
    let kept: Vec<Value> = station.settled_of(100_000, Duration::from_secs(1200));
    let mut found: HashMap<&str, &Value> = HashMap::new();
    for film in &kept {
        let uid = film["header"]["sop_instance_uid"].as_str().unwrap();
        assert!(found.insert(uid, film).is_none(), "{uid} is there twice");
    }
    let acknowledged = acknowledged.into_inner().unwrap();
    let mut probabilities = Vec::new();
    for (uid, kind) in &acknowledged {
        let film = found.get(&**uid).unwrap_or_else(|| panic!("{uid} is lost"));
        match kind {
            0 => assert_eq!(film["findings"][0]["code"], "too-small", "{film}"),
            _ => probabilities.push(film["reading"]["probability"].as_f64().unwrap()),
        }
    }
    assert!(
        probabilities.iter().all(|p| *p == probabilities[0]),
        "{probabilities:?}"
    );
    let (whole, report) = station.run(&["check"]);
    assert!(whole, "{report}");
    println!(
        "{kills} kills in {:.0?}: {} films acknowledged, {} kept, {} of them read, {twice} sent twice",
        start.elapsed(),
        acknowledged.len(),
        kept.len(),
        probabilities.len(),
    );
}
