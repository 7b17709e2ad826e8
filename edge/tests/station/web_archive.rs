//! An archive on the web that answers as a test wants.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What the archive answers a request with.
#[derive(Clone, Copy, Debug)]
pub enum Reply {
    /// This status, this header line (empty for none), and this body.
    Answer(u16, &'static str, &'static str),
    /// It breaks the connection off in the middle of the body.
    BreakOff,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Method and path.
    pub line: String,
    /// The header's lines, in lower case but for the values.
    pub head: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.iter();
        Some(&lines.find(|(other, _)| other == name)?.1)
    }
}

/// An archive on the web.
#[derive(Clone)]
pub struct WebArchive {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl WebArchive {
    /// Starts an archive whose answers are `replies`, one after the other, and then 200.
    pub fn start(replies: &'static [Reply]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let archive = Self {
            address: listener.local_addr().unwrap(),
            asked: Arc::default(),
        };
        let serving = archive.clone();
        thread::spawn(move || {
            let mut replies = replies.iter().copied();
            for socket in listener.incoming() {
                let reply = replies.next().unwrap_or(Reply::Answer(200, "", "{}"));
                serving.serve(&socket.unwrap(), reply);
            }
        });
        archive
    }

    /// What it was asked, in order; not what it broke off.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// Serves one request of a connection, and closes that.
    fn serve(&self, mut socket: &TcpStream, reply: Reply) -> Option<()> {
        let mut reader = BufReader::new(socket);
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let mut asked = Asked {
            line: line.trim_end().to_owned(),
            head: Vec::new(),
            body: Vec::new(),
        };
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            asked
                .head
                .push((name.to_lowercase(), value.trim().to_owned()));
        }
        let length: usize = asked.header("content-length").unwrap_or("0").parse().ok()?;
        asked.body = vec![0; length];
        let Reply::Answer(status, header, body) = reply else {
            return reader.read_exact(&mut asked.body[..length / 2]).ok();
        };
        reader.read_exact(&mut asked.body).ok()?;
        self.asked.lock().unwrap().push(asked);
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status} So\r\nConnection: close\r\nContent-Length: {length}\r\n{header}{}\r\n{body}",
            if header.is_empty() { "" } else { "\r\n" }
        );
        socket.write_all(answer.as_bytes()).ok()
    }
}
