//! Questions that the workload program answers from inside a pod; see `fixtures/workload`.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use kube::api::PostParams;
use serde::{Deserialize, Serialize};

use super::cluster::{Cluster, ClusterError, pod_ready};
use super::exec::{ExecError, In};
use crate::budget::Budgets;
use crate::wait::Look;

/// A question that could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The API server refused a call.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The command in the pod failed.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// There is no pod to ask from.
    #[error("{cluster} has no ready pod {selector} in {namespace}")]
    NoPod {
        /// The cluster's name.
        cluster: String,
        /// The namespace looked in.
        namespace: String,
        /// The label selector.
        selector: String,
    },
}

/// A certificate as a probe saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[derive(Default)]
pub struct Certificate {
    /// Subject.
    pub subject: String,
    /// Issuer.
    pub issuer: String,
    /// DNS names.
    pub dns: Vec<String>,
    /// URI names, such as SPIFFE identities.
    pub uri: Vec<String>,
    /// IP addresses.
    pub ip: Vec<String>,
    /// SHA-256 of the DER, hex.
    pub sha256: String,
}

/// What came of a TLS handshake.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Tls {
    /// Whether TCP connected.
    pub connected: bool,
    /// Whether the handshake ended well.
    pub handshake: bool,
    /// The server's chain.
    pub chain: Vec<Certificate>,
    /// Whether the chain fits the root and the name that were given.
    pub verified: Option<bool>,
    /// Why not.
    pub verify_error: Option<String>,
    /// What went wrong on the way.
    pub error: Option<String>,
}

/// What istiod answered to a request for a certificate.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Csr {
    /// gRPC status; none when no answer came.
    pub grpc_status: Option<i32>,
    /// gRPC message.
    pub grpc_message: Option<String>,
    /// Whether a certificate was given.
    pub accepted: bool,
    /// The certificate.
    pub certificate: Option<Certificate>,
    /// SHA-256 of the root in the chain that came with it.
    pub root_sha256: Option<String>,
    /// What went wrong on the way.
    pub error: Option<String>,
}

/// What a GET answered.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Get {
    /// HTTP status.
    pub status: Option<u16>,
    /// The body's first 4 KiB; empty where no answer came.
    #[serde(deserialize_with = "null_is_empty")]
    pub body: String,
    /// What went wrong.
    pub error: Option<String>,
}

/// The program says null where there was nothing.
fn null_is_empty<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.unwrap_or_default())
}

/// The tally of a row of calls.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Calls {
    /// Calls made.
    pub sent: u32,
    /// Calls that a workload answered.
    pub answered: u32,
    /// Answers by `cluster/version/pod`.
    pub by: BTreeMap<String, u32>,
    /// Failures by message.
    pub failures: BTreeMap<String, u32>,
    /// Peer addresses as the server saw them.
    pub peers: BTreeMap<String, u32>,
    /// The first answer.
    pub first: Option<serde_json::Value>,
    /// Milliseconds over all calls.
    pub elapsed_ms: f64,
}

impl Calls {
    /// Adds another row of the same calls.
    pub fn add(&mut self, row: Calls) {
        self.sent += row.sent;
        self.answered += row.answered;
        for (counts, more) in [(&mut self.by, row.by), (&mut self.failures, row.failures), (&mut self.peers, row.peers)]
        {
            for (name, count) in more {
                *counts.entry(name).or_default() += count;
            }
        }
        self.first = self.first.take().or(row.first);
        self.elapsed_ms += row.elapsed_ms;
    }

    /// Answers by cluster.
    pub fn by_cluster(&self) -> BTreeMap<String, u32> {
        let mut clusters = BTreeMap::new();
        for (who, count) in &self.by {
            let cluster = who.split('/').next().unwrap_or(who);
            *clusters.entry(cluster.to_string()).or_default() += count;
        }
        clusters
    }

    /// The first of these clusters that answered none of them.
    pub fn silent<'a>(&self, clusters: &[&'a str]) -> Option<&'a str> {
        let by = self.by_cluster();
        clusters.iter().copied().find(|cluster| !by.contains_key(*cluster))
    }

    /// Whether some failed, and those for their time alone: on a busy machine that says nothing of the mesh.
    pub fn only_late(&self) -> bool {
        !self.failures.is_empty() && self.failures.keys().all(|failure| failure.starts_with("timeout after"))
    }

    /// Failures in one line, most frequent first.
    pub fn failure_line(&self) -> String {
        let mut failures: Vec<(&String, &u32)> = self.failures.iter().collect();
        failures.sort_by(|a, b| b.1.cmp(a.1));
        failures.iter().map(|(message, count)| format!("{message} (x{count})")).collect::<Vec<_>>().join(", ")
    }
}

/// A ready pod of a cluster from which to ask.
#[derive(Debug, Clone)]
pub struct Probe {
    /// Its cluster.
    pub cluster: Cluster,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub pod: String,
    /// The node that it runs on.
    pub node: String,
    /// Its address.
    pub address: String,
    /// The container with the workload program.
    pub container: String,
    limit: Duration,
    call: Duration,
}

impl Probe {
    /// The ready pods with the label `app=<app>` that are not on their way out, at least one, by node and name; their container has the same name.
    ///
    /// # Errors
    /// [`ProbeError::NoPod`] when none is ready.
    pub async fn find(
        cluster: &Cluster,
        namespace: &str,
        app: &str,
        budgets: &Budgets,
    ) -> Result<Vec<Probe>, ProbeError> {
        let selector = format!("app={app}");
        let pods = cluster.pods(namespace, &selector).await?;
        let stays = |pod: &Pod| pod.metadata.deletion_timestamp.is_none() && pod_ready(pod) == Look::Yes(());
        let ready = pods.into_iter().filter(stays);
        let mut found: Vec<Probe> = ready
            .filter_map(|pod| {
                Some(Probe {
                    cluster: cluster.clone(),
                    namespace: namespace.to_string(),
                    pod: pod.metadata.name?,
                    node: pod.spec?.node_name?,
                    address: pod.status?.pod_ip?,
                    container: app.to_string(),
                    limit: *budgets.request() * 24,
                    call: *budgets.call(),
                })
            })
            .collect();
        found.sort_by(|one, other| (&one.node, &one.pod).cmp(&(&other.node, &other.pod)));
        if found.is_empty() {
            let (cluster, namespace) = (cluster.name.clone(), namespace.to_string());
            return Err(ProbeError::NoPod { cluster, namespace, selector });
        }
        Ok(found)
    }

    /// A probe outside the mesh; it does not matter on which node.
    ///
    /// # Errors
    /// [`ProbeError::NoPod`] when none is ready.
    pub async fn outside(cluster: &Cluster, budgets: &Budgets) -> Result<Probe, ProbeError> {
        Ok(Probe::each_outside(cluster, budgets).await?.remove(0))
    }

    /// The probes outside the mesh, one on each node.
    ///
    /// # Errors
    /// [`ProbeError::NoPod`] when a node has none that is ready.
    pub async fn each_outside(cluster: &Cluster, budgets: &Budgets) -> Result<Vec<Probe>, ProbeError> {
        Probe::each(cluster, "meshproof-probe", "probe", budgets).await
    }

    async fn each(cluster: &Cluster, namespace: &str, app: &str, budgets: &Budgets) -> Result<Vec<Probe>, ProbeError> {
        let found = Probe::find(cluster, namespace, app, budgets).await?;
        let used: Vec<&str> = found.iter().map(|probe| probe.node.as_str()).collect();
        match bare(cluster.nodes.keys(), &used) {
            None => Ok(found),
            Some(node) => Err(ProbeError::NoPod {
                cluster: cluster.name.clone(),
                namespace: namespace.to_string(),
                selector: format!("app={app} on node {node}"),
            }),
        }
    }

    /// The probe outside the mesh beside a pod, so that no way between nodes is asked too.
    ///
    /// # Errors
    /// [`ProbeError::NoPod`] when none is ready there.
    pub async fn beside(cluster: &Cluster, pod: &Pod, budgets: &Budgets) -> Result<Probe, ProbeError> {
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).unwrap_or_default();
        let found = Probe::find(cluster, "meshproof-probe", "probe", budgets).await?;
        found.into_iter().find(|probe| probe.node == node).ok_or_else(|| ProbeError::NoPod {
            cluster: cluster.name.clone(),
            namespace: "meshproof-probe".to_string(),
            selector: format!("app=probe on node {node}"),
        })
    }

    /// The callers inside the mesh, one on each node.
    ///
    /// # Errors
    /// [`ProbeError::NoPod`] when a node has none that is ready.
    pub async fn each_inside(cluster: &Cluster, budgets: &Budgets) -> Result<Vec<Probe>, ProbeError> {
        Probe::each(cluster, &cluster.sample, "caller", budgets).await
    }

    /// `cluster2 pod meshproof-probe/probe-x`.
    pub fn object(&self) -> String {
        format!("{} pod {}/{}", self.cluster.name, self.namespace, self.pod)
    }

    /// Makes calls by the workload program with these arguments, each within [`Budgets::call`].
    ///
    /// # Errors
    /// As [`Probe::ask`]; a failed call is an answer.
    pub async fn call(&self, args: &[&str]) -> Result<Calls, ProbeError> {
        self.call_within(self.call, args).await
    }

    /// As [`Probe::call`], each within this time. A row ends with the first call that takes longer.
    ///
    /// # Errors
    /// As [`Probe::call`].
    pub async fn call_within(&self, limit: impl Into<Duration>, args: &[&str]) -> Result<Calls, ProbeError> {
        let limit = limit.into().as_millis().to_string();
        self.ask(&[&["call"], args, &["--timeout-ms", &limit]].concat()).await
    }

    /// Asks by the workload program with these arguments.
    ///
    /// # Errors
    /// [`ProbeError::Exec`] when the question could not be asked; a refused connection is an answer.
    pub async fn ask<T: serde::de::DeserializeOwned>(&self, args: &[&str]) -> Result<T, ProbeError> {
        let mut command = vec!["/workload".to_string()];
        command.extend(args.iter().map(|arg| arg.to_string()));
        let place = In { namespace: &self.namespace, pod: &self.pod, container: &self.container };
        Ok(self.cluster.exec_json(place, &command, None, self.limit).await?)
    }

    /// Asks istiod, by the `name` that its certificate has, for a certificate with the token of this pod, as its proxy
    /// would.
    ///
    /// # Errors
    /// As [`Probe::ask`].
    pub async fn csr(&self, address: &str, name: &str, root: &str) -> Result<Csr, ProbeError> {
        let token = ["--token-file", "/var/run/secrets/tokens/istio-token"];
        let command = csr_command(address, name, root, &token, &self.cluster.name);
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        self.ask(&command[1..]).await
    }

    /// As [`Probe::csr`], with a token of the probes' account in `cluster`, which need not be the probe's own.
    /// The token goes by standard input: arguments show in the audit log of the API server.
    ///
    /// # Errors
    /// As [`Probe::ask`].
    pub async fn csr_with(
        &self,
        address: &str,
        name: &str,
        root: &str,
        cluster: &str,
        token: &str,
    ) -> Result<Csr, ProbeError> {
        let command = csr_command(address, name, root, &["--token-stdin"], cluster);
        let place = In { namespace: &self.namespace, pod: &self.pod, container: &self.container };
        Ok(self.cluster.exec_json(place, &command, Some(token), self.limit).await?)
    }
}

/// The first of these nodes on which nothing runs, if there is one.
fn bare<'a>(mut nodes: impl Iterator<Item = &'a String>, used: &[&str]) -> Option<&'a String> {
    nodes.find(|node| !used.contains(&node.as_str()))
}

/// The identity of the probes' account, in each cluster.
pub const IDENTITY: &str = "spiffe://cluster.local/ns/meshproof-probe/sa/probe";

fn csr_command(address: &str, name: &str, root: &str, token: &[&str], cluster: &str) -> Vec<String> {
    let before = ["/workload", "csr", address, "--sni", name, "--root-pem", root];
    let after = ["--cluster-id", cluster, "--identity", IDENTITY];
    before.iter().chain(token).chain(&after).map(|word| (*word).to_string()).collect()
}

/// A fresh token of the probes' account in this cluster, for istiod.
///
/// # Errors
/// [`ClusterError`] when the API server gives none.
pub async fn token(cluster: &Cluster) -> Result<String, ClusterError> {
    let request: TokenRequest =
        serde_json::from_value(serde_json::json!({"spec": {"audiences": ["istio-ca"], "expirationSeconds": 600}}))
            .expect("a TokenRequest");
    let given = cluster
        .api::<ServiceAccount>("meshproof-probe")
        .create_token_request("probe", &PostParams::default(), &request)
        .await
        .map_err(cluster.refused("give a token of ServiceAccount meshproof-probe/probe"))?;
    Ok(given.status.map(|status| status.token).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{Calls, Get, bare};

    #[rstest]
    #[case::each_node_has_one(&["one", "two"], None)]
    #[case::one_has_two_and_the_other_none(&["one", "one"], Some("two"))]
    fn one_on_each_node_means_each_node(#[case] used: &[&str], #[case] without: Option<&str>) {
        let nodes = ["one".to_string(), "two".to_string()];
        assert_eq!(bare(nodes.iter(), used).map(String::as_str), without);
    }

    #[test]
    fn a_get_that_nobody_answered_can_be_read() {
        let text =
            r#"{"url":"http://a/","status":null,"body":null,"error":"connect: connection refused","elapsed_ms":1.0}"#;
        let get: Get = serde_json::from_str(text).expect("the workload's own form");
        assert_eq!((get.status, get.body.as_str()), (None, ""));
        assert_eq!(get.error.as_deref(), Some("connect: connection refused"));
    }

    #[test]
    fn rows_add_up() {
        let row = || Calls {
            sent: 3,
            answered: 2,
            by: [("cluster1/v1/a".to_string(), 2)].into(),
            failures: [("HTTP 503".to_string(), 1)].into(),
            ..Calls::default()
        };
        let mut all = Calls::default();
        all.add(row());
        all.add(row());
        assert_eq!((all.sent, all.answered, all.by["cluster1/v1/a"], all.failures["HTTP 503"]), (6, 4, 4, 2));
    }
}
