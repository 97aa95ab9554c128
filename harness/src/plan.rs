//! The plan of a run: known, printable and checked before anything happens.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check::Path;
use crate::context::own_id;
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
    /// Clusters that the user brought for an install.
    Brought {
        /// What was asked for, with what the clusters are.
        scenario: Box<Scenario>,
        /// The user's kube context of each.
        contexts: BTreeMap<Role, String>,
        /// What will be made in each, a line each.
        creates: BTreeMap<Role, Vec<String>>,
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
    /// What was asked for, where something is installed.
    pub fn scenario(&self) -> Option<&Scenario> {
        match &self.target {
            Target::Lab { scenario, .. } | Target::Brought { scenario, .. } => Some(scenario),
            Target::Contexts { .. } | Target::Archives { .. } => None,
        }
    }

    /// Its name in reports: that of the scenario, or of the contexts or archives.
    pub fn name(&self) -> String {
        match &self.target {
            Target::Lab { scenario, .. } => scenario.name.clone(),
            Target::Brought { contexts: names, .. }
            | Target::Contexts { contexts: names, .. }
            | Target::Archives { archives: names, .. } => all_of(&names.values().collect::<Vec<_>>()),
        }
    }

    /// The name of the verdict that is expected of a case, if it is said.
    pub fn expected(&self, case: &str) -> Option<&str> {
        self.scenario()?.expected(case)
    }
}

/// To which part of a run a step belongs, in the order of the parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
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
    /// The ways across the mesh that it proves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shows: Vec<Path>,
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

impl CaseOutline {
    /// Whether it is a statement of the guide (`D0` and on) and no behaviour that follows from one; a round and a remote go
    /// before, as in `late/cluster3/D9`.
    pub fn is_clause(&self) -> bool {
        own_id(&self.id).strip_prefix('D').is_some_and(|number| number.parse::<u32>().is_ok())
    }
}

/// One row of the table of deviations from the guide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deviation {
    /// What the run does otherwise.
    pub what: String,
    /// Why it must or may.
    pub why: String,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rstest::rstest;

    use super::{CaseOutline, Target};
    use crate::role::Role;
    use crate::scenario::{IstioNamespace, Scenario};
    use crate::versions::Versions;

    #[rstest]
    #[case::a_clause("D12", true)]
    #[case::of_a_remote("cluster3/D9", true)]
    #[case::of_a_round("late/cluster3/D9", true)]
    #[case::a_behaviour("late/B9", false)]
    #[case::traffic("before/traffic", false)]
    #[case::a_round_of_such_a_name("D9/B1", false)]
    #[case::a_word("Deadline", false)]
    fn what_the_guide_states_is_a_clause(#[case] id: &str, #[case] expected: bool) {
        let outline = serde_json::json!({"id": id, "slug": "", "title": "", "guide": "", "needs": []});
        let outline: CaseOutline = serde_json::from_value(outline).expect("it is one");
        assert_eq!(outline.is_clause(), expected);
    }

    /// Reports are made again from events, in which no name tells one target from another.
    #[test]
    fn a_target_is_the_same_when_it_is_read_again() {
        let versions =
            "[defaults]\nkubernetes = \"v1.36.3\"\nistio = \"1.31.1\"\n[kubernetes.\"v1.36.3\"]\n[istio.\"1.31.1\"]\n";
        let versions = Versions::parse(versions).expect("versions");
        let contexts: BTreeMap<Role, String> = Role::ALL.map(|role| (role, format!("mine-{role}"))).into();
        let targets = [
            Target::Brought {
                scenario: Box::new(Scenario::default_primary_remote(&versions)),
                contexts: contexts.clone(),
                creates: [(Role::Primary, vec!["Namespace a".to_string()])].into(),
            },
            Target::Contexts { contexts, istio_namespace: IstioNamespace::default() },
        ];
        for target in targets {
            let text = serde_json::to_string(&target).expect("it can be written");
            assert_eq!(serde_json::from_str::<Target>(&text).expect("it can be read"), target);
        }
    }
}
