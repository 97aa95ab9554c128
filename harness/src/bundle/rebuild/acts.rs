//! The acts by which a healthy lab becomes what was captured, with the names that the lab has.

use serde_json::{Value, json};

use super::super::Bundle;
use crate::lab::Revision;
use crate::role::Role;
use crate::sabotage::{Act, Change, Target};
use crate::scenario::Scenario;

/// Acts in their order, and what they are made from.
pub(super) struct Acts<'a> {
    /// What was captured.
    pub bundle: &'a Bundle,
    /// The namespace of Istio.
    pub istio: String,
    /// The revision of the control plane as captured.
    pub captured: Revision,
    /// Its revision on the lab.
    pub revision: Revision,
    /// The tag that stands for it there beside the default one.
    pub tag: Option<String>,
    /// Istio's id of each cluster as captured, and its name on the lab: primary, remote.
    ids: [(String, String); 2],
    /// The acts.
    pub done: Vec<Act>,
}

impl<'a> Acts<'a> {
    pub fn of(bundle: &'a Bundle, scenario: &Scenario) -> Acts<'a> {
        let id = |role| (bundle.index.clusters[&role].id.clone(), scenario.clusters[&role].name.clone());
        let istio = bundle.index.istio_namespace.to_string();
        let (captured, revision) = (Revision::named(&bundle.index.revision), scenario.install.revision());
        Acts {
            bundle,
            istio,
            captured,
            revision,
            tag: scenario.install.tag.clone(),
            ids: Role::ALL.map(id),
            done: Vec::new(),
        }
    }

    /// The captured id of a cluster.
    pub fn id(&self, role: Role) -> &str {
        &self.pair(role).0
    }

    /// The name of a cluster on the lab.
    pub fn name(&self, role: Role) -> &str {
        &self.pair(role).1
    }

    fn pair(&self, role: Role) -> &(String, String) {
        match role {
            Role::Primary => &self.ids[0],
            Role::Remote => &self.ids[1],
        }
    }

    /// A captured id as the lab calls that cluster; any other stays as it is.
    pub fn on_lab(&self, id: &str) -> String {
        self.ids.iter().find(|(captured, _)| captured == id).map_or(id, |(_, name)| name).to_string()
    }

    pub fn target(&self, api: &str, kind: &str, name: &str) -> Target {
        let clusterwide = matches!(kind, "Namespace" | "ClusterRole" | "MutatingWebhookConfiguration");
        Target {
            api_version: api.to_string(),
            kind: kind.to_string(),
            namespace: if clusterwide { String::new() } else { self.istio.clone() },
            name: name.to_string(),
        }
    }

    pub fn merge(&mut self, cluster: Role, object: Target, patch: Value) {
        self.done.push(Act::Patch { cluster, object, by: Change::Merge(patch) });
    }

    pub fn strategic(&mut self, cluster: Role, object: Target, patch: Value) {
        self.done.push(Act::Patch { cluster, object, by: Change::Strategic(patch) });
    }

    pub fn json(&mut self, cluster: Role, object: Target, patch: Value) {
        self.done.push(Act::Patch { cluster, object, by: Change::Json(patch) });
    }

    pub fn delete(&mut self, cluster: Role, object: Target) {
        self.done.push(Act::Delete { cluster, object });
    }

    /// Makes the `spec` of an object what was captured.
    pub fn spec(&mut self, cluster: Role, object: Target, spec: &Value) {
        self.json(cluster, object, json!([{"op": "replace", "path": "/spec", "value": spec}]));
    }
}

/// Whether a captured value would be taken for a name of the lab, which it cannot have meant.
pub(super) fn has_variables(value: &Value) -> bool {
    value.to_string().contains("${")
}
