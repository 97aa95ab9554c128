//! Access log lines of proxies: who called, as the server's proxy saw it, and whom the caller's proxy asked.
//!
//! The application itself is dialled by its own proxy, so only this log knows the peer.

use std::collections::BTreeMap;

use harness::lab::Cluster;
use harness::lab::cluster::ClusterError;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::LogParams;
use serde_json::Value;

/// Which way a request went through the proxy that logged it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// To the application in the proxy's own pod.
    In,
    /// From the application in the proxy's own pod.
    Out,
}

/// One request that a proxy has passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The proxy's pod.
    pub pod: String,
    /// Response code.
    pub code: u64,
    /// Address of the peer, without its port.
    pub peer: String,
    /// URI in the peer's certificate; empty for a peer without one.
    pub identity: String,
    /// Address that the proxy passed it on to, without its port; empty when there was none.
    pub upstream: String,
    /// Envoy's flags for what went wrong; `-` for nothing.
    pub flags: String,
}

/// Requests that went this way at the pods with this label in the last minutes, and whose path contains `mark`.
///
/// # Errors
/// [`ClusterError`] when a log cannot be read.
pub async fn requests(
    cluster: &Cluster,
    namespace: &str,
    selector: &str,
    way: Way,
    mark: &str,
) -> Result<Vec<Entry>, ClusterError> {
    let mut entries = Vec::new();
    for pod in cluster.pods(namespace, selector).await? {
        let name = pod.name_any();
        // The mark makes the lines unique; the age keeps the answer short on a lab that is used for long.
        let params =
            LogParams { container: Some("istio-proxy".to_string()), since_seconds: Some(300), ..LogParams::default() };
        let log = cluster
            .api::<Pod>(namespace)
            .logs(&name, &params)
            .await
            .map_err(cluster.refused(format!("show the log of the proxy in pod {namespace}/{name}")))?;
        entries.extend(log.lines().filter_map(|line| entry(line, &name, way, mark)));
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

/// What one line says, if it is the access log line of a request that went this way and has this mark.
fn entry(line: &str, pod: &str, way: Way, mark: &str) -> Option<Entry> {
    if !line.contains(mark) {
        return None;
    }
    let log: Value = serde_json::from_str(line).ok()?;
    let inbound = log["direction"].as_str().unwrap_or_default().starts_with("inbound|");
    if log["meshproof"] != "access" || inbound != (way == Way::In) || !log["path"].as_str()?.contains(mark) {
        return None;
    }
    let text = |field: &str| log[field].as_str().unwrap_or_default().to_string();
    let host = |field: &str| text(field).rsplit_once(':').map(|(host, _)| host.to_string()).unwrap_or_default();
    Some(Entry {
        pod: pod.to_string(),
        code: log["code"].as_u64().unwrap_or(0),
        peer: host("peer"),
        identity: text("peer_identity"),
        upstream: host("upstream"),
        flags: text("flags"),
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{Way, entry, tally};

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
        let got = entry(line, "echo", Way::In, mark);
        assert_eq!(got.as_ref().map(|entry| (entry.peer.as_str(), entry.identity.as_str())), expected);
    }

    #[test]
    fn the_callers_line_tells_what_failed() {
        let line = r#"{"code":503,"direction":"outbound|8080||echo","flags":"UF","meshproof":"access","path":"/n1/d11/","peer":"10.10.0.9:1","peer_identity":null,"upstream":"10.20.0.6:8080"}"#;
        let entry = entry(line, "caller", Way::Out, "/n1/d11/").unwrap();
        assert_eq!((entry.code, entry.upstream.as_str(), entry.flags.as_str()), (503, "10.20.0.6", "UF"));
    }

    #[rstest]
    #[case::none(&[], "no line")]
    #[case::one(&["a", "a"], "a (x2)")]
    #[case::empty_is_said(&["a", ""], "none (x1), a (x1)")]
    fn a_tally_shows_every_value(#[case] values: &[&str], #[case] expected: &str) {
        assert_eq!(tally(values.iter().copied()), expected);
    }
}
