//! Maps that a dense block adds channels to.
//!
//! All its channels have their memory from the beginning. Layers read those that are there and write
//! theirs behind them, so that none is copied again or kept twice (a GPU's batch norm reads them where
//! they lie, a CPU's gathers them first), and the batch's statistics of each are taken once for all
//! layers that normalise by them.

use candle_core::{DType, Result, Tensor};

use super::Traced;
use super::batch_norm::{BatchStatistics, Statistics, measure};
use super::channels::gathered;
use crate::mode::{Mode, Share};

/// Maps, `N x C x H x W`, of which C grows.
pub struct DenseFeatures<'a> {
    /// Those that are there and those to come.
    room: Tensor,
    maps: Traced,
    measured: Option<Measured<'a>>,
}

/// The batch's statistics of the channels that are there.
struct Measured<'a> {
    /// The same of all channels.
    room: BatchStatistics,
    share: Option<Share<'a>>,
}

impl<'a> DenseFeatures<'a> {
    /// Begins with the channels of `maps`, of `channels` in the end. In training they are measured.
    ///
    /// # Errors
    /// If `maps` is not 4-d or has more channels, or a device that has a share of the batch has left.
    pub fn new(maps: &Traced, channels: usize, mode: &Mode<'a>) -> Result<Self> {
        let (films, _, height, width) = maps.dims4()?;
        let shape = (films, channels, height, width);
        let room = Tensor::zeros(shape, maps.dtype(), maps.device())?;
        let measured = match mode {
            Mode::Evaluation => None,
            Mode::Training(training) => {
                let none = Tensor::zeros(channels, DType::F32, maps.device())?;
                let room = BatchStatistics {
                    variance: none.copy()?,
                    mean: none,
                    count: 0,
                };
                Some(Measured {
                    room,
                    share: training.share,
                })
            }
        };
        let mut growing = Self {
            maps: Traced::from(&room.narrow(1, 0, 0)?),
            room,
            measured,
        };
        growing.push(maps)?;
        Ok(growing)
    }

    /// The maps that are there.
    pub fn maps(&self) -> &Traced {
        &self.maps
    }

    /// By what the maps that are there are normalised in training.
    ///
    /// # Errors
    /// Candle's.
    pub fn statistics(&self) -> Result<Option<Statistics<'a>>> {
        let channels = self.maps.dim(1)?;
        let statistics = self.measured.as_ref().map(|Measured { room, share }| {
            let batch = BatchStatistics {
                mean: room.mean.narrow(0, 0, channels)?,
                variance: room.variance.narrow(0, 0, channels)?,
                count: room.count,
            };
            Ok(Statistics::Batch(batch, *share))
        });
        statistics.transpose()
    }

    /// Adds `maps` behind those that are there.
    ///
    /// # Errors
    /// If they have another shape but for the channels, or more of these than were said; or if a
    /// device that has a share of the batch has left.
    pub fn push(&mut self, maps: &Traced) -> Result<()> {
        let (before, more) = (self.maps.dim(1)?, maps.dim(1)?);
        self.room.slice_set(&maps.contiguous()?, 1, before)?;
        let value = self.room.narrow(1, 0, before + more)?;
        self.maps = Traced::step(&[&self.maps, maps], value, move |gradient, wanted| {
            let part = |first, count| gathered(&gradient.narrow(1, first, count)?);
            Ok(vec![
                wanted[0].then(|| part(0, before)).transpose()?,
                wanted[1].then(|| part(before, more)).transpose()?,
            ])
        });
        if let Some(Measured { room, share }) = &mut self.measured {
            let new = measure(maps, *share)?;
            room.mean.slice_set(&new.mean, 0, before)?;
            room.variance.slice_set(&new.variance, 0, before)?;
            room.count = new.count;
        }
        Ok(())
    }
}
