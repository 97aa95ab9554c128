//! Pages that istiod and Envoy serve about themselves, read through the API server.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use super::item::Item;
use crate::check::verdict::chain;
use crate::lab::Cluster;
use crate::scenario::SAMPLE_NAMESPACE;

const ISTIOD: (u16, &[(&str, &str)]) = (
    15014,
    &[
        ("clusterz.json", "/debug/clusterz"),
        ("endpointShardz.json", "/debug/endpointShardz"),
        ("syncz.json", "/debug/syncz"),
        ("registryz.json", "/debug/registryz"),
        ("configz.json", "/debug/configz"),
        ("connections.json", "/debug/connections"),
        ("networkz.json", "/debug/networkz"),
        ("push_status.json", "/debug/push_status"),
        ("mesh.json", "/debug/mesh"),
        ("metrics.txt", "/metrics"),
    ],
);

const ENVOY: (u16, &[(&str, &str)]) = (
    15000,
    &[
        ("clusters.json", "/clusters?format=json"),
        ("listeners.json", "/listeners?format=json"),
        // Paths, names and dates; Envoy shows no key here.
        ("certs.json", "/certs"),
        ("init_dump.json", "/init_dump"),
        (
            "stats.txt",
            "/stats?usedonly&filter=(control_plane|cluster_manager|listener_manager|xds-grpc|connect_fail|_5xx|ssl|none_healthy|rbac)",
        ),
    ],
);

/// The pages of a pod that runs istiod, a gateway or the caller; none of others.
pub fn of(cluster: &Cluster, pod: &Pod) -> Vec<Item> {
    let running = pod.status.as_ref().is_some_and(|status| status.phase.as_deref() == Some("Running"));
    let namespace = pod.namespace().unwrap_or_default();
    let app = pod.labels().get("app").map_or("", String::as_str);
    // A replica that runs and is not ready is asked, too: its pages say what it waits for.
    let istio = *namespace == *cluster.istio_namespace;
    let (who, (port, pages)) = match (namespace.as_str(), app) {
        _ if !running => return Vec::new(),
        (_, "istiod") if istio => ("istiod", ISTIOD),
        _ if istio => ("Envoy", ENVOY),
        (namespace, "caller") if namespace.starts_with(SAMPLE_NAMESPACE) => ("Envoy", ENVOY),
        _ => return Vec::new(),
    };
    let name = pod.name_any();
    pages
        .iter()
        .map(|(file, page)| {
            let (cluster, namespace, pod) = (cluster.clone(), namespace.clone(), name.clone());
            let short = page.split('?').next().unwrap_or(page);
            let title = format!("{short} of {who} in {name}");
            Item::new(format!("{}/pages/{name}/{file}", cluster.member), title, async move {
                let forward = cluster.forward(&namespace, &pod, port).await.map_err(|error| chain(&error))?;
                let body = forward.text(page).await.map_err(|error| chain(&error))?;
                Ok(pretty(body))
            })
        })
        .collect()
}

/// JSON with one field a line, so that a long page can be read, compared and cut.
fn pretty(body: String) -> String {
    match serde_json::from_str::<serde_json::Value>(&body) {
        Ok(value) => serde_json::to_string_pretty(&value).unwrap_or(body),
        Err(_) => body,
    }
}
