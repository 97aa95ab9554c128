//! A scenario that does one of everything: with two remotes, installed otherwise, changed moment by moment, judged meanwhile,
//! cleaned up.

use std::path::Path;

use crate::calling::Lab;

#[test]
fn a_timeline_is_carried_out_and_each_of_its_rounds_is_judged_as_expected_or_red() {
    let lab = Lab::fresh("t-timeline");
    let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/timeline.yaml");
    let (exit, said) = lab.ask("run", &["--scenario", &scenario.to_string_lossy(), "--keep", "never"]);
    assert_eq!(exit, 1, "an expected red that is green is no green");
    let mut verdicts = lab.verdicts();
    let wrong = verdicts.remove("wrong/D4").expect("the round is in the report");
    assert_eq!(wrong, "Failure: expected failed, got passed");
    // The expected reds are among them, and D12: what the scenario made is gone before it is asked.
    let others: Vec<_> = verdicts.iter().filter(|(_, shown)| *shown != "passed").collect();
    assert!(others.is_empty(), "{others:?}");
    // So what befalls one remote is not told of the other.
    for told in ["late/D9", "late/cluster3/D9", "broken/D4", "broken/cluster3/D4", "D4", "cluster3/D9", "cluster3/D12"]
    {
        assert!(verdicts.contains_key(told), "{told} is not in {verdicts:?}");
    }
    for line in ["timeline-8  Deployment meshproof-sample/echo-v2", "late/D9 root-configmaps-written", "as expected"] {
        assert!(said.contains(line), "{line} is not said");
    }
    let diagnosed = |round: &str| lab.runs.join(format!("latest/diagnostics-{round}")).is_dir();
    assert_eq!([diagnosed("wrong"), diagnosed("late"), diagnosed("broken")], [true, false, false]);
    assert_eq!(lab.remains(), Vec::<String>::new());
}
