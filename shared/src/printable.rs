//! Text from outside, made safe to print.

use alloc::string::String;

/// Returns `text` on one line and without the control characters by which a file's name could steer a
/// terminal.
///
/// ```
/// assert_eq!(plumbline_shared::printable::printable("a\u{1b}[2Jb\n.png"), "a\u{fffd}[2Jb\u{fffd}.png");
/// ```
pub fn printable(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}
