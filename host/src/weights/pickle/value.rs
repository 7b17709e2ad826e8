//! Values of pickles, and the errors of reading them.

/// Values of one pickle at most. A network with its optimiser's state has some tens of thousands.
pub const MOST_VALUES: usize = 2_000_000;

/// A value's place among a pickle's.
pub type Id = u32;

/// A value. Text and bytes stay in the file.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// Nothing that weights are made of: sets, numbers too large, text that is not UTF-8.
    Opaque,
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'a str),
    /// Bytes; also integers of more than eight, little-endian.
    Bytes(&'a [u8]),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// A class or function, by module and name.
    Global(&'a str, &'a str),
    /// The result of a call that was not made.
    Object {
        /// The class or function that would have been called.
        callable: Id,
        /// The tuple of its arguments.
        arguments: Id,
        /// The state it would have been given.
        state: Option<Id>,
        /// Entries that it would have been given as a dictionary.
        entries: Vec<(Id, Id)>,
    },
    /// Something outside the pickle, by its name.
    Persistent(Id),
}

/// Reasons for which bytes are no pickle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PickleError {
    /// The end came first.
    #[error("it ends in the middle")]
    Short,
    /// An instruction that weights need not.
    #[error("it holds the pickle instruction {0:#04x}, which no file of weights needs")]
    Instruction(u8),
    /// An instruction that finds nothing to work on, or something else than it needs.
    #[error("its pickle is not well formed")]
    Malformed,
    /// More than any file of weights needs.
    #[error("its pickle holds more than {MOST_VALUES} values")]
    TooMany,
}
