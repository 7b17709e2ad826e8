//! The GPU's kernels, compiled for the CPU with a thread for each thread of a block, against plain
//! loops (`kernels/kernels.cpp`). Needs no CUDA.
//!
//! `cargo test --workspace --test kernels -- --ignored`

use std::path::Path;
use std::process::Command;

#[test]
#[ignore = "needs g++"]
fn kernels_agree_with_plain_loops() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kernels");
    let built = tempfile::tempdir().unwrap();
    let program = built.path().join("kernels");
    let compiled = Command::new("g++")
        .args(["-std=c++20", "-O2", "-pthread", "-Wno-unknown-pragmas"])
        .arg("-I")
        .arg(&folder)
        .arg("-o")
        .arg(&program)
        .arg(folder.join("kernels.cpp"))
        .status()
        .expect("cannot run g++");
    assert!(compiled.success(), "g++ could not compile the kernels");
    let run = Command::new(&program).output().unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{said}");
}
