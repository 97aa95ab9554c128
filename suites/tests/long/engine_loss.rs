//! The engine goes: restarted under a kept lab, and gone in the middle of a run.

use std::time::Duration;

use crate::calling::Lab;
use crate::private_engine::PrivateEngine;
use crate::running::Running;

const SLOW: &[&str] = &["--slow", "2"];

#[test]
fn a_lab_whose_engine_went_says_so_and_can_be_removed() {
    let mut engine = PrivateEngine::start();
    let lab = Lab::fresh_on("t-engine", Some(engine.access()));
    assert_eq!(lab.call("up", SLOW), 0);
    assert_eq!(lab.call("install", SLOW), 0);
    assert_eq!(lab.call("check", SLOW), 0, "{:#?}", lab.verdicts());

    engine.stop();
    let (exit, said) = lab.ask("status", &[]);
    assert_eq!(exit, 0);
    assert!(said.contains("No Docker engine answers"), "{said}");
    let (exit, said) = lab.ask("check", SLOW);
    assert_eq!(exit, 2, "{said}");
    assert!(said.contains("no Docker engine answers"), "{said}");

    engine.resume();
    let (exit, said) = lab.ask("status", &[]);
    assert_eq!(exit, 0);
    assert!(said.contains("broken: ") && said.contains("to mend it: meshproof down"), "{said}");
    let exit = lab.call("check", SLOW);
    let verdicts = lab.verdicts();
    assert!([1, 3].contains(&exit), "a lab that lost its routes or nodes is not green: {exit}: {verdicts:#?}");
    assert_ne!(verdicts.get("D11").map(String::as_str), Some("passed"), "{verdicts:#?}");
    lab.down();
    assert_eq!(lab.remains(), Vec::<String>::new());
    println!("bad days: a lab whose engine was restarted says so and is removed");

    let mut run = Running::start(&lab, lab.command("run", &["--keep", "never", "--slow", "2"]));
    run.until(r#""event":"lab-started","id":"cluster-remote""#);
    std::thread::sleep(Duration::from_secs(5));
    engine.kill();
    let status = run.ends_within(Duration::from_secs(300));
    let said = run.said();
    assert_eq!(status.code(), Some(3), "{said}");
    assert!(said.contains("no Docker engine answers"), "the reason is said: {said}");
    let verdicts = lab.verdicts();
    assert!(verdicts.values().any(|shown| shown.starts_with("Error")), "JUnit is red: {verdicts:#?}");
    println!("bad days: a run whose engine was killed says so");
}
