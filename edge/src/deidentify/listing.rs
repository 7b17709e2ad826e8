//! All attributes and what is done with them, for the documents.

use dicom_core::Tag;
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_dictionary_std::{StandardDataDictionary, tags};

use super::kept::{Kept, LISTED};
use super::rules::{Deed, deed};
use super::table;

/// An attribute and what is done with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its tag.
    pub tag: String,
    /// Its keyword in PS3.6.
    pub name: &'static str,
    /// What the profile's table says; none if the table does not name it.
    pub profile: Option<&'static str>,
    /// What is done with it, in words.
    pub done: String,
}

/// The attributes that are treated by name: those of the profile's table, and those that are kept though they
/// have words or samples. In the order of their tags.
pub fn rows() -> Vec<Row> {
    let profile = table::attributes();
    let profile = profile
        .into_iter()
        .map(|(tag, action)| (tag, Some(action.code())));
    let kept = LISTED.iter().map(|(tag, _)| (*tag, None));
    let mut attributes: Vec<_> = profile.chain(kept).collect();
    attributes.sort_unstable_by_key(|(tag, _)| *tag);
    attributes
        .into_iter()
        .map(|(tag, profile)| Row {
            tag: tag.to_string(),
            name: name(tag),
            profile,
            done: match tag {
                // Of the file meta information, which is written anew.
                tags::MEDIA_STORAGE_SOP_INSTANCE_UID => in_words(Deed::Uids),
                _ => in_words(deed(tag)),
            },
        })
        .collect()
}

fn name(tag: Tag) -> &'static str {
    let entry = StandardDataDictionary.by_tag(tag);
    // Newer than the dictionary: an element of that tag goes, whatever the table says.
    entry.map_or("", |entry| entry.alias())
}

fn in_words(deed: Deed) -> String {
    match deed {
        Deed::Remove => "removed".into(),
        Deed::Empty | Deed::Keep(Kept::Empty) => "emptied".into(),
        Deed::Dummy | Deed::Keep(Kept::Dummy) => "dummy value".into(),
        Deed::Pseudonym => "pseudonym".into(),
        Deed::Uids => "mapped".into(),
        Deed::Items | Deed::Keep(Kept::Items) => "its items are treated alike".into(),
        Deed::Keep(Kept::Numbers) => "numbers kept".into(),
        Deed::Keep(Kept::Uids) => "mapped, unless it is the standard's".into(),
        Deed::Keep(Kept::Words(words)) => {
            let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
            format!("kept if it is {}", words.join(", "))
        }
        Deed::Keep(Kept::Directions) => "kept if it is of `A`, `P`, `L`, `R`, `H`, `F`".into(),
        Deed::Keep(Kept::Samples) => "kept, byte for byte".into(),
    }
}
