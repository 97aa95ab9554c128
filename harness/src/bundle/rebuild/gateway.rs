//! The east-west gateway of the primary cluster, and how it exposes istiod.

use serde_json::{Value, json};

use super::Rows;
use super::acts::{Acts, has_variables};
use super::control_plane::apply;
use crate::bundle::shape::array;
use crate::install::revision::exposed;
use crate::lab::Revision;
use crate::role::Role;
use crate::sabotage::Act;
use crate::scenario::IstioNamespace;

const PRIMARY: Role = Role::Primary;

/// The gateway's name in the guide: of its Service and of its Deployment.
const GATEWAY: &str = "istio-eastwestgateway";

/// The ports of the gateway by which a remote cluster reaches istiod.
const PORTS: [i64; 2] = [15012, 15017];

const API: &str = "networking.istio.io/v1";

pub(super) fn acts(acts: &mut Acts<'_>, rows: &mut Rows) {
    service(acts, rows);
    deployment(acts, rows);
    exposure(acts, rows);
}

fn service(acts: &mut Acts<'_>, rows: &mut Rows) {
    if !acts.bundle.has(PRIMARY, "services") {
        return;
    }
    let target = acts.target("v1", "Service", GATEWAY);
    let Some(service) = acts.bundle.documents(PRIMARY, "services").first() else {
        return acts.delete(PRIMARY, target);
    };
    let place = |object: &Value| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
        format!("{}/{}", text(&object["metadata"]["namespace"]), text(&object["metadata"]["name"]))
    };
    if place(service) != format!("{}/{GATEWAY}", acts.istio) {
        rows.push(
            format!("Service {} as the gateway", place(service)),
            format!("it is {}/{GATEWAY} on the lab", acts.istio),
        );
    }
    for other in &acts.bundle.documents(PRIMARY, "services")[1..] {
        rows.push(format!("Service {}, another gateway", place(other)), "the guide has one");
    }
    let spec = &service["spec"];
    if spec["type"] != "LoadBalancer" {
        return acts.merge(PRIMARY, target, json!({"spec": {"type": spec["type"]}}));
    }
    if array(&service["status"]["loadBalancer"]["ingress"]).is_empty() {
        rows.push(
            format!("Service {} without an external address", place(service)),
            "the lab gives it one, as a platform would",
        );
    }
    let exposed: Vec<i64> = array(&spec["ports"]).iter().filter_map(|port| port["port"].as_i64()).collect();
    if PORTS.iter().any(|port| !exposed.contains(port)) && !has_variables(&spec["ports"]) {
        let ports: Vec<Value> = array(&spec["ports"]).iter().cloned().map(without_node_port).collect();
        acts.json(PRIMARY, target, json!([{"op": "replace", "path": "/spec/ports", "value": ports}]));
    }
}

fn without_node_port(mut port: Value) -> Value {
    if let Some(fields) = port.as_object_mut() {
        fields.remove("nodePort");
    }
    port
}

fn deployment(acts: &mut Acts<'_>, rows: &mut Rows) {
    if !acts.bundle.has(PRIMARY, "deployments") {
        return;
    }
    let mut all = acts.bundle.documents(PRIMARY, "deployments").iter();
    match all.find(|object| object["metadata"]["labels"]["istio"] == "eastwestgateway") {
        None => rows.push("a gateway without a Deployment", "the guide's has one"),
        Some(found) if found["spec"]["replicas"] == 0 => {
            let (namespace, deployment) = (acts.istio.clone(), GATEWAY.to_string());
            acts.done.push(Act::Scale { cluster: PRIMARY, namespace, deployment, replicas: 0 });
        }
        Some(_) => {}
    }
}

fn exposure(acts: &mut Acts<'_>, rows: &mut Rows) {
    if !acts.bundle.has(PRIMARY, "exposure") {
        return;
    }
    let exposed = exposed(&acts.revision);
    let guides = [
        ("Gateway", "istiod-gateway", gateway()),
        ("VirtualService", exposed.as_str(), virtual_service(&acts.bundle.index.istio_namespace, &acts.revision)),
    ];
    for (kind, name, spec) in &guides {
        let target = acts.target(API, kind, name);
        match acts.bundle.object(PRIMARY, "exposure", kind, name) {
            None => acts.delete(PRIMARY, target),
            Some(found) if found["spec"] == *spec => {}
            Some(found) if has_variables(found) => rows.push(format!("{kind} {name}"), "it has ${...} in it"),
            Some(found) => acts.spec(PRIMARY, target, &found["spec"]),
        }
    }
    for other in acts.bundle.documents(PRIMARY, "exposure") {
        let name = other["metadata"]["name"].as_str().unwrap_or_default();
        if !guides.iter().any(|(kind, own, _)| other["kind"] == *kind && *own == name) {
            apply(acts, PRIMARY, other, &format!("{} {name}", other["kind"].as_str().unwrap_or_default()), rows);
        }
    }
}

/// As samples/multicluster/expose-istiod.yaml of the release has it.
fn gateway() -> Value {
    let server = |name: &str, port: i64| json!({"port": {"name": name, "number": port, "protocol": "tls"}, "tls": {"mode": "PASSTHROUGH"}, "hosts": ["*"]});
    json!({
        "selector": {"istio": "eastwestgateway"},
        "servers": [server("tls-istiod", 15012), server("tls-istiodwebhook", 15017)],
    })
}

/// As the same file has it, or that for a named revision, with istiod in this namespace.
fn virtual_service(istio: &IstioNamespace, revision: &Revision) -> Value {
    let name = istio.istiod(revision);
    let host = format!("{name}.cluster.local");
    let names = if revision.is_default() { json!(["*"]) } else { json!([name, host]) };
    let route = |port: i64, to: i64| json!({"match": [{"port": port, "sniHosts": names}], "route": [{"destination": {"host": host, "port": {"number": to}}}]});
    json!({"hosts": ["*"], "gateways": ["istiod-gateway"], "tls": [route(15012, 15012), route(15017, 443)]})
}
