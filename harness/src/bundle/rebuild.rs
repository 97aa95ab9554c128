//! From a bundle to a scenario that builds the same mesh on a lab: what the guide would have made, and then, moment by
//! moment, what was captured otherwise.

mod acts;
mod control_plane;
mod gateway;
mod lab;
mod mesh_config;
mod reader;
mod remote_profile;
mod remote_secret;

use std::collections::BTreeMap;

use super::Bundle;
use crate::plan::Deviation;
use crate::problem::Problems;
use crate::scenario::{Moment, Scenario};
use crate::versions::{Component, Versions};

use acts::Acts;

/// A bundle as it is rebuilt.
#[derive(Debug, Clone, PartialEq)]
pub struct Rebuilt {
    /// What is built, and what is done to it then.
    pub scenario: Scenario,
    /// What is not as it was captured, and why; rows of the table of deviations.
    pub not_rebuilt: Vec<Deviation>,
}

/// The scenario of a bundle. Versions that are asked for go before those that were captured.
///
/// # Errors
/// What keeps the mesh from being rebuilt.
pub fn rebuild(bundle: &Bundle, versions: &Versions, asked: &BTreeMap<Component, String>) -> Result<Rebuilt, Problems> {
    let mut rows = Rows::default();
    let mut problems = Problems::new();
    let mut scenario = problems
        .keep(lab::versions(bundle, versions, asked, &mut rows))
        .unwrap_or_else(|| Scenario::default_primary_remote(versions));
    lab::shape(bundle, &mut scenario, &mut rows);
    mesh_config::overlay(bundle, &mut scenario, &mut rows);
    let mut acts = Acts::of(bundle, &scenario);
    // What istiod is comes first, for it is rolled out; the remote secret comes last, for istiod reads it only once.
    control_plane::acts(&mut acts, &mut rows);
    gateway::acts(&mut acts, &mut rows);
    remote_profile::acts(&mut acts, &mut rows);
    reader::acts(&mut acts, &mut rows);
    remote_secret::acts(&mut acts, &mut rows);
    scenario.timeline = acts.done.into_iter().map(Moment::Act).collect();
    for not in &bundle.index.not_read {
        rows.push(&not.what, format!("it was not read: {}", not.why.lines().next().unwrap_or_default()));
    }
    problems.or(Rebuilt { scenario, not_rebuilt: rows.0 })
}

/// What is not rebuilt.
#[derive(Debug, Default)]
struct Rows(Vec<Deviation>);

impl Rows {
    fn push(&mut self, what: impl AsRef<str>, why: impl Into<String>) {
        self.0.push(Deviation { what: format!("not rebuilt: {}", what.as_ref()), why: why.into() });
    }
}
