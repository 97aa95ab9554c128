//! What a proxy or gateway says about itself on its admin port: endpoints with their counters, and listeners.

use std::fmt;

use harness::lab::Cluster;
use harness::lab::forward::{Forward, ForwardError};
use harness::lab::probe::Probe;
use k8s_openapi::ByteString;
use serde_json::Value;

const ADMIN_PORT: u16 = 15000;

/// The admin port of the Envoy in one pod.
#[derive(Debug)]
pub struct Proxy {
    /// Name of its cluster.
    pub cluster: String,
    /// `namespace/name` of its pod.
    pub pod: String,
    admin: Forward,
}

impl Proxy {
    /// Opens the admin port of the Envoy in this pod.
    ///
    /// # Errors
    /// [`ForwardError`] when no local port is free.
    pub async fn open(cluster: &Cluster, namespace: &str, pod: &str) -> Result<Proxy, ForwardError> {
        Ok(Proxy {
            cluster: cluster.name.clone(),
            pod: format!("{namespace}/{pod}"),
            admin: cluster.forward(namespace, pod, ADMIN_PORT).await?,
        })
    }

    /// Opens that of the pod from which this one asks.
    ///
    /// # Errors
    /// As [`Proxy::open`].
    pub async fn of(caller: &Probe) -> Result<Proxy, ForwardError> {
        Proxy::open(&caller.cluster, &caller.namespace, &caller.pod).await
    }

    /// Opens those of all these, in their order.
    ///
    /// # Errors
    /// As [`Proxy::open`].
    pub async fn of_each(callers: &[Probe]) -> Result<Vec<Proxy>, ForwardError> {
        let mut proxies = Vec::new();
        for caller in callers {
            proxies.push(Proxy::of(caller).await?);
        }
        Ok(proxies)
    }

    /// `cluster1 proxy meshproof-sample/caller-x`.
    pub fn object(&self) -> String {
        format!("{} proxy {}", self.cluster, self.pod)
    }

    /// Every endpoint that it knows, with counters as they stand now.
    ///
    /// # Errors
    /// [`ForwardError`] when the admin port does not answer.
    pub async fn endpoints(&self) -> Result<Vec<Endpoint>, ForwardError> {
        Ok(endpoints(&self.admin.json("/clusters?format=json").await?))
    }

    /// The endpoints of one Envoy cluster, such as `outbound|8080||echo.sample.svc.cluster.local`.
    ///
    /// # Errors
    /// As [`Proxy::endpoints`].
    pub async fn endpoints_of(&self, upstream: &str) -> Result<Vec<Endpoint>, ForwardError> {
        Ok(self.endpoints().await?.into_iter().filter(|endpoint| endpoint.upstream == upstream).collect())
    }

    /// Whether it may send requests to this Envoy cluster under TLS; none where it does not know it.
    ///
    /// # Errors
    /// As [`Proxy::endpoints`].
    pub async fn sends_tls(&self, upstream: &str) -> Result<Option<bool>, ForwardError> {
        // A pattern needs no escaping where any character stands for itself.
        let pattern = upstream.replace('|', ".");
        let path = format!("/config_dump?resource=dynamic_active_clusters&name_regex={pattern}");
        Ok(sends_tls(&self.admin.json(&path).await?, upstream))
    }

    /// Addresses that it listens on, such as `0.0.0.0:15012`.
    ///
    /// # Errors
    /// As [`Proxy::endpoints`].
    pub async fn listeners(&self) -> Result<Vec<String>, ForwardError> {
        Ok(listeners(&self.admin.json("/listeners?format=json").await?))
    }

    /// The workload's own certificates and the roots that it trusts; Envoy shows no key.
    ///
    /// # Errors
    /// As [`Proxy::endpoints`].
    pub async fn secrets(&self) -> Result<Secrets, ForwardError> {
        Ok(secrets(&self.admin.json("/config_dump?resource=dynamic_active_secrets").await?))
    }
}

/// What a proxy is known by, and knows others by; empty for what it was not given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secrets {
    /// Its own certificate and those that lead to a root, as PEM.
    pub chain: Vec<u8>,
    /// The roots that it trusts, as PEM.
    pub trusted: Vec<u8>,
}

/// One host of one Envoy cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The Envoy cluster: `outbound|8080||echo.sample.svc.cluster.local`.
    pub upstream: String,
    /// IP address, or the path of a pipe.
    pub address: String,
    /// Port; 0 for a pipe.
    pub port: u64,
    /// `HEALTHY`, or everything that is wrong with it.
    pub health: String,
    /// Connections opened to it since the proxy began.
    pub connections: u64,
    /// Connections open now.
    pub open: u64,
    /// Requests, or TCP streams, sent to it since the proxy began.
    pub requests: u64,
}

impl Endpoint {
    /// Whether traffic is sent to it.
    pub fn is_healthy(&self) -> bool {
        self.health == "HEALTHY"
    }

    /// `3 connections, 2 open, 5 requests`.
    pub fn counters(&self) -> String {
        format!("{} connections, {} open, {} requests", self.connections, self.open, self.requests)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            0 => write!(f, "{} at {}", self.upstream, self.address),
            port => write!(f, "{} at {}:{port}", self.upstream, self.address),
        }
    }
}

fn endpoints(clusters: &Value) -> Vec<Endpoint> {
    let mut all = Vec::new();
    for cluster in clusters["cluster_statuses"].as_array().into_iter().flatten() {
        for host in cluster["host_statuses"].as_array().into_iter().flatten() {
            let socket = &host["address"]["socket_address"];
            let address = socket["address"].as_str().or_else(|| host["address"]["pipe"]["path"].as_str());
            all.push(Endpoint {
                upstream: cluster["name"].as_str().unwrap_or_default().to_string(),
                address: address.unwrap_or_default().to_string(),
                port: socket["port_value"].as_u64().unwrap_or(0),
                health: health(&host["health_status"]),
                connections: stat(host, "cx_total"),
                open: stat(host, "cx_active"),
                requests: stat(host, "rq_total"),
            });
        }
    }
    all
}

/// A host's counter; Envoy writes 64-bit numbers as strings, and leaves out those that are zero.
fn stat(host: &Value, name: &str) -> u64 {
    let stats = host["stats"].as_array().into_iter().flatten();
    let value = stats.filter(|stat| stat["name"] == name).map(|stat| &stat["value"]).next();
    value.and_then(|value| value.as_u64().or_else(|| value.as_str()?.parse().ok())).unwrap_or(0)
}

/// What istiod said of the host, and every other reason for which Envoy leaves it out.
fn health(status: &Value) -> String {
    let from_istiod = status["eds_health_status"].as_str().unwrap_or("HEALTHY").to_string();
    let flags = status.as_object().into_iter().flatten().filter(|(_, value)| **value == Value::Bool(true));
    let mut wrong: Vec<String> = flags.map(|(name, _)| name.clone()).collect();
    if from_istiod != "HEALTHY" || wrong.is_empty() {
        wrong.insert(0, from_istiod);
    }
    wrong.join(" ")
}

/// What a dump of Envoy clusters says of the transport of one of them.
fn sends_tls(dump: &Value, upstream: &str) -> Option<bool> {
    let clusters = dump["configs"].as_array().into_iter().flatten().map(|config| &config["cluster"]);
    let cluster = clusters.into_iter().find(|cluster| cluster["name"] == upstream)?;
    let matches = cluster["transport_socket_matches"].as_array().into_iter().flatten();
    let mut sockets = matches.map(|one| &one["transport_socket"]).chain([&cluster["transport_socket"]]);
    Some(sockets.any(|socket| socket["name"].as_str().is_some_and(|name| name.contains("tls"))))
}

fn listeners(answer: &Value) -> Vec<String> {
    let all = answer["listener_statuses"].as_array().into_iter().flatten();
    all.filter_map(|listener| {
        let socket = &listener["local_address"]["socket_address"];
        Some(format!("{}:{}", socket["address"].as_str()?, socket["port_value"]))
    })
    .collect()
}

fn secrets(dump: &Value) -> Secrets {
    let all = dump["configs"].as_array().into_iter().flatten();
    let secret = |name: &str| all.clone().find(|entry| entry["name"] == name).map(|entry| &entry["secret"]);
    let bytes = |value: Option<&Value>| {
        let ByteString(bytes) = value.and_then(|value| serde_json::from_value(value.clone()).ok()).unwrap_or_default();
        bytes
    };
    Secrets {
        chain: bytes(secret("default").map(|secret| &secret["tls_certificate"]["certificate_chain"]["inline_bytes"])),
        trusted: bytes(secret("ROOTCA").map(|secret| &secret["validation_context"]["trusted_ca"]["inline_bytes"])),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::{Endpoint, Secrets, endpoints, health, listeners, secrets, sends_tls};

    fn host(address: Value, stats: Value) -> Value {
        json!({"cluster_statuses": [{"name": "outbound|8080||echo", "host_statuses": [
            {"address": address, "stats": stats, "health_status": {"eds_health_status": "HEALTHY"}}]}]})
    }

    #[test]
    fn counters_are_read_from_strings_and_zero_where_left_out() {
        let stats =
            json!([{"name": "cx_total", "value": "9"}, {"name": "rq_total"}, {"name": "cx_active", "value": "6"}]);
        let answer = host(json!({"socket_address": {"address": "10.20.0.6", "port_value": 8080}}), stats);
        let expected = Endpoint {
            upstream: "outbound|8080||echo".to_string(),
            address: "10.20.0.6".to_string(),
            port: 8080,
            health: "HEALTHY".to_string(),
            connections: 9,
            open: 6,
            requests: 0,
        };
        assert_eq!(endpoints(&answer), [expected]);
    }

    #[test]
    fn a_pipe_is_named_by_its_path() {
        let answer = host(json!({"pipe": {"path": "./etc/istio/proxy/XDS"}}), json!([]));
        assert_eq!(endpoints(&answer)[0].to_string(), "outbound|8080||echo at ./etc/istio/proxy/XDS");
    }

    #[rstest]
    #[case::healthy(json!({"eds_health_status": "HEALTHY"}), "HEALTHY")]
    #[case::unready(json!({"eds_health_status": "UNHEALTHY"}), "UNHEALTHY")]
    #[case::outlier(json!({"eds_health_status": "HEALTHY", "failed_outlier_check": true}), "failed_outlier_check")]
    #[case::both(json!({"eds_health_status": "DRAINING", "pending_dynamic_removal": true}), "DRAINING pending_dynamic_removal")]
    fn health_says_all_that_is_wrong(#[case] status: Value, #[case] expected: &str) {
        assert_eq!(health(&status), expected);
    }

    #[rstest]
    #[case::where_the_server_can(json!({"name": "echo", "transport_socket_matches": [
        {"name": "tlsMode-istio", "transport_socket": {"name": "envoy.transport_sockets.tls"}},
        {"name": "tlsMode-disabled", "transport_socket": {"name": "envoy.transport_sockets.raw_buffer"}}]}), Some(true))]
    #[case::always(json!({"name": "echo", "transport_socket": {"name": "envoy.transport_sockets.tls"}}), Some(true))]
    #[case::never(json!({"name": "echo"}), Some(false))]
    #[case::unknown(json!({"name": "other"}), None)]
    fn a_dump_tells_whether_requests_go_under_tls(#[case] cluster: Value, #[case] expected: Option<bool>) {
        assert_eq!(sends_tls(&json!({"configs": [{"cluster": cluster}]}), "echo"), expected);
    }

    #[test]
    fn listeners_are_shown_with_their_port() {
        let answer = json!({"listener_statuses": [
            {"name": "a", "local_address": {"socket_address": {"address": "0.0.0.0", "port_value": 15012}}},
            {"name": "internal", "local_address": {"envoy_internal_address": {}}}]});
        assert_eq!(listeners(&answer), ["0.0.0.0:15012"]);
    }

    #[test]
    fn secrets_are_found_by_their_names() {
        let dump = json!({"configs": [
            {"name": "default", "secret": {"name": "default", "tls_certificate": {"certificate_chain": {"inline_bytes": "YQ=="}}}},
            {"name": "ROOTCA", "secret": {"name": "ROOTCA", "validation_context": {"trusted_ca": {"inline_bytes": "Yg=="}}}}]});
        assert_eq!(secrets(&dump), Secrets { chain: b"a".to_vec(), trusted: b"b".to_vec() });
        assert_eq!(secrets(&json!({})), Secrets { chain: Vec::new(), trusted: Vec::new() });
    }
}
