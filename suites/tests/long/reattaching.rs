//! `check` and `install` on a lab whose run was killed: what was not done is named, and can be gone on with.

use std::time::Duration;

use crate::calling::{Lab, docker, kubectl, node};
use crate::running::Running;

const SLOW: &[&str] = &["--slow", "2"];

#[test]
fn a_lab_whose_run_was_killed_is_judged_as_it_stands_and_can_be_gone_on_with() {
    let lab = Lab::fresh("t-again");
    kill_run(&lab, "run", &["--keep", "always", "--slow", "2"], r#""event":"step-started","id":"remote-install""#, 2);

    // Killed in the middle of the install: what needs the rest of it cannot be asked, and says so.
    assert_eq!(lab.call("check", SLOW), 3, "{:#?}", lab.verdicts());
    let verdicts = lab.verdicts();
    for (id, step) in [("D5", "remote-install"), ("D6", "remote-secret"), ("D11", "remote-install")] {
        let shown = &verdicts[id];
        assert!(shown.starts_with("Skipped") && shown.contains(step), "{id} is blocked by {step}: {shown}");
    }
    for (id, shown) in &verdicts {
        let may = ["passed", "Skipped", "Error"].iter().any(|kind| shown.starts_with(kind));
        assert!(may, "nothing is called wrong that was only not done: {id}: {shown}");
    }
    assert_eq!(lab.call("install", SLOW), 0, "{:#?}", lab.verdicts());
    assert_eq!(lab.call("check", SLOW), 0, "{:#?}", lab.verdicts());
    println!("bad days: a run killed in its install was gone on with");

    // Killed while a check has scaled a deployment up: the next one begins where it should.
    kill_run(&lab, "check", SLOW, "2 ready pods app=scaled", 0);
    let replicas = ["-n", "meshproof-sample", "get", "deployment", "scaled", "-o", "jsonpath={.spec.replicas}"];
    assert_eq!(kubectl(&lab, "cluster2", &replicas), "2", "the kill came while it was scaled up");
    assert_eq!(lab.call("check", SLOW), 0, "{:#?}", lab.verdicts());
    println!("bad days: a killed check left nothing that the next one stumbles over");

    // A node that is gone with the mesh installed: nothing is green by accident.
    docker(&["rm", "--force", "--volumes", &node(&lab, "cluster1")]);
    assert_eq!(lab.call("check", SLOW), 3);
    assert!(!lab.verdicts().values().any(|shown| shown == "passed"), "{:#?}", lab.verdicts());
    lab.down();
    assert_eq!(lab.remains(), Vec::<String>::new());
}

fn kill_run(lab: &Lab, verb: &str, flags: &[&str], said: &str, seconds: u64) {
    let mut run = Running::start(lab, lab.command(verb, flags));
    run.until(said);
    std::thread::sleep(Duration::from_secs(seconds));
    assert!(run.signal("KILL"), "it was under way");
}
