//! The mesh config and istiod's own settings: what the user set over the guide's, as an overlay of the operator.

use serde_json::{Map, Value, json};

use super::Rows;
use super::acts::has_variables;
use crate::bundle::Bundle;
use crate::diagnose::redact::GONE;
use crate::install::action::LAB_FILE;
use crate::role::Role;
use crate::scenario::Scenario;

/// Fields that a lab decides, or in which only the user's own platform makes sense; each with why it is left out.
const LEFT_OUT: [(&str, &str); 6] = [
    ("trustDomain", "the clauses look for identities of cluster.local"),
    ("trustDomainAliases", "the clauses look for identities of cluster.local"),
    ("discoverySelectors", "meshproof's sample has other labels"),
    ("rootNamespace", "the lab's is that of Istio"),
    ("ca", "the lab has no such CA"),
    ("configSources", "the lab has no such source"),
];

/// Variables of istiod that the guide or the lab set.
const OWN_VARIABLES: [&str; 4] =
    ["EXTERNAL_ISTIOD", "PILOT_ENABLE_METADATA_EXCHANGE", "PILOT_ENABLE_ALPN_FILTER", "PILOT_ENABLE_TELEMETRY_LABEL"];

/// Values that the guide, its profile or the lab set, whatever they are, or that are captured elsewhere.
const OWN_VALUES: [&str; 24] = [
    "defaultRevision",
    "meshConfig",
    "profile",
    "revision",
    "ztunnel.resourceName",
    "telemetry.enabled",
    "pilot.cni.enabled",
    "pilot.enabled",
    "pilot.hub",
    "pilot.tag",
    "pilot.image",
    "global.configValidation",
    "global.externalIstiod",
    "global.hub",
    "global.imagePullPolicy",
    "global.imagePullSecrets",
    "global.istioNamespace",
    "global.meshID",
    "global.multiCluster",
    "global.network",
    "global.proxy.readinessFailureThreshold",
    "global.proxy.readinessPeriodSeconds",
    "global.tag",
    "global.variant",
];

/// What only says how much room there is, or where pods go: a lab has less, and others.
const SIZES: [&str; 12] = [
    "affinity",
    "autoscaleBehavior",
    "autoscaleEnabled",
    "autoscaleMax",
    "autoscaleMin",
    "cpu",
    "nodeSelector",
    "priorityClassName",
    "replicaCount",
    "resources",
    "tolerations",
    "topologySpreadConstraints",
];

/// Groups of values that are laid over the lab's operator.
const CARRIED: [&str; 3] = ["global", "pilot", "sidecarInjectorWebhook"];

/// Lists of the mesh config to which the lab adds items of its own, by what tells them apart.
const LISTS: [(&str, &str); 2] = [("extensionProviders", "/name"), ("serviceSettings", "/hosts")];

/// Lays the captured mesh config and istiod's variables over the operator of the primary cluster.
pub(super) fn overlay(bundle: &Bundle, scenario: &mut Scenario, rows: &mut Rows) {
    let mut overlay = Map::new();
    let config = bundle.document(Role::Primary, "mesh-config");
    let config = mesh_config(config, scenario, rows);
    if !config.is_empty() {
        overlay.insert("meshConfig".to_string(), config.into());
    }
    let values = values(bundle, rows);
    if !values.is_empty() {
        overlay.insert("values".to_string(), values.into());
    }
    if let Some(wish) = scenario.clusters.get_mut(&Role::Primary).filter(|_| !overlay.is_empty()) {
        wish.overlay = Some(overlay.into());
    }
}

/// What the mesh config says that neither the guide nor the chart does.
fn mesh_config(config: &Value, scenario: &Scenario, rows: &mut Rows) -> Map<String, Value> {
    let usual = json!({
        "defaultProviders": {"metrics": ["prometheus"]},
        "enablePrometheusMerge": true,
        "rootNamespace": *scenario.istio_namespace,
        "trustDomain": "cluster.local",
    });
    let lab: Value = serde_yaml_ng::from_str(LAB_FILE).unwrap_or_default();
    let mut said = Map::new();
    for (field, value) in config.as_object().into_iter().flatten() {
        if usual.get(field) == Some(value) {
            continue;
        }
        if let Some((_, why)) = LEFT_OUT.iter().find(|(name, _)| name == field) {
            rows.push(format!("meshConfig.{field}"), *why);
            continue;
        }
        if has_variables(value) {
            rows.push(format!("meshConfig.{field}"), "it has ${...}, which would stand for something else here");
            continue;
        }
        let value = match LISTS.iter().find(|(name, _)| name == field) {
            Some((_, key)) => with_the_labs(value, &lab["spec"]["meshConfig"][field], key),
            None if field == "defaultConfig" => default_config(value, scenario, rows),
            None => Some(value.clone()),
        };
        said.extend(value.map(|value| (field.clone(), value)));
    }
    said
}

/// A list with the lab's own items at its end; none where it has no others.
fn with_the_labs(list: &Value, own: &Value, key: &str) -> Option<Value> {
    let own = own.as_array().cloned().unwrap_or_default();
    let is_own = |item: &&Value| own.iter().any(|one| one.pointer(key) == item.pointer(key));
    let others: Vec<Value> = list.as_array()?.iter().filter(|item| !is_own(item) && !is_usual(item)).cloned().collect();
    (!others.is_empty()).then(|| [others, own].concat().into())
}

/// Whether the chart itself brings this provider.
fn is_usual(provider: &Value) -> bool {
    matches!(provider["name"].as_str(), Some("prometheus" | "stackdriver" | "envoy"))
}

/// The proxies' own config without what the guide and the chart decide.
fn default_config(config: &Value, scenario: &Scenario, rows: &mut Rows) -> Option<Value> {
    let mut config = config.as_object()?.clone();
    let address = format!("{}:15012", scenario.istio_namespace.istiod(&scenario.install.revision()));
    if config.get("discoveryAddress").is_some_and(|told| *told != address) {
        rows.push("meshConfig.defaultConfig.discoveryAddress", "the lab's istiod has the usual name");
    }
    config.retain(|field, value| match field.as_str() {
        "discoveryAddress" | "meshId" => false,
        // The chart's own empty default.
        "tracing" => value.as_object().is_some_and(|fields| !fields.is_empty()),
        _ => true,
    });
    (!config.is_empty()).then(|| config.into())
}

/// Values that were set of the operator or the chart, as far as they say how the mesh behaves.
fn values(bundle: &Bundle, rows: &mut Rows) -> Map<String, Value> {
    let mut set = bundle.document(Role::Primary, "values").as_object().cloned().unwrap_or_default();
    set.retain(|field, _| !OWN_VALUES.contains(&field.as_str()));
    let mut kept = Map::new();
    for (group, value) in set {
        let value = without_own(&group, value, rows);
        if !CARRIED.contains(&group.as_str()) {
            if !is_empty(&value) {
                rows.push(format!("values.{group}"), "it is about what the lab has otherwise, or has not");
            }
        } else if !is_empty(&value) {
            kept.insert(group, value);
        }
    }
    kept
}

/// A value without what the guide and the lab decide, and without what a bundle cannot carry.
fn without_own(path: &str, value: Value, rows: &mut Rows) -> Value {
    let Value::Object(fields) = value else {
        if has_variables(&value) || value == GONE {
            rows.push(format!("values.{path}"), "it is not in the bundle, or would stand for something else here");
            return Value::Null;
        }
        return value;
    };
    let mut kept = Map::new();
    for (name, inner) in fields {
        let path = format!("{path}.{name}");
        if OWN_VALUES.contains(&path.as_str())
            || OWN_VARIABLES.contains(&name.as_str())
            || SIZES.contains(&name.as_str())
        {
            continue;
        }
        let inner = without_own(&path, inner, rows);
        if !is_empty(&inner) {
            kept.insert(name, inner);
        }
    }
    kept.into()
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(fields) => fields.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}
