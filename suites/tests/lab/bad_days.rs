//! Ctrl-C, kill -9 and bad input: JUnit is closed, and nothing stays that `down` does not remove.

use std::process::Command;
use std::time::Duration;

use crate::calling::{Lab, MESHPROOF, docker, images_alone};
use crate::running::Running;

/// Starts a run and waits until its events say this.
fn run_until(lab: &Lab, said: &str) -> Running {
    let mut run = Running::start(lab, lab.command("run", &["--keep", "never"]));
    run.until(said);
    run
}

#[test]
fn an_interrupt_closes_junit_keeps_diagnostics_and_removes_the_lab() {
    let lab = Lab::fresh("t-int");
    let mut run = run_until(&lab, r#""event":"step-started","id":"eastwest-gateway""#);
    // Diagnostics are those of both clusters.
    run.until(r#""event":"lab-finished","id":"cluster-remote""#);
    run.signal("INT");
    assert_eq!(run.ends_within(Duration::from_secs(120)).code(), Some(130));
    let verdicts = lab.verdicts();
    assert!(verdicts.values().all(|shown| shown.starts_with("Error")), "nothing was judged: {verdicts:#?}");
    assert!(verdicts.values().any(|shown| shown.contains("interrupted")), "the reason is said: {verdicts:#?}");
    assert!(lab.runs.join("latest/diagnostics").is_dir(), "diagnostics are kept");
    assert_eq!(lab.remains(), Vec::<String>::new());
}

/// The moments at which kind's own calls of the engine are under way: what they make shows up later.
#[test]
fn down_removes_what_a_kill_9_left_and_nothing_shows_up_behind_its_back() {
    let lab = Lab::fresh("t-kill");
    for milliseconds in [350, 600, 3000] {
        let mut run = run_until(&lab, r#""event":"lab-started","id":"cluster-remote""#);
        std::thread::sleep(Duration::from_millis(milliseconds));
        run.signal("KILL");
        drop(run);
        assert!(!lab.remains().is_empty(), "the kill came while something was there");
        lab.down();
        assert_eq!(lab.remains(), Vec::<String>::new(), "killed after {milliseconds} ms");
        std::thread::sleep(Duration::from_secs(5));
        assert_eq!(lab.remains(), Vec::<String>::new(), "killed after {milliseconds} ms, and a while later");
    }
}

/// kind needs longer than this, so there is no lab yet from which diagnostics could be taken.
#[test]
fn a_deadline_in_the_creation_says_so_in_junit_and_keeps_what_the_nodes_say() {
    let lab = Lab::fresh("t-late");
    let mut run = Running::start(&lab, lab.command("run", &["--keep", "never", "--deadline", "9s"]));
    assert_eq!(run.ends_within(Duration::from_secs(120)).code(), Some(3));
    let verdicts = lab.verdicts();
    assert!(verdicts.len() > 10, "every clause is in JUnit: {verdicts:#?}");
    for (id, shown) in &verdicts {
        assert!(shown.contains("reached its deadline"), "{id}: {shown}");
    }
    let diagnostics = lab.runs.join("latest/diagnostics");
    let node = format!("nodes/{}-cluster1-control-plane", lab.name);
    for file in ["causes.txt", "containers.txt", "primary/kind.log", &format!("{node}/output.log")] {
        let text = std::fs::read_to_string(diagnostics.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(!text.trim().is_empty(), "{file} says something");
    }
    assert_eq!(lab.remains(), Vec::<String>::new());
}

/// What `meshproof images verify` exits with, and says.
fn verified() -> (Option<i32>, String) {
    let output = Command::new(MESHPROOF).args(["images", "verify"]).output().expect("meshproof can be started");
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn an_image_that_the_lab_runs_on_is_sound_or_missing_when_the_engine_has_lost_it() {
    let _alone = images_alone();
    let (exit, said) = verified();
    assert_eq!(exit, Some(0), "{said}");
    let hash = said.lines().find_map(|line| line.strip_prefix("lab-node")).expect("the node of the lab is verified");
    let image = format!("meshproof/lab-node:{}", hash.split_whitespace().next().expect("it has a hash"));
    let kept = format!("meshproof-test/kept:{}", std::process::id());
    docker(&["tag", &image, &kept]);
    docker(&["image", "rm", &image]);
    let lost = verified();
    docker(&["tag", &kept, &image]);
    docker(&["image", "rm", &kept]);
    let line = lost.1.lines().find(|line| line.starts_with("lab-node")).unwrap_or_default();
    assert!(lost.0 == Some(3) && line.contains("missing; build it"), "{lost:?}");
    assert_eq!(verified().0, Some(0));
}

#[test]
fn a_subnet_that_the_host_has_taken_is_refused_before_anything_is_created() {
    let lab = Lab::fresh("t-clash");
    let scenario = lab.runs.with_extension("yaml");
    // Docker's own bridge is on every engine.
    let bridge = docker(&["network", "inspect", "bridge", "-f", "{{(index .IPAM.Config 0).Subnet}}"]);
    let subnet = String::from_utf8_lossy(&bridge.stdout).trim().to_string();
    std::fs::write(&scenario, format!("name: clash\nclusters:\n  primary:\n    podSubnet: {subnet}\nnetwrk: x\n"))
        .expect("it can be written");
    let output = Command::new(MESHPROOF)
        .args(["run", "--lab", lab.name, "--only", "D99", "--scenario"])
        .arg(&scenario)
        .output()
        .expect("meshproof can be started");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    for problem in ["netwrk", "D99"] {
        assert!(said.contains(problem), "all problems are said at once, {problem} too: {said}");
    }
    std::fs::write(&scenario, format!("name: clash\nclusters:\n  primary:\n    podSubnet: {subnet}\n"))
        .expect("it can be written");
    let output = Command::new(MESHPROOF)
        .args(["run", "--lab", lab.name, "--scenario"])
        .arg(&scenario)
        .output()
        .expect("meshproof can be started");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("Docker network bridge"), "the problem says who has the subnet: {said}");
    assert_eq!(lab.remains(), Vec::<String>::new());
}
