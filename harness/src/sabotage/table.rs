//! The table of a proof: sabotages by clauses, as text, as Markdown and as JUnit.

use junit_report::{OffsetDateTime, TestCase, TestSuite};

use super::{Layer, Trial};
use crate::report::junit::{attribute, cdata, duration, written};
use crate::report::letters::{LEGEND, letter};
use crate::report::markdown;

/// The letter of a verdict, with `!` where another was expected.
fn cell(trial: &Trial, id: &str, verdict: &str) -> String {
    letter(verdict, trial.expected.get(id).map_or("passed", String::as_str))
}

/// The clauses, as the trial that asked most of them has them.
fn head(trials: &[Trial]) -> Vec<String> {
    let most = trials.iter().max_by_key(|trial| trial.got.verdicts.len());
    most.map(|trial| trial.got.verdicts.iter().map(|(id, _)| id.clone()).collect()).unwrap_or_default()
}

fn row(trial: &Trial, head: &[String]) -> Vec<String> {
    let verdict = |id: &str| trial.got.verdicts.iter().find(|(other, _)| other == id);
    head.iter().map(|id| verdict(id).map_or("-".to_string(), |(_, verdict)| cell(trial, id, verdict))).collect()
}

fn said(trial: &Trial) -> &'static str {
    if trial.is_as_expected() { "yes" } else { "NO" }
}

/// Counts over all trials, in one line.
fn sums(trials: &[Trial]) -> String {
    let right = trials.iter().filter(|trial| trial.is_as_expected()).count();
    let all: f64 = trials.iter().map(|trial| trial.seconds).sum();
    let mean = all / trials.len().max(1) as f64;
    format!(
        "{right} of {} sabotages are detected as expected; {mean:.0} s each on average, mending included",
        trials.len()
    )
}

/// As lines for a terminal.
pub fn text(trials: &[Trial]) -> String {
    let width = trials.iter().map(|trial| trial.id.len()).max().unwrap_or(0).max("sabotage".len());
    let head = head(trials);
    let cells = |cells: &[String]| {
        let each = cells.iter().zip(&head).map(|(cell, id)| format!("{cell:>width$}", width = id.len().max(2)));
        each.collect::<Vec<_>>().join(" ")
    };
    let mut lines = vec![format!("{:width$}  {}  to verdict  as expected", "sabotage", cells(&head))];
    for trial in trials {
        let (row, seconds) = (cells(&row(trial, &head)), trial.to_verdict);
        lines.push(format!("{:width$}  {row}  {seconds:>8.1} s  {}", trial.id, said(trial)));
    }
    lines.extend([LEGEND.to_string(), sums(trials)]);
    lines.join("\n") + "\n"
}

/// As Markdown, with what was broken and what the first red clause said.
pub fn markdown(trials: &[Trial]) -> String {
    let head = head(trials);
    let around = |first: &str, cells: &[String], last: [&str; 2]| {
        [&[first.to_string()][..], cells, &last.map(str::to_string)].concat()
    };
    let mut text = markdown::head(&around("sabotage", &head, ["to verdict", "as expected"]));
    for trial in trials {
        let took = format!("{:.1} s", trial.to_verdict);
        text += &markdown::row(&around(&trial.id, &row(trial, &head), [&took, said(trial)]));
    }
    text += &format!("\n{LEGEND}. {}.\n\n", sums(trials));
    text += &markdown::head(&["sabotage", "what is broken", "first said by", "cause"]);
    for trial in trials {
        let [what, cause] = [&trial.what, trial.cause()].map(markdown::escaped);
        text += &markdown::row(&[&trial.id, &what, &trial.first, &cause]);
    }
    text
}

/// As JUnit: one testcase a sabotage, red where the suite did not say what it should, and an error where it was not
/// carried out, with `why`. Why the lab is still there, where it could not be removed, is an error too.
pub fn junit(
    planned: &[(&str, Layer)],
    trials: &[Trial],
    why: &str,
    left: Option<&str>,
    began: jiff::Timestamp,
) -> String {
    let mut suite = TestSuite::new("meshproof prove");
    suite.set_timestamp(OffsetDateTime::from_unix_timestamp(began.as_second()).unwrap_or(OffsetDateTime::UNIX_EPOCH));
    for (id, layer) in planned {
        let Some(trial) = trials.iter().find(|trial| trial.id == *id) else {
            let message = format!("not carried out: {why}");
            let mut case = TestCase::error(&attribute(id), duration(0.0), "not-carried-out", &attribute(&message));
            case.set_classname(layer.as_str());
            suite.add_testcase(case);
            continue;
        };
        let time = duration(trial.seconds);
        let lines: Vec<&str> = trial.misses.iter().chain(&trial.unmended).map(String::as_str).collect();
        let mut case = match lines.first() {
            None => TestCase::success(&attribute(&trial.id), time),
            Some(first) => TestCase::failure(&attribute(&trial.id), time, "unproved", &attribute(first)),
        };
        case.set_classname(trial.layer.as_str());
        let told = format!("{}\n{} says: {}\n{}", trial.what, trial.first, trial.cause(), lines.join("\n"));
        case.set_system_out(&cdata(&told));
        suite.add_testcase(case);
    }
    if let Some(left) = left {
        let mut case = TestCase::error("remove-lab", duration(0.0), "left-over", &attribute(left));
        case.set_classname("lab");
        suite.add_testcase(case);
    }
    written([suite])
}
