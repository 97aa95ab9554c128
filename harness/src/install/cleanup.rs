//! The removal of what a run made in a cluster, and of Istio.

use std::fmt::Debug;

use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{DeleteParams, ListParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use super::step::StepError;
use super::{beside, inventory};
use crate::context::Context;
use crate::lab::cluster::ClusterError;
use crate::lab::{Cluster, Home};
use crate::role::Role;
use crate::scenario::Scenario;
use crate::wait::Look;

/// The namespaces of the harness's own workloads and probes in a cluster: the primary has sample workloads for each remote.
pub(super) fn fixture_namespaces(scenario: &Scenario, role: Role) -> Vec<String> {
    let samples: Vec<String> = match role {
        Role::Primary => scenario.pairs().iter().map(Scenario::sample_namespace).collect(),
        Role::Remote => vec![scenario.sample_namespace()],
    };
    samples.into_iter().chain(["meshproof-probe".to_string()]).collect()
}

/// Removes what the scenario added, the namespaces of the harness, and what checks made outside them.
pub(super) async fn remove_fixtures(context: &Context, role: Role) -> Result<(), StepError> {
    let cluster = context.cluster(role);
    // D12 tells by it what Istio no longer leaves from what it never wrote.
    let installed = inventory::take(cluster).await?;
    let member = context.scenario().clusters.member(role);
    let path = Home::from_environment().inventory_at_clean_up(&context.scenario().lab, member);
    std::fs::write(path, serde_json::to_vec(&installed)?)?;
    beside::remove(context, role).await?;
    let ours = fixture_namespaces(context.scenario(), role);
    leftovers(cluster, &ours).await?;
    delete_namespaces(context, role, &ours, FIXTURE_GRACE).await
}

/// Deletes the namespace of an uninstalled Istio.
pub(super) async fn delete_istio_namespace(context: &Context, role: Role) -> Result<(), StepError> {
    delete_namespaces(context, role, &[context.cluster(role).istio_namespace.to_string()], ISTIO_GRACE).await
}

/// Deletes what checks make outside the fixture namespaces, in case one was killed before it did so itself.
async fn leftovers(cluster: &Cluster, ours: &[String]) -> Result<(), StepError> {
    delete_ours::<MutatingWebhookConfiguration>(cluster, ours).await?;
    Ok(delete_ours::<Namespace>(cluster, ours).await?)
}

async fn delete_ours<K>(cluster: &Cluster, ours: &[String]) -> Result<(), ClusterError>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    let kind = K::kind(&());
    let objects = cluster.all::<K>();
    let found = objects.list(&ListParams::default()).await.map_err(cluster.refused(format!("list {kind}s")))?;
    for name in found.iter().map(ResourceExt::name_any) {
        if name.starts_with("meshproof-") && !ours.contains(&name) {
            gone(objects.delete(&name, &DeleteParams::background()).await.map(|_| ()))
                .map_err(cluster.refused(format!("delete {kind} {name}")))?;
        }
    }
    Ok(())
}

/// A deletion of what is gone, or on its way, is done.
fn gone(deleted: Result<(), kube::Error>) -> Result<(), kube::Error> {
    match deleted {
        Err(kube::Error::Api(status)) if status.is_not_found() || status.code == 409 => Ok(()),
        other => other,
    }
}

/// Seconds that a pod of the harness is given to end.
const FIXTURE_GRACE: u32 = 1;

/// Seconds that a pod of an uninstalled Istio is given: its object goes at once, and the node ends the process. istiod
/// sits out whatever it is given (seen with 1.31.1), and its rights went with the uninstall.
const ISTIO_GRACE: u32 = 0;

/// Ends the pods of these namespaces, then deletes the namespaces.
///
/// In this order because the namespace controller, where it still finds pods, looks again only after half of their
/// grace period, and then some.
async fn delete_namespaces(context: &Context, role: Role, names: &[String], grace: u32) -> Result<(), StepError> {
    let ended = futures::future::join_all(names.iter().map(|name| end_pods(context, role, name, grace))).await;
    ended.into_iter().collect::<Result<Vec<()>, _>>()?;
    let cluster = context.cluster(role);
    let namespaces: Api<Namespace> = cluster.all();
    for name in names {
        match namespaces.delete(name, &DeleteParams::background()).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => {}
            Err(error) => return Err(cluster.refused(format!("delete namespace {name}"))(error).into()),
            Ok(_) => {}
        }
    }
    Ok(())
}

/// Deletes what makes pods in a namespace, then its pods, and waits until they are gone.
async fn end_pods(context: &Context, role: Role, namespace: &str, grace: u32) -> Result<(), StepError> {
    let cluster = context.cluster(role);
    let background = DeleteParams::background();
    delete_all::<Deployment>(cluster, namespace, &background).await?;
    delete_all::<StatefulSet>(cluster, namespace, &background).await?;
    delete_all::<DaemonSet>(cluster, namespace, &background).await?;
    delete_all::<ReplicaSet>(cluster, namespace, &background).await?;
    let soon = DeleteParams { grace_period_seconds: Some(grace), ..background };
    delete_all::<Pod>(cluster, namespace, &soon).await?;
    let wait = context.wait(format!("the pods of namespace {namespace} to end"), context.budgets.cleanup());
    cluster
        .watch_pods(&wait, namespace, "", |pods| match pods {
            [] => Look::Yes(()),
            some => Look::NotYet(some.iter().map(|pod| pod.name_any()).collect::<Vec<_>>().join(", ")),
        })
        .await?;
    Ok(())
}

async fn delete_all<K>(cluster: &Cluster, namespace: &str, how: &DeleteParams) -> Result<(), ClusterError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
{
    let deleted = cluster.api::<K>(namespace).delete_collection(how, &ListParams::default()).await;
    deleted.map_err(cluster.refused(format!("delete all {}s of namespace {namespace}", K::kind(&()))))?;
    Ok(())
}
