//! Progress on a terminal as a bar, elsewhere as plain lines.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::evaluate::Step;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle, TermLike};

/// The least time between two plain lines.
const BETWEEN_LINES: Duration = Duration::from_secs(15);

/// A bar of `length` steps of `unit` on standard error: drawn in place on a terminal, a plain line
/// now and then in a file or a pipe.
pub fn bar(length: u64, unit: &str) -> ProgressBar {
    let terminal = io::stderr().is_terminal();
    let target = if terminal {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::term_like_with_hz(Box::new(PlainLines::new()), 1)
    };
    let drawn = if terminal { "{wide_bar} " } else { "" };
    let template =
        format!("{drawn}{{pos}}/{{len}} {unit}, {{rate}} a second, {{eta}} left {{msg}}");
    let bar = ProgressBar::with_draw_target(Some(length), target);
    if let Ok(style) = ProgressStyle::with_template(&template) {
        let rate = |state: &ProgressState, to: &mut dyn fmt::Write| {
            // A bar that cannot be drawn is no failure of the work.
            let _ = write!(to, "{:.1}", state.per_sec());
        };
        bar.set_style(style.with_key("rate", rate));
    }
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}

/// Runs `work`, which scores films, with a bar for each split that it begins.
pub fn scoring<T>(work: impl FnOnce(&(dyn Fn(Step) + Sync)) -> T) -> T {
    let current: Mutex<Option<ProgressBar>> = Mutex::new(None);
    let finish = |bar: Option<ProgressBar>| {
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
    };
    let result = work(&|step| {
        let mut current = current.lock().unwrap_or_else(PoisonError::into_inner);
        match step {
            Step::Begin { split, films } => {
                finish(current.take());
                *current = Some(bar(films, split));
            }
            Step::Film => {
                if let Some(bar) = &*current {
                    bar.inc(1);
                }
            }
        }
    });
    finish(current.into_inner().unwrap_or_else(PoisonError::into_inner));
    result
}

/// Writes what a bar draws as lines, and not each of them.
#[derive(Debug)]
struct PlainLines(Mutex<State>);

#[derive(Debug)]
struct State {
    line: String,
    written: Instant,
}

impl PlainLines {
    fn new() -> Self {
        Self(Mutex::new(State {
            line: String::new(),
            written: Instant::now(),
        }))
    }

    fn with(&self, change: impl FnOnce(&mut State) -> io::Result<()>) -> io::Result<()> {
        let mut state = self
            .0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        change(&mut state)
    }
}

impl TermLike for PlainLines {
    fn width(&self) -> u16 {
        120
    }

    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.with(|state| {
            state.line.push_str(text);
            Ok(())
        })
    }

    fn clear_line(&self) -> io::Result<()> {
        self.with(|state| {
            state.line.clear();
            Ok(())
        })
    }

    fn flush(&self) -> io::Result<()> {
        self.with(|state| {
            let line = std::mem::take(&mut state.line);
            let line = line.trim();
            if line.is_empty() || state.written.elapsed() < BETWEEN_LINES {
                return Ok(());
            }
            state.written = Instant::now();
            writeln!(io::stderr().lock(), "{line}")
        })
    }
}
