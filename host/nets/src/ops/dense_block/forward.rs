//! The forward pass of a dense block: from the incoming channels to all.

use candle_core::{Result, bail};
use rayon::prelude::*;

use super::super::activation::{Activation, apply, rectified};
use super::super::affine::Affine;
use super::super::frame::Frame;
use super::super::gemm::{Matrix, matmul};
use super::super::statistics::{ChannelStatistics, channel_statistics};
use super::super::vectorised::vectorised;
use super::block::{DenseBlock, Kept, Layer, LayerNumbers};
use super::sizes::{BlockSizes, STRIP, for_each_piece};

impl DenseBlock {
    /// All channels of all films, from the incoming ones.
    pub(super) fn forward(&self, x: &[f32], parameters: &[f32]) -> Result<(Vec<f32>, Kept)> {
        let sizes = self.sizes;
        let (map, total) = (sizes.map(), sizes.total());
        let mut features = vec![0.0; sizes.films * total * map];
        features
            .par_chunks_mut(total * map)
            .zip(x.par_chunks(sizes.inputs * map))
            .for_each(|(features, x)| features[..x.len()].copy_from_slice(x));
        let running = self.running.as_deref();
        if running.is_some_and(|running| running.len() != sizes.layers) {
            bail!("a dense block was given statistics for another number of layers");
        }

        let mut kept = Kept {
            statistics: Vec::new(),
            bottlenecks: Vec::new(),
        };
        // Of all channels so far; each is measured once, for all layers that read it.
        let mut measured = ChannelStatistics {
            mean: Vec::new(),
            variance: Vec::new(),
            count: 0,
        };
        let mut bottlenecks = Vec::new();
        for index in 0..sizes.layers {
            let channels = sizes.channels(index);
            let first = match running {
                Some(running) => running[index].first.clone(),
                None => {
                    let known = measured.mean.len();
                    let new = channel_statistics(channels - known, sizes.films, |channel, film| {
                        &features[(film * total + known + channel) * map..][..map]
                    });
                    measured.mean.extend(new.mean);
                    measured.variance.extend(new.variance);
                    measured.count = new.count;
                    measured.clone()
                }
            };
            let [gamma1, beta1, conv1, gamma2, beta2, conv2] = self.split(parameters, index);
            let norm1 = Affine::new(&first, self.epsilon, gamma1, beta1)?;
            bottlenecks.resize(sizes.films * sizes.bottleneck * map, 0.0);
            sizes.fill_bottlenecks(&features, channels, &norm1, conv1, &mut bottlenecks);
            let second = match running {
                Some(running) => running[index].second.clone(),
                None => sizes.measure_bottlenecks(&bottlenecks),
            };
            let layer = Layer {
                channels,
                norm1,
                conv1,
                norm2: Affine::new(&second, self.epsilon, gamma2, beta2)?,
                conv2,
            };
            sizes.add_channels(&bottlenecks, &layer, &mut features);
            kept.statistics.push(LayerNumbers { first, second });
            if self.keep_bottlenecks {
                kept.bottlenecks.push(std::mem::take(&mut bottlenecks));
            }
        }
        Ok((features, kept))
    }
}

impl BlockSizes {
    /// Number of films in the group that starts at film `start`.
    fn films_from(&self, start: usize) -> usize {
        self.together().min(self.films - start)
    }

    /// The first convolution of a layer. The bottleneck maps lie by groups of films, each group as
    /// one row a channel.
    pub(super) fn fill_bottlenecks(
        &self,
        features: &[f32],
        channels: usize,
        norm: &Affine,
        conv: &[f32],
        bottlenecks: &mut [f32],
    ) {
        features
            .par_chunks(self.group(self.total()))
            .zip(bottlenecks.par_chunks_mut(self.group(self.bottleneck)))
            .for_each_init(
                || vec![0.0; channels * STRIP],
                |strip, (features, bottlenecks)| {
                    let row = bottlenecks.len() / self.bottleneck;
                    for start in (0..row).step_by(STRIP) {
                        let columns = start..row.min(start + STRIP);
                        let count = columns.len();
                        self.normalise(features, norm, columns, strip);
                        matmul(
                            (self.bottleneck, count, channels),
                            &mut bottlenecks[start..],
                            row,
                            false,
                            Matrix {
                                data: conv,
                                row: channels,
                                column: 1,
                            },
                            Matrix {
                                data: strip,
                                row: count,
                                column: 1,
                            },
                        );
                    }
                },
            );
    }

    /// The input of a layer's first convolution, for some columns of a group: one row of them a
    /// channel, for as many channels as `norm` has.
    pub(super) fn normalise(
        &self,
        features: &[f32],
        norm: &Affine,
        columns: std::ops::Range<usize>,
        strip: &mut [f32],
    ) {
        let (map, count) = (self.map(), columns.len());
        for_each_piece(columns, map, |film, piece, at| {
            for (channel, (scale, shift)) in norm.scale.iter().zip(&norm.shift).enumerate() {
                let plane = &features[(film * self.total() + channel) * map..][piece.clone()];
                let to = &mut strip[channel * count + at..][..piece.len()];
                apply(Activation::Relu, plane, *scale, *shift, to);
            }
        });
    }

    /// The statistics of the bottleneck maps.
    fn measure_bottlenecks(&self, bottlenecks: &[f32]) -> ChannelStatistics {
        let groups = self.films.div_ceil(self.together());
        channel_statistics(self.bottleneck, groups, |channel, group| {
            let start = group * self.together();
            let row = self.films_from(start) * self.map();
            &bottlenecks[start * self.bottleneck * self.map() + channel * row..][..row]
        })
    }

    /// The second convolution of a layer, whose outputs follow the channels that it read.
    fn add_channels(&self, bottlenecks: &[f32], layer: &Layer, features: &mut [f32]) {
        let (map, total) = (self.map(), self.total());
        features
            .par_chunks_mut(self.group(total))
            .zip(bottlenecks.par_chunks(self.group(self.bottleneck)))
            .for_each_init(
                || None,
                |scratch: &mut Option<Framed>, (features, bottlenecks)| {
                    let frame = self.frame(features);
                    let framed = Framed::of(scratch, frame, self.bottleneck);
                    framed.rectify(bottlenecks, &layer.norm2);
                    let mut out = vec![0.0; self.growth * frame.row()];
                    let channels = (self.bottleneck, self.growth);
                    frame.convolve(&framed.rows, layer.conv2, channels, &mut out);
                    for (channel, row) in out.chunks_exact(frame.row()).enumerate() {
                        for film in 0..frame.films {
                            let plane = film * total + layer.channels + channel;
                            frame.take(row, film, &mut features[plane * map..][..map]);
                        }
                    }
                },
            );
    }
}

/// Rows in their frame, whose borders stay zero from one use to the next.
pub(super) struct Framed {
    pub frame: Frame,
    pub rows: Vec<f32>,
}

impl Framed {
    /// The rows of `scratch`, which are replaced if there are none or they lie in another frame.
    pub fn of(scratch: &mut Option<Self>, frame: Frame, channels: usize) -> &mut Self {
        scratch.take_if(|framed| framed.frame != frame);
        scratch.get_or_insert_with(|| Self {
            frame,
            rows: vec![0.0; channels * frame.row()],
        })
    }

    /// The input of a layer's second convolution: a group's bottleneck maps, normalised.
    pub fn rectify(&mut self, bottlenecks: &[f32], norm: &Affine) {
        let Self { frame, rows } = self;
        let map = frame.map();
        for (channel, row) in rows.chunks_exact_mut(frame.row()).enumerate() {
            for film in 0..frame.films {
                let from = &bottlenecks[(channel * frame.films + film) * map..][..map];
                let to = &mut row[frame.first(film)..];
                let (scale, shift) = (norm.scale[channel], norm.shift[channel]);
                rectify_lines(from, frame.width, scale, shift, to, frame.line());
            }
        }
    }
}

vectorised! {
    /// `max(x scale + shift, 0)` of lines of `width`, into lines that start `stride` apart.
    fn rectify_lines(
        x: &[f32],
        width: usize,
        scale: f32,
        shift: f32,
        to: &mut [f32],
        stride: usize,
    ) {
        for (to, line) in to.chunks_mut(stride).zip(x.chunks_exact(width)) {
            for (to, x) in to.iter_mut().zip(line) {
                *to = rectified(x * scale + shift);
            }
        }
    }
}
