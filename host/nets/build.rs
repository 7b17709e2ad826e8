//! Compiles the kernels for NVIDIA GPUs where they are asked for.

use std::path::PathBuf;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_FEATURE_CUDA").is_none() {
        return;
    }
    let source = "src/ops/cuda/kernels.cu";
    println!("cargo::rerun-if-changed={source}");
    let output = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default()).join("kernels.ptx");
    // Assembly that the driver of any GPU since 2020 understands.
    let compiled = Command::new("nvcc")
        .args(["-ptx", "-O3", "-arch=compute_80", "-o"])
        .arg(output)
        .arg(source)
        .status();
    match compiled {
        Ok(status) if status.success() => {}
        Ok(status) => panic!("nvcc could not compile {source}: {status}"),
        Err(error) => panic!("cannot run nvcc, which host/CUDA.md says where to get: {error}"),
    }
}
