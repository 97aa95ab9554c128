//! Whether istiod leads in the remote cluster: what D8 and D9 hang on, and say when they are red.

use std::collections::BTreeMap;

use harness::check::verdict::chain;
use harness::check::{Evidence, Fault, Mesh};
use harness::lab::cluster::ClusterError;
use harness::problem::all_of;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::LogParams;

use super::istiod;

/// The root that istiod of the primary has published in its own cluster: the expected value everywhere.
///
/// # Errors
/// [`Fault`] when it cannot be read.
pub async fn root_of_primary(mesh: &Mesh) -> Result<String, Fault> {
    let primary = mesh.primary();
    let istio = &*primary.istio_namespace;
    let map = primary
        .api::<ConfigMap>(istio)
        .get("istio-ca-root-cert")
        .await
        .map_err(primary.refused(format!("show ConfigMap {istio}/istio-ca-root-cert")))?;
    map.data
        .and_then(|data| data.get("root-cert.pem").cloned())
        .ok_or_else(|| Fault::unknown(format!("ConfigMap {istio}/istio-ca-root-cert of {} is empty", primary.name)))
}

/// What each replica of istiod has decided by its log: whether it may lead in the remote cluster; none where it never asked.
///
/// istiod decides once, when it reads the remote secret (`checkShouldLead`, see FIELD notes F2 and F3).
///
/// # Errors
/// [`ClusterError`] when its pods or the log of one cannot be read.
pub async fn decisions(mesh: &Mesh, evidence: &mut Evidence) -> Result<BTreeMap<String, Option<bool>>, ClusterError> {
    let (primary, remote) = (mesh.primary(), mesh.remote());
    let istio = &*primary.istio_namespace;
    let asked = format!("should join leader-election for cluster {}:", remote.name);
    let mut told = BTreeMap::new();
    for pod in istiod::replicas(primary).await? {
        let params = LogParams { container: Some("discovery".to_string()), ..LogParams::default() };
        let log = primary.api::<Pod>(istio).logs(&pod, &params).await;
        let log = log.map_err(primary.refused(format!("show the log of pod {istio}/{pod}")))?;
        let line = log.lines().rev().find(|line| line.contains(&asked));
        if let Some(line) = line {
            evidence.saw(istiod::object(primary, &pod), "log", line.trim());
        }
        told.insert(pod, line.map(|line| line.trim_end().ends_with("true")));
    }
    Ok(told)
}

/// What makes an istiod lead that decided against it.
pub fn how_to_lead(mesh: &Mesh) -> String {
    let (primary, remote) = (mesh.primary(), mesh.remote());
    format!(
        "namespace {} of {} had no fitting annotation topology.istio.io/controlPlaneClusters, or istiod no EXTERNAL_ISTIOD, when the remote secret was read; set it, then make the remote secret anew",
        primary.istio_namespace, remote.name
    )
}

/// Why istiod does not lead, by what its replicas have decided; returns the end of a cause line, and a hint.
pub async fn leads_not(mesh: &Mesh, evidence: &mut Evidence) -> (String, String) {
    let (primary, remote) = (mesh.primary(), mesh.remote());
    let told = match decisions(mesh, evidence).await {
        Ok(told) => told,
        // What is wrong is known already; only the reason is not.
        Err(error) => return (String::new(), format!("why istiod does not lead could not be read: {}", chain(&error))),
    };
    let refused: Vec<&String> = told.iter().filter(|(_, may)| **may == Some(false)).map(|(pod, _)| pod).collect();
    // With one replica its name says nothing; with several it says whose log to read.
    let who = if refused.len() < told.len() { format!(" ({})", all_of(&refused)) } else { String::new() };
    if !refused.is_empty() {
        return (
            format!(": istiod of {}{who} decided not to lead in {}", primary.name, remote.name),
            how_to_lead(mesh),
        );
    }
    if told.values().any(Option::is_some) {
        // Where a write was refused for a moment istiod does not try again: suites/scenarios/field/f25-ca-lost-after-a-refusal.yaml.
        let hint = format!(
            "istiod leads in {}; see its log for errors of its writes; after one that was refused it may write again only when \
             somebody changes the object",
            remote.name
        );
        return (String::new(), hint);
    }
    (
        format!(": istiod of {} never asked whether to lead in {}", primary.name, remote.name),
        "see whether the remote secret is there and has the label istio/multiCluster=true".to_string(),
    )
}
