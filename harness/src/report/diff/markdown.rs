//! A difference for a pull request: what got worse on top, what may be of interest folded.

use super::text::{named, range};
use super::{Change, Difference, EvidenceChange, TimeChange};
use crate::report::markdown::{escaped, head, row};
use crate::report::text::{count, cut};

/// Characters of one text of the mesh.
const CELL: usize = 300;

/// Rows of one table: GitHub takes 65536 characters of a comment.
const ROWS: usize = 40;

/// As Markdown.
pub fn markdown(difference: &Difference) -> String {
    let Difference { exits, verdicts, gone, new, facts, times, evidence } = difference;
    let worse = verdicts.iter().chain(gone).chain(new).filter(|change| change.worse).count();
    let (sign, what) = match (difference.verdict_is_worse(), worse, difference.time_is_worse()) {
        (true, 0, _) => ("❌", "the run ended worse".to_string()),
        (true, worse, _) => ("❌", format!("{} got worse", count(worse, "verdict"))),
        (false, _, true) => ("⚠️", "no verdict got worse, and something took longer".to_string()),
        (false, _, false) if difference.is_nothing() => ("✅", "nothing is otherwise".to_string()),
        (false, _, false) => ("✅", "no verdict got worse".to_string()),
    };
    let mut judged: Vec<&Change> = exits.iter().chain(verdicts).chain(gone).chain(new).collect();
    // What is worse may not be what is cut.
    judged.sort_by_key(|change| !change.worse);
    let [judged, facts] = [judged, facts.iter().collect()].map(|changes| {
        table(&["what", "before", "after", "why"], &changes.into_iter().map(change).collect::<Vec<_>>())
    });
    let times = table(&["what", "before", "after", ""], &times.iter().map(time).collect::<Vec<_>>());
    let evidence = table(&["case", "", "seen"], &evidence.iter().flat_map(seen).collect::<Vec<_>>());
    let folded = [("Versions, images, deviations", facts), ("Times", times), ("Evidence", evidence)];
    let folded = folded.into_iter().filter(|(_, table)| !table.is_empty());
    let folded = folded.map(|(title, table)| format!("<details><summary>{title}</summary>\n\n{table}</details>\n"));
    format!("## {sign} meshproof: {what}\n\n{judged}{}", folded.collect::<String>())
}

fn change(change: &Change) -> String {
    let Change { what, before, after, worse, cause } = change;
    let sign = if *worse { "❌ " } else { "" };
    row(&[format!("{sign}{}", cell(what)), cell(&named(before)), cell(&named(after)), cell(cause)])
}

fn time(time: &TimeChange) -> String {
    let how = if time.worse { "slower" } else { "faster" };
    row(&[cell(&time.what), range(time.before), range(time.after), how.to_string()])
}

fn seen(change: &EvidenceChange) -> Vec<String> {
    let side = |lines: &[String], which: &str| {
        lines.iter().map(|line| row(&[cell(&change.case), which.to_string(), cell(line)])).collect::<Vec<_>>()
    };
    [side(&change.before, "before"), side(&change.after, "after")].concat()
}

fn cell(text: &str) -> String {
    escaped(&cut(text, CELL))
}

/// Nothing, where there are no rows.
fn table(words: &[&str], rows: &[String]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let more = rows.len().saturating_sub(ROWS);
    let more = if more > 0 { format!("\n{more} more are in `meshproof diff`.\n") } else { String::new() };
    format!("{}{}{more}\n", head(words), rows.iter().take(ROWS).map(String::as_str).collect::<String>())
}
