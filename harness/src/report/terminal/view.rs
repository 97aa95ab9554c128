//! What goes on in a run at a moment, as lines: each cluster's part side by side, then the checks, then the time.

use std::collections::BTreeMap;

use super::Manner;
use super::style::Colour;
use crate::event::{Event, Record, StepOutcome};
use crate::exit::Standing;
use crate::per_cluster::is_of_further;
use crate::plan::{Phase, Plan, StepOutline};
use crate::report::expected::Expected;
use crate::report::open::{Kind, Open, Scope};
use crate::report::text::{UNBROKEN, fit, one_line, seconds};
use crate::role::Role;

/// A column is no narrower than this; else the clusters stand below each other.
const COLUMN: usize = 36;

/// Between two columns.
const GAP: usize = 2;

/// So many things under way are named of a cluster, and of the checks.
const NAMED: usize = 2;

/// What is known of a run that goes on: a fold over its events.
#[derive(Debug, Clone, Default)]
pub struct View {
    clusters: Vec<Cluster>,
    steps: BTreeMap<String, Step>,
    checks: Checks,
    open: Open,
    expected: Option<Expected>,
}

#[derive(Debug, Clone)]
struct Cluster {
    name: String,
    role: Role,
}

#[derive(Debug, Clone)]
struct Step {
    cluster: Option<usize>,
    phase: Phase,
    begun: bool,
    ended: bool,
}

#[derive(Debug, Clone, Default)]
struct Checks {
    expected: BTreeMap<String, String>,
    passed: usize,
    red: usize,
    blocked: usize,
    other: usize,
}

impl View {
    /// Says how long runs like this one took.
    pub fn expects(&mut self, expected: Option<Expected>) {
        self.expected = expected;
    }

    /// Takes the next event.
    pub fn on(&mut self, record: &Record) {
        self.open.on(record);
        match &record.event {
            Event::RunStarted { plan, .. } => self.learn(plan),
            Event::StepStarted { id } => self.step(id, |step| step.begun = true),
            Event::StepFinished { id, outcome, .. } => {
                let proved = matches!(outcome, StepOutcome::Proved { .. });
                self.step(id, |step| (step.begun, step.ended) = (true, proved));
            }
            Event::CaseFinished { id, verdict, .. } => {
                let checks = &mut self.checks;
                let expected = checks.expected.get(id).map_or("passed", String::as_str);
                match (Standing::of(Some(verdict), expected), verdict.name()) {
                    (Standing::AsExpected, "passed") => checks.passed += 1,
                    (Standing::Unexpected, _) => checks.red += 1,
                    (_, "blocked") => checks.blocked += 1,
                    _ => checks.other += 1,
                }
            }
            _ => {}
        }
    }

    fn step(&mut self, id: &str, change: impl FnOnce(&mut Step)) {
        if let Some(step) = self.steps.get_mut(id) {
            change(step);
        }
    }

    fn learn(&mut self, plan: &Plan) {
        if let Some(scenario) = plan.scenario() {
            let primary = scenario.clusters.get(&Role::Primary).map(|wish| (wish.name.clone(), Role::Primary));
            let remotes = scenario.clusters.remotes().iter().map(|wish| (wish.name.clone(), Role::Remote));
            let all = primary.into_iter().chain(remotes);
            self.clusters = all.map(|(name, role)| Cluster { name, role }).collect();
        }
        let step = |step: &StepOutline| {
            let cluster = (step.phase != Phase::Timeline).then(|| self.cluster(&step.id, step.role)).flatten();
            (step.id.clone(), Step { cluster, phase: step.phase, begun: false, ended: false })
        };
        self.steps = plan.steps.iter().map(step).collect();
        let expected = |id: &str| plan.expected(id).unwrap_or("passed").to_string();
        self.checks.expected = plan.cases.iter().map(|case| (case.id.clone(), expected(&case.id))).collect();
    }

    /// On which cluster something is done: what ends with the name of a remote after the first is done there.
    fn cluster(&self, id: &str, role: Role) -> Option<usize> {
        let first = self.clusters.iter().position(|cluster| cluster.role == role)?;
        let further = self
            .clusters
            .iter()
            .enumerate()
            .skip(2)
            .find(|(_, cluster)| role == Role::Remote && is_of_further(id, &cluster.name));
        Some(further.map_or(first, |(at, _)| at))
    }

    /// The cluster of what is under way, if it is of one alone.
    fn cluster_of(&self, scope: &Scope) -> Option<usize> {
        if scope.kind != Kind::Lab {
            return self.steps.get(&scope.id)?.cluster;
        }
        match self.steps.get(&scope.id) {
            Some(step) => step.cluster,
            None => {
                let role = Role::ALL.into_iter().find(|role| scope.id.starts_with(&format!("cluster-{role}")))?;
                self.cluster(&scope.id, role)
            }
        }
    }
}

/// The view at a moment of the run, in seconds, in lines that are no wider than `width`; nothing where nothing goes on.
pub fn lines(view: &View, now: f64, width: usize, manner: Manner) -> Vec<String> {
    let scopes = view.open.scopes();
    if scopes.is_empty() || width < 20 {
        return Vec::new();
    }
    let page = Page { now, manner };
    let (of_cluster, shared): (Vec<&Scope>, Vec<&Scope>) =
        scopes.iter().partition(|scope| view.cluster_of(scope).is_some());
    let mut lines = Vec::new();
    // Where nothing goes on in any of them, how far each is says enough.
    if !of_cluster.is_empty() || view.steps.values().any(|step| step.begun) {
        let blocks = view.clusters.iter().enumerate().map(|(at, cluster)| {
            let own: Vec<&Scope> =
                of_cluster.iter().filter(|scope| view.cluster_of(scope) == Some(at)).copied().collect();
            (view.head(at, cluster), own)
        });
        lines.extend(page.columns(blocks.collect(), width));
    }
    let (cases, others): (Vec<&Scope>, Vec<&Scope>) = shared.into_iter().partition(|scope| scope.kind == Kind::Case);
    lines.extend(page.block(None, &others, width));
    if !cases.is_empty() {
        lines.extend(page.block(Some(("Checks".to_string(), view.checks.said())), &cases, width));
    }
    lines.push(page.head("Elapsed", &view.time(now), width));
    lines
}

impl View {
    /// A cluster and how far it is: of the phase that began last there.
    fn head(&self, at: usize, cluster: &Cluster) -> (String, String) {
        let own = || self.steps.values().filter(|step| step.cluster == Some(at));
        let phase = own().filter(|step| step.begun).map(|step| step.phase).max();
        let said = phase.map(|phase| {
            let of = || own().filter(|step| step.phase == phase);
            let name = match phase {
                Phase::Lab => "lab",
                Phase::Install => "install",
                Phase::Timeline => "timeline",
                Phase::CleanUp => "clean-up",
            };
            format!("  {name} {} of {}", of().filter(|step| step.ended).count(), of().count())
        });
        (cluster.name.clone(), format!("{}{}", cluster.role, said.unwrap_or_default()))
    }

    fn time(&self, now: f64) -> String {
        let so_far = whole(now);
        match self.expected {
            None => so_far,
            Some(Expected { seconds: all, runs }) => {
                let which =
                    if runs == 1 { "the last green run".to_string() } else { format!("the last {runs} green runs") };
                format!("{so_far} of about {}, as {which} took", whole(all.round()))
            }
        }
    }
}

impl Checks {
    fn said(&self) -> String {
        let Checks { expected, passed, red, blocked, other } = self;
        let done = passed + red + blocked + other;
        let parts = [(*passed, "passed"), (*red, "red"), (*blocked, "blocked"), (*other, "other")];
        let parts = parts.into_iter().filter(|(number, name)| *number > 0 || *name == "passed");
        let parts: Vec<String> = parts.map(|(number, name)| format!("{number} {name}")).collect();
        format!("{}, {} to go", parts.join(", "), expected.len().saturating_sub(done))
    }
}

/// How lines are set.
struct Page {
    now: f64,
    manner: Manner,
}

impl Page {
    /// Blocks beside each other where there is room, else below each other.
    fn columns(&self, blocks: Vec<((String, String), Vec<&Scope>)>, width: usize) -> Vec<String> {
        let number = blocks.len().max(1);
        let column = (width + GAP) / number - GAP.min((width + GAP) / number);
        if number < 2 || column < COLUMN {
            return blocks.into_iter().flat_map(|(head, scopes)| self.block(Some(head), &scopes, width)).collect();
        }
        let blocks: Vec<Vec<String>> =
            blocks.into_iter().map(|(head, scopes)| self.block(Some(head), &scopes, column)).collect();
        let rows = blocks.iter().map(Vec::len).max().unwrap_or_default();
        let blank = || " ".repeat(column);
        let row =
            |at: usize| blocks.iter().map(|block| block.get(at).cloned().unwrap_or_else(blank)).collect::<Vec<_>>();
        (0..rows).map(|at| row(at).join(&" ".repeat(GAP))).collect()
    }

    /// A head and what is under way below it, those that wait for something first.
    fn block(&self, head: Option<(String, String)>, scopes: &[&Scope], width: usize) -> Vec<String> {
        let mut lines: Vec<String> = head.iter().map(|(name, said)| self.head(name, said, width)).collect();
        let (waiting, busy): (Vec<&&Scope>, Vec<&&Scope>) = scopes.iter().partition(|scope| scope.wait.is_some());
        let all: Vec<&&Scope> = waiting.into_iter().rev().chain(busy.into_iter().rev()).collect();
        lines.extend(all.iter().take(NAMED).flat_map(|scope| self.doing(scope)).map(|line| fit(&line, width)));
        if all.len() > NAMED {
            let more: Vec<&str> = all[NAMED..].iter().map(|scope| scope.id.as_str()).collect();
            lines.push(fit(&format!("  beside {}", one_line(&more.join(", "))), width));
        }
        lines
    }

    fn head(&self, name: &str, said: &str, width: usize) -> String {
        let text = fit(&format!("{name}{UNBROKEN} {said}").replace(UNBROKEN, " "), width);
        let (name, rest) =
            text.split_at(text.char_indices().nth(name.chars().count()).map_or(text.len(), |(at, _)| at));
        format!("{}{rest}", Colour::Cyan.paint(self.manner, name))
    }

    /// What a scope does; below that, if it waits, what it saw last.
    fn doing(&self, scope: &Scope) -> Vec<String> {
        let took = whole(self.now - scope.since);
        let line = |text: &str| format!("  {} {took}  {}", one_line(&scope.id), one_line(text));
        match &scope.wait {
            Some((what, last)) => vec![line(what), format!("    {}", one_line(last))],
            None => vec![line(&scope.title)],
        }
    }
}

/// Whole seconds for people: `3 s`, `1 min 05 s`.
fn whole(time: f64) -> String {
    seconds(time.max(0.0).floor()).replace(".0 s", " s")
}
