//! `kill -9` at ten random moments, spread over all phases of a run: `down` leaves nothing, and the next run works.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::calling::{Lab, docker};
use crate::running::Running;

/// A phase of a run: what its events say when it begins, and how many seconds later the kill comes at the latest.
struct Phase {
    name: &'static str,
    begins: &'static str,
    seconds: f64,
}

const fn phase(name: &'static str, begins: &'static str, seconds: f64) -> Phase {
    Phase { name, begins, seconds }
}

const PHASES: [Phase; 10] = [
    phase("image check", r#""event":"run-started""#, 0.3),
    phase("network", r#""event":"lab-started","id":"network""#, 0.3),
    phase("node containers", r#""event":"lab-started","id":"cluster-remote""#, 2.0),
    phase("kubeadm", r#""event":"lab-started","id":"cluster-remote""#, 15.0),
    phase("routes", r#""event":"lab-started","id":"routes""#, 0.5),
    phase("begin of the install", r#""event":"step-started","id":"primary-install""#, 8.0),
    phase("end of the install", r#""event":"step-started","id":"remote-install""#, 15.0),
    phase("checks", r#""event":"case-started""#, 6.0),
    phase("clean-up", r#""event":"step-started","id":"remove-workloads-remote""#, 25.0),
    phase("removal", r#""event":"lab-started","id":"remove-"#, 1.0),
];

/// How long something would have to show up that goes on behind the back of `down`.
const BEHIND: Duration = Duration::from_secs(6);

#[test]
fn what_a_kill_9_leaves_at_any_moment_down_removes_and_the_next_run_works() {
    let seed = std::env::var("MESHPROOF_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(a_new_seed);
    println!("bad days: kills with MESHPROOF_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let lab = Lab::fresh("t-kills");
    let temporary = tempfile::tempdir().expect("a folder");
    let volumes = dangling_volumes();
    for (index, phase) in PHASES.iter().enumerate() {
        let delay = Duration::from_secs_f64(random.f64() * phase.seconds);
        println!(
            "kill {} of {}: {}, {:.2} s after its begin",
            index + 1,
            PHASES.len(),
            phase.name,
            delay.as_secs_f64()
        );
        let mut command = lab.command("run", &["--keep", "never", "--slow", "2"]);
        command.env("TMPDIR", temporary.path());
        let mut run = Running::start(&lab, command);
        run.until(phase.begins);
        std::thread::sleep(delay);
        assert!(run.signal("KILL"), "the run was under way when it was killed");
        drop(run);
        let (exit, said) = lab.ask("down", &[]);
        assert_eq!(exit, 0, "{said}");
        assert_eq!(lab.remains(), Vec::<String>::new(), "killed in {}: {said}", phase.name);
        std::thread::sleep(BEHIND);
        assert_eq!(lab.remains(), Vec::<String>::new(), "killed in {}, and a while later: {said}", phase.name);
        let files: Vec<_> = std::fs::read_dir(temporary.path()).expect("it is there").flatten().collect();
        assert!(files.is_empty(), "killed in {}: temporary files stay: {files:?}", phase.name);
    }
    let left: Vec<String> = dangling_volumes().difference(&volumes).cloned().collect();
    assert!(left.is_empty(), "volumes stay: {left:?}");
    println!("bad days: {} of {} kills left nothing behind", PHASES.len(), PHASES.len());
    assert_eq!(lab.call("run", &["--keep", "never", "--slow", "2"]), 0, "{:#?}", lab.verdicts());
    assert_eq!(lab.remains(), Vec::<String>::new());
    println!("bad days: the run after {} kills is green", PHASES.len());
}

fn a_new_seed() -> u64 {
    fastrand::u64(..1_000_000)
}

fn dangling_volumes() -> BTreeSet<String> {
    let listed = docker(&["volume", "ls", "-q", "--filter", "dangling=true"]);
    String::from_utf8_lossy(&listed.stdout).lines().map(ToString::to_string).collect()
}
