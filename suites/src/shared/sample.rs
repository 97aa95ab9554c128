//! Pods of the sample, as several checks look for them.

use harness::check::Fault;
use harness::lab::Cluster;
use harness::lab::cluster::pod_ready;
use harness::wait::Look;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

const NAMESPACE: &str = "meshproof-sample";

/// Names of those that have a proxy, are ready, and are not on their way out.
///
/// # Errors
/// [`Fault`] when pods cannot be listed.
pub async fn in_the_mesh(cluster: &Cluster) -> Result<Vec<String>, Fault> {
    let pods = cluster.pods(NAMESPACE, "app").await?;
    let proxied = |pod: &&Pod| pod.annotations().contains_key("sidecar.istio.io/status");
    let stays = |pod: &&Pod| pod_ready(pod) == Look::Yes(()) && pod.metadata.deletion_timestamp.is_none();
    Ok(pods.iter().filter(proxied).filter(stays).map(ResourceExt::name_any).collect())
}
