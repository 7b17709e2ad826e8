//! The answer to a request for an association (PS3.8, 7.1 and 9.3): which services the caller gets,
//! or why it gets none.

use std::fmt;

use dicom_ul::pdu::{
    AssociationAC, AssociationRQ, Pdu, PresentationContextProposed, PresentationContextResult,
    PresentationContextResultReason, UserVariableItem, read_pdu,
};

use super::commitment::COMMITMENT;
use super::service::{
    EXPLICIT, IMPLEMENTATION_UID, IMPLEMENTATION_VERSION, IMPLICIT, LEAST_PDU, MOST_PDU, STORAGE,
    TRANSFER_SYNTAXES, VERIFICATION,
};

/// DICOM's application context (PS3.7, A.2.1).
const APPLICATION_CONTEXT: &str = "1.2.840.10008.3.1.1.1";

/// The version of the protocol is a bit of a field; receivers test that bit alone (PS3.8, 9.3.2).
const PROTOCOL_VERSION: u16 = 1;

/// Whom the station answers, and what it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The station's AE title.
    pub ae_title: String,
    /// The AE titles that may call; any if there are none.
    pub callers: Vec<String>,
    /// The AE titles that may store; all callers if there are none.
    pub senders: Vec<String>,
    /// True if films that are not processed for display are taken: they are kept and refused by
    /// the reader, so that a person sees what the X-ray unit sends.
    pub for_processing: bool,
}

/// A presentation context that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Context {
    pub id: u8,
    pub sop_class: String,
    pub transfer_syntax: String,
}

/// What was agreed upon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Agreement {
    pub contexts: Vec<Context>,
    /// The most bytes of a PDU to the peer.
    pub most_pdu: u32,
    /// The caller's AE title.
    pub caller: String,
}

/// Why there is no association.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// The caller speaks another protocol.
    Protocol,
    /// The caller asked for another application context.
    ApplicationContext,
    /// The caller is not on the list.
    Caller(String),
    /// The station has another name.
    Called {
        /// The name that the caller used.
        called: String,
        /// The station's name.
        name: String,
    },
    /// The caller takes PDUs that are too short for a response.
    ShortPdu(u32),
    /// As many associations as there may be are open.
    Busy,
}

impl Rejection {
    /// One of each kind, and when it is given, for the conformance statement.
    pub fn kinds() -> [(Self, &'static str); 6] {
        let name = String::new;
        let (called, caller) = (name(), name());
        let name = name();
        [
            (
                Self::Protocol,
                "the caller speaks another version of the protocol",
            ),
            (
                Self::ApplicationContext,
                "the application context is not DICOM's",
            ),
            (
                Self::Caller(caller),
                "`callers` does not have the calling AE title",
            ),
            (
                Self::Called { called, name },
                "the called AE title is not the station's, letter by letter",
            ),
            (
                Self::ShortPdu(0),
                "the caller's greatest PDU is too short for a response",
            ),
            (
                Self::Busy,
                "as many associations as there may be are open: come again",
            ),
        ]
    }

    /// Result, source and reason (PS3.8, table 9-21).
    pub const fn codes(&self) -> (u8, u8, u8) {
        match self {
            Self::Protocol => (1, 2, 2),
            Self::ApplicationContext => (1, 1, 2),
            Self::Caller(_) => (1, 1, 3),
            Self::Called { .. } => (1, 1, 7),
            Self::ShortPdu(_) => (1, 1, 1),
            Self::Busy => (2, 3, 2),
        }
    }

    /// The PDU that says so.
    pub(super) fn pdu(&self) -> Pdu {
        let (result, source, reason) = self.codes();
        let bytes = [3, 0, 0, 0, 0, 4, 0, result, source, reason];
        match read_pdu(&bytes[..], MOST_PDU, true) {
            Ok(Some(pdu)) => pdu,
            _ => unreachable!("every kind is one of the standard's"),
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol => f.write_str("it speaks another version of the protocol"),
            Self::ApplicationContext => f.write_str("it asked for another application than DICOM"),
            Self::Caller(caller) => write!(
                f,
                "{caller:?} is not among the callers of the station's configuration"
            ),
            Self::Called { called, name } => {
                write!(
                    f,
                    "it called {called:?}, and this station's name is {name:?}"
                )
            }
            Self::ShortPdu(most) => write!(f, "it takes at most {most} bytes at a time"),
            Self::Busy => f.write_str("as many associations as there may be are open"),
        }
    }
}

impl Rules {
    /// Answers a request.
    pub(super) fn negotiate(
        &self,
        request: &AssociationRQ,
    ) -> Result<(AssociationAC, Agreement), Rejection> {
        if request.protocol_version & PROTOCOL_VERSION == 0 {
            return Err(Rejection::Protocol);
        }
        if request.application_context_name != APPLICATION_CONTEXT {
            return Err(Rejection::ApplicationContext);
        }
        if request.called_ae_title != self.ae_title {
            return Err(Rejection::Called {
                called: request.called_ae_title.clone(),
                name: self.ae_title.clone(),
            });
        }
        let caller = &request.calling_ae_title;
        if !self.callers.is_empty() && !self.callers.contains(caller) {
            return Err(Rejection::Caller(caller.clone()));
        }
        let most_pdu = request.user_variables.iter().find_map(|item| match item {
            UserVariableItem::MaxLength(most) => Some(*most),
            _ => None,
        });
        let most_pdu = match most_pdu {
            None | Some(0) => MOST_PDU,
            Some(most) if most < LEAST_PDU => return Err(Rejection::ShortPdu(most)),
            Some(most) => most.min(MOST_PDU),
        };
        let mut contexts = Vec::new();
        let mut results = Vec::new();
        for proposed in &request.presentation_contexts {
            let (reason, syntax) = self.context(proposed);
            if reason == PresentationContextResultReason::Acceptance {
                contexts.push(Context {
                    id: proposed.id,
                    sop_class: uid(&proposed.abstract_syntax).to_owned(),
                    transfer_syntax: syntax.to_owned(),
                });
            }
            results.push(PresentationContextResult {
                id: proposed.id,
                reason,
                transfer_syntax: syntax.to_owned(),
            });
        }
        // An archive that reports on commitment is that service's provider, though it calls.
        let roles = request.user_variables.iter().filter(|item| {
            matches!(item, UserVariableItem::ScuScpRoleSelectionSubItem(class, _)
                if uid(class) == COMMITMENT)
        });
        let accepted = AssociationAC {
            protocol_version: PROTOCOL_VERSION,
            calling_ae_title: caller.clone(),
            called_ae_title: request.called_ae_title.clone(),
            application_context_name: APPLICATION_CONTEXT.to_owned(),
            presentation_contexts: results,
            user_variables: vec![
                UserVariableItem::MaxLength(MOST_PDU),
                UserVariableItem::ImplementationClassUID(IMPLEMENTATION_UID.to_owned()),
                UserVariableItem::ImplementationVersionName(IMPLEMENTATION_VERSION.to_owned()),
            ]
            .into_iter()
            .chain(roles.cloned())
            .collect(),
        };
        let agreement = Agreement {
            contexts,
            most_pdu,
            caller: caller.clone(),
        };
        Ok((accepted, agreement))
    }

    /// Decides on one context: the first transfer syntax of the caller's that the station reads.
    fn context(
        &self,
        proposed: &PresentationContextProposed,
    ) -> (PresentationContextResultReason, &'static str) {
        let class = uid(&proposed.abstract_syntax);
        let known = |name: &&String| match class {
            // Answers about commitment are read in these alone.
            COMMITMENT => [IMPLICIT, EXPLICIT]
                .into_iter()
                .find(|syntax| *syntax == uid(name)),
            // Nothing is ever encoded for Verification.
            _ => {
                let mut syntaxes = TRANSFER_SYNTAXES.iter().map(|syntax| syntax.uid);
                syntaxes.find(|syntax| *syntax == uid(name))
            }
        };
        let stored = STORAGE.iter().find(|storage| storage.uid == class);
        let taken = stored.is_some_and(|storage| self.for_processing || !storage.on_request);
        if !taken && class != VERIFICATION && class != COMMITMENT {
            let reason = PresentationContextResultReason::AbstractSyntaxNotSupported;
            return (reason, IMPLICIT);
        }
        match proposed
            .transfer_syntaxes
            .iter()
            .find_map(|name| known(&name))
        {
            Some(syntax) => (PresentationContextResultReason::Acceptance, syntax),
            None => (
                PresentationContextResultReason::TransferSyntaxesNotSupported,
                IMPLICIT,
            ),
        }
    }
}

/// A UID without the padding that some callers send.
fn uid(text: &str) -> &str {
    text.trim_matches(['\0', ' '])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        Rules {
            ae_title: "PLUMBLINE".into(),
            callers: Vec::new(),
            senders: Vec::new(),
            for_processing: false,
        }
    }

    fn request() -> AssociationRQ {
        let context = |id, class: &str, syntaxes: &[&str]| PresentationContextProposed {
            id,
            abstract_syntax: class.into(),
            transfer_syntaxes: syntaxes.iter().map(|uid| uid.to_string()).collect(),
        };
        AssociationRQ {
            protocol_version: 1,
            calling_ae_title: "UNIT".into(),
            called_ae_title: "PLUMBLINE".into(),
            application_context_name: APPLICATION_CONTEXT.into(),
            presentation_contexts: vec![
                context(1, VERIFICATION, &[IMPLICIT]),
                // MPEG-4 first, then JPEG 2000.
                context(
                    3,
                    STORAGE[1].uid,
                    &["1.2.840.10008.1.2.4.102", "1.2.840.10008.1.2.4.90\0"],
                ),
                context(5, STORAGE[2].uid, &[IMPLICIT]),
                context(7, "1.2.840.10008.5.1.4.1.1.2", &[IMPLICIT]),
                context(9, STORAGE[0].uid, &["1.2.840.10008.1.2.4.201"]),
            ],
            user_variables: vec![UserVariableItem::MaxLength(16_384)],
        }
    }

    #[test]
    fn services_are_given_that_the_station_has() {
        let (accepted, agreement) = rules().negotiate(&request()).unwrap();
        use PresentationContextResultReason::{
            AbstractSyntaxNotSupported, Acceptance, TransferSyntaxesNotSupported,
        };
        let reasons: Vec<_> = accepted
            .presentation_contexts
            .iter()
            .map(|context| context.reason.clone())
            .collect();
        let expected = [
            Acceptance,
            Acceptance,
            AbstractSyntaxNotSupported,
            AbstractSyntaxNotSupported,
            TransferSyntaxesNotSupported,
        ];
        assert_eq!(reasons, expected);
        assert_eq!(
            agreement.contexts[1].transfer_syntax,
            "1.2.840.10008.1.2.4.90"
        );
        assert_eq!((agreement.most_pdu, &*agreement.caller), (16_384, "UNIT"));
        let told = UserVariableItem::ImplementationClassUID(IMPLEMENTATION_UID.to_owned());
        assert!(accepted.user_variables.contains(&told));
        let rules = Rules {
            for_processing: true,
            ..rules()
        };
        assert_eq!(rules.negotiate(&request()).unwrap().1.contexts.len(), 3);
    }

    #[test]
    fn hostile_sizes_are_bounded() {
        let of = |most| {
            let request = AssociationRQ {
                user_variables: vec![UserVariableItem::MaxLength(most)],
                ..request()
            };
            rules()
                .negotiate(&request)
                .map(|(_, agreement)| agreement.most_pdu)
        };
        assert_eq!(of(0), Ok(MOST_PDU));
        assert_eq!(of(u32::MAX), Ok(MOST_PDU));
        assert_eq!(of(1_018), Ok(1_018));
        for most in [1, 5, 6, 7, 1_017] {
            assert_eq!(of(most), Err(Rejection::ShortPdu(most)));
        }
    }

    #[test]
    fn a_rejection_says_why() {
        let reject = |change: fn(&mut AssociationRQ)| {
            let mut request = request();
            change(&mut request);
            let rules = Rules {
                callers: vec!["UNIT".into()],
                ..rules()
            };
            rules.negotiate(&request).unwrap_err()
        };
        assert_eq!(
            reject(|request| request.protocol_version = 2),
            Rejection::Protocol
        );
        let other = reject(|request| request.application_context_name.push('2'));
        assert_eq!(other, Rejection::ApplicationContext);
        let caller = reject(|request| request.calling_ae_title = "OTHER".into());
        assert_eq!(caller, Rejection::Caller("OTHER".into()));
        let called = reject(|request| request.called_ae_title = "Plumbline".into());
        assert_eq!(
            called.to_string(),
            "it called \"Plumbline\", and this station's name is \"PLUMBLINE\""
        );
        for (rejection, _) in Rejection::kinds() {
            let mut bytes = Vec::new();
            dicom_ul::pdu::write_pdu(&mut bytes, &rejection.pdu()).unwrap();
            let (result, source, reason) = rejection.codes();
            assert_eq!(bytes, [3, 0, 0, 0, 0, 4, 0, result, source, reason]);
        }
    }
}
