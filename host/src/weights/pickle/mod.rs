//! Pickles read as data.
//!
//! A pickle is a program for a stack machine that may call anything. Here nothing is ever called:
//! a call becomes an [`Object`](Value::Object) that says what would have been called with what,
//! and whoever reads the tree decides what it means. Values lie in one list and refer to each
//! other by place, so that a pickle that holds itself is neither endless nor leaked; every value
//! costs the file at least a byte, and there is a limit to their number.

mod machine;
mod value;

use machine::Machine;
pub use value::{Id, PickleError, Value};

/// One pickle.
pub struct Pickle<'a> {
    values: Vec<Value<'a>>,
    root: Id,
    /// Bytes it took.
    pub length: usize,
}

impl<'a> Pickle<'a> {
    /// Reads the pickle that `bytes` begin with.
    ///
    /// # Errors
    /// If there is none.
    pub fn read(bytes: &'a [u8]) -> Result<Self, PickleError> {
        let mut machine = Machine::new(bytes);
        let root = machine.run()?;
        Ok(Self {
            length: machine.length(),
            values: machine.values,
            root,
        })
    }

    /// Returns the place of the whole value.
    pub fn root(&self) -> Id {
        self.root
    }

    /// Returns all values' places.
    pub fn ids(&self) -> impl Iterator<Item = Id> {
        0..self.values.len() as Id
    }

    /// Returns a value.
    pub fn get(&self, id: Id) -> &Value<'a> {
        &self.values[id as usize]
    }

    /// Returns the entries of a dictionary, or of an object that was filled like one, whose keys are text.
    /// An ordered dictionary may also hold its entries as pairs in its only argument.
    pub fn entries(&self, id: Id) -> Vec<(&'a str, Id)> {
        let text = |(key, value): (Id, Id)| match self.get(key) {
            Value::Text(key) => Some((*key, value)),
            _ => None,
        };
        match self.get(id) {
            Value::Dict(entries) => entries.iter().copied().filter_map(text).collect(),
            Value::Object {
                arguments, entries, ..
            } => {
                let pairs = match self.get(*arguments) {
                    Value::Tuple(arguments) => match arguments[..] {
                        [list] => self.items(list),
                        _ => &[],
                    },
                    _ => &[],
                };
                let pairs = pairs.iter().filter_map(|pair| match *self.items(*pair) {
                    [key, value] => Some((key, value)),
                    _ => None,
                });
                let entries = entries.iter().copied();
                pairs.chain(entries).filter_map(text).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Returns the items of a tuple or list; none of anything else.
    pub fn items(&self, id: Id) -> &[Id] {
        match self.get(id) {
            Value::Tuple(items) | Value::List(items) => items,
            _ => &[],
        }
    }

    /// Returns the integers of a tuple or list, if it holds only those and none is negative.
    pub fn sizes(&self, id: Id) -> Option<Vec<usize>> {
        let (Value::Tuple(items) | Value::List(items)) = self.get(id) else {
            return None;
        };
        items.iter().map(|item| self.size(*item)).collect()
    }

    /// Returns an integer that is not negative.
    pub fn size(&self, id: Id) -> Option<usize> {
        match self.get(id) {
            Value::Int(value) => usize::try_from(*value).ok(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::value::MOST_VALUES;
    use super::*;

    #[test]
    fn values_are_read() {
        // {'a': (1, -2, 2.5), 'b': [True, None, 300, 2**40]} by protocol 2.
        let bytes =
            b"\x80\x02}q\x00(X\x01\x00\x00\x00aK\x01J\xfe\xff\xff\xffG@\x04\x00\x00\x00\x00\
            \x00\x00\x87X\x01\x00\x00\x00b](\x88NM\x2c\x01\x8a\x06\x00\x00\x00\x00\x00\x01eu.rest";
        let pickle = Pickle::read(bytes).unwrap();
        assert_eq!(pickle.length, bytes.len() - 4);
        let entries = pickle.entries(pickle.root());
        let values = |at: usize| -> Vec<Value> {
            let items = pickle.items(entries[at].1).iter();
            items.map(|id| pickle.get(*id).clone()).collect()
        };
        assert_eq!((entries[0].0, entries[1].0), ("a", "b"));
        assert_eq!(
            values(0),
            [Value::Int(1), Value::Int(-2), Value::Float(2.5)]
        );
        assert_eq!(
            values(1),
            [
                Value::Bool(true),
                Value::None,
                Value::Int(300),
                Value::Int(1 << 40)
            ]
        );
    }

    /// Python 2 wrote short strings, decimal numbers, and an ordered dictionary's entries as lists
    /// in its argument.
    #[test]
    fn python_2_is_understood() {
        let bytes =
            b"\x80\x02ccollections\nOrderedDict\n](](U\x01aI5000000000\ne](U\x01bI01\nee\x85R.";
        let pickle = Pickle::read(bytes).unwrap();
        let entries = pickle.entries(pickle.root());
        let values: Vec<(&str, &Value)> = entries
            .iter()
            .map(|(key, id)| (*key, pickle.get(*id)))
            .collect();
        let expected = [("a", &Value::Int(5_000_000_000)), ("b", &Value::Bool(true))];
        assert_eq!(values, expected);
    }

    #[test]
    fn calls_are_not_made() {
        let pickle = Pickle::read(b"cos\nsystem\nX\x04\x00\x00\x00true\x85R.").unwrap();
        let Value::Object {
            callable,
            arguments,
            ..
        } = pickle.get(pickle.root())
        else {
            panic!("{:?}", pickle.get(pickle.root()))
        };
        assert_eq!(pickle.get(*callable), &Value::Global("os", "system"));
        assert_eq!(pickle.items(*arguments).len(), 1);
    }

    #[test]
    fn a_list_may_hold_itself() {
        let pickle = Pickle::read(b"]q\x00h\x00a.").unwrap();
        assert_eq!(pickle.items(pickle.root()), [pickle.root()]);
    }

    #[test]
    fn what_is_no_pickle_is_refused() {
        for (bytes, why) in [
            (&b""[..], PickleError::Short),
            (b"K", PickleError::Short),
            (b".", PickleError::Malformed),
            (b"t.", PickleError::Malformed),
            (b"(a.", PickleError::Malformed),
            (b"(K\x01u.", PickleError::Malformed),
            (b"h\x07.", PickleError::Malformed),
            (b"K\x01(\x85.", PickleError::Malformed),
            (b"X\xff\xff\xff\xffab", PickleError::Short),
            (
                b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffab",
                PickleError::Short,
            ),
            (b"cno line", PickleError::Short),
            (b"\xff", PickleError::Instruction(0xff)),
            (
                &[&b"]"[..], &vec![b'2'; MOST_VALUES]].concat(),
                PickleError::TooMany,
            ),
            (&vec![b'('; MOST_VALUES + 1], PickleError::TooMany),
        ] {
            assert_eq!(
                Pickle::read(bytes).err(),
                Some(why),
                "{:?}",
                &bytes[..bytes.len().min(20)]
            );
        }
    }
}
