//! Puts the linker's scripts of the chosen board where the linker looks for them.

use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let pico2 = env::var_os("CARGO_FEATURE_PICO2").is_some();
    let memory = if pico2 {
        "memory-pico2.x"
    } else {
        "memory-an386.x"
    };
    // cortex-m-rt's script includes this one before its own sections, which is where GNU ld lets
    // sections be inserted.
    let script = [
        fs::read_to_string(memory)?,
        fs::read_to_string("build-id.x")?,
    ]
    .concat();
    fs::write(out.join("memory.x"), script)?;
    if !pico2 {
        // cortex-m-rt's `device` feature wants the default handlers of interrupts, of which the
        // emulated board's table needs none.
        fs::write(out.join("device.x"), "")?;
    }
    println!("cargo::rustc-link-search={}", out.display());
    for script in ["-Tlink.x", "-Tdefmt.x", "--nmagic", "--build-id=sha1"] {
        println!("cargo::rustc-link-arg-bins={script}");
    }
    for script in ["memory-an386.x", "memory-pico2.x", "build-id.x", "build.rs"] {
        println!("cargo::rerun-if-changed={script}");
    }
    Ok(())
}
