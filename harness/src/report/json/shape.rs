//! The published form of a run's summary.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::milliseconds;
use crate::check;
use crate::exit::{Exit, Standing};
use crate::plan::{Deviation, Phase};
use crate::report::summary::{CaseRun, Diagnosed, LongestWait};
use crate::role::Role;
use crate::usage;

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunSummary {
    /// The form of this file.
    pub form: u32,
    /// Name of the folder of the run; none where it died before its first event.
    pub run: Option<String>,
    /// What was judged: the name of the scenario, or of the contexts or archives.
    pub name: Option<String>,
    /// The verb that was called, such as `run`.
    pub verb: Option<String>,
    /// When it began: UTC, RFC 3339.
    pub started: Option<String>,
    /// Wall-clock seconds from the first event to the last.
    pub seconds: f64,
    /// How it ended, or how it stands; a run that has not ended is never `green`.
    pub verdict: Exit,
    /// The exit code of the process; none where it has not ended, or was killed.
    pub exit_code: Option<u8>,
    /// What the verdict means, in one line.
    pub meaning: String,
    /// What ended it early: `SIGINT`, `SIGTERM` or `deadline`.
    pub interrupted_by: Option<String>,
    /// Whether the lab is still there.
    pub lab_kept: Option<bool>,
    /// The first clause that is not as expected; else the first thing that could not be made or told.
    pub first_broken: Option<Broken>,
    /// What was judged, by version.
    pub versions: Versions,
    /// What the lab was made of; none without a lab that came up.
    pub images: Option<Images>,
    /// The clusters, the primary first; empty where none came up.
    pub clusters: Vec<Cluster>,
    /// How many cases came to which verdict.
    pub counts: Counts,
    /// Clauses and checks, in the order of the plan.
    pub cases: Vec<Case>,
    /// Steps of the plan, in its order.
    pub steps: Vec<Step>,
    /// Parts of the lab, in the order in which they began.
    pub lab: Vec<LabPart>,
    /// Wall-clock seconds of each part of the run; parts may overlap.
    pub times: Vec<PartTime>,
    /// What decided how long it took, first to last.
    pub critical_path: Vec<Span>,
    /// The longest wait under each time limit.
    pub waits: Vec<Wait>,
    /// Milestones, each with its second of the run.
    pub reached: BTreeMap<String, f64>,
    /// What diagnostics were written.
    pub diagnostics: Vec<Diagnostics>,
    /// Where the run did otherwise than the guide.
    pub deviations: Vec<Otherwise>,
    /// Remarks that judge nothing.
    pub notes: Vec<String>,
    /// What the harness itself took.
    pub usage: Option<Usage>,
    /// Reports in the folder of the run.
    pub files: Vec<String>,
}

/// One thing that keeps a run from being green.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Broken {
    /// What kind of thing it is: `lab`, `mesh`, `install`, `timeline`, `clean-up`, `case` or `run`.
    pub class: String,
    /// Its id; of a case with its slug.
    pub id: String,
    /// One line in the present tense.
    pub title: String,
    /// Why: one line first, more below.
    pub cause: String,
    /// What to look at, a line each.
    pub advice: Vec<String>,
}

/// What was judged, by version.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Versions {
    /// Version and commit of meshproof.
    pub meshproof: Option<String>,
    /// Of Istio, where it was installed.
    pub istio: Option<String>,
    /// Of Kubernetes, where clusters were made.
    pub kubernetes: Option<String>,
    /// What serves the data plane, such as `upstream Envoy 1.39.3`.
    pub data_plane: Option<String>,
}

/// What the lab was made of.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Images {
    /// Where images come from, such as `local, built here`.
    pub source: String,
    /// Name to digest or content hash.
    pub digests: BTreeMap<String, String>,
}

/// A cluster.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cluster {
    /// `primary`, `remote`, or `remote-NAME` of a remote after the first.
    pub member: String,
    /// Istio's name for it.
    pub name: String,
    /// Kubernetes version as its API server says.
    pub kubernetes: String,
    /// UID of its kube-system namespace.
    pub kube_system_uid: String,
    /// Its kube context.
    pub context: String,
    /// Node name to address.
    pub nodes: BTreeMap<String, String>,
}

/// How many cases came to which verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// They hold.
    pub passed: usize,
    /// They do not.
    pub failed: usize,
    /// It could not be told.
    pub inconclusive: usize,
    /// They could not be asked.
    pub blocked: usize,
    /// They were not asked, on purpose.
    pub skipped: usize,
    /// The run ended before.
    pub not_judged: usize,
    /// Of those that passed, how many only after an attempt that did not.
    pub flaky: usize,
}

/// What a case came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It holds.
    Passed,
    /// It does not hold.
    Failed,
    /// It could not be told.
    Inconclusive,
    /// It could not be asked, since something that it needs is not there.
    Blocked,
    /// It was not asked, on purpose.
    Skipped,
    /// The run ended before.
    NotJudged,
}

impl Verdict {
    /// That of a case.
    pub fn of(run: &CaseRun) -> Verdict {
        match &run.verdict {
            Some(check::Verdict::Passed { .. }) => Verdict::Passed,
            Some(check::Verdict::Failed { .. }) => Verdict::Failed,
            Some(check::Verdict::Inconclusive { .. }) => Verdict::Inconclusive,
            Some(check::Verdict::Blocked { .. }) => Verdict::Blocked,
            Some(check::Verdict::Skipped { .. }) => Verdict::Skipped,
            None => Verdict::NotJudged,
        }
    }
}

/// A clause or a check.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Case {
    /// Stable id: `D8`, or `late/cluster3/D8` in a round and of a remote after the first.
    pub id: String,
    /// Stable kebab-case name.
    pub slug: String,
    /// One line in the present tense.
    pub title: String,
    /// Whether it is a statement of the guide, and no behaviour that follows from one.
    pub is_clause: bool,
    /// Section of the guide.
    pub guide: String,
    /// What it came to.
    pub verdict: Verdict,
    /// Name of the verdict that the scenario expects.
    pub expected: String,
    /// How the one stands to the other.
    pub standing: Standing,
    /// Seconds over all attempts.
    pub seconds: f64,
    /// Attempts begun.
    pub attempts: u32,
    /// Whether it passed after an attempt that did not.
    pub flaky: bool,
    /// Cause lines of attempts before the one that counts.
    pub failed_attempts: Vec<String>,
    /// Why it is as it is, in one line; none for a pass.
    pub cause: Option<String>,
    /// The step or case that blocks it.
    pub blocked_by: Option<String>,
    /// What to do or read next.
    pub hint: Option<String>,
    /// Ids of field issues in which the same check said the same.
    pub like: Vec<String>,
    /// How many things were seen; the events have them.
    pub evidence: usize,
}

/// A step.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Step {
    /// Kebab-case id.
    pub id: String,
    /// One line in the present tense.
    pub title: String,
    /// Part of the run.
    pub phase: Phase,
    /// The cluster on which it acts.
    pub role: Role,
    /// Section of the guide, or `harness`.
    pub guide: String,
    /// `proved`, `failed`, `blocked`, `unended` or `not-tried`.
    pub outcome: String,
    /// Why it was not proved.
    pub cause: Option<String>,
    /// Seconds from start to proof.
    pub seconds: f64,
    /// How many things its proof saw.
    pub evidence: usize,
}

/// A part of the lab.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct LabPart {
    /// Kebab-case id.
    pub id: String,
    /// One line in the present tense.
    pub title: String,
    /// `done`, `failed` or `unended`.
    pub outcome: String,
    /// What came of it: a short phrase.
    pub detail: String,
    /// Why it failed.
    pub cause: Option<String>,
    /// Seconds it took.
    pub seconds: f64,
}

/// How long a part of the run took.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PartTime {
    /// `lab`, `install`, `timeline`, `checks`, `clean-up`, `diagnostics`, `paused`, `removal` or `other`.
    pub part: String,
    /// Wall-clock seconds.
    pub seconds: f64,
}

/// Something that took time.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Span {
    /// Id of the lab part, step or case.
    pub id: String,
    /// The part of the run that it belongs to.
    pub part: String,
    /// When it began, in seconds of the run.
    pub from: f64,
    /// When it ended, in seconds of the run.
    pub to: f64,
}

/// The longest wait under a time limit.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Wait {
    /// Name of the limit.
    pub limit: String,
    /// The step, case or lab part that waited.
    pub scope: String,
    /// What it waited for.
    pub what: String,
    /// How long.
    pub seconds: f64,
    /// The limit, in seconds.
    pub limit_seconds: f64,
}

impl Wait {
    pub(super) fn of(limit: &str, wait: &LongestWait) -> Wait {
        Wait {
            limit: limit.to_string(),
            scope: wait.scope.clone(),
            what: wait.what.clone(),
            seconds: milliseconds(wait.seconds),
            limit_seconds: milliseconds(wait.limit),
        }
    }
}

/// Diagnostics that were written.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Diagnostics {
    /// The folder, relative to the run's.
    pub folder: String,
    /// Number of files.
    pub files: usize,
    /// What could not be collected, and why.
    pub missing: Vec<String>,
    /// Hints that they gave.
    pub hints: Vec<String>,
}

impl Diagnostics {
    pub(super) fn of(diagnosed: &Diagnosed) -> Diagnostics {
        let Diagnosed { folder, files, missing, hints } = diagnosed.clone();
        Diagnostics { folder, files, missing, hints }
    }
}

/// One place where the run did otherwise than the guide.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Otherwise {
    /// What it did otherwise.
    pub what: String,
    /// Why.
    pub why: String,
}

impl Otherwise {
    pub(super) fn of(deviation: &Deviation) -> Otherwise {
        Otherwise { what: deviation.what.clone(), why: deviation.why.clone() }
    }
}

/// What the harness's own process took.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// Seconds of CPU time.
    pub cpu_seconds: f64,
    /// The largest resident set, in bytes.
    pub peak_memory: u64,
}

impl Usage {
    pub(super) fn of(usage: usage::Usage) -> Usage {
        Usage { cpu_seconds: milliseconds(usage.cpu_seconds), peak_memory: usage.peak_memory }
    }
}
