//! Reading a TOML file entry by entry, with a line and a sentence for everything that is wrong.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Something wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong and what to do.
    pub what: String,
}

/// All that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Faults {
    /// The file.
    pub path: PathBuf,
    /// What is wrong, in the order of lines.
    pub faults: Vec<Fault>,
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        for (index, Fault { line, what }) in self.faults.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{path}:{line}: {what}")?;
        }
        Ok(())
    }
}

/// The faults of a file, as they are found.
pub(super) struct Gathered<'a> {
    text: &'a str,
    faults: Vec<Fault>,
}

impl<'a> Gathered<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let faults = Vec::new();
        Self { text, faults }
    }

    /// Notes a fault of the bytes of `span`.
    pub(super) fn add(&mut self, span: Range<usize>, what: impl Into<String>) {
        let before = &self.text.as_bytes()[..span.start.min(self.text.len())];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let what = what.into();
        self.faults.push(Fault { line, what });
    }

    /// Returns `value` if there were no faults.
    pub(super) fn finish<T>(mut self, path: &Path, value: T) -> Result<T, Faults> {
        if self.faults.is_empty() {
            return Ok(value);
        }
        self.faults.sort_by_key(|fault| fault.line);
        Err(Faults {
            path: path.to_path_buf(),
            faults: self.faults,
        })
    }
}

/// A table whose entries are taken one by one.
pub(super) struct Table<'t, 'g, 'a> {
    entries: Option<&'t DeTable<'t>>,
    known: Vec<&'static str>,
    gathered: &'g mut Gathered<'a>,
}

impl<'t, 'g, 'a> Table<'t, 'g, 'a> {
    /// The entries of a table that may be missing.
    pub(super) fn new(entries: Option<&'t DeTable<'t>>, gathered: &'g mut Gathered<'a>) -> Self {
        Self {
            entries,
            known: Vec::new(),
            gathered,
        }
    }

    fn entry(&mut self, key: &'static str) -> Option<&'t Spanned<DeValue<'t>>> {
        self.known.push(key);
        self.entries?.get(key)
    }

    /// Takes a value if it is there and `read` can read it.
    pub(super) fn take<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&DeValue) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.entry(key)?;
        match read(value.get_ref()) {
            Ok(read) => Some(read),
            Err(what) => {
                self.gathered.add(value.span(), format!("{key} {what}"));
                None
            }
        }
    }

    /// Notes that only some of `keys` are there, at the first of them that is.
    pub(super) fn incomplete(&mut self, keys: &[&str], what: &str) {
        let entries = self.entries;
        let there = keys.iter().find_map(|key| entries?.get(*key));
        self.gathered.add(there.map_or(0..0, Spanned::span), what);
    }

    /// Takes a table within this one.
    pub(super) fn table(&mut self, key: &'static str) -> Option<(&'t DeTable<'t>, Range<usize>)> {
        let value = self.entry(key)?;
        match value.get_ref() {
            DeValue::Table(table) => Some((table, value.span())),
            _ => {
                let what = format!("{key} must be a table: write [{key}] and its settings below");
                self.gathered.add(value.span(), what);
                None
            }
        }
    }

    /// Takes an array of tables.
    pub(super) fn tables(&mut self, key: &'static str) -> Vec<(&'t DeTable<'t>, Range<usize>)> {
        let Some(value) = self.entry(key) else {
            return Vec::new();
        };
        let DeValue::Array(array) = value.get_ref() else {
            let what = format!("write [[{key}]], once for each {key}");
            self.gathered.add(value.span(), what);
            return Vec::new();
        };
        let tables = array.iter().filter_map(|value| match value.get_ref() {
            DeValue::Table(table) => Some((table, value.span())),
            _ => None,
        });
        tables.collect()
    }

    /// Notes every entry that was not taken.
    pub(super) fn finish(self) {
        let Self {
            entries,
            known,
            gathered,
        } = self;
        for (key, _) in entries.into_iter().flatten() {
            let name: &str = key.get_ref();
            if known.contains(&name) {
                continue;
            }
            let known = known.join(", ");
            let what = format!("there is no setting {name:?} here: use one of {known}");
            gathered.add(key.span(), what);
        }
    }
}

/// Where an entry of a table of `root` stands; where it is not, the table.
pub(super) fn span(root: &DeTable, [table, key]: [&str; 2]) -> Range<usize> {
    let Some(table) = root.get(table) else {
        return 0..0;
    };
    let entry = match table.get_ref() {
        DeValue::Table(entries) => entries.get(key),
        _ => None,
    };
    entry.map_or(table.span(), Spanned::span)
}

/// Reads a text that is not empty.
pub(super) fn text(value: &DeValue) -> Result<String, String> {
    match value {
        DeValue::String(text) if !text.trim().is_empty() => Ok(text.to_string()),
        DeValue::String(_) => Err("is empty: write a text".into()),
        _ => Err("must be a text: put it into quotes".into()),
    }
}

/// Reads a path. A service runs in another folder than the person who writes its configuration.
pub(super) fn path(value: &DeValue) -> Result<PathBuf, String> {
    let path = PathBuf::from(text(value)?);
    match path.is_absolute() {
        true => Ok(path),
        false => Err(format!("is {path:?}: write the whole path, from / on")),
    }
}

/// Reads true or false.
pub(super) fn boolean(value: &DeValue) -> Result<bool, String> {
    match value {
        DeValue::Boolean(value) => Ok(*value),
        _ => Err("must be true or false".into()),
    }
}

/// Reads a whole number within bounds.
pub(super) fn whole(bounds: Range<u64>) -> impl FnOnce(&DeValue) -> Result<u64, String> {
    move |value| {
        let number = match value {
            DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        number
            .filter(|number| bounds.contains(number))
            .ok_or(format!(
                "must be a whole number from {} to {}",
                bounds.start,
                bounds.end - 1
            ))
    }
}

/// Reads an array of values, each by `read`.
pub(super) fn list<T>(
    read: impl Fn(&DeValue) -> Result<T, String>,
) -> impl FnOnce(&DeValue) -> Result<Vec<T>, String> {
    move |value| match value {
        DeValue::Array(values) => {
            let values = values.iter().map(|value| read(value.get_ref()));
            values
                .collect::<Result<_, _>>()
                .map_err(|what| format!("has an entry that {what}"))
        }
        _ => Err("must be a list: put it into brackets".into()),
    }
}

/// Reads a text that `T` is parsed of; `wanted` says what would be right.
pub(super) fn parsed<T: std::str::FromStr>(
    wanted: &'static str,
) -> impl Fn(&DeValue) -> Result<T, String> {
    move |value| {
        let text = text(value)?;
        let parsed = text.trim().parse();
        parsed.map_err(|_| format!("is {text:?}: write {wanted}"))
    }
}

/// Reads one of several words.
pub(super) fn one_of<T: Copy>(
    words: &'static [(&'static str, T)],
) -> impl Fn(&DeValue) -> Result<T, String> {
    move |value| {
        let text = text(value)?;
        let found = words.iter().find(|(word, _)| *word == text);
        found.map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
            format!("is {text:?}: write {}", words.join(" or "))
        })
    }
}

/// Takes a table that may be missing by `take`, which also says what makes the whole of it unusable.
pub(super) fn optional<T>(
    found: Option<(&DeTable, Range<usize>)>,
    gathered: &mut Gathered,
    take: impl FnOnce(Table) -> (Option<T>, Option<&'static str>),
) -> Option<T> {
    let (entries, span) = found?;
    let (taken, fault) = take(Table::new(Some(entries), gathered));
    if let Some(fault) = fault {
        gathered.add(span, fault);
    }
    taken
}

/// Replaces a default by a setting that was given.
pub(super) fn set<T>(setting: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *setting = given;
    }
}
