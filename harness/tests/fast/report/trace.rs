//! `trace.json`: the laws of the trace event format, which a viewer does not check but suffers from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use harness::event::{Event, Record};
use harness::report::{Summary, jsonl, trace};
use rstest::rstest;
use serde_json::Value;

use super::story::{Story, passed, proved};

/// The events of a trace, each of which has what its phase wants.
fn events(records: &[Record]) -> Vec<Value> {
    let value: Value = serde_json::from_str(&trace::render(records)).expect("it is JSON");
    let events = value["traceEvents"].as_array().expect("a trace has events").clone();
    let mut named: BTreeSet<(u64, u64)> = BTreeSet::new();
    let mut open: BTreeMap<(u64, String), u64> = BTreeMap::new();
    for event in &events {
        let number =
            |field: &str| event[field].as_u64().unwrap_or_else(|| panic!("{field} is no natural number: {event}"));
        let text = |field: &str| event[field].as_str().unwrap_or_else(|| panic!("{field} is no text: {event}"));
        // A wait is one of its process: with an id of the whole trace, Perfetto shows it apart from who waits.
        let wait = || (number("pid"), event["id2"]["local"].as_str().expect("a wait has an id").to_string());
        assert!(!text("name").is_empty() && event["args"].is_object(), "{event}");
        let place = (number("pid"), number("tid"));
        match text("ph") {
            "M" => drop(named.insert(place)),
            "X" => drop((number("ts"), number("dur"), text("cat"))),
            "b" => drop(open.insert(wait(), number("ts"))),
            "e" => assert!(open.remove(&wait()).is_some_and(|begun| begun <= number("ts")), "{event}"),
            "i" => drop((number("ts"), text("s"))),
            other => panic!("phase {other}: {event}"),
        }
        assert!(named.contains(&place), "its thread has a name, told before: {event}");
    }
    assert!(open.is_empty(), "every wait ends: {open:?}");
    events
}

fn of<'a>(events: &'a [Value], phase: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["ph"] == phase).collect()
}

#[rstest]
fn a_recorded_run_is_a_sound_trace_with_all_that_took_time(
    #[files("../fixtures/runs/*.jsonl")]
    #[files("../fixtures/runs/upgrade/*.jsonl")]
    #[files("../fixtures/runs/field/*/*.jsonl")]
    path: PathBuf,
) {
    let records = jsonl::read(&path).expect("a recorded run can be read");
    let events = events(&records);
    let summary = Summary::of(&records);
    let complete = of(&events, "X");
    assert_eq!(complete.len(), summary.times.spans().len());
    let mut threads: BTreeMap<(u64, u64), Vec<(u64, u64)>> = BTreeMap::new();
    for event in &complete {
        let number = |field: &str| event[field].as_u64().expect("a number");
        threads.entry((number("pid"), number("tid"))).or_default().push((number("ts"), number("ts") + number("dur")));
    }
    for spans in threads.values_mut() {
        spans.sort();
        assert!(spans.windows(2).all(|pair| pair[0].1 <= pair[1].0), "no two of one thread overlap: {spans:?}");
    }
    let critical =
        complete.iter().filter(|event| event["cat"].as_str().is_some_and(|cat| cat.ends_with(",critical-path")));
    assert_eq!(critical.count(), summary.times.critical_path().len());
    let processes = events.iter().filter(|event| event["name"] == "process_name");
    let processes: Vec<&str> = processes.filter_map(|event| event["args"]["name"].as_str()).collect();
    for name in ["run", "lab", "cluster1", "cluster2", "checks"] {
        assert!(processes.contains(&name), "{name} is not in {processes:?}");
    }
}

#[test]
fn a_wait_says_what_was_seen_and_steps_beside_each_other_have_threads_of_their_own() {
    let mut story = Story::run();
    for id in ["primary-istiod", "eastwest-gateway"] {
        story.add(Event::StepStarted { id: id.into() });
    }
    story.waits("eastwest-gateway", "an \"address\"", "<none>").pass(1.0).waits(
        "eastwest-gateway",
        "an \"address\"",
        "\u{1b}[31mpending",
    );
    story.pass(1.0);
    for id in ["primary-istiod", "eastwest-gateway"] {
        story.add(Event::StepFinished { id: id.into(), outcome: proved(), seconds: 2.0 });
    }
    story.case("D0", 1.0, passed()).add(Event::Interrupted { by: "SIGINT".into() });
    let events = events(&story.records);
    let steps: Vec<_> = of(&events, "X")
        .into_iter()
        .filter(|event| event["cat"].as_str().is_some_and(|cat| cat.starts_with("install")))
        .collect();
    assert_eq!(steps.len(), 2);
    assert_eq!(steps[0]["pid"], steps[1]["pid"]);
    assert_ne!(steps[0]["tid"], steps[1]["tid"]);
    let wait = of(&events, "b")[0];
    assert_eq!((&wait["name"], &wait["args"]["last"]), (&"an \"address\"".into(), &"\u{1b}[31mpending".into()));
    assert_eq!(wait["args"]["seen"], serde_json::json!(["0.00 s: <none>", "1.00 s: \u{1b}[31mpending"]));
    assert_eq!(of(&events, "e")[0]["ts"], 2_000_000);
    assert_eq!(of(&events, "i")[0]["name"], "interrupted by SIGINT");
}

#[test]
fn a_run_that_died_is_a_sound_trace_wherever_it_died() {
    let mut story = Story::run();
    story.lab("cluster-primary", 1.0, None).waits("primary-istiod", "it", "no").step("primary-istiod", 1.0, proved());
    story
        .add(Event::StepStarted { id: "eastwest-gateway".into() })
        .waits("eastwest-gateway", "an address", "none")
        .pass(3.0);
    story.add(Event::Note { text: "later".into() });
    for length in 0..=story.records.len() {
        events(&story.records[..length]);
    }
    let all = events(&story.records);
    let unended = of(&all, "X").into_iter().find(|event| event["name"] == "eastwest-gateway").expect("it is there");
    assert_eq!(unended["args"]["outcome"], "did not end");
}
