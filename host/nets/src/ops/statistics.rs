//! Mean and variance of each channel of a batch.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

#[cfg(feature = "cuda")]
use super::cuda;
use super::map_sizes::map_sizes;
use super::storage::elements;
use super::vectorised::{LANES, vectorised};
use crate::mode::Share;

/// Mean and variance of each channel, over films and places, on the network's device.
#[derive(Clone, Debug)]
pub struct BatchStatistics {
    /// One mean a channel.
    pub mean: Tensor,
    /// One biased variance a channel.
    pub variance: Tensor,
    /// Number of elements that each was taken over.
    pub count: usize,
}

/// The statistics that a batch norm uses.
#[derive(Clone)]
pub enum Statistics<'a> {
    /// Running statistics, as constants (evaluation).
    Running(BatchStatistics),
    /// The batch's own as [`measure`] gives them, through which the gradient also flows (training).
    Batch(BatchStatistics, Option<Share<'a>>),
}

/// [`BatchStatistics`] as numbers.
#[derive(Clone, Debug)]
pub struct ChannelStatistics {
    /// One mean a channel.
    pub mean: Vec<f32>,
    /// One biased variance a channel.
    pub variance: Vec<f32>,
    /// Number of elements that each was taken over.
    pub count: usize,
}

impl BatchStatistics {
    /// The statistics of the whole batch, from those of this device's `films` of it.
    fn over_batch(self, films: usize, Share { rank, films: all }: Share) -> Result<Self> {
        let weight = films as f64 / all as f64;
        let mean = rank.sum(&(&self.mean * weight)?)?;
        let between = (&self.mean - &mean)?.sqr()?;
        let variance = rank.sum(&((&self.variance + between)? * weight)?)?;
        Ok(Self {
            mean,
            variance,
            count: self.count / films * all,
        })
    }

    /// The statistics as numbers.
    pub(crate) fn numbers(&self) -> Result<ChannelStatistics> {
        Ok(ChannelStatistics {
            mean: self.mean.to_vec1()?,
            variance: self.variance.to_vec1()?,
            count: self.count,
        })
    }
}

impl ChannelStatistics {
    /// The numbers as tensors on the CPU.
    pub fn tensors(self) -> Result<BatchStatistics> {
        Ok(BatchStatistics {
            mean: Tensor::new(self.mean, &Device::Cpu)?,
            variance: Tensor::new(self.variance, &Device::Cpu)?,
            count: self.count,
        })
    }
}

/// The statistics of a batch, `N x C x H x W`; where `x` is a share of it, the whole batch's.
///
/// # Errors
/// If `x` has another shape, or a device that has a share of the batch has stopped.
pub fn measure(x: &Tensor, share: Option<Share>) -> Result<BatchStatistics> {
    let both = x.contiguous()?.apply_op1_no_bwd(&Measure)?;
    let own = BatchStatistics {
        mean: both.get(0)?,
        variance: both.get(1)?,
        count: x.elem_count() / both.dim(1)?,
    };
    match share {
        None => Ok(own),
        Some(share) => own.over_batch(x.dim(0)?, share),
    }
}

/// Mean and biased variance of each channel, `2 x C`.
struct Measure;

impl CustomOp1 for Measure {
    fn name(&self) -> &'static str {
        "batch statistics"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let [films, channels, height, width] = map_sizes(layout.dims(), "batch norm")?;
        let map = height * width;
        let x = elements(x, layout)?;
        let ChannelStatistics { mean, variance, .. } =
            channel_statistics(channels, films, |channel, film| {
                &x[(film * channels + channel) * map..][..map]
            });
        let both = [mean, variance].concat();
        Ok((CpuStorage::F32(both), Shape::from((2, channels))))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        cuda::batch_norm::statistics(x, layout)
    }
}

/// Mean and variance of each channel, over `planes` parts that `plane` gives for a channel and a
/// number. Two passes, as the difference of large squares would lose the variance of a bright
/// channel.
pub fn channel_statistics<'a>(
    channels: usize,
    planes: usize,
    plane: impl Fn(usize, usize) -> &'a [f32] + Sync,
) -> ChannelStatistics {
    let planes_of = |channel| (0..planes).map(move |number| (channel, number));
    let count = planes_of(0).map(|(c, n)| plane(c, n).len()).sum();
    let (mean, variance) = (0..channels)
        .into_par_iter()
        .map(|channel| {
            let total = |part: &dyn Fn(&[f32]) -> f32| -> f32 {
                let sums = planes_of(channel).map(|(c, n)| f64::from(part(plane(c, n))));
                (sums.sum::<f64>() / count as f64) as f32
            };
            let mean = total(&sum);
            (mean, total(&|x| sum_of_squares(x, mean)))
        })
        .unzip();
    ChannelStatistics {
        mean,
        variance,
        count,
    }
}

vectorised! {
    /// The sum of `x`.
    fn sum(x: &[f32]) -> f32 {
        let (blocks, tail) = x.as_chunks::<LANES>();
        let mut lanes = [0.0f32; LANES];
        for block in blocks {
            for lane in 0..LANES {
                lanes[lane] += block[lane];
            }
        }
        lanes.iter().sum::<f32>() + tail.iter().sum::<f32>()
    }
}

vectorised! {
    /// The sum of squares of `x - mean`.
    fn sum_of_squares(x: &[f32], mean: f32) -> f32 {
        let (blocks, tail) = x.as_chunks::<LANES>();
        let mut lanes = [0.0f32; LANES];
        for block in blocks {
            for lane in 0..LANES {
                let centred = block[lane] - mean;
                lanes[lane] += centred * centred;
            }
        }
        lanes.iter().sum::<f32>() + tail.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>()
    }
}
