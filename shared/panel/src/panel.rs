//! What the panel does: lamps, buzzer and events, from what is said to it, what happens at it, and
//! time.
//!
//! The lamps say nothing that is untrue, which `tests/truth.rs` tries to disprove:
//!
//! - a fault wins: no other lamp is lit beside it;
//! - a lamp of a result is lit only while the station shows that result and the operator has not
//!   acknowledged it;
//! - when the station falls silent, or speaks other messages, that is a fault within 2 s.

use plumbline_wire::outbox::Outbox;
use plumbline_wire::panel::{
    Activity, Build, Buzzer as Sound, EventId, FilmResult, FromPanel, Measures, Occurrence,
    Outcome, Press, Question, Reset, Settings, SettingsReport, Show, Time, ToPanel,
};

use crate::button::{Button, Times};
use crate::buzzer::{Buzzer, Tune};
use crate::exposure::ExposureLine;
use crate::lamps::{Lamp, Lamps, Rhythm};
use crate::power::{Power, Reading};
use crate::time::{Micros, SECOND, earlier};

/// The station's silence that is a fault. Half a second less than is promised, for everything that
/// comes between.
pub const SILENCE: Micros = 3 * SECOND / 2;
/// How long a lamp test lasts.
pub const TEST: Micros = 3 * SECOND;
/// The time between two [`FromPanel::Measures`] that nobody asked for.
pub const MEASURES: Micros = 10 * SECOND;

/// Lamps that nobody sees would hide a fault: no setting makes them darker than this, in percent.
pub const LEAST_BRIGHTNESS: u8 = 5;

/// What lamps and buzzer are to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    /// The lamps that are lit.
    pub lamps: Lamps,
    /// How bright, percent.
    pub brightness: u8,
    /// How loud the buzzer sounds, percent; 0 is silence.
    pub volume: u8,
}

/// What the lamps say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Face {
    /// Nothing has been said yet.
    Dark,
    /// All lamps, lit together: says nothing but that they work.
    Test,
    /// Something is wrong.
    Fault,
    /// What the station does and what became of the newest film.
    Station {
        activity: Activity,
        film_missing: bool,
        result: Option<FilmResult>,
    },
}

impl Face {
    /// The rhythm of a lamp; none if it is dark.
    fn rhythm(self, lamp: Lamp) -> Option<Rhythm> {
        let rhythm = match lamp {
            Lamp::Ready => Rhythm::Steady,
            Lamp::Busy => Rhythm::Even,
            Lamp::Refer => Rhythm::TwoFlashes,
            Lamp::NoSign => Rhythm::Winking,
            Lamp::TakeAgain => Rhythm::ThreeFlashes,
            Lamp::Fault => Rhythm::Quick,
        };
        let lit = match self {
            Self::Dark => false,
            Self::Test => return Some(Rhythm::Steady),
            Self::Fault => lamp == Lamp::Fault,
            Self::Station {
                activity,
                film_missing,
                result,
            } => {
                let outcome = result.map(|result| result.outcome);
                match lamp {
                    Lamp::Busy if film_missing => return Some(Rhythm::OneFlash),
                    Lamp::Busy => activity == Activity::Busy,
                    Lamp::Ready => activity == Activity::Ready && !film_missing,
                    Lamp::Refer => outcome == Some(Outcome::Refer),
                    Lamp::NoSign => outcome == Some(Outcome::NoSign),
                    Lamp::TakeAgain => outcome == Some(Outcome::TakeAgain),
                    Lamp::Fault => false,
                }
            }
        };
        lit.then_some(rhythm)
    }
}

/// A film whose result the operator has acknowledged at this panel.
#[derive(Clone, Copy, Debug)]
struct Acknowledged {
    film: u64,
    event: EventId,
    /// The station has kept the event. What it shows from then on has taken note of it.
    kept: bool,
}

/// Answers that are owed to the station.
#[derive(Clone, Copy, Debug, Default)]
struct Owed {
    /// To the newest such question: an answer to an older one would be late.
    time: Option<Time>,
    settings: bool,
    build: bool,
    measures: bool,
}

/// The panel.
#[derive(Clone, Debug)]
pub struct Panel {
    now: Micros,
    build: Build,
    settings: SettingsReport,
    /// Settings that are to be written to flash.
    keep: Option<Settings>,
    /// What the station said in this session.
    show: Option<Show>,
    /// The film whose result was said last, in whatever session.
    film: Option<u64>,
    /// When this session, or this start of the panel, began.
    begun: Micros,
    /// When the station was last heard in this session, or it began.
    heard: Micros,
    acknowledged: Option<Acknowledged>,
    button: Button,
    /// The film whose result was shown when the button's contacts closed.
    pressed_on: Option<u64>,
    exposure: ExposureLine,
    power: Power,
    test_until: Option<Micros>,
    face: Face,
    face_since: Micros,
    buzzer: Buzzer,
    outbox: Outbox<16>,
    owed: Owed,
    measures_due: Micros,
    bad_frames: u32,
    lost_bytes: u32,
}

impl Panel {
    /// A panel that has just started, and why; `boot` names this start and no other.
    pub fn new(boot: u64, reset: Reset, build: Build, settings: SettingsReport) -> Self {
        let mut outbox = Outbox::new(boot);
        // A new outbox has room.
        let _ = outbox.push(0, Occurrence::Started(reset));
        Self {
            now: 0,
            build,
            settings,
            keep: None,
            show: None,
            film: None,
            begun: 0,
            heard: 0,
            acknowledged: None,
            button: Button::default(),
            pressed_on: None,
            exposure: ExposureLine::default(),
            power: Power::default(),
            test_until: None,
            face: Face::Dark,
            face_since: 0,
            buzzer: Buzzer::default(),
            outbox,
            owed: Owed::default(),
            measures_due: 0,
            bad_frames: 0,
            lost_bytes: 0,
        }
    }

    /// A session with the station has begun: it says everything again, and so does the panel.
    pub fn opened(&mut self, now: Micros) {
        self.closed();
        self.begun = now;
        self.heard = now;
        self.outbox.say_again();
    }

    /// There is no session any more, and what the station said is void.
    pub fn closed(&mut self) {
        self.show = None;
        self.owed = Owed::default();
        self.buzzer.stop();
    }

    /// The station was heard, whatever it said.
    pub fn heard(&mut self, now: Micros) {
        self.heard = now;
    }

    /// The station says something.
    pub fn hear(&mut self, now: Micros, message: ToPanel) {
        match message {
            ToPanel::Show(show) => self.shown(now, show),
            ToPanel::Keep(settings) => {
                self.settings = SettingsReport {
                    settings,
                    kept: false,
                };
                self.keep = Some(settings);
            }
            ToPanel::Acknowledge(id) => {
                self.outbox.acknowledge(id);
                if let Some(acknowledged) = &mut self.acknowledged {
                    acknowledged.kept |= acknowledged.event == id;
                }
            }
            ToPanel::Ask(question) => match question {
                Question::Measures => self.owed.measures = true,
                Question::Settings => self.owed.settings = true,
                Question::Build => self.owed.build = true,
                Question::Time { token } => self.owed.time = Some(Time { token, at: now }),
            },
        }
    }

    fn shown(&mut self, now: Micros, show: Show) {
        if self
            .acknowledged
            .is_some_and(|acknowledged| acknowledged.kept)
        {
            self.acknowledged = None;
        }
        self.show = Some(show);
        if show.buzzer == Sound::Silent {
            self.buzzer.stop();
        }
        if let Some(result) = show.result
            && self.film.replace(result.film) != Some(result.film)
            && show.buzzer == Sound::Notice
        {
            self.buzzer.play(Tune::Result(result.outcome), now);
        }
    }

    /// The button's contacts closed (`down`) or opened at `at`.
    pub fn contact(&mut self, at: Micros, down: bool) {
        let held = self.button.held();
        // Contacts bounce when they open, too, and another result may be shown by then.
        if self.button.contact(at, down) && down && !held {
            self.pressed_on = self.result_shown();
        }
    }

    /// The exposure line became active at `at`.
    pub fn exposed(&mut self, at: Micros) {
        if self.exposure.edge(at) {
            // An outbox without room counts what it loses, and the measures tell.
            let _ = self.outbox.push(at, Occurrence::Exposure);
        }
    }

    /// The sensors were read.
    pub fn measured(&mut self, reading: Reading) {
        self.power.take(reading);
    }

    /// What the link and the serial port have counted since the start.
    pub fn counted(&mut self, bad_frames: u32, lost_bytes: u32) {
        (self.bad_frames, self.lost_bytes) = (bad_frames, lost_bytes);
    }

    /// Settings that are to be written to flash, once. [`Self::kept`] is called when that is done.
    pub fn keep(&mut self) -> Option<Settings> {
        self.keep.take()
    }

    /// `settings` were written to flash, or could not be.
    pub fn kept(&mut self, settings: Settings, kept: bool) {
        if self.settings.settings == settings {
            self.settings.kept = kept;
            self.owed.settings = true;
        }
    }

    /// The settings that the panel follows.
    pub fn settings(&self) -> &Settings {
        &self.settings.settings
    }

    /// Says what is to be said, the most urgent first, until `send` takes no more: it returns whether
    /// it took a message.
    pub fn say(&mut self, mut send: impl FnMut(&FromPanel) -> bool) {
        if let Some(time) = self.owed.time {
            if !send(&FromPanel::Time(time)) {
                return;
            }
            self.owed.time = None;
        }
        while let Some(event) = self.outbox.unsaid() {
            if !send(&FromPanel::Event(*event)) {
                return;
            }
            self.outbox.said();
        }
        if self.owed.settings {
            self.owed.settings = !send(&FromPanel::Settings(self.settings));
        }
        if self.owed.build {
            self.owed.build = !send(&FromPanel::Build(self.build));
        }
        if self.owed.measures {
            self.owed.measures = !send(&FromPanel::Measures(Measures {
                at: self.now,
                battery: self.power.reading.battery,
                temperature: self.power.reading.temperature,
                bad_frames: self.bad_frames,
                lost_bytes: self.lost_bytes,
                lost_events: self.outbox.lost(),
            }));
        }
    }

    /// Lets time pass until `now`, and says what lamps and buzzer are to do from now on.
    pub fn advance(&mut self, now: Micros) -> Output {
        self.now = now;
        if now >= self.measures_due {
            self.owed.measures = true;
            self.measures_due = now + MEASURES;
        }
        if let Some((at, press)) = self.button.advance(now, self.times()) {
            self.pressed(now, at, press);
        }
        self.turn(now);
        let alarm = self.show.is_some_and(|show| show.buzzer == Sound::Alarm);
        self.buzzer.alarm(now, alarm && !self.silent(now));
        let sounds = self.buzzer.at(now).0;
        let settings = &self.settings.settings;
        Output {
            lamps: Lamp::ALL
                .into_iter()
                .filter(|lamp| self.lit(*lamp, now))
                .fold(Lamps::NONE, Lamps::with),
            brightness: settings.brightness.clamp(LEAST_BRIGHTNESS, 100),
            volume: if sounds { settings.volume.min(100) } else { 0 },
        }
    }

    /// When [`Self::advance`] is to be called at the latest, if nothing happens before.
    pub fn wake(&mut self) -> Micros {
        let mut wake = Some(self.measures_due);
        // The silence that is to come.
        wake = earlier(wake, (!self.silent(self.now)).then_some(self.silent_from()));
        wake = earlier(wake, self.button.wake(self.times()));
        wake = earlier(wake, self.test_until);
        wake = earlier(wake, self.buzzer.at(self.now).1);
        for lamp in Lamp::ALL {
            let since = self.now - self.face_since;
            let change = |rhythm: Rhythm| self.now + rhythm.at(since).1;
            wake = earlier(wake, self.face.rhythm(lamp).map(change));
        }
        wake.unwrap_or(Micros::MAX)
    }

    fn times(&self) -> Times {
        Times::from(&self.settings.settings)
    }

    fn pressed(&mut self, now: Micros, at: Micros, press: Press) {
        let film = self.pressed_on.take();
        let event = self.outbox.push(at, Occurrence::Button { press, film });
        match (press, film, event) {
            // A press of which the station will never know acknowledges nothing.
            (Press::Short, Some(film), Ok(event)) => {
                self.acknowledged = Some(Acknowledged {
                    film,
                    event,
                    kept: false,
                });
            }
            (Press::Short, ..) => {}
            (Press::Long, ..) => self.test_until = Some(now + TEST),
        }
        if self.may_sound() {
            self.buzzer.play(Tune::Click, now);
        }
    }

    /// The panel makes sounds of its own unless the station wants none, or has said nothing.
    fn may_sound(&self) -> bool {
        self.show.is_some_and(|show| show.buzzer != Sound::Silent)
    }

    /// Turns the face to what is the case.
    fn turn(&mut self, now: Micros) {
        self.test_until = self.test_until.filter(|until| now < *until);
        let face = self.the_case(now);
        if face == Face::Fault {
            // It does not go on after the fault, when nobody waits for it any more.
            self.test_until = None;
        }
        if face == self.face {
            return;
        }
        if face == Face::Fault && self.may_sound() {
            self.buzzer.play(Tune::Fault, now);
        }
        self.face = face;
        self.face_since = now;
    }

    fn the_case(&self, now: Micros) -> Face {
        let told = self
            .show
            .is_some_and(|show| show.activity == Activity::Fault);
        if self.silent(now) || told || self.power.empty || self.power.hot {
            return Face::Fault;
        }
        let Some(show) = self.show else {
            return Face::Dark;
        };
        if self.test_until.is_some() {
            return Face::Test;
        }
        let acknowledged = self.acknowledged.map(|acknowledged| acknowledged.film);
        Face::Station {
            activity: show.activity,
            film_missing: show.film_missing,
            result: show
                .result
                .filter(|result| Some(result.film) != acknowledged),
        }
    }

    fn silent(&self, now: Micros) -> bool {
        now >= self.silent_from()
    }

    /// When the station counts as silent, if nothing is heard before. One that lives but shows
    /// nothing is as good as silent.
    fn silent_from(&self) -> Micros {
        let heard = if self.show.is_some() {
            self.heard
        } else {
            self.begun
        };
        heard + SILENCE
    }

    fn lit(&self, lamp: Lamp, now: Micros) -> bool {
        let rhythm = self.face.rhythm(lamp);
        rhythm.is_some_and(|rhythm| rhythm.at(now - self.face_since).0)
    }

    /// The film whose result the lamps show.
    fn result_shown(&self) -> Option<u64> {
        match self.face {
            Face::Station { result, .. } => result.map(|result| result.film),
            Face::Dark | Face::Test | Face::Fault => None,
        }
    }
}
