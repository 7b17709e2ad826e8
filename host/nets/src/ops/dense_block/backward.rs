//! From the gradient of all channels to that of the incoming ones and of the parameters.
//!
//! Going back through the layers, the gradient of a channel gathers what every layer that read it
//! sends back. What each of these sends through the channel's mean and variance is a multiple of
//! one and of the channel itself: the two factors are gathered and taken away once, when the
//! channel's gradient is needed.

use candle_core::Result;
use rayon::prelude::*;

use super::super::batch_norm::{
    Activation, Affine, ChannelStatistics, LANES, apply, through_statistics,
};
use super::super::gemm::{Matrix, matmul, transpose};
use super::super::sum_in_order;
use super::super::vectorised::vectorised;
use super::forward::Framed;
use super::{BORDER, DenseBlock, Kept, Layer, STRIP, Sizes, TAPS, for_each_piece};

/// For each channel the factors of one and of the centred channel that its gradient loses.
struct Losses {
    constant: Vec<f64>,
    slope: Vec<f64>,
}

impl Losses {
    fn none(channels: usize) -> Self {
        Self {
            constant: vec![0.0; channels],
            slope: vec![0.0; channels],
        }
    }

    /// What one more batch norm over `count` elements a channel takes, its gradient being scaled by
    /// `scale` before it is lost.
    fn add(&mut self, norm: &NormAndWeight, inverse: &[f32], scale: &[f32], count: usize) {
        for (channel, (gamma, beta)) in norm.gamma.iter().zip(&norm.beta).enumerate() {
            let share = f64::from(scale[channel]) / count as f64;
            self.constant[channel] += share * beta;
            self.slope[channel] += share * gamma * f64::from(inverse[channel]);
        }
    }

    /// The loss of a channel as slope and offset of a line in its values.
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
        let mut losses = Losses::none(total);
        let mut computed_again = Vec::new();
        let mut middle_gradient = vec![0.0; sizes.films * sizes.middle * map];
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
            let middles = if self.keep_middles {
                &kept.middles[index]
            } else {
                computed_again.resize(middle_gradient.len(), 0.0);
                let channels = layer.channels;
                sizes.fill_middles(features, channels, &layer.norm1, conv1, &mut computed_again);
                &computed_again
            };
            // What the last layer adds is read by none.
            if let Some(next) = kept.statistics.get(index + 1).filter(|_| self.from_batch) {
                let added = layer.channels..layer.channels + sizes.growth;
                sizes.settle(features, &next.first, &losses, added, &mut gradient);
            }
            let second = sizes.back_to_middles(&layer, middles, &gradient, &mut middle_gradient);
            let mut middle_loss = Losses::none(sizes.middle);
            if self.from_batch {
                middle_loss.add(
                    &second,
                    &layer.norm2.inverse,
                    &vec![1.0; sizes.middle],
                    statistics.second.count,
                );
            }
            let first = sizes.back_to_channels(
                &layer,
                &middle_loss,
                features,
                middles,
                &mut middle_gradient,
                &mut gradient,
            );
            if self.from_batch {
                losses.add(
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
            sizes.settle(features, first, &losses, 0..sizes.inputs, &mut gradient);
        }
        let mut x_gradient = Vec::with_capacity(sizes.films * sizes.inputs * map);
        for film in gradient.chunks_exact(total * map) {
            x_gradient.extend_from_slice(&film[..sizes.inputs * map]);
        }
        Ok((x_gradient, parameter_gradient))
    }
}

fn single(numbers: &[f64]) -> Vec<f32> {
    numbers.iter().map(|number| *number as f32).collect()
}

/// The gradients of one batch norm's parameters and of the convolution beside it.
struct NormAndWeight {
    gamma: Vec<f64>,
    beta: Vec<f64>,
    weight: Vec<f32>,
}

/// What one group of films gives to a [`NormAndWeight`].
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

impl Sizes {
    /// Takes from the gradient of `channels` what they lose through their statistics.
    fn settle(
        &self,
        features: &[f32],
        statistics: &ChannelStatistics,
        losses: &Losses,
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
                    let (slope, offset) = losses.line(channel, statistics.mean[channel]);
                    let (gradient, x) = (&mut gradient[place.clone()], &features[place]);
                    through_statistics(gradient, x, 1.0, slope, offset);
                }
            });
    }

    /// Back through the second convolution and the ReLU before it: leaves in `middle_gradient` the
    /// gradient of the normalised middles.
    fn back_to_middles(
        &self,
        layer: &Layer,
        middles: &[f32],
        gradient: &[f32],
        middle_gradient: &mut [f32],
    ) -> NormAndWeight {
        let (middle, growth) = (self.middle, self.growth);
        let mut by_tap = vec![0.0; layer.conv2.len()];
        for (at, weight) in layer.conv2.iter().enumerate() {
            let (o, c, tap) = (at / (middle * TAPS), at / TAPS % middle, at % TAPS);
            by_tap[(c * TAPS + tap) * growth + o] = *weight;
        }
        let parts = middle_gradient
            .par_chunks_mut(self.group(middle))
            .zip(middles.par_chunks(self.group(middle)))
            .zip(gradient.par_chunks(self.group(self.total())))
            .map_init(
                || Scratch::new(self),
                |scratch, ((middle_gradient, middles), gradient)| {
                    self.group_back_to_middles(
                        layer,
                        &by_tap,
                        scratch,
                        middles,
                        gradient,
                        middle_gradient,
                    )
                },
            )
            .collect();
        let mut gathered = NormAndWeight::gather(parts, &layer.norm2);
        let products = std::mem::take(&mut gathered.weight);
        gathered.weight = (0..layer.conv2.len())
            .map(|at| {
                let (o, c, tap) = (at / (middle * TAPS), at / TAPS % middle, at % TAPS);
                products[(tap * growth + o) * middle + c]
            })
            .collect();
        gathered
    }

    /// [`back_to_middles`](Self::back_to_middles) for one group. `by_tap` is the kernel as
    /// `M x 9 x G`; its gradient comes as `9 x G x M`.
    fn group_back_to_middles(
        &self,
        layer: &Layer,
        by_tap: &[f32],
        scratch: &mut Scratch,
        middles: &[f32],
        gradient: &[f32],
        middle_gradient: &mut [f32],
    ) -> Part {
        let (map, middle, norm) = (self.map(), self.middle, &layer.norm2);
        let row = middles.len() / middle;
        let outputs = Framed::of(&mut scratch.outputs, self.frame(gradient), self.growth);
        let frame = outputs.frame;
        for (channel, row) in outputs.rows.chunks_exact_mut(frame.row()).enumerate() {
            for film in 0..frame.films {
                let plane = film * self.total() + layer.channels + channel;
                frame.put(&gradient[plane * map..][..map], film, row);
            }
        }
        let reads = TAPS * self.growth;
        let mut products = vec![0.0; reads * middle];
        let mut sums = vec![(0.0, 0.0); middle];
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
            let back = &mut middle_gradient[start..];
            matmul((middle, count, reads), back, row, false, by_tap, shifted);
            for (c, strip) in scratch
                .strip
                .chunks_exact_mut(count)
                .take(middle)
                .enumerate()
            {
                let x = &middles[c * row + start..][..count];
                let (scale, shift) = (norm.scale[c], norm.shift[c]);
                apply(Activation::Relu, x, scale, shift, strip);
                let back = &mut middle_gradient[c * row + start..][..count];
                let (sum, product) = through_relu(x, scale, shift, norm.mean[c], back);
                sums[c].0 += sum;
                sums[c].1 += product;
            }
            transpose(&scratch.strip, middle, count, count, &mut scratch.turned);
            let turned = Matrix {
                data: &scratch.turned,
                row: middle,
                column: 1,
            };
            matmul(
                (reads, middle, count),
                &mut products,
                middle,
                true,
                shifted,
                turned,
            );
        }
        Part { sums, products }
    }

    /// Lines of maps that make a strip.
    fn lines(&self) -> usize {
        (STRIP / self.width).max(1)
    }

    /// Back through the second batch norm, the first convolution and the ReLU before it: adds to the
    /// gradient of the channels that the layer read, but for what they lose through their statistics.
    /// `middle_loss` is what the middles lose through theirs.
    fn back_to_channels(
        &self,
        layer: &Layer,
        middle_loss: &Losses,
        features: &[f32],
        middles: &[f32],
        middle_gradient: &mut [f32],
        gradient: &mut [f32],
    ) -> NormAndWeight {
        let (total, middle, channels) = (self.total(), self.middle, layer.channels);
        let parts = middle_gradient
            .par_chunks_mut(self.group(middle))
            .zip(middles.par_chunks(self.group(middle)))
            .zip(gradient.par_chunks_mut(self.group(total)))
            .zip(features.par_chunks(self.group(total)))
            .map_init(
                || Scratch::new(self),
                |scratch, (((middle_gradient, middles), gradient), features)| {
                    let row = middles.len() / middle;
                    let rows = middle_gradient.chunks_exact_mut(row);
                    for (c, (row, x)) in rows.zip(middles.chunks_exact(row)).enumerate() {
                        let (slope, offset) = middle_loss.line(c, layer.norm2.mean[c]);
                        through_statistics(row, x, layer.norm2.scale[c], slope, offset);
                    }
                    self.group_back_to_channels(layer, scratch, features, middle_gradient, gradient)
                },
            )
            .collect();
        let mut gathered = NormAndWeight::gather(parts, &layer.norm1);
        let products = std::mem::take(&mut gathered.weight);
        gathered.weight = vec![0.0; products.len()];
        transpose(&products, channels, middle, middle, &mut gathered.weight);
        gathered
    }

    /// [`back_to_channels`](Self::back_to_channels) for one group, from the gradient of its middles. That of
    /// the kernel comes as `C x M`.
    fn group_back_to_channels(
        &self,
        layer: &Layer,
        scratch: &mut Scratch,
        features: &[f32],
        middle_gradient: &[f32],
        gradient: &mut [f32],
    ) -> Part {
        let (map, middle, norm) = (self.map(), self.middle, &layer.norm1);
        let channels = layer.channels;
        let row = middle_gradient.len() / middle;
        let mut products = vec![0.0; channels * middle];
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
                &middle_gradient[start..],
                middle,
                count,
                row,
                &mut scratch.turned,
            );
            let turned = Matrix {
                data: &scratch.turned,
                row: middle,
                column: 1,
            };
            matmul(
                (channels, middle, count),
                &mut products,
                middle,
                true,
                strip,
                turned,
            );
            let kernel = Matrix {
                data: layer.conv1,
                row: 1,
                column: channels,
            };
            let columns_gradient = Matrix {
                data: &middle_gradient[start..],
                row,
                column: 1,
            };
            let back = &mut scratch.back;
            matmul(
                (channels, count, middle),
                back,
                count,
                false,
                kernel,
                columns_gradient,
            );
            for_each_piece(columns, map, |film, piece, at| {
                for c in 0..channels {
                    let back = &mut back[c * count + at..][..piece.len()];
                    let place = (film * self.total() + c) * map;
                    let x = &features[place..][piece.clone()];
                    let (scale, shift) = (norm.scale[c], norm.shift[c]);
                    let (sum, product) = through_relu(x, scale, shift, norm.mean[c], back);
                    sums[c].0 += sum;
                    sums[c].1 += product;
                    add_scaled(back, scale, &mut gradient[place..][piece.clone()]);
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
    back: Vec<f32>,
    turned: Vec<f32>,
}

impl Scratch {
    fn new(sizes: &Sizes) -> Self {
        let longest = STRIP.max(sizes.width);
        let zeros = |rows: usize| vec![0.0; rows * longest];
        let widest = sizes.total().max(sizes.middle);
        Self {
            outputs: None,
            shifted: zeros(TAPS * sizes.growth),
            strip: zeros(widest),
            back: zeros(widest),
            turned: zeros(sizes.middle),
        }
    }
}

impl Framed {
    /// For each tap and row, what the tap has read of the row for lines of inputs from `first` on:
    /// `shifted` is `9 x rows x places`.
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
    /// Zeroes the gradient where `x scale + shift` is not above zero; the sum of what stays, and of
    /// its products with `x - mean`.
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
