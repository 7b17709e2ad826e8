//! The stack machine that a pickle is a program for, as far as weights need it.

use std::collections::HashMap;

use super::value::{Id, MOST_VALUES, PickleError, Value};

/// Bytes of one pickle at most. That of a whole network with its source code has about one million.
const MOST_BYTES: usize = 32 << 20;

/// Executes a pickle's instructions on values.
pub(super) struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Every value made so far, in their order.
    pub values: Vec<Value<'a>>,
    stack: Vec<Id>,
    /// Heights of the stack that were marked.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl<'a> Machine<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes: &bytes[..bytes.len().min(MOST_BYTES)],
            at: 0,
            values: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        }
    }

    /// Bytes read so far.
    pub fn length(&self) -> usize {
        self.at
    }

    /// Runs to the end and gives the value that is left.
    pub fn run(&mut self) -> Result<Id, PickleError> {
        loop {
            let instruction = self.take(1)?[0];
            match instruction {
                b'.' => return self.pop(),
                b'(' => {
                    room(self.marks.len())?;
                    self.marks.push(self.stack.len());
                }
                b'0' => drop(self.pop()?),
                b'1' => drop(self.down_to_mark()?),
                b'2' => {
                    let top = self.top()?;
                    self.push_again(top)?;
                }
                // The protocol's version and frames of later protocols say nothing of the value.
                0x80 => drop(self.take(1)?),
                0x95 => drop(self.take(8)?),

                b'N' => self.push(Value::None)?,
                0x88 => self.push(Value::Bool(true))?,
                0x89 => self.push(Value::Bool(false))?,
                b'I' | b'L' => self.decimal()?,
                b'J' => {
                    let value = i32::from_le_bytes(self.array()?);
                    self.push(Value::Int(value.into()))?;
                }
                b'K' => {
                    let value = self.count(1)?;
                    self.push(Value::Int(value as i64))?;
                }
                b'M' => {
                    let value = self.count(2)?;
                    self.push(Value::Int(value as i64))?;
                }
                0x8a => self.long(1)?,
                0x8b => self.long(4)?,
                b'G' => {
                    let value = f64::from_be_bytes(self.array()?);
                    self.push(Value::Float(value))?;
                }
                b'T' | b'X' => self.text(4)?,
                b'U' | 0x8c => self.text(1)?,
                0x8d => self.text(8)?,
                b'B' => self.raw(4)?,
                b'C' => self.raw(1)?,
                0x8e | 0x96 => self.raw(8)?,

                b')' => self.push(Value::Tuple(Vec::new()))?,
                b']' => self.push(Value::List(Vec::new()))?,
                b'}' => self.push(Value::Dict(Vec::new()))?,
                0x8f => self.push(Value::Opaque)?,
                b't' => {
                    let items = self.down_to_mark()?;
                    self.push(Value::Tuple(items))?;
                }
                0x85..=0x87 => {
                    let from = self
                        .stack
                        .len()
                        .checked_sub(usize::from(instruction - 0x84));
                    let items = self.split(from.ok_or(PickleError::Malformed)?)?;
                    self.push(Value::Tuple(items))?;
                }
                b'l' => {
                    let items = self.down_to_mark()?;
                    self.push(Value::List(items))?;
                }
                b'd' => {
                    let items = self.down_to_mark()?;
                    self.push(Value::Dict(pairs(&items)?))?;
                }
                b'a' => {
                    let item = self.pop()?;
                    self.append(vec![item])?;
                }
                b'e' => {
                    let items = self.down_to_mark()?;
                    self.append(items)?;
                }
                b's' => {
                    let (value, key) = (self.pop()?, self.pop()?);
                    self.set(vec![(key, value)])?;
                }
                b'u' => {
                    let items = self.down_to_mark()?;
                    self.set(pairs(&items)?)?;
                }
                // Items of sets are left out.
                0x90 => drop(self.down_to_mark()?),
                0x91 => {
                    self.down_to_mark()?;
                    self.push(Value::Opaque)?;
                }

                b'p' => {
                    let key = self.line()?.parse();
                    self.memorise(key.map_err(|_| PickleError::Malformed)?)?;
                }
                b'q' => {
                    let key = self.count(1)? as u32;
                    self.memorise(key)?;
                }
                b'r' => {
                    let key = self.count(4)? as u32;
                    self.memorise(key)?;
                }
                0x94 => self.memorise(self.memo.len() as u32)?,
                b'g' => {
                    let key = self.line()?.parse();
                    self.recall(key.map_err(|_| PickleError::Malformed)?)?;
                }
                b'h' => {
                    let key = self.count(1)? as u32;
                    self.recall(key)?;
                }
                b'j' => {
                    let key = self.count(4)? as u32;
                    self.recall(key)?;
                }

                b'c' => {
                    let (module, name) = (self.line()?, self.line()?);
                    self.push(Value::Global(module, name))?;
                }
                0x93 => {
                    let (name, module) = (self.pop()?, self.pop()?);
                    match (&self.values[module as usize], &self.values[name as usize]) {
                        (Value::Text(module), Value::Text(name)) => {
                            let global = Value::Global(module, name);
                            self.push(global)?;
                        }
                        _ => return Err(PickleError::Malformed),
                    }
                }
                b'R' | 0x81 => {
                    let (arguments, callable) = (self.pop()?, self.pop()?);
                    self.call(callable, arguments)?;
                }
                0x92 => {
                    let (_named, arguments, callable) = (self.pop()?, self.pop()?, self.pop()?);
                    self.call(callable, arguments)?;
                }
                b'b' => {
                    let (given, object) = (self.pop()?, self.top()?);
                    if let Value::Object { state, .. } = &mut self.values[object as usize] {
                        *state = Some(given);
                    }
                }
                b'Q' => {
                    let name = self.pop()?;
                    self.push(Value::Persistent(name))?;
                }
                other => return Err(PickleError::Instruction(other)),
            }
        }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], PickleError> {
        let end = self.at.checked_add(count).ok_or(PickleError::Short)?;
        let bytes = self.bytes.get(self.at..end).ok_or(PickleError::Short)?;
        self.at = end;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], PickleError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// An unsigned number of `width` bytes, at most eight.
    fn count(&mut self, width: usize) -> Result<usize, PickleError> {
        let mut array = [0; 8];
        array[..width].copy_from_slice(self.take(width)?);
        usize::try_from(u64::from_le_bytes(array)).map_err(|_| PickleError::Short)
    }

    /// The text up to the end of the line.
    fn line(&mut self) -> Result<&'a str, PickleError> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|byte| *byte == b'\n');
        let line = self.take(end.ok_or(PickleError::Short)?)?;
        self.at += 1;
        std::str::from_utf8(line).map_err(|_| PickleError::Malformed)
    }

    fn push(&mut self, value: Value<'a>) -> Result<(), PickleError> {
        room(self.values.len())?;
        self.push_again(self.values.len() as Id)?;
        self.values.push(value);
        Ok(())
    }

    fn push_again(&mut self, id: Id) -> Result<(), PickleError> {
        room(self.stack.len())?;
        self.stack.push(id);
        Ok(())
    }

    fn call(&mut self, callable: Id, arguments: Id) -> Result<(), PickleError> {
        self.push(Value::Object {
            callable,
            arguments,
            state: None,
            entries: Vec::new(),
        })
    }

    /// A whole number in digits, as protocol 0 and Python 2 write some; `00` and `01` are truths.
    fn decimal(&mut self) -> Result<(), PickleError> {
        let value = match self.line()? {
            "00" => Value::Bool(false),
            "01" => Value::Bool(true),
            digits => digits
                .trim_end_matches('L')
                .parse()
                .map_or(Value::Opaque, Value::Int),
        };
        self.push(value)
    }

    /// A little-endian number in two's complement behind its length.
    fn long(&mut self, width: usize) -> Result<(), PickleError> {
        let count = self.count(width)?;
        let bytes = self.take(count)?;
        let value = match bytes {
            [] => Value::Int(0),
            [.., last] if bytes.len() <= 8 => {
                let mut array = [if last & 0x80 == 0 { 0 } else { 0xff }; 8];
                array[..bytes.len()].copy_from_slice(bytes);
                Value::Int(i64::from_le_bytes(array))
            }
            _ => Value::Bytes(bytes),
        };
        self.push(value)
    }

    fn text(&mut self, width: usize) -> Result<(), PickleError> {
        let count = self.count(width)?;
        let bytes = self.take(count)?;
        self.push(std::str::from_utf8(bytes).map_or(Value::Bytes(bytes), Value::Text))
    }

    fn raw(&mut self, width: usize) -> Result<(), PickleError> {
        let count = self.count(width)?;
        let bytes = self.take(count)?;
        self.push(Value::Bytes(bytes))
    }

    fn top(&self) -> Result<Id, PickleError> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.last() {
            Some(top) if self.stack.len() > floor => Ok(*top),
            _ => Err(PickleError::Malformed),
        }
    }

    fn pop(&mut self) -> Result<Id, PickleError> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    /// The items above place `from` of the stack.
    fn split(&mut self, from: usize) -> Result<Vec<Id>, PickleError> {
        if from < self.marks.last().copied().unwrap_or(0) || from > self.stack.len() {
            return Err(PickleError::Malformed);
        }
        Ok(self.stack.split_off(from))
    }

    fn down_to_mark(&mut self) -> Result<Vec<Id>, PickleError> {
        let mark = self.marks.pop().ok_or(PickleError::Malformed)?;
        Ok(self.stack.split_off(mark))
    }

    fn append(&mut self, items: Vec<Id>) -> Result<(), PickleError> {
        let list = self.top()?;
        if let Value::List(list) = &mut self.values[list as usize] {
            list.extend(items);
        }
        Ok(())
    }

    fn set(&mut self, pairs: Vec<(Id, Id)>) -> Result<(), PickleError> {
        let dict = self.top()?;
        match &mut self.values[dict as usize] {
            Value::Dict(entries) | Value::Object { entries, .. } => entries.extend(pairs),
            _ => {}
        }
        Ok(())
    }

    fn memorise(&mut self, key: u32) -> Result<(), PickleError> {
        room(self.memo.len())?;
        let top = self.top()?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn recall(&mut self, key: u32) -> Result<(), PickleError> {
        let id = *self.memo.get(&key).ok_or(PickleError::Malformed)?;
        self.push_again(id)
    }
}

/// Refuses one more value where there are too many.
fn room(count: usize) -> Result<(), PickleError> {
    if count < MOST_VALUES {
        Ok(())
    } else {
        Err(PickleError::TooMany)
    }
}

fn pairs(items: &[Id]) -> Result<Vec<(Id, Id)>, PickleError> {
    let (pairs, rest) = items.as_chunks::<2>();
    match rest {
        [] => Ok(pairs.iter().map(|[key, value]| (*key, *value)).collect()),
        _ => Err(PickleError::Malformed),
    }
}
