//! `summary.json`: valid by its published schema, whatever came of the run.

use std::path::{Path, PathBuf};

use harness::event::Event;
use harness::exit::Exit;
use harness::report::{Summary, json, jsonl};
use rstest::rstest;
use serde_json::Value;

use super::story::{Story, failed, inconclusive, passed, skipped};

fn read(text: &str) -> Value {
    let value = serde_json::from_str(text).expect("it is JSON");
    jsonschema::draft202012::validate(&json::schema(), &value)
        .unwrap_or_else(|error| panic!("{error}: {}", error.instance_path()));
    value
}

/// `MESHPROOF_ACCEPT=1 cargo test --test fast json` writes it anew.
#[test]
fn the_schema_is_published_as_it_is_generated() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/report/summary.schema.json");
    let generated = serde_json::to_string_pretty(&json::schema()).expect("a schema is JSON") + "\n";
    if std::env::var_os("MESHPROOF_ACCEPT").is_some() {
        std::fs::write(&path, &generated).expect("it can be written");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == generated, "{} differs; MESHPROOF_ACCEPT=1 writes it anew", path.display());
}

#[rstest]
fn a_recorded_run_is_valid_and_says_what_the_fold_says(
    #[files("../fixtures/runs/*.jsonl")]
    #[files("../fixtures/runs/upgrade/*.jsonl")]
    #[files("../fixtures/runs/field/*/*.jsonl")]
    path: PathBuf,
) {
    let records = jsonl::read(&path).expect("a recorded run can be read");
    let text = json::render(&records);
    let value = read(&text);
    let summary = Summary::of(&records);
    assert_eq!(value["exitCode"], Exit::decide(&summary).code());
    assert_eq!(value["cases"].as_array().map(Vec::len), Some(summary.cases.len()));
    assert_eq!(value["clusters"][0]["member"], "primary");
    let total: u64 = ["passed", "failed", "inconclusive", "blocked", "skipped", "notJudged"]
        .iter()
        .map(|name| value["counts"][name].as_u64().expect("a count"))
        .sum();
    assert_eq!(total, summary.cases.len() as u64, "each case is counted once");
    assert_eq!(json::render(&records), text, "the same events give the same file");
}

#[test]
fn a_red_run_names_what_broke_first_and_how_each_case_stands() {
    let mut story = Story::of("run", &[("D12", "failed")]);
    story.lab("cluster-primary", 1.2345, None).ready();
    story
        .attempts("D0", 1.0, passed(), &["503"])
        .case("D1", 1.0, failed())
        .case("D12", 0.0, failed())
        .finish(Exit::Red);
    let value = read(&json::render(&story.records));
    assert_eq!((&value["verdict"], &value["exitCode"]), (&"red".into(), &1.into()));
    assert_eq!(value["firstBroken"]["id"], "D1 primary-control-plane");
    let standing: Vec<&str> =
        value["cases"].as_array().expect("cases").iter().filter_map(|case| case["standing"].as_str()).collect();
    assert_eq!(standing, ["as-expected", "unexpected", "as-expected"]);
    assert_eq!(value["cases"][0]["failedAttempts"][0], "503");
    assert_eq!(value["cases"][1]["hint"], "set values.global.externalIstiod");
    assert_eq!(value["cases"][1]["cause"], "istiod of cluster1 does not serve other clusters");
    assert_eq!((&value["counts"]["flaky"], &value["lab"][0]["seconds"]), (&1.into(), &1.235.into()));
    assert_eq!(value["versions"]["dataPlane"], "upstream Envoy 1.39.3");
}

#[test]
fn a_run_that_has_not_ended_is_valid_at_every_moment_and_never_green() {
    let mut story = Story::run();
    story
        .lab("cluster-primary", 1.0, None)
        .ready()
        .others_pass(&[])
        .add(Event::Note { text: "\u{0}\u{1b}</x>".into() });
    for length in 0..=story.records.len() {
        let value = read(&json::render(&story.records[..length]));
        assert_ne!(value["verdict"], "green");
        assert!(value["exitCode"].is_null());
    }
    story.case("D0", 1.0, inconclusive()).case("D1", 1.0, skipped()).add(Event::Interrupted { by: "SIGTERM".into() });
    let value = read(&json::render(&story.records));
    assert_eq!((&value["verdict"], &value["interruptedBy"]), (&"interrupted".into(), &"SIGTERM".into()));
}
