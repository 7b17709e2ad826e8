//! What is wrong with a self-test.

use crate::store::{DeliveryState, Listed, SelfTest, State, StoredFilm};

/// The most that the logit of one film may change under one bundle: processors differ by a thousandth.
const MOST_CHANGE: f64 = 0.01;

/// From how many times the usual time on reading is too slow.
const SLOW: f64 = 3.0;

/// How many tests are needed to know the usual time.
const ENOUGH: usize = 3;

/// What is wrong with the result of a test film, which depends on `basis`, after the tests `before` it, the
/// newest first.
pub(super) fn film(film: &StoredFilm, basis: Option<&str>, before: &[SelfTest]) -> Vec<String> {
    let Some(reading) = film
        .reading
        .as_ref()
        .filter(|_| film.state != State::Refused)
    else {
        let why = film.reason.as_deref().unwrap_or("it still waits");
        return vec![format!(
            "the self-test's film was not read ({why}): look at the log, and have the station serviced"
        )];
    };
    let mut wrong = Vec::new();
    let comparable = || before.iter().filter(|test| test.basis.as_deref() == basis);
    let logit = f64::from(reading.logit);
    // The oldest is what others are compared with, so that no drift is too slow to be seen.
    if let Some(first) = comparable().filter_map(|test| test.logit).next_back()
        && (first - logit).abs() > MOST_CHANGE
    {
        wrong.push(format!(
            "the self-test's film has logit {logit:.4}, and had {first:.4} when this bundle was first \
             tested: have the station serviced, and films since the last test looked at"
        ));
    }
    let mut times: Vec<_> = comparable().filter_map(|test| test.milliseconds).collect();
    times.sort_by(f64::total_cmp);
    let now: f64 = reading.milliseconds.iter().sum();
    if let Some(usual) = times.get(times.len() / 2)
        && times.len() >= ENOUGH
        && now > SLOW * usual
    {
        wrong.push(format!(
            "the self-test's film took {now:.0} ms, and usually takes {usual:.0}: see what else the \
             computer does, and whether it is too hot"
        ));
    }
    wrong
}

/// What is wrong with the deliveries of the test before: those that should long be there.
pub(super) fn deliveries(deliveries: &[Listed]) -> Vec<String> {
    let mut late: Vec<_> = deliveries
        .iter()
        .filter(|one| matches!(one.state, DeliveryState::Waiting | DeliveryState::Refused))
        .map(|one| &*one.destination)
        .collect();
    late.sort_unstable();
    late.dedup();
    let sentence = |destination: &str| {
        format!(
            "the results of the last self-test have not come to {destination}: look at /deliveries"
        )
    };
    late.into_iter().map(sentence).collect()
}

#[cfg(test)]
mod tests {
    use plumbline_shared::decode::Header;

    use super::*;
    use crate::store::{Kind, Origin, StoredReading};

    fn read(logit: f32, milliseconds: f64) -> StoredFilm {
        let reading = StoredReading {
            model: "chexnet".into(),
            model_version: "1".into(),
            bundle: "ab".into(),
            threshold: 0.5,
            logit,
            probability: 0.9,
            positive: logit > 0.0,
            cam: Vec::new(),
            film_notes: Vec::new(),
            milliseconds: [milliseconds, 0.0, 0.0, 0.0],
        };
        StoredFilm {
            film: 9,
            hash: String::new(),
            bytes: 0,
            origin: Origin::SelfTest,
            sender: String::new(),
            received: String::new(),
            state: State::Read,
            held: None,
            read_anyway: None,
            delivered: false,
            removed: false,
            reason: None,
            findings: Vec::new(),
            reading: Some(reading),
            order: None,
            header: Header::default(),
        }
    }

    fn test(bundle: &str, logit: f64, milliseconds: f64) -> SelfTest {
        SelfTest {
            film: 1,
            day: "20261126".into(),
            wrong: Some(Vec::new()),
            basis: Some(bundle.into()),
            logit: Some(logit),
            milliseconds: Some(milliseconds),
        }
    }

    fn film_of(read: &StoredFilm, before: &[SelfTest]) -> Vec<String> {
        film(read, Some("ab"), before)
    }

    /// True if one sentence tells of each of these words.
    fn tells(wrong: &[String], words: &[&str]) -> bool {
        wrong.len() == words.len()
            && wrong
                .iter()
                .zip(words)
                .all(|(sentence, word)| sentence.contains(word))
    }

    #[test]
    fn a_test_is_compared_with_the_first_of_its_bundle() {
        let before = [
            test("ab", 2.006, 100.0),
            test("ab", 2.003, 90.0),
            test("ab", 2.0, 110.0),
            test("other", -1.0, 1.0),
        ];
        assert!(film_of(&read(2.009, 299.0), &before).is_empty());
        // Crept away, by steps that are each allowed.
        assert!(tells(
            &film_of(&read(2.012, 100.0), &before),
            &["had 2.0000"]
        ));
        assert!(tells(
            &film_of(&read(2.0, 301.0), &before),
            &["usually takes 100"]
        ));
        assert!(tells(&film_of(&read(-0.5, 1.0), &before), &["had 2.0"]));
        // Nothing to compare with yet.
        assert!(film_of(&read(7.0, 9999.0), &before[3..]).is_empty());
        assert!(film_of(&read(2.0, 9999.0), &before[1..]).is_empty());
    }

    #[test]
    fn a_film_that_is_not_read_is_told() {
        let mut refused = read(2.0, 1.0);
        refused.state = State::Refused;
        refused.reason = Some("it is blank".into());
        assert!(tells(&film_of(&refused, &[]), &["it is blank"]));
        let mut waiting = read(2.0, 1.0);
        waiting.reading = None;
        waiting.state = State::Received;
        assert!(tells(&film_of(&waiting, &[]), &["it still waits"]));
    }

    #[test]
    fn what_has_not_come_is_told_once_for_each_destination() {
        let listed = |destination: &str, state| Listed {
            delivery: 1,
            film: 1,
            result: 1,
            kind: Kind::Report,
            destination: destination.into(),
            state,
            attempts: 1,
            words: None,
            instance: None,
            kept: None,
        };
        let told = deliveries(&[
            listed("a", DeliveryState::Delivered),
            listed("b", DeliveryState::Waiting),
            listed("b", DeliveryState::Waiting),
            listed("c", DeliveryState::Refused),
            listed("d", DeliveryState::Dropped),
        ]);
        assert!(tells(&told, &["come to b", "come to c"]), "{told:?}");
    }
}
