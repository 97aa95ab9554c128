//! Access log lines of proxies: who called, as the server's proxy saw it, and whom the caller's proxy asked.
//!
//! The application itself is dialled by its own proxy, so only this log knows the peer.

use std::collections::BTreeMap;

use harness::lab::Cluster;
use harness::lab::cluster::ClusterError;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
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

/// One request, or TCP connection, that a proxy has passed on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// The proxy's pod.
    pub pod: String,
    /// Path of the request; empty for a TCP connection.
    pub path: String,
    /// The port that it was passed on to.
    pub port: u16,
    /// `HTTP/1.1` or `HTTP/2`; empty for a TCP connection, and where the log does not say it.
    pub protocol: String,
    /// Name that the peer asked for in its TLS handshake, such as `outbound_.9000_._.echo.sample.svc.cluster.local`; empty
    /// without TLS.
    pub server_name: String,
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
        let log =
            log(cluster, namespace, &name, LogParams { since_seconds: Some(300), ..LogParams::default() }).await?;
        let marked = log.lines().filter(|line| line.contains(mark)).filter_map(|line| entry(line, &name, way));
        entries.extend(marked.filter(|entry| entry.path.contains(mark)));
    }
    Ok(entries)
}

/// When each proxy of the pods with this label wrote its newest line, by the clock of its node.
///
/// # Errors
/// As [`requests`].
pub async fn newest(
    cluster: &Cluster,
    namespace: &str,
    selector: &str,
) -> Result<BTreeMap<String, Timestamp>, ClusterError> {
    let mut newest = BTreeMap::new();
    for pod in cluster.pods(namespace, selector).await? {
        let name = pod.name_any();
        let params = LogParams { tail_lines: Some(1), timestamps: true, ..LogParams::default() };
        let log = log(cluster, namespace, &name, params).await?;
        newest.extend(log.lines().filter_map(stamped).map(|(time, _)| (name.clone(), time)));
    }
    Ok(newest)
}

/// What came in at the pods with this label after these moments, TCP connections too, which have no path to know them by.
///
/// # Errors
/// As [`requests`].
pub async fn came_in_after(
    cluster: &Cluster,
    namespace: &str,
    selector: &str,
    moments: &BTreeMap<String, Timestamp>,
) -> Result<Vec<Entry>, ClusterError> {
    let mut entries = Vec::new();
    for pod in cluster.pods(namespace, selector).await? {
        let name = pod.name_any();
        let moment = moments.get(&name).copied();
        let params = LogParams { since_time: moment, timestamps: true, ..LogParams::default() };
        let log = log(cluster, namespace, &name, params).await?;
        // The API server knows whole seconds only.
        let fresh = log.lines().filter_map(stamped).filter(|(time, _)| moment.is_none_or(|moment| *time > moment));
        entries.extend(fresh.filter_map(|(_, line)| entry(line, &name, Way::In)));
    }
    Ok(entries)
}

async fn log(cluster: &Cluster, namespace: &str, pod: &str, params: LogParams) -> Result<String, ClusterError> {
    let params = LogParams { container: Some("istio-proxy".to_string()), ..params };
    cluster
        .api::<Pod>(namespace)
        .logs(pod, &params)
        .await
        .map_err(cluster.refused(format!("show the log of the proxy in pod {namespace}/{pod}")))
}

/// A line with the time at which it was written.
fn stamped(line: &str) -> Option<(Timestamp, &str)> {
    let (time, line) = line.split_once(' ')?;
    Some((time.parse().ok()?, line))
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

/// What one line says, if it is the access log line of what went this way.
fn entry(line: &str, pod: &str, way: Way) -> Option<Entry> {
    let log: Value = serde_json::from_str(line).ok()?;
    let direction = log["direction"].as_str().unwrap_or_default();
    if log["meshproof"] != "access" || direction.starts_with("inbound|") != (way == Way::In) {
        return None;
    }
    let text = |field: &str| log[field].as_str().unwrap_or_default().to_string();
    let host = |field: &str| text(field).rsplit_once(':').map(|(host, _)| host.to_string()).unwrap_or_default();
    Some(Entry {
        pod: pod.to_string(),
        path: text("path"),
        port: direction.split('|').nth(1).and_then(|port| port.parse().ok()).unwrap_or(0),
        protocol: text("protocol"),
        server_name: text("server_name"),
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

    use super::{Way, entry, stamped, tally};

    const INBOUND: &str = r#"{"code":200,"direction":"inbound|8080||;","flags":"-","local":"10.20.0.6:8080","meshproof":"access","path":"/n1/d11/primary","peer":"10.10.0.9:49466","peer_identity":"spiffe://cluster.local/ns/meshproof-sample/sa/caller","upstream":"10.20.0.6:8080"}"#;
    const TCP: &str = r#"{"code":0,"direction":"inbound|9000||;","flags":"-","local":"10.20.0.6:9000","meshproof":"access","path":null,"peer":"10.10.0.9:49466","peer_identity":"spiffe://cluster.local/ns/meshproof-sample/sa/caller","protocol":null,"upstream":"10.20.0.6:9000"}"#;
    const OUTBOUND: &str = r#"{"code":200,"direction":"outbound|8080||echo","meshproof":"access","path":"/n1/d11/primary","peer":"10.10.0.9:1","peer_identity":null}"#;
    const PLAIN: &str = r#"{"code":200,"direction":"inbound|8080||;","meshproof":"access","path":"/n1/d11/primary","peer":"10.10.0.9:1","peer_identity":null}"#;

    #[rstest]
    #[case::the_request(INBOUND, Some(("10.10.0.9", "spiffe://cluster.local/ns/meshproof-sample/sa/caller", 8080)))]
    #[case::a_peer_without_certificate(PLAIN, Some(("10.10.0.9", "", 8080)))]
    #[case::a_tcp_connection(TCP, Some(("10.10.0.9", "spiffe://cluster.local/ns/meshproof-sample/sa/caller", 9000)))]
    #[case::the_callers_own_line(OUTBOUND, None)]
    #[case::a_line_of_the_agent("2026-11-21 info Envoy proxy is ready /n1/d11/", None)]
    fn only_what_came_in_counts(#[case] line: &str, #[case] expected: Option<(&str, &str, u16)>) {
        let got = entry(line, "echo", Way::In);
        let got = got.as_ref().map(|entry| (entry.peer.as_str(), entry.identity.as_str(), entry.port));
        assert_eq!(got, expected);
    }

    #[test]
    fn a_line_has_a_time_that_can_be_compared() {
        let (early, line) = stamped("2026-11-21T05:00:00.1Z {a b}").unwrap();
        let (late, _) = stamped("2026-11-21T05:00:00.12Z ").unwrap();
        assert!(early < late && line == "{a b}");
        assert_eq!(stamped("a torn line"), None);
    }

    #[test]
    fn the_callers_line_tells_what_failed() {
        let line = r#"{"code":503,"direction":"outbound|8080||echo","flags":"UF","meshproof":"access","path":"/n1/d11/","peer":"10.10.0.9:1","peer_identity":null,"upstream":"10.20.0.6:8080"}"#;
        let entry = entry(line, "caller", Way::Out).unwrap();
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
