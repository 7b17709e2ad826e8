//! Nights of a panel and a station on a bad line, simulated in seconds.
//!
//! `PLUMBLINE_SEEDS=N` runs the seeds 0 to N - 1 instead of a few; `PLUMBLINE_SEED=S` runs one.

mod end;
mod line;

use std::collections::{BTreeSet, HashSet};

use plumbline_wire::outbox::Outbox;
use plumbline_wire::panel::{
    Activity, Buzzer, EventId, FilmResult, FromPanel, Occurrence, Outcome, Show, ToPanel,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::end::End;
use crate::line::{Line, Mood};

const SECOND: u64 = 1_000_000;
const HOUR: u64 = 3600 * SECOND;

/// The time within which everything is right again once the line is good and both sides live.
const RIGHT_WITHIN: u64 = SECOND;

/// Tells the seed of a night that fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "the night of seed {0} failed: PLUMBLINE_SEED={0} cargo test -p plumbline-wire --test \
                 night",
                self.0
            );
        }
    }
}

/// The seeds to run: those asked for by the environment, or the first `few`.
fn seeds(few: u64) -> std::ops::Range<u64> {
    let number = |name| {
        let value = std::env::var(name).ok()?;
        Some(value.parse().unwrap_or_else(|_| panic!("{name}={value}")))
    };
    match (number("PLUMBLINE_SEED"), number("PLUMBLINE_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, seeds) => 0..seeds.unwrap_or(few),
    }
}

/// A panel, a station and the lines between them.
struct World {
    now: u64,
    rng: ChaCha8Rng,
    station: End<16, 16>,
    panel: End<4, 4>,
    to_panel: Line,
    to_station: Line,
    boots: u64,
    // The station's side.
    wanted: Show,
    unsaid_show: bool,
    to_acknowledge: Vec<EventId>,
    /// Survives the station's starts, as its database does.
    kept: HashSet<EventId>,
    // The panel's side.
    shown: Option<Show>,
    outbox: Outbox<8>,
    /// Events with room in the outbox of this start.
    happened: Vec<EventId>,
    /// Parcels without meaning that are still to be sent, each way.
    bulk: [u32; 2],
}

impl World {
    fn new(seed: u64) -> Self {
        let mut world = Self {
            now: 0,
            rng: ChaCha8Rng::seed_from_u64(seed),
            station: End::new(1),
            panel: End::new(2),
            to_panel: Line::new(),
            to_station: Line::new(),
            boots: 2,
            wanted: Show {
                activity: Activity::Ready,
                result: None,
                film_missing: false,
                buzzer: Buzzer::Silent,
            },
            unsaid_show: true,
            to_acknowledge: Vec::new(),
            kept: HashSet::new(),
            shown: None,
            outbox: Outbox::new(2),
            happened: Vec::new(),
            bulk: [0; 2],
        };
        // Clocks begin somewhere.
        world.now = world.rng.random_range(0..HOUR);
        world
    }

    fn boot(&mut self) -> u64 {
        self.boots += 1;
        self.boots
    }

    fn restart_station(&mut self) {
        let boot = self.boot();
        self.to_panel.cut(&mut self.rng);
        self.station = End::new(boot);
        self.unsaid_show = true;
        self.to_acknowledge.clear();
    }

    fn restart_panel(&mut self) {
        let boot = self.boot();
        self.to_station.cut(&mut self.rng);
        self.panel = End::new(boot);
        self.outbox = Outbox::new(boot);
        self.happened.clear();
        self.shown = None;
        self.happen(Occurrence::Exposure);
    }

    fn happen(&mut self, what: Occurrence) {
        if let Ok(id) = self.outbox.push(self.now, what) {
            self.happened.push(id);
        }
    }

    fn change_show(&mut self) {
        let outcomes = [Outcome::Refer, Outcome::NoSign, Outcome::TakeAgain];
        let rng = &mut self.rng;
        self.wanted = Show {
            activity: [Activity::Ready, Activity::Busy, Activity::Fault][rng.random_range(0..3)],
            result: rng.random::<bool>().then(|| FilmResult {
                film: rng.random(),
                outcome: outcomes[rng.random_range(0..3)],
            }),
            film_missing: rng.random(),
            buzzer: Buzzer::Silent,
        };
        self.unsaid_show = true;
    }

    /// A moment within the next second.
    fn soon(&mut self) -> u64 {
        self.now + self.rng.random_range(0..SECOND)
    }

    fn change_mood(&mut self) {
        let moods = [
            Mood::Good,
            Mood::Good,
            Mood::Noisy,
            Mood::Awful,
            Mood::Unplugged,
        ];
        let mood = moods[self.rng.random_range(0..moods.len())];
        // Mostly both directions suffer alike.
        let which = self.rng.random_range(0..4);
        if which != 0 {
            self.to_panel.set(mood);
        }
        if which != 1 {
            self.to_station.set(mood);
        }
    }

    /// Both sides do what they have to do now.
    fn step(&mut self) {
        let now = self.now;
        while let Some(bytes) = self.to_station.arrive(now) {
            self.station.receive(now, &bytes);
        }
        while let Some(bytes) = self.to_panel.arrive(now) {
            self.panel.receive(now, &bytes);
        }
        self.step_station();
        self.step_panel();
        self.station
            .transmit(now, &mut self.to_panel, &mut self.rng);
        self.panel
            .transmit(now, &mut self.to_station, &mut self.rng);
    }

    fn step_station(&mut self) {
        if std::mem::take(&mut self.station.opened) {
            self.unsaid_show = true;
            self.to_acknowledge.clear();
        }
        while let Some(what) = self.station.take(self.now) {
            if let Some(FromPanel::Event(event)) = what {
                self.kept.insert(event.id);
                self.to_acknowledge.push(event.id);
            }
        }
        if self.unsaid_show && self.station.say(Some(ToPanel::Show(self.wanted)), &[]) {
            self.unsaid_show = false;
        }
        while let Some(&id) = self.to_acknowledge.first()
            && self.station.say(Some(ToPanel::Acknowledge(id)), &[])
        {
            self.to_acknowledge.remove(0);
        }
        while self.bulk[0] > 0 && self.station.say(None::<ToPanel>, &[7; 150]) {
            self.bulk[0] -= 1;
        }
    }

    fn step_panel(&mut self) {
        if std::mem::take(&mut self.panel.opened) {
            self.outbox.say_again();
        }
        while let Some(what) = self.panel.take(self.now) {
            match what {
                Some(ToPanel::Show(show)) => self.shown = Some(show),
                Some(ToPanel::Acknowledge(id)) => {
                    assert!(self.kept.contains(&id), "acknowledged and not kept: {id:?}");
                    self.outbox.acknowledge(id);
                }
                Some(other) => panic!("{other:?}"),
                None => (),
            }
        }
        while let Some(&event) = self.outbox.unsaid()
            && self.panel.say(Some(FromPanel::Event(event)), &[])
        {
            self.outbox.said();
        }
        while self.bulk[1] > 0 && self.panel.say(None::<FromPanel>, &[8; 200]) {
            self.bulk[1] -= 1;
        }
    }

    /// Lets time pass until `end`.
    fn run_until(&mut self, end: u64) {
        while self.now < end {
            self.step();
            let busy = [self.station.busy_until, self.panel.busy_until];
            let busy = busy.into_iter().filter(|&until| until > self.now).min();
            let next = [
                self.to_panel.next_arrival(),
                self.to_station.next_arrival(),
                self.station.wake(&self.to_panel),
                self.panel.wake(&self.to_station),
                busy.unwrap_or(u64::MAX),
            ];
            let next = next.into_iter().min().unwrap_or(end);
            assert!(next > self.now, "time stands still at {}", self.now);
            self.now = next.min(end);
        }
        self.step();
    }

    fn heal(&mut self) {
        self.to_panel.set(Mood::Good);
        self.to_station.set(Mood::Good);
        self.station.busy_until = 0;
        self.panel.busy_until = 0;
    }

    /// What must be true once the line is good.
    fn assert_right(&self) {
        assert_eq!(self.shown, Some(self.wanted), "the lamps are wrong");
        assert!(self.outbox.is_empty(), "events wait");
        for id in &self.happened {
            assert!(self.kept.contains(id), "{id:?} was never kept");
        }
        assert!(!self.station.link().silent(self.now));
        assert!(!self.panel.link().silent(self.now));
        assert_eq!(self.station.link().room(), 16, "messages wait");
        assert_eq!(self.panel.link().room(), 4, "messages wait");
        assert_eq!(self.bulk, [0; 2], "messages wait");
    }
}

/// What happens in a night beside the link's own doing.
struct Disturbance {
    /// The mean time between two of them, in seconds.
    every: u64,
    happens: fn(&mut World),
}

const DISTURBANCES: [Disturbance; 9] = [
    Disturbance {
        every: 60,
        happens: |world| world.change_show(),
    },
    Disturbance {
        every: 20,
        happens: |world| world.happen(Occurrence::Exposure),
    },
    Disturbance {
        every: 10,
        happens: |world| world.panel.log(),
    },
    Disturbance {
        every: 300,
        happens: |world| {
            let way = world.rng.random_range(0..2);
            world.bulk[way] = world.rng.random_range(1..400);
        },
    },
    Disturbance {
        every: 60,
        happens: |world| world.station.busy_until = world.soon(),
    },
    Disturbance {
        every: 60,
        happens: |world| world.panel.busy_until = world.soon(),
    },
    Disturbance {
        every: 400,
        happens: |world| world.restart_station(),
    },
    Disturbance {
        every: 400,
        happens: |world| world.restart_panel(),
    },
    Disturbance {
        every: 30,
        happens: |world| world.change_mood(),
    },
];

/// Runs for `length` with everything `haste` times as often, heals the line and checks.
fn night(seed: u64, length: u64, haste: u64) {
    let _seed = Seed(seed);
    let mut world = World::new(seed);
    let end = world.now + length;
    let mut calendar = BTreeSet::new();
    let again = |world: &mut World, index: usize| {
        let mean = (DISTURBANCES[index].every * SECOND / haste) as f64;
        let wait = -mean * world.rng.random::<f64>().max(1e-9).ln();
        world.now + wait as u64
    };
    for index in 0..DISTURBANCES.len() {
        calendar.insert((again(&mut world, index), index));
    }
    while let Some((at, index)) = calendar.pop_first()
        && at < end
    {
        world.run_until(at);
        (DISTURBANCES[index].happens)(&mut world);
        calendar.insert((again(&mut world, index), index));
    }
    world.heal();
    // What was stalled or repeated is still under way, and so may be bulk.
    let end = world.now + 20 * SECOND;
    world.run_until(end);
    world.assert_right();
    let heard = world.station.heard + world.panel.heard;
    assert!(world.kept.len() > 300, "a night in which nothing happened");
    // On an idle line there are heartbeats and nothing else.
    let before = world.to_panel.bytes + world.to_station.bytes;
    let end = world.now + 100 * SECOND;
    world.run_until(end);
    world.assert_right();
    let bytes = world.to_panel.bytes + world.to_station.bytes - before;
    assert!(bytes <= 2 * 400 * 20, "{bytes} bytes on an idle line");
    assert_eq!(world.station.heard + world.panel.heard, heard);
}

#[test]
fn everything_arrives_once_and_in_order_whatever_the_line_does() {
    for seed in seeds(8) {
        night(seed, 8 * HOUR, 1);
    }
}

#[test]
fn restarts_in_quick_succession_come_to_an_end() {
    for seed in seeds(20) {
        night(seed, HOUR / 10, 100);
    }
}

#[test]
fn numbers_wrap_around() {
    let _seed = Seed(0);
    let mut world = World::new(0);
    let end = world.now + SECOND;
    world.run_until(end);
    world.bulk = [100_000; 2];
    world.to_panel.set(Mood::Noisy);
    world.to_station.set(Mood::Noisy);
    let end = world.now + HOUR;
    world.run_until(end);
    world.heal();
    let end = world.now + RIGHT_WITHIN;
    world.run_until(end);
    world.assert_right();
    assert_eq!(world.panel.link().counts().sessions, 1);
    assert!(world.panel.heard >= 100_000 && world.station.heard >= 100_000);
}

#[test]
fn a_restart_of_either_side_shows_the_right_lamps_within_a_second() {
    for seed in 0..200 {
        let _seed = Seed(seed);
        let mut world = World::new(seed);
        let wait = |world: &mut World, most| {
            let end = world.now + world.rng.random_range(0..most);
            world.run_until(end);
        };
        wait(&mut world, 3 * SECOND);
        for _ in 0..20 {
            world.change_show();
            world.happen(Occurrence::Exposure);
            wait(&mut world, 50_000);
            match world.rng.random_range(0..3) {
                0 => world.restart_panel(),
                1 => world.restart_station(),
                _ => {
                    world.restart_panel();
                    wait(&mut world, 200_000);
                    world.restart_station();
                }
            }
            let end = world.now + RIGHT_WITHIN;
            world.run_until(end);
            world.assert_right();
        }
    }
}
