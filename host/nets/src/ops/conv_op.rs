//! The part that dense and depthwise convolution share: they take maps and a kernel, and the
//! gradient of each is an operation of its own.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, bail};

use super::storage::elements;
use crate::autodiff::Traced;

/// A kind of convolution, with its settings.
pub(super) trait Convolving: Copy + Send + Sync + 'static {
    /// The sizes of one convolution.
    type Sizes;

    /// Names of the operation, and of the gradients of the maps and of the kernel.
    const NAMES: [&'static str; 3];

    /// The sizes of the convolution of maps of one shape with a kernel of another.
    ///
    /// # Errors
    /// If the kernel cannot be used on the maps.
    fn sizes(self, x: &[usize], weight: &[usize]) -> Result<Self::Sizes>;

    /// The shape of the outputs.
    fn outputs(sizes: &Self::Sizes) -> [usize; 4];

    /// The outputs, from the maps and the kernel.
    fn forward(x: &[f32], weight: &[f32], sizes: &Self::Sizes) -> Vec<f32>;

    /// The gradient of the maps, from that of the outputs and the kernel.
    fn data_gradient(y_gradient: &[f32], weight: &[f32], sizes: &Self::Sizes) -> Vec<f32>;

    /// The gradient of the kernel, from the maps and the gradient of the outputs.
    fn weight_gradient(x: &[f32], y_gradient: &[f32], sizes: &Self::Sizes) -> Vec<f32>;

    /// The forward pass and the two gradients on a GPU.
    #[cfg(feature = "cuda")]
    const ON_CUDA: [OnCuda<Self>; 3];
}

/// One of the three operations on a GPU: the convolution, two operands, and its sizes.
#[cfg(feature = "cuda")]
pub(super) type OnCuda<C> = fn(
    C,
    (&CudaStorage, &Layout),
    (&CudaStorage, &Layout),
    &<C as Convolving>::Sizes,
) -> Result<(CudaStorage, Shape)>;

/// Convolves `x` with `weight`.
///
/// # Errors
/// If the shapes do not fit.
pub(super) fn convolved<C: Convolving>(x: &Traced, weight: &Traced, op: C) -> Result<Traced> {
    let (maps, kernel) = (x.value().contiguous()?, weight.value().contiguous()?);
    let y = maps.apply_op2_no_bwd(&kernel, &Forward(op))?;
    Ok(Traced::node(&[x, weight], y, move |gradient, wanted| {
        let gradient = gradient.contiguous()?;
        let of_maps = || {
            let shape = maps.dims().to_vec();
            gradient.apply_op2_no_bwd(&kernel, &DataGradient { op, shape })
        };
        let of_kernel = || {
            let shape = kernel.dims().to_vec();
            maps.apply_op2_no_bwd(&gradient, &WeightGradient { op, shape })
        };
        Ok(vec![
            wanted[0].then(of_maps).transpose()?,
            wanted[1].then(of_kernel).transpose()?,
        ])
    }))
}

/// The forward pass.
struct Forward<C>(C);

impl<C: Convolving> CustomOp2 for Forward<C> {
    fn name(&self) -> &'static str {
        C::NAMES[0]
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let sizes = self.0.sizes(x_layout.dims(), weight_layout.dims())?;
        let (x, weight) = (elements(x, x_layout)?, elements(weight, weight_layout)?);
        let y = C::forward(x, weight, &sizes);
        Ok((CpuStorage::F32(y), Shape::from(&C::outputs(&sizes))))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        weight: &CudaStorage,
        weight_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let sizes = self.0.sizes(x_layout.dims(), weight_layout.dims())?;
        C::ON_CUDA[0](self.0, (x, x_layout), (weight, weight_layout), &sizes)
    }
}

/// Refuses a gradient that has not the outputs' shape.
fn check_gradient<C: Convolving>(gradient: &Layout, sizes: &C::Sizes) -> Result<()> {
    let outputs = C::outputs(sizes);
    if gradient.dims() != outputs {
        bail!(
            "the gradient of outputs of {outputs:?} has shape {:?}",
            gradient.dims()
        );
    }
    Ok(())
}

/// The gradient of the maps, of `shape`, from the outputs' gradient and the kernel.
struct DataGradient<C> {
    op: C,
    shape: Vec<usize>,
}

impl<C: Convolving> CustomOp2 for DataGradient<C> {
    fn name(&self) -> &'static str {
        C::NAMES[1]
    }

    fn cpu_fwd(
        &self,
        y_gradient: &CpuStorage,
        y_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let sizes = self.op.sizes(&self.shape, weight_layout.dims())?;
        check_gradient::<C>(y_layout, &sizes)?;
        let y_gradient = elements(y_gradient, y_layout)?;
        let weight = elements(weight, weight_layout)?;
        let x_gradient = C::data_gradient(y_gradient, weight, &sizes);
        Ok((CpuStorage::F32(x_gradient), Shape::from(self.shape.clone())))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        y_gradient: &CudaStorage,
        y_layout: &Layout,
        weight: &CudaStorage,
        weight_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let sizes = self.op.sizes(&self.shape, weight_layout.dims())?;
        check_gradient::<C>(y_layout, &sizes)?;
        C::ON_CUDA[1](
            self.op,
            (y_gradient, y_layout),
            (weight, weight_layout),
            &sizes,
        )
    }
}

/// The gradient of the kernel, of `shape`, from the maps and the outputs' gradient.
struct WeightGradient<C> {
    op: C,
    shape: Vec<usize>,
}

impl<C: Convolving> CustomOp2 for WeightGradient<C> {
    fn name(&self) -> &'static str {
        C::NAMES[2]
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        y_gradient: &CpuStorage,
        y_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let sizes = self.op.sizes(x_layout.dims(), &self.shape)?;
        check_gradient::<C>(y_layout, &sizes)?;
        let (x, y_gradient) = (elements(x, x_layout)?, elements(y_gradient, y_layout)?);
        let gradient = C::weight_gradient(x, y_gradient, &sizes);
        Ok((CpuStorage::F32(gradient), Shape::from(self.shape.clone())))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        y_gradient: &CudaStorage,
        y_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let sizes = self.op.sizes(x_layout.dims(), &self.shape)?;
        check_gradient::<C>(y_layout, &sizes)?;
        C::ON_CUDA[2](self.op, (x, x_layout), (y_gradient, y_layout), &sizes)
    }
}
