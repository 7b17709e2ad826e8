//! The kernels of `kernels.cu`, each with its arguments by name, in its order and of its types.

use candle_core::cuda_backend::CudaDevice;
use candle_core::cuda_backend::cudarc::driver::{CudaSlice, CudaView, CudaViewMut};
use candle_core::{Error, Result};

use super::element::Element;
use super::launch::{Argument, Blocks, function, grid};

/// Defines a kernel: its arguments as a structure, and its launch.
macro_rules! kernel {
    (@suffix) => { "" };
    (@suffix $element:ident) => { $element::SUFFIX };
    (
        $(#[doc = $doc:literal])+
        # Safety
        $(#[doc = $safety:literal])+
        $kernel:ident$(<$element:ident>)? = $name:literal {
            $($argument:ident: $type:ty,)+
        }
    ) => {
        $(#[doc = $doc])+
        pub struct $kernel<'a, $($element)?> {
            $(pub $argument: $type,)+
        }

        impl<'a, $($element: Element)?> $kernel<'a, $($element)?> {
            /// Launches the kernel on a device's stream.
            ///
            /// # Safety
            $(#[doc = $safety])+
            /// Memory that is written is initialised only once the kernel has run.
            pub unsafe fn launch(mut self, device: &CudaDevice, blocks: Blocks) -> Result<()> {
                let function = function(device, $name, kernel!(@suffix $($element)?))?;
                let stream = device.cuda_stream();
                let mut launch = stream.launch_builder(&function);
                $(Argument::push(&mut self.$argument, &mut launch);)+
                // SAFETY: the arguments are of the kernel's types and in its order, and the caller
                // answers for the memory behind them.
                unsafe { launch.launch(grid(blocks)?) }.map_err(Error::wrap)?;
                Ok(())
            }
        }
    };
}

kernel! {
    /// The sum of each channel's elements over each span, and the sum of squares of their
    /// difference from the span's mean.
    # Safety
    /// `x` has `films * channels * map` elements; `means` and `squares` have one for each channel
    /// (the grid's columns) and span (its rows).
    SpanMoments<T> = "span_moments" {
        x: &'a CudaView<'a, T>,
        means: &'a mut CudaSlice<f32>,
        squares: &'a mut CudaSlice<f32>,
        films: i32,
        channels: i32,
        map: i32,
    }
}

kernel! {
    /// Mean and biased variance of each channel, `2 x C`, from those of its spans.
    # Safety
    /// `means` and `squares` have `channels * spans` elements, `both` has `2 * channels`.
    JoinedMoments = "joined_moments" {
        means: &'a CudaView<'a, f32>,
        squares: &'a CudaView<'a, f32>,
        both: &'a mut CudaSlice<f32>,
        channels: i32,
        spans: i32,
        films: i32,
        map: i32,
    }
}

kernel! {
    /// The normalised and activated maps.
    # Safety
    /// `x` has films of `channels * map` elements, `step` apart; `y` has `count` elements, as many
    /// as the films together; the four others have `channels`.
    Normalise<T> = "normalise" {
        x: &'a CudaView<'a, T>,
        y: &'a mut CudaSlice<T>,
        gamma: &'a CudaView<'a, f32>,
        beta: &'a CudaView<'a, f32>,
        mean: &'a CudaView<'a, f32>,
        variance: &'a CudaView<'a, f32>,
        epsilon: f32,
        activation: i32,
        channels: i32,
        map: i32,
        step: u32,
        count: u32,
    }
}

kernel! {
    /// For each channel and span the sum of the gradients before the activation, and of their
    /// products with the normalised input.
    # Safety
    /// `x` has `films` films of `channels * map` elements, `step` apart; `dy` has as many elements
    /// as they together; `sums` and `products` have one for each channel (the grid's columns) and
    /// span (its rows); the four others have `channels`.
    SpanGradients<T> = "span_gradients" {
        x: &'a CudaView<'a, T>,
        dy: &'a CudaView<'a, T>,
        sums: &'a mut CudaSlice<f32>,
        products: &'a mut CudaSlice<f32>,
        gamma: &'a CudaView<'a, f32>,
        beta: &'a CudaView<'a, f32>,
        mean: &'a CudaView<'a, f32>,
        variance: &'a CudaView<'a, f32>,
        epsilon: f32,
        activation: i32,
        films: i32,
        channels: i32,
        map: i32,
        step: u32,
    }
}

kernel! {
    /// The gradients of gamma and beta, `2 x C`, from those of the spans.
    # Safety
    /// `sums` and `products` have `channels * spans` elements, `both` has `2 * channels`,
    /// `variance` has `channels`.
    JoinedGradients = "joined_gradients" {
        sums: &'a CudaView<'a, f32>,
        products: &'a CudaView<'a, f32>,
        both: &'a mut CudaSlice<f32>,
        variance: &'a CudaView<'a, f32>,
        epsilon: f32,
        channels: i32,
        spans: i32,
    }
}

kernel! {
    /// The gradient of a batch norm's input.
    # Safety
    /// `x` has films of `channels * map` elements, `step` apart; `dy` and `dx` have `count`
    /// elements, as many as the films together; `gradients` has `2 * channels`; the four others
    /// have `channels`.
    InputGradient<T> = "input_gradient" {
        x: &'a CudaView<'a, T>,
        dy: &'a CudaView<'a, T>,
        dx: &'a mut CudaSlice<T>,
        gradients: &'a CudaView<'a, f32>,
        gamma: &'a CudaView<'a, f32>,
        beta: &'a CudaView<'a, f32>,
        mean: &'a CudaView<'a, f32>,
        variance: &'a CudaView<'a, f32>,
        epsilon: f32,
        activation: i32,
        share: f32,
        channels: i32,
        map: i32,
        step: u32,
        count: u32,
    }
}

kernel! {
    /// A depthwise convolution.
    # Safety
    /// `y` has `count` elements, planes of `out_height * out_width`; `x` has as many planes, of
    /// `height * width`; `weight` has `channels * k * k`; `k` is at most 5.
    Depthwise<T> = "depthwise" {
        x: &'a CudaView<'a, T>,
        weight: &'a CudaView<'a, T>,
        y: &'a mut CudaSlice<T>,
        channels: i32,
        height: i32,
        width: i32,
        out_height: i32,
        out_width: i32,
        k: i32,
        stride: i32,
        top: i32,
        left: i32,
        count: u32,
    }
}

kernel! {
    /// The gradient of a depthwise convolution's maps.
    # Safety
    /// `dx` has `count` elements, planes of `height * width`; `dy` has as many planes, of
    /// `out_height * out_width`; `weight` has `channels * k * k`; `k` is at most 5.
    DepthwiseData<T> = "depthwise_data" {
        dy: &'a CudaView<'a, T>,
        weight: &'a CudaView<'a, T>,
        dx: &'a mut CudaSlice<T>,
        channels: i32,
        height: i32,
        width: i32,
        out_height: i32,
        out_width: i32,
        k: i32,
        stride: i32,
        top: i32,
        left: i32,
        count: u32,
    }
}

kernel! {
    /// The gradient of each tap of a depthwise convolution's kernels, for each channel and span.
    # Safety
    /// `x` has `films * channels` planes of `height * width`, `dy` as many of `out_height *
    /// out_width`; `parts` has `k * k` elements for each channel (the grid's columns) and span (its
    /// rows); `k` is at most 5.
    DepthwiseTaps<T> = "depthwise_taps" {
        x: &'a CudaView<'a, T>,
        dy: &'a CudaView<'a, T>,
        parts: &'a mut CudaSlice<f32>,
        films: i32,
        channels: i32,
        height: i32,
        width: i32,
        out_height: i32,
        out_width: i32,
        k: i32,
        stride: i32,
        top: i32,
        left: i32,
    }
}

kernel! {
    /// The gradient of a depthwise convolution's kernels, from those of the spans.
    # Safety
    /// `parts` has `channels * spans * taps` elements, `gradient` has `channels * taps`.
    JoinedTaps<T> = "joined_taps" {
        parts: &'a CudaView<'a, f32>,
        gradient: &'a mut CudaSlice<T>,
        channels: i32,
        spans: i32,
        taps: i32,
    }
}

kernel! {
    /// The 3 x 3 max pool at stride 2.
    # Safety
    /// `y` has `count` elements, planes of half the height and width, rounded up; `x` has as many
    /// planes, of `height * width`.
    MaxPool<T> = "max_pool" {
        x: &'a CudaView<'a, T>,
        y: &'a mut CudaSlice<T>,
        height: i32,
        width: i32,
        count: u32,
    }
}

kernel! {
    /// The gradient of a max pool's input.
    # Safety
    /// `x` and `dx` have `count` elements, planes of `height * width`; `dy` has as many planes, of
    /// half the height and width, rounded up.
    MaxPoolGradient<T> = "max_pool_gradient" {
        x: &'a CudaView<'a, T>,
        dy: &'a CudaView<'a, T>,
        dx: &'a mut CudaSlice<T>,
        height: i32,
        width: i32,
        count: u32,
    }
}

kernel! {
    /// The mean over 2 x 2 places.
    # Safety
    /// `y` has `count` elements, planes of half the height and width, rounded down and not 0; `x`
    /// has as many planes, of `height * width`.
    AveragePool<T> = "average_pool" {
        x: &'a CudaView<'a, T>,
        y: &'a mut CudaSlice<T>,
        height: i32,
        width: i32,
        count: u32,
    }
}

kernel! {
    /// The gradient of an average pool's input.
    # Safety
    /// `dx` has `count` elements, planes of `height * width`; `dy` has as many planes, of half the
    /// height and width, rounded down.
    AveragePoolGradient<T> = "average_pool_gradient" {
        dy: &'a CudaView<'a, T>,
        dx: &'a mut CudaSlice<T>,
        height: i32,
        width: i32,
        count: u32,
    }
}

kernel! {
    /// The mean of each plane, a block each.
    # Safety
    /// `means` has an element for each of the grid's columns, and `x` a plane of `map`.
    PlaneMeans<T> = "plane_means" {
        x: &'a CudaView<'a, T>,
        means: &'a mut CudaSlice<f32>,
        map: i32,
    }
}

kernel! {
    /// Each value times `share`, over a whole plane.
    # Safety
    /// `y` has `count` elements, planes of `map`; `values` has an element for each plane.
    FillPlanes<T> = "fill_planes" {
        values: &'a CudaView<'a, f32>,
        y: &'a mut CudaSlice<T>,
        share: f32,
        map: i32,
        count: u32,
    }
}

kernel! {
    /// Each plane times its factor.
    # Safety
    /// `x` and `y` have `count` elements, planes of `map`; `scale` has an element for each plane.
    ScalePlanes<T> = "scale_planes" {
        x: &'a CudaView<'a, T>,
        scale: &'a CudaView<'a, f32>,
        y: &'a mut CudaSlice<T>,
        map: i32,
        count: u32,
    }
}

kernel! {
    /// The sum of products over each plane, a block each.
    # Safety
    /// `sums` has an element for each of the grid's columns, and `a` and `b` a plane of `map`.
    PlaneProducts<T> = "plane_products" {
        a: &'a CudaView<'a, T>,
        b: &'a CudaView<'a, T>,
        sums: &'a mut CudaSlice<f32>,
        map: i32,
    }
}

kernel! {
    /// Films that lie apart, one behind another.
    # Safety
    /// `x` has films of `film` elements, `step` apart; `y` has `count` elements, as many as the
    /// films together.
    Contiguous<T> = "contiguous" {
        x: &'a CudaView<'a, T>,
        y: &'a mut CudaSlice<T>,
        film: u32,
        step: u32,
        count: u32,
    }
}

kernel! {
    /// Planes of another size, moved down and right; zeros outside.
    # Safety
    /// `y` has `count` elements, planes of `out_height * out_width`; `x` has as many planes, of
    /// `height * width`.
    Window<T> = "window" {
        x: &'a CudaView<'a, T>,
        y: &'a mut CudaSlice<T>,
        height: i32,
        width: i32,
        out_height: i32,
        out_width: i32,
        down_by: i32,
        right_by: i32,
        count: u32,
    }
}

kernel! {
    /// The update of an average.
    # Safety
    /// `average` and `x` have `count` elements.
    RunningAverage = "running_average" {
        average: CudaViewMut<'a, f32>,
        x: &'a CudaView<'a, f32>,
        decay: f32,
        share: f32,
        count: u32,
    }
}

kernel! {
    /// The update of all parameters, a row of blocks each.
    # Safety
    /// `all` has for each of the grid's rows the addresses of a parameter, its gradient, and its
    /// two averages or 0, and their number of elements. All but the gradient may be written:
    /// nothing else uses that memory before the stream has come to the end of the kernel, unless it
    /// is in the stream, too.
    OptimiserStep = "optimiser_step" {
        all: &'a CudaView<'a, i64>,
        keep: f32,
        weight_decay: f32,
        mean_decay: f32,
        mean_share: f32,
        square_decay: f32,
        square_share: f32,
        rate: f32,
        root_scale: f32,
        epsilon: f32,
    }
}

kernel! {
    /// The mean loss, and its slope at each logit, in one block.
    # Safety
    /// `logits`, `labels` and `slopes` have `count` elements, `mean` has one; the grid is one
    /// block.
    Loss = "loss" {
        logits: &'a CudaView<'a, f32>,
        labels: &'a CudaView<'a, f32>,
        mean: &'a mut CudaSlice<f32>,
        slopes: &'a mut CudaSlice<f32>,
        focal: f32,
        positive_weight: f32,
        count: u32,
    }
}
