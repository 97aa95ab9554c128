//! Which field issues a red check looks like: those in which the same check gave the same cause.

use std::fmt;

use serde::{Deserialize, Serialize};
use wildmatch::WildMatch;

use super::Issue;
use crate::check::Verdict;
use crate::scenario::Thread;

/// A field issue that a finding looks like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Like {
    /// Id of the issue: `f02-annotated-late`.
    pub issue: String,
    /// Where users met it; none where nobody wrote of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub threads: Vec<Thread>,
}

impl fmt::Display for Like {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let threads: Vec<String> = self.threads.iter().map(Thread::to_string).collect();
        let what = if threads.is_empty() { "an issue without a thread".to_string() } else { threads.join(", ") };
        write!(f, "like {what} (meshproof field run {})", self.issue)
    }
}

/// What red checks say in the field issues that are known.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Symptoms(Vec<Symptom>);

#[derive(Debug, Clone, PartialEq)]
struct Symptom {
    check: String,
    cause: WildMatch,
    like: Like,
}

impl Symptoms {
    /// The symptoms of these issues.
    pub fn of(issues: &[Issue]) -> Symptoms {
        let each = |issue: &Issue| {
            let like = Like { issue: issue.id.clone(), threads: issue.scenario().threads.clone() };
            let symptom = issue.scenario().symptom.clone().into_iter();
            symptom.map(move |(check, cause)| Symptom { check, cause: WildMatch::new(&cause), like: like.clone() })
        };
        Symptoms(issues.iter().flat_map(each).collect())
    }

    /// The issues in which this check gives such a cause.
    pub fn like(&self, check: &str, cause: &str) -> Vec<Like> {
        let same = self.0.iter().filter(|symptom| symptom.check == check && symptom.cause.matches(cause));
        same.map(|symptom| symptom.like.clone()).collect()
    }

    /// The verdict of this check; a red one says which issues it looks like.
    pub fn noted(&self, check: &str, mut verdict: Verdict) -> Verdict {
        if let Verdict::Failed { finding } = &mut verdict {
            finding.like = self.like(check, &finding.cause);
        }
        verdict
    }
}
