//! No library of CUDA may be needed at the start of the program: every function of theirs that is
//! linked must be defined in `src/devices/libraries.rs`.
//!
//! `cargo test -p plumbline-nets --features nccl --test libraries -- --ignored`
#![cfg(feature = "cuda")]

use std::hint::black_box;
use std::process::Command;

use plumbline_nets::devices::DeviceName;
use plumbline_nets::{Mode, Network, Output};

#[test]
#[ignore = "needs a build with CUDA, and nm"]
fn no_function_of_cuda_is_undefined() {
    // Links everything that the networks call.
    black_box(DeviceName::open_all as fn(&[DeviceName]) -> Result<Vec<_>, _>);
    type Forward = fn(&Network, &candle_core::Tensor, &mut Mode) -> candle_core::Result<Output>;
    black_box((|network, x, mode| network.forward(x, mode)) as Forward);

    let program = std::env::current_exe().unwrap();
    let output = Command::new("nm")
        .args(["--undefined-only", "--format=posix"])
        .arg(&program)
        .output()
        .expect("cannot run nm");
    assert!(output.status.success(), "nm could not read {program:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    let names = text.lines().filter_map(|line| line.split(' ').next());
    let of_cuda = |name: &&str| {
        ["cu", "__cuda", "nccl"]
            .iter()
            .any(|start| name.starts_with(start))
    };
    let undefined: Vec<&str> = names.filter(of_cuda).collect();
    assert!(
        undefined.is_empty(),
        "add these functions to src/devices/libraries.rs: {undefined:?}"
    );
}
