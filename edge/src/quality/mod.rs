//! The gate: whether a film should be read, before it is.
//!
//! Rules on tags, size and greys are data and a few lines each; what needs eyes is judged by a small
//! network of its own, a bundle like any other (`models/gate`). Every rule that a film breaks is
//! told, with a code, a sentence and what to do. `docs/quality.md` says how many good films are
//! refused and how many bad ones are caught.

mod finding;
mod intended_use;
mod picture;
mod tags;

use plumbline_reader::{BundleError, Gate, Judgement, Reading};
use plumbline_shared::clinical::Refusal;
use plumbline_shared::decode::Header;
use plumbline_shared::film::Film;
use plumbline_wire::decoder::RefusalCode;

use crate::models::{self, ModelsError};

pub(crate) use finding::OTHER_FAILURE;
pub use finding::{Code, DicomCode, Finding, Severity};
pub use intended_use::IntendedUse;

/// The gate of a station.
#[derive(Debug, Default)]
pub struct QualityGate {
    intended: IntendedUse,
    network: Option<Gate>,
}

impl QualityGate {
    /// The gate of the shipped network for an intended use. Where that is not installed, what films
    /// show is not looked at, and the reason comes second.
    ///
    /// # Errors
    /// If the network is there and cannot be used.
    pub fn shipped(intended: IntendedUse) -> Result<(Self, Option<ModelsError>), BundleError> {
        match models::shipped("gate") {
            Ok(folder) => Ok((Self::new(intended, Some(Gate::open(&folder)?)), None)),
            Err(error) => Ok((Self::new(intended, None), Some(error))),
        }
    }

    /// A gate of the rules for an intended use, and of `network`; without it, what a film shows is
    /// not looked at.
    pub fn new(intended: IntendedUse, network: Option<Gate>) -> Self {
        Self { intended, network }
    }

    /// Returns every rule that a film breaks, each code once. `tensor` is the film prepared, 3 x 256
    /// x 256, and `header` its tags if its file is a DICOM file.
    ///
    /// # Errors
    /// If the network cannot be run.
    pub fn check(
        &self,
        film: &Film,
        header: Option<&Header>,
        tensor: &[f32],
    ) -> Result<Vec<Finding>, BundleError> {
        let mut findings = header.map_or_else(Vec::new, |h| tags::check(h, &self.intended));
        findings.extend(picture::check(film, &self.intended));
        let too_small = findings
            .iter()
            .any(|finding| finding.code == Code::TooSmall);
        if let Some(network) = self.network.as_ref().filter(|_| !too_small) {
            let seen = seen(&network.judge(tensor)?);
            findings.extend(seen.into_iter().map(Finding::new));
        }
        let mut told = Vec::new();
        findings.retain(|finding| {
            let again = told.contains(&finding.code);
            told.push(finding.code);
            !again
        });
        Ok(findings)
    }
}

impl QualityGate {
    /// Returns the rules that a file breaks of which the decoder makes no film, with the decoder's
    /// `code` and `reason`; none if its refusal is none of the gate's rules but a damaged file or one
    /// of another kind.
    pub fn check_undecoded(
        &self,
        code: RefusalCode,
        reason: &str,
        header: Option<&Header>,
    ) -> Vec<Finding> {
        let Some(code) = Code::of_decoder(code) else {
            return Vec::new();
        };
        let mut findings = vec![Finding::because(code, reason)];
        let tags = header.map_or_else(Vec::new, |h| tags::check(h, &self.intended));
        findings.extend(tags.into_iter().filter(|finding| finding.code != code));
        findings
    }
}

/// Returns what the reading network itself says of a film that it has read.
pub fn after_reading(reading: &Reading) -> Option<Finding> {
    let beyond = reading
        .unlikeness
        .filter(|unlikeness| unlikeness.is_beyond());
    beyond.map(|_| Finding::new(Code::UnlikeTraining))
}

/// The codes that a network's judgement comes to. Of a film without a chest, or with the chest lying
/// wrongly, it is not asked what is cut off or on which side the heart is.
fn seen(judgement: &Judgement) -> Vec<Code> {
    let held = judgement.reasons();
    let nothing = held.contains(&Refusal::Blank);
    let lying = [
        Refusal::NotAChest,
        Refusal::Lateral,
        Refusal::UpsideDown,
        Refusal::TurnedLeft,
        Refusal::TurnedRight,
    ];
    let not_upright = held.iter().any(|refusal| lying.contains(refusal));
    let is_told = |refusal: &Refusal| match refusal {
        Refusal::Blank => true,
        _ if nothing => false,
        Refusal::Mirrored | Refusal::ApicesMissing | Refusal::BasesMissing => !not_upright,
        _ => true,
    };
    held.into_iter().filter(is_told).map(Code::from).collect()
}

#[cfg(test)]
mod tests {
    use plumbline_reader::Score;

    use super::*;

    fn judged(held: &[Refusal]) -> Vec<Code> {
        let score = |refusal| Score {
            refusal,
            probability: if held.contains(&refusal) { 0.9 } else { 0.1 },
            threshold: 0.9,
        };
        seen(&Judgement {
            scores: Refusal::ALL.map(score).to_vec(),
            unreadable: 0.9,
            threshold: if held.is_empty() { 1.0 } else { 0.9 },
            unlikeness: None,
        })
    }

    #[test]
    fn what_follows_from_another_fault_is_not_told() {
        assert_eq!(judged(&[]), []);
        assert_eq!(judged(&[Refusal::ApicesMissing]), [Code::ApicesMissing]);
        let turned = judged(&[Refusal::TurnedLeft, Refusal::ApicesMissing]);
        assert_eq!(turned, [Code::TurnedLeft]);
        let both = judged(&[Refusal::Inverted, Refusal::BasesMissing]);
        assert_eq!(both, [Code::Inverted, Code::BasesMissing]);
        let blank = judged(&[Refusal::Blank, Refusal::NotAChest, Refusal::UnderExposed]);
        assert_eq!(blank, [Code::Blank]);
    }

    #[test]
    fn what_gives_no_film_breaks_rules_too() {
        let gate = QualityGate::default();
        let mut header = Header::default();
        header.patient_age = Some("002Y".into());
        let blank = gate.check_undecoded(RefusalCode::Blank, "the film is blank", Some(&header));
        let codes: Vec<Code> = blank.iter().map(|finding| finding.code).collect();
        assert_eq!(codes, [Code::Blank, Code::Age]);
        assert_eq!(blank[0].sentence, "the film is blank");
        assert_eq!(
            gate.check_undecoded(RefusalCode::Damaged, "", Some(&header)),
            []
        );
    }

    #[test]
    fn each_code_is_told_once() {
        let film = Film::new(200, 400, (0..80_000).map(|i| i as u16).collect()).unwrap();
        let mut header = Header::default();
        header.body_part_examined = Some("KNEE".into());
        header.view_position = Some("LL".into());
        let gate = QualityGate::default();
        let findings = gate.check(&film, Some(&header), &[]).unwrap();
        let codes: Vec<Code> = findings.iter().map(|finding| finding.code).collect();
        assert_eq!(codes, [Code::WrongBodyPart, Code::Lateral, Code::NotAChest]);
        assert_eq!(gate.check(&film, None, &[]).unwrap().len(), 1);
    }
}
