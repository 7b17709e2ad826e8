//! The newest lines of the log, numbered, in two files in the data folder: hosts ask for what is new.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The bytes from which on a file is full: it takes the other one's place, and a new one begins.
const FULL: u64 = 1 << 20;

/// What is left out after each start. The files are not synced, so that a power cut may lose numbers
/// that a host has seen; they must not be given again.
const LOST: u64 = 1000;

/// The most characters of a line; what is behind them is left out.
const MOST: usize = 4096;

/// The newest lines of the log. Threads share it.
#[derive(Debug)]
pub struct KeptLog(Mutex<Files>);

#[derive(Debug)]
struct Files {
    folder: PathBuf,
    file: File,
    bytes: u64,
    newest: u64,
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Its number; later lines have greater numbers.
    pub number: u64,
    /// When it was written, by the station's clock (RFC 3339).
    pub time: String,
    /// What it says.
    #[serde(flatten)]
    pub said: Said,
}

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Said {
    /// A line of the station.
    Line(String),
    /// Frames of the panel board, decoded by whoever has its program.
    Panel(PanelFrames),
}

/// Whole defmt frames of the panel board.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PanelFrames {
    /// The build id of the board's program.
    pub build: [u8; 20],
    /// The number of the board's start.
    pub boot: u64,
    /// How many pieces before these are missing.
    pub missing: u16,
    /// The frames.
    pub frames: Vec<u8>,
}

impl KeptLog {
    /// Opens the log in the data folder `data`, whose store this process has open.
    ///
    /// # Errors
    /// The system's.
    pub fn open(data: &Path) -> io::Result<Self> {
        let folder = data.join("log");
        fs::create_dir_all(&folder)?;
        let mut newest = 0;
        for path in paths(&folder) {
            read(&path, |line| newest = newest.max(line.number))?;
        }
        if newest > 0 {
            newest += LOST;
        }
        let [_, path] = paths(&folder);
        let mut file = File::options().append(true).create(true).open(path)?;
        // A line that a power cut has cut off must not take the next one with it.
        file.write_all(b"\n")?;
        let bytes = file.metadata()?.len();
        Ok(Self(Mutex::new(Files {
            folder,
            file,
            bytes,
            newest,
        })))
    }

    /// The number of the newest line; 0 if there is none.
    pub fn newest(&self) -> u64 {
        self.files().newest
    }

    /// Returns the lines behind number `after`, at most `most`, and whether there are more.
    ///
    /// # Errors
    /// The system's.
    pub fn after(&self, after: u64, most: usize) -> io::Result<(Vec<Line>, bool)> {
        // Held until both are read, lest they change places.
        let files = self.files();
        let (mut lines, mut more) = (Vec::new(), false);
        for path in paths(&files.folder) {
            read(&path, |line| match line.number > after {
                true if lines.len() < most => lines.push(line),
                true => more = true,
                false => {}
            })?;
        }
        Ok((lines, more))
    }

    /// Keeps frames of the panel board as a line.
    ///
    /// # Errors
    /// The system's.
    pub fn keep_panel(&self, frames: PanelFrames) -> io::Result<()> {
        self.files().keep(Said::Panel(frames))
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps what is written at once as a line.
impl Write for &KeptLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let line = String::from_utf8_lossy(bytes);
        let line = line.trim_end().chars().take(MOST).collect();
        self.files().keep(Said::Line(line))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Files {
    fn keep(&mut self, said: Said) -> io::Result<()> {
        let number = self.newest + 1;
        let mut line = serde_json::to_string(&Line {
            number,
            time: format!("{:.3}", Timestamp::now()),
            said,
        })?;
        line.push('\n');
        if self.bytes >= FULL {
            let [old, new] = paths(&self.folder);
            fs::rename(&new, old)?;
            self.file = File::options().append(true).create(true).open(new)?;
            self.bytes = 0;
        }
        self.file.write_all(line.as_bytes())?;
        self.bytes += line.len() as u64;
        self.newest = number;
        Ok(())
    }
}

/// The files of older and of newer lines.
fn paths(folder: &Path) -> [PathBuf; 2] {
    ["older", "newer"].map(|name| folder.join(name).with_extension("jsonl"))
}

/// Gives each line of a file to `take`, without what is damaged.
fn read(path: &Path, mut take: impl FnMut(Line)) -> io::Result<()> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file?,
    };
    for line in BufReader::new(file).split(b'\n') {
        if let Ok(line) = serde_json::from_slice(&line?) {
            take(line);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the log's layer writes: a line at once.
    fn say(mut log: &KeptLog, line: &str) {
        log.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    fn said(log: &KeptLog, after: u64, most: usize) -> (Vec<String>, bool) {
        let (lines, more) = log.after(after, most).unwrap();
        let text = |line: Line| match line.said {
            Said::Line(line) => line,
            Said::Panel(panel) => format!("{panel:?}"),
        };
        (lines.into_iter().map(text).collect(), more)
    }

    #[test]
    fn frames_of_the_panel_stand_between_lines() {
        let folder = tempfile::tempdir().unwrap();
        let log = KeptLog::open(folder.path()).unwrap();
        say(&log, "one");
        let frames = PanelFrames {
            build: [7; 20],
            boot: u64::MAX,
            missing: 2,
            frames: vec![0, 1, 255],
        };
        log.keep_panel(frames.clone()).unwrap();
        say(&log, "three");
        drop(log);
        let log = KeptLog::open(folder.path()).unwrap();
        let (lines, _) = log.after(1, 9).unwrap();
        assert_eq!((lines[0].number, &lines[0].said), (2, &Said::Panel(frames)));
        assert_eq!(lines[1].said, Said::Line("three".into()));
    }

    #[test]
    fn lines_are_told_from_a_number_on_also_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let log = KeptLog::open(folder.path()).unwrap();
        assert_eq!((log.newest(), said(&log, 0, 9)), (0, (vec![], false)));
        for line in ["one", "two \"quoted\"\nand broken", "three"] {
            say(&log, line);
        }
        assert_eq!(log.newest(), 3);
        assert_eq!(
            said(&log, 1, 1),
            (vec!["two \"quoted\"\nand broken".into()], true)
        );
        assert_eq!(said(&log, 2, 9), (vec!["three".into()], false));
        // A power cut in the middle of a line.
        let path = folder.path().join("log/newer.jsonl");
        let text = fs::read(&path).unwrap();
        fs::write(&path, &text[..text.len() - 5]).unwrap();
        let log = KeptLog::open(folder.path()).unwrap();
        say(&log, "four");
        assert!(log.newest() > 3, "a number was given twice");
        assert_eq!(said(&log, 3, 9), (vec!["four".into()], false));
        assert_eq!(said(&log, 0, 9).0.len(), 3);
    }

    #[test]
    fn it_takes_no_more_than_two_files() {
        let folder = tempfile::tempdir().unwrap();
        let log = KeptLog::open(folder.path()).unwrap();
        let line = "x".repeat(10 * MOST);
        for _ in 0..1000 {
            say(&log, &line);
        }
        let files = fs::read_dir(folder.path().join("log")).unwrap();
        let bytes: u64 = files
            .map(|file| file.unwrap().metadata().unwrap().len())
            .sum();
        assert!(bytes < 2 * FULL + 20_000, "{bytes}");
        let (lines, _) = log.after(0, 1000).unwrap();
        assert!(lines.len() >= 250, "{}", lines.len());
        assert_eq!(lines.last().unwrap().number, 1000);
        assert_eq!(lines[0].number + lines.len() as u64, 1001);
    }
}
