//! Field issues by versions of Istio: as lines, as Markdown and as JUnit.

use std::collections::BTreeMap;

use junit_report::{OffsetDateTime, ReportBuilder, TestCase, TestSuite};

use super::{Issue, Outcome, Ran};
use crate::exit::Exit;
use crate::problem::all_of;
use crate::report::junit::{attribute, cdata, duration};
use crate::report::text::one_line;
use crate::scenario::Thread;

/// What a cell says of a version on which an issue was not run.
const NOT_RUN: &str = "not run";

/// One issue with its runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The issue.
    pub issue: Issue,
    /// Its runs, by version of Istio.
    pub runs: BTreeMap<String, Ran>,
}

impl Row {
    fn word(&self, version: &str) -> &'static str {
        self.runs.get(version).map_or(NOT_RUN, |ran| ran.outcome.word())
    }

    /// What showed, and with which of these versions: a line for each that differs from those before.
    fn shown(&self, versions: &[String]) -> Vec<String> {
        let mut shown: Vec<(String, Vec<&str>)> = Vec::new();
        for version in versions {
            let what = match self.runs.get(version).map(|ran| &ran.outcome) {
                Some(Outcome::Shows(red)) => format!("red: {}", red.join(", ")),
                Some(Outcome::Otherwise { why, .. }) => one_line(why),
                Some(Outcome::ShowsNot) | None => continue,
            };
            match shown.iter_mut().find(|(other, _)| *other == what) {
                Some((_, with)) => with.push(version),
                None => shown.push((what, vec![version])),
            }
        }
        shown.into_iter().map(|(what, with)| format!("{what} ({})", all_of(&with))).collect()
    }
}

fn threads(issue: &Issue, shown: impl Fn(&Thread) -> String) -> String {
    let threads: Vec<String> = issue.scenario().threads.iter().map(shown).collect();
    if threads.is_empty() { "none found".to_string() } else { threads.join(", ") }
}

/// The versions of Kubernetes that were run on, in one line.
fn kubernetes(rows: &[Row]) -> String {
    let ran = rows.iter().flat_map(|row| row.runs.values()).map(|ran| ran.kubernetes.as_str());
    let versions: std::collections::BTreeSet<&str> = ran.filter(|version| !version.is_empty()).collect();
    if versions.is_empty() {
        return String::new();
    }
    format!("run on Kubernetes {}", all_of(&versions.into_iter().collect::<Vec<_>>()))
}

/// As lines for a terminal: each issue with a word for each version, and what showed.
pub fn text(rows: &[Row], versions: &[String]) -> String {
    let width = rows.iter().map(|row| row.issue.id.len()).max().unwrap_or(0).max("issue".len());
    let cells = |word: &dyn Fn(&str) -> String| -> String {
        versions.iter().map(|version| format!("{:15}  ", word(version))).collect()
    };
    let mut lines = vec![format!("{:width$}  {}threads", "issue", cells(&|version| version.to_string()))];
    for row in rows {
        let words = cells(&|version| row.word(version).to_string());
        lines.push(format!("{:width$}  {words}{}", row.issue.id, threads(&row.issue, Thread::to_string)));
        let what = [one_line(&row.issue.what())];
        lines.extend(what.into_iter().chain(row.shown(versions)).map(|line| format!("    {line}")));
    }
    lines.extend(Some(kubernetes(rows)).filter(|line| !line.is_empty()));
    lines.join("\n") + "\n"
}

/// As Markdown.
pub fn markdown(rows: &[Row], versions: &[String]) -> String {
    let escaped = |text: &str| one_line(text).replace('|', "\\|");
    let mut lines = vec![
        format!("| issue | threads | what it is | {} |", versions.join(" | ")),
        format!("| --- | --- | --- |{}", " --- |".repeat(versions.len())),
    ];
    for row in rows {
        let linked = |thread: &Thread| {
            let text = thread.to_string();
            let short = text.strip_prefix("istio/istio#").map(|number| format!("#{number}"));
            format!("[{}]({})", short.unwrap_or(text), thread.address())
        };
        let what = [vec![row.issue.what()], row.shown(versions)].concat().join("; ");
        let words: Vec<&str> = versions.iter().map(|version| row.word(version)).collect();
        let (id, threads, words) = (&row.issue.id, threads(&row.issue, linked), words.join(" | "));
        lines.push(format!("| `{id}` | {threads} | {} | {words} |", escaped(&what)));
    }
    lines.join("\n") + "\n"
}

/// As JUnit: one testcase for each issue on each version, a failure where it is not as its file expects, and an error
/// where there is no verdict, or with `why` where it was not run.
pub fn junit(rows: &[Row], versions: &[String], why: &str, began: jiff::Timestamp) -> String {
    let mut suite = TestSuite::new("meshproof field");
    suite.set_timestamp(OffsetDateTime::from_unix_timestamp(began.as_second()).unwrap_or(OffsetDateTime::UNIX_EPOCH));
    for (row, version) in versions.iter().flat_map(|version| rows.iter().map(move |row| (row, version))) {
        let name = attribute(&format!("{} {version}", row.issue.id));
        let mut case = match row.runs.get(version) {
            None => TestCase::error(&name, duration(0.0), "not-run", &attribute(&format!("{NOT_RUN}: {why}"))),
            Some(Ran { outcome: Outcome::Otherwise { exit, why }, seconds, .. }) => match exit {
                Exit::Red => TestCase::failure(&name, duration(*seconds), "otherwise", &attribute(why)),
                _ => TestCase::error(&name, duration(*seconds), "no-verdict", &attribute(why)),
            },
            Some(ran) => TestCase::success(&name, duration(ran.seconds)),
        };
        case.set_classname(&attribute(&format!("Istio {version}")));
        let told = [vec![row.word(version).to_string()], row.shown(std::slice::from_ref(version))].concat();
        let threads = row.issue.scenario().threads.iter().map(Thread::address);
        case.set_system_out(&cdata(&told.into_iter().chain(threads).collect::<Vec<_>>().join("\n")));
        suite.add_testcase(case);
    }
    let mut bytes = Vec::new();
    let report = ReportBuilder::new().add_testsuite(suite).build();
    report.write_xml(&mut bytes).expect("writing into memory does not fail");
    String::from_utf8(bytes).expect("every part of it is UTF-8")
}
