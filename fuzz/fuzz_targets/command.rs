//! Any bytes as a command set, and as an answer about commitment: a request that was read can be answered,
//! and says the same when it is written again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use plumbline_dimse::service::{EXPLICIT, IMPLICIT};
use plumbline_dimse::{Committed, Request, Response, Status};

fuzz_target!(|bytes: &[u8]| {
    Response::parse(bytes).ok();
    Committed::parse(bytes, IMPLICIT).ok();
    Committed::parse(bytes, EXPLICIT).ok();
    if let Ok(request) = Request::parse(bytes) {
        let response = request.response(Status::CannotUnderstand, Some("why"));
        let read = Response::parse(&response).expect("a response of our own");
        assert_eq!((read.status, &*read.comment), (0xC000, "why"));
        assert_eq!(Request::parse(&request.bytes()).as_ref(), Ok(&request));
    }
});
