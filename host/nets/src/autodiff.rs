//! Automatic differentiation, backwards through what was computed.
//!
//! Candle's own adds every gradient to zeros first, which costs as much time as many an operation,
//! keeps what the operations left until the end, and needs a stack as deep as the network.

use std::collections::{BTreeMap, HashMap};
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{DType, Result, Tensor, TensorId, Var, bail};

/// A tensor that knows what it was computed from. What is done with it as a plain tensor is not
/// differentiated.
#[derive(Clone)]
pub struct Traced {
    value: Tensor,
    origin: Origin,
}

#[derive(Clone)]
enum Origin {
    /// Nothing that a gradient is wanted of.
    Constant,
    /// A Candle variable.
    Variable(TensorId),
    Step(Arc<Step>),
}

/// An operation that was done.
struct Step {
    /// Every step has a larger one than those it depends on.
    number: u64,
    /// Taken when the way back is gone, so that all it keeps is freed.
    back: Mutex<Option<Back>>,
}

/// What an operation was done with, and the way back.
type Back = (Vec<Origin>, Box<Backward>);

impl Step {
    fn take(&self) -> Option<Back> {
        let back = self.back.lock();
        back.unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Step {
    /// Drops what it was computed from in a loop: step within step, a long way would end the stack.
    fn drop(&mut self) {
        let mut origins = self.take().map_or_else(Vec::new, |(inputs, _)| inputs);
        while let Some(origin) = origins.pop() {
            if let Origin::Step(step) = origin
                && let Some(step) = Arc::into_inner(step)
                && let Some((inputs, _)) = step.take()
            {
                origins.extend(inputs);
            }
        }
    }
}

/// From the gradient of an operation's output, those of its inputs: of each that is wanted, unless
/// it is zero.
type Backward = dyn FnOnce(&Tensor, &[bool]) -> Result<Vec<Option<Tensor>>> + Send;

static STEPS: AtomicU64 = AtomicU64::new(0);

impl Traced {
    /// What an operation made of `inputs`. `backward` is given the gradient of `value`, and of which
    /// inputs gradients are wanted.
    pub fn step(
        inputs: &[&Self],
        value: Tensor,
        backward: impl FnOnce(&Tensor, &[bool]) -> Result<Vec<Option<Tensor>>> + Send + 'static,
    ) -> Self {
        let inputs: Vec<_> = inputs.iter().map(|input| input.origin.clone()).collect();
        if !inputs.iter().any(Origin::is_wanted) {
            return Self::constant(value);
        }
        let step = Step {
            number: STEPS.fetch_add(1, Ordering::Relaxed),
            back: Mutex::new(Some((inputs, Box::new(backward)))),
        };
        Self {
            value,
            origin: Origin::Step(Arc::new(step)),
        }
    }

    fn constant(value: Tensor) -> Self {
        Self {
            value,
            origin: Origin::Constant,
        }
    }

    /// The value alone.
    pub fn value(&self) -> &Tensor {
        &self.value
    }

    /// The same value in a type.
    ///
    /// # Errors
    /// Candle's.
    pub fn to_dtype(&self, dtype: DType) -> Result<Self> {
        let own = self.value.dtype();
        if dtype == own {
            return Ok(self.clone());
        }
        let value = self.value.to_dtype(dtype)?;
        Ok(Self::step(&[self], value, move |gradient, _| {
            Ok(vec![Some(gradient.to_dtype(own)?)])
        }))
    }

    /// The sum of two of one shape.
    ///
    /// # Errors
    /// Candle's, if the shapes differ.
    pub fn add(&self, other: &Self) -> Result<Self> {
        let value = (&self.value + &other.value)?;
        Ok(Self::step(&[self, other], value, |gradient, _| {
            Ok(vec![Some(gradient.clone()), Some(gradient.clone())])
        }))
    }

    /// The gradients of the sum of all elements by the variables it was computed from. What the
    /// operations kept for it is freed: it can be asked for once.
    ///
    /// # Errors
    /// The operations', or if they were asked before.
    pub fn backward(&self) -> Result<Gradients> {
        self.backward_from(self.value.ones_like()?)
    }

    /// The same of the sum weighted by `gradient`.
    ///
    /// # Errors
    /// The operations', or if they were asked before.
    pub fn backward_from(&self, gradient: Tensor) -> Result<Gradients> {
        let mut gradients = Gradients::default();
        let mut waiting = BTreeMap::new();
        self.origin
            .receive(gradient, &mut gradients, &mut waiting)?;
        // All that a step's gradient is summed from has a larger number.
        while let Some((_, (step, gradient))) = waiting.pop_last() {
            let Some((inputs, backward)) = step.take() else {
                bail!("gradients of one operation were asked for twice");
            };
            let wanted: Vec<bool> = inputs.iter().map(Origin::is_wanted).collect();
            let of_inputs = backward(&gradient, &wanted)?;
            for (input, gradient) in inputs.iter().zip(of_inputs) {
                if let Some(gradient) = gradient {
                    input.receive(gradient, &mut gradients, &mut waiting)?;
                }
            }
        }
        Ok(gradients)
    }
}

/// Steps whose gradients are known in part, by number.
type Waiting = BTreeMap<u64, (Arc<Step>, Tensor)>;

impl Origin {
    fn is_wanted(&self) -> bool {
        !matches!(self, Self::Constant)
    }

    fn receive(
        &self,
        gradient: Tensor,
        gradients: &mut Gradients,
        waiting: &mut Waiting,
    ) -> Result<()> {
        match self {
            Self::Constant => {}
            Self::Variable(id) => {
                let sum = match gradients.by_variable.remove(id) {
                    Some(before) => (before + gradient)?,
                    None => gradient,
                };
                gradients.by_variable.insert(*id, sum);
            }
            Self::Step(step) => {
                let sum = match waiting.remove(&step.number) {
                    Some((_, before)) => (before + gradient)?,
                    None => gradient,
                };
                waiting.insert(step.number, (step.clone(), sum));
            }
        }
        Ok(())
    }
}

/// Of a Candle variable, or a constant.
impl From<&Tensor> for Traced {
    fn from(tensor: &Tensor) -> Self {
        let origin = match tensor.is_variable() {
            true => Origin::Variable(tensor.id()),
            false => Origin::Constant,
        };
        Self {
            value: tensor.detach(),
            origin,
        }
    }
}

impl From<&Var> for Traced {
    fn from(variable: &Var) -> Self {
        Self::from(variable.as_tensor())
    }
}

impl Deref for Traced {
    type Target = Tensor;

    fn deref(&self) -> &Tensor {
        &self.value
    }
}

/// Gradients by the variables they are of.
#[derive(Default)]
pub struct Gradients {
    by_variable: HashMap<TensorId, Tensor>,
}

impl Gradients {
    /// That of a variable, if the differentiated value depends on it.
    pub fn get(&self, variable: &Tensor) -> Option<&Tensor> {
        self.by_variable.get(&variable.id())
    }

    /// Puts a gradient in the place of a variable's own.
    pub fn insert(&mut self, variable: &Tensor, gradient: Tensor) {
        self.by_variable.insert(variable.id(), gradient);
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn variable(value: f32) -> Var {
        Var::new(value, &Device::Cpu).unwrap()
    }

    /// Their product.
    fn product(a: &Traced, b: &Traced) -> Traced {
        let (x, y) = (a.value.clone(), b.value.clone());
        let value = (&x * &y).unwrap();
        Traced::step(&[a, b], value, move |gradient, wanted| {
            let by = |other: &Tensor, wanted: bool| wanted.then(|| gradient * other).transpose();
            Ok(vec![by(&y, wanted[0])?, by(&x, wanted[1])?])
        })
    }

    #[test]
    fn gradients_of_all_ways_are_summed_and_constants_have_none() {
        let (a, b) = (variable(3.0), variable(5.0));
        let constant = Tensor::new(7f32, &Device::Cpu).unwrap();
        let [x, y, c] = [a.as_tensor(), b.as_tensor(), &constant].map(Traced::from);
        // (a b + a) a + 7 a
        let inner = product(&x, &y).add(&x).unwrap();
        let whole = product(&inner, &x).add(&product(&c, &x)).unwrap();
        assert_eq!(whole.to_scalar::<f32>().unwrap(), 75.0);
        let gradients = whole.backward().unwrap();
        let of = |tensor: &Tensor| gradients.get(tensor).map(|g| g.to_scalar::<f32>().unwrap());
        assert_eq!(of(&a), Some(2.0 * 3.0 * 5.0 + 2.0 * 3.0 + 7.0));
        assert_eq!(of(&b), Some(9.0));
        assert_eq!(of(&constant), None);
        assert!(whole.backward().is_err());
    }

    #[test]
    fn long_ways_need_no_stack() {
        let a = variable(1.0);
        let one = Traced::from(&a);
        let long = || (0..100_000).try_fold(one.clone(), |sum, _| sum.add(&one));
        let gradients = long().unwrap().backward().unwrap();
        let of_a: f32 = gradients.get(&a).unwrap().to_scalar().unwrap();
        assert_eq!(of_a, 100_001.0);
        drop(long().unwrap());
    }
}
