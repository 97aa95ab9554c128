//! Runs of the past, for a terminal.

use std::fmt;

use super::{BLANK, History, heading};
use crate::report::letters::LEGEND;
use crate::report::text::{columns, cut, one_line, seconds};

/// Bars of a chart, by height.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// So many of the newest runs are drawn, or have a letter.
const MOST: usize = 24;

/// Characters in a line of what broke first; the folder of the run has the rest.
const WIDTH: usize = 120;

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = columns(&self.table());
        let broken = self.rows.iter().map(|row| row.broken.as_deref());
        for (line, broken) in table.lines().zip(std::iter::once(None).chain(broken)) {
            writeln!(f, "{line}")?;
            if let Some(broken) = broken {
                writeln!(f, "{}", cut(&format!("     {}", one_line(broken)), WIDTH))?;
            }
        }
        let durations = self.durations();
        if !durations.is_empty() {
            writeln!(f, "\nhow long green runs took, the newest at the right")?;
            f.write_str(&columns(&durations.iter().map(|(kind, all)| chart(kind, all)).collect::<Vec<_>>()))?;
        }
        if !self.checks.is_empty() {
            writeln!(f)?;
            f.write_str(&columns(&self.of_checks()))?;
            writeln!(f, "{LEGEND}\n{BLANK}")?;
        }
        Ok(())
    }
}

impl History {
    fn table(&self) -> Vec<Vec<String>> {
        let head = ["run", "folder", "verb", "what", "istio", "kubernetes", "verdict", "took", "flaky"];
        let row = |(at, row): (usize, &super::Row)| {
            vec![
                format!("{:>3}", at + 1),
                one_line(&row.folder()),
                row.verb.clone(),
                one_line(&row.name),
                row.istio.clone(),
                row.kubernetes.clone(),
                row.verdict().to_string(),
                seconds(row.seconds),
                if row.flaky > 0 { row.flaky.to_string() } else { String::new() },
            ]
        };
        [head.map(str::to_string).to_vec()].into_iter().chain(self.rows.iter().enumerate().map(row)).collect()
    }

    fn of_checks(&self) -> Vec<Vec<String>> {
        let runs = self.newest(MOST);
        let head = ["check", "judged", "as expected", "flaky", &heading(&runs)].map(str::to_string).to_vec();
        let row = |check: &super::CheckRow| {
            vec![
                check.name.clone(),
                check.judged.to_string(),
                check.rate(),
                if check.flaky > 0 { check.flaky.to_string() } else { String::new() },
                check.letters(runs.clone()),
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
