//! Updates of weights and of running averages, in place.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, InplaceOp1, InplaceOp2, InplaceOp3, Layout, Result, bail};

#[cfg(feature = "cuda")]
use super::cuda;
use super::storage::{elements, elements_mut};
use super::update::{Average, OptimiserStep, ParameterUpdate};

/// Refuses a new value whose shape is not the average's.
fn check_sizes(average: &Layout, new: &Layout) -> Result<()> {
    if new.shape() != average.shape() {
        bail!("an average of {average:?} cannot be updated by {new:?}");
    }
    Ok(())
}

/// Updates parameters, all on one device.
///
/// # Errors
/// Candle's, if shapes or devices differ.
pub fn update_parameters(all: &[ParameterUpdate], step: &OptimiserStep) -> Result<()> {
    for update in all {
        let others = [Some(&update.gradient), update.mean, update.square];
        for other in others.into_iter().flatten() {
            if other.shape() != update.parameter.shape() {
                bail!(
                    "a parameter of {:?} has a gradient or state of {:?}",
                    update.parameter.dims(),
                    other.dims()
                );
            }
        }
    }
    #[cfg(feature = "cuda")]
    if all
        .first()
        .is_some_and(|update| update.parameter.device().is_cuda())
    {
        return cuda::optimiser::update_parameters(all, step);
    }
    all.iter().try_for_each(|update| update.apply(step))
}

impl ParameterUpdate<'_> {
    /// Updates the parameter on the CPU.
    fn apply(&self, step: &OptimiserStep) -> Result<()> {
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

/// The update of an average by a new value or its square.
pub struct RunningAverage {
    average: Average,
    squared: bool,
}

impl RunningAverage {
    /// The update by the new value itself.
    pub fn of(average: Average) -> Self {
        let squared = false;
        Self { average, squared }
    }

    /// The update by the square of the new value.
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
        for (average, g) in elements_mut(average, layout)?.iter_mut().zip(gradient) {
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
        for w in elements_mut(parameter, layout)? {
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
        for (w, d) in elements_mut(parameter, layout)?.iter_mut().zip(direction) {
            *w -= rate * d;
        }
        Ok(())
    }
}

/// `w -= rate direction / (sqrt(square_scale square) + epsilon)`.
struct Divided<'a>(&'a OptimiserStep);

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
        for ((w, d), s) in elements_mut(parameter, layout)?
            .iter_mut()
            .zip(direction)
            .zip(square)
        {
            *w -= rate * d / (s.sqrt() * root_scale + epsilon);
        }
        Ok(())
    }
}
