//! A scenario that does one of everything: with two remotes, installed otherwise, changed moment by moment, judged meanwhile,
//! cleaned up. It is run as a field issue, which is how rows of such scenarios are run.

use std::path::Path;

use crate::calling::{Lab, junit_of, verdicts_of};

#[test]
fn a_timeline_is_carried_out_and_each_of_its_rounds_is_judged_as_expected_or_red() {
    let lab = Lab::fresh("t-timeline");
    let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/timeline.yaml");
    let (exit, said) = lab.ask_of(&["field", "run"], &[&scenario.to_string_lossy()]);
    assert_eq!(exit, 1, "an expected red that is green is no green");
    let row = lab.runs.join("latest");
    let run = row.join("latest");
    let mut verdicts = verdicts_of(&junit_of(&run));
    let wrong = verdicts.remove("wrong/D4").expect("the round is in the report");
    assert_eq!(wrong, "Failure: expected failed, got passed");
    // The expected reds are among them, and D12: what the scenario made is gone before it is asked.
    let others: Vec<_> = verdicts.iter().filter(|(_, shown)| *shown != "passed").collect();
    assert!(others.is_empty(), "{others:?}");
    // So what befalls one remote is not told of the other.
    for told in ["late/D9", "late/cluster3/D9", "broken/D4", "broken/cluster3/D4", "D4", "cluster3/D9", "cluster3/D12"]
    {
        assert!(verdicts.contains_key(told), "{told} is not in {verdicts:?}");
    }
    for line in [
        "network  10.177.3.0/24",
        "tag-remote-cluster3  Tag prod of cluster3 stands for revision canary",
        "timeline-9  Deployment meshproof-sample/echo-v2",
        "late/D9 root-configmaps-written",
        "as expected",
        // The check says what it said in that field issue.
        "like istio/istio#41389, istio/istio#32244 (meshproof field run f02-annotated-late)",
    ] {
        assert!(said.contains(line), "{line} is not said");
    }
    let diagnosed = |round: &str| run.join(format!("diagnostics-{round}")).is_dir();
    assert_eq!([diagnosed("wrong"), diagnosed("late"), diagnosed("broken")], [true, false, false]);
    let table = std::fs::read_to_string(row.join("table.txt")).expect("there is a table");
    let line = table.lines().find(|line| line.starts_with("timeline ")).expect("it has a line for the issue");
    assert!(line.contains("NOT AS EXPECTED") && said.contains(&table), "{said}");
    let report = junit_of(&row);
    let suites: Vec<_> = report.test_suites.iter().map(|suite| suite.name.as_str()).collect();
    assert!(
        matches!(suites[..], [suite] if suite.starts_with("timeline with Istio ")),
        "a suite for each run: {suites:?}"
    );
    assert_eq!(verdicts_of(&report)["wrong/D4"], wrong);
    assert_eq!(lab.remains(), Vec::<String>::new());
}
