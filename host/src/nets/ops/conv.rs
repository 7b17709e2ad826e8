//! Dense convolution.
//!
//! At stride 1 in [frames](super::frame), without gathering; at larger strides (the stems) in
//! [patches](super::patches).

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

#[cfg(feature = "cuda")]
use super::cuda;
use super::frame::{Frame, turn_over};
use super::{Padding, elements, patches, sum_in_order};

/// Convolves `x` (`N x I x H x W`) with `weight` (`O x I x k x k`, `k` odd) to
/// `N x O x ceil(H / stride) x ceil(W / stride)`.
///
/// # Errors
/// If the shapes do not fit.
pub fn conv2d(x: &Tensor, weight: &Tensor, stride: usize, padding: Padding) -> Result<Tensor> {
    x.contiguous()?
        .apply_op2(weight, Convolution { stride, padding })
}

#[derive(Clone, Copy)]
struct Convolution {
    stride: usize,
    padding: Padding,
}

/// The sizes of one convolution.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    pub films: usize,
    pub inputs: usize,
    pub height: usize,
    pub width: usize,
    pub outputs: usize,
    pub kernel: usize,
    pub stride: usize,
    /// Zeros above and left of a map.
    pub before: (usize, usize),
    pub out_height: usize,
    pub out_width: usize,
}

impl Sizes {
    fn new(x: &[usize], weight: &[usize], op: Convolution) -> Result<Self> {
        let (&[films, inputs, height, width], &[outputs, w_inputs, kernel, kernel_w]) = (x, weight)
        else {
            bail!("a convolution needs a 4-d input and kernel, got {x:?} and {weight:?}");
        };
        let Convolution { stride, padding } = op;
        if w_inputs != inputs || kernel != kernel_w || kernel % 2 == 0 || stride == 0 {
            bail!("a convolution of {x:?} cannot use a kernel of {weight:?} at stride {stride}");
        }
        if height == 0 || width == 0 {
            bail!("a map of {height} x {width} has nothing to convolve");
        }
        Ok(Self {
            films,
            inputs,
            height,
            width,
            outputs,
            kernel,
            stride,
            before: (
                padding.before(height, kernel, stride),
                padding.before(width, kernel, stride),
            ),
            out_height: height.div_ceil(stride),
            out_width: width.div_ceil(stride),
        })
    }

    pub fn map(&self) -> usize {
        self.height * self.width
    }

    pub fn out_map(&self) -> usize {
        self.out_height * self.out_width
    }

    pub fn taps(&self) -> usize {
        self.kernel * self.kernel
    }

    /// Films handled together at stride 1: small maps are joined so that the matrix products
    /// stay wide. Depends on shapes alone, never on the number of threads.
    fn films_together(&self) -> usize {
        (1024 / self.map()).clamp(1, self.films.div_ceil(4))
    }

    /// How the films of `x` lie together at stride 1.
    fn frame(&self, x: &[f32]) -> Frame {
        Frame {
            films: x.len() / (self.inputs * self.map()),
            height: self.height,
            width: self.width,
            border: self.kernel / 2,
        }
    }
}

impl CustomOp2 for Convolution {
    fn name(&self) -> &'static str {
        "convolution"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let sizes = Sizes::new(x_layout.dims(), weight_layout.dims(), *self)?;
        let (x, weight) = (elements(x, x_layout)?, elements(weight, weight_layout)?);
        let y = if self.stride == 1 {
            shifted_forward(x, weight, sizes)
        } else {
            patches::forward(x, weight, sizes)
        };
        let shape = (
            sizes.films,
            sizes.outputs,
            sizes.out_height,
            sizes.out_width,
        );
        Ok((CpuStorage::F32(y), Shape::from(shape)))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        weight: &CudaStorage,
        weight_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let sizes = Sizes::new(x_layout.dims(), weight_layout.dims(), *self)?;
        cuda::conv::forward((x, x_layout), (weight, weight_layout), &sizes)
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _y: &Tensor,
        y_gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let y_gradient = y_gradient.contiguous()?;
        let op = *self;
        let x_gradient = x
            .track_op()
            .then(|| {
                let shape = x.dims().to_vec();
                y_gradient.apply_op2_no_bwd(weight, &DataGradient { op, shape })
            })
            .transpose()?;
        let weight_gradient = weight
            .track_op()
            .then(|| {
                let shape = weight.dims().to_vec();
                x.apply_op2_no_bwd(&y_gradient, &WeightGradient { op, shape })
            })
            .transpose()?;
        Ok((x_gradient, weight_gradient))
    }
}

/// The gradient of the input, from the output's gradient and the kernel.
struct DataGradient {
    op: Convolution,
    shape: Vec<usize>,
}

impl CustomOp2 for DataGradient {
    fn name(&self) -> &'static str {
        "convolution data gradient"
    }

    fn cpu_fwd(
        &self,
        y_gradient: &CpuStorage,
        y_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let sizes = Sizes::new(&self.shape, weight_layout.dims(), self.op)?;
        let y_gradient = elements(y_gradient, y_layout)?;
        let weight = elements(weight, weight_layout)?;
        let x_gradient = if self.op.stride == 1 {
            let turned = turn_over(weight, (sizes.inputs, sizes.outputs));
            let mirrored = Sizes {
                inputs: sizes.outputs,
                outputs: sizes.inputs,
                ..sizes
            };
            shifted_forward(y_gradient, &turned, mirrored)
        } else {
            patches::data_gradient(y_gradient, weight, sizes)
        };
        Ok((CpuStorage::F32(x_gradient), Shape::from(self.shape.clone())))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        y_gradient: &CudaStorage,
        y_gradient_layout: &Layout,
        weight: &CudaStorage,
        weight_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let sizes = Sizes::new(&self.shape, weight_layout.dims(), self.op)?;
        let y_gradient = (y_gradient, y_gradient_layout);
        cuda::conv::data_gradient(y_gradient, (weight, weight_layout), &sizes)
    }
}

/// The gradient of the kernel, from the input and the output's gradient.
struct WeightGradient {
    op: Convolution,
    shape: Vec<usize>,
}

impl CustomOp2 for WeightGradient {
    fn name(&self) -> &'static str {
        "convolution weight gradient"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        y_gradient: &CpuStorage,
        y_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let sizes = Sizes::new(x_layout.dims(), &self.shape, self.op)?;
        let (x, y_gradient) = (elements(x, x_layout)?, elements(y_gradient, y_layout)?);
        let gradient = if self.op.stride == 1 {
            shifted_weight_gradient(x, y_gradient, sizes)
        } else {
            patches::weight_gradient(x, y_gradient, sizes)
        };
        Ok((CpuStorage::F32(gradient), Shape::from(self.shape.clone())))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        y_gradient: &CudaStorage,
        y_gradient_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let sizes = Sizes::new(x_layout.dims(), &self.shape, self.op)?;
        let y_gradient = (y_gradient, y_gradient_layout);
        cuda::conv::weight_gradient((x, x_layout), y_gradient, &sizes)
    }
}

fn shifted_forward(x: &[f32], weight: &[f32], sizes: Sizes) -> Vec<f32> {
    let Sizes {
        inputs, outputs, ..
    } = sizes;
    let together = sizes.films_together();
    let mut y = vec![0.0; sizes.films * outputs * sizes.map()];
    y.par_chunks_mut(together * outputs * sizes.map())
        .zip(x.par_chunks(together * inputs * sizes.map()))
        .for_each(|(y, x)| {
            let frame = sizes.frame(x);
            if frame.border == 0 && frame.films == 1 {
                frame.convolve(x, weight, (inputs, outputs), y);
            } else {
                let rows = frame.lay_out(x, inputs);
                let mut out = vec![0.0; outputs * frame.row()];
                frame.convolve(&rows, weight, (inputs, outputs), &mut out);
                frame.pick_up(&out, outputs, y);
            }
        });
    y
}

fn shifted_weight_gradient(x: &[f32], y_gradient: &[f32], sizes: Sizes) -> Vec<f32> {
    let Sizes {
        inputs, outputs, ..
    } = sizes;
    let together = sizes.films_together();
    let parts = x
        .par_chunks(together * inputs * sizes.map())
        .zip(y_gradient.par_chunks(together * outputs * sizes.map()))
        .map(|(x, y_gradient)| {
            let frame = sizes.frame(x);
            let mut part = vec![0.0; outputs * inputs * sizes.taps()];
            if frame.border == 0 && frame.films == 1 {
                frame.add_weight_gradient(x, y_gradient, (inputs, outputs), &mut part);
            } else {
                let rows = frame.lay_out(x, inputs);
                let output_rows = frame.lay_out(y_gradient, outputs);
                frame.add_weight_gradient(&rows, &output_rows, (inputs, outputs), &mut part);
            }
            part
        })
        .collect();
    sum_in_order(parts)
}
