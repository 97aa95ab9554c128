//! `trace.json`: a run in the trace event format of Chrome, which <https://ui.perfetto.dev> opens: a process for each cluster and part
//! of the run, a thread for each row of what ran side by side.
//!
//! The format is described in "Trace Event Format" (<https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU>).

use serde_json::{Value, json};

use super::lanes;
use super::summary::Summary;
use super::times::Span;
use super::waits::{self, Wait};
use crate::event::{Event, Record, StepOutcome};

/// The process of moments, which belong to no cluster.
const RUN: u64 = 1;

/// Where a span stands: its process and thread.
type Place = (u64, u64);

/// Renders the trace of a run, whole or not.
pub fn render(records: &[Record]) -> String {
    let summary = Summary::of(records);
    let mut events = named(RUN, "run", &["moments".to_string()]);
    let path = summary.times.critical_path();
    let mut places: Vec<(&str, Place)> = Vec::new();
    for (pid, lane) in (RUN + 1..).zip(lanes::of(&summary)) {
        let rows: Vec<String> = (1..=lane.rows.len()).map(|row| format!("{} {row}", lane.name)).collect();
        events.extend(named(pid, &lane.name, &rows));
        for (tid, row) in (1..).zip(&lane.rows) {
            for span in row {
                places.push((&span.id, (pid, tid)));
                events.push(complete(&summary, span, (pid, tid), path.contains(span)));
            }
        }
    }
    let place = |scope: &str| places.iter().find(|(id, _)| *id == scope).map_or((RUN, 1), |(_, place)| *place);
    events.extend(waits::of(records).iter().enumerate().flat_map(|(at, wait)| waited(at, wait, place(&wait.scope))));
    events.extend(records.iter().filter_map(moment));
    let head = summary.head.as_ref();
    let about = json!({
        "run": head.map(|head| &head.run),
        "meshproof": head.map(|head| &head.meshproof),
        "verb": head.map(|head| &head.verb),
        "started": head.map(|head| head.started.to_string()),
    });
    let trace = json!({ "displayTimeUnit": "ms", "otherData": about, "traceEvents": events });
    serde_json::to_string(&trace).expect("a trace is JSON") + "\n"
}

/// Microseconds, as the format counts.
fn micros(seconds: f64) -> u64 {
    (seconds.max(0.0) * 1e6).round() as u64
}

/// The events by which a process and its threads have names, and stand in this order.
fn named(pid: u64, name: &str, threads: &[String]) -> Vec<Value> {
    let process = [
        json!({ "ph": "M", "name": "process_name", "pid": pid, "tid": 0, "args": { "name": name } }),
        json!({ "ph": "M", "name": "process_sort_index", "pid": pid, "tid": 0, "args": { "sort_index": pid } }),
    ];
    let thread = |(tid, name): (u64, &String)| json!({ "ph": "M", "name": "thread_name", "pid": pid, "tid": tid, "args": { "name": name } });
    process.into_iter().chain((1..).zip(threads).map(thread)).collect()
}

fn complete(summary: &Summary, span: &Span, (pid, tid): Place, critical: bool) -> Value {
    let from = micros(span.from);
    let category = span.part.name();
    let (title, outcome, cause) = told(summary, span);
    json!({
        "ph": "X", "name": span.id, "pid": pid, "tid": tid, "ts": from, "dur": micros(span.to).saturating_sub(from),
        "cat": if critical { format!("{category},critical-path") } else { category.to_string() },
        "args": { "title": title, "outcome": outcome, "cause": cause, "critical path": critical },
    })
}

/// Title, outcome and cause of what took this time.
fn told(summary: &Summary, span: &Span) -> (String, String, String) {
    if let Some(case) = summary.case(&span.id) {
        let outcome = case.verdict_name().to_string();
        let cause = if case.verdict.is_some() { summary.cause_of(case) } else { String::new() };
        return (case.outline.title.clone(), outcome, cause);
    }
    if let Some(step) = summary.step(&span.id) {
        let (outcome, cause) = match &step.outcome {
            Some(StepOutcome::Proved { .. }) => ("proved", String::new()),
            Some(StepOutcome::Failed { error }) => ("failed", error.clone()),
            Some(StepOutcome::Blocked { by }) => ("blocked", format!("blocked by {by}")),
            None => ("did not end", String::new()),
        };
        return (step.outline.title.clone(), outcome.to_string(), cause);
    }
    let end = summary.lab.iter().find(|part| part.id == span.id).map(|part| (part.title.clone(), part.end.as_ref()));
    match end {
        Some((title, Some(end))) => (title, end.detail.clone(), end.error.clone().unwrap_or_default()),
        Some((title, None)) => (title, "did not end".to_string(), String::new()),
        None => (String::new(), String::new(), String::new()),
    }
}

/// A wait, as a pair of asynchronous events: waits of one step may overlap. Its id is one of its process, so that viewers show it
/// below the steps or checks that wait, and not apart from all of them.
fn waited(at: usize, wait: &Wait, (pid, tid): Place) -> [Value; 2] {
    let id = format!("wait-{at}");
    let seen: Vec<String> = wait.seen.iter().map(|(at, what)| format!("{at:.2} s: {what}")).collect();
    let last = wait.seen.last().map(|(_, what)| what);
    let (limit, most) = wait.limit.clone().map_or((None, None), |(name, seconds)| (Some(name), Some(seconds)));
    let event = |phase: &str, at: f64, args: Value| {
        json!({
            "ph": phase, "cat": "wait", "id2": { "local": id }, "name": wait.what, "pid": pid, "tid": tid, "ts": micros(at), "args": args,
        })
    };
    let args = json!({ "scope": wait.scope, "last": last, "seen": seen, "limit": limit, "limit, seconds": most });
    [event("b", wait.from, args), event("e", wait.to, json!({}))]
}

/// A moment of the whole run.
fn moment(record: &Record) -> Option<Value> {
    let (name, category, title) = match &record.event {
        Event::Reached { id, title } => (id.clone(), "milestone", title.clone()),
        Event::LabReady { .. } => ("lab-ready".to_string(), "milestone", "All clusters are up".to_string()),
        Event::Interrupted { by } => (format!("interrupted by {by}"), "interrupt", String::new()),
        Event::RunFinished { exit, meaning, .. } => (format!("exit {exit}"), "end", meaning.clone()),
        _ => return None,
    };
    Some(json!({
        "ph": "i", "s": "g", "name": name, "cat": category, "pid": RUN, "tid": 1, "ts": micros(record.at), "args": { "title": title },
    }))
}
