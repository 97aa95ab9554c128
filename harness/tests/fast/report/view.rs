//! What a person sees of a run that goes on.

use std::path::{Path, PathBuf};

use harness::event::{Event, Record};
use harness::exit::Exit;
use harness::report::expected::Expected;
use harness::report::jsonl;
use harness::report::terminal::{Manner, View, lines};
use rstest::rstest;

use super::story::{Story, failed, passed, plan, proved};

fn recorded(name: &str) -> Vec<Record> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/runs").join(name);
    jsonl::read(&path).expect("a recorded run can be read")
}

/// The view of a run at a second of it.
fn at(records: &[Record], second: f64) -> View {
    let mut view = View::default();
    records.iter().filter(|record| record.at <= second).for_each(|record| view.on(record));
    view
}

/// The lines without the blanks at their ends.
fn shown(view: &View, now: f64, width: usize) -> String {
    let lines = lines(view, now, width, Manner::PLAIN);
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// A moment of the install, and one of the checks.
#[rstest]
#[case::install_at_80("install_at_80", 22.0, 79)]
#[case::install_at_140("install_at_140", 22.0, 139)]
#[case::install_in_a_narrow_window("install_at_60", 22.0, 59)]
#[case::checks_at_80("checks_at_80", 40.0, 79)]
#[case::clean_up_at_80("clean_up_at_80", 60.0, 79)]
fn a_recorded_run_looks_so(#[case] name: &str, #[case] second: f64, #[case] width: usize) {
    let mut view = at(&recorded("green.jsonl"), second);
    view.expects(Some(Expected { seconds: 75.3, runs: 4 }));
    insta::assert_snapshot!(name, shown(&view, second, width));
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
    let text = shown(&at(&story.records, 9.0), 9.0, 79);
    assert!(text.contains("Checks  0 passed, 1 red, 1 other, 1 to go\n"), "{text}");
}

#[test]
fn what_waits_says_for_what_and_what_was_seen_last_whatever_that_is() {
    let mut story = Story::run();
    story.add(Event::StepStarted { id: "eastwest-gateway".into() }).pass(4.0);
    story.waits("eastwest-gateway", "an address", &format!("\x1b[2J\n\r漢字{}", "漢".repeat(200)));
    let text = shown(&at(&story.records, 9.0), 9.0, 100);
    assert!(text.contains("  eastwest-gateway 9 s  an address\n    ␛[2J ⏎ 漢字"), "{text}");
    assert!(!text.contains(['\x1b', '\r']), "{text}");
    let wide = |c: char| if c > '\u{3000}' { 2 } else { 1 };
    for line in lines(&at(&story.records, 9.0), 9.0, 60, Manner::PLAIN) {
        assert!(line.chars().map(wide).sum::<usize>() <= 60, "{line}");
    }
}

#[test]
fn nothing_is_said_of_an_expected_time_where_there_was_no_run() {
    let records = recorded("green.jsonl");
    let mut view = at(&records, 22.0);
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
