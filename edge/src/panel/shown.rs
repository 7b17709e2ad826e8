//! What the panel shows.

use plumbline_wire::panel::{Activity, Buzzer, Show};

use crate::store::PanelState;

/// What the panel shows when the store says `state`; `fault` if the station cannot read films.
pub(super) fn shown(state: PanelState, fault: bool) -> Show {
    let activity = match (fault, state.busy) {
        (true, _) => Activity::Fault,
        (false, true) => Activity::Busy,
        (false, false) => Activity::Ready,
    };
    // The patient may be about to leave.
    let buzzer = match state.film_missing {
        true => Buzzer::Alarm,
        false => Buzzer::Notice,
    };
    Show {
        activity,
        result: state.result,
        film_missing: state.film_missing,
        buzzer,
    }
}

#[cfg(test)]
mod tests {
    use plumbline_wire::panel::{FilmResult, Outcome};

    use super::*;

    #[test]
    fn a_fault_wins_and_a_missing_film_sounds_until_it_is_seen() {
        let result = Some(FilmResult {
            film: 7,
            outcome: Outcome::Refer,
        });
        let state = PanelState {
            result,
            busy: true,
            film_missing: false,
        };
        let show = shown(state, false);
        let expected = (Activity::Busy, result, Buzzer::Notice);
        assert_eq!((show.activity, show.result, show.buzzer), expected);
        let state = PanelState {
            film_missing: true,
            ..state
        };
        let show = shown(state, true);
        let expected = (Activity::Fault, true, Buzzer::Alarm);
        assert_eq!((show.activity, show.film_missing, show.buzzer), expected);
        let show = shown(PanelState::default(), false);
        assert_eq!((show.activity, show.result), (Activity::Ready, None));
    }
}
