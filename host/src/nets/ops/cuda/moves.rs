//! What moves the weights.

use candle_core::cuda_backend::cudarc::driver::CudaViewMut;
use candle_core::{CudaStorage, Layout, Result, bail};

use super::{Blocks, elements, launch, small};

/// The elements of a contiguous `f32` tensor, to be changed.
fn elements_mut<'a>(storage: &'a mut CudaStorage, layout: &Layout) -> Result<CudaViewMut<'a, f32>> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(storage.as_cuda_slice_mut::<f32>()?.slice_mut(start..end)),
        None => bail!("an optimiser moves contiguous f32 parameters only"),
    }
}

/// `average = decay average + share g`, or `g^2` for `g`.
pub fn average(
    average: (&mut CudaStorage, &Layout),
    g: (&CudaStorage, &Layout),
    (decay, share): (f32, f32),
    squared: bool,
) -> Result<()> {
    let device = average.0.device.clone();
    let mut average = elements_mut(average.0, average.1)?;
    let g = elements::<f32>(g.0, g.1)?;
    let (grid, count) = (Blocks::Elements(g.len()), small(g.len())?);
    let squared = i32::from(squared);
    launch!(
        &device,
        "running_average",
        "",
        grid,
        mut average,
        g,
        decay,
        share,
        squared,
        count
    );
    Ok(())
}

/// `w *= share`.
pub fn shrink(w: (&mut CudaStorage, &Layout), share: f32) -> Result<()> {
    let device = w.0.device.clone();
    let mut w = elements_mut(w.0, w.1)?;
    let (grid, count) = (Blocks::Elements(w.len()), small(w.len())?);
    launch!(&device, "shrink", "", grid, mut w, share, count);
    Ok(())
}

/// `w -= rate direction`.
pub fn descend(
    w: (&mut CudaStorage, &Layout),
    direction: (&CudaStorage, &Layout),
    rate: f32,
) -> Result<()> {
    let device = w.0.device.clone();
    let mut w = elements_mut(w.0, w.1)?;
    let direction = elements::<f32>(direction.0, direction.1)?;
    let (grid, count) = (Blocks::Elements(w.len()), small(w.len())?);
    launch!(&device, "descend", "", grid, mut w, direction, rate, count);
    Ok(())
}

/// `w -= rate direction / (root_scale sqrt(square) + epsilon)`.
pub fn adaptive_step(
    w: (&mut CudaStorage, &Layout),
    direction: (&CudaStorage, &Layout),
    square: (&CudaStorage, &Layout),
    [rate, root_scale, epsilon]: [f32; 3],
) -> Result<()> {
    let device = w.0.device.clone();
    let mut w = elements_mut(w.0, w.1)?;
    let direction = elements::<f32>(direction.0, direction.1)?;
    let square = elements::<f32>(square.0, square.1)?;
    let (grid, count) = (Blocks::Elements(w.len()), small(w.len())?);
    launch!(
        &device,
        "adaptive_step",
        "",
        grid,
        mut w,
        direction,
        square,
        rate,
        root_scale,
        epsilon,
        count,
    );
    Ok(())
}
