//! Field issues by versions of Istio: as lines and as Markdown.

use std::collections::{BTreeMap, BTreeSet};

use super::{Issue, Outcome, Ran};
use crate::problem::all_of;
use crate::report::markdown;
use crate::report::text::{columns, one_line};
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
    let versions: BTreeSet<&str> = ran.filter(|version| !version.is_empty()).collect();
    if versions.is_empty() {
        return String::new();
    }
    format!("run on Kubernetes {}", all_of(&versions.into_iter().collect::<Vec<_>>()))
}

/// As lines for a terminal: each issue with a word for each version, then what it is and what showed.
pub fn text(rows: &[Row], versions: &[String]) -> String {
    let head = ["issue".to_string()].into_iter().chain(versions.iter().cloned()).chain(["threads".to_string()]);
    let cells = |row: &Row| {
        let words = versions.iter().map(|version| row.word(version).to_string());
        let (id, threads) = (row.issue.id.clone(), threads(&row.issue, Thread::to_string));
        [id].into_iter().chain(words).chain([threads]).collect::<Vec<_>>()
    };
    let table = columns(&[vec![head.collect()], rows.iter().map(cells).collect()].concat());
    let mut lines = table.lines();
    let mut text = format!("{}\n", lines.next().unwrap_or_default());
    for (row, line) in rows.iter().zip(lines) {
        let what = [one_line(&row.issue.what())].into_iter().chain(row.shown(versions));
        text += &format!("{line}\n");
        what.for_each(|line| text += &format!("    {line}\n"));
    }
    let on = kubernetes(rows);
    if on.is_empty() { text } else { format!("{text}{on}\n") }
}

/// As Markdown.
pub fn markdown(rows: &[Row], versions: &[String]) -> String {
    let head = ["issue", "threads", "what it is"].into_iter().chain(versions.iter().map(String::as_str));
    let mut text = markdown::head(&head.collect::<Vec<_>>());
    for row in rows {
        let linked = |thread: &Thread| {
            let text = thread.to_string();
            let short = text.strip_prefix("istio/istio#").map(|number| format!("#{number}"));
            format!("[{}]({})", short.unwrap_or(text), thread.address())
        };
        let what = [vec![row.issue.what()], row.shown(versions)].concat().join("; ");
        let cells = [markdown::code(&row.issue.id), threads(&row.issue, linked), markdown::escaped(&what)];
        let words = versions.iter().map(|version| row.word(version).to_string());
        text += &markdown::row(&cells.into_iter().chain(words).collect::<Vec<_>>());
    }
    text
}
