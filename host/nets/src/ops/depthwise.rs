//! Depthwise convolution: every channel with its own small kernel.
//!
//! Each map is framed with zeros and read as one long row, so that a kernel's tap is a shifted
//! read and whole vectors run across line ends; what falls into the frame is dropped. A stride of
//! two computes the stride-1 map and keeps every other place, the padding deciding which: the few
//! layers that stride cost little, and one kernel serves all.

use candle_core::Result;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

#[cfg(feature = "cuda")]
use super::conv_op::OnCuda;
use super::conv_op::{Convolving, convolved};
#[cfg(feature = "cuda")]
use super::cuda;
use super::depthwise_sizes::DepthwiseSizes;
use super::padding::Padding;
use crate::autodiff::Traced;

/// Convolves every channel of `x` (`N x C x H x W`) with its own kernel of `weight` (`C x 1 x k x
/// k`, `k` 3 or 5) at stride 1 or 2, to `N x C x ceil(H / stride) x ceil(W / stride)`.
///
/// # Errors
/// If the shapes or the stride are others, or the batch is empty.
pub fn depthwise_conv2d(
    x: &Traced,
    weight: &Traced,
    stride: usize,
    padding: Padding,
) -> Result<Traced> {
    convolved(x, weight, Depthwise { stride, padding })
}

#[derive(Clone, Copy)]
struct Depthwise {
    stride: usize,
    padding: Padding,
}

impl Convolving for Depthwise {
    type Sizes = DepthwiseSizes;

    const NAMES: [&'static str; 3] = [
        "depthwise convolution",
        "depthwise convolution data gradient",
        "depthwise convolution weight gradient",
    ];

    fn sizes(self, x: &[usize], weight: &[usize]) -> Result<DepthwiseSizes> {
        DepthwiseSizes::new(x, weight, self.stride, self.padding)
    }

    fn outputs(sizes: &DepthwiseSizes) -> [usize; 4] {
        let DepthwiseSizes {
            films, channels, ..
        } = *sizes;
        [films, channels, sizes.out_height(), sizes.out_width()]
    }

    fn forward(x: &[f32], weight: &[f32], sizes: &DepthwiseSizes) -> Vec<f32> {
        let sizes = *sizes;
        let mut y = vec![0.0; sizes.films * sizes.channels * sizes.out_map()];
        y.par_chunks_mut(sizes.out_map())
            .zip(x.par_chunks(sizes.map()))
            .enumerate()
            .with_min_len(PLANES_AT_ONCE)
            .for_each_init(
                || (vec![0.0; sizes.frame()], vec![0.0; sizes.places()]),
                |(frame, out), (plane, (y, x))| {
                    let kernel = &weight[plane % sizes.channels * sizes.taps()..][..sizes.taps()];
                    enframe(x, sizes, frame);
                    correlate(frame, kernel, sizes, out);
                    for (row, line) in y.chunks_exact_mut(sizes.out_width()).enumerate() {
                        let from = &out[sizes.kept(row)..];
                        for (to, from) in line.iter_mut().zip(from.iter().step_by(sizes.stride)) {
                            *to = *from;
                        }
                    }
                },
            );
        y
    }

    fn data_gradient(y_gradient: &[f32], weight: &[f32], sizes: &DepthwiseSizes) -> Vec<f32> {
        let sizes = *sizes;
        let mut x_gradient = vec![0.0; sizes.films * sizes.channels * sizes.map()];
        x_gradient
            .par_chunks_mut(sizes.map())
            .zip(y_gradient.par_chunks(sizes.out_map()))
            .enumerate()
            .with_min_len(PLANES_AT_ONCE)
            .for_each_init(
                || (vec![0.0; sizes.frame()], vec![0.0; sizes.places()]),
                |(frame, out), (plane, (x_gradient, y_gradient))| {
                    let kernel = &weight[plane % sizes.channels * sizes.taps()..][..sizes.taps()];
                    let mut flipped = [0.0; 25];
                    for (to, from) in flipped.iter_mut().zip(kernel.iter().rev()) {
                        *to = *from;
                    }
                    spread_out(y_gradient, sizes, frame);
                    correlate(frame, &flipped[..sizes.taps()], sizes, out);
                    for (row, line) in x_gradient.chunks_exact_mut(sizes.width).enumerate() {
                        line.copy_from_slice(&out[row * sizes.frame_width()..][..sizes.width]);
                    }
                },
            );
        x_gradient
    }

    fn weight_gradient(x: &[f32], y_gradient: &[f32], sizes: &DepthwiseSizes) -> Vec<f32> {
        let sizes = *sizes;
        let mut gradient = vec![0.0; sizes.channels * sizes.taps()];
        gradient
            .par_chunks_mut(sizes.taps())
            .enumerate()
            .for_each_init(
                || (vec![0.0; sizes.frame()], vec![0.0; sizes.places()]),
                |(frame, spread), (channel, gradient)| {
                    for film in 0..sizes.films {
                        let plane = film * sizes.channels + channel;
                        let x = &x[plane * sizes.map()..][..sizes.map()];
                        let y_gradient = &y_gradient[plane * sizes.out_map()..][..sizes.out_map()];
                        enframe(x, sizes, frame);
                        for (row, line) in y_gradient.chunks_exact(sizes.out_width()).enumerate() {
                            let to = &mut spread[sizes.kept(row)..];
                            for (to, from) in to.iter_mut().step_by(sizes.stride).zip(line) {
                                *to = *from;
                            }
                        }
                        add_tap_products(frame, spread, sizes, gradient);
                    }
                },
            );
        gradient
    }

    #[cfg(feature = "cuda")]
    const ON_CUDA: [OnCuda<Self>; 3] = [
        |_, x, weight, sizes| cuda::depthwise::forward(x, weight, sizes),
        |_, dy, weight, sizes| cuda::depthwise::data_gradient(dy, weight, sizes),
        |_, x, dy, sizes| cuda::depthwise::weight_gradient(x, dy, sizes),
    ];
}

/// Number of planes that a thread takes at once: the smallest maps are too little work for a task.
const PLANES_AT_ONCE: usize = 8;

/// Copies `map` into the middle of the zeroed `frame`. The same places are written at every call,
/// so the frame's zeros last.
fn enframe(map: &[f32], sizes: DepthwiseSizes, frame: &mut [f32]) {
    let border = sizes.kernel / 2;
    for (row, line) in map.chunks_exact(sizes.width).enumerate() {
        let to = (row + border) * sizes.frame_width() + border;
        frame[to..][..line.len()].copy_from_slice(line);
    }
}

/// Copies an output's gradient into the zeroed `frame`, each value to the place that was kept for
/// it.
fn spread_out(y_gradient: &[f32], sizes: DepthwiseSizes, frame: &mut [f32]) {
    let border = sizes.kernel / 2;
    for (row, line) in y_gradient.chunks_exact(sizes.out_width()).enumerate() {
        let to = &mut frame[sizes.kept(row) + border * sizes.frame_width() + border..];
        for (to, from) in to.iter_mut().step_by(sizes.stride).zip(line) {
            *to = *from;
        }
    }
}

/// The shifted views of `frame` that the taps read, each as long as the computed places.
fn taps<const TAPS: usize>(frame: &[f32], sizes: DepthwiseSizes) -> [&[f32]; TAPS] {
    std::array::from_fn(|tap| {
        let offset = tap / sizes.kernel * sizes.frame_width() + tap % sizes.kernel;
        &frame[offset..][..sizes.places()]
    })
}

/// `out[j] = sum over taps of kernel[tap] * frame[j + offset(tap)]`.
fn correlate(frame: &[f32], kernel: &[f32], sizes: DepthwiseSizes, out: &mut [f32]) {
    fn run<const TAPS: usize>(
        frame: &[f32],
        kernel: &[f32],
        sizes: DepthwiseSizes,
        out: &mut [f32],
    ) {
        let mut weights = [0.0; TAPS];
        weights.copy_from_slice(kernel);
        Arch::new().dispatch(Correlate {
            taps: taps::<TAPS>(frame, sizes),
            weights,
            out,
        });
    }
    match sizes.kernel {
        3 => run::<9>(frame, kernel, sizes, out),
        _ => run::<25>(frame, kernel, sizes, out),
    }
}

struct Correlate<'a, const TAPS: usize> {
    taps: [&'a [f32]; TAPS],
    weights: [f32; TAPS],
    out: &'a mut [f32],
}

impl<const TAPS: usize> WithSimd for Correlate<'_, TAPS> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let taps = self.taps.map(|tap| S::as_simd_f32s(tap));
        let (out, out_tail) = S::as_mut_simd_f32s(self.out);
        let mut blocks = out.chunks_exact_mut(4);
        let mut at = 0;
        for block in &mut blocks {
            let mut sums = [simd.splat_f32s(0.0); 4];
            for (tap, weight) in taps.iter().zip(self.weights) {
                let weight = simd.splat_f32s(weight);
                let read = &tap.0[at..at + 4];
                for (sum, read) in sums.iter_mut().zip(read) {
                    *sum = simd.mul_add_f32s(*read, weight, *sum);
                }
            }
            block.copy_from_slice(&sums);
            at += 4;
        }
        for out in blocks.into_remainder() {
            let mut sum = simd.splat_f32s(0.0);
            for (tap, weight) in taps.iter().zip(self.weights) {
                sum = simd.mul_add_f32s(tap.0[at], simd.splat_f32s(weight), sum);
            }
            *out = sum;
            at += 1;
        }
        for (i, out) in out_tail.iter_mut().enumerate() {
            *out = taps
                .iter()
                .zip(self.weights)
                .map(|(tap, weight)| tap.1[i] * weight)
                .sum();
        }
    }
}

/// Adds `sum over j of frame[j + offset(tap)] * spread[j]` to every tap's gradient.
fn add_tap_products(frame: &[f32], spread: &[f32], sizes: DepthwiseSizes, gradient: &mut [f32]) {
    fn run<const TAPS: usize>(
        frame: &[f32],
        spread: &[f32],
        sizes: DepthwiseSizes,
        gradient: &mut [f32],
    ) {
        let sums = Arch::new().dispatch(TapProducts {
            taps: taps::<TAPS>(frame, sizes),
            spread,
        });
        for (gradient, sum) in gradient.iter_mut().zip(sums) {
            *gradient += sum;
        }
    }
    match sizes.kernel {
        3 => run::<9>(frame, spread, sizes, gradient),
        _ => run::<25>(frame, spread, sizes, gradient),
    }
}

struct TapProducts<'a, const TAPS: usize> {
    taps: [&'a [f32]; TAPS],
    spread: &'a [f32],
}

impl<const TAPS: usize> WithSimd for TapProducts<'_, TAPS> {
    type Output = [f32; TAPS];

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> [f32; TAPS] {
        let (spread, spread_tail) = S::as_simd_f32s(self.spread);
        let taps = self.taps.map(|tap| S::as_simd_f32s(tap));
        let heads: [&[S::f32s]; TAPS] = taps.map(|(head, _)| &head[..spread.len()]);
        let mut sums = [simd.splat_f32s(0.0); TAPS];
        for (j, spread) in spread.iter().enumerate() {
            for (sum, head) in sums.iter_mut().zip(&heads) {
                *sum = simd.mul_add_f32s(*spread, head[j], *sum);
            }
        }
        let mut out = [0.0; TAPS];
        for ((out, sum), (_, tail)) in out.iter_mut().zip(sums).zip(taps) {
            let tail: f32 = tail.iter().zip(spread_tail).map(|(x, y)| x * y).sum();
            *out = simd.reduce_sum_f32s(sum) + tail;
        }
        out
    }
}
