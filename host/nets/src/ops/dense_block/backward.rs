//! The backward pass of a dense block: from the gradient of all channels to that of the incoming
//! ones and of the parameters.
//!
//! The gradient of a channel is a sum over all layers that read it. The part that flows through the
//! channel's mean and variance is, for each layer, a multiple of one plus a multiple of the channel
//! itself. The two factors are summed over the layers and subtracted once, when the channel's
//! gradient is needed.

use candle_core::Result;
use rayon::prelude::*;

use super::super::activation::{Activation, apply};
use super::super::affine::{Affine, through_statistics};
use super::super::gemm::{Matrix, matmul, transpose};
use super::super::statistics::ChannelStatistics;
use super::super::sums::sum_in_order;
use super::super::vectorised::{LANES, vectorised};
use super::block::{DenseBlock, Kept, Layer};
use super::forward::Framed;
use super::sizes::{BORDER, BlockSizes, STRIP, TAPS, for_each_piece};

/// For each channel, the gradient that flows through its statistics: the factors of one and of the
/// centred channel, to be subtracted from the channel's gradient.
struct StatisticsCorrection {
    constant: Vec<f64>,
    slope: Vec<f64>,
}

impl StatisticsCorrection {
    fn none(channels: usize) -> Self {
        Self {
            constant: vec![0.0; channels],
            slope: vec![0.0; channels],
        }
    }

    /// Adds the correction of one more batch norm over `count` elements a channel, whose gradient
    /// is multiplied by `scale`.
    fn add(&mut self, norm: &NormAndWeight, inverse: &[f32], scale: &[f32], count: usize) {
        for (channel, (gamma, beta)) in norm.gamma.iter().zip(&norm.beta).enumerate() {
            let share = f64::from(scale[channel]) / count as f64;
            self.constant[channel] += share * beta;
            self.slope[channel] += share * gamma * f64::from(inverse[channel]);
        }
    }

    /// The correction of a channel as slope and offset of a line in its values.
    fn line(&self, channel: usize, mean: f32) -> (f32, f32) {
        let slope = self.slope[channel];
        let offset = self.constant[channel] - slope * f64::from(mean);
        (slope as f32, offset as f32)
    }
}

impl DenseBlock {
    /// The gradients of the incoming channels and of all parameters, from that of all channels.
    pub(super) fn backward(
        &self,
        features: &[f32],
        parameters: &[f32],
        kept: &Kept,
        mut gradient: Vec<f32>,
    ) -> Result<(Vec<f32>, Vec<f32>)> {
        let sizes = self.sizes;
        let (map, total) = (sizes.map(), sizes.total());
        let mut parameter_gradient = vec![0.0; parameters.len()];
        let mut correction = StatisticsCorrection::none(total);
        let mut computed_again = Vec::new();
        let mut bottleneck_gradient = vec![0.0; sizes.films * sizes.bottleneck * map];
        for index in (0..sizes.layers).rev() {
            let statistics = &kept.statistics[index];
            let [gamma1, beta1, conv1, gamma2, beta2, conv2] = self.split(parameters, index);
            let layer = Layer {
                channels: sizes.channels(index),
                norm1: Affine::new(&statistics.first, self.epsilon, gamma1, beta1)?,
                conv1,
                norm2: Affine::new(&statistics.second, self.epsilon, gamma2, beta2)?,
                conv2,
            };
            let bottlenecks = if self.keep_bottlenecks {
                &kept.bottlenecks[index]
            } else {
                computed_again.resize(bottleneck_gradient.len(), 0.0);
                let channels = layer.channels;
                sizes.fill_bottlenecks(
                    features,
                    channels,
                    &layer.norm1,
                    conv1,
                    &mut computed_again,
                );
                &computed_again
            };
            // No layer reads the channels that the last layer adds.
            if let Some(next) = kept.statistics.get(index + 1).filter(|_| self.from_batch) {
                let added = layer.channels..layer.channels + sizes.growth;
                sizes.correct(features, &next.first, &correction, added, &mut gradient);
            }
            let second = sizes.backward_to_bottlenecks(
                &layer,
                bottlenecks,
                &gradient,
                &mut bottleneck_gradient,
            );
            let mut bottleneck_correction = StatisticsCorrection::none(sizes.bottleneck);
            if self.from_batch {
                bottleneck_correction.add(
                    &second,
                    &layer.norm2.inverse,
                    &vec![1.0; sizes.bottleneck],
                    statistics.second.count,
                );
            }
            let first = sizes.backward_to_channels(
                &layer,
                &bottleneck_correction,
                features,
                bottlenecks,
                &mut bottleneck_gradient,
                &mut gradient,
            );
            if self.from_batch {
                correction.add(
                    &first,
                    &layer.norm1.inverse,
                    &layer.norm1.scale,
                    statistics.first.count,
                );
            }
            let of_layer = [
                single(&first.gamma),
                single(&first.beta),
                first.weight,
                single(&second.gamma),
                single(&second.beta),
                second.weight,
            ];
            parameter_gradient[sizes.place(index)].copy_from_slice(&of_layer.concat());
        }
        if self.from_batch {
            let first = &kept.statistics[0].first;
            sizes.correct(features, first, &correction, 0..sizes.inputs, &mut gradient);
        }
        let mut x_gradient = Vec::with_capacity(sizes.films * sizes.inputs * map);
        for film in gradient.chunks_exact(total * map) {
            x_gradient.extend_from_slice(&film[..sizes.inputs * map]);
        }
        Ok((x_gradient, parameter_gradient))
    }
}

/// The numbers in single precision.
fn single(numbers: &[f64]) -> Vec<f32> {
    numbers.iter().map(|number| *number as f32).collect()
}

/// The gradients of one batch norm's parameters and of the convolution beside it.
struct NormAndWeight {
    gamma: Vec<f64>,
    beta: Vec<f64>,
    weight: Vec<f32>,
}

/// The part of a [`NormAndWeight`] that one group of films gives.
struct Part {
    /// For each channel the sum of the gradients after the norm, and of their products with the
    /// centred input.
    sums: Vec<(f32, f32)>,
    /// The kernel's gradient, in an order of its own.
    products: Vec<f32>,
}

impl NormAndWeight {
    fn gather(parts: Vec<Part>, norm: &Affine) -> Self {
        let mut gamma = vec![0.0; norm.scale.len()];
        let mut beta = gamma.clone();
        let mut weights = Vec::with_capacity(parts.len());
        for part in parts {
            for (channel, (sum, product)) in part.sums.into_iter().enumerate() {
                beta[channel] += f64::from(sum);
                gamma[channel] += f64::from(product) * f64::from(norm.inverse[channel]);
            }
            weights.push(part.products);
        }
        Self {
            gamma,
            beta,
            weight: sum_in_order(weights),
        }
    }
}

impl BlockSizes {
    /// Subtracts from the gradient of `channels` the part that flows through their statistics.
    fn correct(
        &self,
        features: &[f32],
        statistics: &ChannelStatistics,
        correction: &StatisticsCorrection,
        channels: std::ops::Range<usize>,
        gradient: &mut [f32],
    ) {
        let (map, film) = (self.map(), self.total() * self.map());
        gradient
            .par_chunks_mut(film)
            .zip(features.par_chunks(film))
            .for_each(|(gradient, features)| {
                for channel in channels.clone() {
                    let place = channel * map..(channel + 1) * map;
                    let (slope, offset) = correction.line(channel, statistics.mean[channel]);
                    let (gradient, x) = (&mut gradient[place.clone()], &features[place]);
                    through_statistics(gradient, x, 1.0, slope, offset);
                }
            });
    }

    /// The backward pass of the second convolution and the ReLU before it: writes into
    /// `bottleneck_gradient` the gradient of the normalised bottleneck maps.
    fn backward_to_bottlenecks(
        &self,
        layer: &Layer,
        bottlenecks: &[f32],
        gradient: &[f32],
        bottleneck_gradient: &mut [f32],
    ) -> NormAndWeight {
        let (bottleneck, growth) = (self.bottleneck, self.growth);
        let mut by_tap = vec![0.0; layer.conv2.len()];
        for (at, weight) in layer.conv2.iter().enumerate() {
            let (o, c, tap) = (at / (bottleneck * TAPS), at / TAPS % bottleneck, at % TAPS);
            by_tap[(c * TAPS + tap) * growth + o] = *weight;
        }
        let parts = bottleneck_gradient
            .par_chunks_mut(self.group(bottleneck))
            .zip(bottlenecks.par_chunks(self.group(bottleneck)))
            .zip(gradient.par_chunks(self.group(self.total())))
            .map_init(
                || Scratch::new(self),
                |scratch, ((bottleneck_gradient, bottlenecks), gradient)| {
                    self.group_backward_to_bottlenecks(
                        layer,
                        &by_tap,
                        scratch,
                        bottlenecks,
                        gradient,
                        bottleneck_gradient,
                    )
                },
            )
            .collect();
        let mut gathered = NormAndWeight::gather(parts, &layer.norm2);
        let products = std::mem::take(&mut gathered.weight);
        gathered.weight = (0..layer.conv2.len())
            .map(|at| {
                let (o, c, tap) = (at / (bottleneck * TAPS), at / TAPS % bottleneck, at % TAPS);
                products[(tap * growth + o) * bottleneck + c]
            })
            .collect();
        gathered
    }

    /// [`backward_to_bottlenecks`](Self::backward_to_bottlenecks) for one group. `by_tap` is the kernel as
    /// `M x 9 x G`; its gradient comes as `9 x G x M`.
    fn group_backward_to_bottlenecks(
        &self,
        layer: &Layer,
        by_tap: &[f32],
        scratch: &mut Scratch,
        bottlenecks: &[f32],
        gradient: &[f32],
        bottleneck_gradient: &mut [f32],
    ) -> Part {
        let (map, bottleneck, norm) = (self.map(), self.bottleneck, &layer.norm2);
        let row = bottlenecks.len() / bottleneck;
        let outputs = Framed::of(&mut scratch.outputs, self.frame(gradient), self.growth);
        let frame = outputs.frame;
        for (channel, row) in outputs.rows.chunks_exact_mut(frame.row()).enumerate() {
            for film in 0..frame.films {
                let plane = film * self.total() + layer.channels + channel;
                frame.put(&gradient[plane * map..][..map], film, row);
            }
        }
        let reads = TAPS * self.growth;
        let mut products = vec![0.0; reads * bottleneck];
        let mut sums = vec![(0.0, 0.0); bottleneck];
        // Whole lines, so that a tap reads each in one piece.
        for start in (0..row).step_by(self.lines() * self.width) {
            let count = (self.lines() * self.width).min(row - start);
            let shifted = &mut scratch.shifted[..reads * count];
            outputs.shift(start / self.width, shifted);
            let shifted = Matrix {
                data: shifted,
                row: count,
                column: 1,
            };
            let by_tap = Matrix {
                data: by_tap,
                row: reads,
                column: 1,
            };
            let input_gradient = &mut bottleneck_gradient[start..];
            matmul(
                (bottleneck, count, reads),
                input_gradient,
                row,
                false,
                by_tap,
                shifted,
            );
            for (c, strip) in scratch
                .strip
                .chunks_exact_mut(count)
                .take(bottleneck)
                .enumerate()
            {
                let x = &bottlenecks[c * row + start..][..count];
                let (scale, shift) = (norm.scale[c], norm.shift[c]);
                apply(Activation::Relu, x, scale, shift, strip);
                let input_gradient = &mut bottleneck_gradient[c * row + start..][..count];
                let (sum, product) = through_relu(x, scale, shift, norm.mean[c], input_gradient);
                sums[c].0 += sum;
                sums[c].1 += product;
            }
            transpose(
                &scratch.strip,
                bottleneck,
                count,
                count,
                &mut scratch.transposed,
            );
            let transposed = Matrix {
                data: &scratch.transposed,
                row: bottleneck,
                column: 1,
            };
            matmul(
                (reads, bottleneck, count),
                &mut products,
                bottleneck,
                true,
                shifted,
                transposed,
            );
        }
        Part { sums, products }
    }

    /// Number of lines of maps that make a strip.
    fn lines(&self) -> usize {
        (STRIP / self.width).max(1)
    }

    /// The backward pass of the second batch norm, the first convolution and the ReLU before it:
    /// adds to the gradient of the channels that the layer read, without the part that flows
    /// through their statistics. `bottleneck_correction` is that part of the bottleneck maps.
    fn backward_to_channels(
        &self,
        layer: &Layer,
        bottleneck_correction: &StatisticsCorrection,
        features: &[f32],
        bottlenecks: &[f32],
        bottleneck_gradient: &mut [f32],
        gradient: &mut [f32],
    ) -> NormAndWeight {
        let (total, bottleneck, channels) = (self.total(), self.bottleneck, layer.channels);
        let parts = bottleneck_gradient
            .par_chunks_mut(self.group(bottleneck))
            .zip(bottlenecks.par_chunks(self.group(bottleneck)))
            .zip(gradient.par_chunks_mut(self.group(total)))
            .zip(features.par_chunks(self.group(total)))
            .map_init(
                || Scratch::new(self),
                |scratch, (((bottleneck_gradient, bottlenecks), gradient), features)| {
                    let row = bottlenecks.len() / bottleneck;
                    let rows = bottleneck_gradient.chunks_exact_mut(row);
                    for (c, (row, x)) in rows.zip(bottlenecks.chunks_exact(row)).enumerate() {
                        let (slope, offset) = bottleneck_correction.line(c, layer.norm2.mean[c]);
                        through_statistics(row, x, layer.norm2.scale[c], slope, offset);
                    }
                    self.group_backward_to_channels(
                        layer,
                        scratch,
                        features,
                        bottleneck_gradient,
                        gradient,
                    )
                },
            )
            .collect();
        let mut gathered = NormAndWeight::gather(parts, &layer.norm1);
        let products = std::mem::take(&mut gathered.weight);
        gathered.weight = vec![0.0; products.len()];
        transpose(
            &products,
            channels,
            bottleneck,
            bottleneck,
            &mut gathered.weight,
        );
        gathered
    }

    /// [`backward_to_channels`](Self::backward_to_channels) for one group, from the gradient of its bottleneck
    /// maps. That of the kernel comes as `C x M`.
    fn group_backward_to_channels(
        &self,
        layer: &Layer,
        scratch: &mut Scratch,
        features: &[f32],
        bottleneck_gradient: &[f32],
        gradient: &mut [f32],
    ) -> Part {
        let (map, bottleneck, norm) = (self.map(), self.bottleneck, &layer.norm1);
        let channels = layer.channels;
        let row = bottleneck_gradient.len() / bottleneck;
        let mut products = vec![0.0; channels * bottleneck];
        let mut sums = vec![(0.0, 0.0); channels];
        for start in (0..row).step_by(STRIP) {
            let columns = start..row.min(start + STRIP);
            let count = columns.len();
            self.normalise(features, norm, columns.clone(), &mut scratch.strip);
            let strip = Matrix {
                data: &scratch.strip,
                row: count,
                column: 1,
            };
            transpose(
                &bottleneck_gradient[start..],
                bottleneck,
                count,
                row,
                &mut scratch.transposed,
            );
            let transposed = Matrix {
                data: &scratch.transposed,
                row: bottleneck,
                column: 1,
            };
            matmul(
                (channels, bottleneck, count),
                &mut products,
                bottleneck,
                true,
                strip,
                transposed,
            );
            let kernel = Matrix {
                data: layer.conv1,
                row: 1,
                column: channels,
            };
            let columns_gradient = Matrix {
                data: &bottleneck_gradient[start..],
                row,
                column: 1,
            };
            let input_gradient = &mut scratch.input_gradient;
            matmul(
                (channels, count, bottleneck),
                input_gradient,
                count,
                false,
                kernel,
                columns_gradient,
            );
            for_each_piece(columns, map, |film, piece, at| {
                for c in 0..channels {
                    let input_gradient = &mut input_gradient[c * count + at..][..piece.len()];
                    let place = (film * self.total() + c) * map;
                    let x = &features[place..][piece.clone()];
                    let (scale, shift) = (norm.scale[c], norm.shift[c]);
                    let (sum, product) =
                        through_relu(x, scale, shift, norm.mean[c], input_gradient);
                    sums[c].0 += sum;
                    sums[c].1 += product;
                    add_scaled(input_gradient, scale, &mut gradient[place..][piece.clone()]);
                }
            });
        }
        Part { sums, products }
    }
}

/// Memory that a thread uses again for each group.
struct Scratch {
    outputs: Option<Framed>,
    shifted: Vec<f32>,
    strip: Vec<f32>,
    input_gradient: Vec<f32>,
    transposed: Vec<f32>,
}

impl Scratch {
    fn new(sizes: &BlockSizes) -> Self {
        let longest = STRIP.max(sizes.width);
        let zeros = |rows: usize| vec![0.0; rows * longest];
        let widest = sizes.total().max(sizes.bottleneck);
        Self {
            outputs: None,
            shifted: zeros(TAPS * sizes.growth),
            strip: zeros(widest),
            input_gradient: zeros(widest),
            transposed: zeros(sizes.bottleneck),
        }
    }
}

impl Framed {
    /// For each tap and row, the elements of the row that the tap reads for lines of inputs from
    /// `first` on: `shifted` is `9 x rows x places`.
    fn shift(&self, first: usize, shifted: &mut [f32]) {
        let Self { frame, rows } = self;
        let channels = rows.len() / frame.row();
        let count = shifted.len() / (TAPS * channels);
        for (at, places) in shifted.chunks_exact_mut(count).enumerate() {
            let (tap, channel) = (at / channels, at % channels);
            // The input's line and column less the tap's, plus the border on either side.
            let (down, right) = (2 * BORDER - tap / 3, 2 * BORDER - tap % 3);
            let row = &rows[channel * frame.row()..][..frame.row()];
            for (index, line) in places.chunks_exact_mut(frame.width).enumerate() {
                let (film, y) = (
                    (first + index) / frame.height,
                    (first + index) % frame.height,
                );
                let from = film * frame.size() + (y + down) * frame.line() + right;
                line.copy_from_slice(&row[from..][..frame.width]);
            }
        }
    }
}

vectorised! {
    /// Zeroes the gradient where `x scale + shift` is not above zero; returns the sum of the rest,
    /// and of its products with `x - mean`.
    fn through_relu(
        x: &[f32],
        scale: f32,
        shift: f32,
        mean: f32,
        gradient: &mut [f32],
    ) -> (f32, f32) {
        let (gradients, gradient_tail) = gradient.as_chunks_mut::<LANES>();
        let (blocks, tail) = x.as_chunks::<LANES>();
        let (mut sums, mut products) = ([0.0f32; LANES], [0.0f32; LANES]);
        for (gradient, x) in gradients.iter_mut().zip(blocks) {
            for lane in 0..LANES {
                let passed = if x[lane] * scale + shift > 0.0 { gradient[lane] } else { 0.0 };
                gradient[lane] = passed;
                sums[lane] += passed;
                products[lane] += passed * (x[lane] - mean);
            }
        }
        let mut sum: f32 = sums.iter().sum();
        let mut product: f32 = products.iter().sum();
        for (gradient, x) in gradient_tail.iter_mut().zip(tail) {
            *gradient = if x * scale + shift > 0.0 { *gradient } else { 0.0 };
            sum += *gradient;
            product += *gradient * (x - mean);
        }
        (sum, product)
    }
}

vectorised! {
    /// `sum += scale x`.
    fn add_scaled(x: &[f32], scale: f32, sum: &mut [f32]) {
        for (sum, x) in sum.iter_mut().zip(x) {
            *sum += scale * x;
        }
    }
}
