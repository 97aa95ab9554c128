//! Runs of the past, for a terminal.

use std::fmt;

use super::History;
use crate::report::letters::LEGEND;
use crate::report::text::{columns, one_line, seconds};

/// Bars of a chart, by height.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// So many of the newest runs of a kind are drawn, and have a letter.
const MOST: usize = 30;

/// Letters of what broke first that are shown; the folder of the run has the rest.
const CAUSE: usize = 100;

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&columns(&self.table()))?;
        let durations = self.durations();
        if !durations.is_empty() {
            writeln!(f, "\nhow long green runs took, the newest at the right")?;
            f.write_str(&columns(&durations.iter().map(|(kind, all)| chart(kind, all)).collect::<Vec<_>>()))?;
        }
        if !self.checks.is_empty() {
            writeln!(f)?;
            f.write_str(&columns(&self.of_checks()))?;
            writeln!(f, "{LEGEND}")?;
        }
        Ok(())
    }
}

impl History {
    fn table(&self) -> Vec<Vec<String>> {
        let head = ["when", "verb", "what", "istio", "kubernetes", "verdict", "took", "flaky", "first broken"];
        let row = |row: &super::Row| {
            let broken: String = one_line(row.broken.as_deref().unwrap_or_default()).chars().take(CAUSE).collect();
            vec![
                row.when(),
                row.verb.clone(),
                one_line(&row.name),
                row.istio.clone(),
                row.kubernetes.clone(),
                row.verdict().to_string(),
                seconds(row.seconds),
                if row.flaky > 0 { row.flaky.to_string() } else { String::new() },
                broken,
            ]
        };
        [head.map(str::to_string).to_vec()].into_iter().chain(self.rows.iter().map(row)).collect()
    }

    fn of_checks(&self) -> Vec<Vec<String>> {
        let head =
            ["check", "judged", "as expected", "flaky", "runs, the newest at the right"].map(str::to_string).to_vec();
        let row = |check: &super::CheckRow| {
            let letters = &check.letters[check.letters.len().saturating_sub(MOST)..];
            vec![
                check.name.clone(),
                check.judged.to_string(),
                check.rate(),
                if check.flaky > 0 { check.flaky.to_string() } else { String::new() },
                letters.concat(),
            ]
        };
        [head].into_iter().chain(self.checks.iter().map(row)).collect()
    }
}

fn chart(kind: &str, all: &[f64]) -> Vec<String> {
    let shown = &all[all.len().saturating_sub(MOST)..];
    let (least, most) =
        shown.iter().fold((f64::INFINITY, 0.0_f64), |(least, most), one| (least.min(*one), most.max(*one)));
    // From nothing up, so that twice as high is twice as long.
    let bar = |one: &f64| BARS[((one / most * 8.0).ceil() as usize).clamp(1, 8) - 1];
    let range = if shown.len() > 1 { format!("{} to {}", seconds(least), seconds(most)) } else { String::new() };
    let newest = shown.last().map_or(String::new(), |one| format!("newest {}", seconds(*one)));
    vec![one_line(kind), newest, range, shown.iter().map(bar).collect()]
}
