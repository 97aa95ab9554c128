//! What a shell is given: scripts that complete words, and pages of the manual, both from the command line itself.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use super::args::{Cli, Manual};
use super::output::{data, out};
use crate::exit::Exit;
use crate::problem::{Problem, Problems};

/// The script by which this shell completes verbs, flags and their values.
pub fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "meshproof", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// Prints the page of the whole command, or writes those of every verb.
///
/// # Errors
/// The folder or file that cannot be written.
pub fn manual(args: &Manual) -> Result<Exit, Problems> {
    match &args.out {
        None => data(&page(Cli::command())),
        Some(folder) => {
            for path in pages(folder)? {
                out(&format!("{}\n", path.display()));
            }
        }
    }
    Ok(Exit::Green)
}

/// The page of one command, in roff.
fn page(command: Command) -> String {
    let mut page = Vec::new();
    // A list of bytes takes all that is written.
    let _ = Man::new(command).render(&mut page);
    as_written(&String::from_utf8_lossy(&page))
}

/// The page with the lines of its last section as they are: they are examples and tables, and would be run together.
fn as_written(page: &str) -> String {
    const EXTRA: &str = ".SH EXTRA\n";
    let Some((before, after)) = page.split_once(EXTRA) else { return page.to_string() };
    let (extra, rest) = after.split_at(after.find("\n.SH ").map_or(after.len(), |at| at + 1));
    format!("{before}{EXTRA}.nf\n{}\n.fi\n{rest}", extra.trim_end())
}

/// Writes a page for the command, each verb, and each verb of a verb: `meshproof.1`, `meshproof-run.1` and so on.
///
/// # Errors
/// The folder or file that cannot be written.
pub fn pages(folder: &Path) -> Result<Vec<PathBuf>, Problems> {
    let cannot = |error: std::io::Error| {
        Problem::new("--out", format!("{}: {error}", folder.display()), "a folder that you may write to")
    };
    fs::create_dir_all(folder).map_err(cannot)?;
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let mut left = vec![command];
    let mut written = Vec::new();
    while let Some(command) = left.pop() {
        left.extend(command.get_subcommands().cloned());
        let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_string();
        let path = folder.join(format!("{name}.1"));
        fs::write(&path, page(command)).map_err(cannot)?;
        written.push(path);
    }
    written.sort();
    Ok(written)
}
