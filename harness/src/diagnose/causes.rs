//! What was not passed, as the events of this run say it: the first thing that a reader of diagnostics asks for.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::check::Verdict;
use crate::event::{Event, Record, StepOutcome};

/// Steps, cases and parts of the lab that are not passed, each with why, and what is still waited for.
pub fn of(records: &[Record]) -> String {
    let mut text = String::new();
    let mut waits: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
    for record in records {
        match &record.event {
            Event::LabFinished { id, error, .. } => {
                waits.remove(id.as_str());
                if let Some(error) = error {
                    let _ = writeln!(text, "lab part {id} failed: {error}");
                }
            }
            Event::StepFinished { id, outcome, .. } => {
                waits.remove(id.as_str());
                if let StepOutcome::Failed { error } = outcome {
                    let _ = writeln!(text, "step {id} failed: {error}");
                }
            }
            Event::CaseFinished { id, verdict, failed_attempts, .. } => {
                waits.remove(id.as_str());
                for attempt in failed_attempts {
                    let _ = writeln!(text, "case {id}, an earlier attempt: {attempt}");
                }
                if !verdict.is_passed() {
                    let _ = writeln!(text, "case {id} {}: {}", verdict.name(), verdict.cause());
                }
                if let Verdict::Failed { finding } = verdict {
                    let _ = writeln!(text, "  expected: {}\n  got: {}", finding.expected, finding.got);
                }
            }
            Event::Waiting { scope, what, last } => {
                waits.insert(scope, (what, last));
            }
            Event::Interrupted { by } => {
                let _ = writeln!(text, "interrupted by {by}");
            }
            _ => {}
        }
    }
    for (scope, (what, last)) in waits {
        let _ = writeln!(text, "{scope} waits for {what}: {last}");
    }
    if text.is_empty() {
        text.push_str("Nothing is known to be wrong.\n");
    }
    text
}
