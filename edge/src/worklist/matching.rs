//! Which planned examination a film is of.

use jiff::civil::Date;
use plumbline_dimse::Planned;
use plumbline_shared::decode::Header;
use serde::Serialize;
use strsim::osa_distance;

/// How many days after or before its plan an examination may be made.
const MOST_DAYS: i32 = 2;

/// By what a film and a planned examination were found to belong together, the surest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The accession number.
    AccessionNumber,
    /// The Study Instance UID.
    StudyInstanceUid,
    /// The Patient ID and the day.
    PatientAndDay,
    /// A Patient ID or a name that is alike, and the day.
    Likeness,
}

impl By {
    /// In words, for the audit log.
    pub const fn words(self) -> &'static str {
        match self {
            Self::AccessionNumber => "accession number",
            Self::StudyInstanceUid => "Study Instance UID",
            Self::PatientAndDay => "Patient ID and day",
            Self::Likeness => "likeness",
        }
    }
}

/// A planned examination that a film may be of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// Its place among those that were given.
    pub index: usize,
    /// By what it was found.
    pub by: By,
    /// What film and examination say differently of the patient, as names of elements in lower case.
    pub differs: Vec<&'static str>,
    /// True if it is the one, without doubt. At most the first is.
    pub certain: bool,
}

/// Returns the examinations of `planned` that the film with this header may be of, the likeliest first.
/// `today`, `YYYYMMDD`, is its day if it tells none.
///
/// Without doubt it is of the only examination with its accession number, else with its Study Instance UID,
/// else with its Patient ID and day, if something that both say of the patient is the same, nothing differs,
/// and no other has its Study Instance UID. A wrong choice would put a result into another patient's folder,
/// so all else is for people to decide.
pub fn matches(header: &Header, today: &str, planned: &[&Planned]) -> Vec<Match> {
    let day = header.study_date.as_deref().unwrap_or(today);
    let mut found: Vec<_> = planned
        .iter()
        .enumerate()
        .filter_map(|(index, planned)| {
            Some(Match {
                index,
                by: by(header, day, planned)?,
                differs: differences(header, day, planned),
                certain: false,
            })
        })
        .collect();
    found.sort_by_key(|one| (one.by, one.differs.len(), one.index));
    if let [best, others @ ..] = &mut *found {
        let another = |other: &Match| {
            (other.by == best.by || other.by == By::StudyInstanceUid)
                && procedure(planned[other.index]) != procedure(planned[best.index])
        };
        best.certain = best.by != By::Likeness
            && best.differs.is_empty()
            && same_patient(header, planned[best.index])
            && !others.iter().any(another);
    }
    found
}

/// What the steps of one requested procedure have in common.
fn procedure(planned: &Planned) -> [&Option<String>; 4] {
    [
        &planned.accession_number,
        &planned.study_instance_uid,
        &planned.requested_procedure_id,
        &planned.patient_id,
    ]
}

fn by(header: &Header, day: &str, planned: &Planned) -> Option<By> {
    let same = |one: &Option<String>, other: &Option<String>| one.is_some() && one == other;
    if same(&header.accession_number, &planned.accession_number) {
        return Some(By::AccessionNumber);
    }
    if same(&header.study_instance_uid, &planned.study_instance_uid) {
        return Some(By::StudyInstanceUid);
    }
    if planned.start_date.as_deref() != Some(day) {
        return None;
    }
    if same(&header.patient_id, &planned.patient_id) {
        return Some(By::PatientAndDay);
    }
    let ids = header
        .patient_id
        .as_deref()
        .zip(planned.patient_id.as_deref());
    let names = header
        .patient_name
        .as_deref()
        .zip(planned.patient_name.as_deref());
    let alike = ids.is_some_and(|(one, other)| alike(one, other))
        || names.is_some_and(|(one, other)| same_name(one, other));
    alike.then_some(By::Likeness)
}

/// True if film and examination say the same of their patient in one point at least.
fn same_patient(header: &Header, planned: &Planned) -> bool {
    let same = |one: &Option<String>, other: &Option<String>| one.is_some() && one == other;
    let names = header
        .patient_name
        .as_deref()
        .zip(planned.patient_name.as_deref());
    same(&header.patient_id, &planned.patient_id)
        || same(&header.patient_birth_date, &planned.patient_birth_date)
        || names.is_some_and(|(one, other)| same_name(one, other))
}

/// True if two days, `YYYYMMDD`, are so near that an examination of the one may be made on the other.
fn near(one: &str, other: &str) -> bool {
    let day = |text: &str| Date::strptime("%Y%m%d", text).ok();
    let apart = day(one)
        .zip(day(other))
        .and_then(|(one, other)| one.since(other).ok());
    apart.is_some_and(|apart| apart.get_days().abs() <= MOST_DAYS)
}

fn differences(header: &Header, day: &str, planned: &Planned) -> Vec<&'static str> {
    type Same = fn(&str, &str) -> bool;
    let exact: Same = |one, other| one == other;
    let compared: [(&str, &Option<String>, &Option<String>, Same); 5] = [
        ("patient_id", &header.patient_id, &planned.patient_id, exact),
        (
            "patient_name",
            &header.patient_name,
            &planned.patient_name,
            same_name,
        ),
        (
            "patient_birth_date",
            &header.patient_birth_date,
            &planned.patient_birth_date,
            exact,
        ),
        (
            "patient_sex",
            &header.patient_sex,
            &planned.patient_sex,
            |one, other| one.eq_ignore_ascii_case(other),
        ),
        (
            "accession_number",
            &header.accession_number,
            &planned.accession_number,
            exact,
        ),
    ];
    let differs = compared.into_iter().filter(|(_, film, planned, same)| {
        let both = film.as_deref().zip(planned.as_deref());
        both.is_some_and(|(film, planned)| !same(film, planned))
    });
    let mut differs: Vec<_> = differs.map(|(name, ..)| name).collect();
    // Numbers are used again.
    if planned
        .start_date
        .as_deref()
        .is_some_and(|start| !near(start, day))
    {
        differs.push("study_date");
    }
    differs
}

/// True if two Patient IDs are the same but for a slip of the hand or leading zeros.
fn alike(one: &str, other: &str) -> bool {
    let bare = |id: &str| {
        let letters = id.chars().filter(|c| c.is_alphanumeric());
        let letters: String = letters.flat_map(char::to_lowercase).collect();
        letters.trim_start_matches('0').to_owned()
    };
    let (one, other) = (bare(one), bare(other));
    let short = one.chars().count().min(other.chars().count()) < 4;
    one == other || (!short && osa_distance(&one, &other) <= 1)
}

/// True if two names (PS3.5, 6.2, PN) are the same in one of their scripts, whatever the order, the case and
/// the separators of their parts are.
fn same_name(one: &str, other: &str) -> bool {
    let parts = |group: &str| {
        let parts = group.split(|c: char| !c.is_alphanumeric());
        let parts = parts.filter(|part| !part.is_empty());
        let mut parts: Vec<_> = parts.map(str::to_lowercase).collect();
        parts.sort_unstable();
        parts
    };
    let groups = |name: &str| -> Vec<_> { name.split('=').map(parts).collect() };
    let other = groups(other);
    let known = |group: &Vec<String>| !group.is_empty() && other.contains(group);
    groups(one).iter().any(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(text: &str) -> Option<String> {
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// A film of 27 November by accession number, Study Instance UID, Patient ID and name.
    fn film(accession: &str, study: &str, id: &str, name: &str) -> Header {
        let mut header = Header::default();
        header.accession_number = some(accession);
        header.study_instance_uid = some(study);
        header.patient_id = some(id);
        header.patient_name = some(name);
        header.study_date = some("20261127");
        header.patient_birth_date = some("20110203");
        header
    }

    fn examination(accession: &str, study: &str, id: &str, name: &str) -> Planned {
        Planned {
            accession_number: some(accession),
            study_instance_uid: some(study),
            patient_id: some(id),
            patient_name: some(name),
            start_date: some("20261127"),
            patient_birth_date: some("20110203"),
            ..Planned::default()
        }
    }

    /// What the film is matched with, and whether that is certain.
    fn found(film: &Header, planned: &[Planned]) -> Vec<(usize, By, bool)> {
        let planned: Vec<_> = planned.iter().collect();
        let matches = matches(film, "20261127", &planned);
        matches
            .into_iter()
            .map(|one| (one.index, one.by, one.certain))
            .collect()
    }

    #[test]
    fn the_surest_mark_decides() {
        let planned = [
            examination("A1", "1.1", "17", "Doe^Jane"),
            examination("A2", "1.2", "17", "Doe^Jane"),
            examination("A3", "1.3", "18", "Roe^Ann"),
        ];
        let film_of = |accession, study| film(accession, study, "17", "DOE^JANE");
        assert_eq!(
            found(&film_of("A2", "9.9"), &planned)[0],
            (1, By::AccessionNumber, true)
        );
        // It names the study of another examination.
        assert_eq!(
            found(&film_of("A2", "1.1"), &planned)[0],
            (1, By::AccessionNumber, false)
        );
        assert_eq!(
            found(&film_of("", "1.1"), &planned)[0],
            (0, By::StudyInstanceUid, true)
        );
        // Two examinations of the patient on that day: which is it?
        assert_eq!(
            found(&film_of("", "9.9"), &planned),
            [(0, By::PatientAndDay, false), (1, By::PatientAndDay, false)]
        );
        assert_eq!(
            found(&film("", "9.9", "18", "Ann Roe"), &planned),
            [(2, By::PatientAndDay, true)]
        );
        assert_eq!(found(&film("", "9.9", "44", "Poe^Eve"), &planned), []);
    }

    #[test]
    fn steps_of_one_procedure_are_one_examination() {
        let steps = ["S1", "S2"].map(|step| Planned {
            step_id: some(step),
            ..examination("A1", "1.1", "17", "Doe^Jane")
        });
        assert!(found(&film("A1", "", "17", "Doe^Jane"), &steps)[0].2);
    }

    #[test]
    fn a_patient_who_differs_is_a_doubt() {
        let planned = [examination("A1", "1.1", "17", "Doe^Jane")];
        let differs = |film: &Header| {
            let found = matches(film, "20261127", &[&planned[0]]).remove(0);
            assert!(!found.certain);
            found.differs
        };
        let with = |change: fn(&mut Header)| {
            let mut film = film("A1", "1.1", "17", "Doe^Jane");
            change(&mut film);
            film
        };
        let other_id = with(|film| film.patient_id = some("71"));
        assert_eq!(differs(&other_id), ["patient_id"]);
        let other_name = with(|film| film.patient_name = some("Roe^Jane"));
        assert_eq!(differs(&other_name), ["patient_name"]);
        let older = with(|film| film.patient_birth_date = some("19510203"));
        assert_eq!(differs(&older), ["patient_birth_date"]);
        let other_study = with(|film| film.accession_number = some("A9"));
        assert_eq!(differs(&other_study), ["accession_number"]);
        let months_ago = with(|film| film.study_date = some("20260827"));
        assert_eq!(differs(&months_ago), ["study_date"]);
        let late = with(|film| film.study_date = some("20261128"));
        assert!(found(&late, &planned)[0].2);
        // Nothing says whose film it is.
        let nobody = with(|film| {
            film.patient_id = None;
            film.patient_name = None;
            film.patient_birth_date = None;
        });
        assert!(!found(&nobody, &planned)[0].2);
        // What one of them does not say is no difference.
        let silent = with(|film| {
            film.patient_name = None;
            film.patient_birth_date = None;
        });
        assert!(found(&silent, &planned)[0].2);
    }

    #[test]
    fn likeness_is_only_offered() {
        let planned = [examination("A1", "1.1", "0012345", "Doe^Jane")];
        for (id, name) in [
            ("12345", "X^Y"),
            ("0012354", "X^Y"),
            ("00123-45", "X^Y"),
            ("0012346", "X^Y"),
            ("", "JANE DOE"),
            ("999", "doe^jane^^"),
        ] {
            let found = found(&film("", "9.9", id, name), &planned);
            assert_eq!(found, [(0, By::Likeness, false)], "{id} {name}");
        }
        let another_day = Planned {
            start_date: some("20261128"),
            ..planned[0].clone()
        };
        assert_eq!(
            found(&film("", "9.9", "12345", "Doe^Jane"), &[another_day]),
            []
        );
    }

    #[test]
    fn names_are_compared_script_by_script() {
        let latin_and_kanji = "Yamada^Tarou=\u{5c71}\u{7530}^\u{592a}\u{90ce}";
        assert!(same_name("YAMADA^TAROU", latin_and_kanji));
        assert!(same_name(
            "=\u{5c71}\u{7530}^\u{592a}\u{90ce}",
            latin_and_kanji
        ));
        assert!(!same_name("Yamada^Jirou", latin_and_kanji));
        assert!(!same_name("", ""));
    }
}
