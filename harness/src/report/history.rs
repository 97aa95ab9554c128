//! Runs of the past, the newest last: what each was, how long it took, and how often each check passed.

mod html;
mod link;
mod text;

pub use link::link;

use std::ops::Range;
use std::path::PathBuf;

use super::letters::letter;
use super::likeness::Likeness;
use super::summary::Summary;
use crate::check::Verdict;
use crate::exit::Exit;

/// Characters in which the letter of a run stands: `R!`.
const LETTER: usize = 2;

/// Runs of the past.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// Runs, the newest last.
    rows: Vec<Row>,
    /// Checks, in the order in which they were first met.
    checks: Vec<CheckRow>,
}

/// One run.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    /// Its folder.
    folder: PathBuf,
    /// When it began; none where its events do not say.
    started: Option<jiff::Timestamp>,
    /// The verb that was called.
    verb: String,
    /// What was judged: the name of the scenario, or of contexts or archives.
    name: String,
    /// Versions of Istio and Kubernetes, as far as it chose them.
    istio: String,
    kubernetes: String,
    /// How it ended.
    exit: Exit,
    /// Whether it ended at all.
    ended: bool,
    /// Wall-clock seconds.
    seconds: f64,
    /// How many checks passed only after an attempt that did not.
    flaky: usize,
    /// What broke first, where something did.
    broken: Option<String>,
    /// What it has in common with runs whose times can be compared with its own; none where its events do not say.
    likeness: Option<Likeness>,
}

/// One check over all runs that planned it.
#[derive(Debug, Clone, PartialEq)]
struct CheckRow {
    /// Id and slug.
    name: String,
    /// Runs that judged it: it passed or failed, or could not be told.
    judged: usize,
    /// Runs in which it was as expected.
    fine: usize,
    /// Runs in which it passed after an attempt that did not.
    flaky: usize,
    /// The letter of each run that planned it, with the place of the run among all, the newest last.
    letters: Vec<(usize, String)>,
}

impl Row {
    fn of(folder: PathBuf, summary: &Summary) -> Row {
        let (head, plan) = (summary.head.as_ref(), summary.plan.as_ref());
        let scenario = summary.plan.as_ref().and_then(|plan| plan.scenario());
        let said = |text: Option<&String>| text.cloned().unwrap_or_else(|| "-".to_string());
        let exit = Exit::so_far(summary);
        let broken = summary.first_broken().filter(|_| exit != Exit::Green);
        Row {
            folder,
            started: head.map(|head| head.started),
            verb: said(head.map(|head| &head.verb)),
            name: plan.map_or("-".to_string(), |plan| plan.name()),
            istio: said(scenario.map(|scenario| &scenario.istio)),
            kubernetes: said(scenario.map(|scenario| &scenario.kubernetes)),
            exit,
            ended: summary.finished.is_some(),
            seconds: summary.elapsed,
            flaky: summary.cases.iter().filter(|case| case.flaky()).count(),
            broken: broken.map(|trouble| format!("{}: {}", trouble.id, trouble.cause)),
            likeness: head.zip(plan).map(|(head, plan)| Likeness::of(&head.verb, plan)),
        }
    }

    /// When it began, for people.
    fn when(&self) -> String {
        self.started.map_or("-".to_string(), |time| time.strftime("%Y-%m-%d %H:%M").to_string())
    }

    /// How it ended, in a word.
    fn verdict(&self) -> &'static str {
        match self.exit {
            _ if !self.ended => "died",
            Exit::Green => "green",
            Exit::Red => "RED",
            Exit::Usage | Exit::NoVerdict => "no verdict",
            Exit::LeftOver => "left over",
            Exit::Interrupted => "interrupted",
        }
    }

    /// The name of its folder.
    fn folder(&self) -> String {
        self.folder
            .file_name()
            .map_or_else(|| self.folder.to_string_lossy(), |name| name.to_string_lossy())
            .into_owned()
    }
}

impl CheckRow {
    /// How often it was as expected where it was judged, in percent; nothing where it never was.
    fn rate(&self) -> String {
        if self.judged == 0 {
            return String::new();
        }
        format!("{:.0} %", 100.0 * self.fine as f64 / self.judged as f64)
    }

    /// Its letters of the runs from this one to the last before that one, so that those of each run stand below each other,
    /// whichever checks it planned.
    fn letters(&self, runs: Range<usize>) -> String {
        let letter = |run: usize| self.letters.iter().find(|(at, _)| *at == run).map_or("", |(_, letter)| letter);
        runs.map(|run| format!("{:<LETTER$}", letter(run))).collect()
    }
}

/// What stands above the letters of these runs.
fn heading(runs: &Range<usize>) -> String {
    format!("runs {} to {}, {LETTER} characters each", runs.start + 1, runs.end)
}

/// What it means that a letter is not there.
const BLANK: &str = "blank where a run did not plan the check";

impl History {
    /// Of these runs with their folders, the newest last.
    pub fn of(runs: impl Iterator<Item = (PathBuf, Summary)>) -> History {
        let mut history = History::default();
        for (folder, summary) in runs {
            history.rows.push(Row::of(folder, &summary));
            summary.cases.iter().for_each(|case| history.take(case));
        }
        history
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The newest of its runs, at most so many.
    fn newest(&self, most: usize) -> Range<usize> {
        self.len().saturating_sub(most)..self.len()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    fn take(&mut self, case: &super::summary::CaseRun) {
        let name = case.name();
        let at = self.checks.iter().position(|check| check.name == name).unwrap_or_else(|| {
            self.checks.push(CheckRow { name, judged: 0, fine: 0, flaky: 0, letters: Vec::new() });
            self.checks.len() - 1
        });
        let check = &mut self.checks[at];
        let verdict = case.verdict.as_ref().map_or("", Verdict::name);
        check.letters.push((self.rows.len() - 1, letter(verdict, &case.expected)));
        if matches!(case.verdict, Some(Verdict::Passed { .. } | Verdict::Failed { .. } | Verdict::Inconclusive { .. }))
        {
            check.judged += 1;
            check.fine += usize::from(case.standing().is_fine());
            check.flaky += usize::from(case.flaky());
        }
    }

    /// Durations of green runs that can be compared, the newest last; in the order in which each kind was first met.
    fn durations(&self) -> Vec<(String, Vec<f64>)> {
        let mut kinds: Vec<(&Likeness, Vec<f64>)> = Vec::new();
        for row in self.rows.iter().filter(|row| row.ended && row.exit == Exit::Green) {
            let Some(likeness) = &row.likeness else { continue };
            match kinds.iter_mut().find(|(of, _)| *of == likeness) {
                Some((_, all)) => all.push(row.seconds),
                None => kinds.push((likeness, vec![row.seconds])),
            }
        }
        kinds.into_iter().map(|(likeness, all)| (likeness.to_string(), all)).collect()
    }
}
