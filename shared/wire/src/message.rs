//! Messages as bytes, in postcard's format.

use serde::Deserialize;

/// Reads a message that takes all of `bytes`; `None` if they are none.
///
/// ```
/// use plumbline_wire::message::read;
/// use plumbline_wire::panel::{Question, ToPanel};
///
/// assert_eq!(read(&[3, 1]), Some(ToPanel::Ask(Question::Settings)));
/// assert_eq!(read::<ToPanel>(&[3, 1, 0]), None);
/// ```
pub fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    match postcard::take_from_bytes(bytes) {
        Ok((message, [])) => Some(message),
        _ => None,
    }
}
