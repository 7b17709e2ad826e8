//! Programs that nobody here wrote, as tests run them.

#![allow(dead_code, reason = "each test program uses a part")]

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::station::wait_for;

/// Runs a program, and returns whether it succeeded and what it said.
pub fn run(program: &str, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}; run .ci/peers"));
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

/// A program in the background. Killed when dropped.
pub struct Background(Child);

impl Background {
    pub fn start(program: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        let command = command
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }

    /// Starts a program that writes what it says into the file `said`.
    pub fn start_into(program: &str, arguments: &[&str], said: &Path) -> Self {
        let mut command = Command::new(program);
        let command = command
            .args(arguments)
            .stdout(fs::File::create(said).unwrap())
            .stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Starts dcmtk's storescp, which keeps what it is sent in `folder`, a new one.
pub fn storescp(folder: &Path, title: &str, port: u16) -> Background {
    fs::create_dir(folder).unwrap();
    let (folder, listens) = (folder.to_str().unwrap(), port.to_string());
    let arguments = ["-aet", title, "-od", folder, "--fork", &listens];
    let storescp = Background::start("/usr/bin/storescp", &arguments);
    wait_for_port(port);
    storescp
}

/// A port that nobody listens on just now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

pub fn wait_for_port(port: u16) {
    wait_for(|| TcpStream::connect(("127.0.0.1", port)).ok());
}

/// Makes an authority, `ca.crt`, and certificates and keys of these names that it has signed, for
/// localhost.
pub fn certificates(folder: &Path, names: &[&str]) {
    let path = |name: &str| folder.join(name).display().to_string();
    let openssl = |arguments: &[&str]| {
        let (done, said) = run("openssl", arguments);
        assert!(done, "{said}");
    };
    let (ca_key, ca) = (path("ca.key"), path("ca.crt"));
    let subject = [
        "-subj",
        "/CN=authority",
        "-days",
        "2",
        "-nodes",
        "-newkey",
        "rsa:2048",
    ];
    openssl(
        &[
            &["req", "-x509", "-keyout", &ca_key, "-out", &ca][..],
            &subject,
        ]
        .concat(),
    );
    for name in names {
        let (key, request, certificate) = (
            path(&format!("{name}.key")),
            path(&format!("{name}.csr")),
            path(&format!("{name}.crt")),
        );
        let subject = format!("/CN={name}");
        let new = ["-subj", &subject, "-nodes", "-newkey", "rsa:2048"];
        openssl(&[&["req", "-keyout", &key, "-out", &request][..], &new].concat());
        let extension = path("extension");
        fs::write(&extension, "subjectAltName=DNS:localhost,IP:127.0.0.1\n").unwrap();
        openssl(&[
            "x509",
            "-req",
            "-in",
            &request,
            "-CA",
            &ca,
            "-CAkey",
            &ca_key,
            "-CAcreateserial",
            "-days",
            "2",
            "-extfile",
            &extension,
            "-out",
            &certificate,
        ]);
    }
}

/// Orthanc as an archive, which calls the station `station`.
pub struct Orthanc {
    web: u16,
    _process: Background,
}

impl Orthanc {
    /// Starts it with its files in `folder`, its DICOM port and its web port.
    pub fn start(folder: &Path, port: u16, web: u16, station: u16) -> Self {
        Self::start_with(folder, port, web, station, json!({}))
    }

    /// Starts it with more configuration than that.
    pub fn start_with(folder: &Path, port: u16, web: u16, station: u16, more: Value) -> Self {
        let mut configuration = json!({
            "Name": "archive",
            "StorageDirectory": folder.join("storage"),
            "IndexDirectory": folder.join("storage"),
            "HttpPort": web,
            "DicomPort": port,
            "DicomAet": "ORTHANC",
            "RemoteAccessAllowed": false,
            "AuthenticationEnabled": false,
            "DicomCheckCalledAet": true,
            "DicomModalities": { "station": ["PLUMBLINE", "127.0.0.1", station] },
        });
        for (key, value) in more.as_object().unwrap() {
            configuration[key] = value.clone();
        }
        let file = folder.join("orthanc.json");
        fs::write(&file, configuration.to_string()).unwrap();
        let process = Background::start("/usr/sbin/Orthanc", &[file.to_str().unwrap()]);
        wait_for_port(web);
        wait_for_port(port);
        Self {
            web,
            _process: process,
        }
    }

    /// Posts to its web interface.
    pub fn ask(&self, path: &str, body: &[u8]) -> Value {
        serde_json::from_slice(&self.request("POST", path, body)).unwrap()
    }

    /// Gets from its web interface.
    pub fn get(&self, path: &str) -> Vec<u8> {
        self.request("GET", path, b"")
    }

    fn request(&self, method: &str, path: &str, body: &[u8]) -> Vec<u8> {
        let mut socket = TcpStream::connect(("127.0.0.1", self.web)).unwrap();
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.0\r\nContent-Length: {length}\r\n\r\n");
        socket.write_all(&[head.as_bytes(), body].concat()).unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).unwrap();
        let end = answer
            .windows(4)
            .position(|bytes| bytes == b"\r\n\r\n")
            .unwrap()
            + 4;
        let head = String::from_utf8_lossy(&answer[..end]).into_owned();
        assert!(head.contains(" 200 "), "{head}");
        answer.split_off(end)
    }
}
