//! The lock that istiod holds in the remote cluster while it leads there.

use harness::check::{Evidence, Mesh};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use serde_json::Value;

/// The lock of the namespace controller, a configmap of Istio's namespace in the remote cluster.
pub const LOCK: &str = "istio-namespace-controller-election";

/// The annotation of the lock in which the holder stands.
pub const RECORD: &str = "control-plane.alpha.kubernetes.io/leader";

/// `cluster2 ConfigMap istio-system/istio-namespace-controller-election`.
pub fn object(mesh: &Mesh) -> String {
    let remote = mesh.remote();
    remote.object("ConfigMap", &format!("{}/{LOCK}", remote.istio_namespace))
}

/// Who holds a lock, and with which key; empty where nobody does.
pub fn holder(lock: Option<&ConfigMap>) -> (String, String) {
    let record = lock.and_then(|map| map.annotations().get(RECORD));
    let record: Value = record.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let field = |name: &str| record[name].as_str().unwrap_or_default().to_string();
    (field("holderIdentity"), field("holderKey"))
}

/// Writes down who holds the lock.
pub fn saw(mesh: &Mesh, holder: &str, key: &str, evidence: &mut Evidence) {
    evidence.saw(object(mesh), "holderIdentity", holder).saw(object(mesh), "holderKey", key);
}
