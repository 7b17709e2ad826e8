//! What the panel shows and hears.

use plumbline_wire::panel::{
    Event as PanelEvent, EventId, FilmResult, Occurrence, Outcome as Shown, Press,
};

use super::*;
use crate::clock::Moment;

/// An event of the panel's start 9.
fn event(number: u32, what: Occurrence) -> PanelEvent {
    let id = EventId { boot: 9, number };
    PanelEvent { id, at: 0, what }
}

fn pressed(film: Option<u64>) -> Occurrence {
    Occurrence::Button {
        press: Press::Short,
        film,
    }
}

#[test]
fn the_panel_shows_the_newest_result_until_somebody_has_seen_it() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    assert_eq!(store.panel_state().unwrap(), PanelState::default());
    keep(&store, b"one", "1.2.3").unwrap();
    assert!(store.panel_state().unwrap().busy);
    read(&store, 1, 0.75);
    keep(&store, b"two", "1.2.4").unwrap();
    read(&store, 2, 0.25);
    let shown = || store.panel_state().unwrap().result;
    let result = |film, outcome| Some(FilmResult { film, outcome });
    assert_eq!(shown(), result(2, Shown::NoSign));
    assert!(!store.panel_state().unwrap().busy);

    let press = event(0, pressed(Some(2)));
    let deed = store.keep_panel_event(&press, 0).unwrap();
    assert_eq!(deed, PanelDeed::Acknowledged(2));
    assert_eq!(shown(), result(1, Shown::Refer));
    // The board tells it again, as it has not heard that it was kept.
    assert_eq!(store.keep_panel_event(&press, 0).unwrap(), PanelDeed::Known);
    // A press for a result that somebody else has acknowledged meanwhile does nothing.
    let late = event(1, pressed(Some(2)));
    assert_eq!(store.keep_panel_event(&late, 0).unwrap(), PanelDeed::Noted);
    assert_eq!(shown(), result(1, Shown::Refer));
    let who: String = (store.lock())
        .query_row(
            "SELECT who FROM audit WHERE detail = 'acknowledged'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(who, "panel button");

    keep(&store, b"three", "1.2.5").unwrap();
    let job = store.take().unwrap().unwrap();
    let refused = Answer::Refused {
        findings: Vec::new(),
    };
    store.answer(&job, &refused).unwrap();
    assert_eq!(shown(), result(3, Shown::TakeAgain));
    // Of a day ago, by a log that was written then.
    let old = "DROP TRIGGER audit_is_not_changed; UPDATE audit SET wall = '2026-01-01T10:00:00Z'";
    store.lock().execute_batch(old).unwrap();
    assert_eq!(shown(), None);
}

#[test]
fn a_film_belongs_to_its_exposure_or_is_missing_until_somebody_has_seen_that() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let second = 1_000_000_000;
    let started = Moment::now().since_boot;
    let number = std::cell::Cell::new(0);
    let expose = |seconds_ago: i64| {
        number.set(number.get() + 1);
        let exposure = event(number.get(), Occurrence::Exposure);
        let at = Moment::now().since_boot - seconds_ago * second;
        assert_eq!(
            store.keep_panel_event(&exposure, at).unwrap(),
            PanelDeed::Exposed
        );
    };
    let miss = || store.miss_films(60 * second, started).unwrap();
    let missing = || store.panel_state().unwrap().film_missing;
    // Its film comes in time.
    expose(30);
    keep(&store, b"one", "1.2.3").unwrap();
    assert_eq!((miss(), missing()), (0, false));
    // One that came before the exposure is not its film.
    expose(0);
    expose(61);
    assert_eq!((miss(), missing()), (1, true));
    assert_eq!(miss(), 0);
    // The film of the exposure that waits comes first, then that of the one that was missing.
    keep(&store, b"two", "1.2.4").unwrap();
    assert!(missing());
    keep(&store, b"three", "1.2.5").unwrap();
    assert!(!missing());
    // Somebody has seen that one is missing; sent again, a film that is known is nobody's.
    expose(61);
    assert_eq!(keep(&store, b"two", "1.2.4").unwrap(), Kept::Known(2));
    assert_eq!((miss(), missing()), (1, true));
    let deed = store.keep_panel_event(&event(0, pressed(None)), 0).unwrap();
    assert_eq!((deed, missing()), (PanelDeed::Seen, false));
    // An exposure before a restart of the system is waited for from the program's start on.
    expose(0);
    let other = "UPDATE exposures SET boot = 'another' WHERE id = 5";
    store.lock().execute_batch(other).unwrap();
    assert_eq!(miss(), 0);
    let long_ago = started - 61 * second;
    assert_eq!(store.miss_films(60 * second, long_ago).unwrap(), 1);
    let alerts: i64 = (store.lock())
        .query_row(
            "SELECT count(*) FROM audit WHERE object = 'X-ray unit'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(alerts, 3);
}
