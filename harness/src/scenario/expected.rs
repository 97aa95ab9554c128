//! The verdict that is expected of a check: one, or one for each version of Istio.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema::VerdictName;

/// What is expected of a check, where that is not a pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Expected {
    /// This verdict.
    Always(#[schemars(with = "VerdictName")] String),
    /// This verdict with these versions of Istio, such as `1.29.2: failed`; with any other a pass.
    ByIstio(#[schemars(with = "BTreeMap<String, VerdictName>")] BTreeMap<String, String>),
}

impl Expected {
    /// Whether it is this verdict, with some version at least.
    pub fn names(&self, verdict: &str) -> bool {
        match self {
            Expected::Always(one) => one == verdict,
            Expected::ByIstio(verdicts) => verdicts.values().any(|one| one == verdict),
        }
    }

    /// The verdict with this version of Istio; none for a pass.
    pub fn with(&self, istio: &str) -> Option<&str> {
        match self {
            Expected::Always(verdict) => Some(verdict),
            Expected::ByIstio(verdicts) => verdicts.get(istio).map(String::as_str),
        }
    }
}
