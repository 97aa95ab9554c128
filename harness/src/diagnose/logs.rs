//! Logs of containers: whole of istiod and of the gateways, the end of what is not ready and of every proxy.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::ResourceExt;
use kube::api::LogParams;

use super::item::Item;
use crate::check::verdict::chain;
use crate::lab::Cluster;
use crate::lab::cluster::pod_ready;
use crate::wait::Look;

const LINES_OF_ISTIO: i64 = 2000;
const LINES_OF_OTHERS: i64 = 300;

/// Whether all containers of a pod are ready, or it has ended well.
pub fn is_ready(pod: &Pod) -> bool {
    let ended = pod.status.as_ref().is_some_and(|status| status.phase.as_deref() == Some("Succeeded"));
    ended || pod_ready(pod) == Look::Yes(())
}

/// The logs of a pod that are of interest.
pub fn of(cluster: &Cluster, pod: &Pod) -> Vec<Item> {
    let namespace = pod.namespace().unwrap_or_default();
    let istio = *namespace == *cluster.istio_namespace;
    let ready = is_ready(pod);
    let status = pod.status.clone().unwrap_or_default();
    let states =
        status.init_container_statuses.into_iter().flatten().chain(status.container_statuses.into_iter().flatten());
    let mut items = Vec::new();
    for state in states {
        // The proxy of a ready pod holds the access log, by which a call can be followed.
        if !istio && ready && state.name != "istio-proxy" {
            continue;
        }
        let lines = if istio { LINES_OF_ISTIO } else { LINES_OF_OTHERS };
        // A container that never began has no log; why it did not stands in pods.yaml.
        if has_begun(&state) {
            items.push(log(cluster, pod, &state.name, false, lines));
        }
        if state.restart_count > 0 {
            items.push(log(cluster, pod, &state.name, true, lines));
        }
    }
    items
}

fn has_begun(state: &ContainerStatus) -> bool {
    let now = state.state.as_ref().is_some_and(|state| state.running.is_some() || state.terminated.is_some());
    now || state.restart_count > 0
}

fn log(cluster: &Cluster, pod: &Pod, container: &str, previous: bool, lines: i64) -> Item {
    let (cluster, namespace, pod) = (cluster.clone(), pod.namespace().unwrap_or_default(), pod.name_any());
    let container = container.to_string();
    let (suffix, which) = if previous { (".previous", ", before its restart") } else { ("", "") };
    let path = format!("{}/logs/{namespace}/{pod}.{container}{suffix}.log", cluster.member);
    let title = format!("the last {lines} lines of {container} in {pod}{which}");
    Item::new(path, title, async move {
        let params =
            LogParams { container: Some(container), previous, tail_lines: Some(lines), ..LogParams::default() };
        cluster.api::<Pod>(&namespace).logs(&pod, &params).await.map_err(|error| chain(&error))
    })
}
