//! Gives the build its commit, and makes Cargo compile the tests again when a case file appears or goes: rstest's
//! `#[files]` looks for them only then.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=tests/scenarios-bad");
    println!("cargo::rerun-if-changed=../fixtures/runs");
    println!("cargo::rerun-if-changed=../suites/scenarios");
    println!("cargo::rerun-if-changed=../.git/logs/HEAD");
    let git = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output();
    let commit = match git {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_string(),
        // A release archive has no repository: its version alone says what it is.
        _ => String::new(),
    };
    let suffix = if commit.is_empty() { String::new() } else { format!("+{commit}") };
    println!("cargo::rustc-env=MESHPROOF_COMMIT={suffix}");
}
