//! The summary of a job as GitHub shows it: what broke first on top, then every clause, then versions and times. GitHub takes
//! up to 1 MiB of it for a step:
//! <https://docs.github.com/actions/reference/workflow-commands-for-github-actions#adding-a-job-summary>.

use crate::check::Verdict;
use crate::event::Record;
use crate::exit::Exit;
use crate::report::rerun::{IN_REPORT, Rerun};
use crate::report::summary::{CaseRun, Summary};
use crate::report::text::{cut, one_line, seconds};
use crate::report::{counts, facts, markdown};

/// Characters of one text of the mesh or its configuration.
const CELL: usize = 500;

/// Bytes of all of it: a step has several runs at times.
const MOST: usize = 200 * 1024;

/// The summary of a run, whole or not.
pub fn markdown(records: &[Record]) -> String {
    let summary = Summary::of(records);
    let mut text = head(&summary);
    text += &broken(&summary);
    text += &clauses(&summary);
    text += &times(&summary);
    text += &about(&summary);
    text
}

fn head(summary: &Summary) -> String {
    let (sign, what) = match &summary.finished {
        Some(finish) => {
            let sign = match finish.exit {
                code if code == Exit::Green.code() => "✅",
                code if code == Exit::Red.code() => "❌",
                _ => "⚠️",
            };
            (sign, format!("{} (exit {})", finish.meaning, finish.exit))
        }
        None => ("⚠️", "the run did not end".to_string()),
    };
    let mut facts = Vec::new();
    if let Some(plan) = &summary.plan {
        facts.push(plan.name());
        let versions =
            plan.scenario().map(|scenario| format!("Istio {} on Kubernetes {}", scenario.istio, scenario.kubernetes));
        facts.extend(versions);
    }
    if let Some(ready) = &summary.ready {
        facts.push(format!("data plane {}", ready.data_plane));
    }
    facts.push(seconds(summary.elapsed));
    if summary.judges() {
        facts.push(counts::verdicts(summary));
    }
    let facts: Vec<String> = facts.iter().map(|fact| escaped(fact)).collect();
    format!("## {sign} meshproof: {}\n\n{}\n\n", escaped(&what), facts.join(" · "))
}

fn broken(summary: &Summary) -> String {
    let Some(trouble) = summary.first_broken() else { return String::new() };
    let cause = trouble.cause.lines().next().unwrap_or_default();
    let mut text = format!("**{}** {}\n\n", escaped(&trouble.id), escaped(&trouble.title));
    for line in std::iter::once(cause).chain(trouble.advice.iter().map(String::as_str)) {
        text += &format!("> {}\n>\n", escaped(line));
    }
    let Rerun { explain, again } = Rerun::of(summary, None);
    let again = again.map(|command| command.with_scenario(IN_REPORT));
    text += "\n";
    for (what, command) in [("what is judged there", explain), ("judge it again", again)] {
        text += &command.map(|command| format!("- {what}: {}\n", markdown::code(&command))).unwrap_or_default();
    }
    text + "\n"
}

fn clauses(summary: &Summary) -> String {
    if summary.cases.is_empty() {
        return String::new();
    }
    let rows = summary.cases.iter().map(|case| [escaped(&case.name()), escaped(&verdict(case)), why(case)]);
    table(["clause", "verdict", "why"], rows.collect())
}

fn verdict(case: &CaseRun) -> String {
    let name = case.verdict_name();
    match (case.flaky(), case.expects_other()) {
        (true, _) => format!("{name}, flaky"),
        (_, true) if name == case.expected => format!("{name} as expected"),
        (_, true) => format!("{name}, expected {}", case.expected),
        _ => name.to_string(),
    }
}

fn why(case: &CaseRun) -> String {
    let cause = match &case.verdict {
        // What broke there stands in that row.
        Some(Verdict::Blocked { by, reason }) if reason.starts_with("blocked by ") => format!("by {by}"),
        Some(Verdict::Blocked { by, reason }) => format!("by {by}: {reason}"),
        verdict => verdict.as_ref().map(Verdict::cause).unwrap_or_default(),
    };
    let earlier = case.failed_attempts.iter().map(|cause| format!("earlier attempt: {cause}"));
    let texts = earlier.chain(Some(cause).filter(|cause| !cause.is_empty()));
    texts.map(|text| escaped(&text)).collect::<Vec<_>>().join("<br>")
}

fn times(summary: &Summary) -> String {
    let row = |(part, took): (crate::report::times::Part, f64)| {
        let share = format!("{:.0} %", 100.0 * took / summary.elapsed.max(f64::EPSILON));
        [part.name().to_string(), seconds(took), share]
    };
    let rows: Vec<_> = summary.times.rows(summary.elapsed).into_iter().map(row).collect();
    if rows.is_empty() { String::new() } else { table(["part", "time", "share"], rows) }
}

fn about(summary: &Summary) -> String {
    let rows = facts::rows(summary).into_iter().map(|(name, value)| [escaped(&name), escaped(&value)]);
    let table = table(["fact", "value"], rows.collect());
    format!("<details><summary>Versions, images, deviations from the guide</summary>\n\n{table}</details>\n")
}

/// A table, without those rows for which there is no room.
fn table<const N: usize>(head: [&str; N], rows: Vec<[String; N]>) -> String {
    let mut text = markdown::head(&head);
    for (at, row) in rows.iter().enumerate() {
        let next = markdown::row(row);
        if text.len() + next.len() > MOST {
            text += &format!("\n{} more are in the report of the run.\n", rows.len() - at);
            break;
        }
        text += &next;
    }
    text + "\n"
}

/// A text of any origin, cut to what fits in a cell.
pub fn escaped(text: &str) -> String {
    markdown::escaped(&cut(&one_line(text), CELL))
}
