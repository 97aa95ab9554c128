//! SIGINT and SIGTERM in every phase of a run: exit 130, JUnit closed with the reason, the lab as `--keep` says.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;

use crate::calling::Lab;
use crate::running::Running;

/// So long a run may take to collect diagnostics, to remove its lab and to end.
const LIMIT: Duration = Duration::from_secs(200);

/// A signal in a phase: its name, what the events say when it comes, how long after, which one, and further flags.
struct Moment {
    phase: &'static str,
    said: &'static str,
    later: Duration,
    signal: &'static str,
    flags: &'static [&'static str],
}

const fn moment(
    phase: &'static str,
    said: &'static str,
    milliseconds: u64,
    signal: &'static str,
    flags: &'static [&'static str],
) -> Moment {
    Moment { phase, said, later: Duration::from_millis(milliseconds), signal, flags }
}

const NEVER: &[&str] = &["--keep", "never", "--slow", "2"];
/// Who ends a run by hand does not want its lab; only `always` keeps it.
const ON_FAILURE: &[&str] = &["--keep", "on-failure", "--slow", "2"];
const ALWAYS: &[&str] = &["--keep", "always", "--slow", "2"];
/// Ends in the creation, and is diagnosing then.
const LATE: &[&str] = &["--keep", "never", "--deadline", "15s"];

const MOMENTS: [Moment; 9] = [
    moment("creation", r#""event":"lab-started","id":"cluster-remote""#, 500, "TERM", NEVER),
    moment("creation, lab kept", r#""event":"lab-started","id":"cluster-remote""#, 8000, "INT", ALWAYS),
    moment("routes", r#""event":"lab-started","id":"routes""#, 0, "INT", ON_FAILURE),
    moment("diagnosing", r#""event":"interrupted","by":"deadline""#, 300, "TERM", LATE),
    moment("install", r#""event":"step-started","id":"eastwest-gateway""#, 1000, "INT", NEVER),
    moment("install, lab kept", r#""event":"step-started","id":"primary-install""#, 2000, "TERM", ALWAYS),
    moment("checks", r#""event":"case-started""#, 1000, "TERM", ON_FAILURE),
    moment("clean-up", r#""event":"step-started","id":"uninstall-primary""#, 300, "INT", NEVER),
    moment("removal", r#""event":"lab-started","id":"remove-"#, 100, "TERM", NEVER),
];

#[test]
fn a_signal_in_any_phase_closes_the_reports_and_leaves_what_keep_says() {
    let lab = Lab::fresh("t-signals");
    for (index, moment) in MOMENTS.iter().enumerate() {
        println!("signal {} of {}: {} in {}", index + 1, MOMENTS.len(), moment.signal, moment.phase);
        let mut run = Running::start(&lab, lab.command("run", moment.flags));
        run.until(moment.said);
        std::thread::sleep(moment.later);
        assert!(run.signal(moment.signal), "{}: the run was under way", moment.phase);
        let status = run.ends_within(LIMIT);
        let said = run.said();
        assert_eq!(status.code(), Some(130), "{}: {said}", moment.phase);
        judge_junit(&lab, moment.phase, moment.signal);
        let kept = moment.flags == ALWAYS;
        assert_eq!(lab.remains().is_empty(), !kept, "{}: {:?}: {said}", moment.phase, lab.remains());
        if kept {
            assert!(said.contains("meshproof down --lab t-signals"), "{}: how to be rid of it: {said}", moment.phase);
            let (_, status) = lab.ask("status", &[]);
            assert!(status.contains("lab t-signals"), "{status}");
            lab.down();
        }
        std::thread::sleep(Duration::from_secs(3));
        assert_eq!(lab.remains(), Vec::<String>::new(), "{}, and a while later", moment.phase);
    }
    println!("bad days: {} of {} signals ended their run in order", MOMENTS.len(), MOMENTS.len());
}

/// Whatever was not judged says by what the run was ended; JUnit is red.
fn judge_junit(lab: &Lab, phase: &str, signal: &str) {
    let verdicts = lab.verdicts();
    let reason = format!("interrupted by SIG{signal}");
    assert!(verdicts.len() >= 14, "{phase}: every clause is in JUnit: {verdicts:#?}");
    let said = verdicts.values().any(|shown| shown.starts_with("Error") && shown.contains(&reason));
    assert!(said, "{phase}: JUnit says {reason}: {verdicts:#?}");
    for (id, shown) in &verdicts {
        let judged = shown == "passed" || shown.starts_with("Skipped");
        assert!(judged || shown.contains("interrupted"), "{phase}: {id}: {shown}");
    }
}

#[test]
fn a_second_signal_leaves_at_once_with_junit_closed_and_no_tool_running() {
    let lab = Lab::fresh("t-twice");
    let mut run = Running::start(&lab, lab.command("run", ON_FAILURE));
    run.until(r#""event":"lab-started","id":"cluster-remote""#);
    std::thread::sleep(Duration::from_secs(6));
    assert!(run.signal("INT"));
    std::thread::sleep(Duration::from_millis(300));
    assert!(run.signal("INT"), "it is still closing");
    assert_eq!(run.ends_within(Duration::from_secs(2)).code(), Some(130));
    let said = run.said();
    assert!(said.contains("meshproof down --lab t-twice"), "how to be rid of what is left: {said}");
    judge_junit(&lab, "second signal", "INT");
    lab.down();
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(lab.remains(), Vec::<String>::new());
}

#[test]
fn a_signal_while_a_person_is_waited_for_does_not_wait_for_the_person() {
    let lab = Lab::fresh("t-paused");
    let mut command = lab.command("run", &["--keep", "never", "--pause-after", "probe-primary"]);
    // Open, and never written to: nobody presses Enter.
    command.stdin(Stdio::piped());
    let mut run = Running::start(&lab, command);
    run.until(r#""event":"paused""#);
    assert!(run.signal("INT"));
    assert_eq!(run.ends_within(LIMIT).code(), Some(130));
    assert_eq!(lab.remains(), Vec::<String>::new());
}

#[test]
fn a_signal_while_images_are_built_ends_the_build() {
    let lab = Lab::fresh("t-build");
    let home = tempfile::tempdir().expect("a folder");
    let mut command = lab.command("run", &["--keep", "never"]);
    // Nothing is built there, so the run begins with the recipes.
    command.env("MESHPROOF_HOME", home.path());
    let mut run = Running::start(&lab, command);
    run.until(r#""event":"lab-started","id":"image-"#);
    std::thread::sleep(Duration::from_secs(3));
    assert!(run.signal("INT"));
    assert_eq!(run.ends_within(LIMIT).code(), Some(130));
    judge_junit(&lab, "images", "INT");
    let cache = home.path().join("cache");
    assert_eq!(crate::calling::processes_of(&cache), Vec::<String>::new(), "no recipe goes on");
    let (finished, unfinished) = recipes(&run.events());
    assert!(!unfinished.is_empty(), "the signal came while some recipe was under way");
    let built = std::fs::read_dir(cache.join("artefacts")).into_iter().flatten().flatten();
    for folder in built.map(|entry| entry.file_name().to_string_lossy().into_owned()) {
        let recipe = folder.rsplit_once('-').map_or(folder.as_str(), |(recipe, _)| recipe);
        assert!(finished.contains(recipe), "{folder} counts as built, and was not finished: {finished:?}");
    }
}

/// The recipes that the events call finished, and those that were begun and not.
fn recipes(events: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut finished, mut begun) = (BTreeSet::new(), BTreeSet::new());
    for line in events.lines() {
        let event: serde_json::Value = serde_json::from_str(line).expect("every line is an event");
        let Some(recipe) = event["id"].as_str().and_then(|id| id.strip_prefix("image-")) else { continue };
        match event["event"].as_str() {
            Some("lab-started") => drop(begun.insert(recipe.to_string())),
            Some("lab-finished") if event["error"].is_null() => drop(finished.insert(recipe.to_string())),
            _ => {}
        }
    }
    let unfinished = begun.difference(&finished).cloned().collect();
    (finished, unfinished)
}
