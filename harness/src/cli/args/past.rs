//! The flags of verbs that look at runs of the past: `diff` and `history`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Flags of `diff`.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct Diffing {
    /// The run that is compared with: its folder or its `events.jsonl`, or a folder of several runs, such as `run --repeat` leaves.
    #[arg(value_name = "RUN_A")]
    pub before: PathBuf,
    /// The run that may be worse.
    #[arg(value_name = "RUN_B")]
    pub after: PathBuf,
    /// What gives exit code 1: a verdict that got worse, a time that did, or one of these.
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = FailOn::Verdict)]
    pub fail_on: FailOn,
    /// How it is printed.
    #[arg(long, value_enum, value_name = "FORM", default_value_t = Form::Text)]
    pub format: Form,
}

/// What makes a comparison fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// A verdict that got worse.
    Verdict,
    /// A time that got worse beyond noise, or a run that ended worse, for that is only faster.
    Time,
    /// One of these.
    Any,
}

/// How a comparison is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// For people.
    Text,
    /// For a pull request.
    Markdown,
    /// For programs.
    Json,
}

/// Flags of `history`.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct Past {
    /// The folder that the folders of runs lie in; that of a series, such as `run --repeat` leaves, is one too.
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub runs: PathBuf,
    /// Write it as a page too, which needs no network.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}
