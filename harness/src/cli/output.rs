//! What a call prints: text for people, in whose lines nothing is a command for GitHub's runner, and data for programs.

use std::io::Write;

use crate::problem::Problems;
use crate::report::github::{Job, harmless};
use crate::report::terminal::{Manner, Volume};
use crate::report::text::one_line;

/// Prints text to standard output. Who reads no further, as `head` does, must not end the program.
pub fn out(text: &str) {
    data(&printed(text, Job::from_environment().is_some()));
}

/// Prints what a program reads to standard output, as it is.
pub fn data(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

/// Prints a line to standard error. A terminal that went away must not end the program either.
pub fn note(line: &str) {
    let line = printed(line, Job::from_environment().is_some());
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Prints one line of progress.
pub fn say(verb: &str, text: &str) {
    note(&format!("{verb:>12} {}", one_line(text)));
}

/// Prints why something cannot be done.
pub fn refuse(problems: &Problems) {
    note(&problems.shown(Manner::detect(Volume::Usual).colour));
}

/// Standard error as a log writes to it, an event at a time.
pub struct Log;

impl Write for Log {
    fn write(&mut self, event: &[u8]) -> std::io::Result<usize> {
        let text = printed(&String::from_utf8_lossy(event), Job::from_environment().is_some());
        std::io::stderr().lock().write_all(text.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn printed(text: &str, on_github: bool) -> String {
    if on_github { harmless(text) } else { text.to_string() }
}

#[cfg(test)]
mod tests {
    use super::printed;

    #[test]
    fn text_is_left_as_it_is_where_no_runner_reads_it() {
        let text = "a\n::error::x ##[error]y\n";
        assert_eq!([printed(text, false), printed(text, true)], [text, "a\n: :error::x # #[error]y\n"]);
    }
}
