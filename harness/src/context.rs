//! What steps and checks are given: the lab, the facts learnt so far, and named waits with budgets.

use std::sync::Arc;

use crate::budget::{Budgets, Limit};
use crate::event::Recorder;
use crate::install::facts::{Fact, Facts};
use crate::lab::{Cluster, Lab};
use crate::role::Role;
use crate::scenario::Scenario;
use crate::wait::{Hurry, Wait};

/// What a step or a check is given.
#[derive(Debug, Clone)]
pub struct Context {
    /// The lab.
    pub lab: Arc<Lab>,
    /// Facts that the install has learnt; shared by all.
    pub facts: Facts,
    /// Where events go.
    pub recorder: Recorder,
    /// Time limits.
    pub budgets: Budgets,
    /// Id of the step or case that this is for.
    pub scope: String,
    /// Hurries the waits of a check that another already takes the blame for.
    pub hurry: Hurry,
    /// The round of checks that this is for; empty for what is told without one.
    pub round: String,
    /// Differs from run to run, and from round to round; goes into paths and names, so that an earlier run's traffic answers for nothing.
    pub nonce: String,
}

fn nonce() -> String {
    format!("{:08x}", jiff::Timestamp::now().as_millisecond() as u32)
}

/// A fact that nothing has taught.
#[derive(Debug, thiserror::Error)]
#[error("the install has not taught {0}; run `meshproof install` first")]
pub struct UnknownFact(&'static str);

impl Context {
    /// For a lab; the facts are those that it has learnt.
    pub fn new(lab: Lab, recorder: Recorder, budgets: Budgets) -> Context {
        Context {
            facts: lab.file.facts.clone(),
            lab: Arc::new(lab),
            recorder,
            budgets,
            scope: String::new(),
            hurry: Hurry::default(),
            round: String::new(),
            nonce: nonce(),
        }
    }

    /// The same, for another step or case.
    pub fn scoped(&self, scope: &str) -> Context {
        Context { scope: self.told(scope), ..self.clone() }
    }

    /// The same, for a round of checks of this name.
    pub fn within(&self, round: &str) -> Context {
        Context { round: round.to_string(), nonce: nonce(), ..self.clone() }
    }

    /// The id by which events and reports tell a case: with its round, as `late/D8`.
    pub fn told(&self, id: &str) -> String {
        if self.round.is_empty() { id.to_string() } else { format!("{}/{id}", self.round) }
    }

    /// The cluster with this role.
    pub fn cluster(&self, role: Role) -> &Cluster {
        self.lab.cluster(role)
    }

    /// The guide's cluster1.
    pub fn primary(&self) -> &Cluster {
        self.cluster(Role::Primary)
    }

    /// The guide's cluster2.
    pub fn remote(&self) -> &Cluster {
        self.cluster(Role::Remote)
    }

    /// What was asked for.
    pub fn scenario(&self) -> &Scenario {
        &self.lab.file.scenario
    }

    /// A wait that shows on the live line.
    pub fn wait(&self, what: impl Into<String>, budget: impl Into<Limit>) -> Wait {
        Wait::new(what, budget).shown(&self.recorder, &self.scope).hurried(&self.hurry, self.budgets.hurried())
    }

    /// A fact that a step has taught.
    ///
    /// # Errors
    /// [`UnknownFact`] when none has.
    pub fn fact(&self, fact: Fact) -> Result<String, UnknownFact> {
        self.facts.get(fact).ok_or(UnknownFact(fact.as_str()))
    }
}
