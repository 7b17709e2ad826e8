//! Statuses of DIMSE responses, as far as the station gives them (PS3.7 annex C, PS3.4 B.2.3).

/// A status of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Status {
    /// The service was done. A film and its row survive a power cut.
    Success = 0x0000,
    /// The SOP Class is not one that the station takes.
    ClassNotSupported = 0x0122,
    /// The calling application may not store.
    NotAuthorised = 0x0124,
    /// There is no such operation here.
    UnrecognisedOperation = 0x0211,
    /// The command lacks an attribute or has one that cannot be.
    InvalidArgument = 0x0115,
    /// There is no space, or the database cannot be written.
    OutOfResources = 0xA700,
    /// UIDs or class of the data set are not those of the command.
    DoesNotMatchClass = 0xA900,
    /// The bytes are no data set, are cut off, or are too many.
    CannotUnderstand = 0xC000,
}

impl Status {
    /// All statuses, for the conformance statement.
    pub const ALL: [Self; 8] = [
        Self::Success,
        Self::InvalidArgument,
        Self::ClassNotSupported,
        Self::NotAuthorised,
        Self::UnrecognisedOperation,
        Self::OutOfResources,
        Self::DoesNotMatchClass,
        Self::CannotUnderstand,
    ];

    /// The status' number.
    pub const fn code(self) -> u16 {
        self as u16
    }

    /// When the station gives it, and what the sender should do.
    pub const fn meaning(self) -> (&'static str, &'static str) {
        match self {
            Self::Success => (
                "file, row and folder are on the medium, or the very same bytes were there before",
                "forget the film",
            ),
            Self::InvalidArgument => (
                "the command lacks a UID or has one that is none, or an answer about commitment is damaged",
                "correct the sender",
            ),
            Self::ClassNotSupported => (
                "the SOP Class is not one of those below",
                "do not send it again",
            ),
            Self::NotAuthorised => (
                "the calling AE title may not store",
                "allow it in the station's configuration",
            ),
            Self::UnrecognisedOperation => {
                ("the operation is none of its SOP Class here", "do not ask")
            }
            Self::OutOfResources => (
                "free space is below the reserve, or the disk or the database cannot be written",
                "send it again later",
            ),
            Self::DoesNotMatchClass => (
                "SOP Class or SOP Instance UID in the data set are not those of the command",
                "do not send it again",
            ),
            Self::CannotUnderstand => (
                "the bytes are no data set, are cut off, or are more than a film may have",
                "do not send it again",
            ),
        }
    }
}
