//! A station's computer loses power again and again while films come: no film that was acknowledged
//! is lost, none is there twice, and what was decided stays decided.

use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::computer::Computer;
use crate::films::Film;
use crate::real_station::store;

/// How long an emulated computer may take for anything.
const PATIENCE: Duration = Duration::from_secs(1200);

/// Films that come at the same time.
const SENDERS: usize = 2;

/// After so many cuts it is looked at what became of the films.
const LOOK_EVERY: u32 = 10;

/// One film of so many is read, which takes the emulated computer half a minute; the others are
/// refused.
const GOOD_EVERY: u32 = 100;

/// The films that were sent so far.
#[derive(Default)]
struct Sent {
    next: AtomicU32,
    /// Numbers of films that the station has acknowledged, by instance.
    acknowledged: Mutex<HashMap<String, u32>>,
    twice: AtomicU32,
}

impl Sent {
    fn film(number: u32) -> Result<Film> {
        match number % GOOD_EVERY {
            1 => Film::good(number),
            _ => Film::too_small(number),
        }
    }

    /// Sends one film after the other, as `file`, until the station is gone; first one that it has
    /// already.
    fn send(&self, computer: SocketAddr, file: &Path, gone: &AtomicBool) -> Result<()> {
        let mut again = self.acknowledged()?.values().next().copied();
        while !gone.load(Ordering::Relaxed) {
            let is_again = again.is_some();
            let number =
                (again.take()).unwrap_or_else(|| self.next.fetch_add(1, Ordering::Relaxed));
            let film = Self::film(number)?;
            fs::write(file, &film.bytes)?;
            match store(computer, &[file.to_owned()]) {
                Ok(true) if is_again => drop(self.twice.fetch_add(1, Ordering::Relaxed)),
                Ok(true) => drop(self.acknowledged()?.insert(film.instance, number)),
                Ok(false) => bail!("storescu (Debian: dcmtk) is not installed"),
                // The power went.
                Err(_) => {}
            }
        }
        Ok(())
    }

    fn acknowledged(&self) -> Result<MutexGuard<'_, HashMap<String, u32>>> {
        self.acknowledged
            .lock()
            .map_err(|_| anyhow!("a sender has panicked"))
    }
}

/// Cuts the power of a computer with this program `cuts` times, and says what came of it.
///
/// # Errors
/// A film is lost or there twice, a decision has changed, or the store is not whole.
pub fn play(parts: &Path, program: &Path, cuts: u32) -> Result<String> {
    let begin = Instant::now();
    let films = TempDir::new()?;
    let mut computer = Computer::new(parts, program)?;
    let sent = Sent::default();
    sent.next.store(1, Ordering::Relaxed);
    let mut decisions = HashMap::new();
    let mut chance = fastrand::Rng::with_seed(1);
    let mut starts = Duration::ZERO;
    let mut while_starting = 0;
    for cut in 1..=cuts {
        let on = Instant::now();
        computer.start("serve")?;
        // One cut of four comes while the computer starts, of which it needs this long.
        let start = starts / (cut - 1).max(1);
        if chance.u32(0..4) == 0 && cut > 1 {
            std::thread::sleep(start.mul_f64(chance.f64()));
            while_starting += 1;
            starts += start;
        } else {
            computer.wait_for("reading with", PATIENCE)?;
            starts += on.elapsed();
            let gone = AtomicBool::new(false);
            let address = computer.dicom;
            std::thread::scope(|scope| -> Result<()> {
                let send = |file: PathBuf| sent.send(address, &file, &gone);
                let senders: Vec<_> = (0..SENDERS)
                    .map(|sender| films.path().join(sender.to_string()))
                    .map(|file| scope.spawn(move || send(file)))
                    .collect();
                std::thread::sleep(Duration::from_secs(12).mul_f64(chance.f64()));
                gone.store(true, Ordering::Relaxed);
                computer.cut_power()?;
                for sender in senders {
                    let sent = sender.join();
                    sent.map_err(|_| anyhow!("a sender has panicked"))??;
                }
                Ok(())
            })?;
        }
        if computer.has_power() {
            computer.cut_power()?;
        }
        if cut % LOOK_EVERY == 0 || cut == cuts {
            look(&mut computer, &sent, &mut decisions).with_context(|| format!("cut {cut}"))?;
            println!(
                "    after {cut} cuts: {} films acknowledged, {} decided, {:.0?}",
                sent.acknowledged()?.len(),
                decisions.len(),
                begin.elapsed()
            );
        }
    }
    let read = decisions.values().filter(|(state, _)| state == "read");
    Ok(format!(
        "{cuts} power cuts in {:.0?}, {while_starting} of them while the computer started: {} films \
         acknowledged, 0 lost; {} kept, none twice, {} of them read, {} sent again; a start takes {:.1?}",
        begin.elapsed(),
        sent.acknowledged()?.len(),
        decisions.len(),
        read.count(),
        sent.twice.load(Ordering::Relaxed),
        starts / cuts,
    ))
}

/// A film's state, and its logit if it was read.
type Decision = (String, Option<f64>);

/// Starts the computer, lets it read what waits, and compares what it holds with what was sent and
/// what it has decided before.
fn look(
    computer: &mut Computer,
    sent: &Sent,
    decisions: &mut HashMap<String, Decision>,
) -> Result<()> {
    computer.start("look")?;
    computer.wait_for("FILMS END", PATIENCE)?;
    computer.wait_until_off(PATIENCE)?;
    let console = computer.console()?;
    ensure!(
        console.contains("THE STORE IS WHOLE"),
        "the store is not whole: {console}"
    );
    let kept = console
        .split("FILMS BEGIN\n")
        .nth(1)
        .context("no list of films")?;
    let mut found = HashMap::new();
    for line in kept.lines().take_while(|line| *line != "FILMS END") {
        let film: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
        let instance = film["header"]["sop_instance_uid"]
            .as_str()
            .context("no instance")?
            .to_owned();
        let state = film["state"].as_str().context("no state")?.to_owned();
        let decision = (state, film["reading"]["logit"].as_f64());
        ensure!(
            found.insert(instance.clone(), decision).is_none(),
            "{instance} is there twice"
        );
    }
    let mut logits: HashMap<u32, f64> = HashMap::new();
    for (instance, number) in sent.acknowledged()?.iter() {
        let (state, logit) = found
            .get(instance)
            .with_context(|| format!("film {instance} was acknowledged and is lost"))?;
        match logit {
            // Films of one picture get one answer.
            Some(logit) => {
                let first = *logits.entry(number % 3).or_insert(*logit);
                ensure!(
                    state == "read" && first == *logit,
                    "{instance}: {state}, {logit} and not {first}"
                );
            }
            None => ensure!(state == "refused", "{instance}: {state}"),
        }
    }
    for (instance, before) in decisions.iter() {
        let now = found.get(instance);
        ensure!(
            now == Some(before),
            "{instance} was {before:?} and is {now:?}"
        );
    }
    *decisions = found;
    Ok(())
}
