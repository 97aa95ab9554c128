//! What a run's exit code says, decided in one function from its verdicts and what was expected of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check::Verdict;
use crate::report::summary::Summary;

/// How a run ended; the number is the process' exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Exit {
    /// Every verdict is the expected one.
    Green = 0,
    /// At least one clause does not hold (or one that was expected to fail holds).
    Red = 1,
    /// Bad input: nothing was created.
    Usage = 2,
    /// No verdict: the lab or the mesh could not be made, or a check could not tell.
    NoVerdict = 3,
    /// The verdict is green, yet the lab could not be removed.
    LeftOver = 4,
    /// Interrupted by a signal.
    Interrupted = 130,
}

impl Exit {
    /// Decides how a run ends. Nothing else turns verdicts into an exit code.
    ///
    /// The first that applies counts: a signal, a clause that is not as expected, anything that could not be made or
    /// told, a verb that should judge and did not, a lab that could not be removed. The run's own deadline is no
    /// signal: what it cut off has no verdict.
    pub fn decide(summary: &Summary) -> Exit {
        if summary.interrupted_by_signal() {
            return Exit::Interrupted;
        }
        if summary.cases.iter().any(|case| case.standing() == Standing::Unexpected) {
            return Exit::Red;
        }
        if !summary.obstacles().is_empty() || !summary.judged_enough() {
            return Exit::NoVerdict;
        }
        if summary.left_over() { Exit::LeftOver } else { Exit::Green }
    }

    /// How a run stands that may not have ended: then it is not green, whatever it has come to.
    pub fn so_far(summary: &Summary) -> Exit {
        match Exit::decide(summary) {
            Exit::Green if summary.finished.is_none() => Exit::NoVerdict,
            exit => exit,
        }
    }

    /// How several runs end: by a signal, else as the worst of them.
    pub fn worst(exits: impl IntoIterator<Item = Exit>) -> Exit {
        let order = [Exit::Interrupted, Exit::Red, Exit::NoVerdict, Exit::Usage, Exit::LeftOver];
        let exits: Vec<Exit> = exits.into_iter().collect();
        order.into_iter().find(|exit| exits.contains(exit)).unwrap_or(Exit::Green)
    }

    /// The process' exit code.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// Its name for programs, as in `verdict=red`.
    pub fn name(self) -> &'static str {
        match self {
            Exit::Green => "green",
            Exit::Red => "red",
            Exit::Usage => "bad-input",
            Exit::NoVerdict => "no-verdict",
            Exit::LeftOver => "left-over",
            Exit::Interrupted => "interrupted",
        }
    }

    /// One line for people.
    pub fn meaning(self) -> &'static str {
        match self {
            Exit::Green => "every clause is as expected",
            Exit::Red => "at least one clause is not as expected",
            Exit::Usage => "bad input; nothing was created",
            Exit::NoVerdict => "no verdict: something could not be made or could not be told",
            Exit::LeftOver => "every clause is as expected, but the lab could not be removed",
            Exit::Interrupted => "interrupted before the end",
        }
    }

    /// One line for people that does not speak of clauses where the verb judges none, and says how many were not asked.
    pub fn meaning_of(self, summary: &Summary) -> String {
        let (all, skipped) = (summary.cases.len(), summary.skipped());
        let fine = if skipped == 0 { Exit::Green.meaning() } else { "every clause that was asked is as expected" };
        let left = if summary.is_brought() { "not all that was made" } else { "the lab" };
        match self {
            Exit::Green if !summary.judges() => "done; nothing was to be judged".to_string(),
            Exit::Green if skipped == 1 => format!("{fine}; 1 of {all} was not asked"),
            Exit::Green if skipped > 1 => format!("{fine}; {skipped} of {all} were not asked"),
            Exit::LeftOver if !summary.judges() => format!("{left} could not be removed"),
            Exit::LeftOver => format!("{fine}, but {left} could not be removed"),
            other => other.meaning().to_string(),
        }
    }
}

/// How a verdict stands to what the scenario expects of its case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// The verdict is the expected one.
    AsExpected,
    /// The clause was judged, and otherwise than expected.
    Unexpected,
    /// It could not be told, could not be asked, or there is no verdict at all.
    Untold,
    /// Skipped on purpose: neither red nor green.
    Neutral,
}

impl Standing {
    /// Whether it leaves a run green.
    pub fn is_fine(self) -> bool {
        matches!(self, Standing::AsExpected | Standing::Neutral)
    }

    /// Sets a verdict against the name of the expected one.
    ///
    /// Blocked and inconclusive count as expected only where the scenario names them.
    pub fn of(verdict: Option<&Verdict>, expected: &str) -> Standing {
        match verdict {
            None => Standing::Untold,
            Some(Verdict::Skipped { .. }) => Standing::Neutral,
            Some(verdict) if verdict.name() == expected => Standing::AsExpected,
            Some(Verdict::Passed { .. } | Verdict::Failed { .. }) => Standing::Unexpected,
            Some(Verdict::Inconclusive { .. } | Verdict::Blocked { .. }) => Standing::Untold,
        }
    }
}
