//! Dense convolution by cuDNN.
//!
//! cuDNN is asked once for the algorithm that it recommends for a shape. If that needs a larger
//! workspace than it may have, or adds in no fixed order, the first algorithm of a list that cuDNN
//! has for the shape is taken instead.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use candle_core::cuda_backend::cudarc::cudnn::sys::{
    cudnnConvolutionBwdDataAlgo_t as DataAlgorithm,
    cudnnConvolutionBwdFilterAlgo_t as FilterAlgorithm,
    cudnnConvolutionFwdAlgo_t as ForwardAlgorithm, cudnnConvolutionMode_t, cudnnMathType_t,
    cudnnStatus_t, cudnnTensorFormat_t,
};
use candle_core::cuda_backend::cudarc::cudnn::{
    ConvBackwardData, ConvBackwardFilter, ConvDescriptor, ConvForward, Cudnn, CudnnError,
    FilterDescriptor, TensorDescriptor,
};
use candle_core::cuda_backend::cudarc::driver::{CudaSlice, CudaView};
use candle_core::cuda_backend::{CudaDevice, DeviceId};
use candle_core::{CudaStorage, Error, Layout, Result, Shape};

use super::super::conv_sizes::ConvSizes;
use super::element::{Element, by_element};
use super::kernels::Window;
use super::launch::Blocks;
use super::memory::{buffer, elements, integers, small, storage};

/// The descriptors and algorithms of a convolution, which depend on its shape alone.
struct Plan<T> {
    conv: ConvDescriptor<f32>,
    x: TensorDescriptor<T>,
    weight: FilterDescriptor<T>,
    y: TensorDescriptor<T>,
    forward: (ForwardAlgorithm, usize),
    data: (DataAlgorithm, usize),
    filter: (FilterAlgorithm, usize),
}

/// The largest workspace of an algorithm, in bytes.
const WORKSPACE: usize = 1 << 30;

/// The algorithms to try after the one that cuDNN recommends; the first of the backward ones
/// replaces those that add in no fixed order (`ALGO_0` of both and `ALGO_3` of the filter's).
const FORWARD: [ForwardAlgorithm; 2] = [
    ForwardAlgorithm::CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM,
    ForwardAlgorithm::CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM,
];
const DATA: [DataAlgorithm; 4] = [
    DataAlgorithm::CUDNN_CONVOLUTION_BWD_DATA_ALGO_1,
    DataAlgorithm::CUDNN_CONVOLUTION_BWD_DATA_ALGO_WINOGRAD_NONFUSED,
    DataAlgorithm::CUDNN_CONVOLUTION_BWD_DATA_ALGO_FFT_TILING,
    DataAlgorithm::CUDNN_CONVOLUTION_BWD_DATA_ALGO_FFT,
];
const FILTER: [FilterAlgorithm; 4] = [
    FilterAlgorithm::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1,
    FilterAlgorithm::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_WINOGRAD_NONFUSED,
    FilterAlgorithm::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_FFT_TILING,
    FilterAlgorithm::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_FFT,
];

/// The first algorithm that cuDNN has for a shape and that needs at most [`WORKSPACE`], and the
/// bytes it needs; cuDNN's refusal of the last one if there is none.
fn first_fitting<A: Copy>(
    picked: A,
    others: &[A],
    needs: impl Fn(A) -> std::result::Result<usize, CudnnError>,
) -> std::result::Result<(A, usize), CudnnError> {
    let mut fitting = Err(CudnnError(cudnnStatus_t::CUDNN_STATUS_NOT_SUPPORTED));
    for algorithm in std::iter::once(picked).chain(others.iter().copied()) {
        match needs(algorithm) {
            Ok(bytes) if bytes <= WORKSPACE => return Ok((algorithm, bytes)),
            Ok(_) => {}
            Err(refusal) => fitting = Err(refusal),
        }
    }
    fitting
}

/// Device; films, inputs, outputs, height, width, kernel, stride, padding; and true if TF32 is
/// allowed.
type Key = (DeviceId, [i32; 8], bool);

/// A thread's handles, plans and workspace of cuDNN; the stream's order lets all convolutions share
/// the workspace.
#[derive(Default)]
struct Library {
    handles: HashMap<DeviceId, Arc<Cudnn>>,
    f32: HashMap<Key, Rc<Plan<f32>>>,
    bf16: HashMap<Key, Rc<Plan<half::bf16>>>,
    workspace: HashMap<DeviceId, CudaSlice<u8>>,
}

thread_local! {
    static LIBRARY: RefCell<Library> = RefCell::default();
}

/// An element whose plans are kept.
trait Planned: Element {
    /// The plans for elements of this type.
    fn plans(library: &mut Library) -> &mut HashMap<Key, Rc<Plan<Self>>>
    where
        Self: Sized;
}

impl Planned for f32 {
    fn plans(library: &mut Library) -> &mut HashMap<Key, Rc<Plan<Self>>> {
        &mut library.f32
    }
}

impl Planned for half::bf16 {
    fn plans(library: &mut Library) -> &mut HashMap<Key, Rc<Plan<Self>>> {
        &mut library.bf16
    }
}

impl<T: Planned> Plan<T> {
    /// A plan for maps that are already padded to `height x width` where `padding` is 0.
    fn new(handle: &Arc<Cudnn>, key: &Key) -> std::result::Result<Self, CudnnError> {
        let &(
            _,
            [
                films,
                inputs,
                outputs,
                height,
                width,
                kernel,
                stride,
                padding,
            ],
            tf32,
        ) = key;
        let out = |size: i32| (size + 2 * padding - kernel) / stride + 1;
        let mode = cudnnConvolutionMode_t::CUDNN_CROSS_CORRELATION;
        let mut conv = handle.create_conv2d([padding; 2], [stride; 2], [1; 2], mode)?;
        conv.set_math_type(if T::SUFFIX == f32::SUFFIX && !tf32 {
            cudnnMathType_t::CUDNN_FMA_MATH
        } else {
            cudnnMathType_t::CUDNN_TENSOR_OP_MATH
        })?;
        let format = cudnnTensorFormat_t::CUDNN_TENSOR_NCHW;
        let x = handle.create_4d_tensor(format, [films, inputs, height, width])?;
        let weight = handle.create_4d_filter(format, [outputs, inputs, kernel, kernel])?;
        let y = handle.create_4d_tensor(format, [films, outputs, out(height), out(width)])?;
        let forward = {
            let operation = ConvForward {
                conv: &conv,
                x: &x,
                w: &weight,
                y: &y,
            };
            first_fitting(operation.pick_algorithm()?, &FORWARD, |algorithm| {
                operation.get_workspace_size(algorithm)
            })?
        };
        let data = {
            let operation = ConvBackwardData {
                conv: &conv,
                dx: &x,
                w: &weight,
                dy: &y,
            };
            let picked = match operation.pick_algorithm()? {
                DataAlgorithm::CUDNN_CONVOLUTION_BWD_DATA_ALGO_0 => DATA[0],
                ordered => ordered,
            };
            first_fitting(picked, &DATA, |algorithm| {
                operation.get_workspace_size(algorithm)
            })?
        };
        let filter = {
            let operation = ConvBackwardFilter {
                conv: &conv,
                x: &x,
                dw: &weight,
                dy: &y,
            };
            let picked = match operation.pick_algorithm()? {
                FilterAlgorithm::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_0
                | FilterAlgorithm::CUDNN_CONVOLUTION_BWD_FILTER_ALGO_3 => FILTER[0],
                ordered => ordered,
            };
            first_fitting(picked, &FILTER, |algorithm| {
                operation.get_workspace_size(algorithm)
            })?
        };
        Ok(Self {
            conv,
            x,
            weight,
            y,
            forward,
            data,
            filter,
        })
    }
}

impl Library {
    /// The plan of a convolution, made once.
    fn plan<T: Planned>(
        &mut self,
        device: &CudaDevice,
        geometry: &Geometry,
    ) -> Result<Rc<Plan<T>>> {
        let key = (device.id(), geometry.key, geometry.tf32);
        if let Some(plan) = T::plans(self).get(&key) {
            return Ok(plan.clone());
        }
        let handle = match self.handles.get(&device.id()) {
            Some(handle) => handle.clone(),
            None => {
                let handle = Cudnn::new(device.cuda_stream()).map_err(Error::wrap)?;
                self.handles.insert(device.id(), handle.clone());
                handle
            }
        };
        let plan = Rc::new(Plan::new(&handle, &key).map_err(Error::wrap)?);
        T::plans(self).insert(key, plan.clone());
        Ok(plan)
    }

    /// A workspace of at least so many bytes.
    fn workspace(&mut self, device: &CudaDevice, bytes: usize) -> Result<&mut CudaSlice<u8>> {
        let held = self.workspace.get(&device.id());
        if held.is_none_or(|held| held.len() < bytes) {
            // SAFETY: cuDNN reads of its workspace only bytes that it has written.
            let memory = unsafe { device.alloc::<u8>(bytes.max(1)) }?;
            self.workspace.insert(device.id(), memory);
        }
        self.workspace
            .get_mut(&device.id())
            .ok_or_else(|| Error::msg("there is no memory for cuDNN's workspace"))
    }
}

/// Launches an operation of a convolution's plan with a workspace of at least the `bytes` it needs.
fn with_plan<T: Planned>(
    device: &CudaDevice,
    geometry: &Geometry,
    bytes: impl FnOnce(&Plan<T>) -> usize,
    launch: impl FnOnce(&Plan<T>, &mut CudaSlice<u8>) -> std::result::Result<(), CudnnError>,
) -> Result<()> {
    LIBRARY.with_borrow_mut(|library| {
        let plan = library.plan::<T>(device, geometry)?;
        let workspace = library.workspace(device, bytes(&plan))?;
        launch(&plan, workspace).map_err(Error::wrap)
    })
}

/// A convolution as cuDNN takes it: with as many zeros on one side as on the other, or on maps that
/// were framed before.
struct Geometry {
    key: [i32; 8],
    /// True if factors may be rounded to TF32.
    tf32: bool,
    /// The zeros above and left, and the framed maps' height and width; none where cuDNN pads.
    framed: Option<((usize, usize), (usize, usize))>,
}

impl Geometry {
    fn new(sizes: &ConvSizes, tf32: bool) -> Result<Self> {
        let ConvSizes {
            films,
            inputs,
            outputs,
            height,
            width,
            kernel,
            stride,
            before,
            ..
        } = *sizes;
        let half = kernel / 2;
        let symmetric = |size: usize, before: usize, out: usize| {
            before == half && (size + 2 * half - kernel) / stride + 1 == out
        };
        let (out_height, out_width) = (sizes.out_height, sizes.out_width);
        if symmetric(height, before.0, out_height) && symmetric(width, before.1, out_width) {
            let key = integers([films, inputs, outputs, height, width, kernel, stride, half])?;
            return Ok(Self {
                key,
                tf32,
                framed: None,
            });
        }
        let whole = |out: usize| (out - 1) * stride + kernel;
        let frame = (whole(out_height), whole(out_width));
        let key = integers([films, inputs, outputs, frame.0, frame.1, kernel, stride, 0])?;
        Ok(Self {
            key,
            tf32,
            framed: Some((before, frame)),
        })
    }
}

/// Planes of `from` (height and width) as planes of `to`, moved down and right by so many places.
fn moved<T: Element>(
    device: &CudaDevice,
    x: &CudaView<T>,
    from: (usize, usize),
    to: (usize, usize),
    (down, right): (i32, i32),
) -> Result<CudaSlice<T>> {
    let total = x.len() / (from.0 * from.1) * to.0 * to.1;
    let mut y = buffer::<T>(device, total)?;
    let (grid, count) = (Blocks::Elements(total), small(total)?);
    let [height, width, out_height, out_width] = integers([from.0, from.1, to.0, to.1])?;
    let (down, right) = (-down, -right);
    let kernel = Window {
        x,
        y: &mut y,
        height,
        width,
        out_height,
        out_width,
        down_by: down,
        right_by: right,
        count,
    };
    // SAFETY: `y` was made for as many planes as `x` has, each of the new size.
    unsafe { kernel.launch(device, grid) }?;
    Ok(y)
}

/// The maps inside the frame of the geometry, where it has one.
fn framed<T: Element>(
    device: &CudaDevice,
    x: &CudaView<T>,
    sizes: &ConvSizes,
    geometry: &Geometry,
) -> Result<Option<CudaSlice<T>>> {
    let Some((before, frame)) = geometry.framed else {
        return Ok(None);
    };
    let shift = (before.0 as i32, before.1 as i32);
    moved(device, x, (sizes.height, sizes.width), frame, shift).map(Some)
}

/// The outputs.
pub fn forward(
    x: (&CudaStorage, &Layout),
    weight: (&CudaStorage, &Layout),
    sizes: &ConvSizes,
    tf32: bool,
) -> Result<(CudaStorage, Shape)> {
    let device = &x.0.device;
    let geometry = Geometry::new(sizes, tf32)?;
    let shape = (
        sizes.films,
        sizes.outputs,
        sizes.out_height,
        sizes.out_width,
    );
    let y = by_element!(x.0, T => {
        let (x, weight) = (elements::<T>(x.0, x.1)?, elements::<T>(weight.0, weight.1)?);
        let held = framed(device, &x, sizes, &geometry)?;
        let x = held.as_ref().map_or(x, CudaSlice::as_view);
        let mut y = buffer::<T>(device, sizes.films * sizes.outputs * sizes.out_map())?;
        with_plan::<T>(device, &geometry, |plan| plan.forward.1, |plan, workspace| {
            let operation = ConvForward { conv: &plan.conv, x: &plan.x, w: &plan.weight, y: &plan.y };
            let factors = (T::ONE, T::ZERO);
            // SAFETY: the slices are of the shapes and types that the plan was made for.
            unsafe { operation.launch(plan.forward.0, Some(workspace), factors, &x, &weight, &mut y) }
        })?;
        storage(y, device)
    });
    Ok((y, Shape::from(shape)))
}

/// The gradient of the maps.
pub fn data_gradient(
    y_gradient: (&CudaStorage, &Layout),
    weight: (&CudaStorage, &Layout),
    sizes: &ConvSizes,
    tf32: bool,
) -> Result<(CudaStorage, Shape)> {
    let device = &y_gradient.0.device;
    let geometry = Geometry::new(sizes, tf32)?;
    let shape = (sizes.films, sizes.inputs, sizes.height, sizes.width);
    let x_gradient = by_element!(y_gradient.0, T => {
        let dy = elements::<T>(y_gradient.0, y_gradient.1)?;
        let weight = elements::<T>(weight.0, weight.1)?;
        let map = geometry.framed.map_or(sizes.map(), |(_, frame)| frame.0 * frame.1);
        let mut dx = buffer::<T>(device, sizes.films * sizes.inputs * map)?;
        with_plan::<T>(device, &geometry, |plan| plan.data.1, |plan, workspace| {
            let operation =
                ConvBackwardData { conv: &plan.conv, dx: &plan.x, w: &plan.weight, dy: &plan.y };
            let factors = (T::ONE, T::ZERO);
            // SAFETY: the slices are of the shapes and types that the plan was made for.
            unsafe { operation.launch(plan.data.0, Some(workspace), factors, &mut dx, &weight, &dy) }
        })?;
        if let Some((before, frame)) = geometry.framed {
            let shift = (-(before.0 as i32), -(before.1 as i32));
            dx = moved(device, &dx.as_view(), frame, (sizes.height, sizes.width), shift)?;
        }
        storage(dx, device)
    });
    Ok((x_gradient, Shape::from(shape)))
}

/// The gradient of the kernel.
pub fn weight_gradient(
    x: (&CudaStorage, &Layout),
    y_gradient: (&CudaStorage, &Layout),
    sizes: &ConvSizes,
    tf32: bool,
) -> Result<(CudaStorage, Shape)> {
    let device = &x.0.device;
    let geometry = Geometry::new(sizes, tf32)?;
    let shape = (sizes.outputs, sizes.inputs, sizes.kernel, sizes.kernel);
    let gradient = by_element!(x.0, T => {
        let (x, dy) = (elements::<T>(x.0, x.1)?, elements::<T>(y_gradient.0, y_gradient.1)?);
        let held = framed(device, &x, sizes, &geometry)?;
        let x = held.as_ref().map_or(x, CudaSlice::as_view);
        let mut dw = buffer::<T>(device, sizes.outputs * sizes.inputs * sizes.taps())?;
        with_plan::<T>(device, &geometry, |plan| plan.filter.1, |plan, workspace| {
            let operation =
                ConvBackwardFilter { conv: &plan.conv, x: &plan.x, dw: &plan.weight, dy: &plan.y };
            let factors = (T::ONE, T::ZERO);
            // SAFETY: the slices are of the shapes and types that the plan was made for.
            unsafe { operation.launch(plan.filter.0, Some(workspace), factors, &x, &mut dw, &dy) }
        })?;
        storage(dw, device)
    });
    Ok((gradient, Shape::from(shape)))
}
