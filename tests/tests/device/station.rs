//! The station's program, and the host's.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use plumbline_shared::tls::Tls;
use plumbline_tests::{objects, program};
use serde_json::Value;
use tempfile::TempDir;

use crate::authority::Authority;

/// How long anything may take on a busy machine.
pub const LONG: Duration = Duration::from_secs(120);

/// A station with a link. Killed when dropped.
pub struct Station {
    pub folder: TempDir,
    pub address: SocketAddr,
    /// The authority of station and host.
    pub authority: Authority,
    /// What the host shows.
    pub host: Tls,
    child: Child,
}

impl Station {
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// Starts a station whose configuration also has `more`: settings of [link], then other tables.
    pub fn start_with(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path(), "authority");
        let own = authority.sign("station", &["127.0.0.1"]);
        let host = authority.sign("host", &[]);
        let [data, certificate, key, authorities] = [
            &folder.path().join("data"),
            &own.certificate,
            &own.key,
            &own.authorities,
        ]
        .map(|path| path.to_str().unwrap().to_owned());
        let mut text = format!(
            "data = \"{data}\"\n[dicom]\nlisten = \"127.0.0.1:0\"\n[http]\nlisten = \"127.0.0.1:0\"\n\
             [link]\nlisten = \"127.0.0.1:0\"\ncertificate = \"{certificate}\"\nkey = \"{key}\"\n\
             authorities = \"{authorities}\"\n{more}\n"
        );
        if !more.contains("[store]") {
            text += "[store]\nreserve_mib = 16\nlow_water_mib = 16\n";
        }
        fs::write(folder.path().join("station.toml"), text).unwrap();
        let (child, address) = serve(folder.path());
        Self {
            folder,
            address,
            authority,
            host,
            child,
        }
    }

    /// Kills the station, and starts it again.
    pub fn kill_and_start(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        (self.child, self.address) = serve(self.folder.path());
    }

    /// Tells the station to stop, and returns how long that took.
    pub fn stop(&mut self) -> Duration {
        let start = Instant::now();
        let kill = format!("kill {}", self.child.id());
        assert!(
            Command::new("sh")
                .args(["-c", &kill])
                .status()
                .unwrap()
                .success()
        );
        assert!(wait_for(|| self.child.try_wait().unwrap()).success());
        start.elapsed()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What the station has said on standard error.
    pub fn said(&self) -> String {
        fs::read_to_string(self.path("said")).unwrap()
    }

    /// The station's films, the newest first, as it lists them itself.
    pub fn films(&self) -> Vec<Value> {
        let mut command = program("plumbline-edge");
        let config = self.path("station.toml");
        objects(command.args(["films", "--json", "--config"]).arg(config))
    }

    /// `plumbline device` with these arguments, to this station.
    pub fn device(&self, arguments: &[&str]) -> Output {
        device(arguments, self.address, &self.host)
    }
}

impl Drop for Station {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn serve(folder: &Path) -> (Child, SocketAddr) {
    let said = File::options()
        .create(true)
        .append(true)
        .open(folder.join("said"));
    let mut child = program("plumbline-edge")
        .args(["serve", "--config"])
        .arg(folder.join("station.toml"))
        .stdout(Stdio::piped())
        .stderr(said.unwrap())
        .spawn()
        .unwrap();
    let mut address = None;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some(rest) = line.strip_prefix("link: tcp://") {
            address = rest.split(',').next().unwrap().parse().ok();
        }
        if line.starts_with("reading with") {
            break;
        }
    }
    let said = || fs::read_to_string(folder.join("said")).unwrap();
    (child, address.unwrap_or_else(|| panic!("{}", said())))
}

/// `plumbline device` with these arguments.
pub fn device(arguments: &[&str], to: SocketAddr, shown: &Tls) -> Output {
    device_to(arguments, &format!("tcp://{to}"), shown)
}

/// `plumbline device` with these arguments, to an address in words.
pub fn device_to(arguments: &[&str], to: &str, shown: &Tls) -> Output {
    let mut command = program("plumbline");
    command.arg("device").args(arguments).args(["--to", to]);
    command.arg("--certificate").arg(&shown.certificate);
    command.arg("--key").arg(&shown.key);
    command.arg("--authorities").arg(&shown.authorities);
    command.output().unwrap()
}

/// What a program printed, which must have succeeded.
pub fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The JSON objects that a program printed, which must have succeeded.
pub fn told(output: &Output) -> Vec<Value> {
    let lines = printed(output);
    let lines = lines.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// What a program complained of, which must have failed.
pub fn complaint(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Waits until `ask` has an answer.
pub fn wait_for<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < LONG, "nothing happened for {LONG:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A film of the samples.
pub fn sample(name: &str) -> PathBuf {
    plumbline_tests::root().join("tests/films").join(name)
}
