//! Errors of JPEG streams.

use alloc::string::ToString;

use crate::decode::error::DecodeError;

/// An error of a stream that contradicts its standard.
pub(super) fn damaged(reason: impl ToString) -> DecodeError {
    DecodeError::Damaged {
        format: "JPEG stream",
        reason: reason.to_string(),
    }
}

/// An error of a stream of a kind that is not read.
pub(super) fn unsupported(what: impl ToString) -> DecodeError {
    DecodeError::Unsupported {
        format: "JPEG stream",
        what: what.to_string(),
        remedy: "export the film uncompressed",
    }
}
