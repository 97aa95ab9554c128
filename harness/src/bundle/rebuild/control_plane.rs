//! istiod of the primary cluster, what it injects, and the policies of its namespace.

use serde_json::{Value, json};

use super::Rows;
use super::acts::{Acts, has_variables};
use crate::bundle::tell;
use crate::role::Role;
use crate::sabotage::Act;

const PRIMARY: Role = Role::Primary;

pub(super) fn acts(acts: &mut Acts<'_>, rows: &mut Rows) {
    deployment(acts);
    injection_values(acts);
    policies(acts, rows);
}

fn deployment(acts: &mut Acts<'_>) {
    let deployments = acts.bundle.documents(PRIMARY, "deployments");
    let Some(istiod) = deployments.iter().find(|object| object["metadata"]["labels"]["app"] == "istiod") else {
        return;
    };
    let target = acts.target("apps/v1", "Deployment", &acts.revision.istiod());
    let told = tell::variable(istiod, "EXTERNAL_ISTIOD");
    if !told.as_deref().is_some_and(is_true) {
        let env = match told {
            Some(value) => json!({"name": "EXTERNAL_ISTIOD", "value": value}),
            None => json!({"name": "EXTERNAL_ISTIOD", "$patch": "delete"}),
        };
        let containers = json!([{"name": "discovery", "env": [env]}]);
        acts.strategic(PRIMARY, target, json!({"spec": {"template": {"spec": {"containers": containers}}}}));
        let (namespace, deployment) = (acts.istio.clone(), acts.revision.istiod());
        acts.done.push(Act::RollOut { cluster: PRIMARY, namespace, deployment });
    }
    if istiod["spec"]["replicas"] == 0 {
        let (namespace, deployment) = (acts.istio.clone(), acts.revision.istiod());
        acts.done.push(Act::Scale { cluster: PRIMARY, namespace, deployment, replicas: 0 });
    }
}

/// As Go's `strconv.ParseBool`, with which istiod reads it.
fn is_true(value: &str) -> bool {
    matches!(value, "1" | "t" | "T" | "true" | "TRUE" | "True")
}

/// What istiod tells the proxies that it injects, where that is not what the rest of the mesh says.
fn injection_values(acts: &mut Acts<'_>) {
    let Some(values) = acts.bundle.documents(PRIMARY, "injection-values").first() else { return };
    let (mesh_id, network) = (&acts.bundle.index.mesh_id, &acts.bundle.index.network);
    let global = &values["global"];
    let wanted = [
        ("meshID", &global["meshID"], mesh_id.as_str()),
        ("clusterName", &global["multiCluster"]["clusterName"], acts.id(PRIMARY)),
        ("network", &global["network"], network.as_str()),
    ];
    let wrong: Vec<(&str, String, String)> = wanted
        .into_iter()
        .map(|(field, got, wanted)| (field, got.as_str().unwrap_or_default(), wanted))
        // Where nobody names it, the lab's own stays.
        .filter(|(_, got, wanted)| !wanted.is_empty() && got != wanted)
        .map(|(field, got, wanted)| (field, got.to_string(), acts.on_lab(wanted)))
        .collect();
    for (field, got, wanted) in wrong {
        let object = acts.target("v1", "ConfigMap", &acts.revision.injector());
        // As the chart writes it.
        let (replace, with) = (format!("\"{field}\": \"{wanted}\""), format!("\"{field}\": {}", Value::from(got)));
        acts.done.push(Act::Edit { cluster: PRIMARY, object, replace, with });
    }
}

fn policies(acts: &mut Acts<'_>, rows: &mut Rows) {
    for policy in acts.bundle.documents(PRIMARY, "policies") {
        let what = format!(
            "{} {}",
            policy["kind"].as_str().unwrap_or_default(),
            policy["metadata"]["name"].as_str().unwrap_or_default()
        );
        apply(acts, PRIMARY, policy, &what, rows);
    }
}

/// Applies an object of the bundle as it was captured, in Istio's namespace of the lab.
pub(super) fn apply(acts: &mut Acts<'_>, cluster: Role, object: &Value, what: &str, rows: &mut Rows) {
    const KINDS: [&str; 4] = ["Gateway", "VirtualService", "PeerAuthentication", "AuthorizationPolicy"];
    let known = object["kind"].as_str().is_some_and(|kind| KINDS.contains(&kind));
    let named = object["metadata"]["name"].as_str().is_some_and(|name| !name.is_empty());
    if !known || !named || has_variables(object) {
        rows.push(what, "it is of no kind that is captured, has no name, or has ${...} in it");
        return;
    }
    let manifest = json!({
        "apiVersion": object["apiVersion"],
        "kind": object["kind"],
        "metadata": {"name": object["metadata"]["name"], "namespace": acts.istio},
        "spec": object["spec"],
    });
    acts.done.push(Act::Apply { cluster, manifest });
}
