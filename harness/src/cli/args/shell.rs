//! The flags of `completions` and `man`.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

/// Flags of `completions`.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct Completing {
    /// The shell that the script is for.
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// Flags of `man`.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct Manual {
    /// Write a page for each verb into this folder, and name the files.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}
