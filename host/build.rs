//! Tells the program which git revision its sources are of, and compiles the kernels for GPUs where
//! they are asked for.

use std::path::PathBuf;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_FEATURE_CUDA").is_some() {
        compile_kernels();
    }
    // Commits on a branch are written to the log of HEAD.
    for file in ["HEAD", "logs/HEAD"] {
        let Some(path) = git(&["rev-parse", "--git-path", file]) else {
            return;
        };
        println!("cargo::rerun-if-changed={path}");
    }
    if let Some(revision) = git(&["rev-parse", "HEAD"]) {
        println!("cargo::rustc-env=PLUMBLINE_REVISION={revision}");
    }
}

/// Has nvcc make of the kernels the assembly that the driver of any GPU since 2020 understands.
fn compile_kernels() {
    let source = "src/nets/ops/cuda/kernels.cu";
    println!("cargo::rerun-if-changed={source}");
    let output = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default()).join("kernels.ptx");
    let compiled = Command::new("nvcc")
        .args(["-ptx", "-O3", "-arch=compute_80", "-o"])
        .arg(output)
        .arg(source)
        .status();
    match compiled {
        Ok(status) if status.success() => {}
        Ok(status) => panic!("nvcc could not compile {source}: {status}"),
        Err(error) => panic!("cannot run nvcc, which CUDA.md says where to get: {error}"),
    }
}

/// What git answers, where there is a git and a repository.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}
