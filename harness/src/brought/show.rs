//! What will be made in a cluster, as lines for people.

use std::collections::{BTreeMap, BTreeSet};

use super::record::ClusterRecord;
use crate::install::inventory::{Entry, Found};

/// What the plan says of one cluster: where it is, which namespaces are made, and what outside of them, by kind.
pub fn lines(record: &ClusterRecord, before: &[Found]) -> Vec<String> {
    let mut lines = vec![format!("server {}, {} objects there", record.server, before.len())];
    let inside = record.announced.iter().filter(|entry| record.is_inside(entry) && entry.kind != "Namespace").count();
    let namespaces = record.namespaces.join(", ");
    lines.push(format!(
        "creates namespaces {namespaces}, with all that is in them: {inside} objects, and what checks make there"
    ));
    let outside = record.announced.iter().filter(|entry| !record.is_inside(entry));
    let mut by_kind: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for entry in outside {
        by_kind.entry(entry.bare_kind()).or_default().insert(shown(entry));
    }
    for (kind, names) in by_kind {
        let names: Vec<String> = names.into_iter().collect();
        lines.push(format!("creates {kind} {}", names.join(", ")));
    }
    lines.push(
        "checks make Namespaces and MutatingWebhookConfigurations called meshproof-..., and remove them".to_string(),
    );
    let namespaces = before.iter().filter(|found| found.entry.kind == "Namespace").count();
    lines.push(format!(
        "istiod writes ConfigMaps istio-ca-root-cert and istio-ca-crl into the namespaces there, {namespaces} of them"
    ));
    lines
}

fn shown(entry: &Entry) -> String {
    if entry.namespace.is_empty() { entry.name.clone() } else { format!("{}/{}", entry.namespace, entry.name) }
}
