//! What is captured: which objects of which cluster, with the right that reading them takes, and the file they go into.

use crate::check::right::{Place, Right};
use crate::reading::find;
use crate::role::Role;

/// The account of the printed manifest, and the name of all of its objects.
pub const ACCOUNT: &str = "meshproof-capture";

/// Objects of one kind in one cluster.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// The file, below the folder of the cluster's role.
    pub file: &'static str,
    /// The right to list them, which says where they are.
    pub right: Right,
    /// The version of their API, such as `apps/v1`.
    pub api: &'static str,
    /// Their kind.
    pub kind: &'static str,
    /// Only those with this label; all where it is empty.
    pub label: &'static str,
}

const fn part(
    file: &'static str,
    (role, place): (Role, Place),
    (group, api, resource, kind): (&'static str, &'static str, &'static str, &'static str),
    label: &'static str,
) -> Part {
    Part { file, right: Right::new(role, place, group, resource, &["list"]), api, kind, label }
}

const P: (Role, Place) = (Role::Primary, Place::Cluster);
const R: (Role, Place) = (Role::Remote, Place::Cluster);
const P_ISTIO: (Role, Place) = (Role::Primary, Place::Istio);
const R_ISTIO: (Role, Place) = (Role::Remote, Place::Istio);
const HOOKS: &str = "admissionregistration.k8s.io";
const NAMESPACE: (&str, &str, &str, &str) = ("", "v1", "namespaces", "Namespace");
const DEPLOYMENT: (&str, &str, &str, &str) = ("apps", "apps/v1", "deployments", "Deployment");
const SERVICE: (&str, &str, &str, &str) = ("", "v1", "services", "Service");
const WEBHOOK: (&str, &str, &str, &str) =
    (HOOKS, "admissionregistration.k8s.io/v1", "mutatingwebhookconfigurations", "MutatingWebhookConfiguration");

/// The label of the gateway that exposes istiod.
pub const GATEWAY: &str = "istio=eastwestgateway";

/// All that is listed, file by file.
pub const PARTS: [Part; 14] = [
    part("namespaces", P, NAMESPACE, ""),
    part("deployments", P, DEPLOYMENT, "app=istiod"),
    part("deployments", P, DEPLOYMENT, GATEWAY),
    part("services", P, SERVICE, GATEWAY),
    part("webhooks", P, WEBHOOK, ""),
    part("exposure", P_ISTIO, ("networking.istio.io", "networking.istio.io/v1", "gateways", "Gateway"), ""),
    part(
        "exposure",
        P_ISTIO,
        ("networking.istio.io", "networking.istio.io/v1", "virtualservices", "VirtualService"),
        "",
    ),
    part(
        "policies",
        P_ISTIO,
        ("security.istio.io", "security.istio.io/v1", "peerauthentications", "PeerAuthentication"),
        "",
    ),
    part(
        "policies",
        P_ISTIO,
        ("security.istio.io", "security.istio.io/v1", "authorizationpolicies", "AuthorizationPolicy"),
        "",
    ),
    part("namespaces", R, NAMESPACE, ""),
    part("deployments", R, DEPLOYMENT, "app=istiod"),
    part("services", R_ISTIO, SERVICE, ""),
    part(
        "endpoint-slices",
        R_ISTIO,
        ("discovery.k8s.io", "discovery.k8s.io/v1", "endpointslices", "EndpointSlice"),
        "",
    ),
    part("webhooks", R, WEBHOOK, ""),
];

/// What is read beside the lists: by name, or only to be counted.
const BESIDE: [(Right, &str); 10] = [
    (Right::new(Role::Primary, Place::Istio, "", "configmaps", &["get"]), "mesh config, values, root"),
    (Right::new(Role::Primary, Place::Cluster, "", "nodes", &["list"]), "their number"),
    (Right::new(Role::Primary, Place::Cluster, "", "pods", &["list"]), "the number of proxies"),
    (Right::new(Role::Primary, Place::Istio, "", "pods", &["list"]), "pods of istiod"),
    (
        Right::new(Role::Primary, Place::Istio, "", "pods/portforward", &["create", "get"]),
        "the clusters that istiod knows",
    ),
    (Right::new(Role::Remote, Place::Istio, "", "configmaps", &["get"]), "values"),
    (Right::new(Role::Remote, Place::Cluster, "", "nodes", &["list"]), "their number"),
    (Right::new(Role::Remote, Place::Cluster, "", "pods", &["list"]), "the number of proxies"),
    (
        Right::new(Role::Remote, Place::Cluster, "rbac.authorization.k8s.io", "clusterroles", &["get"]),
        "what istiod's reader account may do",
    ),
    (Right::new(Role::Primary, Place::Istio, "", "secrets", &["get"]), "the shape of the remote secret"),
];

/// All rights that a capture takes, each with what it is for. The Secret is read only where it is named.
pub fn rights(remote_secret: Option<&str>) -> Vec<(Right, &'static str)> {
    let found = find::RIGHTS.iter().map(|right| (*right, "finding the mesh"));
    let listed = PARTS.iter().map(|part| (part.right, part.file));
    let beside = BESIDE.into_iter().filter_map(|(right, what)| match (right.resource, remote_secret) {
        ("secrets", None) => None,
        // It lives as long as the process does, as every other right.
        ("secrets", Some(name)) => Some((right.named(vec![&*name.to_string().leak()].leak()), what)),
        _ => Some((right, what)),
    });
    found.chain(listed).chain(beside).collect()
}

/// What each file holds, for the index and the folder's README.
pub const HOLDS: [(&str, &str); 13] = [
    ("namespaces", "namespaces with labels or annotations of Istio; no other labels of theirs"),
    ("deployments", "Deployments of istiod and of the east-west gateway: images, arguments, environment, replicas"),
    ("services", "Services of the east-west gateway, or of Istio's namespace in the remote cluster"),
    ("webhooks", "injection webhooks: what they call; of each CA its fingerprint"),
    ("exposure", "Gateways and VirtualServices of Istio's namespace"),
    ("policies", "PeerAuthentications and AuthorizationPolicies of Istio's namespace"),
    ("endpoint-slices", "what is behind the Services of Istio's namespace in the remote cluster"),
    ("mesh-config", "the mesh config of istiod"),
    ("injection-values", "the values by which istiod injects"),
    ("values", "what was set of the operator's or Helm's values"),
    ("reader-role", "what istiod's account may do in the remote cluster"),
    ("remote-secrets", "the shape of the remote secret: labels, keys, address of the API server; no token, no key"),
    ("root", "the fingerprint of the root that istiod publishes"),
];
