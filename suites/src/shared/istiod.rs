//! istiod of the primary cluster: its replicas, their debug pages, and the gateway that exposes it.

use std::collections::BTreeMap;

use harness::check::Mesh;
use harness::lab::Cluster;
use harness::lab::cluster::{ClusterError, pod_ready};
use harness::lab::forward::ForwardError;
use harness::wait::Look;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::Value;

/// The port of the debug pages that asks a caller from inside the pod for no credentials.
const MONITORING: u16 = 15014;

/// The Service of the gateway that exposes istiod, in Istio's namespace of the primary cluster.
pub const GATEWAY: &str = "istio-eastwestgateway";

/// Pods of istiod that are ready.
///
/// # Errors
/// [`ClusterError`] when pods cannot be listed.
pub async fn pods(cluster: &Cluster) -> Result<Vec<Pod>, ClusterError> {
    let mut pods = cluster.pods(&cluster.istio_namespace, &cluster.revision.selector()).await?;
    pods.retain(|pod| pod_ready(pod) == Look::Yes(()));
    Ok(pods)
}

/// Pods of every control plane, the one that is judged and those beside it, that are ready.
///
/// # Errors
/// As [`pods`].
pub async fn pods_of_all(cluster: &Cluster) -> Result<Vec<Pod>, ClusterError> {
    let mut all = pods(cluster).await?;
    for revision in &cluster.beside {
        all.extend(pods(&Cluster { revision: revision.clone(), ..cluster.clone() }).await?);
    }
    Ok(all)
}

/// Names of the pods of istiod that are ready; what is asked of istiod is asked of each of them.
///
/// # Errors
/// As [`pods`].
pub async fn replicas(cluster: &Cluster) -> Result<Vec<String>, ClusterError> {
    Ok(pods(cluster).await?.iter().map(ResourceExt::name_any).collect())
}

/// The revision of istiod, by the label of its pods.
///
/// # Errors
/// As [`pods`].
pub async fn revision(cluster: &Cluster) -> Result<String, ClusterError> {
    let label = |pod: &Pod| pod.labels().get(super::webhook::REVISION).cloned();
    Ok(pods(cluster).await?.iter().find_map(label).unwrap_or_else(|| "default".to_string()))
}

/// A debug page of one replica that answers JSON, such as `/debug/clusterz`.
///
/// # Errors
/// [`ForwardError`] when it does not answer, or with something else.
pub async fn debug(cluster: &Cluster, pod: &str, path: &str) -> Result<Value, ForwardError> {
    cluster.forward(&cluster.istio_namespace, pod, MONITORING).await?.json(path).await
}

/// A page of one replica as text, such as `/version`.
///
/// # Errors
/// As [`debug`].
pub async fn text(cluster: &Cluster, pod: &str, path: &str) -> Result<String, ForwardError> {
    cluster.forward(&cluster.istio_namespace, pod, MONITORING).await?.text(path).await
}

/// `cluster1 pod istio-system/istiod-x`.
pub fn object(cluster: &Cluster, pod: &str) -> String {
    cluster.object("pod", &format!("{}/{pod}", cluster.istio_namespace))
}

/// Namespace and name of the gateway's Service: the guide's own, unless another has its label where meshproof did not make
/// the mesh.
///
/// # Errors
/// [`ClusterError`] when Services cannot be listed.
pub async fn gateway_place(mesh: &Mesh) -> Result<(String, String), ClusterError> {
    let primary = mesh.primary();
    let guides = (primary.istio_namespace.to_string(), GATEWAY.to_string());
    if primary.is_of_lab() {
        return Ok(guides);
    }
    let labelled = primary.all::<Service>().list(&ListParams::default().labels("istio=eastwestgateway")).await;
    let labelled = labelled.map_err(primary.refused("list Services istio=eastwestgateway"))?;
    let mut places: Vec<_> =
        labelled.iter().map(|found| (found.namespace().unwrap_or_default(), found.name_any())).collect();
    places.sort_by_key(|place| *place != guides);
    Ok(places.into_iter().next().unwrap_or(guides))
}

/// The gateway's Service as it is now; none if it is not there.
///
/// # Errors
/// [`ClusterError`] when it cannot be shown.
pub async fn gateway(mesh: &Mesh) -> Result<Option<Service>, ClusterError> {
    let primary = mesh.primary();
    let (namespace, name) = gateway_place(mesh).await?;
    primary
        .api::<Service>(&namespace)
        .get_opt(&name)
        .await
        .map_err(primary.refused(format!("show Service {namespace}/{name}")))
}

/// What a page of syncz says of the proxies connected to one replica: `pod.namespace` and the cluster it claims.
pub fn connected(syncz: &Value) -> Vec<(String, String)> {
    let field = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().to_string();
    syncz.as_array().into_iter().flatten().map(|entry| (field(entry, "proxy"), field(entry, "cluster_id"))).collect()
}

/// A proxy as istiod knows it: the cluster that it claims, and `pod.namespace`, which one of the other cluster may share.
pub type Client = (String, String);

/// What each proxy connected to one replica has not taken of what that sent: the kinds of configuration, with the error
/// where it refused them.
pub fn progress(syncz: &Value) -> BTreeMap<Client, Vec<String>> {
    let mut all = BTreeMap::new();
    for entry in syncz.as_array().into_iter().flatten() {
        let Some(proxy) = entry["proxy"].as_str() else { continue };
        let stale = ["cluster", "listener", "route", "endpoint"].into_iter().filter(|kind| {
            let [sent, acked] = ["sent", "acked"].map(|what| entry[format!("{kind}_{what}")].as_str().unwrap_or(""));
            sent != acked
        });
        let mut lacks: Vec<String> = stale.map(|kind| format!("{kind}s")).collect();
        let resources = entry["resources"].as_object().into_iter().flatten();
        lacks.extend(resources.filter_map(|(_, resource)| Some(resource["lastError"].as_str()?.to_string())));
        lacks.retain(|lack| !lack.is_empty());
        all.insert((entry["cluster_id"].as_str().unwrap_or_default().to_string(), proxy.to_string()), lacks);
    }
    all
}

/// The ids of the clusters on a page of clusterz.
pub fn clusters(clusterz: &Value) -> Vec<String> {
    clusterz.as_array().into_iter().flatten().filter_map(|entry| Some(entry["id"].as_str()?.to_string())).collect()
}

/// What a page of clusterz says of the sync with one cluster, and the secret that it is known by; none if it is unknown.
pub fn sync(clusterz: &Value, cluster: &str) -> Option<(String, String)> {
    let field = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().to_string();
    let entry = clusterz.as_array()?.iter().find(|entry| entry["id"] == cluster)?;
    Some((field(entry, "syncStatus"), field(entry, "secretName")))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::{connected, progress, sync};

    #[rstest]
    #[case::known("cluster2", Some(("synced", "istio-system/istio-remote-secret-cluster2")))]
    #[case::unknown("cluster3", None)]
    fn clusterz_tells_of_each_cluster_by_its_id(#[case] cluster: &str, #[case] told: Option<(&str, &str)>) {
        let page = json!([
            {"id": "cluster1", "secretName": "", "syncStatus": "synced"},
            {"id": "cluster2", "secretName": "istio-system/istio-remote-secret-cluster2", "syncStatus": "synced"},
        ]);
        assert_eq!(sync(&page, cluster), told.map(|(status, secret)| (status.to_string(), secret.to_string())));
    }

    #[rstest]
    #[case::synced(json!({"cluster_id": "c", "proxy": "a.b", "cluster_sent": "1", "cluster_acked": "1"}), &[])]
    #[case::stale(json!({"cluster_id": "c", "proxy": "a.b", "cluster_sent": "2", "cluster_acked": "1"}), &["clusters"])]
    #[case::never_taken(json!({"cluster_id": "c", "proxy": "a.b", "endpoint_sent": "1"}), &["endpoints"])]
    #[case::refused(json!({"cluster_id": "c", "proxy": "a.b", "resources": {"lds": {"lastError": "no such filter"}}}), &["no such filter"])]
    fn syncz_tells_what_a_proxy_has_not_taken(#[case] entry: serde_json::Value, #[case] lacks: &[&str]) {
        assert_eq!(progress(&json!([entry]))[&("c".to_string(), "a.b".to_string())], lacks);
    }

    #[rstest]
    #[case::a_list(json!([{"cluster_id": "cluster2", "proxy": "echo.sample"}]), 1)]
    #[case::nobody(json!([]), 0)]
    #[case::null_while_nobody_is_connected(json!(null), 0)]
    fn syncz_lists_proxies_with_their_cluster(#[case] page: serde_json::Value, #[case] count: usize) {
        let proxies = connected(&page);
        assert_eq!(proxies.len(), count);
        assert!(proxies.iter().all(|(proxy, cluster)| proxy == "echo.sample" && cluster == "cluster2"));
    }
}
