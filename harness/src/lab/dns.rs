//! The cluster's DNS: CoreDNS as kubeadm deploys it is asked every ten seconds whether it is ready.
//!
//! In a new cluster the first look comes too early, so for ten seconds nothing that asks for a name gets an answer; the
//! gateways' agents ask for istiod's. And there are two of it, for the day when one is lost; a lab has no such day.

use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::cluster::{Cluster, ClusterError, FIELD_MANAGER};

/// Has one CoreDNS, asked every second. Done before any node is Ready, so that no pod of it has started.
///
/// # Errors
/// [`ClusterError::Api`] when the Deployment is not there or may not be changed.
pub async fn quicken(cluster: &Cluster) -> Result<(), ClusterError> {
    let deployments: Api<Deployment> = cluster.api("kube-system");
    let probe = json!({"name": "coredns", "readinessProbe": {"periodSeconds": 1}});
    let patch = json!({"spec": {"replicas": 1, "template": {"spec": {"containers": [probe]}}}});
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..Default::default() };
    deployments
        .patch("coredns", &params, &Patch::Strategic(&patch))
        .await
        .map_err(cluster.refused("change Deployment kube-system/coredns"))?;
    Ok(())
}
