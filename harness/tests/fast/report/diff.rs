//! What is otherwise in one run than in another.

use std::path::PathBuf;

use harness::check::{Evidence, Verdict};
use harness::exit::Exit;
use harness::report::Summary;
use harness::report::diff::{Difference, markdown};
use harness::report::jsonl;
use rstest::rstest;

use super::story::{Story, failed, inconclusive, passed, proved, skipped, verdict};

fn told(story: &Story) -> Summary {
    Summary::of(&story.records)
}

/// A run in which D1 has this verdict and took so long.
fn run(d1: Verdict, seconds: f64, exit: Exit) -> Summary {
    let mut story = Story::run();
    story.ready().step("primary-istiod", 1.0, proved()).others_pass(&["D1"]);
    told(story.case("D1", seconds, d1).finish(exit))
}

/// The same run with one case more.
fn more(mut run: Summary, verdict: Verdict) -> Summary {
    let mut case = run.cases[0].clone();
    case.outline.id = format!("before/{}", case.outline.id);
    case.verdict = Some(verdict);
    run.cases.push(case);
    run
}

fn seen(pod: &str, address: &str, more: Option<&str>) -> Verdict {
    let mut evidence = Evidence::new();
    evidence.saw(format!("cluster1 pod istio-system/{pod}"), "podIP", address).saw("cluster1", "calls", "29 of 60");
    if let Some(line) = more {
        evidence.saw("cluster1 | istiod", "env", line);
    }
    Verdict::Passed { evidence }
}

#[rstest]
fn a_run_is_not_otherwise_than_itself(
    #[files("../fixtures/runs/*.jsonl")]
    #[files("../fixtures/runs/upgrade/*.jsonl")]
    path: PathBuf,
) {
    let run = Summary::of(&jsonl::read(&path).expect("a recorded run can be read"));
    let difference = Difference::of(std::slice::from_ref(&run), std::slice::from_ref(&run));
    assert!(difference.is_nothing(), "{difference}");
    assert_eq!(difference.to_string(), "nothing is otherwise\n");
}

#[test]
fn names_of_pods_addresses_and_counts_are_no_difference_and_what_was_seen_besides_is() {
    let before = run(seen("istiod-7c8765877-nw9v5", "10.10.0.7", None), 1.0, Exit::Green);
    let same = run(seen("istiod-784679f7fc-24tgf", "10.10.0.31", None), 1.2, Exit::Green);
    let other = run(seen("istiod-784679f7fc-24tgf", "10.10.0.31", Some("a\nb")), 1.2, Exit::Green);
    assert!(Difference::of(std::slice::from_ref(&before), &[same]).is_nothing());
    let difference = Difference::of(&[before], &[other]);
    assert_eq!(difference.evidence[0].after, ["cluster1 | istiod | env = a ⏎ b"]);
    assert!(!difference.verdict_is_worse(), "it is no worse");
}

#[rstest]
#[case::broken("passed", "failed", true)]
#[case::could_not_tell("passed", "inconclusive", true)]
#[case::not_asked("passed", "skipped", true)]
#[case::mended("failed", "passed", false)]
#[case::told("inconclusive", "passed", false)]
#[case::from_untold_to_red("blocked", "failed", true)]
#[case::from_red_to_untold("failed", "blocked", false)]
#[case::never_judged("passed", "missing", true)]
#[case::the_same("failed", "failed", false)]
fn a_verdict_that_proves_less_is_worse(#[case] before: &str, #[case] after: &str, #[case] worse: bool) {
    let run = |name: &str| {
        let mut story = Story::run();
        story.others_pass(&["D1"]);
        if let Some(verdict) = verdict(name) {
            story.case("D1", 1.0, verdict);
        }
        let exit = Exit::decide(&told(&story));
        told(story.finish(exit))
    };
    let difference = Difference::of(&[run(before)], &[run(after)]);
    assert_eq!(difference.verdict_is_worse(), worse, "{difference}");
    assert_eq!(difference.verdicts.len(), usize::from(before != after), "{difference}");
}

#[test]
fn a_verdict_that_is_worse_tells_its_cause_and_makes_the_exit_worse() {
    let difference = Difference::of(&[run(passed(), 1.0, Exit::Green)], &[run(failed(), 1.0, Exit::Red)]);
    let text = difference.to_string();
    assert!(text.contains("exit: 0 (every clause is as expected) -> 1"), "{text}");
    let line =
        "  D1 primary-control-plane: passed -> failed  WORSE\n      istiod of cluster1 does not serve other clusters\n";
    assert!(text.contains(line), "{text}");
}

#[rstest]
#[case::noise_by_share(&[10.0], &[12.4], None)]
#[case::noise_by_seconds(&[1.0], &[2.9], None)]
#[case::slower(&[10.0], &[12.6], Some(true))]
#[case::faster(&[12.6], &[9.0], Some(false))]
#[case::within_the_range_of_several(&[8.0, 14.0], &[13.0], None)]
#[case::beyond_the_range_of_several(&[8.0, 10.0], &[13.0, 20.0], Some(true))]
#[case::one_of_several_is_not_beyond(&[8.0, 10.0], &[12.0, 20.0], None)]
fn a_time_counts_beyond_noise(#[case] before: &[f64], #[case] after: &[f64], #[case] worse: Option<bool>) {
    let runs = |all: &[f64]| all.iter().map(|seconds| run(passed(), *seconds, Exit::Green)).collect::<Vec<_>>();
    let difference = Difference::of(&runs(before), &runs(after));
    let found = difference.times.iter().find(|time| time.what == "D1");
    assert_eq!(found.map(|time| time.worse), worse, "{difference}");
}

#[test]
fn of_several_runs_the_worst_verdict_counts() {
    let green = || run(passed(), 1.0, Exit::Green);
    let once_red = [green(), run(failed(), 1.0, Exit::Red), green()];
    assert!(Difference::of(&[green()], &once_red).verdict_is_worse());
    assert!(!Difference::of(&once_red, &[run(inconclusive(), 1.0, Exit::NoVerdict)]).verdict_is_worse());
}

#[test]
fn versions_and_digests_are_told_and_are_not_worse() {
    let before = run(passed(), 1.0, Exit::Green);
    let mut after = run(passed(), 1.0, Exit::Green);
    after.ready.as_mut().expect("facts").images.insert("node".into(), "sha256:4567".into());
    after.ready.as_mut().expect("facts").data_plane = "Istio's \u{1b}[31m proxy".into();
    let difference = Difference::of(&[before], &[after]);
    let facts: Vec<&str> = difference.facts.iter().map(|change| change.what.as_str()).collect();
    assert_eq!(facts, ["data plane", "image node"]);
    assert!(!difference.verdict_is_worse() && !difference.time_is_worse());
    let text = difference.to_string();
    assert!(text.contains("upstream Envoy 1.39.3 -> Istio's ␛[31m proxy"), "{text}");
}

#[test]
fn a_case_that_held_and_is_not_there_any_more_is_worse_and_a_new_one_is_not() {
    let (before, mut after) = (run(passed(), 1.0, Exit::Green), run(passed(), 1.0, Exit::Green));
    after.cases.retain(|case| case.outline.id != "D1");
    let [fewer, more] = [[&before, &after], [&after, &before]]
        .map(|[old, new]| Difference::of(std::slice::from_ref(old), std::slice::from_ref(new)));
    assert!(fewer.verdict_is_worse() && !more.verdict_is_worse());
    let text = fewer.to_string();
    assert!(text.contains("ALONE\n  D1 primary-control-plane: passed -> none  WORSE\n"), "{text}");
    assert_eq!(more.new[0].what, "D1 primary-control-plane");
    let neutral = run(skipped(), 1.0, Exit::Green);
    assert!(!Difference::of(&[neutral], &[after]).verdict_is_worse(), "it proved nothing before");
}

#[rstest]
#[case::worse_by_a_new_case(more(run(passed(), 1.0, Exit::Green), failed()), "## ❌ meshproof: 1 verdict got worse\n")]
#[case::worse(run(failed(), 1.0, Exit::Red), "## ❌ meshproof: 1 verdict got worse\n")]
#[case::slower(run(passed(), 9.0, Exit::Green), "## ⚠️ meshproof: no verdict got worse, and something took longer\n")]
#[case::the_same(run(passed(), 1.0, Exit::Green), "## ✅ meshproof: nothing is otherwise\n")]
fn markdown_says_first_whether_it_is_worse(#[case] after: Summary, #[case] first: &str) {
    let text = markdown(&Difference::of(&[run(passed(), 1.0, Exit::Green)], &[after]));
    assert!(text.starts_with(first), "{text}");
}

#[test]
fn in_markdown_no_text_of_a_mesh_is_markup_and_what_is_long_is_cut() {
    let hostile = "a\n| <script>alert(1)</script> [x](javascript:1) @all `".repeat(9);
    let after = run(seen("istiod", "10.10.0.7", Some(&hostile)), 1.0, Exit::Green);
    let text = markdown(&Difference::of(&[run(seen("istiod", "10.10.0.7", None), 1.0, Exit::Green)], &[after]));
    let line = text.lines().find(|line| line.contains("script")).expect("it is told");
    assert!(line.starts_with("| D1 primary-control-plane | after | ") && line.len() < 700, "{line}");
    for markup in ["<script", "[x](", " @all"] {
        assert!(!line.contains(markup), "{markup}: {line}");
    }
}

#[test]
fn a_flake_is_told_and_is_not_worse() {
    let mut story = Story::run();
    story.ready().step("primary-istiod", 1.0, proved()).others_pass(&["D1"]);
    story.attempts("D1", 1.0, passed(), &["503"]).finish(Exit::Green);
    let difference = Difference::of(&[run(passed(), 1.0, Exit::Green)], &[told(&story)]);
    assert_eq!(difference.verdicts[0].after, "passed, flaky");
    assert!(!difference.verdict_is_worse());
    let skipped = run(skipped(), 1.0, Exit::Green);
    assert!(skipped.cases.iter().any(|case| !case.flaky()));
}

#[test]
fn a_case_of_an_earlier_run_of_several_counts_and_a_new_one_that_is_not_as_expected_is_worse() {
    let green = || run(passed(), 1.0, Exit::Green);
    let with = |verdict: Verdict| more(green(), verdict);
    let difference = Difference::of(&[with(passed()), green()], &[with(failed()), green()]);
    assert_eq!(difference.verdicts[0].after, "failed", "the newest run does not have it: {difference}");
    assert!(Difference::of(&[green()], &[with(failed())]).new[0].worse);
}

#[rstest]
#[case::broke(run(failed(), 1.0, Exit::Red), true)]
#[case::held(run(passed(), 1.0, Exit::Green), false)]
fn a_run_that_ended_worse_has_no_better_times(#[case] after: Summary, #[case] worse: bool) {
    let difference = Difference::of(&[run(passed(), 60.0, Exit::Green)], &[after]);
    assert_eq!(difference.time_is_worse(), worse, "{difference}");
    let json: serde_json::Value = serde_json::from_str(&difference.json()).expect("it is JSON");
    assert_eq!((&json["form"], &json["worse"]["time"]), (&1.into(), &worse.into()));
    assert!(json["verdicts"].is_array() && json["times"].is_array(), "{json}");
}
