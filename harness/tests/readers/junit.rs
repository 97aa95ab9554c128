//! JUnit as CI takes it: valid by the schema of Jenkins, and read by a parser of another language as it was meant.

use std::path::{Path, PathBuf};
use std::process::Command;

use harness::check::{Evidence, Finding, Verdict};
use harness::event::{Event, Record, StepOutcome};
use harness::exit::Exit;
use harness::matrix::{self, Suite};
use harness::report::{Summary, jsonl, junit};
use harness::sabotage::{self, Trial};
use quick_junit::{NonSuccessKind, Report, TestCaseStatus};
use serde::Deserialize;

use crate::place::reader;
use crate::story::{Story, blocked, failed, inconclusive, passed, proved, skipped};

/// What the readers saw of a file.
#[derive(Debug, Deserialize)]
struct Seen {
    /// What the schema says against it.
    against: Vec<String>,
    /// Suite, class, name and kinds of result of each testcase.
    cases: Vec<(String, String, String, Vec<String>)>,
}

impl Seen {
    fn is_red(&self) -> bool {
        self.cases.iter().any(|(.., results)| results.iter().any(|kind| kind != "Skipped"))
    }
}

/// What lxml and junitparser see of these files.
fn seen(files: &[String]) -> Vec<Seen> {
    let folder = tempfile::tempdir().expect("a folder");
    let paths: Vec<PathBuf> = (0..files.len()).map(|at| folder.path().join(format!("{at}.xml"))).collect();
    for (path, text) in paths.iter().zip(files) {
        std::fs::write(path, text).expect("it can be written");
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/readers/junit.py");
    let mut python = Command::new(reader("python/bin/python"));
    let output =
        python.arg("-B").arg(script).arg(reader("junit-10.xsd")).args(&paths).output().expect("it can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("it prints JSON")
}

/// The schema has nothing against a file, and both parsers read the same.
fn agree(text: &str, seen: &Seen) {
    assert_eq!(seen.against, Vec::<String>::new(), "{text}");
    let report = Report::deserialize_from_str(text).expect("it is JUnit");
    let suites = report.test_suites.iter();
    let cases = suites.flat_map(|suite| suite.test_cases.iter().map(|case| (suite.name.to_string(), case)));
    let of = |(suite, case): (String, &quick_junit::TestCase)| {
        let kind = match case.status {
            TestCaseStatus::Success { .. } => None,
            TestCaseStatus::NonSuccess { kind: NonSuccessKind::Failure, .. } => Some("Failure".to_string()),
            TestCaseStatus::NonSuccess { .. } => Some("Error".to_string()),
            TestCaseStatus::Skipped { .. } => Some("Skipped".to_string()),
        };
        let class = case.classname.as_ref().map_or(String::new(), |class| class.to_string());
        (suite, class, case.name.to_string(), kind.into_iter().collect::<Vec<_>>())
    };
    assert_eq!(seen.cases, cases.map(of).collect::<Vec<_>>());
    let mut names: Vec<_> = seen.cases.iter().map(|(_, class, name, _)| (class, name)).collect();
    names.sort();
    names.dedup();
    // GitLab takes the first of two that have class and name in common, and drops the other.
    assert_eq!(names.len(), seen.cases.len(), "each has a class and a name of its own");
}

fn recorded() -> Vec<Vec<Record>> {
    let runs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/runs");
    let mut files: Vec<PathBuf> = Vec::new();
    let mut folders = vec![runs];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).expect("it can be read").map(|entry| entry.expect("an entry").path()) {
            if path.is_dir() && !path.ends_with("prove") {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "jsonl") {
                files.push(path);
            }
        }
    }
    files.sort();
    files.iter().map(|file| jsonl::read(file).expect("a recorded run can be read")).collect()
}

#[test]
fn recorded_runs_are_valid_and_red_exactly_when_they_ended_so() {
    let runs = recorded();
    assert!(runs.len() > 30, "there are {}", runs.len());
    let files: Vec<String> = runs.iter().map(|records| junit::render(records)).collect();
    for ((records, text), seen) in runs.iter().zip(&files).zip(seen(&files)) {
        agree(text, &seen);
        assert_eq!(seen.is_red(), Exit::decide(&Summary::of(records)) != Exit::Green);
        assert!(seen.cases.len() > 30, "steps are among them");
    }
}

#[test]
fn a_run_that_died_is_valid_and_red_wherever_it_died() {
    let all = recorded();
    let shortest = all.iter().min_by_key(|records| records.len()).expect("there is one");
    let files: Vec<String> = (0..shortest.len()).map(|length| junit::render(&shortest[..length])).collect();
    for (text, seen) in files.iter().zip(seen(&files)) {
        agree(text, &seen);
        assert!(seen.is_red(), "{text}");
    }
}

/// Made-up runs of all that can come of a run.
fn stories() -> Vec<Story> {
    let nasty =
        format!("a\u{0}\u{1b}[31m]]></testcase><x y=\"'&lt; time=\"1.23456\" \u{ffff}\n{}", "long ".repeat(20_000));
    let mut evidence = Evidence::new();
    evidence.saw(&nasty, &nasty, &nasty).note(&nasty);
    let finding = Finding::new(&nasty).expected_got(&nasty, &nasty).hint(&nasty).evidence(&evidence);
    let mut hostile = Story::run();
    hostile.lab("cluster-primary", 1.0, Some(&nasty)).add(Event::Note { text: nasty.clone() });
    hostile.step("primary-istiod", 1.0, StepOutcome::Proved { evidence: evidence.clone() });
    hostile.step("eastwest-gateway", 1.0, StepOutcome::Failed { error: nasty.clone() });
    hostile.attempts("D0", 1.0, Verdict::Passed { evidence }, &[&nasty]);
    hostile.case("D1", 1.0, Verdict::Failed { finding: Box::new(finding) });
    hostile.case("D12", 1.0, Verdict::Skipped { reason: nasty }).finish(Exit::Red);
    let mut interrupted = Story::run();
    interrupted.lab("cluster-primary", 1.0, None).add(Event::StepStarted { id: "primary-istiod".into() });
    interrupted.add(Event::Interrupted { by: "SIGINT".into() }).finish(Exit::Interrupted);
    let mut stopped = Story::run();
    stopped.step("primary-istiod", 0.632, proved()).step("uninstall", 1.0, StepOutcome::Blocked { by: "x".into() });
    stopped.case("D0", 1.0, inconclusive()).case("D1", 1.0, blocked()).case("D12", 0.0, skipped());
    stopped.finish(Exit::NoVerdict);
    let mut expected = Story::of("run", &[("D1", "failed")]);
    expected.case("D0", 1.0, passed()).case("D1", 1.0, failed()).case("D12", 1.0, passed()).finish(Exit::Green);
    vec![hostile, interrupted, stopped, expected]
}

#[test]
fn whatever_comes_of_a_run_is_valid() {
    let stories = stories();
    let files: Vec<String> = stories.iter().map(|story| junit::render(&story.records)).collect();
    for ((story, text), seen) in stories.iter().zip(&files).zip(seen(&files)) {
        agree(text, &seen);
        assert_eq!(seen.is_red(), Exit::decide(&Summary::of(&story.records)) != Exit::Green);
    }
}

#[test]
fn runs_side_by_side_and_sabotages_are_valid() {
    let named = |(at, records): (usize, &Vec<Record>)| Suite {
        name: format!("Istio 1.{at}, Kubernetes v1.36.3, \"late\" & <so on>"),
        run: Ok(Summary::of(records)),
    };
    let mut suites: Vec<Suite> = recorded().iter().take(3).enumerate().map(named).collect();
    suites.push(Suite { name: "never begun".to_string(), run: Err("the host has\u{7} no room".to_string()) });
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/runs/prove/trials.jsonl");
    let text = std::fs::read_to_string(path).expect("a proof was recorded");
    let trials: Vec<Trial> = text.lines().map(|line| serde_json::from_str(line).expect("a trial a line")).collect();
    let planned: Vec<_> = trials.iter().map(|trial| (trial.id.as_str(), trial.layer)).collect();
    let began = jiff::Timestamp::UNIX_EPOCH;
    let files =
        [matrix::junit(&suites), sabotage::junit(&planned, &trials[1..], "interrupted", Some("device busy"), began)];
    for (text, seen) in files.iter().zip(seen(&files)) {
        agree(text, &seen);
        assert!(seen.is_red());
    }
}
