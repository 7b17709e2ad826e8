//! One training step's forward and backward pass of each network, on the CPU.
//!
//! `cargo bench -p plumbline-host --bench training_step -- [SIDE [REPEATS]]`; the PyTorch
//! counterpart is `training_step.py` beside this file.

use std::time::Instant;

use candle_core::{Device, Tensor};
use plumbline_host::nets::{Mode, Network, Parameters};
use plumbline_shared::manifest::Architecture;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

fn main() -> anyhow::Result<()> {
    plumbline_host::memory::keep_freed_memory();
    let mut arguments = std::env::args().skip(1).filter(|a| !a.starts_with("--"));
    let side: usize = arguments.next().map_or(Ok(256), |a| a.parse())?;
    let repeats: usize = arguments.next().map_or(Ok(5), |a| a.parse())?;
    let work = move || -> anyhow::Result<()> {
        for (architecture, films) in [
            (Architecture::Densenet121, 16),
            (Architecture::EfficientnetB0, 20),
        ] {
            let mut parameters = Parameters::new(&Device::Cpu, 1);
            let network = Network::new(architecture, &mut parameters)?;
            let x = Tensor::rand(-1f32, 1.0, (films, 3, side, side), &Device::Cpu)?;
            let mut rng = ChaCha8Rng::seed_from_u64(1);
            let (mut forward, mut backward) = (Vec::new(), Vec::new());
            for _ in 0..=repeats {
                let start = Instant::now();
                let loss = network
                    .forward(&x, &mut Mode::Training(Some(&mut rng)))?
                    .logit()?
                    .sqr()?
                    .mean_all()?;
                forward.push(start.elapsed().as_secs_f64());
                let start = Instant::now();
                loss.backward()?;
                backward.push(start.elapsed().as_secs_f64());
            }
            let median = |times: &mut Vec<f64>| {
                times.remove(0);
                times.sort_by(f64::total_cmp);
                times[times.len() / 2]
            };
            let (forward, backward) = (median(&mut forward), median(&mut backward));
            println!(
                "{architecture:?}: batch {films} at {side}: forward {forward:.3} s, backward \
                 {backward:.3} s, {:.1} films/s",
                films as f64 / (forward + backward)
            );
        }
        Ok(())
    };
    // Candle's backward pass recurses once a node.
    let thread = std::thread::Builder::new()
        .stack_size(256 << 20)
        .spawn(work)?;
    thread
        .join()
        .map_err(|_| anyhow::anyhow!("the benchmark panicked"))?
}
