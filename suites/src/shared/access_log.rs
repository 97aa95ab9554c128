//! Access log lines of server proxies: who called, as the proxy saw it.
//!
//! The application itself is dialled by its own proxy, so only this log knows the peer.

use std::collections::BTreeMap;

use harness::lab::Cluster;
use harness::lab::cluster::ClusterError;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::LogParams;
use serde_json::Value;

/// One request that a server's proxy has let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The server's pod.
    pub pod: String,
    /// Response code.
    pub code: u64,
    /// Address of the peer, without its port.
    pub peer: String,
    /// URI in the peer's certificate; empty for a peer without one.
    pub identity: String,
}

/// Requests that came in at the pods with this label in the last minutes, and whose path contains `mark`.
///
/// # Errors
/// [`ClusterError`] when a log cannot be read.
pub async fn inbound(cluster: &Cluster, namespace: &str, selector: &str, mark: &str) -> Result<Vec<Entry>, ClusterError> {
    let mut entries = Vec::new();
    for pod in cluster.pods(namespace, selector).await? {
        let name = pod.name_any();
        // The mark makes the lines unique; the age keeps the answer short on a lab that is used for long.
        let params = LogParams {
            container: Some("istio-proxy".to_string()),
            since_seconds: Some(300),
            ..LogParams::default()
        };
        let log = cluster
            .api::<Pod>(namespace)
            .logs(&name, &params)
            .await
            .map_err(cluster.refused(format!("show the log of the proxy in pod {namespace}/{name}")))?;
        entries.extend(log.lines().filter_map(|line| entry(line, &name, mark)));
    }
    Ok(entries)
}

/// How often each value stands in these entries, as `10.10.0.9 (x35)`, in order.
pub fn tally<'a>(values: impl Iterator<Item = &'a str>) -> String {
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    let parts: Vec<String> = counts
        .iter()
        .map(|(value, count)| format!("{} (x{count})", if value.is_empty() { "none" } else { value }))
        .collect();
    if parts.is_empty() { "no line".to_string() } else { parts.join(", ") }
}

/// What one line says, if it is the access log line of an inbound request with this mark.
fn entry(line: &str, pod: &str, mark: &str) -> Option<Entry> {
    if !line.contains(mark) {
        return None;
    }
    let log: Value = serde_json::from_str(line).ok()?;
    let inbound = log["direction"].as_str().is_some_and(|upstream| upstream.starts_with("inbound|"));
    if log["meshproof"] != "access" || !inbound || !log["path"].as_str()?.contains(mark) {
        return None;
    }
    let peer = log["peer"].as_str().unwrap_or_default();
    Some(Entry {
        pod: pod.to_string(),
        code: log["code"].as_u64().unwrap_or(0),
        peer: peer.rsplit_once(':').map_or(peer, |(address, _)| address).to_string(),
        identity: log["peer_identity"].as_str().unwrap_or_default().to_string(),
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{entry, tally};

    const INBOUND: &str = r#"{"code":200,"direction":"inbound|8080||;","flags":"-","local":"10.20.0.6:8080","meshproof":"access","path":"/n1/d11/primary","peer":"10.10.0.9:49466","peer_identity":"spiffe://cluster.local/ns/meshproof-sample/sa/caller","upstream":"10.20.0.6:8080"}"#;
    const OUTBOUND: &str = r#"{"code":200,"direction":"outbound|8080||echo","meshproof":"access","path":"/n1/d11/primary","peer":"10.10.0.9:1","peer_identity":null}"#;
    const PLAIN: &str = r#"{"code":200,"direction":"inbound|8080||;","meshproof":"access","path":"/n1/d11/primary","peer":"10.10.0.9:1","peer_identity":null}"#;

    #[rstest]
    #[case::the_request(INBOUND, "/n1/d11/", Some(("10.10.0.9", "spiffe://cluster.local/ns/meshproof-sample/sa/caller")))]
    #[case::a_peer_without_certificate(PLAIN, "/n1/d11/", Some(("10.10.0.9", "")))]
    #[case::the_callers_own_line(OUTBOUND, "/n1/d11/", None)]
    #[case::another_run(INBOUND, "/n2/d11/", None)]
    #[case::a_line_of_the_agent("2026-11-21 info Envoy proxy is ready /n1/d11/", "/n1/d11/", None)]
    fn only_inbound_requests_with_the_mark_count(
        #[case] line: &str,
        #[case] mark: &str,
        #[case] expected: Option<(&str, &str)>,
    ) {
        let got = entry(line, "echo", mark);
        assert_eq!(got.as_ref().map(|entry| (entry.peer.as_str(), entry.identity.as_str())), expected);
    }

    #[rstest]
    #[case::none(&[], "no line")]
    #[case::one(&["a", "a"], "a (x2)")]
    #[case::empty_is_said(&["a", ""], "none (x1), a (x1)")]
    fn a_tally_shows_every_value(#[case] values: &[&str], #[case] expected: &str) {
        assert_eq!(tally(values.iter().copied()), expected);
    }
}
