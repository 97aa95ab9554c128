//! What the remote profile makes in the remote cluster: its namespace's annotation, webhooks, Service and what is behind it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Rows;
use super::acts::{Acts, has_variables};
use crate::bundle::shape::{array, injects};
use crate::bundle::vote::called_path;
use crate::lab::revision::LABEL;
use crate::role::Role;
use crate::sabotage::Target;

const REMOTE: Role = Role::Remote;

/// The annotation by which a remote cluster names its control plane.
pub(super) const ANNOTATION: &str = "topology.istio.io/controlPlaneClusters";

/// The label of a namespace that names its network.
const NETWORK: &str = "topology.istio.io/network";

/// An address at which nobody is, reserved for documentation.
const NOBODY: &str = "192.0.2.1";

/// Ports of Service istiod, with where each leads.
const PORTS: [(i64, i64); 2] = [(15012, 15012), (443, 15017)];

pub(super) fn acts(acts: &mut Acts<'_>, rows: &mut Rows) {
    namespaces(acts, rows);
    webhooks(acts, rows);
    service(acts, rows);
    addresses(acts, rows);
    for own in acts.bundle.documents(REMOTE, "deployments") {
        let name = own["metadata"]["name"].as_str().unwrap_or_default();
        rows.push(format!("Deployment {name}, a control plane of the remote cluster's own"), "the guide's has none");
    }
}

/// Whether the captured annotation names the primary, as istiod reads it: nothing is trimmed.
pub(super) fn names_the_primary(acts: &Acts<'_>) -> bool {
    let annotation = annotation(acts).unwrap_or_default();
    annotation.split(',').any(|entry| entry == acts.id(Role::Primary) || entry == "*")
}

fn annotation(acts: &Acts<'_>) -> Option<String> {
    let namespace = acts.bundle.object(REMOTE, "namespaces", "Namespace", &acts.istio)?;
    Some(namespace["metadata"]["annotations"][ANNOTATION].as_str()?.to_string())
}

fn namespaces(acts: &mut Acts<'_>, rows: &mut Rows) {
    for role in Role::ALL {
        let istio = acts.istio.clone();
        let found = acts.bundle.object(role, "namespaces", "Namespace", &istio);
        let network = found.and_then(|found| found["metadata"]["labels"][NETWORK].as_str());
        // istioctl itself labels it with the mesh's own network.
        if let Some(network) = network.filter(|network| *network != acts.bundle.index.network) {
            let patch = json!({"metadata": {"labels": {NETWORK: network}}});
            acts.merge(role, acts.target("v1", "Namespace", &istio), patch);
        }
    }
    if !acts.bundle.has(REMOTE, "namespaces") {
        return;
    }
    let told = annotation(acts);
    let exactly = told.as_deref() == Some(acts.id(Role::Primary));
    if told.as_ref().is_some_and(|told| has_variables(&json!(told))) {
        return rows.push(format!("the annotation {ANNOTATION}"), "it has ${...} in it");
    }
    if !exactly {
        let value = told.map(|told| told.split(',').map(|entry| acts.on_lab(entry)).collect::<Vec<_>>().join(","));
        let patch = json!({"metadata": {"annotations": {ANNOTATION: value}}});
        acts.merge(REMOTE, acts.target("v1", "Namespace", &acts.istio), patch);
    }
}

/// The configurations of the guide's remote profile that inject, each as it is called on the lab and as it was captured.
pub(super) fn injectors(acts: &Acts<'_>) -> Vec<(String, String)> {
    let istio = &acts.bundle.index.istio_namespace;
    let tagged = ["default"].into_iter().chain(acts.tag.as_deref());
    let tagged = tagged.map(|tag| format!("istio-revision-tag-{tag}{}", istio.suffix()));
    let own = (istio.injector(&acts.revision), istio.injector(&acts.captured));
    std::iter::once(own).chain(tagged.map(|name| (name.clone(), name))).collect()
}

pub(super) const WEBHOOKS: (&str, &str) = ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration");

fn webhooks(acts: &mut Acts<'_>, rows: &mut Rows) {
    if !acts.bundle.has(REMOTE, "webhooks") {
        return;
    }
    let injectors = injectors(acts);
    for other in acts.bundle.documents(REMOTE, "webhooks") {
        let name = other["metadata"]["name"].as_str().unwrap_or_default();
        if !injectors.iter().any(|(_, captured)| captured == name) {
            rows.push(
                format!("MutatingWebhookConfiguration {name}"),
                "the guide's remote profile has none of this name",
            );
        }
    }
    for (name, captured) in injectors {
        let target = acts.target(WEBHOOKS.0, WEBHOOKS.1, &name);
        match acts.bundle.object(REMOTE, "webhooks", WEBHOOKS.1, &captured) {
            Some(configuration) => calls(acts, target, configuration, rows),
            None => acts.delete(REMOTE, target),
        }
    }
}

/// What the webhooks of one configuration call, and the label by which istiod knows it.
fn calls(acts: &mut Acts<'_>, target: Target, configuration: &Value, rows: &mut Rows) {
    if configuration["metadata"]["labels"][LABEL].is_null() {
        acts.merge(REMOTE, target.clone(), json!({"metadata": {"labels": {LABEL: null}}}));
    }
    let wanted = format!("/inject/cluster/{}/net/{}", acts.id(REMOTE), acts.bundle.index.network);
    let mut changed = Vec::new();
    for webhook in array(&configuration["webhooks"]).iter().filter(|webhook| injects(webhook)) {
        let config = &webhook["clientConfig"];
        if config["url"].is_string() || has_variables(webhook) {
            rows.push(
                format!("webhook {} that calls a URL", webhook["name"]),
                "the lab would call what is not its own",
            );
            continue;
        }
        let (path, service) = (called_path(webhook), &config["service"]);
        let same_service = service["name"] == acts.captured.istiod() && service["namespace"] == acts.istio;
        if path == wanted && same_service {
            continue;
        }
        let path: Vec<String> = path.split('/').map(|word| acts.on_lab(word)).collect();
        let mut called = json!({"path": path.join("/")});
        if !same_service {
            called["name"] = service["name"].clone();
            called["namespace"] = service["namespace"].clone();
        }
        changed.push(json!({"name": webhook["name"], "clientConfig": {"service": called}}));
    }
    if !changed.is_empty() {
        acts.strategic(REMOTE, target, json!({"webhooks": changed}));
    }
}

fn service(acts: &mut Acts<'_>, rows: &mut Rows) {
    if !acts.bundle.has(REMOTE, "services") {
        return;
    }
    let target = acts.target("v1", "Service", &acts.revision.istiod());
    let Some(service) = acts.bundle.object(REMOTE, "services", "Service", &acts.captured.istiod()) else {
        return acts.delete(REMOTE, target);
    };
    let spec = &service["spec"];
    if spec["type"] == "ExternalName" {
        return rows.push("Service istiod that leads to a name", "the lab's gateway has an address and no name");
    }
    if has_variables(spec) {
        return rows.push("Service istiod of the remote cluster", "it has ${...} in it");
    }
    if spec["selector"].as_object().is_some_and(|selector| !selector.is_empty()) {
        acts.merge(REMOTE, target.clone(), json!({"spec": {"selector": spec["selector"]}}));
    }
    let to = |port: &Value| Some((port["port"].as_i64()?, port["targetPort"].as_i64().or(port["port"].as_i64())?));
    let ports: Vec<(i64, i64)> = array(&spec["ports"]).iter().filter_map(to).collect();
    if PORTS.iter().any(|port| !ports.contains(port)) {
        acts.json(REMOTE, target, json!([{"op": "replace", "path": "/spec/ports", "value": spec["ports"]}]));
    }
}

/// What is behind Service istiod, against the gateway's address.
fn addresses(acts: &mut Acts<'_>, rows: &mut Rows) {
    if !acts.bundle.has(REMOTE, "endpoint-slices") {
        return;
    }
    let service = acts.captured.istiod();
    let slices = acts.bundle.documents(REMOTE, "endpoint-slices").iter();
    let slices: Vec<&Value> =
        slices.filter(|slice| slice["metadata"]["labels"]["kubernetes.io/service-name"] == service).collect();
    let target = acts.target("discovery.k8s.io/v1", "EndpointSlice", &acts.revision.istiod());
    let texts = |all: &mut dyn Iterator<Item = &Value>| -> BTreeSet<String> {
        all.filter_map(|one| one.as_str().map(String::from)).collect()
    };
    let ends = slices.iter().flat_map(|slice| array(&slice["endpoints"]));
    let behind = texts(&mut ends.flat_map(|end| array(&end["addresses"])));
    let gateways = acts.bundle.documents(Role::Primary, "services").first();
    let ingress = gateways.map(|service| array(&service["status"]["loadBalancer"]["ingress"])).unwrap_or_default();
    let wanted = texts(&mut ingress.iter().map(|one| &one["ip"]));
    if behind.is_empty() {
        let leads_to_a_name = acts.bundle.object(REMOTE, "services", "Service", &service);
        if leads_to_a_name.is_none_or(|service| service["spec"]["type"] != "ExternalName") {
            acts.delete(REMOTE, target);
        }
        return;
    }
    if wanted.is_empty() {
        let all: Vec<String> = behind.into_iter().collect();
        return rows.push(
            format!("{} behind Service istiod", all.join(", ")),
            "whether that is the gateway is not told by an address of it",
        );
    }
    if behind != wanted {
        let all: Vec<String> = behind.into_iter().collect();
        rows.push(
            format!("{} behind Service istiod", all.join(", ")),
            format!("{NOBODY} stands in for it, at which nobody is either"),
        );
        acts.merge(REMOTE, target, json!({"endpoints": [{"addresses": [NOBODY]}]}));
    }
}
