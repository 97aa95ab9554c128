//! Deployments of the sample that checks scale, and the pods that they have then.

use std::collections::BTreeMap;

use harness::check::Context;
use harness::lab::Cluster;
use harness::lab::cluster::{ClusterError, pod_ready};
use harness::role::Role;
use harness::wait::{Look, Timeout};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::json;

/// Address to name, of pods that stay.
pub type Pods = BTreeMap<String, String>;

/// Asks for so many pods.
///
/// # Errors
/// [`ClusterError`] when the API server refuses it.
pub async fn scale(cluster: &Cluster, name: &str, replicas: usize) -> Result<(), ClusterError> {
    let namespace = &*cluster.sample;
    let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
    let api = cluster.api::<Deployment>(namespace);
    api.patch(name, &PatchParams::default(), &patch)
        .await
        .map_err(cluster.refused(format!("scale Deployment {namespace}/{name} to {replicas}")))?;
    Ok(())
}

/// Waits until exactly so many pods with its label stay, all of them ready.
///
/// # Errors
/// [`Timeout`] with what is there instead.
pub async fn settled(context: &Context, role: Role, name: &str, replicas: usize) -> Result<Pods, Timeout> {
    let namespace = context.sample();
    let cluster = context.cluster(role);
    let selector = format!("app={name}");
    let what = format!("{replicas} ready pods {selector} in {namespace} of {}", cluster.name);
    let wait = context.wait(what, context.budgets.workload_ready());
    cluster.watch_pods(&wait, namespace, &selector, |pods| staying(cluster, pods, replicas)).await
}

fn staying(cluster: &Cluster, pods: &[Pod], replicas: usize) -> Look<Pods> {
    let namespace = &*cluster.sample;
    let pods: Vec<&Pod> = pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).collect();
    if let Some(why) = pods.iter().find_map(|pod| match pod_ready(pod) {
        Look::NotYet(why) | Look::Unable(why) => Some(why),
        Look::Yes(()) => None,
    }) {
        return Look::NotYet(why);
    }
    if pods.len() != replicas {
        return Look::NotYet(format!("{} of {replicas} pods", pods.len()));
    }
    let named = pods.iter().filter_map(|pod| {
        let ip = pod.status.as_ref()?.pod_ip.clone()?;
        Some((ip, cluster.object("pod", &format!("{namespace}/{}", pod.name_any()))))
    });
    Look::Yes(named.collect())
}
