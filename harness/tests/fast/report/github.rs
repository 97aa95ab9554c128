//! What GitHub is told: annotations, the summary of a job, and outputs of a step.

use std::fs;
use std::path::{Path, PathBuf};

use harness::check::{Finding, Verdict};
use harness::event::{Record, Reporter, StepOutcome};
use harness::exit::Exit;
use harness::report::github::{Job, Step, annotations, escaped, harmless, markdown, refused};
use harness::report::{Summary, jsonl};
use rstest::rstest;

use super::story::{Story, blocked, failed, inconclusive, passed, proved};

fn recorded(name: &str) -> Vec<Record> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/runs").join(name);
    jsonl::read(&path).expect("a recorded run can be read")
}

/// What a cluster may send to become something else in a report.
const HOSTILE: &str = "::error::x\r\n::set-output name=verdict::green\r##[group]y <script>a</script> | `b` **c** [d](https://e) <!-- @f #1 100%, \x1b[31m";

fn hostile() -> Vec<Record> {
    let finding = Finding::new(HOSTILE).hint(format!("{HOSTILE} {}", "very long ".repeat(100_000)));
    let mut story = Story::run();
    story.step("eastwest-gateway", 60.0, StepOutcome::Failed { error: HOSTILE.into() });
    story.attempts("D0", 0.4, passed(), &[HOSTILE]).case("D1", 1.0, Verdict::Failed { finding: Box::new(finding) });
    let by = Verdict::Blocked { by: HOSTILE.into(), reason: HOSTILE.into() };
    story.case("D12", 0.0, by).finish(Exit::Red).records.clone()
}

#[test]
fn a_recorded_red_run_is_annotated_by_its_cause_and_names_what_it_blocked() {
    let lines = annotations(&Summary::of(&recorded("red.jsonl")));
    let [error, warning] = &lines[..] else { panic!("{lines:#?}") };
    let cause = "::cluster1 Gateway istio-system/istiod-gateway is not there%0Ahint: kubectl apply";
    assert!(error.starts_with("::error title=D3 istiod-exposed") && error.contains(cause), "{error}");
    assert!(warning.starts_with("::warning title=19 checks blocked::D6, D7, D8"), "{warning}");
    assert_eq!(annotations(&Summary::of(&recorded("green.jsonl"))), Vec::<String>::new());
}

#[test]
fn where_all_that_is_left_is_blocked_the_first_of_them_is_the_error() {
    let mut story = Story::run();
    story.case("D0", 0.1, passed()).case("D1", 0.0, blocked()).case("D12", 0.0, passed()).finish(Exit::NoVerdict);
    let lines = annotations(&Summary::of(&story.records));
    assert!(lines[0].starts_with("::error title=D1 primary-control-plane"), "{lines:#?}");
}

#[test]
fn no_step_gets_more_errors_than_github_shows_and_what_is_left_out_is_counted() {
    let mut story = Story::run();
    story.case("D0", 0.1, inconclusive()).case("D1", 0.1, failed()).case("D12", 0.1, failed());
    for part in 0..20 {
        story.lab(&format!("part-{part}"), 1.0, Some("not made"));
    }
    story.finish(Exit::Red);
    let lines = annotations(&Summary::of(&story.records));
    assert_eq!(lines.len(), 10);
    assert!(lines[9].starts_with("::error title=14 failures more::from part-7 on"), "{}", lines[9]);
}

#[test]
fn hostile_text_is_data_of_a_command_and_nothing_more() {
    let lines = annotations(&Summary::of(&hostile()));
    assert_eq!(lines.len(), 4, "an error of the clause and of the step, the blocked one, the flaky one");
    for line in lines.iter().chain([&refused(HOSTILE)]) {
        assert!(!line.contains(['\n', '\r', '\x1b']), "{line}");
        let (head, data) = line.strip_prefix("::").and_then(|line| line.split_once("::")).expect("it is a command");
        let (_, title) = head.split_once(" title=").expect("it has a title");
        assert!(!title.contains([':', ',']), "{title}");
        let escapes = data.match_indices('%').all(|(at, _)| ["%25", "%0A", "%0D"].contains(&&data[at..at + 3]));
        assert!(escapes && line.len() < 8000, "{line}");
    }
}

#[rstest]
#[case::a_command("   ::error::x", "   : :error::x")]
#[case::an_old_command("a ##[error]b", "a # #[error]b")]
#[case::no_command("      Failed a::b", "      Failed a::b")]
#[case::a_later_line("a\n ::error::x\r::stop-commands::y\r\n::z\n", "a\n : :error::x\r: :stop-commands::y\r\n: :z\n")]
fn a_line_of_the_log_is_no_command(#[case] line: &str, #[case] shown: &str) {
    assert_eq!(harmless(line), shown);
}

#[test]
fn hostile_text_stays_in_its_cell_and_the_summary_stays_small() {
    let text = markdown(&hostile());
    assert!(text.len() < 100_000, "{} bytes", text.len());
    assert!(!text.contains("<script") && !text.contains("<!--") && !text.contains(['\x1b', '\r']), "{text}");
    assert!(!text.contains("[d](") && !text.contains(" @f"), "{text}");
    for row in text.lines().filter(|line| line.starts_with('|')) {
        let columns = row.replace("\\|", "").matches('|').count() - 1;
        assert!(columns == 2 || columns == 3, "{columns} columns: {row}");
    }
    assert!(text.lines().all(|line| !line.starts_with("::")), "{text}");
}

#[test]
fn a_text_that_would_be_markup_is_escaped() {
    assert_eq!(escaped("a|b\n*c* <d> @e"), "a\\|b ⏎ \\*c\\* &lt;d&gt; &#64;e");
}

#[test]
fn a_run_of_many_checks_has_a_summary_that_github_takes() {
    let mut records = recorded("red.jsonl");
    let harness::event::Event::RunStarted { plan, .. } = &mut records[0].event else { panic!("it begins") };
    let case = plan.cases[3].clone();
    plan.cases.extend((0..5000).map(|number| harness::plan::CaseOutline {
        id: format!("X{number}"),
        title: "x".repeat(200),
        slug: "y".repeat(400),
        ..case.clone()
    }));
    let text = markdown(&records);
    assert!(text.len() < 512 * 1024, "{} bytes", text.len());
    assert!(text.contains(" more are in the report of the run."), "it says that some are left out");
}

#[test]
fn a_job_gets_the_summary_and_the_outputs_of_a_run_appended() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let run = path("run: 1\nverdict=green");
    fs::create_dir(&run).expect("a folder");
    fs::write(run.join("report.html"), "").expect("a report");
    fs::write(path("summary"), "before\n").expect("a summary");
    let variable = |name: &str| match name {
        "GITHUB_ACTIONS" => Some("true".to_string()),
        "GITHUB_STEP_SUMMARY" => Some(path("summary").display().to_string()),
        "GITHUB_OUTPUT" => Some(path("output").display().to_string()),
        _ => None,
    };
    let job = Job::of(variable).expect("it is a job");
    let mut story = Story::run();
    story.step("primary-istiod", 1.0, proved()).others_pass(&["D1"]).case("D1", 1.0, failed()).finish(Exit::Red);
    let mut step = Step::new(job.clone(), &run);
    step.replay(&story.records);
    job.ended(Exit::Red);
    let text = fs::read_to_string(path("summary")).expect("a summary");
    assert_eq!(text, format!("before\n{}", markdown(&story.records)));
    let outputs = fs::read_to_string(path("output")).expect("outputs");
    let names: Vec<&str> = outputs.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    assert_eq!(names, ["run", "report", "junit", "verdict", "exit"], "{outputs}");
    assert!(outputs.contains("/report.html\njunit=\nverdict=red\nexit=1\n"), "{outputs}");
}

#[test]
fn a_step_of_many_runs_keeps_its_summary_small_enough_and_says_once_what_is_left_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let summary = folder.path().join("summary");
    let job = Job { summary: Some(summary.clone()), output: None };
    let mut story = Story::run();
    story.others_pass(&[]).finish(Exit::Green);
    let run = || Step::new(job.clone(), folder.path()).replay(&story.records);
    let before = "x".repeat(999_500 - markdown(&story.records).len());
    fs::write(&summary, &before).expect("a summary");
    run();
    let fits = fs::read_to_string(&summary).expect("a summary");
    assert_eq!(fits, before + &markdown(&story.records));
    run();
    run();
    let text = fs::read_to_string(&summary).expect("a summary");
    assert!(text.len() <= 1_000_000, "{} bytes", text.len());
    assert_eq!(text.matches("GitHub takes no more of a step").count(), 1, "{}", &text[fits.len()..]);
    assert_eq!(text[fits.len()..].trim().lines().count(), 1, "{}", &text[fits.len()..]);
}

#[rstest]
#[case::at_home(&[])]
#[case::another_ci(&[("CI", "true")])]
#[case::switched_off(&[("GITHUB_ACTIONS", "false")])]
fn outside_of_github_there_is_no_job(#[case] set: &[(&str, &str)]) {
    let variable = |name: &str| set.iter().find(|(other, _)| *other == name).map(|(_, value)| value.to_string());
    assert_eq!(Job::of(variable), None);
    let known = Job { summary: None, output: Some(PathBuf::from("o")) };
    let github = |name: &str| match name {
        "GITHUB_ACTIONS" => Some("true".to_string()),
        "GITHUB_OUTPUT" => Some("o".to_string()),
        _ => None,
    };
    assert_eq!(Job::of(github), Some(known));
}
