//! Any bytes as a film file: the film and its header are read, or refused in one line.

#![no_main]

use libfuzzer_sys::fuzz_target;
use plumbline_shared::decode::{DecodeError, Decoded, decode, header};
use plumbline_shared::film::MAX_PIXELS;

fuzz_target!(|bytes: &[u8]| {
    match decode(bytes) {
        Ok(Decoded { film, .. }) => {
            let pixels = u64::from(film.width()) * u64::from(film.height());
            assert!(0 < pixels && pixels <= MAX_PIXELS);
            assert_eq!(film.pixels().len() as u64, pixels);
        }
        Err(error) => check(&error),
    }
    if let Err(error) = header(bytes) {
        check(&error);
    }
});

fn check(error: &DecodeError) {
    let sentence = error.to_string();
    assert!(
        !sentence.is_empty() && !sentence.contains('\n'),
        "{sentence:?}"
    );
}
