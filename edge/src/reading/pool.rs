//! The readers' parents: each has one reader's process, gives it one film after the other, and
//! kills it if it takes too long.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::bell::Bell;
use super::worker::{Greeting, Question};
use crate::metrics::Metrics;
use crate::pipe::TimedPipe;
use crate::quality::IntendedUse;
use crate::store::{Answer, Job, Store};

/// Longest wait for a reader to open its bundle, which takes a second or so.
const START: Duration = Duration::from_secs(120);

/// Longest wait for an answer. Decoding has 30 s of its own, reading takes a second or so.
const ANSWER: Duration = Duration::from_secs(90);

/// How often an idle reader looks for work that nobody rang for.
const LOOK: Duration = Duration::from_millis(500);

/// The wait after a failure of the store, or of a reader to start.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// Reads films that wait in a store.
pub struct Pool {
    /// The memory.
    pub store: Arc<Store>,
    /// The executable of `plumbline-edge` that reads.
    pub program: PathBuf,
    /// The bundle's folder.
    pub bundle: PathBuf,
    /// What the networks are meant for.
    pub intended: IntendedUse,
    /// Rings when there is work.
    pub bell: Arc<Bell>,
    /// The counts.
    pub metrics: Arc<Metrics>,
}

impl Pool {
    /// Starts one reader to see that the bundle can be read, and returns its model's name and
    /// version.
    ///
    /// # Errors
    /// Why it cannot be, in words.
    pub fn try_bundle(&self) -> Result<String, String> {
        self.start().map(|reader| reader.model.clone())
    }

    /// Reads films with one reader until `stop` is true. The film that is being read then waits for
    /// the next start.
    pub fn run(&self, stop: &AtomicBool) {
        let stopping = || stop.load(Ordering::Relaxed);
        while !stopping() {
            let mut reader = match self.start() {
                Ok(reader) => reader,
                Err(why) => {
                    tracing::error!("no reader can be started: {why}");
                    self.pause(AFTER_FAILURE, stop);
                    continue;
                }
            };
            tracing::debug!(model = reader.model, "a reader is ready");
            self.metrics.reader_ready(true);
            let mut usable = true;
            while usable && !stopping() {
                let heard = self.bell.rung();
                match self.store.take() {
                    Ok(Some(job)) => usable = self.read(&mut reader, &job, stop),
                    Ok(None) => self.bell.wait(heard, LOOK),
                    Err(error) => {
                        tracing::error!("the next film cannot be taken: {error}");
                        self.pause(AFTER_FAILURE, stop);
                    }
                }
            }
            self.metrics.reader_ready(false);
        }
    }

    /// Reads one film, and keeps the answer. Returns false if another reader is needed.
    fn read(&self, reader: &mut Reader, job: &Job, stop: &AtomicBool) -> bool {
        let answer = reader.ask(job, stop);
        let usable = answer.is_ok();
        let answer = match answer {
            Ok(answer) => answer,
            Err(Unanswered::Stopping) => return false,
            Err(Unanswered::Crashed(how)) => Answer::Crashed { how },
        };
        let film = job.film;
        self.measure(film, &answer);
        // The answer must not be lost, and the film not be stuck, because the disk is full for a
        // while.
        while let Err(error) = self.store.answer(job, &answer) {
            tracing::error!(film, "the answer cannot be kept: {error}");
            if stop.load(Ordering::Relaxed) {
                break;
            }
            self.pause(AFTER_FAILURE, stop);
        }
        usable
    }

    fn measure(&self, film: i64, answer: &Answer) {
        match answer {
            Answer::Read { reading, .. } => {
                let steps = ["decode", "prepare", "gate", "read"];
                for (step, milliseconds) in steps.into_iter().zip(reading.milliseconds) {
                    let seconds = (milliseconds / 1000.0).max(0.0);
                    self.metrics.step(step, Duration::from_secs_f64(seconds));
                }
                tracing::info!(film, positive = reading.positive, "read");
                self.metrics.outcome("read");
            }
            Answer::Refused { findings } => {
                let codes: Vec<_> = findings.iter().map(|finding| &*finding.code).collect();
                tracing::info!(film, codes = codes.join(", "), "refused");
                self.metrics.outcome("refused");
            }
            Answer::Crashed { how } => {
                tracing::error!(film, how, "the reader crashed");
                self.metrics.outcome("crashed");
            }
        }
    }

    fn pause(&self, time: Duration, stop: &AtomicBool) {
        let until = Instant::now() + time;
        while Instant::now() < until && !stop.load(Ordering::Relaxed) {
            self.bell.wait(u64::MAX, LOOK.min(time));
        }
    }

    fn start(&self) -> Result<Reader, String> {
        let intended = serde_json::to_string(&self.intended).map_err(|error| error.to_string())?;
        let child = Command::new(&self.program)
            .args(["reader", "--intended-use", &intended, "--"])
            .arg(&self.bundle)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // A signal to the station's group is not for its readers.
            .process_group(0)
            .spawn();
        let mut child = child.map_err(|error| error.to_string())?;
        let (Some(questions), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("it has no pipes".into());
        };
        let answers = TimedPipe::new(answers, Instant::now() + START);
        let mut reader = Reader {
            child,
            questions,
            answers: BufReader::new(answers),
            model: String::new(),
        };
        match reader.hear() {
            Ok(Greeting::Ready {
                model,
                without_gate,
            }) => {
                if let Some(why) = without_gate {
                    tracing::warn!("what films show is not checked before they are read: {why}");
                }
                reader.model = model;
                Ok(reader)
            }
            Ok(Greeting::Failed { why }) => Err(why),
            Err(_) => Err(reader.end()),
        }
    }
}

/// A reader's process. Killed when dropped.
struct Reader {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<TimedPipe>,
    model: String,
}

/// Why a reader gave no answer.
enum Unanswered {
    /// The station stops.
    Stopping,
    /// The reader ended, or took too long.
    Crashed(String),
}

impl Reader {
    /// Has a film read.
    fn ask(&mut self, job: &Job, stop: &AtomicBool) -> Result<Answer, Unanswered> {
        let question = Question {
            path: job.path.clone(),
            read_anyway: job.read_anyway,
        };
        let asked = serde_json::to_string(&question)
            .map_err(io::Error::from)
            .and_then(|question| writeln!(self.questions, "{question}"))
            .and_then(|()| self.questions.flush());
        let until = Instant::now() + ANSWER;
        let mut line = Vec::new();
        let heard = asked.and_then(|()| {
            loop {
                self.answers
                    .get_mut()
                    .set_deadline(until.min(Instant::now() + LOOK));
                match self.answers.read_until(b'\n', &mut line) {
                    Err(error)
                        if error.kind() == io::ErrorKind::TimedOut
                            && Instant::now() < until
                            && !stop.load(Ordering::Relaxed) => {}
                    heard => break heard,
                }
            }
        });
        match heard.and_then(|_| Ok(serde_json::from_slice(&line)?)) {
            Ok(answer) => Ok(answer),
            // Also of a reader that ended: the station's whole group may have been told to stop.
            Err(_) if stop.load(Ordering::Relaxed) => Err(Unanswered::Stopping),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(Unanswered::Crashed(
                format!("the reader took longer than {} seconds", ANSWER.as_secs()),
            )),
            Err(_) => Err(Unanswered::Crashed(self.end())),
        }
    }

    fn hear<T: for<'a> Deserialize<'a>>(&mut self) -> io::Result<T> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    }

    /// Kills the process if it still runs, and says how it ended.
    fn end(&mut self) -> String {
        // One that has just crashed is let end by itself, so that its signal is seen.
        std::thread::sleep(Duration::from_millis(50));
        let ended = match self.child.try_wait() {
            Ok(Some(status)) => Ok(status),
            _ => self.child.kill().and_then(|()| self.child.wait()),
        };
        match ended {
            Ok(status) => format!("the reader ended ({status})"),
            Err(error) => format!("the reader ended ({error})"),
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
