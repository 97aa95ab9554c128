//! What steps and checks of a lab are given: the mesh, the lab that it stands on, and the facts learnt so far.

use std::ops::Deref;
use std::sync::Arc;

use crate::budget::Budgets;
use crate::event::Recorder;
use crate::install::facts::{Fact, Facts};
use crate::lab::Lab;
use crate::mesh::{Mesh, Wanted};
use crate::scenario::Scenario;
use crate::wait::Hurry;

/// What a step or a check of a lab is given. What only reads is given its [`Mesh`], which this can be used as.
#[derive(Debug, Clone)]
pub struct Context {
    /// The mesh that the lab carries.
    pub mesh: Mesh,
    /// The lab.
    pub lab: Arc<Lab>,
    /// Facts that the install has learnt; shared by all.
    pub facts: Facts,
    /// Differs from run to run; goes into paths and names, so that an earlier run's traffic answers for nothing.
    pub nonce: String,
}

impl Deref for Context {
    type Target = Mesh;

    fn deref(&self) -> &Mesh {
        &self.mesh
    }
}

/// A fact that nothing has taught.
#[derive(Debug, thiserror::Error)]
#[error("the install has not taught {0}; run `meshproof install` first")]
pub struct UnknownFact(&'static str);

impl Context {
    /// For a lab; the facts are those that it has learnt.
    pub fn new(lab: Lab, recorder: Recorder, budgets: Budgets) -> Context {
        Context {
            mesh: Mesh {
                clusters: lab.clusters.clone(),
                wanted: Arc::new(Wanted::of(&lab.file.scenario)),
                recorder,
                budgets,
                scope: String::new(),
                hurry: Hurry::default(),
            },
            facts: lab.file.facts.clone(),
            lab: Arc::new(lab),
            nonce: format!("{:08x}", jiff::Timestamp::now().as_millisecond() as u32),
        }
    }

    /// The same, for another step or case.
    pub fn scoped(&self, scope: &str) -> Context {
        let mut context = self.clone();
        context.mesh.scope = scope.to_string();
        context
    }

    /// What was asked for.
    pub fn scenario(&self) -> &Scenario {
        &self.lab.file.scenario
    }

    /// A fact that a step has taught.
    ///
    /// # Errors
    /// [`UnknownFact`] when none has.
    pub fn fact(&self, fact: Fact) -> Result<String, UnknownFact> {
        self.facts.get(fact).ok_or(UnknownFact(fact.as_str()))
    }
}
