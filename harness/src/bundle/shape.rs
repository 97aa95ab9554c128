//! What is kept of an object: what says how the mesh is configured, and nothing that only a cluster needs or that is
//! nobody's business.

use k8s_openapi::ByteString;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::diagnose::redact::{self, GONE};

/// Labels that are kept beside those with `istio` in their name.
const LABELS: [&str; 4] = ["app", "release", "kubernetes.io/service-name", "endpointslice.kubernetes.io/managed-by"];

/// Words in names of variables whose values are left out.
const SECRETS: [&str; 5] = ["token", "secret", "password", "credential", "private"];

/// An object of this kind as it is written into a bundle; none where nothing of it is of Istio.
pub fn of(api: &str, kind: &str, object: &Value) -> Option<Value> {
    let mut kept = json!({"apiVersion": api, "kind": kind, "metadata": metadata(&object["metadata"])});
    match kind {
        "Namespace" if !is_of_istio(&kept["metadata"]) => return None,
        "Namespace" => {}
        "Deployment" => {
            kept["spec"] = deployment(&object["spec"]);
            kept["status"] = picked(&object["status"], &["replicas", "readyReplicas", "updatedReplicas"]);
        }
        "Service" => {
            let fields = ["type", "externalName", "selector", "ports"];
            kept["spec"] = picked(&object["spec"], &fields);
            kept["status"] = picked(&object["status"], &["loadBalancer"]);
        }
        "EndpointSlice" => {
            kept["addressType"] = object["addressType"].clone();
            let endpoints = object["endpoints"].as_array().into_iter().flatten();
            kept["endpoints"] = endpoints.map(|end| picked(end, &["addresses", "conditions"])).collect();
            kept["ports"] = object["ports"].clone();
        }
        "MutatingWebhookConfiguration" => {
            let webhooks: Vec<Value> =
                array(&object["webhooks"]).iter().filter(|webhook| injects(webhook)).map(webhook).collect();
            if webhooks.is_empty() {
                return None;
            }
            kept["webhooks"] = webhooks.into();
        }
        "ClusterRole" => kept["rules"] = object["rules"].clone(),
        _ => kept["spec"] = object["spec"].clone(),
    }
    redact::json(&mut kept);
    Some(kept)
}

/// A fingerprint of certificates in PEM, by which two of them can be compared; empty for none.
pub fn fingerprint(pem: &str) -> String {
    let pem = pem.trim();
    if pem.is_empty() {
        return String::new();
    }
    let hash = Sha256::digest(pem.as_bytes());
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256 {hex}")
}

/// The shape of a remote secret: all but what is secret.
pub fn remote_secret(object: &Value) -> Value {
    let clusters: Vec<Value> = object["data"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, data)| {
            let bytes = serde_json::from_value(data.clone()).unwrap_or(ByteString(Vec::new()));
            kubeconfig(key, &String::from_utf8_lossy(&bytes.0))
        })
        .collect();
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata(&object["metadata"]),
        "clusters": clusters,
    })
}

/// Of a kubeconfig the host and port of its API server, and by what it says who one is.
fn kubeconfig(key: &str, text: &str) -> Value {
    let config: Value = serde_yaml_ng::from_str(text).unwrap_or_default();
    let server = config["clusters"][0]["cluster"]["server"].as_str().unwrap_or_default();
    let server = server.split_once("://").map_or(server, |(_, rest)| rest);
    let server = server.rsplit('@').next().unwrap_or_default().split('/').next().unwrap_or_default();
    let user = config["users"][0]["user"].as_object();
    let by: Vec<&str> = user.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    json!({"key": key, "server": server, "authentication": by})
}

fn metadata(metadata: &Value) -> Value {
    let mut kept = Map::new();
    for field in ["name", "namespace"] {
        kept.extend(metadata[field].as_str().map(|text| (field.to_string(), Value::from(text))));
    }
    let mut some = |field: &str, keep: &dyn Fn(&str) -> bool| {
        let all = metadata[field].as_object().into_iter().flatten();
        let all: Map<String, Value> =
            all.filter(|(key, _)| keep(key)).map(|(key, value)| (key.clone(), value.clone())).collect();
        if !all.is_empty() {
            kept.insert(field.to_string(), all.into());
        }
    };
    some("labels", &|key| key.contains("istio") || LABELS.contains(&key));
    some("annotations", &|key| key.contains("istio"));
    kept.into()
}

/// Whether a namespace has anything to do with Istio.
fn is_of_istio(metadata: &Value) -> bool {
    metadata.get("labels").is_some() || metadata.get("annotations").is_some()
}

fn deployment(spec: &Value) -> Value {
    let pod = &spec["template"]["spec"];
    let containers: Vec<Value> = array(&pod["containers"])
        .iter()
        .map(|container| {
            let mut kept = picked(container, &["name", "image", "args"]);
            kept["env"] = array(&container["env"]).iter().map(variable).collect();
            kept
        })
        .collect();
    json!({
        "replicas": spec["replicas"],
        "selector": spec["selector"],
        "template": {"metadata": metadata(&spec["template"]["metadata"]), "spec": {"containers": containers}},
    })
}

/// A variable of a container, without a value that may be secret.
fn variable(variable: &Value) -> Value {
    let name = variable["name"].as_str().unwrap_or_default().to_lowercase();
    let mut kept = picked(variable, &["name", "value"]);
    if SECRETS.iter().any(|word| name.contains(word)) && kept.get("value").is_some() {
        kept["value"] = GONE.into();
    }
    if let Some((from, _)) = variable["valueFrom"].as_object().and_then(|from| from.iter().next()) {
        kept["valueFrom"] = from.as_str().into();
    }
    kept
}

/// Whether a webhook is one that injects sidecars.
pub fn injects(webhook: &Value) -> bool {
    webhook["name"].as_str().is_some_and(|name| name.ends_with("sidecar-injector.istio.io"))
}

fn webhook(webhook: &Value) -> Value {
    let mut kept = picked(webhook, &["name", "clientConfig", "failurePolicy", "namespaceSelector", "objectSelector"]);
    let bundle = webhook["clientConfig"]["caBundle"].clone();
    let bytes = serde_json::from_value(bundle).unwrap_or(ByteString(Vec::new()));
    if kept["clientConfig"].is_object() {
        kept["clientConfig"]["caBundle"] = fingerprint(&String::from_utf8_lossy(&bytes.0)).into();
    }
    kept
}

/// The items of a list; none of what is none.
pub fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn picked(value: &Value, fields: &[&str]) -> Value {
    let there = fields.iter().filter_map(|field| Some((field.to_string(), value.get(field)?.clone())));
    there.collect::<Map<String, Value>>().into()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::{fingerprint, of, remote_secret};

    #[test]
    fn of_a_remote_secret_only_its_shape_is_kept() {
        let config = "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: Y2E=\n    server: https://u:p@172.30.0.2:6443/x\n  name: c\nusers:\n- name: c\n  user:\n    token: very-secret\n";
        let object = json!({
            "metadata": {"name": "istio-remote-secret-cluster2", "labels": {"istio/multiCluster": "true", "team": "x"}},
            "data": {"cluster2": k8s_openapi::ByteString(config.as_bytes().to_vec())},
        });
        let shape = remote_secret(&object);
        assert_eq!(
            shape["clusters"],
            json!([{"key": "cluster2", "server": "172.30.0.2:6443", "authentication": ["token"]}])
        );
        assert_eq!(shape["metadata"]["labels"], json!({"istio/multiCluster": "true"}));
        let text = shape.to_string();
        assert!(!text.contains("very-secret") && !text.contains("Y2E=") && !text.contains("u:p"), "{text}");
    }

    #[rstest]
    #[case::of_istio(json!({"istio-injection": "enabled", "team": "x"}), Some(json!({"istio-injection": "enabled"})))]
    #[case::of_others(json!({"team": "x"}), None)]
    fn of_a_namespace_only_what_is_of_istio_is_kept(#[case] labels: Value, #[case] kept: Option<Value>) {
        let object = json!({"metadata": {"name": "a", "labels": labels, "uid": "u", "managedFields": []}});
        let shape = of("v1", "Namespace", &object);
        assert_eq!(shape.map(|shape| shape["metadata"]["labels"].clone()), kept);
    }

    #[test]
    fn a_variable_that_may_be_secret_has_no_value() {
        let env = json!([{"name": "VAULT_TOKEN", "value": "very-secret"}, {"name": "CLUSTER_ID", "value": "c"},
                         {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}]);
        let object = json!({"spec": {"template": {"spec": {"containers": [{"name": "discovery", "env": env}]}}}});
        let shape = of("apps/v1", "Deployment", &object).expect("it is kept");
        let env = &shape["spec"]["template"]["spec"]["containers"][0]["env"];
        assert_eq!(env[1], json!({"name": "CLUSTER_ID", "value": "c"}));
        assert_eq!(env[2], json!({"name": "POD", "valueFrom": "fieldRef"}));
        assert!(!shape.to_string().contains("very-secret"));
    }

    #[test]
    fn of_a_ca_its_fingerprint_is_kept() {
        let hook =
            |name: &str| json!({"name": name, "clientConfig": {"caBundle": "YWJj", "service": {"name": "istiod"}}});
        let object =
            json!({"metadata": {"name": "m"}, "webhooks": [hook("a.sidecar-injector.istio.io"), hook("b.else")]});
        let shape = of("v1", "MutatingWebhookConfiguration", &object).expect("it injects");
        assert_eq!(shape["webhooks"].as_array().map(Vec::len), Some(1));
        assert_eq!(shape["webhooks"][0]["clientConfig"]["caBundle"], fingerprint("abc"));
        assert_eq!(fingerprint(" \n"), "");
    }
}
