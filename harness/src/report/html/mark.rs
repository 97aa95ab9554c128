//! A word in a coloured box, the same everywhere: the word says it, the colour repeats it.

use maud::{Markup, html};

use crate::check::Verdict;
use crate::event::StepOutcome;
use crate::exit::Standing;
use crate::report::summary::CaseRun;

/// What a colour stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// It is as it should be.
    Good,
    /// It is not.
    Bad,
    /// It could not be told, or not be asked.
    Warn,
    /// It judges nothing.
    Calm,
}

impl Tone {
    /// Its class in the style sheet.
    pub fn class(self) -> &'static str {
        match self {
            Tone::Good => "good",
            Tone::Bad => "bad",
            Tone::Warn => "warn",
            Tone::Calm => "calm",
        }
    }

    /// The tone of a case: what was expected decides, not the name of the verdict.
    pub fn of_case(case: &CaseRun) -> Tone {
        match case.standing() {
            Standing::AsExpected => Tone::Good,
            Standing::Unexpected => Tone::Bad,
            Standing::Untold => Tone::Warn,
            Standing::Neutral => Tone::Calm,
        }
    }
}

/// A word in a box.
pub fn mark(tone: Tone, word: &str) -> Markup {
    html! { span.mark.(tone.class()) { (word) } }
}

/// The verdict of a case in a word, with a sign for who sees no colours.
pub fn of_case(case: &CaseRun) -> Markup {
    let word = match &case.verdict {
        Some(Verdict::Passed { .. }) => "✓ passed",
        Some(Verdict::Failed { .. }) => "✕ failed",
        Some(Verdict::Inconclusive { .. }) => "? inconclusive",
        Some(Verdict::Skipped { .. }) => "– skipped",
        Some(Verdict::Blocked { .. }) => "▪ blocked",
        None => "? not judged",
    };
    mark(Tone::of_case(case), word)
}

/// What came of a step in a word.
pub fn of_step(outcome: Option<&StepOutcome>, started: bool) -> Markup {
    match outcome {
        Some(StepOutcome::Proved { .. }) => mark(Tone::Good, "✓ proved"),
        Some(StepOutcome::Failed { .. }) => mark(Tone::Bad, "✕ failed"),
        Some(StepOutcome::Blocked { .. }) => mark(Tone::Warn, "▪ blocked"),
        None if started => mark(Tone::Warn, "? not ended"),
        None => mark(Tone::Calm, "– not tried"),
    }
}
