//! The last lines of a run: where the time went, what was judged, what broke first, and what the exit code means.

use super::Mode;
use super::style::{Colour, INDENT, line};
use crate::check::Verdict;
use crate::report::summary::{CaseRun, Summary};
use crate::report::text::{one_line, seconds};

/// The lines of the summary.
pub fn lines(summary: &Summary, folder: &str, mode: Mode) -> Vec<String> {
    let say = |verb: &str, colour, text: &str| line(mode, verb, colour, text);
    let mut lines = vec![String::new(), say("Took", Colour::Cyan, &seconds(summary.elapsed))];
    lines.extend(time(summary));
    lines.extend(critical_path(summary).map(|path| say("Critical path", Colour::Cyan, &path)));
    let usage = summary.finished.as_ref().and_then(|finish| finish.usage);
    lines.extend(usage.map(|usage| say("Harness", Colour::Cyan, &format!("took {usage}"))));
    if summary.judges() {
        lines.push(say("Judged", Colour::Cyan, &verdicts(summary)));
    }
    if let Some(trouble) = summary.first_broken() {
        lines.push(say("Broken first", Colour::Red, &one_line(&format!("{}  {}", trouble.id, trouble.title))));
        lines.extend(trouble.cause.lines().next().map(|cause| format!("{INDENT}{}", one_line(cause))));
        lines.extend(trouble.advice.iter().map(|advice| format!("{INDENT}{}", one_line(advice))));
    }
    if let Some(head) = &summary.head {
        let files = ["junit.xml", "events.jsonl"].map(|file| format!("{folder}/{}/{file}", head.run));
        lines.push(say("Reports", Colour::Cyan, &files.join(", ")));
    }
    lines.push(finish(summary, mode));
    lines
}

fn time(summary: &Summary) -> Vec<String> {
    let row = |(part, took): (crate::report::times::Part, f64)| {
        let percent = 100.0 * took / summary.elapsed.max(f64::EPSILON);
        format!("{INDENT}{:<12}{:>13}{percent:>5.0} %", part.name(), seconds(took))
    };
    summary.times.rows(summary.elapsed).into_iter().map(row).collect()
}

/// What decided how long the run took, without what took next to nothing.
fn critical_path(summary: &Summary) -> Option<String> {
    let path = summary.times.critical_path();
    let long = path.iter().filter(|span| span.seconds() >= 0.05);
    let shown: Vec<String> = long.map(|span| format!("{} {}", span.id, seconds(span.seconds()))).collect();
    (shown.len() > 1).then(|| shown.join(" > "))
}

/// Counts of verdicts, those that there are: `12 passed (1 flaky), 1 failed`.
fn verdicts(summary: &Summary) -> String {
    let name = |case: &CaseRun| case.verdict.as_ref().map_or("not judged", Verdict::name);
    let flaky = summary.cases.iter().filter(|case| case.flaky()).count();
    let mut parts = Vec::new();
    for verdict in ["passed", "failed", "inconclusive", "blocked", "skipped", "not judged"] {
        let number = summary.cases.iter().filter(|case| name(case) == verdict).count();
        let mark = if verdict == "passed" && flaky > 0 { format!(" ({flaky} flaky)") } else { String::new() };
        if number > 0 {
            parts.push(format!("{number} {verdict}{mark}"));
        }
    }
    if parts.is_empty() { "nothing".to_string() } else { parts.join(", ") }
}

fn finish(summary: &Summary, mode: Mode) -> String {
    match &summary.finished {
        Some(finish) => {
            let colour = if finish.exit == 0 { Colour::Green } else { Colour::Red };
            let lab = match finish.lab_kept {
                true if summary.is_brought() => "; what was made is kept",
                true => "; the lab is kept",
                false => "",
            };
            line(mode, "Finished", colour, &format!("exit {}: {}{lab}", finish.exit, one_line(&finish.meaning)))
        }
        None => line(mode, "Died", Colour::Red, "the run ended without saying how: it was killed, or it goes on"),
    }
}
