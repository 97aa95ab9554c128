//! JUnit as other tools read it: parsed back with the reader of another library.

use std::fs;

use harness::check::{Evidence, Finding, Verdict};
use harness::event::{Event, Record, Reporter, StepOutcome};
use harness::exit::Exit;
use harness::report::{Summary, junit};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use rstest::rstest;

use super::story::{Story, blocked, failed, passed, proved, skipped, verdict};

fn report(records: &[Record]) -> Report {
    let text = junit::render(records);
    Report::deserialize_from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn suite<'a>(report: &'a Report, name: &str) -> &'a TestSuite {
    report.test_suites.iter().find(|suite| suite.name.as_str() == name).unwrap_or_else(|| panic!("{name} is missing"))
}

fn cases(report: &Report) -> impl Iterator<Item = &TestCase> {
    report.test_suites.iter().flat_map(|suite| &suite.test_cases)
}

fn case<'a>(report: &'a Report, name: &str) -> &'a TestCase {
    cases(report).find(|case| case.name.as_str() == name).unwrap_or_else(|| panic!("{name} is missing"))
}

/// Suite, class and name of each testcase.
fn places(report: &Report) -> Vec<[String; 3]> {
    let of = |suite: &TestSuite, case: &TestCase| {
        let class = case.classname.as_ref().map_or(String::new(), |class| class.to_string());
        [suite.name.to_string(), class, case.name.to_string()]
    };
    report.test_suites.iter().flat_map(|suite| suite.test_cases.iter().map(move |case| of(suite, case))).collect()
}

/// Element, type, message and body of a testcase.
fn element(case: &TestCase) -> (&'static str, String, String, String) {
    let text = |value: &Option<quick_junit::XmlString>| value.as_ref().map_or(String::new(), |text| text.to_string());
    match &case.status {
        TestCaseStatus::Success { .. } => ("none", String::new(), String::new(), String::new()),
        TestCaseStatus::NonSuccess { kind, message, ty, description, .. } => {
            let name = if *kind == NonSuccessKind::Failure { "failure" } else { "error" };
            (name, text(ty), text(message), text(description))
        }
        TestCaseStatus::Skipped { message, ty, description } => ("skipped", text(ty), text(message), text(description)),
    }
}

fn is_red(report: &Report) -> bool {
    cases(report).any(|case| matches!(case.status, TestCaseStatus::NonSuccess { .. }))
}

fn out(case: &TestCase) -> String {
    case.system_out.as_ref().map_or(String::new(), |text| text.to_string())
}

#[rstest]
#[case::a_pass("passed", "passed", "none", "", "")]
#[case::a_failure("failed", "passed", "failure", "refuted", "istiod of cluster1 does not serve other clusters")]
#[case::could_not_tell("inconclusive", "passed", "error", "inconclusive", "only 3 of 80 calls were answered")]
#[case::a_skip("skipped", "passed", "skipped", "skipped", "the lab is kept")]
#[case::a_block("blocked", "passed", "skipped", "blocked", "blocked by step eastwest-gateway: no address")]
#[case::no_verdict("missing", "passed", "error", "not-judged", "the run ended before this was judged: ")]
#[case::an_expected_failure("failed", "failed", "none", "", "")]
#[case::an_expected_block("blocked", "blocked", "skipped", "blocked", "blocked as expected: ")]
#[case::an_expected_inconclusive("inconclusive", "inconclusive", "none", "", "")]
#[case::a_pass_that_should_fail("passed", "failed", "failure", "unexpected", "expected failed, got passed")]
#[case::a_failure_that_should_be_blocked(
    "failed",
    "blocked",
    "failure",
    "refuted",
    "expected blocked, got failed: istiod"
)]
#[case::could_not_tell_but_should_fail(
    "inconclusive",
    "failed",
    "error",
    "inconclusive",
    "expected failed, got inconclusive: only"
)]
#[case::a_block_that_should_fail("blocked", "failed", "error", "blocked", "expected failed, got blocked: blocked by")]
#[case::a_skip_that_should_fail("skipped", "failed", "skipped", "skipped", "expected failed, got skipped: the lab")]
fn a_verdict_has_its_element(
    #[case] got: &str,
    #[case] expected: &str,
    #[case] name: &str,
    #[case] kind: &str,
    #[case] message: &str,
) {
    let mut story = Story::of("run", &[("D1", expected)]);
    story.others_pass(&["D1"]);
    if let Some(verdict) = verdict(got) {
        story.case("D1", 1.0, verdict);
    }
    let report = report(&story.records);
    let found = element(case(&report, "D1 primary-control-plane"));
    assert_eq!((found.0, found.1.as_str()), (name, kind));
    assert!(found.2.starts_with(message), "{}", found.2);
}

#[rstest]
fn junit_is_red_exactly_when_the_exit_code_is_not_zero(
    #[values("passed", "failed", "inconclusive", "blocked", "skipped", "missing")] got: &str,
    #[values("passed", "failed", "inconclusive", "blocked")] expected: &str,
) {
    for besides in ["nothing", "step", "lab", "removal", "signal", "deadline", "stray"] {
        agree(got, expected, besides);
    }
}

fn agree(got: &str, expected: &str, besides: &str) {
    let mut story = Story::of("run", &[("D1", expected)]);
    story.others_pass(&["D1"]);
    if let Some(verdict) = verdict(got) {
        story.case("D1", 1.0, verdict);
    }
    match besides {
        "step" => story.step("eastwest-gateway", 1.0, StepOutcome::Failed { error: "no address".into() }),
        "lab" => story.lab("cluster-remote", 1.0, Some("no room")),
        "removal" => story.lab("remove-clusters", 1.0, Some("device busy")),
        "signal" => story.add(Event::Interrupted { by: "SIGTERM".into() }),
        "deadline" => story.add(Event::Interrupted { by: "deadline".into() }),
        "stray" => story.case("D99", 1.0, passed()),
        _ => &mut story,
    };
    let exit = Exit::decide(&Summary::of(&story.records));
    story.finish(exit);
    let text = junit::render(&story.records);
    assert_eq!(is_red(&report(&story.records)), exit != Exit::Green, "{exit:?}, besides {besides}\n{text}");
}

#[test]
fn each_planned_case_is_there_once_under_a_stable_name() {
    let mut story = Story::run();
    story.others_pass(&["D1"]).case("D1", 1.5, failed());
    let report = report(&story.records);
    let clauses = suite(&report, "clauses");
    let names: Vec<&str> = clauses.test_cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names, ["D0 both-clusters-ready", "D1 primary-control-plane", "D12 nothing-left"]);
    let class = |case: &TestCase| case.classname.as_ref().map(|class| class.to_string());
    assert!(clauses.test_cases.iter().all(|case| class(case).as_deref() == Some("primary-remote.clauses")));
    assert_eq!((clauses.tests, clauses.failures, clauses.errors), (3, 1, 0));
    let d1 = case(&report, "D1 primary-control-plane");
    assert_eq!(d1.time, Some(std::time::Duration::from_millis(1500)));
}

#[test]
fn evidence_of_a_pass_is_one_line_an_item_and_then_the_notes_below_the_place_in_the_guide() {
    let mut evidence = Evidence::new();
    evidence.saw("cluster1 ConfigMap a", "data", "one\ntwo").saw("cluster2 Pod b", "podIP", "10.20.0.7").note("n");
    let mut story = Story::run();
    story.case("D0", 1.0, Verdict::Passed { evidence });
    assert_eq!(
        out(case(&report(&story.records), "D0 both-clusters-ready")),
        "guide: Before you begin\ncluster1 ConfigMap a | data = one ⏎ two\ncluster2 Pod b | podIP = 10.20.0.7\nnote: n"
    );
}

#[test]
fn a_failure_carries_what_was_promised_found_and_seen() {
    let mut story = Story::run();
    story.case("D1", 1.0, failed());
    let body = element(case(&report(&story.records), "D1 primary-control-plane")).3;
    for line in [
        "The control plane of cluster1 serves both",
        "guide: Configure cluster1 as a primary",
        "expected: EXTERNAL_ISTIOD is true",
        "got: it is false",
        "hint: set values.global.externalIstiod",
        "cluster1 Deployment istio-system/istiod | env EXTERNAL_ISTIOD = false",
    ] {
        assert!(body.lines().any(|found| found == line), "{line} is not in:\n{body}");
    }
}

#[test]
fn an_expected_failure_still_tells_its_cause() {
    let mut story = Story::of("run", &[("D1", "failed")]);
    story.case("D1", 1.0, failed());
    let text = out(case(&report(&story.records), "D1 primary-control-plane"));
    assert!(text.starts_with("failed as expected: istiod of cluster1 does not serve other clusters"), "{text}");
}

#[test]
fn a_flaky_pass_is_marked_with_the_causes_of_its_failed_attempts() {
    let mut story = Story::run();
    story.attempts("D0", 1.0, passed(), &["503", "504"]);
    let text = out(case(&report(&story.records), "D0 both-clusters-ready"));
    assert!(text.starts_with("flaky: passed after 2 failed attempts: 503; 504\n"), "{text}");
}

#[test]
fn control_characters_and_end_marks_survive_parsing() {
    let controls: String = (0..0xa0).filter_map(char::from_u32).filter(|c| c.is_control()).collect();
    let nasty = format!("before{controls}]]><![CDATA[ <&\"'> ]]>]]\u{ffff}]>after");
    let mut evidence = Evidence::new();
    evidence.saw(&nasty, &nasty, &nasty).note(&nasty);
    let finding = Finding::new(&nasty).expected_got(&nasty, &nasty).hint(&nasty).evidence(&evidence);
    let mut story = Story::run();
    story.add(Event::Note { text: nasty.clone() });
    story.add(Event::LabStarted { id: "cluster-primary".into(), title: nasty.clone() });
    story.add(Event::LabFinished { id: "cluster-primary".into(), detail: nasty.clone(), error: None, seconds: 1.0 });
    story.step("primary-istiod", 1.0, StepOutcome::Proved { evidence: evidence.clone() });
    story.attempts("D0", 1.0, Verdict::Passed { evidence }, &[&nasty]);
    story.case("D1", 1.0, Verdict::Failed { finding: Box::new(finding) });
    story.case("D12", 1.0, Verdict::Skipped { reason: nasty.clone() });
    let report = report(&story.records);
    let (_, _, message, body) = element(case(&report, "D1 primary-control-plane"));
    let (_, _, reason, _) = element(case(&report, "D12 nothing-left"));
    let seen = out(case(&report, "D0 both-clusters-ready"));
    let facts = suite(&report, "lab").system_out.as_ref().expect("facts").to_string();
    let proof = out(case(&report, "primary-istiod"));
    for text in [&message, &body, &reason, &seen, &facts, &proof, &out(case(&report, "cluster-primary"))] {
        assert!(text.contains("before␀␁␂"), "{text}");
        assert!(text.contains("]]><![CDATA[ <&\"'> ]]>]]\u{fffd}]>after"), "{text}");
        assert!(text.chars().all(|c| !c.is_control() || c == '\n' || c == '\t'), "{text:?}");
    }
}

#[test]
fn each_single_control_character_leaves_a_file_that_parses() {
    for c in (0..0x300).chain(0xfff0..0x1_0010).filter_map(char::from_u32) {
        let mut story = Story::run();
        story.case("D0", 1.0, Verdict::Inconclusive { error: format!("a{c}b") });
        let (_, _, message, body) = element(case(&report(&story.records), "D0 both-clusters-ready"));
        assert!(message.starts_with('a') && message.ends_with('b'), "{:x}: {message:?}", c as u32);
        assert!(body.contains('a'), "{:x}: {body:?}", c as u32);
    }
}

fn long_run() -> Vec<Record> {
    let mut story = Story::run();
    story.lab("cluster-primary", 1.0, None).ready().step("primary-istiod", 1.0, proved());
    story.step("eastwest-gateway", 1.0, StepOutcome::Failed { error: "no address".into() });
    story.case("D0", 1.0, passed()).case("D1", 1.0, blocked()).case("D12", 0.0, skipped());
    story.lab("remove-clusters", 1.0, None).finish(Exit::NoVerdict).records.clone()
}

#[test]
fn every_prefix_of_a_run_is_valid_and_red_until_it_ends_well() {
    let records = long_run();
    for length in 0..=records.len() {
        assert!(is_red(&report(&records[..length])), "the first {length} events are green");
    }
    let mut green = Story::run();
    green.others_pass(&[]).finish(Exit::Green);
    for length in 0..green.records.len() {
        assert!(is_red(&report(&green.records[..length])), "the first {length} events are green");
    }
    assert!(!is_red(&report(&green.records)));
}

#[test]
fn a_step_that_failed_is_told_where_no_case_is_red() {
    let report = report(&long_run());
    let synthetic = case(&report, "eastwest-gateway");
    assert_eq!(synthetic.classname.as_ref().map(|class| class.as_str()), Some("primary-remote.install"));
    let (name, kind, message, body) = element(synthetic);
    assert_eq!((name, kind.as_str(), message.as_str()), ("error", "not-made", "no address"));
    assert!(body.contains("The east-west gateway runs in cluster1"), "{body}");
    assert!(report.test_suites.iter().all(|suite| suite.name.as_str() != "run"), "it says so itself");
}

#[test]
fn every_part_of_a_run_is_in_the_suite_of_its_kind_and_has_its_class() {
    let mut story = Story::run();
    story.lab("cluster-primary", 1.0, None).step("primary-istiod", 2.5, proved());
    story.others_pass(&[]).step("uninstall", 1.0, proved()).lab("remove-clusters", 1.0, None);
    let report = report(&story.finish(Exit::Green).records);
    let wanted = [
        ["lab", "primary-remote.lab", "cluster-primary"],
        ["lab", "primary-remote.lab", "remove-clusters"],
        ["install", "primary-remote.install", "primary-istiod"],
        ["clauses", "primary-remote.clauses", "D0 both-clusters-ready"],
        ["clauses", "primary-remote.clauses", "D1 primary-control-plane"],
        ["clauses", "primary-remote.clauses", "D12 nothing-left"],
        ["clean-up", "primary-remote.clean-up", "uninstall"],
    ];
    assert_eq!(places(&report), wanted.map(|place| place.map(str::to_string)));
    let step = case(&report, "primary-istiod");
    assert_eq!(step.time, Some(std::time::Duration::from_millis(2500)));
    assert!(
        out(step).contains("\ncluster1 Deployment istio-system/istiod | status.readyReplicas = 1"),
        "{}",
        out(step)
    );
    assert_eq!(out(case(&report, "cluster-primary")), "The lab has cluster-primary\nready");
}

#[test]
fn what_is_done_again_has_a_name_of_its_own() {
    let mut story = Story::of("up", &[]);
    story.lab("images", 1.0, None).lab("images", 2.0, None).finish(Exit::Green);
    let report = report(&story.records);
    assert_eq!(cases(&report).map(|case| case.name.as_str()).collect::<Vec<_>>(), ["images", "images 2"]);
}

#[rstest]
#[case::that_has_begun(None, "error", "not-made", "began and did not end")]
#[case::that_failed(Some(StepOutcome::Failed { error: "no address\nat all".into() }), "error", "not-made", "no address")]
#[case::that_was_blocked(Some(StepOutcome::Blocked { by: "primary-istiod".into() }), "skipped", "blocked", "blocked by primary-istiod")]
fn a_step_has_its_element(
    #[case] outcome: Option<StepOutcome>,
    #[case] name: &str,
    #[case] kind: &str,
    #[case] message: &str,
) {
    let mut story = Story::run();
    story.step("primary-istiod", 1.0, StepOutcome::Failed { error: "no room".into() });
    story.add(Event::StepStarted { id: "eastwest-gateway".into() });
    if let Some(outcome) = outcome {
        story.add(Event::StepFinished { id: "eastwest-gateway".into(), outcome, seconds: 1.0 });
    }
    let found = element(case(&report(&story.records), "eastwest-gateway"));
    assert_eq!((found.0, found.1.as_str(), found.2.as_str()), (name, kind, message));
}

#[test]
fn a_step_that_failed_is_told_beside_a_case_that_is_red() {
    let mut story = Story::run();
    story.step("eastwest-gateway", 1.0, StepOutcome::Failed { error: "no address".into() });
    story.case("D0", 1.0, passed()).case("D1", 1.0, failed()).case("D12", 1.0, blocked()).finish(Exit::Red);
    let report = report(&story.records);
    assert_eq!(element(case(&report, "eastwest-gateway")).0, "error");
    assert_eq!(cases(&report).count(), 4);
}

#[test]
fn a_step_that_failed_as_the_scenario_expects_is_no_error() {
    let mut story = Story::of("run", &[("D1", "blocked")]);
    story.step("eastwest-gateway", 1.0, StepOutcome::Failed { error: "no address".into() });
    story.case("D0", 1.0, passed()).case("D1", 1.0, blocked()).case("D12", 1.0, passed()).finish(Exit::Green);
    let report = report(&story.records);
    assert!(!is_red(&report));
    let said = out(case(&report, "eastwest-gateway"));
    assert!(said.contains("failed as expected: no address"), "{said}");
}

#[test]
fn a_step_that_was_not_tried_is_not_there() {
    let mut story = Story::of("check", &[]);
    story.others_pass(&[]).finish(Exit::Green);
    assert_eq!(places(&report(&story.records)).len(), 3, "a check carries out no step of its plan");
}

#[rstest]
#[case::by_a_signal("SIGINT", "the run was interrupted by SIGINT before this was judged")]
#[case::by_its_deadline("deadline", "the run reached its deadline before this was judged")]
fn what_an_interrupted_run_did_not_judge_says_so(#[case] by: &str, #[case] message: &str) {
    let mut story = Story::run();
    story.case("D0", 1.0, passed()).add(Event::Interrupted { by: by.into() });
    let found = element(case(&report(&story.records), "D1 primary-control-plane"));
    assert_eq!((found.0, found.1.as_str(), found.2.as_str()), ("error", "not-judged", message));
}

#[test]
fn what_a_dead_run_did_not_judge_says_what_it_was_doing() {
    let mut story = Story::run();
    story.add(Event::StepStarted { id: "eastwest-gateway".into() }).waits("eastwest-gateway", "an address", "none");
    let (_, _, message, _) = element(case(&report(&story.records), "D0 both-clusters-ready"));
    assert_eq!(
        message,
        "the run ended before this was judged: last heard of eastwest-gateway  waits for an address: none"
    );
}

#[test]
fn the_suite_says_what_was_tested() {
    let mut story = Story::run();
    story.ready();
    let report = report(&story.records);
    let suite = suite(&report, "lab");
    assert_eq!(suite.timestamp.map(|time| time.to_rfc3339()).as_deref(), Some("2026-10-01T04:00:00+00:00"));
    insta::assert_snapshot!(suite.system_out.as_ref().expect("facts").to_string());
}

#[test]
fn a_verb_that_judges_nothing_has_no_cases_and_tells_its_failures() {
    let mut story = Story::of("up", &[]);
    story.lab("cluster-primary", 1.0, None);
    let mut failed = story.clone();
    story.finish(Exit::Green);
    failed.lab("cluster-remote", 1.0, Some("no room")).finish(Exit::NoVerdict);
    assert_eq!(places(&report(&story.records)).len(), 1);
    assert_eq!(element(case(&report(&failed.records), "cluster-remote")).2, "no room");
}

#[test]
fn the_file_is_whole_after_every_event_and_leaves_nothing_beside_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("junit.xml");
    let mut reporter = junit::File::create(&path);
    let records = long_run();
    for (index, record) in records.iter().enumerate() {
        reporter.on(record, &records[..=index]);
        let text = fs::read_to_string(&path).expect("JUnit from the first event on");
        Report::deserialize_from_str(&text).expect("whole XML");
    }
    assert_eq!(fs::read_to_string(&path).expect("JUnit"), junit::render(&records));
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
}

#[cfg(unix)]
#[test]
fn the_file_can_be_read_by_others() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("junit.xml");
    junit::File::create(&path).replay(&long_run()[..1]);
    assert_eq!(fs::metadata(&path).expect("JUnit").permissions().mode() & 0o044, 0o044);
}

#[test]
fn a_lab_that_could_not_be_removed_is_told_under_its_own_name() {
    let mut story = Story::run();
    story.others_pass(&[]).lab("remove-clusters", 1.0, Some("device busy")).finish(Exit::LeftOver);
    let report = report(&story.records);
    let synthetic = case(&report, "remove-clusters");
    assert_eq!(synthetic.classname.as_ref().map(|class| class.as_str()), Some("primary-remote.lab"));
    assert_eq!(element(synthetic).2, "device busy");
}
