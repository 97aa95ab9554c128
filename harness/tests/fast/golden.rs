//! Recorded real runs, replayed: the reports they give are the ones on file.
//!
//! `MESHPROOF_ACCEPT=1 cargo test --test fast golden` writes them anew; look at the difference before committing it. A run is
//! recorded by copying its `events.jsonl` to `fixtures/runs/`.

use std::path::{Path, PathBuf};

use harness::check::Verdict;
use harness::event::{Event, Record};
use harness::exit::Exit;
use harness::matrix;
use harness::report::diff::Difference;
use harness::report::{Summary, diff, github, jsonl, junit, plan, terminal};
use harness::sabotage::{self, Trial};
use harness::scenario::Scenario;
use harness::traffic;
use quick_junit::Report;
use rstest::rstest;
use serde_json::Value;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/golden").join(name)
}

fn is_on_file(name: &str, text: &str) {
    let path = golden(name);
    if std::env::var_os("MESHPROOF_ACCEPT").is_some() {
        std::fs::create_dir_all(golden("")).expect("the folder can be made");
        std::fs::write(&path, text).expect("the golden can be written");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == text, "{} differs; MESHPROOF_ACCEPT=1 writes it anew", path.display());
}

fn records(path: &Path) -> (String, Vec<Record>) {
    let name = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
    (name, jsonl::read(path).expect("a recorded run can be read"))
}

#[rstest]
fn a_recorded_run_gives_the_reports_on_file(#[files("../fixtures/runs/*.jsonl")] path: PathBuf) {
    let (name, records) = records(&path);
    is_on_file(&format!("{name}.junit.xml"), &junit::render(&records));
    is_on_file(&format!("{name}.terminal.txt"), &terminal::render(&records));
    is_on_file(&format!("{name}.summary.md"), &github::markdown(&records));
    let annotations = github::annotations(&Summary::of(&records));
    is_on_file(
        &format!("{name}.annotations.txt"),
        &annotations.iter().map(|line| format!("{line}\n")).collect::<String>(),
    );
    if let Some(Event::RunStarted { plan, .. }) = records.first().map(|record| &record.event) {
        is_on_file(&format!("{name}.plan.txt"), &plan::render(plan));
    }
}

#[test]
fn two_recorded_runs_give_the_difference_on_file() {
    let run = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/runs").join(name);
        [Summary::of(&jsonl::read(&path).expect("a recorded run can be read"))]
    };
    let difference = Difference::of(&run("green.jsonl"), &run("red.jsonl"));
    is_on_file("green-red.diff.txt", &difference.to_string());
    is_on_file("green-red.diff.md", &diff::markdown(&difference));
}

#[rstest]
fn a_recorded_run_still_ends_as_it_did(#[files("../fixtures/runs/*.jsonl")] path: PathBuf) {
    let (_, records) = records(&path);
    let Some(Event::RunFinished { exit, .. }) = records.last().map(|record| &record.event) else {
        panic!("a recorded run is whole");
    };
    let without_end = &records[..records.len() - 1];
    assert_eq!(Exit::decide(&Summary::of(without_end)).code(), *exit);
}

#[rstest]
fn a_recorded_field_issue_ended_as_expected_and_its_file_still_says_so(
    #[files("../fixtures/runs/field/*/*.jsonl")] path: PathBuf,
) {
    let recorded = green_as_its_file_says(&path, "field");
    let folder = path.parent().and_then(Path::file_name).expect("its folder is a version");
    assert_eq!(folder.to_string_lossy(), recorded.istio);
}

#[rstest]
fn a_recorded_upgrade_lost_no_request_and_its_file_still_says_so(
    #[files("../fixtures/runs/upgrade/*.jsonl")] path: PathBuf,
) {
    let recorded = green_as_its_file_says(&path, ".");
    let (_, records) = records(&path);
    let summary = Summary::of(&records);
    for round in recorded.rounds() {
        let id = format!("{}/{}", round.name, traffic::ID);
        let case = summary.cases.iter().find(|case| case.outline.id == id).expect("each round is under traffic");
        assert!(case.verdict.as_ref().is_some_and(Verdict::is_passed), "{id}");
    }
}

/// The scenario of a run that ended as expected, and whose file in this folder of scenarios still says what was run.
fn green_as_its_file_says(path: &Path, folder: &str) -> Scenario {
    let (name, records) = records(path);
    assert_eq!(Exit::decide(&Summary::of(&records)), Exit::Green);
    let Some(Event::RunStarted { plan, .. }) = records.first().map(|record| &record.event) else {
        panic!("a recorded run begins with its plan");
    };
    let recorded = plan.scenario().expect("it ran on a lab");
    let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("../suites/scenarios");
    let text = std::fs::read_to_string(scenarios.join(folder).join(format!("{name}.yaml")));
    let said: Value = serde_yaml_ng::from_str(&text.expect("the scenario is there")).expect("it is YAML");
    // What the file leaves out is as it was run; what it says must be what was run.
    let mut now = serde_json::to_value(recorded).expect("a scenario is JSON");
    for field in ["name", "install", "timeline", "checks", "expect"] {
        now[field] = said.get(field).cloned().unwrap_or_default();
    }
    now.as_object_mut().expect("it has fields").retain(|_, value| !value.is_null());
    let now: Scenario = serde_json::from_value(now).expect("it is a scenario");
    assert!(now == *recorded, "{name} says otherwise than was run; run it again");
    now
}

#[rstest]
fn another_parser_reads_the_junit_of_a_recorded_run(#[files("../fixtures/runs/*.jsonl")] path: PathBuf) {
    let (_, records) = records(&path);
    let Some(Event::RunStarted { plan, .. }) = records.first().map(|record| &record.event) else {
        panic!("a recorded run begins with its plan");
    };
    let report = Report::deserialize_from_str(&junit::render(&records)).expect("it is JUnit");
    let cases = report.test_suites.iter().map(|suite| suite.test_cases.len()).sum::<usize>();
    assert!(cases >= plan.cases.len(), "every planned case is there");
}

#[rstest]
fn no_recorded_run_holds_a_secret_or_a_path_of_its_machine(#[files("../fixtures/runs/**/*.jsonl")] path: PathBuf) {
    let text = std::fs::read_to_string(path).expect("a recorded run can be read");
    for secret in ["eyJ", "PRIVATE KEY", "client-key-data", "/root/", "/home/", "/tmp/"] {
        assert!(!text.contains(secret), "it holds {secret}");
    }
}

#[test]
fn a_recorded_proof_gives_the_table_on_file() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/runs/prove/trials.jsonl");
    let text = std::fs::read_to_string(path).expect("a proof was recorded");
    let trials: Vec<Trial> = text.lines().map(|line| serde_json::from_str(line).expect("a trial a line")).collect();
    is_on_file("prove.table.txt", &sabotage::text(&trials));
    is_on_file("prove.table.md", &sabotage::markdown(&trials));
    let planned: Vec<_> = trials.iter().map(|trial| (trial.id.as_str(), trial.layer)).collect();
    let junit = |trials: &[Trial]| sabotage::junit(&planned, trials, "interrupted", None, jiff::Timestamp::UNIX_EPOCH);
    let report = Report::deserialize_from_str(&junit(&trials)).expect("it is JUnit");
    let names: Vec<&str> = report.test_suites[0].test_cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names, planned.iter().map(|(id, _)| *id).collect::<Vec<_>>());
    let errors = |text: &str| text.matches("not carried out: interrupted").count();
    assert_eq!((errors(&junit(&trials)), errors(&junit(&trials[1..]))), (0, 1), "what was not carried out is an error");
    let left = sabotage::junit(&planned, &trials, "", Some("device busy"), jiff::Timestamp::UNIX_EPOCH);
    assert!(
        left.contains("errors=\"1\"") && left.contains("device busy"),
        "a lab that is left over is an error: {left}"
    );
}

#[test]
fn a_recorded_matrix_gives_the_tables_on_file() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/runs/matrix");
    let found = matrix::find(&[path]).expect("a matrix was recorded");
    let [matrix::Found { matrix: recorded, .. }] = &found[..] else { panic!("it is one") };
    is_on_file("matrix.table.txt", &matrix::text(recorded));
    is_on_file("matrix.table.md", &matrix::markdown(recorded));
    assert_eq!(recorded.exit(), Exit::Green);
}
