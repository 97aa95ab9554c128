//! What a person sees.

use harness::event::{Event, Record, Reporter, StepOutcome};
use harness::exit::Exit;
use harness::report::terminal::{self, Mode, Terminal};
use rstest::rstest;

use super::story::{Story, blocked, failed, inconclusive, passed, proved, skipped};

fn red_run() -> Vec<Record> {
    let mut story = Story::of("run", &[]);
    story.lab("cluster-primary", 15.2, None).ready();
    story.step("primary-istiod", 25.0, proved());
    story.add(Event::StepStarted { id: "eastwest-gateway".into() });
    story.waits("eastwest-gateway", "an address in its Service", "none").pass(2.0);
    story.waits("eastwest-gateway", "an address in its Service", "pending").pass(10.3);
    let evidence = harness::check::Evidence::new();
    story.add(Event::StepFinished {
        id: "eastwest-gateway".into(),
        outcome: StepOutcome::Proved { evidence },
        seconds: 12.3,
    });
    story.attempts("D0", 0.4, passed(), &["the API server said 503"]).case("D1", 3.2, failed());
    story.case("D12", 0.0, skipped());
    let diagnosed = Event::Diagnosed {
        folder: "diagnostics".into(),
        files: 12,
        missing: vec!["cluster2 proxy: timed out".into()],
        hints: vec!["externalIstiod is off".into()],
        seconds: 4.0,
    };
    story.pass(4.0).add(diagnosed).pass(1.0).finish(Exit::Red).records.clone()
}

#[test]
fn a_red_run_reads_like_cargo() {
    insta::assert_snapshot!(terminal::render(&red_run()));
}

#[test]
fn a_run_that_could_not_be_made_says_why_and_what_it_blocked() {
    let mut story = Story::of("run", &[("D1", "failed")]);
    let error = "its Service got no address in 60 s\n$ kubectl --context=kind-meshproof-cluster1 get service -A";
    story.step("eastwest-gateway", 60.0, StepOutcome::Failed { error: error.into() });
    story.add(Event::StepFinished {
        id: "uninstall".into(),
        outcome: StepOutcome::Blocked { by: "eastwest-gateway".into() },
        seconds: 0.0,
    });
    story.case("D0", 80.0, inconclusive()).case("D1", 1.0, failed()).case("D12", 0.0, blocked());
    story.lab("remove-clusters", 3.0, Some("device busy")).finish(Exit::NoVerdict);
    insta::assert_snapshot!(terminal::render(&story.records));
}

#[test]
fn a_killed_run_says_that_it_died() {
    let mut story = Story::run();
    story.add(Event::StepStarted { id: "primary-istiod".into() }).pass(1.0);
    story.waits("primary-istiod", "istiod", "0 of 1");
    insta::assert_snapshot!(terminal::render(&story.records));
}

#[test]
fn a_wait_is_told_once_in_ten_seconds_for_each_scope() {
    let mut story = Story::run();
    story.add(Event::StepStarted { id: "primary-istiod".into() });
    for second in 0..25 {
        story.waits("primary-istiod", "istiod", &format!("look {second}")).pass(1.0);
    }
    let text = terminal::render(&story.records);
    let told: Vec<&str> = text.lines().filter(|line| line.trim_start().starts_with("Waiting")).collect();
    assert_eq!(told.len(), 3, "{text}");
    assert!(told[1].ends_with("look 10"), "{text}");
}

#[test]
fn plain_lines_carry_no_escape_even_where_the_cluster_sent_one() {
    let mut story = Story::run();
    story.step("primary-istiod", 1.0, StepOutcome::Failed { error: "\x1b[2J\x07gone".into() });
    assert!(!terminal::render(&story.records).contains('\x1b'));
}

#[test]
fn a_live_terminal_colours_its_verbs_and_keeps_their_columns() {
    let mut out = Vec::new();
    let mut live = Terminal::new(&mut out, Mode::Live);
    let records = red_run();
    records.iter().for_each(|record| live.on(record));
    drop(live);
    let text = String::from_utf8(out).expect("text");
    assert!(text.contains("\x1b[1;31m      Failed\x1b[0m D1 primary-control-plane"), "{text}");
    assert!(text.contains("\x1b[1;32m      Proved\x1b[0m eastwest-gateway"), "{text}");
    assert!(!text.contains("Waiting"), "{text}");
}

#[rstest]
#[case::a_terminal_is_live(true, None, Mode::Live)]
#[case::a_pipe_is_plain(false, None, Mode::Plain)]
#[case::no_color_is_plain(true, Some("NO_COLOR"), Mode::Plain)]
#[case::ci_is_plain(true, Some("CI"), Mode::Plain)]
fn the_mode_follows_the_surroundings(#[case] tty: bool, #[case] set: Option<&str>, #[case] mode: Mode) {
    let variable = |name: &str| (set == Some(name)).then(|| "1".to_string());
    assert_eq!(Mode::choose(tty, variable), mode);
}
