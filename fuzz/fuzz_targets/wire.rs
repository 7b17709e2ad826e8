//! Any bytes as a decoder's message: what is accepted fits the buffer again and says the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use plumbline_wire::decoder::{MOST, decode, encode};

fuzz_target!(|bytes: &[u8]| {
    if bytes.len() > MOST {
        return;
    }
    if let Ok(answer) = decode(bytes) {
        let mut buffer = [0; MOST];
        let again = encode(&answer, &mut buffer).expect("a message that was read has room");
        assert_eq!(decode(again), Ok(answer));
    }
});
