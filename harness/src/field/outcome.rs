//! What a run of a field issue came to, and what the recorded ones did.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::{Issue, Row};
use crate::check::Verdict;
use crate::exit::Exit;
use crate::plan::Plan;
use crate::problem::{Problem, Problems};
use crate::report::{Summary, jsonl};

/// Where recorded runs lie, below the repository: `VERSION/ISSUE.jsonl`.
pub const RUNS: &str = "fixtures/runs/field";

/// What a run of a field issue on one version of Istio came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// All was as the file expects, and these checks were red meanwhile, as `late/D8`; or, where none was, otherwise not passed.
    Shows(Vec<String>),
    /// All was as the file expects, and every check passed.
    ShowsNot,
    /// Something was otherwise than the file expects, or could not be told.
    Otherwise {
        /// How the run ended.
        exit: Exit,
        /// What was first otherwise, in one line.
        why: String,
    },
}

impl Outcome {
    /// What a run came to.
    pub fn of(exit: Exit, summary: &Summary) -> Outcome {
        if exit != Exit::Green {
            let first = summary.first_broken().map(|trouble| format!("{}: {}", trouble.id, trouble.cause));
            return Outcome::Otherwise { exit, why: first.unwrap_or_else(|| exit.meaning().to_string()) };
        }
        let those = |is: fn(&Verdict) -> bool| -> Vec<String> {
            let cases = summary.cases.iter().filter(|case| case.verdict.as_ref().is_some_and(is));
            cases.map(|case| case.outline.id.clone()).collect()
        };
        let red = those(|verdict| matches!(verdict, Verdict::Failed { .. }));
        let untold = those(|verdict| matches!(verdict, Verdict::Blocked { .. } | Verdict::Inconclusive { .. }));
        match [red, untold].into_iter().find(|cases| !cases.is_empty()) {
            Some(cases) => Outcome::Shows(cases),
            None => Outcome::ShowsNot,
        }
    }

    /// One or a few words, for a table.
    pub fn word(&self) -> &'static str {
        match self {
            Outcome::Shows(_) => "shows",
            Outcome::ShowsNot => "does not show",
            Outcome::Otherwise { exit: Exit::Red, .. } => "NOT AS EXPECTED",
            Outcome::Otherwise { .. } => "no verdict",
        }
    }
}

/// A run of a field issue on one version of Istio.
#[derive(Debug, Clone, PartialEq)]
pub struct Ran {
    /// What it came to.
    pub outcome: Outcome,
    /// The version of Kubernetes; empty where it did not get so far as to say.
    pub kubernetes: String,
}

impl Ran {
    /// A run by what it ended with.
    pub fn of(exit: Exit, summary: &Summary) -> Ran {
        let scenario = summary.plan.as_ref().and_then(Plan::scenario);
        let kubernetes = scenario.map(|scenario| scenario.kubernetes.clone()).unwrap_or_default();
        Ran { outcome: Outcome::of(exit, summary), kubernetes }
    }
}

/// The recorded runs of these issues, each a row in the order of the issues.
///
/// # Errors
/// Every recording that cannot be read.
pub fn recorded(root: &Path, issues: Vec<Issue>) -> Result<Vec<Row>, Problems> {
    let folder = root.join(RUNS);
    let unreadable = |error: std::io::Error| {
        Problem::new(folder.display().to_string(), format!("cannot be read: {error}"), "the folder of the repository")
    };
    let versions: Vec<_> = fs::read_dir(&folder).map_err(unreadable)?.flatten().collect();
    let mut problems = Problems::new();
    let mut rows = Vec::new();
    for issue in issues {
        let mut row = Row { issue, runs: BTreeMap::new() };
        for version in &versions {
            let path = version.path().join(format!("{}.jsonl", row.issue.id));
            if !path.is_file() {
                continue;
            }
            match jsonl::read(&path) {
                Ok(records) => {
                    let summary = Summary::of(&records);
                    let ran = Ran::of(Exit::decide(&summary), &summary);
                    row.runs.insert(version.file_name().to_string_lossy().into_owned(), ran);
                }
                Err(error) => {
                    problems.push(path.display().to_string(), error.to_string(), "the events of a run that ended");
                }
            }
        }
        rows.push(row);
    }
    problems.or(rows)
}

#[cfg(test)]
mod tests {
    use super::Outcome;
    use crate::exit::Exit;
    use crate::report::Summary;

    #[test]
    fn a_run_that_is_not_green_shows_nothing_whatever_was_red() {
        let outcome = Outcome::of(Exit::NoVerdict, &Summary::default());
        assert_eq!(outcome.word(), "no verdict");
        assert_eq!(Outcome::of(Exit::Red, &Summary::default()).word(), "NOT AS EXPECTED");
        assert_eq!(Outcome::of(Exit::Green, &Summary::default()), Outcome::ShowsNot);
    }
}
