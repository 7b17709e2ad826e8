//! Any bytes from a peer on a real connection: the association ends, and takes no more memory than a
//! PDU and a command may have.

#![no_main]

use std::io::Write;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use plumbline_dimse::{Association, Patience, Rules, Status, Stream};

static LISTENER: OnceLock<TcpListener> = OnceLock::new();
static STOP: AtomicBool = AtomicBool::new(false);

fuzz_target!(|bytes: &[u8]| {
    // What the connection takes without a reader.
    if bytes.len() > 100_000 {
        return;
    }
    let listener = LISTENER.get_or_init(|| TcpListener::bind("127.0.0.1:0").expect("a port"));
    let address = listener.local_addr().expect("an address");
    let mut peer = TcpStream::connect(address).expect("a connection");
    peer.write_all(bytes).expect("room for the bytes");
    peer.shutdown(Shutdown::Write).expect("an end");
    let (socket, _) = listener.accept().expect("the connection");
    let patience = Patience {
        read: Duration::from_millis(100),
        ..Patience::default()
    };
    let rules = Rules {
        ae_title: "PLUMBLINE".into(),
        callers: Vec::new(),
        senders: Vec::new(),
        for_processing: true,
    };
    let deadline = Instant::now() + patience.association;
    let stream = Stream::new(socket, None, patience, deadline).expect("a stream");
    let Ok(mut association) =
        Association::accept(stream, &rules, patience, deadline, || true, &STOP)
    else {
        return;
    };
    while let Ok(Some(message)) = association.next_message() {
        if message.request.has_data && association.data(&message, |_| {}).is_err() {
            return;
        }
        let response = message.request.response(Status::Success, Some("comment"));
        if association.respond(&message, &response).is_err() {
            return;
        }
    }
});
