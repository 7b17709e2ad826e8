//! The target of real boards, tried on a simulated one behind a pseudo-terminal.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use plumbline_hil::bench::Bench;
use plumbline_hil::board::Board;
use plumbline_hil::real::Real;
use plumbline_hil::scenarios;
use plumbline_hil::simulated::Simulated;
use plumbline_hil::station::Station;
use plumbline_hil::terminal::Terminal;

#[test]
fn scenarios_without_a_fixture_are_played_at_a_serial_port() {
    let folder = tempfile::tempdir().unwrap();
    let port = folder.path().join("port");
    let done = AtomicBool::new(false);
    let mut line = Terminal::new(&port, Some(921_600)).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut board = Simulated::in_real_time();
            board.start().unwrap();
            while !done.load(Ordering::Relaxed) {
                line.turn(&mut board).unwrap();
                board.pass(Duration::from_millis(1)).unwrap();
            }
        });
        let played = thread::spawn(move || {
            let mut played = 0;
            for (boot, scenario) in (10..).step_by(100).zip(scenarios::all()) {
                let board = Real::at(port.clone(), None).unwrap();
                if scenario.needs.iter().all(|need| board.can(*need)) {
                    let mut bench = Bench::new(Box::new(board), Station::new(boot)).unwrap();
                    (scenario.play)(&mut bench).unwrap();
                    played += 1;
                }
            }
            played
        })
        .join();
        done.store(true, Ordering::Relaxed);
        assert!(played.unwrap() >= 3);
    });
}
