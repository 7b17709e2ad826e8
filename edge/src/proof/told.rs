//! Entries of the audit log in plain words.

use crate::store::Row;

/// A line of a sheet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// What the lines below are about.
    Heading(String),
    /// A named text.
    Field(String, String),
    /// What belongs to the text before it.
    More(String),
}

/// An entry: its number, its time, what happened, and its hash.
pub(super) fn told(row: &Row) -> [Told; 3] {
    [
        Told::Field(format!("entry {}", row.sequence), row.wall.clone()),
        Told::More(happened(row)),
        Told::More(format!("hash {}", row.hash)),
    ]
}

/// What happened, as a sentence's part.
fn happened(row: &Row) -> String {
    let Row { who, detail, .. } = row;
    let what = match (&*row.event, &*row.action) {
        // A film that comes names its sender.
        ("110104" | "110107", "C") => format!("{detail}, from {who}"),
        ("110104", _) if detail.starts_with("received") => format!("{detail}, from {who}"),
        ("110104", _) => format!("to {who}: {detail}"),
        ("110105", _) => format!("removed by {who}: {detail}"),
        ("110113", _) => format!("alert: {detail}"),
        _ if who == "station" => detail.clone(),
        _ => format!("{detail}, by {who}"),
    };
    match row.outcome {
        0 => what,
        4 => format!("{what} (a minor failure)"),
        _ => format!("{what} (a serious failure)"),
    }
}
