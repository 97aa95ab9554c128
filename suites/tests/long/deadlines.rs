//! The run's deadline in every phase: no verdict, JUnit says why, and the lab is as `--keep` says.

use std::time::{Duration, Instant};

use crate::calling::Lab;
use crate::running::Running;

const DEADLINE: Duration = Duration::from_secs(150);

/// A phase and what the events say when it begins.
const PHASES: [(&str, &str, &str); 3] = [
    ("install", r#""event":"step-started","id":"remote-install""#, "on-failure"),
    ("checks", r#""event":"case-started""#, "never"),
    ("clean-up", r#""event":"step-started","id":"uninstall-primary""#, "never"),
];

#[test]
fn a_deadline_in_any_phase_closes_the_reports_and_leaves_what_keep_says() {
    let lab = Lab::fresh("t-late");
    for (phase, begins, keep) in PHASES {
        println!("deadline in {phase}");
        let began = Instant::now();
        let command = lab.command("run", &["--keep", keep, "--slow", "2", "--deadline", "150s"]);
        let mut run = Running::start(&lab, command);
        run.until(begins);
        // Held in this phase until the deadline has come; it goes off as soon as the run may go on.
        run.signal("STOP");
        std::thread::sleep((DEADLINE + Duration::from_secs(1)).saturating_sub(began.elapsed()));
        run.signal("CONT");
        let status = run.ends_within(Duration::from_secs(250));
        let said = run.said();
        assert_eq!(status.code(), Some(3), "{phase}: {said}");
        let verdicts = lab.verdicts();
        let unjudged: Vec<_> = verdicts.iter().filter(|(_, shown)| shown.starts_with("Error")).collect();
        assert!(!unjudged.is_empty(), "{phase}: {verdicts:#?}");
        for (id, shown) in unjudged {
            assert!(shown.contains("the run reached its deadline"), "{phase}: {id}: {shown}");
        }
        assert!(lab.runs.join("latest/diagnostics/README.md").is_file(), "{phase}: {said}");
        assert_eq!(lab.remains().is_empty(), keep == "never", "{phase}: {:?}: {said}", lab.remains());
        lab.down();
        assert_eq!(lab.remains(), Vec::<String>::new());
    }
    println!("bad days: {} of {} deadlines ended their run in order", PHASES.len(), PHASES.len());
}
