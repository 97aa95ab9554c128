//! How many clauses came to which verdict, in a few words.

use super::summary::Summary;

/// Names of verdicts, in the order in which they are counted.
pub const NAMES: [&str; 6] = ["passed", "failed", "inconclusive", "blocked", "skipped", "not judged"];

/// Counts of verdicts, those that there are: `12 passed (1 flaky), 1 failed`.
pub fn verdicts(summary: &Summary) -> String {
    let flaky = summary.cases.iter().filter(|case| case.flaky()).count();
    let mut parts = Vec::new();
    for verdict in NAMES {
        let number = summary.cases.iter().filter(|case| case.verdict_name() == verdict).count();
        let mark = if verdict == "passed" && flaky > 0 { format!(" ({flaky} flaky)") } else { String::new() };
        if number > 0 {
            parts.push(format!("{number} {verdict}{mark}"));
        }
    }
    if parts.is_empty() { "nothing".to_string() } else { parts.join(", ") }
}
