//! One step of the install or the clean-up: a value, so that plans can be printed and judged before they run.

use super::action::Action;
use super::beside;
use super::facts::Fact;
use super::proof::Proof;
use crate::plan::{Phase, StepOutline};
use crate::role::Role;
use crate::scenario::ManifestWish;

/// One step.
#[derive(Debug, Clone)]
pub struct Step {
    /// Kebab-case id.
    pub id: String,
    /// One line in the present tense.
    pub title: String,
    /// Section of the guide, or `harness` for what only the lab needs.
    pub guide: &'static str,
    /// The cluster on which it acts.
    pub role: Role,
    /// Part of the run.
    pub phase: Phase,
    /// The commands as a person following the guide would type them.
    pub commands: Vec<String>,
    /// Number of the remote that it is for; 0 for what is done once.
    pub at: usize,
    /// Steps that must be proved first.
    pub after: Vec<String>,
    /// Steps that must have ended first, proved or not: what they look at would be changed by this one.
    pub follows: Vec<String>,
    /// Facts that it needs.
    pub needs: &'static [Fact],
    /// Facts that it teaches.
    pub teaches: &'static [Fact],
    /// What it does.
    pub action: Action,
    /// What must hold before another step may rely on it.
    pub proof: Proof,
    /// Manifests of the scenario that are applied before it or after its proof.
    pub beside: Vec<ManifestWish>,
}

impl Step {
    /// Whether it needs this cluster to be there.
    pub fn acts_on(&self, role: Role) -> bool {
        self.role == role || self.beside.iter().any(|wish| wish.cluster == role)
    }

    /// The part that goes into plans, events and reports.
    pub fn outline(&self) -> StepOutline {
        let names = |facts: &[Fact]| facts.iter().map(|fact| fact.as_str().to_string()).collect();
        StepOutline {
            id: self.id.clone(),
            title: self.title.clone(),
            guide: self.guide.to_string(),
            role: self.role,
            phase: self.phase,
            commands: beside::commands(self),
            proof: self.proof.title(),
            after: self.after.iter().chain(&self.follows).cloned().collect(),
            needs: names(self.needs),
            teaches: names(self.teaches),
        }
    }
}

/// A step that could not be applied or proved.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StepError(pub String);

/// Any error on the way ends the step with its whole chain in one line.
macro_rules! step_errors {
    ($($error:ty),* $(,)?) => {
        $(impl From<$error> for StepError {
            fn from(error: $error) -> Self {
                StepError(crate::check::verdict::chain(&error))
            }
        })*
    };
}

step_errors!(
    crate::tool::ToolError,
    crate::wait::Timeout,
    crate::context::UnknownFact,
    crate::lab::NotOfLab,
    crate::lab::cluster::ClusterError,
    crate::sabotage::BreakError,
    crate::lab::engine::EngineError,
    crate::lab::exec::ExecError,
    crate::lab::images::further::BringError,
    crate::lab::forward::ForwardError,
    crate::lab::load_balancer::LoadBalancerError,
    crate::lab::pod_network::PodNetworkError,
    crate::lab::probe::ProbeError,
    std::io::Error,
    serde_json::Error,
);

/// Refuses an order of steps in which one comes before what it needs.
///
/// # Errors
/// One line for each step that relies on a step or a fact which no earlier step gives.
pub fn check_order(steps: &[Step]) -> Result<(), Vec<String>> {
    let mut wrong = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let earlier = &steps[..index];
        for needed in step.after.iter().chain(&step.follows) {
            if !earlier.iter().any(|other| other.id == *needed) {
                wrong.push(format!("step {} comes before {needed}, which it needs", step.id));
            }
        }
        for fact in step.needs {
            if !earlier.iter().any(|other| other.teaches.contains(fact)) {
                wrong.push(format!("step {} needs {}, which no earlier step teaches", step.id, fact.as_str()));
            }
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}
