//! What moves weights and statistics, in place.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, InplaceOp1, InplaceOp2, InplaceOp3, Layout, Result, bail};

#[cfg(feature = "cuda")]
use super::cuda;
use super::elements;

fn contiguous_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(all), Some((start, end))) => Ok(&mut all[start..end]),
        _ => bail!("an optimiser moves contiguous f32 parameters only"),
    }
}

/// Everything that moves one tensor by others wants them of its size.
fn check_sizes(moved: &Layout, by: &[&Layout]) -> Result<()> {
    if by
        .iter()
        .any(|by| by.shape().elem_count() != moved.shape().elem_count())
    {
        bail!("a tensor of {:?} cannot be moved by {by:?}", moved.dims());
    }
    Ok(())
}

/// `average = decay average + share g`, or `g^2` for `g`.
pub struct RunningAverage {
    /// What stays of the average.
    pub decay: f64,
    /// How much is added.
    pub share: f64,
    /// Whether squares are averaged.
    pub squared: bool,
}

impl RunningAverage {
    /// The running mean: what is new has the share that decays.
    pub fn mean(decay: f64) -> Self {
        Self {
            decay,
            share: 1.0 - decay,
            squared: false,
        }
    }
}

impl InplaceOp2 for RunningAverage {
    fn name(&self) -> &'static str {
        "running average"
    }

    fn cpu_fwd(
        &self,
        average: &mut CpuStorage,
        layout: &Layout,
        gradient: &CpuStorage,
        gradient_layout: &Layout,
    ) -> Result<()> {
        check_sizes(layout, &[gradient_layout])?;
        let (decay, share) = (self.decay as f32, self.share as f32);
        let gradient = elements(gradient, gradient_layout)?;
        for (average, g) in contiguous_mut(average, layout)?.iter_mut().zip(gradient) {
            let term = if self.squared { g * g } else { *g };
            *average = *average * decay + term * share;
        }
        Ok(())
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        average: &mut CudaStorage,
        layout: &Layout,
        gradient: &CudaStorage,
        gradient_layout: &Layout,
    ) -> Result<()> {
        check_sizes(layout, &[gradient_layout])?;
        let factors = (self.decay as f32, self.share as f32);
        let gradient = (gradient, gradient_layout);
        cuda::moves::average((average, layout), gradient, factors, self.squared)
    }
}

/// `w *= share`.
pub struct Shrink(pub f64);

impl InplaceOp1 for Shrink {
    fn name(&self) -> &'static str {
        "weight decay"
    }

    fn cpu_fwd(&self, parameter: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let share = self.0 as f32;
        for w in contiguous_mut(parameter, layout)? {
            *w *= share;
        }
        Ok(())
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, parameter: &mut CudaStorage, layout: &Layout) -> Result<()> {
        cuda::moves::shrink((parameter, layout), self.0 as f32)
    }
}

/// `w -= rate direction`.
pub struct Descend(pub f64);

impl InplaceOp2 for Descend {
    fn name(&self) -> &'static str {
        "descent"
    }

    fn cpu_fwd(
        &self,
        parameter: &mut CpuStorage,
        layout: &Layout,
        direction: &CpuStorage,
        direction_layout: &Layout,
    ) -> Result<()> {
        check_sizes(layout, &[direction_layout])?;
        let rate = self.0 as f32;
        let direction = elements(direction, direction_layout)?;
        for (w, d) in contiguous_mut(parameter, layout)?.iter_mut().zip(direction) {
            *w -= rate * d;
        }
        Ok(())
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        parameter: &mut CudaStorage,
        layout: &Layout,
        direction: &CudaStorage,
        direction_layout: &Layout,
    ) -> Result<()> {
        check_sizes(layout, &[direction_layout])?;
        let direction = (direction, direction_layout);
        cuda::moves::descend((parameter, layout), direction, self.0 as f32)
    }
}

/// `w -= rate direction / (sqrt(square_scale square) + epsilon)`.
pub struct AdaptiveStep {
    /// Step size.
    pub rate: f64,
    /// Factor of the squares.
    pub square_scale: f64,
    /// What keeps the divisor from zero.
    pub epsilon: f64,
}

impl InplaceOp3 for AdaptiveStep {
    fn name(&self) -> &'static str {
        "optimiser step"
    }

    fn cpu_fwd(
        &self,
        parameter: &mut CpuStorage,
        layout: &Layout,
        direction: &CpuStorage,
        direction_layout: &Layout,
        square: &CpuStorage,
        square_layout: &Layout,
    ) -> Result<()> {
        check_sizes(layout, &[direction_layout, square_layout])?;
        let direction = elements(direction, direction_layout)?;
        let square = elements(square, square_layout)?;
        let (rate, epsilon) = (self.rate as f32, self.epsilon as f32);
        let root_scale = self.square_scale.sqrt() as f32;
        for ((w, d), s) in contiguous_mut(parameter, layout)?
            .iter_mut()
            .zip(direction)
            .zip(square)
        {
            *w -= rate * d / (s.sqrt() * root_scale + epsilon);
        }
        Ok(())
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        parameter: &mut CudaStorage,
        layout: &Layout,
        direction: &CudaStorage,
        direction_layout: &Layout,
        square: &CudaStorage,
        square_layout: &Layout,
    ) -> Result<()> {
        check_sizes(layout, &[direction_layout, square_layout])?;
        let (direction, square) = ((direction, direction_layout), (square, square_layout));
        let numbers = [self.rate, self.square_scale.sqrt(), self.epsilon].map(|n| n as f32);
        cuda::moves::adaptive_step((parameter, layout), direction, square, numbers)
    }
}
