//! Several runs in a row: how many passed, what failed and how often, and how long each part took.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::summary::{LongestWait, Summary};
use super::text::{count, one_line};
use super::times::Part;
use crate::exit::{Exit, Standing};

/// Name of what they come to in the folder of the series.
pub const FILE: &str = "repeats.txt";

/// What runs in a row came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Repeats {
    exits: Vec<Exit>,
    /// Wall-clock seconds of each run.
    whole: Vec<f64>,
    /// Wall-clock seconds of each part, of the runs that had it.
    parts: BTreeMap<Part, Vec<f64>>,
    /// The longest wait under each time limit, of the green runs, in which nothing was waited for in vain.
    waits: BTreeMap<String, LongestWait>,
    /// What was otherwise than expected, with the numbers of the runs and the first cause.
    failures: BTreeMap<String, (Vec<u32>, String)>,
    /// Checks that passed only at the second attempt, with the numbers of the runs and what the first attempt said.
    flaky: BTreeMap<String, (Vec<u32>, String)>,
}

impl Repeats {
    /// How many runs there were.
    pub fn runs(&self) -> u32 {
        u32::try_from(self.exits.len()).unwrap_or(u32::MAX)
    }

    /// Adds a run.
    pub fn add(&mut self, exit: Exit, summary: &Summary) {
        self.exits.push(exit);
        self.whole.push(summary.elapsed);
        for (part, seconds) in summary.times.rows(summary.elapsed) {
            self.parts.entry(part).or_default().push(seconds);
        }
        if exit == Exit::Green {
            for (limit, wait) in &summary.waits {
                wait.clone().keep(&mut self.waits, limit.clone());
            }
        }
        let number = self.runs();
        let mut failed = Vec::new();
        for case in &summary.cases {
            if case.flaky() {
                note(&mut self.flaky, case.name(), number, &case.failed_attempts.join("; "));
            }
            // What is blocked is so by another, which is listed itself.
            let told = case.standing() == Standing::Unexpected
                || matches!(case.verdict, Some(crate::check::Verdict::Inconclusive { .. }));
            if told {
                failed.push((case.name(), summary.cause_of(case)));
            }
        }
        let others = summary.obstacles().into_iter().filter(|trouble| trouble.class != "case");
        failed.extend(others.map(|trouble| (trouble.id, trouble.cause)));
        if failed.is_empty() && exit != Exit::Green {
            failed.push(("the run".to_string(), exit.meaning().to_string()));
        }
        for (what, cause) in failed {
            note(&mut self.failures, what, number, &cause);
        }
    }

    /// The exit code of all: that of a signal, else that of the worst run.
    pub fn exit(&self) -> Exit {
        Exit::worst(self.exits.iter().copied())
    }

    /// As lines for a terminal.
    pub fn text(&self) -> String {
        let green = self.exits.iter().filter(|exit| **exit == Exit::Green).count();
        let mut text = format!("{green} of {} green\n", count(self.exits.len(), "run"));
        for (title, rows) in [("failed", &self.failures), ("flaky", &self.flaky)] {
            for (what, (numbers, cause)) in rows {
                let runs: Vec<String> = numbers.iter().map(u32::to_string).collect();
                let _ = writeln!(text, "{title}: {what} in run {}: {}", runs.join(", "), one_line(cause));
            }
        }
        let _ = writeln!(text, "{:14} {:>8} {:>8} {:>8}   seconds, by the nearest rank", "part", "p50", "p95", "max");
        let parts = self.parts.iter().map(|(part, seconds)| (part.name(), seconds));
        for (name, seconds) in parts.chain([("whole run", &self.whole)]) {
            let [p50, p95, max] = [0.5, 0.95, 1.0].map(|share| rank(seconds, share));
            let _ = writeln!(text, "{name:14} {p50:>8.1} {p95:>8.1} {max:>8.1}");
        }
        if !self.waits.is_empty() {
            let _ = writeln!(
                text,
                "{:14} {:>8} {:>8} {:>8}   the longest of the green runs",
                "wait", "seconds", "limit", "share"
            );
        }
        for (name, wait) in &self.waits {
            let (LongestWait { scope, what, seconds, limit }, share) = (wait, wait.share() * 100.0);
            let _ = writeln!(
                text,
                "{name:14} {seconds:>8.1} {limit:>8.0} {share:>6.0} %   {}",
                one_line(&format!("{scope}: {what}"))
            );
        }
        text
    }
}

fn note(rows: &mut BTreeMap<String, (Vec<u32>, String)>, what: String, number: u32, cause: &str) {
    let row = rows.entry(what).or_insert_with(|| (Vec::new(), cause.to_string()));
    row.0.push(number);
}

/// The smallest value that at least this share of all does not exceed; 0 of none.
fn rank(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let index = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(index.max(1) - 1).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{LongestWait, Repeats, rank};
    use crate::exit::Exit;
    use crate::report::Summary;

    #[rstest]
    #[case::of_none(&[], 0.5, 0.0)]
    #[case::of_one(&[3.0], 0.95, 3.0)]
    #[case::the_middle(&[4.0, 1.0, 3.0, 2.0], 0.5, 2.0)]
    #[case::all_but_one_in_twenty(&[9.0, 1.0, 2.0], 0.95, 9.0)]
    #[case::the_largest(&[2.0, 7.0], 1.0, 7.0)]
    fn a_rank_is_a_value_that_was_seen(#[case] values: &[f64], #[case] share: f64, #[case] expected: f64) {
        assert_eq!(rank(values, share), expected);
    }

    #[rstest]
    #[case::all_green(&[Exit::Green, Exit::Green], Exit::Green, "2 of 2 runs green")]
    #[case::one_red(&[Exit::NoVerdict, Exit::Red, Exit::Green], Exit::Red, "1 of 3 runs green")]
    #[case::interrupted(&[Exit::Red, Exit::Interrupted], Exit::Interrupted, "0 of 2 runs green")]
    fn the_worst_run_decides(#[case] exits: &[Exit], #[case] expected: Exit, #[case] line: &str) {
        let mut repeats = Repeats::default();
        for exit in exits {
            repeats.add(*exit, &Summary::default());
        }
        assert_eq!(repeats.exit(), expected);
        assert!(repeats.text().starts_with(line), "{}", repeats.text());
    }

    #[test]
    fn the_longest_wait_of_the_green_runs_is_shown_beside_its_limit() {
        let mut repeats = Repeats::default();
        for (exit, seconds) in [(Exit::Green, 3.0), (Exit::Green, 6.0), (Exit::Green, 1.5), (Exit::Red, 30.0)] {
            let wait = LongestWait { scope: "D9".to_string(), what: "the configmap".to_string(), seconds, limit: 30.0 };
            repeats.add(exit, &Summary { waits: [("converge".to_string(), wait)].into(), ..Summary::default() });
        }
        let text = repeats.text();
        let line = text.lines().last().expect("a line");
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words, ["converge", "6.0", "30", "20", "%", "D9:", "the", "configmap"]);
    }
}
