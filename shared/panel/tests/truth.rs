//! No sequence of events leaves the lamps saying something untrue. Random sequences are played to
//! the panel; beside it stands a model that knows what the station said, what the operator did and
//! what time it is, and at every change of the lamps says whether they are true.

use plumbline_panel_logic::lamps::{Lamp, Lamps};
use plumbline_panel_logic::panel::{Output, Panel, SILENCE, TEST};
use plumbline_panel_logic::power::Reading;
use plumbline_panel_logic::time::{MILLISECOND, Micros, SECOND};
use plumbline_wire::panel::{
    Activity, Board, Build, Buzzer, EventId, FilmResult, FromPanel, Occurrence, Outcome, Press,
    Reset, Settings, SettingsReport, Show, ToPanel,
};
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
enum Happening {
    /// Milliseconds pass.
    Pass(u64),
    /// The station is heard.
    Heard,
    /// The station says what to show.
    Show(Show),
    /// A new session begins, or there is none any more.
    Opened,
    Closed,
    /// The station acknowledges the newest event.
    Kept,
    /// The button's contacts.
    Contact(bool),
    /// The exposure line.
    Exposure,
    /// The sensors.
    Reading(Reading),
    /// Settings.
    Settings(Settings),
}

fn show() -> impl Strategy<Value = Show> {
    let activity = prop_oneof![
        4 => Just(Activity::Ready),
        3 => Just(Activity::Busy),
        1 => Just(Activity::Fault)
    ];
    let outcome = prop_oneof![
        Just(Outcome::Refer),
        Just(Outcome::NoSign),
        Just(Outcome::TakeAgain)
    ];
    // Few films, so that one comes again that was acknowledged.
    let result = (0u64..4, outcome).prop_map(|(film, outcome)| FilmResult { film, outcome });
    let buzzer = prop_oneof![
        Just(Buzzer::Silent),
        Just(Buzzer::Notice),
        Just(Buzzer::Alarm)
    ];
    (
        activity,
        proptest::option::of(result),
        proptest::bool::weighted(0.2),
        buzzer,
    )
        .prop_map(|(activity, result, film_missing, buzzer)| Show {
            activity,
            result,
            film_missing,
            buzzer,
        })
}

fn reading() -> impl Strategy<Value = Reading> {
    (
        proptest::option::of(3100u16..4200),
        proptest::option::of(-100i16..750),
    )
        .prop_map(|(battery, temperature)| Reading {
            battery,
            temperature,
        })
}

fn settings() -> impl Strategy<Value = Settings> {
    any::<(u8, u8, u16, u8, bool)>().prop_map(
        |(brightness, volume, long_press, debounce, exposure_active_low)| Settings {
            brightness,
            volume,
            long_press,
            debounce,
            exposure_active_low,
        },
    )
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        8 => (1u64..400).prop_map(Happening::Pass),
        1 => (1u64..4000).prop_map(Happening::Pass),
        10 => Just(Happening::Heard),
        8 => show().prop_map(Happening::Show),
        1 => Just(Happening::Opened),
        1 => Just(Happening::Closed),
        3 => Just(Happening::Kept),
        4 => any::<bool>().prop_map(Happening::Contact),
        2 => Just(Happening::Exposure),
        1 => reading().prop_map(Happening::Reading),
        1 => settings().prop_map(Happening::Settings),
    ]
}

/// A panel, and what is true.
struct World {
    panel: Panel,
    now: Micros,
    output: Output,
    show: Option<Show>,
    begun: Micros,
    heard: Micros,
    empty: bool,
    hot: bool,
    /// The film that the operator acknowledged, with the event, and whether the station keeps that.
    acknowledged: Option<(u64, EventId, bool)>,
    newest: Option<EventId>,
    contact: bool,
    /// When the contacts closed, and the film of which the lamps told then.
    closed: Vec<(Micros, Option<u64>)>,
    tested: Option<Micros>,
    edges: Vec<Micros>,
    exposures: Vec<Micros>,
}

impl World {
    fn new() -> Self {
        let build = Build {
            board: Board::Computer,
            id: [0; 20],
        };
        let settings = SettingsReport {
            settings: Settings::DEFAULT,
            kept: true,
        };
        let mut panel = Panel::new(7, Reset::Power, build, settings);
        let output = panel.advance(0);
        Self {
            panel,
            now: 0,
            output,
            show: None,
            begun: 0,
            heard: 0,
            empty: false,
            hot: false,
            acknowledged: None,
            newest: None,
            contact: false,
            closed: vec![],
            tested: None,
            edges: vec![],
            exposures: vec![],
        }
    }

    fn fault(&self) -> bool {
        let silent = self.now >= self.heard + SILENCE
            || self.show.is_none() && self.now >= self.begun + SILENCE;
        let told = self
            .show
            .is_some_and(|show| show.activity == Activity::Fault);
        silent || told || self.empty || self.hot
    }

    /// The result that nobody has acknowledged.
    fn result(&self) -> Option<FilmResult> {
        let acknowledged = self.acknowledged.map(|(film, ..)| film);
        self.show?
            .result
            .filter(|result| Some(result.film) != acknowledged)
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Pass(milliseconds) => return self.pass(milliseconds * MILLISECOND),
            Happening::Heard => {
                self.panel.heard(self.now);
                self.heard = self.now;
            }
            Happening::Show(show) => {
                self.panel.heard(self.now);
                self.panel.hear(self.now, ToPanel::Show(show));
                self.heard = self.now;
                self.show = Some(show);
                self.acknowledged = self.acknowledged.filter(|(.., kept)| !kept);
            }
            Happening::Opened => {
                self.panel.opened(self.now);
                (self.show, self.begun, self.heard) = (None, self.now, self.now);
            }
            Happening::Closed => {
                self.panel.closed();
                self.show = None;
            }
            Happening::Kept => {
                if let Some(id) = self.newest {
                    self.panel.hear(self.now, ToPanel::Acknowledge(id));
                    if let Some((_, event, kept)) = &mut self.acknowledged {
                        *kept |= *event == id;
                    }
                }
            }
            Happening::Contact(down) => {
                if down && !self.contact {
                    let dark = self.fault() || self.output.lamps == Lamps::ALL;
                    let film = self.result().filter(|_| !dark).map(|result| result.film);
                    self.closed.push((self.now, film));
                }
                self.contact = down;
                self.panel.contact(self.now, down);
            }
            Happening::Exposure => {
                let rested = self
                    .edges
                    .last()
                    .is_none_or(|last| self.now - last >= 500 * MILLISECOND);
                self.edges.push(self.now);
                if rested {
                    self.exposures.push(self.now);
                }
                self.panel.exposed(self.now);
            }
            Happening::Reading(reading) => {
                self.panel.measured(reading);
                if let Some(battery) = reading.battery {
                    self.empty = battery < if self.empty { 3350 } else { 3200 };
                }
                if let Some(temperature) = reading.temperature {
                    self.hot = temperature > if self.hot { 650 } else { 700 };
                }
            }
            Happening::Settings(settings) => {
                self.panel.hear(self.now, ToPanel::Keep(settings));
            }
        }
        self.look();
    }

    /// Lets time pass as the board does: the panel is woken when it asked to be.
    fn pass(&mut self, time: Micros) {
        let end = self.now + time;
        loop {
            let wake = self.panel.wake();
            assert!(wake > self.now, "it asks to be woken in the past");
            self.now = wake.min(end);
            self.look();
            if self.now == end {
                break;
            }
        }
    }

    fn look(&mut self) {
        self.output = self.panel.advance(self.now);
        let mut events = vec![];
        self.panel.say(|message| {
            if let FromPanel::Event(event) = message {
                events.push(*event);
            }
            true
        });
        for event in events {
            self.told(event);
        }
        // A press that acknowledges tells so at once: the lamps were set before it was read here.
        self.output = self.panel.advance(self.now);
        if self.fault() {
            self.tested = None;
        }
        self.check();
    }

    fn told(&mut self, event: plumbline_wire::panel::Event) {
        if self.newest.is_some_and(|newest| event.id <= newest) {
            return; // said again
        }
        self.newest = Some(event.id);
        match event.what {
            Occurrence::Button { press, film } => {
                let closed = self.closed.iter().rev().find(|(at, _)| *at == event.at);
                let (_, seen) = closed.expect("a press begins when the contacts close");
                assert_eq!(film, *seen, "a press acknowledges what was seen");
                match (press, film) {
                    (Press::Short, Some(film)) => {
                        self.acknowledged = Some((film, event.id, false));
                    }
                    (Press::Short, None) => {}
                    (Press::Long, _) => self.tested = Some(self.now),
                }
            }
            Occurrence::Exposure => {
                assert!(
                    self.exposures.contains(&event.at),
                    "an exposure that was none"
                );
            }
            Occurrence::Started(_) => {}
        }
    }

    fn check(&self) {
        let lamps = self.output.lamps;
        assert!(self.output.brightness >= 5, "lamps that nobody sees");
        if self.fault() {
            assert_eq!(
                lamps.0 & !Lamps::NONE.with(Lamp::Fault).0,
                0,
                "a fault wins"
            );
            return;
        }
        if lamps == Lamps::ALL {
            let tested = self.tested.expect("a lamp test that nobody wanted");
            assert!(self.now < tested + TEST, "a lamp test ends");
            return;
        }
        assert!(!lamps.has(Lamp::Fault), "a fault that is none");
        for (lamp, outcome) in [
            (Lamp::Refer, Outcome::Refer),
            (Lamp::NoSign, Outcome::NoSign),
            (Lamp::TakeAgain, Outcome::TakeAgain),
        ] {
            let true_now = self
                .result()
                .is_some_and(|result| result.outcome == outcome);
            assert!(!lamps.has(lamp) || true_now, "{lamp:?} is lit and untrue");
        }
        let activity = self.show.map(|show| show.activity);
        let missing = self.show.is_some_and(|show| show.film_missing);
        assert!(!lamps.has(Lamp::Ready) || activity == Some(Activity::Ready) && !missing);
        assert!(!lamps.has(Lamp::Busy) || activity == Some(Activity::Busy) || missing);
    }

    /// Whether a lamp is lit at some time of the next two seconds, the station being heard.
    fn flashes(&mut self, lamp: Lamp) -> bool {
        (0..20).any(|_| {
            self.happen(Happening::Heard);
            self.pass(100 * MILLISECOND);
            self.output.lamps.has(lamp)
        })
    }
}

#[test]
fn a_result_sounds_once_whatever_sessions_come() {
    let shown = |film, buzzer| {
        let result = Some(FilmResult {
            film,
            outcome: Outcome::NoSign,
        });
        Happening::Show(Show {
            activity: Activity::Ready,
            result,
            film_missing: false,
            buzzer,
        })
    };
    let mut world = World::new();
    let mut sounds = |happening| {
        world.happen(happening);
        let sounds = world.output.volume > 0;
        world.pass(SECOND);
        sounds
    };
    assert!(sounds(shown(1, Buzzer::Notice)));
    assert!(!sounds(shown(1, Buzzer::Notice)));
    assert!(!sounds(Happening::Opened));
    assert!(!sounds(shown(1, Buzzer::Notice)));
    assert!(sounds(shown(2, Buzzer::Notice)));
    assert!(!sounds(shown(3, Buzzer::Silent)));
    assert!(!sounds(shown(3, Buzzer::Notice)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_lamps_say_nothing_untrue(happenings in proptest::collection::vec(happening(), 0..150)) {
        let mut world = World::new();
        for happening in happenings {
            world.happen(happening);
        }
    }

    #[test]
    fn silence_is_the_safe_state_within_two_seconds(
        happenings in proptest::collection::vec(happening(), 0..60),
    ) {
        let mut world = World::new();
        for happening in happenings {
            world.happen(happening);
        }
        world.pass(2 * SECOND);
        let (mut lit, mut dark) = (0, 0);
        for _ in 0..100 {
            world.pass(20 * MILLISECOND);
            match world.output.lamps {
                Lamps::NONE => dark += 1,
                lamps => {
                    prop_assert_eq!(lamps, Lamps::NONE.with(Lamp::Fault));
                    lit += 1;
                }
            }
        }
        prop_assert!((40..=60).contains(&lit) && lit + dark == 100, "lit {} of 100 times", lit);
    }

    /// A press whose contacts bounce when they open is on what was seen when they closed.
    #[test]
    fn a_result_that_comes_during_a_press_is_not_acknowledged(held in 21u64..1500, bounces in 1u64..19) {
        let shown = |film| Show {
            activity: Activity::Ready,
            result: Some(FilmResult { film, outcome: Outcome::Refer }),
            film_missing: false,
            buzzer: Buzzer::Silent,
        };
        let mut world = World::new();
        world.happen(Happening::Show(shown(1)));
        world.happen(Happening::Contact(true));
        world.pass(held * MILLISECOND);
        world.happen(Happening::Show(shown(2)));
        for down in [false, true, false] {
            world.happen(Happening::Contact(down));
            world.pass(bounces * MILLISECOND);
        }
        world.pass(20 * MILLISECOND);
        let acknowledged = world.acknowledged.map(|(film, ..)| film);
        prop_assert_eq!(acknowledged, Some(1));
        prop_assert!(world.flashes(Lamp::Refer), "the second film's result is still shown");
    }

    /// The other half of the truth: what is the case is shown.
    #[test]
    fn what_the_station_shows_is_seen(
        happenings in proptest::collection::vec(happening(), 0..60),
        show in show(),
    ) {
        let mut world = World::new();
        for happening in happenings {
            world.happen(happening);
        }
        // Whatever was before: the button is let go, lamp tests are over, sensors are well.
        world.happen(Happening::Opened);
        world.happen(Happening::Contact(false));
        world.happen(Happening::Reading(Reading { battery: Some(3900), temperature: Some(250) }));
        world.happen(Happening::Show(show));
        for _ in 0..40 {
            world.happen(Happening::Heard);
            world.pass(100 * MILLISECOND);
        }
        let result = world.result();
        if show.activity == Activity::Fault {
            prop_assert!(world.flashes(Lamp::Fault));
            return Ok(());
        }
        prop_assert_eq!(world.flashes(Lamp::Ready), show.activity == Activity::Ready && !show.film_missing);
        prop_assert_eq!(world.flashes(Lamp::Busy), show.activity == Activity::Busy || show.film_missing);
        for (lamp, outcome) in [(Lamp::Refer, Outcome::Refer), (Lamp::NoSign, Outcome::NoSign), (Lamp::TakeAgain, Outcome::TakeAgain)] {
            let shown = result.is_some_and(|result| result.outcome == outcome);
            prop_assert_eq!(world.flashes(lamp), shown, "{:?}", lamp);
        }
        prop_assert!(!world.flashes(Lamp::Fault));
    }

    #[test]
    fn every_exposure_is_told_once_with_its_time(gaps in proptest::collection::vec(1u64..2000, 0..15)) {
        let mut world = World::new();
        let mut told = vec![];
        for gap in gaps {
            world.now += gap * MILLISECOND;
            world.panel.exposed(world.now);
            let rested = world.edges.last().is_none_or(|last| world.now - last >= 500 * MILLISECOND);
            world.edges.push(world.now);
            if rested {
                world.exposures.push(world.now);
            }
            world.panel.advance(world.now);
            world.panel.say(|message| {
                if let FromPanel::Event(event) = message && event.what == Occurrence::Exposure {
                    told.push(event.at);
                }
                true
            });
        }
        prop_assert_eq!(told, world.exposures);
    }
}
