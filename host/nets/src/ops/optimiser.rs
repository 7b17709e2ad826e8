//! What moves weights and statistics, in place.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, InplaceOp1, InplaceOp2, InplaceOp3, Layout, Result, Tensor, bail};

#[cfg(feature = "cuda")]
use super::cuda;
use super::elements;

fn contiguous_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(all), Some((start, end))) => Ok(&mut all[start..end]),
        _ => bail!("an optimiser moves contiguous f32 parameters only"),
    }
}

fn check_sizes(average: &Layout, by: &Layout) -> Result<()> {
    if by.shape() != average.shape() {
        bail!("an average of {average:?} cannot take in {by:?}");
    }
    Ok(())
}

/// `average = decay average + share x`.
#[derive(Clone, Copy)]
pub struct Average {
    /// What stays of the average.
    pub decay: f64,
    /// How much is added.
    pub share: f64,
}

impl Average {
    /// The running mean: what is new has the share that decays.
    pub fn running(decay: f64) -> Self {
        let share = 1.0 - decay;
        Self { decay, share }
    }
}

/// What moves parameters in one step. First `g += weight_decay w` and `w *= keep`; then
/// `w -= rate mean / (sqrt(square_scale square) + epsilon)`, with the averages of `g` and `g^2`,
/// for a parameter that has no mean `g` itself, and undivided for one that has no square.
#[derive(Clone, Copy)]
pub struct Step {
    /// What stays of the parameter.
    pub keep: f64,
    /// The parameter's part of its gradient.
    pub weight_decay: f64,
    /// How the mean of gradients goes on.
    pub mean: Average,
    /// How that of squared gradients does.
    pub square: Average,
    /// Factor of the squares.
    pub square_scale: f64,
    /// Step size.
    pub rate: f64,
    /// What keeps the divisor from zero.
    pub epsilon: f64,
}

/// A parameter with what it is moved by, all of one shape.
pub struct Moved<'a> {
    /// What is moved, `f32`.
    pub parameter: &'a Tensor,
    /// Its gradient, contiguous.
    pub gradient: Tensor,
    /// The mean of gradients, which goes on.
    pub mean: Option<&'a Tensor>,
    /// That of squared ones.
    pub square: Option<&'a Tensor>,
}

/// Moves parameters, all on one device.
///
/// # Errors
/// Candle's, if shapes or devices differ.
pub fn step(all: &[Moved], step: &Step) -> Result<()> {
    for moved in all {
        let others = [Some(&moved.gradient), moved.mean, moved.square];
        for other in others.into_iter().flatten() {
            if other.shape() != moved.parameter.shape() {
                bail!("a parameter cannot be moved by what has another shape");
            }
        }
    }
    #[cfg(feature = "cuda")]
    if all
        .first()
        .is_some_and(|moved| moved.parameter.device().is_cuda())
    {
        return cuda::optimiser::step(all, step);
    }
    all.iter().try_for_each(|moved| moved.step(step))
}

impl Moved<'_> {
    fn step(&self, step: &Step) -> Result<()> {
        let mut gradient = self.gradient.clone();
        if step.weight_decay != 0.0 {
            gradient = (gradient + (self.parameter.detach() * step.weight_decay)?)?;
        }
        if step.keep != 1.0 {
            self.parameter.inplace_op1(&Shrink(step.keep))?;
        }
        if let Some(square) = self.square {
            square.inplace_op2(&gradient, &RunningAverage::of_squares(step.square))?;
        }
        if let Some(mean) = self.mean {
            mean.inplace_op2(&gradient, &RunningAverage::of(step.mean))?;
        }
        let direction = self.mean.unwrap_or(&gradient);
        match self.square {
            Some(square) => self
                .parameter
                .inplace_op3(direction, square, &Divided(step)),
            None => self.parameter.inplace_op2(direction, &Descend(step.rate)),
        }
    }
}

/// Moves an average on, by what it is given or its square.
pub struct RunningAverage {
    average: Average,
    squared: bool,
}

impl RunningAverage {
    /// Of what it is given.
    pub fn of(average: Average) -> Self {
        let squared = false;
        Self { average, squared }
    }

    fn of_squares(average: Average) -> Self {
        let squared = true;
        Self { average, squared }
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
        check_sizes(layout, gradient_layout)?;
        let Average { decay, share } = self.average;
        let (decay, share) = (decay as f32, share as f32);
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
        check_sizes(layout, gradient_layout)?;
        let Average { decay, share } = self.average;
        let factors = (decay as f32, share as f32);
        cuda::optimiser::average((average, layout), (gradient, gradient_layout), factors)
    }
}

/// `w *= share`.
struct Shrink(f64);

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
}

/// `w -= rate direction`.
struct Descend(f64);

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
        let rate = self.0 as f32;
        let direction = elements(direction, direction_layout)?;
        for (w, d) in contiguous_mut(parameter, layout)?.iter_mut().zip(direction) {
            *w -= rate * d;
        }
        Ok(())
    }
}

/// `w -= rate direction / (sqrt(square_scale square) + epsilon)`.
struct Divided<'a>(&'a Step);

impl InplaceOp3 for Divided<'_> {
    fn name(&self) -> &'static str {
        "divided descent"
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
        let direction = elements(direction, direction_layout)?;
        let square = elements(square, square_layout)?;
        let (rate, epsilon) = (self.0.rate as f32, self.0.epsilon as f32);
        let root_scale = self.0.square_scale.sqrt() as f32;
        for ((w, d), s) in contiguous_mut(parameter, layout)?
            .iter_mut()
            .zip(direction)
            .zip(square)
        {
            *w -= rate * d / (s.sqrt() * root_scale + epsilon);
        }
        Ok(())
    }
}
