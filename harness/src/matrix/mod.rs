//! Versions and variants side by side: which runs there are, what came of each, and one table of all of them.
//!
//! `matrix.json` in the folder of a call holds all that the table shows, so that shards that ran on several machines can be
//! merged; JUnit comes from the events of each run.

mod choose;
mod github;
mod junit;
mod merge;
mod shard;
mod table;

pub use choose::{all, pairwise};
pub use github::github;
pub use junit::{Suite, junit};
pub use merge::{Found, find, merge};
pub use shard::Shard;
pub use table::{markdown, text};

use serde::{Deserialize, Serialize};

use crate::exit::Exit;
use crate::report::Summary;

/// The name of the file that holds a [`Matrix`].
pub const FILE: &str = "matrix.json";

/// The layout of that file; raised when a field changes its meaning.
pub const FORMAT: u32 = 1;

/// The verdict of a clause that has none: the run ended before.
const NOT_JUDGED: &str = "not judged";

/// All combinations of a call, and what came of those that this shard ran.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Matrix {
    /// Layout of this file.
    pub format: u32,
    /// Version and commit of meshproof.
    pub meshproof: String,
    /// When it began.
    pub began: jiff::Timestamp,
    /// The part of the combinations that this call runs.
    pub shard: Shard,
    /// All combinations, also those of other shards.
    pub combinations: Vec<Combination>,
}

/// One run of a matrix: versions and a scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Combination {
    /// The version of Istio.
    pub istio: String,
    /// The version of Kubernetes.
    pub kubernetes: String,
    /// The name of the scenario.
    pub scenario: String,
    /// Whether Istio says that it supports this Kubernetes; nothing if that is not known here.
    pub supported: Option<bool>,
    /// What its images and programs take on the disk; nothing while that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<Disk>,
    /// What came of it; nothing before it was run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

/// What one combination takes on the disk of the engine and of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Disk {
    /// Bytes of all that a lab of it needs, and of what that was built from, as far as it is there.
    pub bytes: u64,
    /// Bytes of these that no other combination of the matrix needs.
    pub alone: u64,
}

/// What came of one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// How it ended.
    pub exit: Exit,
    /// The first thing that keeps it from being green, in one line; empty if nothing does.
    pub cause: String,
    /// Wall-clock seconds from the first event to the last; 0 if it could not begin.
    pub seconds: f64,
    /// The clauses that it planned, in its order.
    pub clauses: Vec<Clause>,
}

/// One clause and its verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Clause {
    /// `D8`, or `late/D8` in a round of a timeline.
    pub id: String,
    /// `webhook-ca-written`.
    pub slug: String,
    /// Name of its verdict, or `not judged`.
    pub verdict: String,
    /// Name of the verdict that its scenario expects.
    pub expected: String,
}

impl Combination {
    /// Its name in reports: `Istio 1.31.1, Kubernetes v1.36.3, primary-remote`.
    pub fn name(&self) -> String {
        format!("Istio {}, Kubernetes {}, {}", self.istio, self.kubernetes, self.scenario)
    }

    /// The name of its folder.
    pub fn folder(&self) -> String {
        format!("istio-{}-kubernetes-{}-{}", self.istio, self.kubernetes, self.scenario)
    }

    /// Whether Istio supports it, for people.
    pub fn support(&self) -> &'static str {
        match self.supported {
            Some(true) => "yes",
            Some(false) => "no",
            None => "not known",
        }
    }
}

impl Outcome {
    /// What a run came to.
    pub fn of(exit: Exit, summary: &Summary) -> Outcome {
        let why = || summary.first_broken().map_or(exit.meaning().to_string(), |trouble| trouble.cause);
        let cause = if exit == Exit::Green { String::new() } else { crate::report::text::one_line(&why()) };
        let clause = |case: &crate::report::summary::CaseRun| Clause {
            id: case.outline.id.clone(),
            slug: case.outline.slug.clone(),
            verdict: case.verdict.as_ref().map_or(NOT_JUDGED, |verdict| verdict.name()).to_string(),
            expected: case.expected.clone(),
        };
        Outcome { exit, cause, seconds: summary.elapsed, clauses: summary.cases.iter().map(clause).collect() }
    }

    /// A run that could not begin, and why.
    pub fn not_begun(why: &str) -> Outcome {
        let cause = crate::report::text::one_line(why);
        Outcome { exit: Exit::NoVerdict, cause, seconds: 0.0, clauses: Vec::new() }
    }
}

impl Matrix {
    /// The combinations of this shard.
    pub fn own(&self) -> &[Combination] {
        &self.combinations[self.shard.range(self.combinations.len())]
    }

    /// The exit code of all: that of the worst run, and no verdict where one was not run.
    pub fn exit(&self) -> Exit {
        let exits = self.own().iter().map(|one| one.outcome.as_ref().map_or(Exit::NoVerdict, |outcome| outcome.exit));
        Exit::worst(exits)
    }
}
