//! Events: the only output of a run. Reporters are folds over them and never see a cluster.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::check::{Evidence, Verdict};
use crate::per_cluster::{Named, PerCluster};
use crate::plan::{Deviation, Plan};
use crate::role::Role;
use crate::usage::Usage;

/// One line of `events.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Seconds since the run began, on a clock that never goes back.
    pub at: f64,
    /// Wall-clock time in UTC, RFC 3339.
    pub time: jiff::Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The first event: who runs what. Carries the whole plan.
    RunStarted {
        /// Name of the folder below `runs/`.
        run: String,
        /// Version and commit of meshproof.
        meshproof: String,
        /// The verb that was called: `run`, `check`, `up`, ...
        verb: String,
        /// The whole plan.
        plan: Box<Plan>,
    },
    /// A part of the lab is being worked on: engine, an image, a cluster, a network.
    LabStarted {
        /// Kebab-case id such as `image-node` or `cluster-primary`.
        id: String,
        /// One line in the present tense.
        title: String,
    },
    /// A part of the lab is there, or could not be made.
    LabFinished {
        /// The id of [`Event::LabStarted`].
        id: String,
        /// What came of it: a short phrase for people.
        detail: String,
        /// Why it failed, if it did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
        /// Seconds it took.
        seconds: f64,
    },
    /// All clusters are up: what they are, for every report.
    LabReady {
        /// One entry a cluster.
        clusters: PerCluster<ClusterFacts>,
        /// Image name to digest or content hash, as used in this lab.
        images: BTreeMap<String, String>,
        /// Where they come from, such as `local, built here`.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        image_source: String,
        /// What serves the data plane, such as `upstream Envoy 1.39.3`.
        data_plane: String,
        /// Where the install does otherwise than the guide because of these images.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        deviations: Vec<Deviation>,
    },
    /// Clusters that meshproof did not make have said what they are, for every report.
    MeshFound {
        /// One entry a cluster.
        clusters: BTreeMap<Role, ClusterFacts>,
        /// What the mesh says of itself, name to value: `mesh id`, `network`, `revision` and so on.
        facts: BTreeMap<String, String>,
    },
    /// A step of the install or the clean-up begins.
    StepStarted {
        /// Id in the plan.
        id: String,
    },
    /// A step has been applied and proved, or not.
    StepFinished {
        /// Id in the plan.
        id: String,
        /// What came of it.
        outcome: StepOutcome,
        /// Seconds from start to proof.
        seconds: f64,
    },
    /// Something is being waited for. Live lines show it; it is written when the wait begins and when its reason changes.
    Waiting {
        /// The step, case or lab part that waits.
        scope: String,
        /// What it waits for.
        what: String,
        /// Why it is not there yet: the last thing seen.
        last: String,
    },
    /// A wait that did not end at once has ended, well or not.
    Waited {
        /// The step, case or lab part that waited.
        scope: String,
        /// What it waited for.
        what: String,
        /// How long, without the time in which the harness stood still.
        seconds: f64,
        /// Name of its time limit, a function of [`crate::budget::Budgets`].
        limit: String,
        /// That limit in seconds.
        limit_seconds: f64,
    },
    /// A case begins.
    CaseStarted {
        /// Id in the plan.
        id: String,
        /// 1 for the first attempt.
        attempt: u32,
    },
    /// A case has its verdict.
    CaseFinished {
        /// Id in the plan.
        id: String,
        /// The verdict that counts.
        verdict: Verdict,
        /// Cause lines of attempts before it; a pass after one of these is flaky.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        failed_attempts: Vec<String>,
        /// Seconds over all attempts.
        seconds: f64,
    },
    /// A moment that people compare runs by; see [`crate::milestone`].
    Reached {
        /// Its id.
        id: String,
        /// One line in the present tense.
        title: String,
    },
    /// The run waits for a person (`--pause-after`).
    Paused {
        /// The step after which it waits.
        after: String,
    },
    /// The person let it go on.
    Resumed {
        /// Seconds that it waited.
        seconds: f64,
    },
    /// Diagnostics have been written.
    Diagnosed {
        /// The folder, relative to the run's.
        folder: String,
        /// Number of files.
        files: usize,
        /// What could not be collected, and why.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        missing: Vec<String>,
        /// Hints that the diagnostics gave.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        hints: Vec<String>,
        /// Seconds it took.
        seconds: f64,
    },
    /// A person or a deadline ended the run early.
    Interrupted {
        /// `SIGINT`, `SIGTERM` or `deadline`.
        by: String,
    },
    /// Something a reader should know that judges nothing.
    Note {
        /// One line.
        text: String,
    },
    /// The last event.
    RunFinished {
        /// The process' exit code.
        exit: u8,
        /// What the exit code means.
        meaning: String,
        /// Whether the lab is still there.
        lab_kept: bool,
        /// What the harness itself took, where the system tells.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        usage: Option<Usage>,
    },
}

impl Named for ClusterFacts {
    fn name(&self) -> &str {
        &self.name
    }
}

/// What a cluster is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClusterFacts {
    /// Istio's name for it: `cluster1`.
    pub name: String,
    /// Kubernetes version as its API server says.
    pub kubernetes: String,
    /// UID of its kube-system namespace.
    pub kube_system_uid: String,
    /// Its kube context.
    pub context: String,
    /// Node name to address on the lab's network.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub nodes: BTreeMap<String, String>,
}

/// What came of a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum StepOutcome {
    /// Applied, and its proof holds.
    Proved {
        /// What the proof saw.
        evidence: Evidence,
    },
    /// It could not be applied, or its proof did not hold in time.
    Failed {
        /// Why: one line first, more below.
        error: String,
    },
    /// It was not tried, since a step that it needs is not there.
    Blocked {
        /// The step that it needs.
        by: String,
    },
}

/// A fold over events with side effects: a file or a terminal.
pub trait Reporter: Send {
    /// Takes the next event, in order; it is the last of `so_far`, which are all of the run.
    fn on(&mut self, record: &Record, so_far: &[Record]);

    /// What of it could not be written as it should be now, and why.
    fn lost(&self) -> Vec<String> {
        Vec::new()
    }

    /// Takes a recorded run, event by event.
    fn replay(&mut self, records: &[Record]) {
        for (at, record) in records.iter().enumerate() {
            self.on(record, &records[..=at]);
        }
    }
}

/// Hands every event to every reporter, in order, at once.
#[derive(Clone)]
pub struct Recorder {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    started: Instant,
    records: Vec<Record>,
    reporters: Vec<Box<dyn Reporter>>,
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Recorder")
    }
}

impl Recorder {
    /// A recorder that tells these reporters.
    pub fn new(reporters: Vec<Box<dyn Reporter>>) -> Self {
        Recorder { inner: Arc::new(Mutex::new(Inner { started: Instant::now(), records: Vec::new(), reporters })) }
    }

    /// Records an event.
    pub fn emit(&self, event: Event) {
        // A reporter that panicked must not keep the others from hearing how the run ended.
        let mut inner = self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let Inner { started, records, reporters } = &mut *inner;
        records.push(Record { at: started.elapsed().as_secs_f64(), time: jiff::Timestamp::now(), event });
        let Some(record) = records.last() else { return };
        for reporter in reporters {
            reporter.on(record, records);
        }
    }

    /// All events so far.
    pub fn records(&self) -> Vec<Record> {
        self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).records.clone()
    }

    /// What of the reports could not be written, and why.
    pub fn lost(&self) -> Vec<String> {
        let inner = self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        inner.reporters.iter().flat_map(|reporter| reporter.lost()).collect()
    }

    /// Records a remark that judges nothing.
    pub fn note(&self, text: impl Into<String>) {
        self.emit(Event::Note { text: text.into() });
    }
}
