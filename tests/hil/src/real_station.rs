//! The station's own program, as a process with a folder of its own, at the end of a line to a board.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use plumbline_panel_logic::lamps::Lamp;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::bench::{Bench, StationEnd};
use crate::board::Board;
use crate::films::{Film, of_repository};
use crate::terminal::Terminal;

/// How long anything may take that no promise is about: an emulated station needs minutes for a film.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// How long after an exposure its film may come.
pub const FILM_WITHIN: Duration = Duration::from_secs(8);

/// What begins the line on standard output that the program writes when it is there.
const THERE: &str = "reading with";

/// The station: its program, which may run or not, and its line.
pub struct RealStation {
    /// The line.
    pub line: Terminal,
    program: PathBuf,
    /// It is a program for this computer's own processor.
    native: bool,
    folder: TempDir,
    running: Option<Running>,
}

/// A run of the program.
struct Running {
    process: Child,
    /// The lines of its standard output, with the time of each.
    output: Receiver<(Instant, String)>,
    dicom: Option<SocketAddr>,
    http: Option<SocketAddr>,
    there: Option<Instant>,
}

impl RealStation {
    /// A station that does not run yet, with an empty store and a line of this speed, if one is given.
    pub fn new(program: &Path, baud: Option<u32>) -> Result<Self> {
        let folder = TempDir::new()?;
        let path = folder.path();
        let device = path.join("panel");
        let config = format!(
            "data = \"{0}/data\"\nbundle = \"{1}\"\n[dicom]\nlisten = \"127.0.0.1:0\"\n\
             [http]\nlisten = \"127.0.0.1:0\"\n[store]\nreserve_mib = 16\nlow_water_mib = 16\n\
             [panel]\ndevice = \"{2}\"\nfilm_within_seconds = {3}\n",
            path.display(),
            of_repository("models/efficientnet")
                .canonicalize()?
                .display(),
            device.display(),
            FILM_WITHIN.as_secs(),
        );
        fs::write(path.join("station.toml"), config)?;
        Ok(Self {
            line: Terminal::new(&device, baud)?,
            native: is_native(program)?,
            program: program.canonicalize()?,
            folder,
            running: None,
        })
    }

    /// Starts the program.
    pub fn start(&mut self) -> Result<()> {
        ensure!(self.running.is_none(), "the station runs already");
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_path())?;
        let mut process = self
            .command(&["serve"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .with_context(|| self.program.display().to_string())?;
        let stdout = process.stdout.take().context("it has no output")?;
        let (lines, output) = mpsc::channel();
        // It ends with the program.
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // Nobody listens any more once the station was stopped.
                let _ = lines.send((Instant::now(), line));
            }
        });
        self.running = Some(Running {
            process,
            output,
            dicom: None,
            http: None,
            there: None,
        });
        Ok(())
    }

    /// Since when the program is there: it takes films from then on.
    pub fn there(&self) -> Option<Instant> {
        self.running.as_ref()?.there
    }

    /// How soon after it is there the lamps must be right: within 1 s, of a program that an emulator
    /// does not slow down.
    pub fn right_lamps_within(&self) -> Duration {
        match self.native {
            true => Duration::from_secs(1),
            false => PATIENCE,
        }
    }

    /// Kills the program.
    pub fn kill(&mut self) -> Result<()> {
        let mut running = self.running.take().context("the station does not run")?;
        running.process.kill()?;
        running.process.wait()?;
        Ok(())
    }

    /// Sends the program a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let running = self.running.as_ref().context("the station does not run")?;
        let process = Pid::from_raw(running.process.id() as i32).context("no process")?;
        Ok(kill_process(process, signal)?)
    }

    /// Returns true once a program that was told to stop has ended well.
    fn has_ended(&mut self) -> Result<bool> {
        let running = self.running.as_mut().context("the station does not run")?;
        let Some(status) = running.process.try_wait()? else {
            return Ok(false);
        };
        self.running = None;
        ensure!(status.success(), "the station ended: {status}");
        Ok(true)
    }

    /// A command of the program about this station.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg(arguments[0])
            .arg("--config")
            .arg(self.folder.path().join("station.toml"))
            .args(&arguments[1..]);
        command
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

impl Running {
    fn listen(&mut self) {
        while let Ok((at, line)) = self.output.try_recv() {
            let address = |skip: &str| line.split(skip).nth(1)?.split(',').next()?.parse().ok();
            if line.starts_with("dicom:") {
                self.dicom = address(" at ");
            } else if line.starts_with("http:") {
                self.http = address("http://");
            } else if line.starts_with(THERE) {
                self.there = Some(at);
            }
        }
    }
}

impl StationEnd for RealStation {
    fn turn(&mut self, board: &mut dyn Board) -> Result<()> {
        if let Some(running) = &mut self.running {
            running.listen();
        }
        self.line.turn(board)
    }

    fn story(&self) -> String {
        let log = fs::read_to_string(self.log_path()).unwrap_or_default();
        let lines: Vec<_> = log.lines().rev().take(20).collect();
        let lines: Vec<_> = lines.into_iter().rev().collect();
        format!("the end of its log:\n{}", lines.join("\n"))
    }
}

impl Drop for RealStation {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.kill();
    }
}

/// What became of a film.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fate {
    /// Its number.
    pub film: i64,
    /// Its SOP Instance UID.
    pub instance: String,
    /// Its state.
    pub state: String,
    /// Whether it needs a specialist's look, if it was read.
    pub positive: Option<bool>,
}

impl Bench<RealStation> {
    /// Does something that takes its time, while the line goes on.
    pub fn meanwhile<T: Send + 'static>(
        &mut self,
        what: &str,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let work = thread::spawn(work);
        self.wait(what, PATIENCE, |_| Ok(work.is_finished().then_some(())))?;
        work.join().map_err(|_| anyhow!("{what}: panicked"))?
    }

    /// Starts the station and waits until it is there.
    pub fn start_station(&mut self) -> Result<()> {
        self.station.start()?;
        self.wait("station", PATIENCE, |bench| {
            let running = bench.station.running.as_mut().context("no station")?;
            if let Some(status) = running.process.try_wait()? {
                bail!(
                    "the station ended at once: {status}; {}",
                    bench.station.story()
                );
            }
            Ok(running.there)
        })?;
        Ok(())
    }

    /// Starts the station, and waits until it is there and exactly these lamps are lit. Returns how
    /// long they were late, and how long both took.
    pub fn start_station_until(&mut self, lamps: &[Lamp]) -> Result<(Duration, Duration)> {
        let begin = Instant::now();
        self.start_station()?;
        self.wait_for_lamps(lamps, PATIENCE)?;
        let there = self.station.there().context("the station is gone")?;
        Ok((there.elapsed(), begin.elapsed()))
    }

    /// Tells the station to stop, and waits until it has.
    pub fn stop_station(&mut self) -> Result<()> {
        self.station.signal(Signal::TERM)?;
        self.wait("end of the station", PATIENCE, |bench| {
            Ok(bench.station.has_ended()?.then_some(()))
        })
    }

    fn address(
        &self,
        which: impl Fn(&Running) -> Option<SocketAddr>,
        what: &str,
    ) -> Result<SocketAddr> {
        let running = self.station.running.as_ref();
        running
            .and_then(which)
            .with_context(|| format!("the station has told no address of {what}"))
    }

    /// Sends films one after the other: by storescu where it is installed, else over HTTP.
    pub fn send(&mut self, films: &[Film]) -> Result<()> {
        let sending = self.begin_to_send(films)?;
        self.meanwhile("sending", sending)
    }

    /// What sends films when it is called; the films are on the disk already.
    pub fn begin_to_send(
        &self,
        films: &[Film],
    ) -> Result<impl FnOnce() -> Result<()> + Send + 'static> {
        let dicom = self.address(|running| running.dicom, "DICOM")?;
        let http = self.address(|running| running.http, "HTTP")?;
        let token = self.token()?;
        let mut files = vec![];
        for film in films {
            let file = self.station.folder.path().join(&film.instance);
            fs::write(&file, &film.bytes)?;
            files.push(file);
        }
        Ok(move || match store(dicom, &files)? {
            true => Ok(()),
            false => files.iter().try_for_each(|file| upload(http, &token, file)),
        })
    }

    /// The token of the station's HTTP interface.
    fn token(&self) -> Result<String> {
        let token = self.station.folder.path().join("data/token");
        Ok(fs::read_to_string(token)?.trim().to_owned())
    }

    /// The output of another command of the program about this station, and whether it ended well.
    fn run(&mut self, arguments: &[&str]) -> Result<(String, bool)> {
        let mut command = self.station.command(arguments);
        let output = self.meanwhile(arguments[0], move || Ok(command.output()?))?;
        let Output { status, stdout, .. } = &output;
        let mut text = String::from_utf8_lossy(stdout).into_owned();
        if !status.success() {
            text += &String::from_utf8_lossy(&output.stderr);
        }
        Ok((text, status.success()))
    }

    /// What became of the films, the newest first.
    pub fn fates(&mut self) -> Result<Vec<Fate>> {
        let (text, well) = self.run(&["films", "--json", "--newest", "1000"])?;
        ensure!(well, "{text}");
        text.lines()
            .map(|line| {
                let film: Value = serde_json::from_str(line)?;
                let of = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                Ok(Fate {
                    film: film["film"].as_i64().context("a film without number")?,
                    instance: of(&film["header"]["sop_instance_uid"]),
                    state: of(&film["state"]),
                    positive: film["reading"]["positive"].as_bool(),
                })
            })
            .collect()
    }

    /// Checks that configuration, films and audit log are whole.
    pub fn check(&mut self) -> Result<()> {
        let (report, whole) = self.run(&["check"])?;
        ensure!(whole, "the station is not whole: {report}");
        Ok(())
    }

    /// Who did this to a film, as the audit log says; the last first.
    pub fn audit(&mut self, film: i64, what: &str) -> Result<Vec<String>> {
        let database = self.station.folder.path().join("data/plumbline.sqlite");
        let query = format!(
            "SELECT who FROM audit JOIN states ON audit.sequence = states.audit \
             WHERE states.film = {film} AND detail = '{what}' ORDER BY sequence DESC"
        );
        let output = self.meanwhile("looking at the audit log", move || {
            Command::new("sqlite3")
                .arg("-readonly")
                .arg(database)
                .arg(query)
                .output()
                .context("sqlite3 (Debian: sqlite3) cannot be started")
        })?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "sqlite3: {errors}");
        let text = String::from_utf8(output.stdout)?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// What the station says at `/health` is wrong.
    pub fn health(&mut self) -> Result<Vec<String>> {
        let health: Value = serde_json::from_str(&self.get("/health")?)?;
        let wrong = health["wrong"].as_array().context("no list of faults")?;
        Ok(wrong
            .iter()
            .filter_map(|what| what.as_str().map(str::to_owned))
            .collect())
    }

    /// The value of one of the station's metrics.
    pub fn metric(&mut self, name: &str) -> Result<f64> {
        let text = self.get("/metrics")?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(line
            .with_context(|| format!("there is no metric {name}"))?
            .parse()?)
    }

    fn get(&mut self, path: &str) -> Result<String> {
        let address = self.address(|running| running.http, "HTTP")?;
        let head = format!("GET {path} HTTP/1.1\r\nHost: station\r\nConnection: close\r\n\r\n");
        let (_, body) =
            self.meanwhile(path, move || request(address, &[head.as_bytes()].concat()))?;
        Ok(body)
    }

    /// Waits until `/health` tells this, or does not any more.
    pub fn wait_for_health(&mut self, what: &str, told: bool) -> Result<()> {
        let begin = Instant::now();
        loop {
            let wrong = self.health()?;
            if wrong.iter().any(|wrong| wrong.contains(what)) == told {
                return Ok(());
            }
            ensure!(
                begin.elapsed() < PATIENCE,
                "is {what} told? It should be {told}; wrong are {wrong:?}"
            );
        }
    }

    /// Waits until a film is acknowledged.
    pub fn wait_for_acknowledgement(&mut self, film: i64) -> Result<()> {
        let begin = Instant::now();
        loop {
            let fates = self.fates()?;
            let fate = fates.iter().find(|fate| fate.film == film);
            if fate.is_some_and(|fate| fate.state == "acknowledged") {
                return Ok(());
            }
            ensure!(
                begin.elapsed() < PATIENCE,
                "film {film} is not acknowledged: {fate:?}"
            );
        }
    }

    /// Waits until no film waits for a reader any more, and returns what became of them.
    pub fn wait_for_fates(&mut self, films: usize) -> Result<Vec<Fate>> {
        let begin = Instant::now();
        loop {
            let fates = self.fates()?;
            let waits = fates.iter().any(|fate| fate.state == "received");
            if !waits && fates.len() == films {
                return Ok(fates);
            }
            ensure!(
                begin.elapsed() < PATIENCE,
                "of {films} films there are {fates:?}; {}",
                self.station.story()
            );
        }
    }
}

/// Whether a program is one for this computer's own processor: what is none may start any.
fn is_native(program: &Path) -> Result<bool> {
    let mut start = [0; 20];
    File::open(program)
        .and_then(|mut file| file.read_exact(&mut start))
        .with_context(|| program.display().to_string())?;
    // The machine of an ELF file.
    let machine = match cfg!(target_arch = "aarch64") {
        true => 183,
        false => 62,
    };
    Ok(start.starts_with(b"\x7fELF") && u16::from_le_bytes([start[18], start[19]]) == machine)
}

/// Sends files by C-STORE; false if the program for that is not installed.
///
/// # Errors
/// The station has not acknowledged all of them.
pub fn store(station: SocketAddr, files: &[PathBuf]) -> Result<bool> {
    let sent = Command::new("storescu")
        .args(["-aec", "PLUMBLINE"])
        .args([station.ip().to_string(), station.port().to_string()])
        .args(files)
        .output();
    match sent {
        Ok(sent) if sent.status.success() => Ok(true),
        Ok(sent) => bail!(
            "storescu: {}: {}",
            sent.status,
            String::from_utf8_lossy(&sent.stderr)
        ),
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(why) => Err(why.into()),
    }
}

/// Uploads a file over HTTP.
fn upload(station: SocketAddr, token: &str, file: &Path) -> Result<()> {
    let begin = "--b\r\nContent-Disposition: form-data; name=\"film\"; filename=\"film\"\r\n\r\n";
    let body = [begin.as_bytes(), &fs::read(file)?, b"\r\n--b--\r\n"].concat();
    let head = format!(
        "POST /films HTTP/1.1\r\nHost: station\r\nConnection: close\r\n\
         Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {}\r\n\
         Authorization: Bearer {token}\r\n\r\n",
        body.len()
    );
    let (status, answer) = request(station, &[head.as_bytes(), &body].concat())?;
    ensure!(status == 201, "the upload was answered {status}: {answer}");
    Ok(())
}

/// Sends an HTTP request, and returns status and body of the answer.
fn request(station: SocketAddr, request: &[u8]) -> Result<(u16, String)> {
    let mut socket = TcpStream::connect(station)?;
    socket.write_all(request)?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    let status = answer
        .split(' ')
        .nth(1)
        .context("no HTTP answer")?
        .parse()?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body);
    Ok((status, body.unwrap_or_default().to_owned()))
}
