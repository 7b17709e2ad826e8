//! Measures the station's gate on films whose faults are known.
//!
//! ```sh
//! cargo run --release -p plumbline-tests --example gate -- [--expect REASON] [--misses] FOLDER...
//! ```
//!
//! FOLDER is a cohort, whose column `refusal` says what is wrong with each film, or a folder of films
//! that all have the fault REASON, or none without it. Of a cohort the films of its test split are
//! taken; `--all` takes all. `--gate BUNDLE` measures another gate than the shipped one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use plumbline_edge::quality::{Code, Finding, IntendedUse, QualityGate};
use plumbline_host::cohort::{Cohort, MANIFEST, Split};
use plumbline_reader::Gate;
use plumbline_shared::clinical::Refusal;
use plumbline_shared::decode::{ErrorKind, Listing, decode, header, read_file};
use plumbline_shared::preprocess::prepare;

/// A film and what is wrong with it.
struct Case {
    film: PathBuf,
    fault: Option<Refusal>,
}

/// What the command line asks for.
struct Asked {
    gate: PathBuf,
    expected: Option<Refusal>,
    all: bool,
    misses: bool,
    folders: Vec<PathBuf>,
}

/// How the films with one fault fared.
#[derive(Default)]
struct Row {
    films: usize,
    refused: usize,
    named: usize,
    codes: BTreeMap<&'static str, usize>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let asked = asked()?;
    let gate = QualityGate::new(IntendedUse::default(), Some(Gate::open(&asked.gate)?));
    for folder in &asked.folders {
        let cases = cases(folder, &asked)?;
        println!("{} ({} films)", folder.display(), cases.len());
        measure(&gate, &cases, asked.misses);
    }
    Ok(())
}

fn asked() -> Result<Asked, String> {
    let mut asked = Asked {
        gate: Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/gate"),
        expected: None,
        all: false,
        misses: false,
        folders: Vec::new(),
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--all" => asked.all = true,
            "--misses" => asked.misses = true,
            "--gate" => asked.gate = value()?.into(),
            "--expect" => {
                let name = value()?;
                let named = Refusal::ALL.into_iter().find(|r| r.name() == name);
                asked.expected = Some(named.ok_or(format!("{name} is no reason"))?);
            }
            _ => asked.folders.push(argument.into()),
        }
    }
    match asked.folders.is_empty() {
        true => Err("give folders of films or cohorts".into()),
        false => Ok(asked),
    }
}

/// The films of a folder.
fn cases(folder: &Path, asked: &Asked) -> Result<Vec<Case>, Box<dyn std::error::Error>> {
    if !folder.join(MANIFEST).is_file() {
        let films = Listing::of(&[folder.to_owned()]).films.into_iter();
        let fault = asked.expected;
        return Ok(films.map(|film| Case { film, fault }).collect());
    }
    let cohort = Cohort::open(folder)?;
    let taken = |split| asked.all || split == Split::Test;
    let entries = cohort.entries().iter().filter(|entry| taken(entry.split));
    let cases = entries.map(|entry| Case {
        film: entry.film.clone(),
        fault: entry.refusal,
    });
    Ok(cases.collect())
}

/// Judges the films on all cores, and prints a row for each fault.
fn measure(gate: &QualityGate, cases: &[Case], misses: bool) {
    let next = AtomicUsize::new(0);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let work = || {
        let mut judged = Vec::new();
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            judged.push((case, judge(gate, &case.film)));
        }
        judged
    };
    let judged: Vec<(&Case, Vec<Code>)> = thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        let done = threads.into_iter().filter_map(|thread| thread.join().ok());
        done.flatten().collect()
    });
    let mut rows: BTreeMap<Option<Refusal>, Row> = BTreeMap::new();
    for (case, codes) in judged {
        let row = rows.entry(case.fault).or_default();
        row.films += 1;
        row.refused += usize::from(!codes.is_empty());
        row.named += usize::from(case.fault.is_some_and(|f| codes.contains(&Code::from(f))));
        for code in &codes {
            *row.codes.entry(code.name()).or_default() += 1;
        }
        if misses && codes.is_empty() == case.fault.is_some() {
            let fault = case.fault.map_or("good", Refusal::name);
            let names: Vec<&str> = codes.iter().map(|code| code.name()).collect();
            println!("  {fault}: {} {}", case.film.display(), names.join(", "));
        }
    }
    println!("  fault            films  told   share  rightly  codes");
    for (fault, row) in rows {
        let share = |count: usize| 100.0 * count as f64 / row.films as f64;
        let codes: Vec<String> = row.codes.iter().map(|(c, n)| format!("{c} {n}")).collect();
        println!(
            "  {:15} {:6} {:5} {:6.2}% {:7.2}%  {}",
            fault.map_or("good", Refusal::name),
            row.films,
            row.refused,
            share(row.refused),
            share(row.named),
            codes.join(", ")
        );
    }
}

/// The codes of what refuses a film; of one that looks mirrored, the caution counts, too.
fn judge(gate: &QualityGate, path: &Path) -> Vec<Code> {
    let bytes = match read_file(path) {
        Ok(bytes) => bytes,
        Err(error) => panic!("{}: {error}", path.display()),
    };
    let film = match decode(&bytes) {
        Ok(decoded) => decoded.film,
        Err(error) if error.kind() == ErrorKind::Blank => return vec![Code::Blank],
        Err(error) => panic!("{}: {error}", path.display()),
    };
    let tensor = prepare(&film).tensor();
    let findings = gate.check(&film, header(&bytes).ok().as_ref(), &tensor);
    let findings = findings.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let told = |finding: &Finding| finding.refuses() || finding.code == Code::Mirrored;
    let told = findings.iter().filter(|finding| told(finding));
    told.map(|finding| finding.code).collect()
}
