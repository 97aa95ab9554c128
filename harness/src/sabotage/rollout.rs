//! `kubectl rollout restart` of all workloads of a namespace, and `kubectl rollout status` of each.

use futures::future::join_all;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::BreakError;
use crate::context::Context;
use crate::lab::Cluster;
use crate::lab::cluster::ClusterError;
use crate::wait::Look;

/// The annotation by which kubectl has pods made anew.
const RESTARTED: &str = "kubectl.kubernetes.io/restartedAt";

/// Makes all pods of a namespace's Deployments and StatefulSets anew, each by its own strategy, and waits until none of the
/// old ones is left.
///
/// # Errors
/// [`BreakError`] where the API server refuses it, there is no workload, or pods do not come or go in time.
pub(super) async fn restart(context: &Context, cluster: &Cluster, namespace: &str) -> Result<(), BreakError> {
    let (deployments, sets) = (cluster.api::<Deployment>(namespace), cluster.api::<StatefulSet>(namespace));
    let none = ListParams::default();
    let listed = |what: &str| cluster.refused(format!("list {what} in {namespace}"));
    let one: Vec<String> = names(deployments.list(&none).await.map_err(listed("Deployments"))?.items);
    let other: Vec<String> = names(sets.list(&none).await.map_err(listed("StatefulSets"))?.items);
    if one.is_empty() && other.is_empty() {
        return Err(BreakError::Absent(format!("a workload in {namespace} of {}", cluster.name)));
    }
    let mut old = cluster.api::<Pod>(namespace).list(&none).await.map_err(listed("pods"))?.items;
    // Those of nobody else are made anew by this.
    old.retain(|pod| {
        pod.owner_references().iter().any(|owner| ["ReplicaSet", "StatefulSet"].contains(&owner.kind.as_str()))
    });
    let old = names(old);
    let at = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let anew = json!({"spec": {"template": {"metadata": {"annotations": {RESTARTED: at}}}}});
    let patched = join_all(one.iter().map(|name| patch(cluster, &deployments, name, &anew))).await;
    patched.into_iter().collect::<Result<Vec<()>, _>>()?;
    let patched = join_all(other.iter().map(|name| patch(cluster, &sets, name, &anew))).await;
    patched.into_iter().collect::<Result<Vec<()>, _>>()?;

    let wait = |what: &str| {
        context.wait(format!("{what} in {namespace} of {} to be rolled out", cluster.name), context.budgets.rollout())
    };
    for name in &one {
        let done = |found: Option<&Deployment>| {
            let Some(found) = found else { return Look::NotYet("it is not there".to_string()) };
            let status = found.status.clone().unwrap_or_default();
            let seen = status.observed_generation >= found.metadata.generation;
            let wanted = found.spec.as_ref().and_then(|spec| spec.replicas);
            rolled(wanted, seen, [status.replicas, status.updated_replicas, status.ready_replicas])
        };
        cluster.watch(&wait(&format!("Deployment {name}")), deployments.clone(), name, done).await?;
    }
    for name in &other {
        let done = |found: Option<&StatefulSet>| {
            let Some(found) = found else { return Look::NotYet("it is not there".to_string()) };
            let status = found.status.clone().unwrap_or_default();
            let seen = status.observed_generation >= found.metadata.generation;
            let wanted = found.spec.as_ref().and_then(|spec| spec.replicas);
            rolled(wanted, seen, [Some(status.replicas), status.updated_replicas, status.ready_replicas])
        };
        cluster.watch(&wait(&format!("StatefulSet {name}")), sets.clone(), name, done).await?;
    }
    // Counts leave out pods that are on their way, which go on serving.
    let gone = |pods: &[Pod]| match pods.iter().map(ResourceExt::name_any).find(|pod| is_left(pod, &old, &other)) {
        None => Look::Yes(()),
        Some(pod) => Look::NotYet(format!("pod {pod} is on its way")),
    };
    Ok(cluster.watch_pods(&wait("old pods"), namespace, "", gone).await?)
}

/// Whether a pod is of those before; of a StatefulSet's that shows by other means, for names stay the same.
fn is_left(pod: &str, old: &[String], sets: &[String]) -> bool {
    let of_set = sets.iter().any(|set| pod.strip_prefix(set.as_str()).is_some_and(is_ordinal));
    old.iter().any(|name| name == pod) && !of_set
}

fn is_ordinal(rest: &str) -> bool {
    rest.strip_prefix('-').is_some_and(|number| number.parse::<u32>().is_ok())
}

async fn patch<K>(cluster: &Cluster, api: &Api<K>, name: &str, anew: &Value) -> Result<(), ClusterError>
where
    K: kube::Resource + Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    let patched = api.patch(name, &PatchParams::default(), &Patch::Strategic(anew)).await;
    patched.map(|_| ()).map_err(cluster.refused(format!("roll out {name} anew")))
}

/// Whether all pods are of the newest template and ready, as `kubectl rollout status` sees it.
fn rolled(wanted: Option<i32>, seen: bool, counts: [Option<i32>; 3]) -> Look<()> {
    let (wanted, [all, new, ready]) = (wanted.unwrap_or(1), counts.map(|count| count.unwrap_or(0)));
    if seen && [all, new, ready] == [wanted; 3] {
        return Look::Yes(());
    }
    Look::NotYet(format!("{all} pods, {new} of the newest template, {ready} ready, {wanted} wanted"))
}

fn names<K: ResourceExt>(all: Vec<K>) -> Vec<String> {
    all.iter().map(ResourceExt::name_any).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{is_left, rolled};
    use crate::wait::Look;

    #[rstest]
    #[case::all_new(true, [Some(2), Some(2), Some(2)], true)]
    #[case::an_old_one_is_left(true, [Some(3), Some(2), Some(3)], false)]
    #[case::a_new_one_is_not_ready(true, [Some(2), Some(2), Some(1)], false)]
    #[case::not_seen_yet(false, [Some(2), Some(2), Some(2)], false)]
    #[case::no_status(true, [None, None, None], false)]
    fn a_workload_is_rolled_out_with_every_pod_new_and_ready(
        #[case] seen: bool,
        #[case] counts: [Option<i32>; 3],
        #[case] done: bool,
    ) {
        assert_eq!(rolled(Some(2), seen, counts) == Look::Yes(()), done);
    }

    #[rstest]
    #[case::of_a_deployment("echo-v1-5d9-x2x", true)]
    #[case::a_new_one("echo-v1-7f7-y3y", false)]
    #[case::of_a_stateful_set("stateful-0", false)]
    fn old_pods_of_deployments_are_waited_for(#[case] pod: &str, #[case] left: bool) {
        let old = ["echo-v1-5d9-x2x".to_string(), "stateful-0".to_string()];
        assert_eq!(is_left(pod, &old, &["stateful".to_string()]), left);
    }
}
