//! A difference for people.

use std::fmt;

use super::{Change, Difference, EvidenceChange, TimeChange};
use crate::report::text::{count, one_line, seconds};

/// Lines of evidence of one case that are shown.
const MOST: usize = 6;

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_nothing() {
            return writeln!(f, "nothing is otherwise");
        }
        section(f, "VERDICTS", self.exits.iter().chain(&self.verdicts).flat_map(change).collect())?;
        section(f, "CASES IN THE FIRST ALONE", self.gone.iter().flat_map(change).collect())?;
        section(f, "CASES IN THE SECOND ALONE", self.new.iter().flat_map(change).collect())?;
        section(f, "MADE OF", self.facts.iter().flat_map(change).collect())?;
        section(f, "TIMES", self.times.iter().map(time).collect())?;
        section(f, "EVIDENCE", self.evidence.iter().flat_map(evidence).collect())
    }
}

fn section(f: &mut fmt::Formatter<'_>, title: &str, lines: Vec<String>) -> fmt::Result {
    if lines.is_empty() {
        return Ok(());
    }
    writeln!(f, "{title}")?;
    lines.iter().try_for_each(|line| writeln!(f, "  {line}"))
}

fn change(change: &Change) -> Vec<String> {
    let Change { what, before, after, worse, cause } = change;
    let worse = if *worse { "  WORSE" } else { "" };
    let first = format!("{what}: {} -> {}{worse}", named(before), named(after));
    let cause = (!cause.is_empty()).then(|| format!("    {}", one_line(cause)));
    [first].into_iter().chain(cause).collect()
}

/// What stands on one side of a change.
pub(super) fn named(text: &str) -> String {
    if text.is_empty() { "none".to_string() } else { one_line(text) }
}

/// Seconds, or the least and the most of several.
pub(super) fn range((least, most): (f64, f64)) -> String {
    if least == most { seconds(least) } else { format!("{} to {}", seconds(least), seconds(most)) }
}

fn time(time: &TimeChange) -> String {
    let how = if time.worse { "SLOWER" } else { "faster" };
    format!("{}: {} -> {}  {how}", time.what, range(time.before), range(time.after))
}

fn evidence(change: &EvidenceChange) -> Vec<String> {
    let side = |lines: &[String], mark: &str| {
        let shown = lines.iter().take(MOST).map(|line| format!("  {mark} {line}")).collect::<Vec<_>>();
        let more = lines.len().saturating_sub(MOST);
        let more = (more > 0).then(|| format!("  {mark} and {} more", count(more, "line")));
        shown.into_iter().chain(more).collect::<Vec<_>>()
    };
    [vec![change.case.clone()], side(&change.before, "-"), side(&change.after, "+")].concat()
}
