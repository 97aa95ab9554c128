//! What a person sees.

use harness::check::{Finding, Verdict};
use harness::event::{Event, Record, Reporter, StepOutcome};
use harness::exit::Exit;
use harness::report::Summary;
use harness::report::terminal::{self, Manner, Terminal, Volume};
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
    let mut live = Terminal::new(&mut out, Manner { live: true, colour: true, ..Manner::PLAIN });
    let records = red_run();
    live.replay(&records);
    drop(live);
    let text = String::from_utf8(out).expect("text");
    assert!(text.contains("\x1b[1;31m      Failed\x1b[0m D1 primary-control-plane"), "{text}");
    assert!(text.contains("\x1b[1;32m      Proved\x1b[0m eastwest-gateway"), "{text}");
    assert!(!text.contains("Waiting"), "{text}");
}

const LIVE: Manner = Manner { live: true, colour: true, ..Manner::PLAIN };

#[rstest]
#[case::a_terminal_is_live(true, Volume::Usual, &[], LIVE)]
#[case::a_pipe_is_plain(false, Volume::Usual, &[], Manner::PLAIN)]
#[case::no_color_is_live_without_colours(true, Volume::Usual, &[("NO_COLOR", "1")], Manner { colour: false, ..LIVE })]
#[case::an_empty_no_color_says_nothing(true, Volume::Usual, &[("NO_COLOR", "")], LIVE)]
#[case::ci_is_plain(true, Volume::Usual, &[("CI", "true")], Manner::PLAIN)]
#[case::a_terminal_that_cannot_move_is_plain(true, Volume::Usual, &[("TERM", "dumb")], Manner::PLAIN)]
#[case::a_log_is_not_drawn_over(true, Volume::Verbose, &[], Manner { live: false, ..LIVE })]
#[case::quiet_draws_nothing(true, Volume::Quiet, &[], Manner { live: false, quiet: true, ..LIVE })]
#[case::github_reads_lines(false, Volume::Usual, &[("CI", "true"), ("GITHUB_ACTIONS", "true")], Manner { github: true, ..Manner::PLAIN })]
fn the_manner_follows_the_surroundings(
    #[case] tty: bool,
    #[case] volume: Volume,
    #[case] set: &[(&str, &str)],
    #[case] manner: Manner,
) {
    let variable = |name: &str| set.iter().find(|(other, _)| *other == name).map(|(_, value)| value.to_string());
    assert_eq!(Manner::choose(tty, volume, variable), manner);
}

fn told(records: &[Record], manner: Manner) -> String {
    let mut out = Vec::new();
    let mut terminal = Terminal::new(&mut out, manner);
    terminal.replay(records);
    drop(terminal);
    String::from_utf8(out).expect("text")
}

#[test]
fn a_quiet_run_tells_what_is_not_as_expected_and_how_it_ended() {
    let quiet = Manner { quiet: true, ..Manner::PLAIN };
    let text = told(&red_run(), quiet);
    for verb in ["Running", "Planned", "Created", "Proved", "Waiting", "Passed", "Skipped"] {
        assert!(!text.lines().any(|line| line.trim_start().starts_with(verb)), "{verb} in {text}");
    }
    for said in ["Failed D1", "istiod of cluster1 does not serve", "Broken first D1", "Finished exit 1"] {
        assert!(text.contains(said), "{said} in {text}");
    }
    let mut story = Story::run();
    story.step("primary-istiod", 25.0, proved()).others_pass(&[]).finish(Exit::Green);
    let text = told(&story.records, quiet);
    assert!(text.trim_start().starts_with("Took"), "nothing before the end: {text}");
}

fn hostile_red() -> Vec<Record> {
    let long = "word ".repeat(2000) + &"x".repeat(3000);
    let hint = format!("::error::\x1b[2J ##[group]gone\n::endgroup::\n{long}");
    let finding = Finding::new(format!("::stop-commands::x\r\n{long}")).hint(hint);
    let mut story = Story::run();
    let error = "first\n::error::second\n  ##[error]third";
    story.step("eastwest-gateway", 60.0, StepOutcome::Failed { error: error.into() });
    story.case("D0", 1.0, passed()).case("D1", 1.0, Verdict::Failed { finding: Box::new(finding) });
    story.case("D12", 0.0, blocked()).finish(Exit::Red).records.clone()
}

#[rstest]
#[case::red(red_run())]
#[case::hostile(hostile_red())]
fn the_last_lines_fit_a_screen_and_end_with_the_verdict(#[case] records: Vec<Record>) {
    let text = terminal::render(&records);
    let (_, ending) = text.rsplit_once("\n\n").expect("a blank line before them");
    let rows: usize = ending.lines().map(|line| line.chars().count().div_ceil(80).max(1)).sum();
    assert!(rows <= 23, "{rows} rows: {ending}");
    assert!(ending.lines().last().is_some_and(|line| line.trim_start().starts_with("Finished exit 1")), "{ending}");
    for next in [
        "Explain meshproof explain D1",
        "Judge again meshproof run --istio 1.31.1 --kubernetes v1.36.3 --only D1 --keep always",
    ] {
        assert!(ending.contains(next), "{next} in {ending}");
    }
}

#[test]
fn a_lab_that_is_kept_is_judged_again_as_it_is_and_what_to_do_with_it_is_said() {
    let mut records = red_run();
    let Some(Record { event: Event::RunFinished { lab_kept, .. }, .. }) = records.last_mut() else { panic!("it ends") };
    *lab_kept = true;
    let mut out = Vec::new();
    let left = Box::new(|_: &Summary| vec![("Remove", "meshproof down".to_string())]);
    let mut terminal = Terminal::new(&mut out, Manner::PLAIN).leaving(Some(left));
    terminal.replay(&records);
    drop(terminal);
    let text = String::from_utf8(out).expect("text");
    for line in [" Judge again meshproof check --only D1\n", "      Remove meshproof down\n", "; the lab is kept\n"] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

/// A run whose names were chosen to become something else.
fn hostile_names() -> Vec<Record> {
    let hostile = "a\n::endgroup::\r\n  ##[error]b\r::stop-commands::c";
    let mut story = Story::run();
    let Event::RunStarted { run, plan, .. } = &mut story.records[0].event else { panic!("it begins") };
    *run = hostile.into();
    let harness::plan::Target::Lab { scenario, .. } = &mut plan.target else { panic!("it has a lab") };
    scenario.name = hostile.into();
    scenario.istio = hostile.into();
    story.ready();
    let Some(Event::LabReady { clusters, image_source, data_plane, .. }) =
        story.records.last_mut().map(|record| &mut record.event)
    else {
        panic!("it is ready")
    };
    clusters.values_mut().for_each(|cluster| cluster.name = hostile.into());
    *image_source = hostile.into();
    *data_plane = hostile.into();
    story.step(hostile, 1.0, StepOutcome::Blocked { by: hostile.into() });
    story.add(Event::Paused { after: hostile.into() }).add(Event::Interrupted { by: hostile.into() });
    story.case("D1", 1.0, failed()).finish(Exit::Red).records.clone()
}

#[test]
fn a_name_stays_on_its_line() {
    let text = terminal::render(&hostile_names());
    for line in text.lines() {
        assert!(!["::", "##["].iter().any(|start| line.trim_start().starts_with(start)), "{line:?} in {text}");
    }
}

#[rstest]
#[case::red(red_run())]
#[case::hostile(hostile_red())]
#[case::hostile_names(hostile_names())]
#[case::killed(red_run()[..6].to_vec())]
fn groups_for_github_are_balanced_and_hide_neither_what_is_red_nor_the_end(#[case] records: Vec<Record>) {
    let mut out = Vec::new();
    let mut terminal = Terminal::new(&mut out, Manner { github: true, ..Manner::PLAIN });
    terminal.replay(&records);
    if !matches!(records.last().map(|record| &record.event), Some(Event::RunFinished { .. })) {
        terminal.end(&records);
    }
    drop(terminal);
    let text = String::from_utf8(out).expect("text");
    let mut open = false;
    for line in text.lines() {
        assert!(!line.contains("##["), "{line}");
        match line.trim_start() {
            "::endgroup::" => assert!(std::mem::replace(&mut open, false), "{text}"),
            start if start.starts_with("::group::") => assert!(!std::mem::replace(&mut open, true), "{text}"),
            start if start.starts_with("::") => panic!("a command: {line}"),
            start => {
                let apart = ["Failed", "Blocked", "Broken first", "Finished", "Died", "Judged"];
                assert!(!open || !apart.iter().any(|verb| start.starts_with(verb)), "{line} is hidden in {text}");
            }
        }
    }
    assert!(!open && text.contains("::group::"));
}
