//! How long the program keeps interrupts waiting, counted in instructions.
//!
//! QEMU can log each instruction that it runs. Between `cpsid i` and the `msr PRIMASK` that undoes it
//! interrupts are masked; and a handler keeps those of its own priority waiting. Both are counted as
//! they run, loops and calls included. A cycle counter QEMU has not, so cycles are to be measured on
//! a board.

use std::collections::BTreeMap;
use std::io::BufRead;

use anyhow::{Context, Result};

use crate::elf::Elf;

/// The longest stretches by the place where they begin.
#[derive(Debug, Default)]
pub struct Stretches {
    /// Instructions with interrupts masked, by the address that masks them.
    pub masked: BTreeMap<u32, Longest>,
    /// Instructions of handlers, by their exception's number.
    pub handlers: BTreeMap<u32, Longest>,
}

/// The longest of all stretches that begin at one place.
#[derive(Debug, Default)]
pub struct Longest {
    /// Its instructions.
    pub instructions: u32,
    /// How many stretches there were.
    pub times: u32,
    /// The function in which it begins.
    pub function: String,
}

impl Longest {
    fn take(&mut self, instructions: u32, function: &str) {
        self.instructions = self.instructions.max(instructions);
        self.times += 1;
        if self.function.is_empty() {
            function.clone_into(&mut self.function);
        }
    }
}

/// A stretch that goes on.
struct Stretch {
    begin: u32,
    function: String,
    instructions: u32,
}

/// Counts in QEMU's log of `-singlestep -d exec,nochain,int`.
///
/// # Errors
/// The log is none, or not of this program.
pub fn count(log: impl BufRead, elf: &Elf) -> Result<Stretches> {
    let mut stretches = Stretches::default();
    let mut masked: Option<Stretch> = None;
    let mut depth = 0u32;
    let mut handlers: Vec<Stretch> = vec![];
    let mut next: Option<(u32, String)> = None;
    for line in log.lines() {
        let line = line?;
        if line.starts_with("Stopped execution") {
            // The instruction of the last line did not run; it is told again when it does.
            next = None;
            continue;
        }
        // So the one before this line did run.
        if let Some((at, function)) = next.take() {
            for handler in &mut handlers {
                handler.instructions += 1;
            }
            if let Some(masked) = &mut masked {
                masked.instructions += 1;
            }
            match elf.code(at)? {
                [0x72, 0xb6, ..] => {
                    // cpsid i
                    depth += 1;
                    masked.get_or_insert(Stretch {
                        begin: at,
                        function,
                        instructions: 1,
                    });
                }
                // msr PRIMASK, Rn
                [0x80..=0x8f, 0xf3, 0x10, 0x88] => {
                    depth = depth.saturating_sub(1);
                    if depth == 0
                        && let Some(stretch) = masked.take()
                    {
                        let longest = stretches.masked.entry(stretch.begin).or_default();
                        longest.take(stretch.instructions, &stretch.function);
                    }
                }
                // wfi: what waits while nothing is to be done waits for nothing
                [0x30, 0xbf, ..] => {
                    if let Some(masked) = &mut masked {
                        masked.instructions = 0;
                    }
                }
                _ => {}
            }
        }
        if let Some(rest) = line.strip_prefix("Trace ") {
            let place = rest.split('/').nth(1).context("a trace without a place")?;
            let function = rest.rsplit("] ").next().unwrap_or_default();
            next = Some((u32::from_str_radix(place, 16)?, function.to_owned()));
        } else if let Some(exception) = line.strip_prefix("...taking pending nonsecure exception ")
        {
            handlers.push(Stretch {
                begin: exception.trim().parse()?,
                function: String::new(),
                instructions: 0,
            });
        } else if line.starts_with("Exception return:")
            && let Some(stretch) = handlers.pop()
        {
            let longest = stretches.handlers.entry(stretch.begin).or_default();
            longest.take(stretch.instructions, &stretch.function);
        } else if line.starts_with("Loaded reset SP") {
            (masked, depth) = (None, 0);
            handlers.clear();
        }
    }
    Ok(stretches)
}
