//! Tensors as pickles name them: views into storages.

use std::collections::BTreeMap;

use crate::weights::error::WeightsImportError;
use crate::weights::number::Number;
use crate::weights::pickle::{Id, Pickle, Value};

/// A storage as a pickle names it: `("storage", type, key, place, length[, view])`.
pub struct Storage<'a> {
    /// Its name.
    pub key: &'a str,
    /// The type of its numbers, if they are floating-point.
    pub number: Option<Number>,
    /// Bytes of one number.
    size: usize,
    /// Beginning of a view of another storage, in numbers.
    start: usize,
}

impl<'a> Storage<'a> {
    /// Returns the bytes of a number of every storage that the pickle names, by its key.
    pub fn sizes(pickle: &Pickle<'a>) -> BTreeMap<&'a str, usize> {
        let storages = pickle.ids().filter_map(|id| Self::parse(pickle, id));
        storages
            .map(|storage| (storage.key, storage.size))
            .collect()
    }

    fn parse(pickle: &Pickle<'a>, id: Id) -> Option<Self> {
        let Value::Persistent(name) = pickle.get(id) else {
            return None;
        };
        let (&[kind, class, key, _place, _length], view) =
            pickle.items(*name).split_first_chunk::<5>()?;
        let (Value::Text("storage"), Value::Global(module, class), Value::Text(key)) =
            (pickle.get(kind), pickle.get(class), pickle.get(key))
        else {
            return None;
        };
        if !matches!(*module, "torch" | "torch.cuda" | "torch.storage") {
            return None;
        }
        let (number, size) = match *class {
            "FloatStorage" => (Some(Number::F32), 4),
            "DoubleStorage" => (Some(Number::F64), 8),
            "HalfStorage" => (Some(Number::F16), 2),
            "BFloat16Storage" => (Some(Number::Bf16), 2),
            "LongStorage" => (None, 8),
            "IntStorage" => (None, 4),
            "ShortStorage" => (None, 2),
            "CharStorage" | "ByteStorage" | "BoolStorage" => (None, 1),
            _ => return None,
        };
        let start = match view.first().map(|view| pickle.items(*view)) {
            Some([_key, start, _length]) => pickle.size(*start)?,
            _ => 0,
        };
        Some(Self {
            key,
            number,
            size,
            start,
        })
    }

    /// Returns the error of a file that lacks it.
    pub fn lost(&self) -> WeightsImportError {
        WeightsImportError::damaged(format!("its storage {} is missing", self.key))
    }
}

/// A tensor as a pickle names it.
pub struct View<'a> {
    pub storage: Storage<'a>,
    offset: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
}

impl<'a> View<'a> {
    /// Returns the tensor at `id`, if it is one.
    pub fn parse(pickle: &Pickle<'a>, mut id: Id) -> Option<Self> {
        // Parameters and subclasses wrap the tensor they are made of.
        for _ in 0..4 {
            let Value::Object {
                callable,
                arguments,
                ..
            } = pickle.get(id)
            else {
                return None;
            };
            let arguments = pickle.items(*arguments);
            match (pickle.get(*callable), arguments) {
                (
                    Value::Global("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2"),
                    [storage, offset, shape, strides, ..],
                ) => {
                    return Some(Self {
                        storage: Storage::parse(pickle, *storage)?,
                        offset: pickle.size(*offset)?,
                        shape: pickle.sizes(*shape)?,
                        strides: pickle.sizes(*strides)?,
                    });
                }
                (
                    Value::Global(
                        "torch._utils",
                        "_rebuild_parameter" | "_rebuild_parameter_with_state",
                    ),
                    [tensor, ..],
                ) => id = *tensor,
                _ => return None,
            }
        }
        None
    }

    /// Returns the tensor in its storage's bytes, if it lies within and has no more elements.
    pub fn resolve(self, number: Number, storage: &[u8]) -> Option<Strided<'_>> {
        let length = storage.len() / number.size();
        let offset = self.storage.start.checked_add(self.offset)?;
        if self.shape.len() != self.strides.len() || self.shape.len() > 8 {
            return None;
        }
        let mut elements = 1usize;
        let mut last = offset;
        for (size, stride) in self.shape.iter().zip(&self.strides) {
            elements = elements.checked_mul(*size)?;
            last = last.checked_add(size.saturating_sub(1).checked_mul(*stride)?)?;
        }
        let fits = elements == 0 || (elements <= length && last < length);
        fits.then_some(Strided {
            storage,
            number,
            offset,
            shape: self.shape,
            strides: self.strides,
        })
    }
}

/// A view into a storage.
pub struct Strided<'a> {
    storage: &'a [u8],
    number: Number,
    offset: usize,
    pub shape: Vec<usize>,
    strides: Vec<usize>,
}

impl Strided<'_> {
    /// Returns the values, row-major.
    pub fn values(&self) -> Vec<f32> {
        let mut places = vec![self.offset];
        for (size, stride) in self.shape.iter().zip(&self.strides) {
            places = places
                .into_iter()
                .flat_map(|place| (0..*size).map(move |index| place + index * stride))
                .collect();
        }
        let size = self.number.size();
        let number = |place: usize| self.number.value(&self.storage[place * size..][..size]);
        places.into_iter().map(number).collect()
    }
}
