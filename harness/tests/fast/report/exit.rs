//! From verdicts and expectations to the exit code.

use harness::event::{Event, StepOutcome};
use harness::exit::Exit;
use harness::report::Summary;
use rstest::rstest;

use super::story::{Story, blocked, failed, passed, proved, skipped, verdict};

fn exit_of(story: &Story) -> Exit {
    Exit::decide(&Summary::of(&story.records))
}

fn step_failed() -> StepOutcome {
    StepOutcome::Failed { error: "no address".into() }
}

#[rstest]
#[case::a_pass_is_green("passed", "passed", Exit::Green)]
#[case::a_failure_is_red("failed", "passed", Exit::Red)]
#[case::an_expected_failure_is_green("failed", "failed", Exit::Green)]
#[case::a_pass_that_should_fail_is_red("passed", "failed", Exit::Red)]
#[case::a_pass_that_should_be_blocked_is_red("passed", "blocked", Exit::Red)]
#[case::a_failure_that_should_be_blocked_is_red("failed", "blocked", Exit::Red)]
#[case::could_not_tell_is_no_verdict("inconclusive", "passed", Exit::NoVerdict)]
#[case::could_not_tell_is_no_expected_failure("inconclusive", "failed", Exit::NoVerdict)]
#[case::an_expected_inconclusive_is_green("inconclusive", "inconclusive", Exit::Green)]
#[case::blocked_is_no_verdict("blocked", "passed", Exit::NoVerdict)]
#[case::blocked_is_no_expected_failure("blocked", "failed", Exit::NoVerdict)]
#[case::an_expected_block_is_green("blocked", "blocked", Exit::Green)]
#[case::a_skip_is_neutral("skipped", "passed", Exit::Green)]
#[case::a_skip_is_neutral_whatever_is_expected("skipped", "failed", Exit::Green)]
#[case::a_missing_verdict_is_no_verdict("missing", "passed", Exit::NoVerdict)]
#[case::a_missing_verdict_is_no_expected_failure("missing", "failed", Exit::NoVerdict)]
fn one_case_among_passes_decides(#[case] got: &str, #[case] expected: &str, #[case] exit: Exit) {
    let mut story = Story::of("run", &[("D1", expected)]);
    story.others_pass(&["D1"]);
    if let Some(verdict) = verdict(got) {
        story.case("D1", 1.0, verdict);
    }
    assert_eq!(exit_of(&story), exit);
}

#[rstest]
#[case::all_asked(&[], Exit::Green, "every clause is as expected")]
#[case::one_not_asked(&["D12"], Exit::Green, "every clause that was asked is as expected; 1 of 3 was not asked")]
#[case::most_not_asked(&["D0", "D12"], Exit::Green, "every clause that was asked is as expected; 2 of 3 were not asked")]
#[case::left_over(&["D12"], Exit::LeftOver, "every clause that was asked is as expected, but the lab could not be removed")]
#[case::red(&["D12"], Exit::Red, "at least one clause is not as expected")]
fn how_a_run_ended_says_what_was_not_asked(#[case] left_out: &[&str], #[case] exit: Exit, #[case] said: &str) {
    let mut story = Story::run();
    story.others_pass(left_out);
    for id in left_out {
        story.case(id, 0.0, skipped());
    }
    assert_eq!(exit.meaning_of(&Summary::of(&story.records)), said);
}

#[test]
fn red_goes_before_no_verdict() {
    let mut story = Story::run();
    story.step("eastwest-gateway", 1.0, step_failed()).case("D0", 1.0, blocked()).case("D1", 1.0, failed());
    assert_eq!(exit_of(&story), Exit::Red);
}

#[test]
fn a_run_that_only_skips_is_never_green() {
    let mut story = Story::run();
    story.case("D0", 0.0, skipped()).case("D1", 0.0, skipped()).case("D12", 0.0, skipped());
    assert_eq!(exit_of(&story), Exit::NoVerdict);
}

#[test]
fn a_run_that_is_blocked_as_expected_throughout_is_never_green() {
    let mut story = Story::of("run", &[("D0", "blocked"), ("D1", "blocked"), ("D12", "blocked")]);
    story.case("D0", 0.0, blocked()).case("D1", 0.0, blocked()).case("D12", 0.0, blocked());
    assert_eq!(exit_of(&story), Exit::NoVerdict);
}

#[test]
fn a_selection_without_cases_is_never_green() {
    let mut story = Story::run();
    if let Event::RunStarted { plan, .. } = &mut story.records[0].event {
        plan.cases.clear();
    }
    assert_eq!(exit_of(&story), Exit::NoVerdict);
}

#[test]
fn no_event_at_all_is_never_green() {
    assert_eq!(Exit::decide(&Summary::of(&[])), Exit::NoVerdict);
}

#[rstest]
#[case::up("up")]
#[case::install("install")]
#[case::down("down")]
fn a_verb_that_judges_nothing_is_green_without_verdicts(#[case] verb: &str) {
    let mut story = Story::of(verb, &[]);
    story.lab("cluster-primary", 10.0, None).step("primary-istiod", 3.0, proved());
    assert_eq!(exit_of(&story), Exit::Green);
    let summary = Summary::of(&story.records);
    assert_eq!(Exit::Green.meaning_of(&summary), "done; nothing was to be judged");
}

#[rstest]
#[case::of_the_lab(|story: &mut Story| { story.lab("cluster-primary", 1.0, Some("no room")); })]
#[case::of_the_install(|story: &mut Story| { story.step("eastwest-gateway", 1.0, step_failed()); })]
#[case::of_the_clean_up(|story: &mut Story| { story.step("uninstall", 1.0, step_failed()); })]
#[case::that_never_ended(|story: &mut Story| { story.add(Event::StepStarted { id: "uninstall".into() }); })]
#[case::that_was_blocked_by_what_nobody_knows(|story: &mut Story| {
    story.add(Event::StepFinished {
        id: "uninstall".into(), outcome: StepOutcome::Blocked { by: "moon".into() }, seconds: 0.0
    });
})]
#[case::by_the_deadline(|story: &mut Story| { story.add(Event::Interrupted { by: "deadline".into() }); })]
#[case::of_a_case_that_is_not_in_the_plan(|story: &mut Story| { story.case("D99", 1.0, passed()); })]
fn a_failure_that_no_case_tells_is_no_verdict(#[case] fail: fn(&mut Story), #[values("run", "up")] verb: &str) {
    let mut story = Story::of(verb, &[]);
    if verb == "run" {
        story.others_pass(&[]);
    }
    fail(&mut story);
    assert_eq!(exit_of(&story), Exit::NoVerdict);
}

#[test]
fn a_failed_step_is_expected_where_a_case_shall_be_blocked_by_it() {
    let mut story = Story::of("run", &[("D1", "blocked")]);
    story.step("eastwest-gateway", 1.0, step_failed()).case("D1", 0.0, blocked()).others_pass(&["D1"]);
    assert_eq!(exit_of(&story), Exit::Green);
}

#[test]
fn an_expected_failure_does_not_excuse_a_failed_step() {
    let mut story = Story::of("run", &[("D1", "failed")]);
    story.step("eastwest-gateway", 1.0, step_failed()).case("D1", 0.0, failed()).others_pass(&["D1"]);
    assert_eq!(exit_of(&story), Exit::NoVerdict);
}

#[test]
fn a_signal_goes_before_everything() {
    let mut story = Story::run();
    story.case("D1", 1.0, failed()).add(Event::Interrupted { by: "SIGINT".into() });
    assert_eq!(exit_of(&story), Exit::Interrupted);
    assert_eq!(Exit::Interrupted.code(), 130);
}

#[test]
fn a_lab_that_stays_makes_green_left_over_and_leaves_red_red() {
    let mut story = Story::run();
    story.others_pass(&["D1"]);
    let mut red = story.clone();
    story.case("D1", 1.0, passed()).lab("remove-cluster-primary", 1.0, Some("device busy"));
    red.case("D1", 1.0, failed()).lab("remove-cluster-primary", 1.0, Some("device busy"));
    assert_eq!(exit_of(&story), Exit::LeftOver);
    assert_eq!(exit_of(&red), Exit::Red);
}
