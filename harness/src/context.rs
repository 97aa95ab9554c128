//! What steps and checks of a lab are given: the mesh, the lab that it stands on, and the facts learnt so far.

use std::ops::Deref;
use std::sync::Arc;

use crate::budget::Budgets;
use crate::event::Recorder;
use crate::field::Symptoms;
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
    /// The round of checks that this is for; empty for what is told without one.
    pub round: String,
    /// Differs from run to run, and from round to round; goes into paths and names, so that an earlier run's traffic answers
    /// for nothing.
    pub nonce: String,
}

impl Deref for Context {
    type Target = Mesh;

    fn deref(&self) -> &Mesh {
        &self.mesh
    }
}

/// The id by which events and reports tell a case of a round, on a remote after the first: `late/cluster3/D8`. Without either it
/// is the id itself.
pub fn told(round: &str, further: Option<&str>, id: &str) -> String {
    let parts = [round, further.unwrap_or_default(), id];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
}

/// The id in the catalogue of a case that events and reports tell by this one: `D8` of `late/cluster3/D8`.
pub fn own_id(told: &str) -> &str {
    told.rsplit('/').next().unwrap_or(told)
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
            mesh: Mesh {
                clusters: lab.clusters.clone(),
                wanted: Arc::new(Wanted::of(&lab.file.scenario)),
                recorder,
                budgets,
                symptoms: Arc::default(),
                scope: String::new(),
                hurry: Hurry::default(),
            },
            facts: lab.file.facts.clone(),
            lab: Arc::new(lab),
            round: String::new(),
            nonce: nonce(),
        }
    }

    /// The same, where red checks name the field issues that they look like.
    pub fn knowing(mut self, symptoms: &Symptoms) -> Context {
        self.mesh.symptoms = Arc::new(symptoms.clone());
        self
    }

    /// The same, for another case.
    pub fn scoped(&self, scope: &str) -> Context {
        let mut context = self.clone();
        context.mesh.scope = self.told(scope);
        context
    }

    /// The same, for a step that is told by this id.
    pub fn for_step(&self, id: &str) -> Context {
        let mut context = self.clone();
        context.mesh.scope = id.to_string();
        context
    }

    /// The same, for a round of checks of this name.
    pub fn within(&self, round: &str) -> Context {
        Context { round: round.to_string(), nonce: nonce(), ..self.clone() }
    }

    /// The same, for the primary and its remote of this number.
    pub fn seen_from(&self, at: usize) -> Context {
        let lab = self.lab.seen_from(at);
        let mesh = Mesh {
            clusters: lab.clusters.clone(),
            wanted: Arc::new(Wanted::of(&lab.file.scenario)),
            ..self.mesh.clone()
        };
        Context { mesh, facts: self.facts.of(lab.file.scenario.clusters.further()), lab: Arc::new(lab), ..self.clone() }
    }

    /// The same, for the primary and each of its remotes in turn.
    pub fn pairs(&self) -> Vec<Context> {
        (0..self.scenario().clusters.remotes().len()).map(|at| self.seen_from(at)).collect()
    }

    /// The id by which events and reports tell a case: with its round, as `late/D8`, and with the name of its remote where
    /// that is not the first, as `cluster3/D8`.
    pub fn told(&self, id: &str) -> String {
        told(&self.round, self.scenario().clusters.further().as_deref(), id)
    }

    /// What was asked for.
    pub fn scenario(&self) -> &Scenario {
        &self.lab.file.scenario
    }

    /// The guide's `DISCOVERY_ADDRESS`: what the lab keeps for the gateway, or what its platform gave it.
    ///
    /// # Errors
    /// [`UnknownFact`] when neither is known.
    pub fn discovery_address(&self) -> Result<String, UnknownFact> {
        self.lab.gateway_address().map_or_else(|_| self.fact(Fact::GatewayAddress), |address| Ok(address.to_string()))
    }

    /// A fact that a step has taught.
    ///
    /// # Errors
    /// [`UnknownFact`] when none has.
    pub fn fact(&self, fact: Fact) -> Result<String, UnknownFact> {
        self.facts.get(fact).ok_or(UnknownFact(fact.as_str()))
    }
}
