//! The plan of a run: known, printable and checked before anything happens.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::problem::all_of;
use crate::role::Role;
use crate::scenario::{IstioNamespace, Scenario};
use crate::topology::Topology;

/// All that a run will do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// What it is done to.
    #[serde(flatten)]
    pub target: Target,
    /// Steps of the install, then of the clean-up, in the guide's order.
    pub steps: Vec<StepOutline>,
    /// Cases in catalogue order.
    pub cases: Vec<CaseOutline>,
    /// Where the run does otherwise than the guide, and why.
    pub deviations: Vec<Deviation>,
}

/// What a run is done to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Target {
    /// A lab.
    Lab {
        /// What was asked for.
        scenario: Box<Scenario>,
        /// Clusters, networks and addresses that follow from it.
        topology: Topology,
    },
    /// Clusters that meshproof did not make. They are only read.
    Contexts {
        /// The user's kube context of each.
        contexts: BTreeMap<Role, String>,
        /// The namespace in which Istio is looked for.
        #[serde(default)]
        istio_namespace: IstioNamespace,
    },
    /// What was written down of clusters. They are not asked.
    Archives {
        /// The archive of each.
        archives: BTreeMap<Role, String>,
        /// The namespace in which Istio is looked for.
        istio_namespace: IstioNamespace,
    },
}

impl Plan {
    /// What was asked for, where that is a lab.
    pub fn scenario(&self) -> Option<&Scenario> {
        match &self.target {
            Target::Lab { scenario, .. } => Some(scenario),
            Target::Contexts { .. } | Target::Archives { .. } => None,
        }
    }

    /// Its name in reports: that of the scenario, or of the contexts or archives.
    pub fn name(&self) -> String {
        match &self.target {
            Target::Lab { scenario, .. } => scenario.name.clone(),
            Target::Contexts { contexts: names, .. } | Target::Archives { archives: names, .. } => {
                all_of(&names.values().collect::<Vec<_>>())
            }
        }
    }

    /// The name of the verdict that is expected of a case, if it is said.
    pub fn expected(&self, case: &str) -> Option<&str> {
        self.scenario()?.expected(case)
    }
}

/// To which part of a run a step belongs, in the order of the parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// What the clusters of the lab still need when their API servers answer; the install need not wait for it.
    Lab,
    /// The guide's install, and the workloads that the checks use.
    Install,
    /// What a scenario does to the installed mesh.
    Timeline,
    /// The guide's clean-up.
    CleanUp,
}

/// A step as plans, events and reports show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepOutline {
    /// Kebab-case id.
    pub id: String,
    /// One line in the present tense.
    pub title: String,
    /// Section of the guide, or `harness` for what only the lab needs.
    pub guide: String,
    /// The cluster on which it acts.
    pub role: Role,
    /// Part of the run.
    pub phase: Phase,
    /// The commands as a person following the guide would type them.
    pub commands: Vec<String>,
    /// What must hold before the next step may rely on it.
    pub proof: String,
    /// Steps that must be proved first.
    pub after: Vec<String>,
    /// Facts that it needs.
    pub needs: Vec<String>,
    /// Facts that it teaches.
    pub teaches: Vec<String>,
}

/// A case as plans, events and reports show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseOutline {
    /// Stable id: `D0` to `D13`.
    pub id: String,
    /// Stable kebab-case name.
    pub slug: String,
    /// One line in the present tense.
    pub title: String,
    /// Section of the guide.
    pub guide: String,
    /// Ids of steps and cases without which it cannot be asked.
    pub needs: Vec<String>,
    /// Whether it is asked after the clean-up, when no mesh is there any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub after_clean_up: bool,
}

/// One row of the table of deviations from the guide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deviation {
    /// What the run does otherwise.
    pub what: String,
    /// Why it must or may.
    pub why: String,
}
