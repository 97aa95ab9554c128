//! The verdict of one clause, and the one function that decides it.

use serde::{Deserialize, Serialize};

use super::evidence::Evidence;
use super::layer::Broken;
use crate::field::Like;
use crate::wait::Look;

/// What is wrong with the mesh, in one sentence that names the object, with what was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The cause line: one sentence that names the object and the cluster.
    pub cause: String,
    /// What the guide promises.
    pub expected: String,
    /// What stood there instead.
    pub got: String,
    /// What to do or read next, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Where requests across clusters break first, where that is the matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken: Option<Broken>,
    /// Field issues in which the same check said the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub like: Vec<Like>,
    /// What had been seen until then.
    #[serde(default)]
    pub evidence: Evidence,
}

impl Finding {
    /// A finding whose cause line is `cause`.
    pub fn new(cause: impl Into<String>) -> Self {
        Finding {
            cause: cause.into(),
            expected: String::new(),
            got: String::new(),
            hint: None,
            broken: None,
            like: Vec::new(),
            evidence: Evidence::new(),
        }
    }

    /// Says what was promised and what was found instead.
    pub fn expected_got(mut self, expected: impl Into<String>, got: impl Into<String>) -> Self {
        self.expected = expected.into();
        self.got = got.into();
        self
    }

    /// Adds what to do or read next.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds where requests break first.
    pub fn broken(mut self, broken: Option<Broken>) -> Self {
        self.broken = broken;
        self
    }

    /// What to look at, a line each: the first broken layer, the hint, and field issues that look the same.
    pub fn advice(&self) -> Vec<String> {
        let broken = self.broken.iter().map(Broken::to_string);
        let hint = self.hint.iter().map(|hint| format!("hint: {hint}"));
        broken.chain(hint).chain(self.like.iter().map(Like::to_string)).collect()
    }

    /// Adds what was seen so far.
    pub fn evidence(mut self, evidence: &Evidence) -> Self {
        self.evidence = evidence.clone();
        self
    }
}

/// Why a check could not say that the clause holds.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The mesh is wrong.
    Refuted(Box<Finding>),
    /// The check could not tell.
    Unknown(String),
    /// It cannot be asked of these clusters, whatever they are like.
    NotAsked(String),
}

impl From<Finding> for Fault {
    fn from(finding: Finding) -> Self {
        Fault::Refuted(Box::new(finding))
    }
}

impl Fault {
    /// A fault of the check, not of the mesh.
    pub fn unknown(reason: impl std::fmt::Display) -> Self {
        Fault::Unknown(reason.to_string())
    }

    /// What the check takes is not there, and no fault of the mesh.
    pub fn not_asked(reason: impl std::fmt::Display) -> Self {
        Fault::NotAsked(reason.to_string())
    }
}

/// Any error that a check meets by the way says nothing about the mesh: it could not tell.
impl<E: std::error::Error> From<E> for Fault {
    fn from(error: E) -> Self {
        Fault::Unknown(chain(&error))
    }
}

/// What a check that looks again and again makes of a fault of one look.
impl<T> From<Fault> for Look<T> {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Refuted(finding) => Look::NotYet(finding.cause),
            Fault::Unknown(why) | Fault::NotAsked(why) => Look::Unable(why),
        }
    }
}

/// An error with all its sources, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        source = cause.source();
    }
    line
}

/// The verdict of one case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// The clause holds.
    Passed {
        /// What was seen.
        evidence: Evidence,
    },
    /// The clause does not hold.
    Failed {
        /// What is wrong.
        finding: Box<Finding>,
    },
    /// It could not be told whether the clause holds.
    Inconclusive {
        /// Why not.
        error: String,
    },
    /// It was not asked, on purpose.
    Skipped {
        /// Why not.
        reason: String,
    },
    /// It could not be asked, since something that it needs is not there.
    Blocked {
        /// The step or clause that is missing.
        by: String,
        /// What is wrong with that.
        reason: String,
    },
}

impl Verdict {
    /// The verdict's name as in events: `passed`, `failed`, `inconclusive`, `skipped`, `blocked`.
    pub fn name(&self) -> &'static str {
        match self {
            Verdict::Passed { .. } => "passed",
            Verdict::Failed { .. } => "failed",
            Verdict::Inconclusive { .. } => "inconclusive",
            Verdict::Skipped { .. } => "skipped",
            Verdict::Blocked { .. } => "blocked",
        }
    }

    /// Whether the clause was seen to hold.
    pub fn is_passed(&self) -> bool {
        matches!(self, Verdict::Passed { .. })
    }

    /// What was seen, where it was told: of a pass, and of a finding.
    pub fn evidence(&self) -> Option<&Evidence> {
        match self {
            Verdict::Passed { evidence } => Some(evidence),
            Verdict::Failed { finding } => Some(&finding.evidence),
            Verdict::Inconclusive { .. } | Verdict::Skipped { .. } | Verdict::Blocked { .. } => None,
        }
    }

    /// The line that says why, empty for a pass.
    pub fn cause(&self) -> String {
        match self {
            Verdict::Passed { .. } => String::new(),
            Verdict::Failed { finding } => finding.cause.clone(),
            Verdict::Inconclusive { error } => error.clone(),
            Verdict::Skipped { reason } => reason.clone(),
            Verdict::Blocked { by, reason } => format!("blocked by {by}: {reason}"),
        }
    }

    /// What to look at, a line each: only a finding knows that.
    pub fn advice(&self) -> Vec<String> {
        match self {
            Verdict::Failed { finding } => finding.advice(),
            _ => Vec::new(),
        }
    }
}

/// Decides the verdict from what the check returned.
///
/// A pass without evidence is no pass: nobody could look it up again.
pub fn decide(result: Result<Evidence, Fault>) -> Verdict {
    match result {
        Ok(evidence) if evidence.is_empty() => {
            Verdict::Inconclusive { error: "the check returned no evidence".to_string() }
        }
        Ok(evidence) => Verdict::Passed { evidence },
        Err(Fault::Refuted(finding)) => Verdict::Failed { finding },
        Err(Fault::Unknown(error)) => Verdict::Inconclusive { error },
        Err(Fault::NotAsked(reason)) => Verdict::Skipped { reason },
    }
}
