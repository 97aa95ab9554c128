//! The lab on which a mesh is rebuilt: versions, names and numbers.

use std::collections::BTreeMap;

use super::Rows;
use crate::bundle::tell;
use crate::bundle::{Bundle, INDEX};
use crate::lab::Revision;
use crate::lab::revision::{LABEL, TAG};
use crate::problem::Problems;
use crate::role::Role;
use crate::scenario::{
    ClusterWish, ExternalIstiod, MOST, Scenario, check_cluster_name, check_label_value, check_revision, check_tag,
};
use crate::versions::{Component, Versions};

/// A cluster of more nodes is rebuilt with so many: what several nodes show, three show.
const NODES: u32 = 3;

/// The scenario's versions: those that are asked for, else those that were captured, else the nearest of the same line.
///
/// # Errors
/// Versions that are not known, and what to do.
pub(super) fn versions(
    bundle: &Bundle,
    known: &Versions,
    asked: &BTreeMap<Component, String>,
    rows: &mut Rows,
) -> Result<Scenario, Problems> {
    let mut scenario = Scenario::default_primary_remote(known);
    let mut problems = Problems::new();
    let (primary, remote) = (&bundle.index.clusters[&Role::Primary], &bundle.index.clusters[&Role::Remote]);
    if primary.kubernetes != remote.kubernetes {
        rows.push(
            format!("Kubernetes {} of the remote cluster", remote.kubernetes),
            "both clusters of a lab have the same version, which is that of the primary",
        );
    }
    for (component, captured) in [(Component::Istio, &bundle.index.istio), (Component::Kubernetes, &primary.kubernetes)]
    {
        let flag = format!("--{}", component.key());
        let chosen = match asked.get(&component) {
            // What is wrong with it is said where the flag is read.
            Some(version) => Some(version.clone()),
            None => near(known, component, captured),
        };
        match chosen {
            Some(version) => {
                if version != *captured {
                    let captured = if captured.is_empty() { "of a version that nothing tells" } else { captured };
                    rows.push(format!("{component} {captured}"), format!("{component} {version} stands in for it"));
                }
                *scenario.version_mut(component) = version;
            }
            // Other lines of Istio behave otherwise, which is what one wants to see.
            None if component == Component::Istio => {
                let place = format!("{INDEX}: istio");
                let (message, instead) = match known.check(component, captured) {
                    Err(told) if !captured.is_empty() => told,
                    _ => ("which version of Istio was captured is not known".to_string(), String::new()),
                };
                let instead = if instead.is_empty() { String::new() } else { format!("; {instead}") };
                problems.push(place, message, format!("another version that you choose, with {flag}{instead}"));
            }
            None => {
                let version = scenario.version(component).to_string();
                rows.push(
                    format!("{component} {captured}"),
                    format!("{component} {version} stands in for it; {flag} names another"),
                );
            }
        }
    }
    problems.or(scenario)
}

/// The version that was captured if it is known, else one of the same line.
fn near(known: &Versions, component: Component, captured: &str) -> Option<String> {
    let all = known.known(component);
    if let Some(same) = all.iter().find(|version| *version == captured) {
        return Some(same.clone());
    }
    // Platforms add words of their own: v1.34.4-gke.1.
    let bare = captured.split(['-', '+']).next().unwrap_or_default();
    let line = component.release(bare).ok()?.line();
    let same_line = |version: &&String| component.release(version).is_ok_and(|release| release.line() == line);
    all.iter().find(|version| *version == bare).or_else(|| all.iter().find(same_line)).cloned()
}

/// Names and numbers of what was captured, as far as a lab can have them.
pub(super) fn shape(bundle: &Bundle, scenario: &mut Scenario, rows: &mut Rows) {
    let index = &bundle.index;
    scenario.name = "rebuilt-mesh".to_string();
    scenario.description = format!(
        "A mesh of Istio {} as it was captured on {}; `not rebuilt` rows of the deviations say what is otherwise.",
        if index.istio.is_empty() { "an unknown version" } else { &index.istio },
        index.captured
    );
    scenario.istio_namespace = index.istio_namespace.clone();
    let defaults =
        [(&index.mesh_id, &mut scenario.mesh_id, "mesh id"), (&index.network, &mut scenario.network, "network")];
    for (captured, wanted, what) in defaults {
        if check_label_value(captured, wanted).is_ok() {
            captured.clone_into(wanted);
        } else {
            let shown = if captured.is_empty() { "none" } else { captured };
            rows.push(format!("{what} {shown}"), format!("the guide has one, which is {wanted} on the lab"));
        }
    }
    if index.revision != "default" {
        match check_revision(&index.revision) {
            Ok(()) => revision(bundle, scenario),
            Err((message, _)) => rows.push(format!("revision {}", index.revision), message),
        }
    }
    for role in Role::ALL {
        let captured = &index.clusters[&role];
        let mut wish = ClusterWish::named(&scenario.clusters[&role].name);
        if index.clusters[&role.other()].id == captured.id {
            rows.push(format!("cluster id {} of both clusters", captured.id), "two clusters of a lab have two names");
        } else if check_cluster_name(&captured.id).is_ok() {
            captured.id.clone_into(&mut wish.name);
        } else {
            let why = format!("no node could be called so; {} stands in for it", wish.name);
            rows.push(format!("cluster id {}", captured.id), why);
        }
        let nodes = captured.nodes.unwrap_or(1);
        wish.nodes = u32::try_from(nodes).unwrap_or(NODES).clamp(1, NODES);
        if nodes > NODES as usize {
            let why = format!("{NODES} show what several nodes show; --nodes asks for another number");
            rows.push(format!("{nodes} nodes of {}", captured.id), why);
        }
        let proxies: usize = captured.proxies.values().sum();
        if proxies > 0 {
            rows.push(format!("{proxies} proxies of {}", captured.id), "the workloads are meshproof's own sample");
        }
        scenario.clusters[&role] = wish;
    }
    let deployments = bundle.documents(Role::Primary, "deployments");
    let of = |app: &str, value: &str| deployments.iter().find(|object| object["metadata"]["labels"][app] == value);
    let istiod = of("app", "istiod");
    scenario.istiod.replicas = replicas(istiod, "istiod", rows);
    scenario.gateway.replicas = replicas(of("istio", "eastwestgateway"), "the east-west gateway", rows);
    let values = bundle.document(Role::Primary, "injection-values");
    let by_value = values["global"]["externalIstiod"] == true;
    let by_env = !values["pilot"]["env"]["EXTERNAL_ISTIOD"].is_null();
    if by_value && !by_env && istiod.is_some_and(|istiod| tell::variable(istiod, "EXTERNAL_ISTIOD").is_some()) {
        scenario.install.external_istiod = ExternalIstiod::Value;
    }
}

/// The control plane by its revision, and the tag that stands for it.
fn revision(bundle: &Bundle, scenario: &mut Scenario) {
    let revision = &bundle.index.revision;
    scenario.install.revision = Some(revision.clone());
    let labels = bundle.documents(Role::Remote, "webhooks").iter().map(|webhook| &webhook["metadata"]["labels"]);
    let tags = labels.filter(|labels| labels[LABEL] == **revision).filter_map(|labels| labels[TAG].as_str());
    // istioctl sets the default one by itself where it installs the first control plane.
    let mut tags = tags.filter(|tag| !Revision::named(tag).is_default() && check_tag(tag).is_ok() && tag != revision);
    scenario.install.tag = tags.next().map(str::to_string);
}

/// How many pods a Deployment asks for, as far as one lab has room for them.
fn replicas(deployment: Option<&serde_json::Value>, what: &str, rows: &mut Rows) -> u32 {
    let wanted = deployment.and_then(|found| found["spec"]["replicas"].as_u64()).unwrap_or(1);
    let replicas = u32::try_from(wanted).unwrap_or(MOST).clamp(1, NODES);
    if wanted > u64::from(NODES) {
        rows.push(format!("{wanted} pods of {what}"), format!("{NODES} show what several show"));
    }
    if let Some(found) = deployment {
        let ready = found["status"]["readyReplicas"].as_u64().unwrap_or(0);
        if ready < wanted {
            rows.push(format!("{ready} of {wanted} pods of {what} ready"), "why pods are not ready is not captured");
        }
    }
    replicas
}
