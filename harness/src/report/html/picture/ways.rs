//! How the ways across a mesh stand at the end of a run: proved, broken, or not told, and by which checks.

use super::parts::Pair;
use crate::check::{Path, Verdict};
use crate::report::Summary;
use crate::report::html::mark::Tone;
use crate::report::html::verdict::base;
use crate::report::summary::CaseRun;

/// How a way stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Way {
    /// Which.
    pub path: Path,
    /// Good where it was proved, bad where it broke, a warning where it could not be told, calm where nobody asked.
    pub tone: Tone,
    /// The checks that say so, by their ids in the catalogue.
    pub by: Vec<String>,
}

impl Way {
    /// What it says, in a line.
    pub fn label(&self) -> String {
        let sign = match self.tone {
            Tone::Good => "✓",
            Tone::Bad => "✕",
            Tone::Warn => "?",
            Tone::Calm => return "not asked".to_string(),
        };
        let shown: Vec<&str> = self.by.iter().take(3).map(String::as_str).collect();
        let more = self.by.len().saturating_sub(shown.len());
        let more = if more > 0 { format!(" +{more}") } else { String::new() };
        format!("{sign} {}{more}", shown.join(" "))
    }
}

/// All ways of a pair.
pub fn of(summary: &Summary, pair: &Pair) -> Vec<Way> {
    let cases = last(summary, pair);
    Path::ALL.map(|path| way(path, &cases)).to_vec()
}

/// The cases of this pair that were judged last: those at the end, else those of the last round in which any was.
fn last<'a>(summary: &'a Summary, pair: &Pair) -> Vec<&'a CaseRun> {
    let is_of_pair = |place: &str| match place.rsplit('/').next().filter(|_| !place.is_empty()) {
        Some(word) if word == pair.remote.name => true,
        _ => pair.first,
    };
    let mut rounds: Vec<(&str, Vec<&CaseRun>)> = Vec::new();
    for case in summary.cases.iter().filter(|case| !case.outline.shows.is_empty()) {
        let place = case.outline.id.rsplit_once('/').map_or("", |(place, _)| place);
        if !is_of_pair(place) {
            continue;
        }
        match rounds.iter_mut().find(|(other, _)| *other == place) {
            Some((_, cases)) => cases.push(case),
            None => rounds.push((place, vec![case])),
        }
    }
    // The plan names rounds first, and the end after them.
    let judged =
        |cases: &Vec<&CaseRun>| cases.iter().any(|case| !matches!(case.verdict, None | Some(Verdict::Skipped { .. })));
    let last = rounds.iter().rposition(|(_, cases)| judged(cases));
    last.map(|at| rounds.swap_remove(at).1).unwrap_or_default()
}

fn way(path: Path, cases: &[&CaseRun]) -> Way {
    let about: Vec<&&CaseRun> = cases.iter().filter(|case| case.outline.shows.contains(&path)).collect();
    let ids = |is: fn(&Verdict) -> bool| -> Vec<String> {
        let those = about.iter().filter(|case| case.verdict.as_ref().is_some_and(is));
        those.map(|case| base(&case.outline.id).to_string()).collect()
    };
    let failed = ids(|verdict| matches!(verdict, Verdict::Failed { .. }));
    let passed = ids(Verdict::is_passed);
    let untold = ids(|verdict| matches!(verdict, Verdict::Blocked { .. } | Verdict::Inconclusive { .. }));
    let (tone, by) = if !failed.is_empty() {
        (Tone::Bad, failed)
    } else if !untold.is_empty() {
        (Tone::Warn, untold)
    } else if !passed.is_empty() {
        (Tone::Good, passed)
    } else {
        (Tone::Calm, Vec::new())
    };
    Way { path, tone, by }
}
