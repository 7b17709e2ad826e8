//! The time on the station. It has no network most of the day and perhaps no battery behind its
//! clock, so nothing is ordered by wall-clock time, and a clock that must be wrong is told.

use std::fmt;
use std::fs;
use std::mem;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};
use rustix::time::{ClockId, clock_gettime};

/// The day this version was released. A clock that shows an earlier one is wrong.
const RELEASED: Date = jiff::civil::date(2026, 11, 1);

/// The difference from a film's own date from which on one of the two is wrong.
const FAR: SignedDuration = SignedDuration::from_hours(24);

/// What is put back whenever the clock is set by the network.
const SET_BACK: SignedDuration = SignedDuration::from_secs(5);

/// Where the system tells the number of its start, by which monotonic times of two starts are told
/// apart.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// A moment by the wall clock and by the monotonic clock.
#[derive(Clone, Debug, PartialEq)]
pub struct Moment {
    /// Date and time with the local offset from UTC (RFC 3339), to the microsecond.
    pub wall: String,
    /// Nanoseconds since the system's start, also while it slept.
    pub since_boot: i64,
    /// The system's start.
    pub boot: String,
}

impl Moment {
    /// The present moment.
    pub fn now() -> Self {
        Self {
            wall: Zoned::now()
                .strftime("%Y-%m-%dT%H:%M:%S%.6f%:z")
                .to_string(),
            since_boot: since_boot(),
            boot: boot().to_owned(),
        }
    }
}

/// Nanoseconds since the system's start, also while it slept.
pub fn since_boot() -> i64 {
    let since = clock_gettime(ClockId::Boottime);
    since.tv_sec * 1_000_000_000 + since.tv_nsec
}

/// The number of the running system's start.
pub fn boot() -> &'static str {
    static BOOT: LazyLock<String> = LazyLock::new(|| {
        let boot = fs::read_to_string(BOOT_ID).unwrap_or_default();
        boot.trim().to_owned()
    });
    &BOOT
}

/// A reason to think that the station's clock is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockDoubt {
    /// It shows a day before the program was released.
    BeforeRelease,
    /// It shows an earlier time than it did, or than the newest entry of the audit log.
    PutBack,
    /// A film's examination is more than a day away.
    FarFromFilm,
}

impl fmt::Display for ClockDoubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BeforeRelease => {
                "the station's clock shows a day before this program was released: set it"
            }
            Self::PutBack => {
                "the station's clock shows an earlier time than it did before: set it, or start the \
                 station again if it is right now"
            }
            Self::FarFromFilm => {
                "the station's clock and the date of a film that has just arrived are more than a \
                 day apart: set the clock of the station or of the X-ray unit"
            }
        })
    }
}

/// What has been seen of the station's clock since the program was started.
#[derive(Debug, Default)]
pub struct ClockWatch(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// The latest time that the clock or the audit log has shown.
    latest: Option<Timestamp>,
    /// When a film of another day has come; none once one of this day came after it.
    far_film: Option<Timestamp>,
    /// The doubts that were told.
    told: Vec<ClockDoubt>,
}

impl ClockWatch {
    /// Notes the time of the newest entry of the audit log (RFC 3339) at the start.
    pub fn newest_entry(&self, wall: &str) {
        let mut seen = self.seen();
        seen.latest = seen.latest.max(wall.parse().ok());
    }

    /// Notes the Study Date (0008,0020) and Study Time (0008,0030), in the station's zone, of a film
    /// that has arrived `now`.
    pub fn film(&self, now: Timestamp, study_date: &str, study_time: Option<&str>) {
        if let Some(far) = is_far(now, study_date, study_time) {
            self.seen().far_film = far.then_some(now);
        }
    }

    /// Returns what speaks against a clock that shows `now`.
    pub fn doubts(&self, now: Timestamp) -> Vec<ClockDoubt> {
        let mut seen = self.seen();
        seen.latest = seen.latest.max(Some(now));
        let since = |moment: Option<Timestamp>| moment.map(|moment| now.duration_since(moment));
        let released = RELEASED.to_zoned(TimeZone::UTC).map(|day| day.timestamp());
        let mut doubts = Vec::new();
        if released.is_ok_and(|released| now < released) {
            doubts.push(ClockDoubt::BeforeRelease);
        }
        if since(seen.latest).is_some_and(|since| since < -SET_BACK) {
            doubts.push(ClockDoubt::PutBack);
        }
        // A film from an archive may be old by right, and no other one may come.
        if since(seen.far_film).is_some_and(|since| since.abs() < FAR) {
            doubts.push(ClockDoubt::FarFromFilm);
        }
        doubts
    }

    /// Returns the doubts that were not returned before, while they last.
    pub fn new_doubts(&self, now: Timestamp) -> Vec<ClockDoubt> {
        let doubts = self.doubts(now);
        let told = mem::replace(&mut self.seen().told, doubts.clone());
        let new = doubts.into_iter().filter(|doubt| !told.contains(doubt));
        new.collect()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// True if a film that arrives `now` was taken more than a day before or after; none if its date or
/// time cannot be one.
fn is_far(now: Timestamp, study_date: &str, study_time: Option<&str>) -> Option<bool> {
    let date = Date::strptime("%Y%m%d", study_date).ok()?;
    let digits = |from: usize| {
        let digits = study_time?.get(from..from + 2)?;
        digits.parse::<i8>().ok()
    };
    let time = Time::new(digits(0).unwrap_or(12), digits(2).unwrap_or(0), 0, 0).ok()?;
    let taken = date.to_datetime(time).to_zoned(TimeZone::system()).ok()?;
    Some(now.duration_since(taken.timestamp()).abs() > FAR)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    #[test]
    fn a_clock_that_must_be_wrong_is_noticed_until_it_is_right() {
        let watch = ClockWatch::default();
        watch.newest_entry("2027-01-02T10:00:00.000000+01:00");
        // The same moment, in another zone, and what the network puts back.
        assert_eq!(watch.doubts(at("2027-01-02T09:00:00Z")), []);
        assert_eq!(watch.doubts(at("2027-01-02T08:59:56Z")), []);
        let behind = at("2027-01-02T08:59:00Z");
        assert_eq!(watch.new_doubts(behind), [ClockDoubt::PutBack]);
        // It lasts, whatever is written into the log meanwhile, and is told once.
        assert_eq!(watch.doubts(behind), [ClockDoubt::PutBack]);
        assert_eq!(watch.new_doubts(behind), []);
        let both = [ClockDoubt::BeforeRelease, ClockDoubt::PutBack];
        assert_eq!(watch.doubts(at("1970-01-01T00:00:12Z")), both);
        assert_eq!(watch.new_doubts(at("2027-01-02T11:00:00Z")), []);
        // While the program runs.
        assert_eq!(
            watch.new_doubts(at("2027-01-02T10:00:00Z")),
            [ClockDoubt::PutBack]
        );
        assert_eq!(ClockWatch::default().doubts(Timestamp::now()), []);
    }

    #[test]
    fn films_of_another_day_raise_a_doubt() {
        let now = at("2027-01-02T10:00:00Z");
        let of = |date, time| {
            let watch = ClockWatch::default();
            watch.film(now, date, time);
            watch.doubts(now)
        };
        assert_eq!(of("20270102", Some("0930")), []);
        assert_eq!(of("20270101", Some("235959.123")), []);
        assert_eq!(of("20270102", None), []);
        assert_eq!(of("20261224", Some("0930")), [ClockDoubt::FarFromFilm]);
        assert_eq!(of("20270105", None), [ClockDoubt::FarFromFilm]);
        for time in ["995959", "-1", "1", "\u{e9}\u{e9}\u{e9}"] {
            assert_eq!(of("20270102", Some(time)), [], "{time}");
        }
        assert_eq!(of("no date", None), []);

        let watch = ClockWatch::default();
        watch.film(now, "20261224", None);
        // A date that cannot be read takes nothing back, one of this day does, and so does time.
        watch.film(now, "no date", None);
        assert_eq!(watch.doubts(now), [ClockDoubt::FarFromFilm]);
        assert_eq!(watch.doubts(at("2027-01-03T10:00:01Z")), []);
        watch.film(now, "20270102", None);
        assert!(!watch.doubts(now).contains(&ClockDoubt::FarFromFilm));
    }
}
