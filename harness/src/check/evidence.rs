//! What a check saw, in a form that a person can look up again.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// One thing seen: which object, which part of it, and what stood there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// The object or place, with its cluster: `cluster2 ConfigMap sample/istio-ca-root-cert`.
    pub object: String,
    /// The field, metric, log or address looked at.
    pub field: String,
    /// What stood there; hashes in the place of long or secret values.
    pub value: String,
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} | {} = {}", self.object, self.field, self.value)
    }
}

/// Answers to a row of requests, by the cluster that gave them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Who asked: `cluster1`.
    pub from: String,
    /// Whom: `Service meshproof-sample/echo`.
    pub to: String,
    /// Number of answers of each cluster.
    pub answers: BTreeMap<String, u32>,
    /// The smallest and the largest number for any one cluster that raises no alarm.
    pub calm: (u32, u32),
}

/// The list of things seen, in the order in which they were seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Things seen.
    pub items: Vec<Item>,
    /// Remarks for the reader that judge nothing, such as a warning of the guide.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Rows of requests that were counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<Sample>,
}

impl Evidence {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one thing seen.
    pub fn saw(&mut self, object: impl Into<String>, field: impl Into<String>, value: impl ToString) -> &mut Self {
        self.items.push(Item { object: object.into(), field: field.into(), value: value.to_string() });
        self
    }

    /// Adds a remark that judges nothing.
    pub fn note(&mut self, note: impl Into<String>) -> &mut Self {
        self.notes.push(note.into());
        self
    }

    /// Adds a row of requests that was counted.
    pub fn counted(&mut self, sample: Sample) -> &mut Self {
        self.samples.push(sample);
        self
    }

    /// Appends all that another list holds.
    pub fn extend(&mut self, other: Evidence) -> &mut Self {
        self.items.extend(other.items);
        self.notes.extend(other.notes);
        self.samples.extend(other.samples);
        self
    }

    /// Whether nothing was seen; a pass without evidence is refused by [`crate::check::verdict::decide`].
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}
