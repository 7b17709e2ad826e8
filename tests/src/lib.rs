//! The two programs, run as their users run them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A program of this workspace, from the build that the tests are part of.
///
/// # Panics
/// If it was not built: `cargo test --workspace` builds it, a test of this package alone does not.
pub fn program(name: &str) -> Command {
    let mut folder = std::env::current_exe().expect("a test knows where it is");
    // The tests lie in `deps`, beside the programs.
    folder.pop();
    folder.pop();
    let path = folder.join(name);
    assert!(
        path.exists(),
        "{} was not built; run the tests by `cargo test --workspace`",
        path.display()
    );
    let mut command = Command::new(path);
    command.current_dir(root());
    command
}

/// Runs a command that must succeed, and returns what it printed.
///
/// # Panics
/// If it fails.
pub fn succeed(command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("the program starts");
    let errors = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{command:?} gave {status}: {errors}");
    String::from_utf8(stdout).expect("the program prints UTF-8")
}

/// The JSON objects of a command's lines.
///
/// # Panics
/// If the command fails, or a line is not JSON.
pub fn objects(command: &mut Command) -> Vec<Value> {
    let text = succeed(command);
    let parse = |line: &str| serde_json::from_str(line).expect("every line is a JSON object");
    text.lines().map(parse).collect()
}
