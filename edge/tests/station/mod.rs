//! A station in a process of its own, and a sender of films.

#![allow(dead_code, reason = "each test program uses a part")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use dicom_ul::ClientAssociation;
use dicom_ul::association::Error;
use dicom_ul::association::client::ClientAssociationOptions;
use dicom_ul::pdu::{PDataValue, PDataValueType, Pdu};
use plumbline_dimse::{C_STORE, Request, Response};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_plumbline-edge");

pub const CR: &str = "1.2.840.10008.5.1.4.1.1.1";
pub const DX: &str = "1.2.840.10008.5.1.4.1.1.1.1";
pub const VERIFICATION: &str = "1.2.840.10008.1.1";
const IMPLICIT: &str = "1.2.840.10008.1.2";
const EXPLICIT: &str = "1.2.840.10008.1.2.1";

/// How long anything may take on a busy machine.
const LONG: Duration = Duration::from_secs(120);

/// A station. Killed when dropped.
pub struct Station {
    pub folder: TempDir,
    pub dicom: SocketAddr,
    pub http: SocketAddr,
    child: Child,
    config: PathBuf,
}

impl Station {
    /// Starts a station whose configuration also has `more`, in which FOLDER is its own folder.
    pub fn start(more: &str) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), more)
    }

    pub fn start_in(folder: TempDir, more: &str) -> Self {
        let started = Self::start_by(Command::new(PROGRAM), folder, more);
        started.unwrap_or_else(|folder| panic!("{}", read_log(folder.path())))
    }

    /// Starts a station by `command`, which runs the program with the arguments that are added to
    /// it. Returns the folder of one that ends before it is ready.
    pub fn start_by(mut command: Command, folder: TempDir, more: &str) -> Result<Self, TempDir> {
        let config = folder.path().join("station.toml");
        let path = folder.path().display().to_string();
        let mut text = format!("data = \"{path}/data\"\n");
        text += &more.replace("FOLDER", &path);
        if !text.contains("[dicom]") {
            text += "\n[dicom]\nlisten = \"127.0.0.1:0\"\n";
        }
        text += "\n[http]\nlisten = \"127.0.0.1:0\"\n";
        if !text.contains("[store]") {
            text += "\n[store]\nreserve_mib = 16\nlow_water_mib = 16\n";
        }
        fs::write(&config, text).unwrap();
        let log = fs::File::options();
        let log = { log }
            .create(true)
            .append(true)
            .open(folder.path().join("log"))
            .unwrap();
        let mut child = command
            .args(["serve", "--config"])
            .arg(&config)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut told = Vec::new();
        while let Some(Ok(line)) = lines.next() {
            told.push(line);
            if told.last().unwrap().starts_with("reading with") {
                break;
            }
        }
        let address = |start: &str, skip: &str| {
            let line = told.iter().find(|line| line.starts_with(start))?;
            let rest = line.split(skip).nth(1)?;
            rest.split(',').next()?.parse().ok()
        };
        let (Some(dicom), Some(http)) = (address("dicom:", " at "), address("http:", "http://"))
        else {
            child.wait().unwrap();
            return Err(folder);
        };
        Ok(Self {
            dicom,
            http,
            config,
            child,
            folder,
        })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn log(&self) -> String {
        read_log(self.folder.path())
    }

    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Tells the station to stop, and returns its folder when it has.
    pub fn stop(mut self) -> TempDir {
        signal(self.child.id(), Signal::TERM);
        let ended = wait_for(|| self.child.try_wait().unwrap());
        assert!(ended.success(), "{ended}\n{}", self.log());
        std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap())
    }

    /// Tells the station to stop, kills it if it does not in time, and returns its folder.
    pub fn end(mut self, longest: Duration) -> TempDir {
        let start = Instant::now();
        let process = Pid::from_raw(self.child.id() as i32).unwrap();
        // It may be gone already.
        kill_process(process, Signal::TERM).ok();
        while self.child.try_wait().unwrap().is_none() && start.elapsed() < longest {
            thread::sleep(Duration::from_millis(20));
        }
        self.kill()
    }

    /// Kills the station, and returns its folder.
    pub fn kill(mut self) -> TempDir {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap())
    }

    /// The output of another command about this station.
    pub fn run(&self, command: &[&str]) -> (bool, String) {
        let output = Command::new(PROGRAM)
            .args(&command[..1])
            .arg("--config")
            .arg(&self.config)
            .args(&command[1..])
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    }

    /// The newest films, the newest first.
    pub fn films(&self) -> Vec<Value> {
        self.films_of(1000)
    }

    /// The newest films of a number.
    pub fn films_of(&self, newest: usize) -> Vec<Value> {
        let (ended, text) = self.run(&["films", "--json", "--newest", &newest.to_string()]);
        assert!(ended, "{text}");
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// What was to be sent, the newest first.
    pub fn deliveries(&self) -> Vec<Value> {
        let path = "/deliveries?newest=1000";
        let (status, body) = self.request("GET", path, true, "text/plain", b"");
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Waits until no film waits for a reader any more, and returns all.
    pub fn settled(&self) -> Vec<Value> {
        self.settled_of(1000, LONG)
    }

    /// Does as [`settled`](Self::settled) with the newest films of a number, for at most so long.
    pub fn settled_of(&self, newest: usize, longest: Duration) -> Vec<Value> {
        wait_up_to(longest, || {
            let films = self.films_of(newest);
            let waits = |film: &Value| film["state"] == "received" && film["held"].is_null();
            (!films.iter().any(waits)).then_some(films)
        })
    }

    /// Sends an HTTP request, with the station's token or without, and returns status and body.
    pub fn request(
        &self,
        method: &str,
        path: &str,
        token: bool,
        kind: &str,
        body: &[u8],
    ) -> (u16, String) {
        let (status, body) = self.request_bytes(method, path, token, kind, body);
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    /// Does as [`request`](Self::request), for a body that is no text.
    pub fn request_bytes(
        &self,
        method: &str,
        path: &str,
        token: bool,
        kind: &str,
        body: &[u8],
    ) -> (u16, Vec<u8>) {
        let mut socket = TcpStream::connect(self.http).unwrap();
        let token = match token {
            true => fs::read_to_string(self.path("data/token")).unwrap(),
            false => "wrong".into(),
        };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: station\r\nConnection: close\r\nContent-Type: {kind}\r\n\
             Content-Length: {}\r\nAuthorization: Bearer {}\r\n\r\n",
            body.len(),
            token.trim()
        );
        socket.write_all(head.as_bytes()).unwrap();
        // A refusal may come before the body was read.
        socket.write_all(body).ok();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).ok();
        let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
        let body = end.map_or(Vec::new(), |end| answer.split_off(end + 4));
        let head = String::from_utf8_lossy(&answer);
        let status = head.split(' ').nth(1).unwrap_or("0").parse().unwrap();
        (status, body)
    }
}

impl Drop for Station {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn read_log(folder: &Path) -> String {
    fs::read_to_string(folder.join("log")).unwrap_or_default()
}

pub fn signal(process: u32, signal: Signal) {
    let process = Pid::from_raw(process as i32).unwrap();
    kill_process(process, signal).unwrap();
}

/// Waits until `ask` has an answer.
pub fn wait_for<T>(ask: impl FnMut() -> Option<T>) -> T {
    wait_up_to(LONG, ask)
}

/// Waits until `ask` has an answer, for at most so long.
pub fn wait_up_to<T>(longest: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(
            start.elapsed() < longest,
            "nothing happened for {longest:?}"
        );
        thread::sleep(Duration::from_millis(50));
    }
}

/// A DICOM file's data set, with the UIDs and the transfer syntax of its meta information.
pub struct Instance {
    pub sop_class: String,
    pub sop_instance: String,
    pub data: Vec<u8>,
}

impl Instance {
    pub fn read(path: &Path) -> Self {
        let bytes = fs::read(path).unwrap();
        let word = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let mut at = 132;
        let (mut class, mut instance) = Default::default();
        while word(at) == 2 {
            let long = &bytes[at + 4..at + 6] == b"OB";
            let (start, length) = match long {
                true => (at + 12, word(at + 8)),
                false => (at + 8, word(at + 6)),
            };
            let end = start + usize::from(length);
            let text = String::from_utf8_lossy(&bytes[start..end])
                .trim_end_matches('\0')
                .to_owned();
            match word(at + 2) {
                2 => class = text,
                3 => instance = text,
                _ => {}
            }
            at = end;
        }
        Self {
            sop_class: class,
            sop_instance: instance,
            data: bytes[at..].to_vec(),
        }
    }
}

impl Instance {
    /// The film as if a device of another kind had taken it, which the quality gate refuses.
    pub fn of_another_device(mut self) -> Self {
        let modality = b"\x08\0\x60\0CS\x02\0DX";
        let at = (self.data.windows(modality.len())).position(|window| window == modality);
        let end = at.expect("the data set has a modality") + modality.len();
        self.data[end - 2..end].copy_from_slice(b"MG");
        self
    }

    /// The same film under another SOP Instance UID of the same length.
    pub fn numbered(&self, number: usize) -> Self {
        let old = &self.sop_instance;
        let new = format!("2.25.{number:0width$}", width = old.len() - 5);
        let mut data = self.data.clone();
        let at = (data.windows(old.len())).position(|window| window == old.as_bytes());
        let at = at.expect("the data set names its instance");
        data[at..at + old.len()].copy_from_slice(new.as_bytes());
        Self {
            sop_class: self.sop_class.clone(),
            sop_instance: new,
            data,
        }
    }
}

/// The files below a folder, in the order of their paths.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => files.push(path),
            }
        }
    }
    files.sort();
    files
}

pub fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/films")
        .join(name)
}

/// An association with a station.
pub struct Sender {
    association: ClientAssociation<TcpStream>,
}

impl Sender {
    pub fn connect(station: &Station) -> Result<Self, Error> {
        Self::connect_as(station, "UNIT", "PLUMBLINE")
    }

    pub fn connect_as(station: &Station, calling: &str, called: &str) -> Result<Self, Error> {
        Self::connect_to(station.dicom, calling, called)
    }

    pub fn connect_to(address: SocketAddr, calling: &str, called: &str) -> Result<Self, Error> {
        let mut options = ClientAssociationOptions::new()
            .calling_ae_title(calling)
            .called_ae_title(called)
            .read_timeout(LONG);
        for class in [VERIFICATION, CR, DX] {
            options = options.with_presentation_context(class, vec![EXPLICIT, IMPLICIT]);
        }
        let association = options.establish(address)?;
        Ok(Self { association })
    }

    fn context(&self, class: &str) -> u8 {
        let contexts = self.association.presentation_contexts().iter();
        let mut contexts = contexts.filter(|context| context.abstract_syntax == class);
        contexts.next().unwrap().id
    }

    /// Sends bytes as one part of a message.
    pub fn send(&mut self, class: &str, value_type: PDataValueType, is_last: bool, data: &[u8]) {
        let value = PDataValue {
            presentation_context_id: self.context(class),
            value_type,
            is_last,
            data: data.to_vec(),
        };
        self.association
            .send(&Pdu::PData { data: vec![value] })
            .unwrap();
    }

    /// Sends a command, and the bytes of a data set if there are some.
    pub fn ask(&mut self, class: &str, command: &[u8], data: Option<&[u8]>) -> Response {
        self.send(class, PDataValueType::Command, true, command);
        if let Some(data) = data {
            let chunks = data.chunks(16_000);
            let last = chunks.len() - 1;
            for (index, chunk) in chunks.enumerate() {
                self.send(class, PDataValueType::Data, index == last, chunk);
            }
        }
        self.response()
    }

    pub fn response(&mut self) -> Response {
        match self.association.receive().unwrap() {
            Pdu::PData { data } => Response::parse(&data[0].data).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// Stores an instance, and returns the status.
    pub fn store(&mut self, instance: &Instance) -> u16 {
        let command = store_command(&instance.sop_class, &instance.sop_instance);
        self.ask(&instance.sop_class, &command, Some(&instance.data))
            .status
    }

    /// Stores an instance; none if the station is gone meanwhile.
    pub fn try_store(&mut self, instance: &Instance) -> Option<u16> {
        let command = store_command(&instance.sop_class, &instance.sop_instance);
        let id = self.context(&instance.sop_class);
        let mut send = |value_type, is_last, data: &[u8]| {
            let value = PDataValue {
                presentation_context_id: id,
                value_type,
                is_last,
                data: data.to_vec(),
            };
            self.association
                .send(&Pdu::PData { data: vec![value] })
                .ok()
        };
        send(PDataValueType::Command, true, &command)?;
        let chunks = instance.data.chunks(16_000);
        let last = chunks.len() - 1;
        for (index, chunk) in chunks.enumerate() {
            send(PDataValueType::Data, index == last, chunk)?;
        }
        match self.association.receive().ok()? {
            Pdu::PData { data } => Some(Response::parse(&data[0].data).unwrap().status),
            _ => None,
        }
    }

    pub fn release(self) {
        self.association.release().unwrap();
    }
}

/// A C-STORE-RQ.
pub fn store_command(class: &str, instance: &str) -> Vec<u8> {
    Request {
        field: C_STORE,
        message: 1,
        sop_class: class.into(),
        sop_instance: instance.into(),
        has_data: true,
    }
    .bytes()
}
