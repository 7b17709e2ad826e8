//! The time on the station. It has no network most of the day and perhaps no battery behind its
//! clock, so nothing is ordered by wall-clock time, and a clock that must be wrong is told.

use std::fmt;
use std::fs;
use std::time::Duration;

use jiff::civil::{Date, Time};
use jiff::{Timestamp, Zoned};
use rustix::time::{ClockId, clock_gettime};

/// The day this version was released. A clock that shows an earlier one is wrong.
const RELEASED: Date = jiff::civil::date(2026, 11, 1);

/// The difference from a film's own date from which on one of the two is wrong.
const FAR: Duration = Duration::from_secs(24 * 60 * 60);

/// The number of the running system's start, by which monotonic times of two starts are told apart.
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
        let now = Zoned::now();
        let boot = fs::read_to_string(BOOT_ID).unwrap_or_default();
        let since = clock_gettime(ClockId::Boottime);
        Self {
            wall: now.strftime("%Y-%m-%dT%H:%M:%S%.6f%:z").to_string(),
            since_boot: since.tv_sec * 1_000_000_000 + since.tv_nsec,
            boot: boot.trim().to_owned(),
        }
    }
}

/// A reason to think that the station's clock is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClockDoubt {
    /// It shows a day before the program was released.
    BeforeRelease,
    /// It shows an earlier time than the newest entry of the audit log.
    BehindAudit,
    /// A film's examination is more than a day away.
    FarFromFilm,
}

impl fmt::Display for ClockDoubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BeforeRelease => {
                "the station's clock shows a day before this program was released: set it"
            }
            Self::BehindAudit => {
                "the station's clock shows a time before the newest entry of the audit log: set it"
            }
            Self::FarFromFilm => {
                "the station's clock and the date of a film that has just arrived are more than a \
                 day apart: set the clock of the station or of the X-ray unit"
            }
        })
    }
}

/// Returns what is wrong with a clock that shows `now`; `newest` is the time of the newest entry of
/// the audit log.
pub fn doubt(now: &str, newest: Option<&str>) -> Option<ClockDoubt> {
    let now: Timestamp = now.parse().ok()?;
    if now < RELEASED.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp() {
        return Some(ClockDoubt::BeforeRelease);
    }
    // A second or so is put back whenever the clock is set by the network.
    let newest: Timestamp = newest?.parse().ok()?;
    let behind = newest.duration_since(now) > jiff::SignedDuration::from_secs(5);
    behind.then_some(ClockDoubt::BehindAudit)
}

/// Returns a doubt if a film that arrives `now` was taken more than a day before or after: its
/// Study Date (0008,0020), and Study Time (0008,0030) in the same zone.
pub fn doubt_by_film(now: &str, study_date: &str, study_time: Option<&str>) -> Option<ClockDoubt> {
    let now: Timestamp = now.parse().ok()?;
    let date = Date::strptime("%Y%m%d", study_date).ok()?;
    let digits = |from: usize| {
        let digits = study_time?.get(from..from + 2)?;
        digits.parse::<i8>().ok()
    };
    // A time that cannot be says nothing.
    let time = Time::new(digits(0).unwrap_or(12), digits(2).unwrap_or(0), 0, 0).ok()?;
    let time = date.to_datetime(time);
    let taken = time
        .to_zoned(jiff::tz::TimeZone::system())
        .ok()?
        .timestamp();
    let apart = now.duration_since(taken).unsigned_abs();
    (apart > FAR).then_some(ClockDoubt::FarFromFilm)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_must_be_wrong_is_noticed() {
        let newest = Some("2027-01-02T10:00:00.000000+01:00");
        assert_eq!(
            doubt("1970-01-01T00:00:12+00:00", newest),
            Some(ClockDoubt::BeforeRelease)
        );
        let behind = "2027-01-02T09:59:00+01:00";
        assert_eq!(doubt(behind, newest), Some(ClockDoubt::BehindAudit));
        // The same moment, in another zone.
        assert_eq!(doubt("2027-01-02T09:00:00+00:00", newest), None);
        assert_eq!(doubt(behind, None), None);
        let now = Moment::now();
        assert_eq!(doubt(&now.wall, Some(&now.wall)), None);
    }

    #[test]
    fn films_of_another_day_raise_a_doubt() {
        let now = "2027-01-02T10:00:00Z";
        let of = |date, time| doubt_by_film(now, date, time);
        assert_eq!(of("20270102", Some("0930")), None);
        assert_eq!(of("20270101", Some("235959.123")), None);
        assert_eq!(of("20270102", None), None);
        assert_eq!(of("20261224", Some("0930")), Some(ClockDoubt::FarFromFilm));
        assert_eq!(of("20270105", None), Some(ClockDoubt::FarFromFilm));
        for time in ["995959", "-1", "1", "\u{e9}\u{e9}\u{e9}"] {
            assert!(of("20270102", Some(time)).is_none(), "{time}");
        }
        assert_eq!(of("no date", None), None);
    }
}
