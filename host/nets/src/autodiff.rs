//! Reverse-mode automatic differentiation.
//!
//! Candle's own adds every gradient to zeros first, which costs as much time as many an operation,
//! keeps what the operations saved until the end, and needs a stack as deep as the network.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{DType, Device, Result, Shape, Tensor, TensorId, Var, bail};

/// A tensor that knows what it was computed from.
///
/// Only operations on `Traced` values are differentiated. It deliberately does not stand for its
/// tensor: what is computed from [`value`](Self::value) has no gradient, and so has to be asked for
/// by name.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use plumbline_nets::Traced;
/// use plumbline_nets::ops::silu;
///
/// # fn main() -> candle_core::Result<()> {
/// let x = Tensor::new(&[0f32, 1.0], &Device::Cpu)?;
/// let y = silu(&Traced::leaf(&x))?;
/// let gradients = y.backward()?;
/// let slope: Vec<f32> = gradients.get(&x).unwrap().to_vec1()?;
/// assert_eq!(slope[0], 0.5);
/// # Ok(())
/// # }
/// ```
///
/// A tensor's own methods would cut the gradient silently, so they are not there:
///
/// ```compile_fail,E0599
/// # use plumbline_nets::Traced;
/// fn square(x: &Traced) -> candle_core::Result<Traced> {
///     x.sqr()
/// }
/// ```
#[derive(Clone)]
pub struct Traced {
    value: Tensor,
    origin: Origin,
}

#[derive(Clone)]
enum Origin {
    /// A value by which no gradient is wanted.
    Constant,
    /// A leaf of the graph, by which a gradient is wanted.
    Leaf(TensorId),
    /// The output of an operation.
    Node(Arc<Node>),
}

/// A node of the graph: an operation that was done.
struct Node {
    /// Larger than the numbers of all nodes that this one depends on.
    number: u64,
    /// None once the backward pass has consumed the node, so that all it saved is freed.
    saved: Mutex<Option<Saved>>,
}

/// The inputs of an operation, and its backward pass.
type Saved = (Vec<Origin>, Box<Backward>);

impl Node {
    fn take(&self) -> Option<Saved> {
        let saved = self.saved.lock();
        saved.unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Node {
    /// Drops the graph iteratively: recursion would overflow the stack on deep graphs.
    fn drop(&mut self) {
        let mut origins = self.take().map_or_else(Vec::new, |(inputs, _)| inputs);
        while let Some(origin) = origins.pop() {
            if let Origin::Node(node) = origin
                && let Some(node) = Arc::into_inner(node)
                && let Some((inputs, _)) = node.take()
            {
                origins.extend(inputs);
            }
        }
    }
}

/// An operation's backward pass: from the gradient of its output to those of its inputs. Gets for
/// each input whether its gradient is wanted; gives none for a gradient that is not, or is zero.
type Backward = dyn FnOnce(&Tensor, &[bool]) -> Result<Vec<Option<Tensor>>> + Send;

static NODES: AtomicU64 = AtomicU64::new(0);

impl Traced {
    /// The output `value` of an operation on `inputs`. `backward` gets the gradient of `value` and,
    /// for each input, whether its gradient is wanted; it returns one entry for each input.
    pub fn node(
        inputs: &[&Self],
        value: Tensor,
        backward: impl FnOnce(&Tensor, &[bool]) -> Result<Vec<Option<Tensor>>> + Send + 'static,
    ) -> Self {
        let inputs: Vec<_> = inputs.iter().map(|input| input.origin.clone()).collect();
        if !inputs.iter().any(Origin::is_wanted) {
            return Self::constant(value);
        }
        let node = Node {
            number: NODES.fetch_add(1, Ordering::Relaxed),
            saved: Mutex::new(Some((inputs, Box::new(backward)))),
        };
        Self {
            value,
            origin: Origin::Node(Arc::new(node)),
        }
    }

    /// A value by which gradients are wanted, although it is no Candle variable, such as a
    /// network's input or the maps of an inner layer. [`Gradients::get`] finds its gradient by
    /// `tensor`.
    pub fn leaf(tensor: &Tensor) -> Self {
        Self {
            value: tensor.detach(),
            origin: Origin::Leaf(tensor.id()),
        }
    }

    fn constant(value: Tensor) -> Self {
        Self {
            value,
            origin: Origin::Constant,
        }
    }

    /// The plain tensor. What is computed from it is not differentiated.
    pub fn value(&self) -> &Tensor {
        &self.value
    }

    /// The value's shape.
    pub fn shape(&self) -> &Shape {
        self.value.shape()
    }

    /// The sizes of all dimensions.
    pub fn dims(&self) -> &[usize] {
        self.value.dims()
    }

    /// The size of dimension `index`.
    ///
    /// # Errors
    /// Candle's, if there is no such dimension.
    pub fn dim(&self, index: usize) -> Result<usize> {
        self.value.dim(index)
    }

    /// The sizes of a matrix.
    ///
    /// # Errors
    /// Candle's, if the value is none.
    pub fn dims2(&self) -> Result<(usize, usize)> {
        self.value.dims2()
    }

    /// The sizes of maps, `N x C x H x W`.
    ///
    /// # Errors
    /// Candle's, if the value is not 4-d.
    pub fn dims4(&self) -> Result<(usize, usize, usize, usize)> {
        self.value.dims4()
    }

    /// Number of elements.
    pub fn elem_count(&self) -> usize {
        self.value.elem_count()
    }

    /// The type of the elements.
    pub fn dtype(&self) -> DType {
        self.value.dtype()
    }

    /// The device that the value is on.
    pub fn device(&self) -> &Device {
        self.value.device()
    }

    /// Converts the value to another type.
    ///
    /// # Errors
    /// Candle's.
    pub fn to_dtype(&self, dtype: DType) -> Result<Self> {
        let own = self.value.dtype();
        if dtype == own {
            return Ok(self.clone());
        }
        let value = self.value.to_dtype(dtype)?;
        Ok(Self::node(&[self], value, move |gradient, _| {
            Ok(vec![Some(gradient.to_dtype(own)?)])
        }))
    }

    /// The sum of two values of one shape.
    ///
    /// # Errors
    /// Candle's, if the shapes differ.
    pub fn add(&self, other: &Self) -> Result<Self> {
        let value = (&self.value + &other.value)?;
        Ok(Self::node(&[self, other], value, |gradient, _| {
            Ok(vec![Some(gradient.clone()), Some(gradient.clone())])
        }))
    }

    /// The gradients of the sum of all elements by the leaves it was computed from. Frees what the
    /// operations saved for it, so it can be called once.
    ///
    /// # Errors
    /// The operations', or if it was called before.
    pub fn backward(&self) -> Result<Gradients> {
        self.backward_from(self.value.ones_like()?)
    }

    /// The gradients of the sum of all elements weighted by `gradient`, as [`backward`].
    ///
    /// # Errors
    /// The operations', or if it was called before.
    ///
    /// [`backward`]: Self::backward
    pub fn backward_from(&self, gradient: Tensor) -> Result<Gradients> {
        let mut gradients = Gradients::default();
        let mut pending = BTreeMap::new();
        self.origin
            .receive(gradient, &mut gradients, &mut pending)?;
        // A node's gradient is complete when all nodes with larger numbers are done.
        while let Some((_, (node, gradient))) = pending.pop_last() {
            let Some((inputs, backward)) = node.take() else {
                bail!("gradients of one operation were asked for twice");
            };
            let wanted: Vec<bool> = inputs.iter().map(Origin::is_wanted).collect();
            let of_inputs = backward(&gradient, &wanted)?;
            for (input, gradient) in inputs.iter().zip(of_inputs) {
                if let Some(gradient) = gradient {
                    input.receive(gradient, &mut gradients, &mut pending)?;
                }
            }
        }
        Ok(gradients)
    }
}

/// Nodes with the gradients received so far, by number.
type Pending = BTreeMap<u64, (Arc<Node>, Tensor)>;

impl Origin {
    fn is_wanted(&self) -> bool {
        !matches!(self, Self::Constant)
    }

    fn receive(
        &self,
        gradient: Tensor,
        gradients: &mut Gradients,
        pending: &mut Pending,
    ) -> Result<()> {
        match self {
            Self::Constant => {}
            Self::Leaf(id) => {
                let sum = match gradients.by_leaf.remove(id) {
                    Some(before) => (before + gradient)?,
                    None => gradient,
                };
                gradients.by_leaf.insert(*id, sum);
            }
            Self::Node(node) => {
                let sum = match pending.remove(&node.number) {
                    Some((_, before)) => (before + gradient)?,
                    None => gradient,
                };
                pending.insert(node.number, (node.clone(), sum));
            }
        }
        Ok(())
    }
}

/// A leaf if the tensor is a Candle variable, else a constant.
impl From<&Tensor> for Traced {
    fn from(tensor: &Tensor) -> Self {
        let origin = match tensor.is_variable() {
            true => Origin::Leaf(tensor.id()),
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

/// The same value, of the same origin.
impl From<&Traced> for Traced {
    fn from(traced: &Traced) -> Self {
        traced.clone()
    }
}

/// Gradients by the leaves they are of.
#[derive(Default)]
pub struct Gradients {
    by_leaf: HashMap<TensorId, Tensor>,
}

impl Gradients {
    /// The gradient by a variable, or by the tensor of a [`Traced::leaf`]; none if the
    /// differentiated value does not depend on it.
    pub fn get(&self, leaf: &Tensor) -> Option<&Tensor> {
        self.by_leaf.get(&leaf.id())
    }

    /// Replaces the gradient by a leaf.
    pub fn insert(&mut self, leaf: &Tensor, gradient: Tensor) {
        self.by_leaf.insert(leaf.id(), gradient);
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn variable(value: f32) -> Var {
        Var::new(value, &Device::Cpu).unwrap()
    }

    /// The product of two scalars.
    fn product(a: &Traced, b: &Traced) -> Traced {
        let (x, y) = (a.value.clone(), b.value.clone());
        let value = (&x * &y).unwrap();
        Traced::node(&[a, b], value, move |gradient, wanted| {
            let by = |other: &Tensor, wanted: bool| wanted.then(|| gradient * other).transpose();
            Ok(vec![by(&y, wanted[0])?, by(&x, wanted[1])?])
        })
    }

    #[test]
    fn gradients_of_all_paths_are_summed_and_constants_have_none() {
        let (a, b) = (variable(3.0), variable(5.0));
        let constant = Tensor::new(7f32, &Device::Cpu).unwrap();
        let [x, y, c] = [a.as_tensor(), b.as_tensor(), &constant].map(Traced::from);
        // (a b + a) a + 7 a
        let inner = product(&x, &y).add(&x).unwrap();
        let whole = product(&inner, &x).add(&product(&c, &x)).unwrap();
        assert_eq!(whole.value().to_scalar::<f32>().unwrap(), 75.0);
        let gradients = whole.backward().unwrap();
        let of = |tensor: &Tensor| gradients.get(tensor).map(|g| g.to_scalar::<f32>().unwrap());
        assert_eq!(of(&a), Some(2.0 * 3.0 * 5.0 + 2.0 * 3.0 + 7.0));
        assert_eq!(of(&b), Some(9.0));
        assert_eq!(of(&constant), None);
        assert!(whole.backward().is_err());
    }

    #[test]
    fn deep_graphs_need_no_stack() {
        let a = variable(1.0);
        let one = Traced::from(&a);
        let long = || (0..100_000).try_fold(one.clone(), |sum, _| sum.add(&one));
        let gradients = long().unwrap().backward().unwrap();
        let of_a: f32 = gradients.get(&a).unwrap().to_scalar().unwrap();
        assert_eq!(of_a, 100_001.0);
        drop(long().unwrap());
    }

    #[test]
    fn a_plain_tensor_can_be_a_leaf() {
        let a = variable(3.0);
        // Computed by Candle from a variable, as well as plain.
        for tensor in [
            (a.as_tensor() * 2.0).unwrap(),
            Tensor::new(6f32, &Device::Cpu).unwrap(),
        ] {
            let leaf = Traced::leaf(&tensor);
            let square = product(&leaf, &leaf);
            let gradients = square.backward().unwrap();
            let slope: f32 = gradients.get(&tensor).unwrap().to_scalar().unwrap();
            assert_eq!(slope, 12.0);
            assert!(gradients.get(&a).is_none());
        }
    }
}
