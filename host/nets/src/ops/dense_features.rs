//! The feature maps of a dense block, to which each layer adds channels.
//!
//! All channels have their memory from the beginning. Layers read those that are there and write
//! their own behind them, so that none is copied again or kept twice (a GPU's batch norm reads them
//! where they lie, a CPU's makes a contiguous copy first). The batch's statistics of each channel
//! are measured once, for all layers that normalise it.

use candle_core::{DType, Result, Tensor};

use super::channels::contiguous;
use super::statistics::{BatchStatistics, Statistics, measure};
use crate::autodiff::Traced;
use crate::mode::{Mode, Share};

/// Feature maps, `N x C x H x W`, of which C grows.
pub struct DenseFeatures<'a> {
    /// Memory of all channels: those that are there, and those to come.
    buffer: Tensor,
    maps: Traced,
    measured: Option<Measured<'a>>,
}

/// The batch's statistics of the channels that are there.
struct Measured<'a> {
    /// Memory of the statistics of all channels.
    buffer: BatchStatistics,
    share: Option<Share<'a>>,
}

impl<'a> DenseFeatures<'a> {
    /// Begins with the channels of `maps`, of `channels` in the end. In training they are measured.
    ///
    /// # Errors
    /// If `maps` is not 4-d or has more channels, or a device that has a share of the batch has
    /// stopped.
    pub fn new(maps: &Traced, channels: usize, mode: &Mode<'a>) -> Result<Self> {
        let (films, _, height, width) = maps.dims4()?;
        let shape = (films, channels, height, width);
        let buffer = Tensor::zeros(shape, maps.dtype(), maps.device())?;
        let measured = match mode {
            Mode::Evaluation => None,
            Mode::Training(training) => {
                let none = Tensor::zeros(channels, DType::F32, maps.device())?;
                let buffer = BatchStatistics {
                    variance: none.copy()?,
                    mean: none,
                    count: 0,
                };
                Some(Measured {
                    buffer,
                    share: training.share,
                })
            }
        };
        let mut features = Self {
            maps: Traced::from(&buffer.narrow(1, 0, 0)?),
            buffer,
            measured,
        };
        features.push(maps)?;
        Ok(features)
    }

    /// The maps that are there.
    pub fn maps(&self) -> &Traced {
        &self.maps
    }

    /// The batch's statistics of the maps that are there, which normalise them in training; none in
    /// evaluation.
    ///
    /// # Errors
    /// Candle's.
    pub fn statistics(&self) -> Result<Option<Statistics<'a>>> {
        let channels = self.maps.dim(1)?;
        let statistics = self.measured.as_ref().map(|Measured { buffer, share }| {
            let batch = BatchStatistics {
                mean: buffer.mean.narrow(0, 0, channels)?,
                variance: buffer.variance.narrow(0, 0, channels)?,
                count: buffer.count,
            };
            Ok(Statistics::Batch(batch, *share))
        });
        statistics.transpose()
    }

    /// Adds `maps` behind those that are there.
    ///
    /// # Errors
    /// If they have another shape but for the channels, or more of these than were announced; or if
    /// a device that has a share of the batch has stopped.
    pub fn push(&mut self, maps: &Traced) -> Result<()> {
        let (before, more) = (self.maps.dim(1)?, maps.dim(1)?);
        self.buffer
            .slice_set(&maps.value().contiguous()?, 1, before)?;
        let value = self.buffer.narrow(1, 0, before + more)?;
        self.maps = Traced::node(&[&self.maps, maps], value, move |gradient, wanted| {
            let part = |first, count| contiguous(&gradient.narrow(1, first, count)?);
            Ok(vec![
                wanted[0].then(|| part(0, before)).transpose()?,
                wanted[1].then(|| part(before, more)).transpose()?,
            ])
        });
        if let Some(Measured { buffer, share }) = &mut self.measured {
            let new = measure(maps.value(), *share)?;
            buffer.mean.slice_set(&new.mean, 0, before)?;
            buffer.variance.slice_set(&new.variance, 0, before)?;
            buffer.count = new.count;
        }
        Ok(())
    }
}
