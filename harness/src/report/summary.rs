//! What a run comes to: the one fold over its events from which every report and the exit code are made.

use std::collections::BTreeMap;

use super::open::{Kind, Open};
use super::times::{Part, Times};
use crate::check::Verdict;
use crate::event::{ClusterFacts, Event, Record, StepOutcome};
use crate::exit::Standing;
use crate::per_cluster::PerCluster;
use crate::plan::{CaseOutline, Deviation, Plan, StepOutline, Target};
use crate::role::Role;
use crate::usage::Usage;

/// Verbs that make or take away and judge no clause.
const JUDGE_NOTHING: [&str; 3] = ["up", "install", "down"];

/// The verdict that a case shall have when its scenario says nothing.
const EXPECTED: &str = "passed";

/// What a run comes to, so far.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// Who ran what, and when; none before the first event.
    pub head: Option<Head>,
    /// The plan; none before the first event.
    pub plan: Option<Plan>,
    /// Parts of the lab, in the order in which they began.
    pub lab: Vec<LabPart>,
    /// What the clusters are, once both are up.
    pub ready: Option<LabFacts>,
    /// What clusters say of themselves that meshproof did not make.
    pub found: Option<MeshFacts>,
    /// Steps of the plan.
    pub steps: Vec<StepRun>,
    /// Cases of the plan that the verb asks; none for a verb that judges nothing.
    pub cases: Vec<CaseRun>,
    /// What diagnostics were written.
    pub diagnosed: Vec<Diagnosed>,
    /// Remarks.
    pub notes: Vec<String>,
    /// Verdicts and outcomes that the plan does not know: a fault of the harness, never dropped.
    pub strays: Vec<String>,
    /// What interrupted it: `SIGINT`, `SIGTERM` or `deadline`.
    pub interrupted: Option<String>,
    /// How it ended; none while it goes on and when it was killed.
    pub finished: Option<Finish>,
    /// What has begun and not ended.
    pub open: Open,
    /// Moments reached, each with its second of the run.
    pub reached: BTreeMap<String, f64>,
    /// Where the time went.
    pub times: Times,
    /// The longest wait under each time limit, by the limit's name.
    pub waits: BTreeMap<String, LongestWait>,
    /// Seconds from the first event to the last.
    pub elapsed: f64,
}

/// The longest wait under a time limit.
#[derive(Debug, Clone, PartialEq)]
pub struct LongestWait {
    /// The step, case or lab part that waited.
    pub scope: String,
    /// What it waited for.
    pub what: String,
    /// How long.
    pub seconds: f64,
    /// The limit, in seconds.
    pub limit: f64,
}

impl LongestWait {
    /// The part of its limit that it took.
    pub fn share(&self) -> f64 {
        self.seconds / self.limit
    }

    /// Keeps it where none so far came nearer to its limit, which may be a multiple of what the name stands for.
    pub fn keep(self, longest: &mut BTreeMap<String, LongestWait>, limit: String) {
        if longest.get(&limit).is_none_or(|other| other.share() < self.share()) {
            longest.insert(limit, self);
        }
    }
}

/// Who ran what.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// Name of the folder below `runs/`.
    pub run: String,
    /// Version and commit of meshproof.
    pub meshproof: String,
    /// The verb that was called.
    pub verb: String,
    /// When it began.
    pub started: jiff::Timestamp,
}

/// A part of the lab.
#[derive(Debug, Clone, PartialEq)]
pub struct LabPart {
    /// Its id.
    pub id: String,
    /// Making it or removing it.
    pub kind: Kind,
    /// One line in the present tense.
    pub title: String,
    /// What came of it; none while it goes on.
    pub end: Option<LabEnd>,
}

/// What came of a part of the lab.
#[derive(Debug, Clone, PartialEq)]
pub struct LabEnd {
    /// A short phrase for people.
    pub detail: String,
    /// Why it failed, if it did.
    pub error: Option<String>,
    /// Seconds it took.
    pub seconds: f64,
}

/// What the clusters of the lab are.
#[derive(Debug, Clone, PartialEq)]
pub struct LabFacts {
    /// One entry a cluster.
    pub clusters: PerCluster<ClusterFacts>,
    /// Image name to digest.
    pub images: BTreeMap<String, String>,
    /// Where they come from; empty where an older run did not say.
    pub image_source: String,
    /// What serves the data plane.
    pub data_plane: String,
    /// Where the install does otherwise than the guide because of these images.
    pub deviations: Vec<Deviation>,
}

/// What a mesh says of itself that meshproof did not make.
#[derive(Debug, Clone, PartialEq)]
pub struct MeshFacts {
    /// One entry a cluster.
    pub clusters: BTreeMap<Role, ClusterFacts>,
    /// Name to value.
    pub facts: BTreeMap<String, String>,
}

/// A step of the plan and what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct StepRun {
    /// The step as planned.
    pub outline: StepOutline,
    /// Whether it has begun.
    pub started: bool,
    /// What came of it; none while it goes on, and when it was never tried.
    pub outcome: Option<StepOutcome>,
    /// Seconds from start to proof.
    pub seconds: f64,
}

/// A case of the plan and what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseRun {
    /// The case as planned.
    pub outline: CaseOutline,
    /// Name of the verdict that the scenario expects.
    pub expected: String,
    /// Attempts begun.
    pub attempts: u32,
    /// Its verdict; none while it is not judged.
    pub verdict: Option<Verdict>,
    /// Cause lines of attempts before the one that counts.
    pub failed_attempts: Vec<String>,
    /// Seconds over all attempts.
    pub seconds: f64,
}

impl CaseRun {
    /// Its stable name in reports: `D0 both-clusters-ready`.
    pub fn name(&self) -> String {
        format!("{} {}", self.outline.id, self.outline.slug)
    }

    /// The name of its verdict, for people.
    pub fn verdict_name(&self) -> &'static str {
        self.verdict.as_ref().map_or("not judged", Verdict::name)
    }

    /// How its verdict stands to the expected one.
    pub fn standing(&self) -> Standing {
        Standing::of(self.verdict.as_ref(), &self.expected)
    }

    /// Whether it passed after an attempt that did not.
    pub fn flaky(&self) -> bool {
        self.verdict.as_ref().is_some_and(Verdict::is_passed) && !self.failed_attempts.is_empty()
    }

    /// Whether the scenario expects another verdict than passed.
    pub fn expects_other(&self) -> bool {
        self.expected != EXPECTED
    }
}

/// Diagnostics that were written.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagnosed {
    /// The folder, relative to the run's.
    pub folder: String,
    /// Number of files.
    pub files: usize,
    /// What could not be collected, and why.
    pub missing: Vec<String>,
    /// Hints that the diagnostics gave.
    pub hints: Vec<String>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Finish {
    /// The process' exit code.
    pub exit: u8,
    /// What the exit code means.
    pub meaning: String,
    /// Whether the lab is still there.
    pub lab_kept: bool,
    /// What the harness itself took, where that is known.
    pub usage: Option<Usage>,
}

impl Summary {
    /// Folds the events of a run, whole or not.
    pub fn of(records: &[Record]) -> Summary {
        let mut summary = Summary::default();
        for record in records {
            summary.take(record);
        }
        let unended: Vec<_> = summary.open.scopes().to_vec();
        for scope in unended {
            summary.times.close(&scope, summary.elapsed);
        }
        summary
    }

    /// Whether the verb that was called judges clauses.
    pub fn judges(&self) -> bool {
        !self.head.as_ref().is_some_and(|head| JUDGE_NOTHING.contains(&head.verb.as_str()))
    }

    /// Whether it is about clusters that the user brought for an install.
    pub fn is_brought(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| matches!(plan.target, Target::Brought { .. }))
    }

    /// The step with this id.
    pub fn step(&self, id: &str) -> Option<&StepRun> {
        self.steps.iter().find(|step| step.outline.id == id)
    }

    /// The case with this id.
    pub fn case(&self, id: &str) -> Option<&CaseRun> {
        self.cases.iter().find(|case| case.outline.id == id)
    }

    fn take(&mut self, record: &Record) {
        self.elapsed = self.elapsed.max(record.at);
        self.clock(record);
        self.open.on(record);
        match record.event.clone() {
            Event::RunStarted { run, meshproof, verb, plan } => {
                self.head = Some(Head { run, meshproof, verb, started: record.time });
                self.begin(*plan);
            }
            Event::LabStarted { id, title } => {
                let kind = Kind::of_lab_part(&id);
                self.lab.push(LabPart { id, kind, title, end: None });
            }
            Event::LabFinished { id, detail, error, seconds } => {
                self.end_lab_part(id, LabEnd { detail, error, seconds });
            }
            Event::LabReady { clusters, images, image_source, data_plane, deviations } => {
                self.ready = Some(LabFacts { clusters, images, image_source, data_plane, deviations });
            }
            Event::MeshFound { clusters, facts } => self.found = Some(MeshFacts { clusters, facts }),
            Event::StepStarted { id } => {
                if let Some(step) = self.steps.iter_mut().find(|step| step.outline.id == id) {
                    step.started = true;
                }
            }
            Event::StepFinished { id, outcome, seconds } => self.end_step(&id, outcome, seconds),
            Event::CaseStarted { id, attempt } => {
                if let Some(case) = self.cases.iter_mut().find(|case| case.outline.id == id) {
                    case.attempts = attempt;
                }
            }
            Event::CaseFinished { id, verdict, failed_attempts, seconds } => {
                self.end_case(&id, verdict, failed_attempts, seconds);
            }
            Event::Diagnosed { folder, files, missing, hints, .. } => {
                self.diagnosed.push(Diagnosed { folder, files, missing, hints });
            }
            Event::Reached { id, .. } => {
                self.reached.insert(id, record.at);
            }
            Event::Interrupted { by } => self.interrupted = Some(by),
            Event::Note { text } => self.notes.push(text),
            Event::RunFinished { exit, meaning, lab_kept, usage } => {
                self.finished = Some(Finish { exit, meaning, lab_kept, usage });
            }
            Event::Waited { scope, what, seconds, limit, limit_seconds } => {
                LongestWait { scope, what, seconds, limit: limit_seconds }.keep(&mut self.waits, limit);
            }
            Event::Waiting { .. } | Event::Paused { .. } | Event::Resumed { .. } => {}
        }
    }

    fn begin(&mut self, plan: Plan) {
        let step =
            |outline: &StepOutline| StepRun { outline: outline.clone(), started: false, outcome: None, seconds: 0.0 };
        let case = |outline: &CaseOutline| CaseRun {
            outline: outline.clone(),
            expected: plan.expected(&outline.id).unwrap_or(EXPECTED).to_string(),
            attempts: 0,
            verdict: None,
            failed_attempts: Vec::new(),
            seconds: 0.0,
        };
        self.steps = plan.steps.iter().map(step).collect();
        self.cases = if self.judges() { plan.cases.iter().map(case).collect() } else { Vec::new() };
        self.plan = Some(plan);
    }

    fn end_lab_part(&mut self, id: String, end: LabEnd) {
        match self.lab.iter_mut().rev().find(|part| part.id == id && part.end.is_none()) {
            Some(part) => part.end = Some(end),
            // What was there already is finished without having been begun.
            None => {
                let kind = Kind::of_lab_part(&id);
                self.lab.push(LabPart { title: String::new(), id, kind, end: Some(end) });
            }
        }
    }

    fn end_step(&mut self, id: &str, outcome: StepOutcome, seconds: f64) {
        match self.steps.iter_mut().find(|step| step.outline.id == id) {
            Some(step) => (step.outcome, step.seconds) = (Some(outcome), seconds),
            None => self.strays.push(format!("step {id} is not in the plan")),
        }
    }

    fn end_case(&mut self, id: &str, verdict: Verdict, failed_attempts: Vec<String>, seconds: f64) {
        match self.cases.iter_mut().find(|case| case.outline.id == id) {
            Some(case) => {
                case.verdict = Some(verdict);
                case.failed_attempts = failed_attempts;
                case.seconds = seconds;
            }
            None => self.strays.push(format!("case {id} is not in the plan, yet it is {}", verdict.name())),
        }
    }

    /// Notes the spans of time that end with this event; asks what is open before the event closes it.
    fn clock(&mut self, record: &Record) {
        match &record.event {
            Event::LabFinished { id, .. } | Event::StepFinished { id, .. } | Event::CaseFinished { id, .. } => {
                if let Some(scope) = self.open.find(id) {
                    self.times.close(scope, record.at);
                }
            }
            Event::Resumed { seconds } => self.times.add("paused", Part::Paused, record.at - seconds, record.at),
            Event::Diagnosed { seconds, .. } => {
                self.times.add("diagnostics", Part::Diagnostics, record.at - seconds, record.at)
            }
            _ => {}
        }
    }
}
