//! What `${NAME}` in the catalogue stands for on a lab.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::ConfigMap;

use crate::context::Context;
use crate::install::facts::Fact;
use crate::lab::Cluster;
use crate::lab::cluster::ClusterError;
use crate::role::Role;
use crate::scenario::Scenario;

/// Names that a catalogue may use.
pub const VARIABLES: [&str; 16] = [
    "CLUSTER1",
    "CLUSTER2",
    "NETWORK",
    "ISTIO_NAMESPACE",
    "SUFFIX",
    "REVISION_SUFFIX",
    "NODE1",
    "NODE2",
    "GATEWAY",
    "PODS1",
    "PODS2",
    "ISTIOD",
    "ECHO1",
    "STATEFUL2",
    "ROOT",
    "OTHER_ROOT",
];

/// Those of them that a scenario alone tells.
pub const PLANNED: [&str; 6] = ["CLUSTER1", "CLUSTER2", "NETWORK", "ISTIO_NAMESPACE", "SUFFIX", "REVISION_SUFFIX"];

/// Each name with what it stands for.
#[derive(Debug, Clone, Default)]
pub struct Names(BTreeMap<&'static str, String>);

impl Names {
    /// Of this lab, as it is now: names of the clusters, their network, the namespace of Istio and what that adds to
    /// the names of its webhooks, what the revision of the install adds to names; addresses of their control-plane nodes, of
    /// the gateway, of a pod of istiod, of one of echo in the primary and of that of the StatefulSet in the remote; subnets of their pods; the root of the mesh, and another
    /// root (that of the remote cluster's API server), in base64.
    ///
    /// # Errors
    /// [`ClusterError`] when the pods of istiod cannot be listed.
    pub async fn of(context: &Context) -> Result<Names, ClusterError> {
        let (lab, primary) = (&context.lab, context.primary());
        let subnet = |role: Role| lab.pods_of(role).map(|net| net.to_string()).unwrap_or_default();
        let node = |role: Role| lab.cluster(role).control_plane().cloned().unwrap_or_default();
        let istiod = first_address(primary, &primary.istio_namespace, "app=istiod").await?;
        let echo = first_address(primary, &primary.sample, "app=echo").await?;
        let stateful = first_address(context.remote(), &context.remote().sample, "app=stateful").await?;
        let other = context.remote().api::<ConfigMap>("kube-system").get_opt("kube-root-ca.crt").await;
        let other = other.map_err(context.remote().refused("show ConfigMap kube-system/kube-root-ca.crt"))?;
        let other = other.and_then(|map| map.data?.remove("ca.crt")).unwrap_or_default();
        let mut names = Names::planned(&lab.file.scenario);
        names.0.extend([
            ("NODE1", node(Role::Primary)),
            ("NODE2", node(Role::Remote)),
            ("GATEWAY", lab.gateway_address().map(|address| address.to_string()).unwrap_or_default()),
            ("PODS1", subnet(Role::Primary)),
            ("PODS2", subnet(Role::Remote)),
            ("ISTIOD", istiod),
            ("ECHO1", echo),
            ("STATEFUL2", stateful),
            ("ROOT", base64(context.facts.get(Fact::RootCert).unwrap_or_default())),
            ("OTHER_ROOT", base64(other)),
        ]);
        debug_assert!(VARIABLES.iter().all(|name| names.0.contains_key(name)), "each name has its value");
        Ok(names)
    }

    /// What a scenario alone tells: the clusters, their network, where Istio is, and of which revision.
    pub fn planned(scenario: &Scenario) -> Names {
        let name = |role: Role| scenario.clusters[&role].name.clone();
        let istio = scenario.istio_namespace_of(Role::Primary);
        let values = [
            ("CLUSTER1", name(Role::Primary)),
            ("CLUSTER2", name(Role::Remote)),
            ("NETWORK", scenario.network.clone()),
            ("ISTIO_NAMESPACE", istio.to_string()),
            ("SUFFIX", istio.suffix()),
            ("REVISION_SUFFIX", scenario.install.revision().suffix()),
        ];
        Names(values.into())
    }

    /// The text with every name filled in.
    pub fn fill(&self, text: &str) -> String {
        let mut text = text.to_string();
        for (name, value) in &self.0 {
            text = text.replace(&format!("${{{name}}}"), value);
        }
        text
    }
}

/// Address of the first pod with this label; empty where there is none.
async fn first_address(cluster: &Cluster, namespace: &str, selector: &str) -> Result<String, ClusterError> {
    let pods = cluster.pods(namespace, selector).await?;
    Ok(pods.into_iter().find_map(|pod| pod.status?.pod_ip).unwrap_or_default())
}

/// As JSON carries bytes.
fn base64(text: String) -> String {
    let value = serde_json::to_value(ByteString(text.into_bytes()));
    value.ok().and_then(|value| Some(value.as_str()?.to_string())).unwrap_or_default()
}
