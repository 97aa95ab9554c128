//! Objects of one cluster as its API server has them, as YAML.

use k8s_openapi::api::core::v1::{Event, Pod};
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::Value;

use super::item::{Found, Item};
use super::{logs, pages, redact, trust};
use crate::check::verdict::chain;
use crate::lab::Cluster;

/// Events of a cluster that are written down, the last ones.
const EVENTS: usize = 200;

/// Whether a namespace is Istio's or one of the harness.
fn is_ours(namespace: &str, istio: &str) -> bool {
    namespace == istio || namespace.starts_with("meshproof-")
}

/// Everything that the API server of a cluster can say; one line if it does not answer. `root` is cluster1's CA root.
pub fn of(cluster: &Cluster, root: Option<&str>) -> Item {
    let member = cluster.member.clone();
    let (cluster, root) = (cluster.clone(), root.map(str::to_string));
    Item::new(format!("{member}/version.yaml"), "what the API server says of itself", async move {
        // One silent API server must not be waited for by every question in turn.
        let version = tokio::time::timeout(std::time::Duration::from_secs(6), get(&cluster, "/version", false)).await;
        let dead = |why: String| {
            format!("the API server of {} does not answer, so nothing is asked of it: {why}", cluster.name)
        };
        match version {
            Ok(Ok(version)) => Ok(Found { text: yaml(&version), more: questions(&cluster, root.as_deref()) }),
            Ok(Err(why)) => Err(dead(why)),
            Err(_) => Err(dead("no answer within 6 s".to_string())),
        }
    })
}

/// Which items of a list are shown, and how they are shortened; it is told the namespace of Istio.
type Keep = fn(&mut Value, &str) -> bool;

fn questions(cluster: &Cluster, root: Option<&str>) -> Vec<Item> {
    let admission = "/apis/admissionregistration.k8s.io/v1";
    let istio = &cluster.istio_namespace;
    let reader = format!("/apis/rbac.authorization.k8s.io/v1/clusterroles/{}", istio.reader_role(&cluster.revision));
    let list = |file: &str, title: &str, path: &str, keep: Keep| listed(cluster, file, title, path, keep);
    vec![
        pods(cluster),
        events(cluster),
        trust::of(cluster, root),
        list("namespaces.yaml", "namespaces with labels and annotations", "/api/v1/namespaces", |_, _| true),
        list(
            "mutating-webhooks.yaml",
            "injection webhooks",
            &format!("{admission}/mutatingwebhookconfigurations"),
            |_, _| true,
        ),
        list(
            "validating-webhooks.yaml",
            "validating webhooks",
            &format!("{admission}/validatingwebhookconfigurations"),
            |_, _| true,
        ),
        list("configmaps.yaml", "configmaps of Istio; others by name", "/api/v1/configmaps", without_other_maps),
        list("services.yaml", "services of Istio and of the tests", "/api/v1/services", in_our_namespace),
        list(
            "endpointslices.yaml",
            "endpoints of these services",
            "/apis/discovery.k8s.io/v1/endpointslices",
            in_our_namespace,
        ),
        list(
            "deployments.yaml",
            "deployments of Istio and of the tests",
            "/apis/apps/v1/deployments",
            in_our_namespace,
        ),
        list(
            "replicasets.yaml",
            "their replica sets, which say why no pod comes",
            "/apis/apps/v1/replicasets",
            in_our_namespace,
        ),
        list(
            "leases.yaml",
            "locks of istiod",
            &format!("/apis/coordination.k8s.io/v1/namespaces/{istio}/leases"),
            |_, _| true,
        ),
        list("nodes.yaml", "nodes", "/api/v1/nodes", without_images),
        list("reader-role.yaml", "what a remote secret lets istiod do here", &reader, |_, _| true),
        secrets(cluster),
    ]
}

fn listed(cluster: &Cluster, file: &str, title: &str, path: &str, keep: Keep) -> Item {
    let (cluster, path) = (cluster.clone(), path.to_string());
    Item::new(format!("{}/{file}", cluster.member), title, async move {
        let mut value = get(&cluster, &path, false).await?;
        if let Some(items) = value.get_mut("items").and_then(Value::as_array_mut) {
            items.retain_mut(|item| keep(item, &cluster.istio_namespace));
        }
        Ok(yaml(&tidy(value)))
    })
}

/// Names, labels and annotations of Secrets; their data is never asked for.
fn secrets(cluster: &Cluster) -> Item {
    let cluster = cluster.clone();
    Item::new(
        format!("{}/secrets.yaml", cluster.member),
        "metadata of the secrets of Istio, remote secrets among them",
        async move {
            let path = format!("/api/v1/namespaces/{}/secrets", cluster.istio_namespace);
            Ok(yaml(&tidy(get(&cluster, &path, true).await?)))
        },
    )
}

/// The pods; with them it is known whose logs and pages are of interest.
fn pods(cluster: &Cluster) -> Item {
    let cluster = cluster.clone();
    Item::new(
        format!("{}/pods.yaml", cluster.member),
        "pods of Istio and of the tests, and others that are not ready",
        async move {
            let list = cluster.all::<Pod>().list(&ListParams::default()).await.map_err(|error| chain(&error))?;
            let mut more = Vec::new();
            let mut shown = Vec::new();
            for pod in list.items {
                let ours = pod.namespace().is_some_and(|namespace| is_ours(&namespace, &cluster.istio_namespace));
                if !ours && logs::is_ready(&pod) {
                    continue;
                }
                if ours {
                    more.extend(logs::of(&cluster, &pod));
                    more.extend(pages::of(&cluster, &pod));
                }
                shown.push(serde_json::to_value(&pod).map_err(|error| error.to_string())?);
            }
            // Logs say more than pages, should the time be short.
            more.sort_by_key(|item| !item.path.ends_with(".log"));
            Ok(Found { text: yaml(&tidy(Value::Array(shown))), more })
        },
    )
}

fn events(cluster: &Cluster) -> Item {
    let cluster = cluster.clone();
    Item::new(format!("{}/events.txt", cluster.member), format!("the last {EVENTS} events, oldest first"), async move {
        let list = cluster.all::<Event>().list(&ListParams::default()).await.map_err(|error| chain(&error))?;
        let mut lines: Vec<(String, String)> = list.items.iter().map(event).collect();
        lines.sort();
        let from = lines.len().saturating_sub(EVENTS);
        Ok(lines[from..].iter().map(|(time, line)| format!("{time}  {line}\n")).collect::<String>())
    })
}

fn event(event: &Event) -> (String, String) {
    let series = event.series.as_ref().and_then(|series| series.last_observed_time.as_ref()).map(|time| time.0);
    let time = series
        .or(event.last_timestamp.as_ref().map(|time| time.0))
        .or(event.event_time.as_ref().map(|time| time.0))
        .or(event.metadata.creation_timestamp.as_ref().map(|time| time.0));
    let object = &event.involved_object;
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let line = format!(
        "{:8} {:20} {} {}/{}  x{}  {}",
        text(&event.type_),
        text(&event.reason),
        text(&object.kind),
        text(&object.namespace),
        text(&object.name),
        event.count.unwrap_or(1),
        text(&event.message).replace('\n', " ")
    );
    (time.map(|time| format!("{time:.0}")).unwrap_or_default(), line)
}

/// An answer of the API server; with `metadata` it leaves out everything else before it sends anything.
async fn get(cluster: &Cluster, path: &str, metadata: bool) -> Result<Value, String> {
    let accept =
        if metadata { "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1" } else { "application/json" };
    let request = http::Request::get(path)
        .header(http::header::ACCEPT, accept)
        .body(Vec::new())
        .map_err(|error| error.to_string())?;
    cluster.client.request::<Value>(request).await.map_err(|error| chain(&error))
}

fn in_our_namespace(item: &mut Value, istio: &str) -> bool {
    item["metadata"]["namespace"].as_str().is_some_and(|namespace| is_ours(namespace, istio))
}

/// Nodes list every image that they have ever pulled.
fn without_images(item: &mut Value, _: &str) -> bool {
    if let Some(status) = item.get_mut("status").and_then(Value::as_object_mut) {
        status.remove("images");
    }
    true
}

/// What is not Istio's keeps its name.
fn without_other_maps(item: &mut Value, istio: &str) -> bool {
    let metadata = &item["metadata"];
    let name = metadata["name"].as_str().unwrap_or_default();
    let own = name.starts_with("istio")
        || (is_ours(metadata["namespace"].as_str().unwrap_or_default(), istio) && name == "values");
    if !own {
        let short = serde_json::json!({"namespace": metadata["namespace"], "name": name});
        *item = serde_json::json!({"metadata": short});
    }
    true
}

/// An object that is pleasant to read: hashes for CA bundles, one line for each writer, nothing twice.
fn tidy(mut value: Value) -> Value {
    redact::json(&mut value);
    shorten(&mut value);
    value
}

fn shorten(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if let Some(writers) = map.get("managedFields").and_then(Value::as_array) {
                let writers = writers.iter().map(writer).collect();
                map.insert("managedFields".to_string(), writers);
            }
            if let Some(annotations) = map.get_mut("annotations").and_then(Value::as_object_mut) {
                annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
            }
            if map.contains_key("clientConfig") {
                shorten_bundle(&mut map["clientConfig"]);
            }
            map.values_mut().for_each(shorten);
        }
        Value::Array(items) => items.iter_mut().for_each(shorten),
        _ => {}
    }
}

fn shorten_bundle(client: &mut Value) {
    let said = trust::bundle(client.get("caBundle").cloned());
    if let Some(client) = client.as_object_mut() {
        client.insert("caBundle".to_string(), Value::from(said));
    }
}

fn writer(entry: &Value) -> Value {
    let text = |field: &str| entry[field].as_str().unwrap_or_default();
    let part = if text("subresource").is_empty() { String::new() } else { format!(" of {}", text("subresource")) };
    Value::from(format!("{} by {}{part} at {}", text("operation"), text("manager"), text("time")))
}

fn yaml(value: &Value) -> String {
    serde_yaml_ng::to_string(value).unwrap_or_else(|_| format!("{value:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tidy_object_says_who_wrote_it_and_which_bundle_it_has() {
        let object = serde_json::json!({
            "metadata": {"name": "a", "managedFields": [
                {"manager": "pilot-discovery", "operation": "Update", "time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:x": {}}}
            ]},
            "webhooks": [{"clientConfig": {"caBundle": "YQ=="}}, {"clientConfig": {}}],
        });
        let text = yaml(&tidy(object));
        assert!(text.contains("Update by pilot-discovery at 2026-01-01T00:00:00Z"), "{text}");
        assert!(
            text.contains("sha256 ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb, 1 byte"),
            "{text}"
        );
        assert!(text.contains("caBundle: empty") && !text.contains("f:x"), "{text}");
    }

    #[test]
    fn foreign_configmaps_keep_nothing_but_their_names() {
        let mut map =
            serde_json::json!({"metadata": {"name": "app", "namespace": "default"}, "data": {"a": "private"}});
        assert!(without_other_maps(&mut map, "mesh"));
        assert_eq!(map, serde_json::json!({"metadata": {"namespace": "default", "name": "app"}}));
        let mut root =
            serde_json::json!({"metadata": {"name": "istio-ca-root-cert", "namespace": "default"}, "data": {"a": "b"}});
        assert!(without_other_maps(&mut root, "mesh"));
        assert_eq!(root["data"]["a"], "b");
    }
}
