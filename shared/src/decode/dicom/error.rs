//! Errors of DICOM files.

use alloc::string::ToString;

use crate::decode::error::DecodeError;

/// An error of a file that contradicts the standard or itself.
pub(super) fn damaged(reason: impl ToString) -> DecodeError {
    DecodeError::Damaged {
        format: "DICOM file",
        reason: reason.to_string(),
    }
}

/// An error of a file of a kind that is not read.
pub(super) fn unsupported(what: impl ToString, remedy: &'static str) -> DecodeError {
    DecodeError::Unsupported {
        format: "DICOM file",
        what: what.to_string(),
        remedy,
    }
}
