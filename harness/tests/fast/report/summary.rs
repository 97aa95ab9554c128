//! What the fold says of a run.

use harness::event::{Event, StepOutcome};
use harness::report::Summary;
use harness::report::times::Part;

use super::story::{Story, failed, inconclusive, passed, proved};

#[test]
fn what_runs_side_by_side_counts_once() {
    let mut story = Story::run();
    story.add(Event::LabStarted { id: "cluster-primary".into(), title: "a".into() }).pass(4.0);
    story.add(Event::LabStarted { id: "cluster-remote".into(), title: "b".into() }).pass(6.0);
    for id in ["cluster-primary", "cluster-remote"] {
        story.add(Event::LabFinished { id: id.into(), detail: "ready".into(), error: None, seconds: 8.0 });
    }
    story.pass(5.0).step("primary-istiod", 5.0, proved());
    let summary = Summary::of(&story.records);
    let rows = summary.times.rows(summary.elapsed);
    assert_eq!(rows, [(Part::Lab, 10.0), (Part::Install, 5.0), (Part::Other, 5.0)]);
}

#[test]
fn the_critical_path_holds_what_was_waited_for_and_not_what_ran_beside_it() {
    let mut story = Story::run();
    story.add(Event::LabStarted { id: "cluster-primary".into(), title: "a".into() });
    story.add(Event::LabStarted { id: "cluster-remote".into(), title: "b".into() }).pass(4.0);
    story.add(Event::LabFinished { id: "cluster-primary".into(), detail: "".into(), error: None, seconds: 4.0 });
    story.pass(2.0);
    story.add(Event::LabFinished { id: "cluster-remote".into(), detail: "".into(), error: None, seconds: 6.0 });
    story.add(Event::StepStarted { id: "primary-istiod".into() });
    story.step("eastwest-gateway", 1.0, proved()).pass(2.0);
    story.add(Event::StepFinished { id: "primary-istiod".into(), outcome: proved(), seconds: 3.0 });
    story.case("D0", 2.0, passed());
    let path = Summary::of(&story.records).times.critical_path();
    let shown: Vec<(&str, f64)> = path.iter().map(|span| (span.id.as_str(), span.seconds())).collect();
    assert_eq!(shown, [("cluster-remote", 6.0), ("primary-istiod", 3.0), ("D0", 2.0)]);
}

#[test]
fn time_of_a_pause_and_of_diagnostics_ends_with_their_event() {
    let mut story = Story::run();
    story
        .add(Event::Paused { after: "primary-istiod".into() })
        .pass(7.0)
        .add(Event::Resumed { seconds: 7.0 })
        .pass(3.0);
    let diagnosed = Event::Diagnosed {
        folder: "diagnostics".into(),
        files: 1,
        missing: Vec::new(),
        hints: Vec::new(),
        seconds: 3.0,
    };
    story.add(diagnosed);
    let summary = Summary::of(&story.records);
    assert_eq!(summary.times.rows(summary.elapsed), [(Part::Diagnostics, 3.0), (Part::Paused, 7.0)]);
}

#[test]
fn what_a_dead_run_was_doing_counts_to_its_last_word() {
    let mut story = Story::run();
    story.add(Event::StepStarted { id: "uninstall".into() }).pass(9.0).waits(
        "uninstall",
        "namespaces to go",
        "one left",
    );
    let summary = Summary::of(&story.records);
    assert_eq!(summary.times.seconds(Part::CleanUp), 9.0);
    assert!(summary.finished.is_none());
    assert!(summary.why_not_judged().contains("uninstall  waits for namespaces to go: one left"));
}

#[test]
fn the_first_broken_clause_is_the_first_of_the_catalogue() {
    let mut story = Story::run();
    story.case("D12", 1.0, failed()).case("D1", 1.0, failed()).case("D0", 1.0, inconclusive());
    let trouble = Summary::of(&story.records).first_broken().expect("something is broken");
    assert_eq!(trouble.id, "D1 primary-control-plane");
    assert_eq!(trouble.advice, ["hint: set values.global.externalIstiod"]);
}

#[test]
fn without_a_broken_clause_the_failed_step_is_named() {
    let mut story = Story::run();
    let failed = StepOutcome::Failed { error: "no address\nfor 60 s".into() };
    story.step("eastwest-gateway", 1.0, failed).case("D0", 1.0, passed());
    let trouble = Summary::of(&story.records).first_broken().expect("something is broken");
    assert_eq!((trouble.class, trouble.id.as_str()), ("install", "eastwest-gateway"));
}

#[test]
fn what_an_interruption_cut_off_did_not_break_and_what_broke_before_it_did() {
    let mut story = Story::run();
    story.step("primary-istiod", 1.0, proved()).add(Event::StepStarted { id: "eastwest-gateway".into() });
    let mut failed_before = story.clone();
    story.add(Event::Interrupted { by: "SIGINT".into() });
    let summary = Summary::of(&story.records);
    let first = summary.first_broken().expect("it is not green");
    assert!(first.is_interruption(), "{first:?}");
    assert!(summary.troubles().iter().any(|trouble| trouble.id == "eastwest-gateway"), "what was cut off is told too");
    let outcome = StepOutcome::Failed { error: "no address".into() };
    failed_before.step("eastwest-gateway", 1.0, outcome).add(Event::Interrupted { by: "SIGINT".into() });
    let first = Summary::of(&failed_before.records).first_broken().expect("it is not green");
    assert_eq!(first.id, "eastwest-gateway");
}

#[test]
fn a_pass_after_a_failed_attempt_is_flaky_and_a_failure_is_not() {
    let mut story = Story::run();
    story.attempts("D0", 1.0, passed(), &["503"]).attempts("D1", 1.0, failed(), &["503"]);
    let summary = Summary::of(&story.records);
    assert!(summary.case("D0").expect("planned").flaky());
    assert!(!summary.case("D1").expect("planned").flaky());
    assert_eq!(summary.case("D0").expect("planned").attempts, 2);
}
