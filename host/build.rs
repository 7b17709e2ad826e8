//! Tells the program which git revision its sources are of.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
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

/// Git's answer, where there is a git and a repository.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}
