//! What a person sees of a run that goes on.

use std::path::{Path, PathBuf};

use harness::event::{Event, Record};
use harness::exit::Exit;
use harness::report::expected::Expected;
use harness::report::jsonl;
use harness::report::terminal::{Manner, View, lines};
use rstest::rstest;

use super::story::{Story, failed, passed, plan, proved};

/// The view after these events.
fn after(records: &[Record]) -> View {
    let mut view = View::default();
    records.iter().for_each(|record| view.on(record));
    view
}

/// The lines without the blanks at their ends.
fn shown(view: &View, now: f64, width: usize) -> String {
    let lines = lines(view, now, width, Manner::PLAIN);
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// A lab whose second cluster is still being made, while the first waits for its gateway.
fn install() -> Vec<Record> {
    let mut story = Story::run();
    story.lab("network", 0.1, None).lab("cluster-primary", 11.0, None);
    story.add(Event::LabStarted { id: "cluster-remote".into(), title: "cluster2 runs Kubernetes v1.36.3".into() });
    story.step("primary-istiod", 9.0, proved());
    story.add(Event::StepStarted { id: "eastwest-gateway".into() }).pass(1.0);
    story.waits(
        "eastwest-gateway",
        "the Service istio-eastwestgateway",
        "Service istio-system/istio-eastwestgateway has no address",
    );
    story.records.clone()
}

/// Checks under way on an installed mesh, one red, one waiting.
fn checks() -> Vec<Record> {
    let mut story = Story::run();
    story.step("primary-istiod", 9.0, proved()).step("eastwest-gateway", 12.0, proved()).case("D0", 1.0, failed());
    story.add(Event::CaseStarted { id: "D12".into(), attempt: 1 });
    story.add(Event::CaseStarted { id: "D1".into(), attempt: 1 }).pass(2.0);
    story.waits("D1", "three answers in a row to cluster1 pod meshproof-sample/caller", "there 2 of 3 times in a row");
    story.records.clone()
}

#[rstest]
#[case::install_at_80("install_at_80", install(), 79)]
#[case::install_at_140("install_at_140", install(), 139)]
#[case::install_in_a_narrow_window("install_at_60", install(), 59)]
#[case::checks_at_80("checks_at_80", checks(), 79)]
fn a_run_that_goes_on_looks_so(#[case] name: &str, #[case] records: Vec<Record>, #[case] width: usize) {
    let mut view = after(&records);
    view.expects(Some(Expected { seconds: 75.3, runs: 4 }));
    insta::assert_snapshot!(name, shown(&view, 26.0, width));
}

fn width_of(line: &str) -> usize {
    let mut plain = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("\x1b[") {
        plain += before;
        rest = after.split_once('m').expect("a colour").1;
    }
    (plain + rest).chars().count()
}

#[rstest]
fn no_line_is_wider_than_the_terminal_at_any_moment(
    #[files("../fixtures/runs/*.jsonl")]
    #[files("../fixtures/runs/field/1.31.1/f02*.jsonl")]
    path: PathBuf,
    #[values(Manner::PLAIN, Manner { live: true, colour: true, ..Manner::PLAIN })] manner: Manner,
) {
    let records = jsonl::read(&path).expect("a recorded run can be read");
    let mut view = View::default();
    for record in &records {
        view.on(record);
        for width in [0, 19, 20, 37, 74, 79, 120, 250] {
            let lines = lines(&view, record.at + 3.0, width, manner);
            assert!(lines.iter().all(|line| width_of(line) <= width), "{width}: {lines:#?}");
            assert!(lines.len() <= 18, "it leaves room for lines above it: {lines:#?}");
        }
    }
    assert_eq!(lines(&view, 1e6, 80, manner), Vec::<String>::new(), "nothing goes on any more");
}

#[test]
fn checks_are_counted_by_what_was_expected_of_them() {
    let mut story = Story::of("run", &[("D1", "failed")]);
    story.case("D0", 0.1, failed()).case("D1", 0.1, failed());
    story.add(Event::CaseStarted { id: "D12".into(), attempt: 1 });
    let text = shown(&after(&story.records), 9.0, 79);
    assert!(text.contains("Checks  0 passed, 1 red, 1 other, 1 to go\n"), "{text}");
}

#[test]
fn what_waits_says_for_what_and_what_was_seen_last_whatever_that_is() {
    let mut story = Story::run();
    story.add(Event::StepStarted { id: "eastwest-gateway".into() }).pass(4.0);
    story.waits("eastwest-gateway", "an address", &format!("\x1b[2J\n\r漢字{}", "漢".repeat(200)));
    let text = shown(&after(&story.records), 9.0, 100);
    assert!(text.contains("  eastwest-gateway 9 s  an address\n    ␛[2J ⏎ 漢字"), "{text}");
    assert!(!text.contains(['\x1b', '\r']), "{text}");
    let wide = |c: char| if c > '\u{3000}' { 2 } else { 1 };
    for line in lines(&after(&story.records), 9.0, 60, Manner::PLAIN) {
        assert!(line.chars().map(wide).sum::<usize>() <= 60, "{line}");
    }
}

#[test]
fn nothing_is_said_of_an_expected_time_where_there_was_no_run() {
    let mut view = after(&install());
    let last = |view: &View| shown(view, 65.4, 79).lines().last().map(str::to_string);
    assert_eq!(last(&view).as_deref(), Some("Elapsed  1 min 05 s"));
    view.expects(Some(Expected { seconds: 75.3, runs: 1 }));
    assert_eq!(last(&view).as_deref(), Some("Elapsed  1 min 05 s of about 1 min 15 s, as the last green run took"));
}

/// A folder of runs, each with its exit code and its length in seconds.
fn runs_of(runs: &[(&str, Exit, f64)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (number, (verb, exit, seconds)) in runs.iter().enumerate() {
        let run = folder.path().join(format!("2026112{number}T000000Z-meshproof"));
        std::fs::create_dir(&run).expect("a folder");
        let mut story = Story::of(verb, &[]);
        story.step("primary-istiod", 0.5, proved()).case("D0", 0.1, passed()).pass(seconds - 0.6).finish(*exit);
        let lines = story.records.iter().map(|record| serde_json::to_string(record).expect("JSON") + "\n");
        std::fs::write(run.join("events.jsonl"), lines.collect::<String>()).expect("a file");
    }
    folder
}

#[test]
fn the_expected_time_is_the_median_of_the_last_green_runs_alike() {
    use Exit::{Green, Red};
    let of = |runs: &[(&str, Exit, f64)]| Expected::of(runs_of(runs).path(), "run", &plan(&[]));
    let seconds = |runs: &[(&str, Exit, f64)]| of(runs).map(|expected| (expected.seconds.round(), expected.runs));
    assert_eq!(seconds(&[("run", Green, 70.0), ("run", Green, 90.0)]), Some((80.0, 2)));
    assert_eq!(seconds(&[("run", Green, 70.0), ("run", Red, 5.0), ("check", Green, 9.0)]), Some((70.0, 1)));
    let many = [500.0, 10.0, 20.0, 30.0, 40.0, 50.0].map(|seconds| ("run", Green, seconds));
    assert_eq!(seconds(&many), Some((30.0, 5)), "the first is too long ago");
    assert_eq!(seconds(&[("run", Red, 5.0)]), None);
    let mut other = plan(&[]);
    let harness::plan::Target::Lab { scenario, .. } = &mut other.target else { panic!("it is of a lab") };
    scenario.istio = "1.29.2".to_string();
    assert_eq!(Expected::of(runs_of(&many).path(), "run", &other), None, "of other versions nothing is known");
    assert_eq!(Expected::of(Path::new("nowhere"), "run", &plan(&[])), None);
}
