//! How lines look: right-aligned verbs, their colours, and what stands below a verdict.

use super::Manner;
use crate::check::Verdict;
use crate::exit::Standing;
use crate::report::text::{one_line, printable};

/// The width of the verbs and the blank behind them.
pub const INDENT: &str = "             ";

/// How many characters of a line with colours are not seen.
pub const COLOURS: usize = "\x1b[1;31m\x1b[0m".len();

/// The colour of a verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// It is as it should be.
    Green,
    /// It is not.
    Red,
    /// It could not be told or asked.
    Yellow,
    /// It judges nothing.
    Cyan,
}

impl Colour {
    fn code(self) -> u8 {
        match self {
            Colour::Red => 31,
            Colour::Green => 32,
            Colour::Yellow => 33,
            Colour::Cyan => 36,
        }
    }

    /// The text in this colour, where there are colours.
    pub fn paint(self, manner: Manner, text: &str) -> String {
        match manner.colour {
            false => text.to_string(),
            true => format!("\x1b[1;{}m{text}\x1b[0m", self.code()),
        }
    }
}

/// A line with its verb right-aligned in twelve columns, as cargo does it.
pub fn line(manner: Manner, verb: &str, colour: Colour, text: &str) -> String {
    format!("{} {text}", colour.paint(manner, &format!("{verb:>12}")))
}

/// Verb and colour of a verdict: red is for what is not as expected, whatever its name.
pub fn of_verdict(verdict: &Verdict, expected: &str) -> (&'static str, Colour) {
    let verb = match verdict {
        Verdict::Passed { .. } => "Passed",
        Verdict::Failed { .. } => "Failed",
        Verdict::Inconclusive { .. } => "Inconclusive",
        Verdict::Skipped { .. } => "Skipped",
        Verdict::Blocked { .. } => "Blocked",
    };
    let colour = match Standing::of(Some(verdict), expected) {
        Standing::AsExpected => Colour::Green,
        Standing::Unexpected => Colour::Red,
        Standing::Untold => Colour::Yellow,
        Standing::Neutral => Colour::Cyan,
    };
    (verb, colour)
}

/// The lines below a verdict: its cause, and what to look at where that is known.
pub fn why(verdict: &Verdict) -> Vec<String> {
    let cause = Some(one_line(&verdict.cause())).filter(|cause| !cause.is_empty());
    cause.into_iter().chain(verdict.advice().iter().map(|line| one_line(line))).collect()
}

/// The lines of an error that may have more than one.
pub fn lines(error: &str) -> Vec<String> {
    printable(error).lines().filter(|line| !line.trim().is_empty()).map(str::to_string).collect()
}
