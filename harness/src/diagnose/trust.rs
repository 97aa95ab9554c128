//! Which root of trust stands where in a cluster, side by side: in webhooks and in the configmaps of every namespace.

use std::fmt::Write;

use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::item::Item;
use crate::check::verdict::chain;
use crate::lab::Cluster;

const MAP: &str = "istio-ca-root-cert";
const EMPTY: &str = "empty";

/// The table of one cluster.
///
/// `root` is cluster1's root as the install learnt it: the expected value everywhere.
pub fn of(cluster: &Cluster, root: Option<&str>) -> Item {
    let cluster = cluster.clone();
    let expected = root.map(|root| said(root.as_bytes()));
    Item::new(
        format!("{}/trust.txt", cluster.member),
        "hash of the CA root in every webhook and namespace",
        async move {
            let all = ListParams::default();
            let webhooks =
                cluster.all::<MutatingWebhookConfiguration>().list(&all).await.map_err(|error| chain(&error))?;
            let named = ListParams::default().fields(&format!("metadata.name={MAP}"));
            let maps = cluster.all::<ConfigMap>().list(&named).await.map_err(|error| chain(&error))?;
            let namespaces = cluster.all::<Namespace>().list(&all).await.map_err(|error| chain(&error))?;
            let mut text = String::from(
                "All of these are the same root when the mesh is well. istiod leaves out kube-public and kube-node-lease.\n",
            );
            let _ = writeln!(
                text,
                "cluster1's root when it was installed: {}\n",
                expected.as_deref().unwrap_or("not known")
            );
            let judged = |pem: &[u8]| match (said(pem), &expected) {
                (got, Some(expected)) if got != *expected && got != EMPTY => {
                    format!("{got}, which is not cluster1's root")
                }
                (got, _) => got,
            };
            for configuration in &webhooks.items {
                for webhook in configuration.webhooks.iter().flatten() {
                    let bundle = webhook.client_config.ca_bundle.as_ref().map(|bundle| bundle.0.as_slice());
                    let name = configuration.name_any();
                    let _ = writeln!(
                        text,
                        "MutatingWebhookConfiguration {name} {} caBundle: {}",
                        webhook.name,
                        judged(bundle.unwrap_or_default())
                    );
                }
            }
            for namespace in &namespaces.items {
                let namespace = namespace.name_any();
                let map = maps.items.iter().find(|map| map.namespace().as_deref() == Some(namespace.as_str()));
                let root = map.and_then(|map| map.data.as_ref()?.get("root-cert.pem"));
                let root = root.map_or_else(|| "absent".to_string(), |root| judged(root.as_bytes()));
                let _ = writeln!(text, "ConfigMap {namespace}/{MAP} root-cert.pem: {root}");
            }
            Ok(text)
        },
    )
}

/// A `caBundle` of JSON in one phrase.
pub fn bundle(value: Option<Value>) -> String {
    match value {
        None => EMPTY.to_string(),
        Some(value) => match serde_json::from_value::<ByteString>(value) {
            Ok(bytes) => said(&bytes.0),
            Err(_) => "no base64".to_string(),
        },
    }
}

/// A certificate in one phrase; blank space around it does not count.
fn said(pem: &[u8]) -> String {
    let pem = pem.trim_ascii();
    match pem.len() {
        0 => EMPTY.to_string(),
        1 => format!("sha256 {:x}, 1 byte", Sha256::digest(pem)),
        length => format!("sha256 {:x}, {length} bytes", Sha256::digest(pem)),
    }
}
