//! Printing that survives a reader who goes away: `plumbline ... | head` is no failure.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

use plumbline_shared::printable::printable;

/// Prints a line on standard output.
///
/// # Errors
/// The system's; see [`is_closed`].
pub fn line(text: impl Display) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{text}")
}

/// Says a line on standard error, if anybody listens there.
pub fn note(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Says how many films were left out, if any were.
pub fn left_out(films: usize) {
    if films > 0 {
        note(format_args!("films left out: {films}"));
    }
}

/// Says on standard error what went wrong, without the control characters that a file's name may
/// hold.
pub fn complain(sentence: impl Display) {
    note(format_args!(
        "plumbline: {}",
        printable(&sentence.to_string())
    ));
}

/// Returns true if a command ended because nobody reads its standard output any more.
pub fn is_closed(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = cause.downcast_ref::<io::Error>();
        io.is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
    })
}
