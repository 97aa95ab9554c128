//! Ctrl-C, kill -9 and bad input: JUnit is closed, and nothing stays that `down` does not remove.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::calling::{Lab, MESHPROOF};

/// A run in the background; ended with the test, however that ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a run and waits until its events say this.
fn run_until(lab: &Lab, said: &str) -> Running {
    let mut command = lab.command("run", &["--keep", "never"]);
    let run = Running(command.stderr(Stdio::null()).spawn().expect("meshproof can be started"));
    let deadline = Instant::now() + Duration::from_secs(180);
    loop {
        let events = std::fs::read_to_string(lab.runs.join("latest/events.jsonl")).unwrap_or_default();
        if events.contains(said) {
            return run;
        }
        assert!(Instant::now() < deadline, "the run never said {said}: {events}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn signal(run: &Running, name: &str) {
    let status = Command::new("kill").args([name, &run.0.id().to_string()]).status().expect("kill can be started");
    assert!(status.success());
}

#[test]
fn an_interrupt_closes_junit_keeps_diagnostics_and_removes_the_lab() {
    let lab = Lab::fresh("t-int");
    let mut run = run_until(&lab, r#""event":"step-started","id":"eastwest-gateway""#);
    signal(&run, "-INT");
    let status = run.0.wait().expect("it ends");
    assert_eq!(status.code(), Some(130));
    let verdicts = lab.verdicts();
    assert!(verdicts.values().all(|shown| shown.starts_with("Error")), "nothing was judged: {verdicts:#?}");
    assert!(verdicts.values().any(|shown| shown.contains("interrupted")), "the reason is said: {verdicts:#?}");
    assert!(lab.runs.join("latest/diagnostics").is_dir(), "diagnostics are kept");
    assert_eq!(lab.remains(), Vec::<String>::new());
}

#[test]
fn down_removes_what_a_kill_9_left() {
    let lab = Lab::fresh("t-kill");
    let mut run = run_until(&lab, r#""event":"lab-started","id":"cluster-remote""#);
    std::thread::sleep(Duration::from_secs(3));
    signal(&run, "-KILL");
    let _ = run.0.wait();
    assert!(!lab.remains().is_empty(), "the kill came while something was there");
    lab.down();
    assert_eq!(lab.remains(), Vec::<String>::new());
}

#[test]
fn the_images_that_the_lab_runs_on_are_sound() {
    let output = Command::new(MESHPROOF).args(["images", "verify"]).output().expect("meshproof can be started");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("lab-node"), "{said}");
}

#[test]
fn a_subnet_that_the_host_has_taken_is_refused_before_anything_is_created() {
    let lab = Lab::fresh("t-clash");
    let scenario = lab.runs.with_extension("yaml");
    // Docker's own bridge is on every engine.
    let bridge = crate::calling::docker(&["network", "inspect", "bridge", "-f", "{{(index .IPAM.Config 0).Subnet}}"]);
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
