//! The sample: its namespace, and its pods as several checks look for them.

use std::collections::BTreeMap;

use harness::check::Context;
use harness::lab::Cluster;
use harness::lab::cluster::{ClusterError, pod_ready};
use harness::lab::injection::has_proxy;
use harness::lab::probe::{Probe, ProbeError};
use harness::role::Role;
use harness::wait::Look;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

/// The identity of a service account of the sample in this namespace.
pub fn identity(namespace: &str, account: &str) -> String {
    format!("spiffe://cluster.local/ns/{namespace}/sa/{account}")
}

/// The callers inside the mesh, one on each node, of both clusters.
///
/// # Errors
/// [`ProbeError::NoPod`] when a node has none that is ready.
pub async fn callers(context: &Context) -> Result<Vec<Probe>, ProbeError> {
    let mut callers = Vec::new();
    for role in Role::ALL {
        callers.extend(Probe::each_inside(context.cluster(role), &context.budgets).await?);
    }
    Ok(callers)
}

/// Ready pods of echo in one cluster, at least one: address, and `cluster2 pod x/y`.
///
/// # Errors
/// [`ProbeError::NoPod`] when none is ready.
pub async fn echoes_of(context: &Context, role: Role) -> Result<BTreeMap<String, String>, ProbeError> {
    let namespace = context.sample();
    let pods = Probe::find(context.cluster(role), namespace, "echo", &context.budgets).await?;
    Ok(pods.into_iter().map(|pod| (pod.address.clone(), pod.object())).collect())
}

/// As [`echoes_of`], in both clusters.
///
/// # Errors
/// As [`echoes_of`]: without a pod there is nothing that anybody could miss.
pub async fn echoes(context: &Context) -> Result<BTreeMap<String, String>, ProbeError> {
    let mut all = BTreeMap::new();
    for role in Role::ALL {
        all.extend(echoes_of(context, role).await?);
    }
    Ok(all)
}

/// Pods that have a proxy, are ready, and are not on their way out.
///
/// # Errors
/// [`ClusterError`] when pods cannot be listed.
pub async fn in_the_mesh(cluster: &Cluster) -> Result<Vec<Pod>, ClusterError> {
    let namespace = &*cluster.sample;
    let mut pods = cluster.pods(namespace, "app").await?;
    pods.retain(|pod| pod_ready(pod) == Look::Yes(()) && has_proxy(pod));
    Ok(pods)
}

/// Their names.
///
/// # Errors
/// As [`in_the_mesh`].
pub async fn names_in_the_mesh(cluster: &Cluster) -> Result<Vec<String>, ClusterError> {
    Ok(in_the_mesh(cluster).await?.iter().map(ResourceExt::name_any).collect())
}
