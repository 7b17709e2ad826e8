//! Reading and preparing films of 2048 x 2500 pixels on one core, against pydicom and OpenCV doing
//! the same; and drawing training films from packed ones.
//!
//! `cargo bench -p plumbline-host --bench films -- [PYTHON [REPEATS [COHORT]]]`; `films.py` beside
//! this file is the other side and makes the films. Times are processor time, so that other
//! programs on the machine do not matter much. Without a cohort the second part is left out.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, ensure};
use plumbline_host::cohort::{Cohort, prepare_file};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

fn main() -> anyhow::Result<()> {
    plumbline_host::memory::keep_freed_memory();
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let python = arguments.first().map_or("python3", String::as_str);
    let repeats: usize = arguments.get(1).map_or(Ok(9), |text| text.parse())?;
    against_python(python, repeats)?;
    match arguments.get(2) {
        Some(cohort) => packed(Path::new(cohort)),
        None => Ok(()),
    }
}

fn against_python(python: &str, repeats: usize) -> anyhow::Result<()> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("films");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/films.py");
    let run = Command::new(python)
        .arg(script)
        .arg(&folder)
        .arg(repeats.to_string())
        .stderr(std::process::Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {python}"))?;
    ensure!(run.status.success(), "{python} failed; it says why above");
    println!(
        "{:<32}{:>12}{:>12}{:>8}",
        "film", "ours, ms", "theirs, ms", "ratio"
    );
    for line in std::str::from_utf8(&run.stdout)?.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let [name, theirs, sum] = fields[..] else {
            anyhow::bail!("{python} printed {line:?}");
        };
        let (theirs, sum): (f64, f64) = (theirs.parse()?, sum.parse()?);
        let mut grey = 0.0;
        let mut times = Vec::new();
        for _ in 0..=repeats {
            let start = processor_seconds();
            let prepared = prepare_file(&folder.join(name))?;
            times.push(processor_seconds() - start);
            grey = prepared.grey().iter().map(|g| f64::from(*g)).sum();
        }
        // Both did the same work: their means are rounded at another place.
        ensure!(
            (grey / sum - 1.0).abs() < 1e-3,
            "{name}: greys sum to {grey} here and {sum} there"
        );
        let ours = median(&mut times[1..]);
        println!(
            "{name:<32}{:>12.1}{:>12.1}{:>8.2}",
            ours * 1e3,
            theirs * 1e3,
            ours / theirs
        );
    }
    Ok(())
}

/// Films a second from packed ones, in the random order of training, each read to its last pixel.
fn packed(folder: &Path) -> anyhow::Result<()> {
    let cohort = Cohort::open(folder)?;
    let opening = Instant::now();
    let cache = cohort.packed()?;
    println!(
        "\nopening {} packed films: {:.3} s",
        cache.len(),
        opening.elapsed().as_secs_f64()
    );
    let mut order: Vec<usize> = (0..cache.len()).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(1));
    for pass in ["first pass", "second pass"] {
        let start = Instant::now();
        let sum: u64 = order
            .iter()
            .map(|place| {
                cache
                    .grey(*place)
                    .iter()
                    .map(|g| u64::from(*g))
                    .sum::<u64>()
            })
            .sum();
        let rate = order.len() as f64 / start.elapsed().as_secs_f64();
        println!("{pass}: {rate:.0} films/s on one core (greys sum to {sum})");
    }
    Ok(())
}

/// The processor time of this thread; the wall-clock time where that is not known.
fn processor_seconds() -> f64 {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        let mut used = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: the clock is there on every Linux, and `used` is what it is told to fill.
        unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut used) };
        used.tv_sec as f64 + used.tv_nsec as f64 / 1e9
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    {
        static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
        START.elapsed().as_secs_f64()
    }
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
