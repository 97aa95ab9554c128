//! What is going on at a point of a run: the lab parts, steps and cases that have begun and not ended.

use std::collections::BTreeMap;

use super::text;
use crate::event::{Event, Record};
use crate::plan::{Phase, Plan, StepOutline};

/// How ids of lab parts begin that take something away.
pub const REMOVE: &str = "remove-";

/// How ids of parts begin that only look for what is there already.
pub const FIND: &str = "find-";

/// What kind of work a scope is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A part of the lab is being made.
    Lab,
    /// A part of the lab is being removed.
    Removal,
    /// A part of a mesh that meshproof did not make is being looked for.
    Finding,
    /// A step of the install.
    Install,
    /// A moment of the scenario's timeline.
    Timeline,
    /// A step of the guide's clean-up.
    CleanUp,
    /// A case.
    Case,
}

impl Kind {
    /// The kind of a lab part: ids that begin with `remove-` take the lab away, with `find-` they find what is there.
    pub fn of_lab_part(id: &str) -> Kind {
        match id {
            id if id.starts_with(REMOVE) => Kind::Removal,
            id if id.starts_with(FIND) => Kind::Finding,
            _ => Kind::Lab,
        }
    }

    /// The kind of a step.
    pub fn of_phase(phase: Phase) -> Kind {
        match phase {
            Phase::Lab => Kind::Lab,
            Phase::Install => Kind::Install,
            Phase::Timeline => Kind::Timeline,
            Phase::CleanUp => Kind::CleanUp,
        }
    }

    /// Its class in JUnit.
    pub fn class(self) -> &'static str {
        match self {
            Kind::Lab | Kind::Removal => "lab",
            Kind::Finding => "mesh",
            Kind::Install => "install",
            Kind::Timeline => "timeline",
            Kind::CleanUp => "clean-up",
            Kind::Case => "case",
        }
    }

    /// What is being done, as a verb for a live line.
    pub fn verb(self) -> &'static str {
        match self {
            Kind::Lab => "Creating",
            Kind::Removal => "Removing",
            Kind::Finding => "Finding",
            Kind::Install => "Applying",
            Kind::Timeline => "Doing",
            Kind::CleanUp => "Cleaning",
            Kind::Case => "Checking",
        }
    }
}

/// One thing that has begun and not ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Scope {
    /// Id of the lab part, step or case.
    pub id: String,
    /// What kind of work it is.
    pub kind: Kind,
    /// Its title.
    pub title: String,
    /// When it began, in seconds of the run.
    pub since: f64,
    /// What it waits for and what it last saw, once it waits.
    pub wait: Option<(String, String)>,
}

impl Scope {
    /// What it does at the moment, in one line.
    pub fn doing(&self) -> String {
        match &self.wait {
            Some((what, last)) => text::one_line(&format!("{}  waits for {what}: {last}", self.id)),
            None => text::one_line(&format!("{}  {}", self.id, self.title)),
        }
    }
}

/// All that has begun and not ended; what was heard of last is last.
#[derive(Debug, Clone, Default)]
pub struct Open {
    steps: BTreeMap<String, (Kind, String)>,
    cases: BTreeMap<String, String>,
    scopes: Vec<Scope>,
}

impl Open {
    /// What was heard of last.
    pub fn latest(&self) -> Option<&Scope> {
        self.scopes.last()
    }

    /// All of them.
    pub fn scopes(&self) -> &[Scope] {
        &self.scopes
    }

    /// The scope with this id.
    pub fn find(&self, id: &str) -> Option<&Scope> {
        self.scopes.iter().find(|scope| scope.id == id)
    }

    /// Takes the next event.
    pub fn on(&mut self, record: &Record) {
        match &record.event {
            Event::RunStarted { plan, .. } => self.learn(plan),
            Event::LabStarted { id, title } => self.begin(id, Kind::of_lab_part(id), title, record.at),
            Event::StepStarted { id } => {
                let (kind, title) = self.steps.get(id).cloned().unwrap_or((Kind::Install, String::new()));
                self.begin(id, kind, &title, record.at);
            }
            Event::CaseStarted { id, .. } => {
                let title = self.cases.get(id).cloned().unwrap_or_default();
                self.begin(id, Kind::Case, &title, record.at);
            }
            Event::Waiting { scope, what, last } => self.wait(scope, what, last),
            Event::LabFinished { id, .. } | Event::StepFinished { id, .. } | Event::CaseFinished { id, .. } => {
                self.scopes.retain(|scope| scope.id != *id);
            }
            _ => {}
        }
    }

    fn learn(&mut self, plan: &Plan) {
        let step = |step: &StepOutline| (step.id.clone(), (Kind::of_phase(step.phase), step.title.clone()));
        self.steps = plan.steps.iter().map(step).collect();
        self.cases = plan.cases.iter().map(|case| (case.id.clone(), case.title.clone())).collect();
    }

    fn begin(&mut self, id: &str, kind: Kind, title: &str, since: f64) {
        // A second attempt of a case goes on with what the first began.
        if self.find(id).is_none() {
            self.scopes.push(Scope { id: id.to_string(), kind, title: title.to_string(), since, wait: None });
        }
    }

    fn wait(&mut self, id: &str, what: &str, last: &str) {
        if let Some(at) = self.scopes.iter().position(|scope| scope.id == id) {
            let mut scope = self.scopes.remove(at);
            scope.wait = Some((what.to_string(), last.to_string()));
            self.scopes.push(scope);
        }
    }
}
