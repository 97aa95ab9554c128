//! What `${NAME}` stands for in the texts of checks, steps and hints.

use crate::lab::{Home, LabFile, status};
use crate::role::Role;
use crate::sabotage::Names;
use crate::scenario::{IstioNamespace, Scenario};
use crate::tool::quote;

/// The names of one mesh, and how its clusters are reached.
#[derive(Debug, Clone)]
pub struct Filling {
    /// How the mesh is installed, or was.
    pub scenario: Scenario,
    names: Names,
    contexts: [String; 2],
    /// What a shell has to be told before commands can be pasted.
    pub exports: Vec<String>,
    /// Whether the mesh has what meshproof installs: its workloads, and nodes on this machine.
    pub on_a_lab: bool,
}

impl Filling {
    /// As the lab of this scenario has it, or would have it.
    pub fn planned(scenario: &Scenario) -> Filling {
        let context = |role: Role| format!("kind-{}-{}", scenario.lab, scenario.clusters[&role].name);
        let contexts = Role::ALL.map(context);
        let (scenario, names) = (scenario.clone(), Names::planned(scenario));
        Filling { scenario, names, contexts, exports: Vec::new(), on_a_lab: true }
    }

    /// As this lab has it, if it is there; else as one of the scenario would have it under this name.
    pub fn of_lab(home: &Home, lab: &str, scenario: &Scenario) -> Filling {
        let Ok(file) = LabFile::read(home, lab) else {
            return Filling::planned(&Scenario { lab: lab.to_string(), ..scenario.clone() });
        };
        Filling { exports: status::exports(home, lab, &file), ..Filling::planned(&file.scenario) }
    }

    /// As a mesh of the user's own has it, under the names that the scenario has.
    pub fn of_contexts(contexts: [String; 2], istio_namespace: IstioNamespace, scenario: &Scenario) -> Filling {
        let scenario = Scenario { istio_namespace, ..scenario.clone() };
        Filling { contexts, on_a_lab: false, ..Filling::planned(&scenario) }
    }

    /// The text with every name filled in.
    pub fn fill(&self, text: &str) -> String {
        let mut text = self.names.fill(text);
        for (role, context) in Role::ALL.into_iter().zip(&self.contexts) {
            let variable = format!("${{{}}}", role.context_variable());
            // The guide has it in quotes.
            text = text.replace(&format!("\"{variable}\""), &quote(context)).replace(&variable, &quote(context));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::Filling;
    use crate::scenario::{IstioNamespace, Scenario};
    use crate::versions::Versions;

    fn scenario() -> Scenario {
        let versions = Versions::parse(include_str!("../../../kind/versions.toml")).expect("the file is sound");
        Scenario::default_primary_remote(&versions)
    }

    #[test]
    fn contexts_are_those_of_the_lab() {
        let lab = Filling::planned(&Scenario { lab: "mine".to_string(), ..scenario() });
        let filled =
            lab.fill("kubectl --context ${CTX_CLUSTER2} -n ${ISTIO_NAMESPACE} logs deploy/istiod${REVISION_SUFFIX}");
        assert_eq!(filled, "kubectl --context kind-mine-cluster2 -n istio-system logs deploy/istiod");
    }

    #[test]
    fn a_context_that_a_shell_would_read_otherwise_is_quoted() {
        let contexts = ["a b".to_string(), "$(reboot)".to_string()];
        let mine = Filling::of_contexts(contexts, IstioNamespace::named("mesh").expect("a namespace"), &scenario());
        let filled = mine.fill("x --context=\"${CTX_CLUSTER1}\" -n ${ISTIO_NAMESPACE}; y --context ${CTX_CLUSTER2}");
        assert_eq!(filled, "x --context='a b' -n mesh; y --context '$(reboot)'");
    }
}
