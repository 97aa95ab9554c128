//! What is otherwise in one run than in another: verdicts, what they were made of, times beyond noise, and evidence.

mod markdown;
mod text;
mod volatile;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

pub use markdown::markdown;

use super::facts;
use super::summary::{CaseRun, Summary};
use crate::check::evidence::Item;
use crate::check::{Evidence, Verdict};
use crate::exit::{Exit, Standing};

/// A time counts as another if it differs by more than this share of the one before ...
pub const SHARE: f64 = 0.25;

/// ... and by more seconds than this.
pub const SECONDS: f64 = 2.0;

/// The form of its JSON; another number where a program that reads it has to be changed.
const FORM: u32 = 1;

#[derive(Serialize)]
struct Told<'a> {
    form: u32,
    worse: Worse,
    #[serde(flatten)]
    difference: &'a Difference,
}

/// What `--fail-on` asks for.
#[derive(Serialize)]
struct Worse {
    verdict: bool,
    time: bool,
}

/// What is otherwise.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// How the runs ended; of several the worst.
    pub exits: Option<Change>,
    /// Cases of another verdict, or that stand otherwise to what is expected of them.
    pub verdicts: Vec<Change>,
    /// Cases in the first run alone: worse where they were as expected, for nothing says so any more.
    pub gone: Vec<Change>,
    /// Cases in the second run alone: worse where they are not as expected.
    pub new: Vec<Change>,
    /// Versions, digests, data plane and deviations.
    pub facts: Vec<Change>,
    /// Times that differ beyond noise.
    pub times: Vec<TimeChange>,
    /// Evidence of cases that both runs judged with the same verdict.
    pub evidence: Vec<EvidenceChange>,
}

/// One thing that is otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What.
    pub what: String,
    /// As it was; empty where it was not there.
    pub before: String,
    /// As it is; empty where it is not there.
    pub after: String,
    /// Whether it is worse.
    pub worse: bool,
    /// Why it is so now, in one line; empty where nothing says so.
    pub cause: String,
}

/// A time that differs beyond noise.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TimeChange {
    /// The part of the run, step or case.
    pub what: String,
    /// Seconds in the first run, or the least and the most of several.
    pub before: (f64, f64),
    /// Seconds in the second.
    pub after: (f64, f64),
    /// Whether it took longer.
    pub worse: bool,
}

/// Evidence that only one of the runs has, with what means nothing left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EvidenceChange {
    /// Name of the case.
    pub case: String,
    /// Only in the first run.
    pub before: Vec<String>,
    /// Only in the second run.
    pub after: Vec<String>,
}

impl Change {
    fn of(what: String) -> Change {
        Change { what, ..Change::default() }
    }
}

impl Difference {
    /// Between one run or several, the newest last, and others. Of several the worst verdict counts, all of their times, and what
    /// the newest was made of and saw.
    pub fn of(before: &[Summary], after: &[Summary]) -> Difference {
        let (Some(old), Some(new)) = (before.last(), after.last()) else { return Difference::default() };
        let (earlier, later) = (cases(before), cases(after));
        Difference {
            exits: exits(before, after),
            verdicts: in_order(new, &later)
                .into_iter()
                .filter_map(|case| verdict(earlier.get(&case.name())?, case, after))
                .collect(),
            gone: only(&earlier, &later)
                .map(|case| Change { before: shown(case), worse: badness(case) == 0, ..Change::of(case.name()) })
                .collect(),
            new: only(&later, &earlier)
                .map(|case| Change { after: shown(case), worse: badness(case) > 1, ..Change::of(case.name()) })
                .collect(),
            facts: changes(&facts::of_what(old), &facts::of_what(new)),
            times: times(before, after),
            evidence: new
                .cases
                .iter()
                .filter_map(|case| evidence((old.case(&case.outline.id)?, lab(old)), (case, lab(new))))
                .collect(),
        }
    }

    /// Whether nothing is otherwise.
    pub fn is_nothing(&self) -> bool {
        *self == Difference::default()
    }

    /// Whether a verdict got worse.
    pub fn verdict_is_worse(&self) -> bool {
        self.exits.iter().chain(&self.verdicts).chain(&self.gone).chain(&self.new).any(|change| change.worse)
    }

    /// Whether something took longer, beyond noise, or the second run ended worse: one that broke or died early was only faster.
    pub fn time_is_worse(&self) -> bool {
        self.times.iter().any(|time| time.worse) || self.exits.iter().any(|exit| exit.worse)
    }

    /// For programs.
    pub fn json(&self) -> String {
        let worse = Worse { verdict: self.verdict_is_worse(), time: self.time_is_worse() };
        let told = Told { form: FORM, worse, difference: self };
        serde_json::to_string_pretty(&told).unwrap_or_default() + "\n"
    }
}

/// How bad it is that a case stands so: a case that is not asked any more proves less than one that is as expected.
fn badness(case: &CaseRun) -> u8 {
    match case.standing() {
        Standing::AsExpected => 0,
        Standing::Neutral => 1,
        Standing::Untold => 2,
        Standing::Unexpected => 3,
    }
}

/// Each case of these runs, as it was in the worst of them.
fn cases(runs: &[Summary]) -> BTreeMap<String, &CaseRun> {
    let mut worst: BTreeMap<String, &CaseRun> = BTreeMap::new();
    for case in runs.iter().flat_map(|run| &run.cases) {
        let kept = worst.entry(case.name()).or_insert(case);
        if badness(case) >= badness(kept) {
            *kept = case;
        }
    }
    worst
}

/// Those that this run has, in its order, then all others.
fn in_order<'a>(run: &Summary, cases: &BTreeMap<String, &'a CaseRun>) -> Vec<&'a CaseRun> {
    let names: Vec<String> = run.cases.iter().map(CaseRun::name).collect();
    let first = names.iter().filter_map(|name| cases.get(name));
    first.chain(cases.iter().filter(|(name, _)| !names.contains(name)).map(|(_, case)| case)).copied().collect()
}

/// Those of these cases that are not among the others.
fn only<'a>(
    these: &BTreeMap<String, &'a CaseRun>,
    others: &BTreeMap<String, &'a CaseRun>,
) -> impl Iterator<Item = &'a CaseRun> {
    these.iter().filter(|(name, _)| !others.contains_key(*name)).map(|(_, case)| *case)
}

fn exits(before: &[Summary], after: &[Summary]) -> Option<Change> {
    let [old, new] = [before, after].map(|runs| Exit::worst(runs.iter().map(Exit::so_far)));
    let name = |exit: Exit| format!("{} ({})", exit.code(), exit.meaning());
    let worse = Exit::worst([old, new]) == new;
    let cause = after.iter().find(|run| Exit::so_far(run) == new).and_then(Summary::first_broken);
    let cause = cause.map(|trouble| format!("{}: {}", trouble.id, trouble.cause)).unwrap_or_default();
    (old != new).then(|| Change { what: "exit".to_string(), before: name(old), after: name(new), worse, cause })
}

fn shown(case: &CaseRun) -> String {
    let verdict = case.verdict_name();
    let flaky = if case.flaky() { ", flaky" } else { "" };
    let expected = if case.expects_other() { format!(", expected {}", case.expected) } else { String::new() };
    format!("{verdict}{flaky}{expected}")
}

fn verdict(old: &CaseRun, new: &CaseRun, runs: &[Summary]) -> Option<Change> {
    let (before, after) = (shown(old), shown(new));
    let run = runs.iter().rev().find(|run| run.cases.contains(new))?;
    let (what, worse, cause) = (new.name(), badness(new) > badness(old), run.cause_of(new));
    (before != after || worse).then_some(Change { what, before, after, worse, cause })
}

fn changes(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Vec<Change> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let of = |facts: &BTreeMap<String, String>, name: &str| facts.get(name).cloned().unwrap_or_default();
    let change = |name: &String| Change {
        what: name.clone(),
        before: of(old, name),
        after: of(new, name),
        worse: false,
        cause: String::new(),
    };
    names.into_iter().map(change).filter(|change| change.before != change.after).collect()
}

/// Seconds by what took them.
fn seconds(run: &Summary) -> BTreeMap<String, f64> {
    let parts =
        run.times.rows(run.elapsed).into_iter().map(|(part, seconds)| (format!("part {}", part.name()), seconds));
    let spans = run.times.spans().iter().map(|span| (span.id.clone(), span.seconds()));
    [("whole run".to_string(), run.elapsed)].into_iter().chain(parts).chain(spans).collect()
}

/// What all runs of both sides have, where even the nearest of them are further apart than noise.
fn times(before: &[Summary], after: &[Summary]) -> Vec<TimeChange> {
    let [old, new] = [before, after].map(|runs| runs.iter().map(seconds).collect::<Vec<_>>());
    let range = |runs: &[BTreeMap<String, f64>], what: &str| {
        let all: Option<Vec<f64>> = runs.iter().map(|run| run.get(what).copied()).collect();
        let all = all.filter(|all| !all.is_empty())?;
        Some((all.iter().copied().fold(f64::INFINITY, f64::min), all.iter().copied().fold(0.0, f64::max)))
    };
    let changed = |what: &String| {
        let (before, after) = (range(&old, what)?, range(&new, what)?);
        let slower = beyond_noise(before.1, after.0);
        let faster = beyond_noise(after.1, before.0) && before.0 - after.1 > SHARE * before.0;
        (slower || faster).then(|| TimeChange { what: what.clone(), before, after, worse: slower })
    };
    new.last().into_iter().flat_map(BTreeMap::keys).filter_map(changed).collect()
}

fn beyond_noise(less: f64, more: f64) -> bool {
    more - less > SECONDS && more - less > SHARE * less
}

/// Where both have the same verdict, what only one of them saw; where not, the cause says it.
fn evidence((old, was): (&CaseRun, &str), (new, is): (&CaseRun, &str)) -> Option<EvidenceChange> {
    let (Some(before), Some(after)) = (&old.verdict, &new.verdict) else { return None };
    if before.name() != after.name() {
        return None;
    }
    let [before, after] = [(before, was), (after, is)].map(|(verdict, lab)| lines(verdict, lab));
    let only =
        |these: &BTreeSet<String>, those: &BTreeSet<String>| these.difference(those).cloned().collect::<Vec<_>>();
    let change = EvidenceChange { case: new.name(), before: only(&before, &after), after: only(&after, &before) };
    (!change.before.is_empty() || !change.after.is_empty()).then_some(change)
}

/// The name of the lab; empty where there was none.
fn lab(run: &Summary) -> &str {
    run.plan.as_ref().and_then(|plan| plan.scenario()).map_or("", |scenario| &scenario.lab)
}

fn lines(verdict: &Verdict, lab: &str) -> BTreeSet<String> {
    let of = |evidence: &Evidence| evidence.items.iter().map(Item::to_string).collect::<Vec<_>>();
    let lines = match verdict {
        Verdict::Passed { evidence } => of(evidence),
        Verdict::Failed { finding } => [vec![finding.cause.clone()], of(&finding.evidence)].concat(),
        other => vec![other.cause()],
    };
    lines.iter().map(|line| volatile::steady(&super::text::one_line(line), lab)).collect()
}
