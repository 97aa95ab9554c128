//! What passes through the east-west gateway: connections to istiod, and anything else.

use std::collections::BTreeSet;

use harness::check::Context;
use harness::check::Fault;
use harness::lab::Cluster;
use harness::lab::cluster::{ClusterError, pod_ready};
use harness::wait::Look;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use super::envoy::{Endpoint, Proxy};
use super::istiod;

/// The gateway's label in the guide.
pub const SELECTOR: &str = "app=istio-eastwestgateway";

/// Counters of one endpoint of one gateway pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counter {
    /// `cluster1 proxy istio-system/istio-eastwestgateway-x`.
    pub gateway: String,
    /// The endpoint, with its counters.
    pub endpoint: Endpoint,
    /// Whether it is a pod of istiod.
    pub istiod: bool,
}

impl Counter {
    /// Connections and requests, each counts as something that passed.
    fn passed(&self) -> u64 {
        self.endpoint.connections + self.endpoint.requests
    }
}

/// The counters of every service that the gateway's pods know, as they stand now.
///
/// The gateway's own upstreams, such as its agent, are left out: they grow with every readiness probe.
///
/// # Errors
/// [`Fault`] when there is no gateway pod, or its admin port does not answer.
pub async fn counters(context: &Context) -> Result<Vec<Counter>, Fault> {
    let primary = context.primary();
    // Whoever asks another control plane beside the one that is judged does so through the gateway too.
    let replicas = istiod::pods_of_all(primary).await?;
    let istiods: BTreeSet<String> = replicas.into_iter().filter_map(|pod| pod.status?.pod_ip).collect();
    let mut all = Vec::new();
    for proxy in proxies(context).await? {
        let services =
            proxy.endpoints().await?.into_iter().filter(|endpoint| endpoint.upstream.starts_with("outbound"));
        all.extend(services.map(|endpoint| Counter {
            gateway: proxy.object(),
            istiod: istiods.contains(&endpoint.address),
            endpoint,
        }));
    }
    Ok(all)
}

/// Pods of the gateway that are ready; what is asked of the gateway is asked of each of them.
///
/// # Errors
/// [`ClusterError`] when pods cannot be listed.
pub async fn pods(cluster: &Cluster) -> Result<Vec<Pod>, ClusterError> {
    let mut pods = cluster.pods(&cluster.istio_namespace, SELECTOR).await?;
    pods.retain(|pod| pod_ready(pod) == Look::Yes(()));
    Ok(pods)
}

/// The Envoys of the gateway's pods.
///
/// # Errors
/// [`Fault`] when there is none.
pub async fn proxies(context: &Context) -> Result<Vec<Proxy>, Fault> {
    let primary = context.primary();
    let istio = &*primary.istio_namespace;
    let mut all = Vec::new();
    for pod in primary.pods(istio, SELECTOR).await? {
        all.push(Proxy::open(primary, istio, &pod.name_any()).await?);
    }
    if all.is_empty() {
        return Err(Fault::unknown(format!("{} has no pod {SELECTOR} in {istio}", primary.name)));
    }
    Ok(all)
}

/// Sums over the endpoints of istiod at this port: connections ever opened, and those open now.
pub fn to_istiod(counters: &[Counter], port: u16) -> (u64, u64) {
    let at_port = counters.iter().filter(|counter| counter.istiod && counter.endpoint.port == u64::from(port));
    at_port.fold((0, 0), |(all, open), counter| (all + counter.endpoint.connections, open + counter.endpoint.open))
}

/// Connections and requests that ever went anywhere but to istiod.
pub fn elsewhere(counters: &[Counter]) -> u64 {
    counters.iter().filter(|counter| !counter.istiod).map(Counter::passed).sum()
}

/// The first endpoint other than istiod to which something has passed in between, before and after.
pub fn grown<'a>(before: &'a [Counter], after: &'a [Counter]) -> Option<(u64, &'a Counter)> {
    let earlier = |now: &Counter| {
        let same = |then: &&Counter| {
            then.gateway == now.gateway
                && then.endpoint.upstream == now.endpoint.upstream
                && then.endpoint.address == now.endpoint.address
                && then.endpoint.port == now.endpoint.port
        };
        before.iter().find(same).map_or(0, Counter::passed)
    };
    let others = after.iter().filter(|counter| !counter.istiod);
    others.map(|counter| (earlier(counter), counter)).find(|(then, counter)| counter.passed() > *then)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{Counter, Endpoint, elsewhere, grown, to_istiod};

    fn counter((address, port, connections): &(&str, u64, u64)) -> Counter {
        Counter {
            gateway: "gateway".to_string(),
            endpoint: Endpoint {
                upstream: format!("outbound|{port}||service"),
                address: address.to_string(),
                port: *port,
                health: "HEALTHY".to_string(),
                connections: *connections,
                open: 1,
                requests: 0,
            },
            istiod: *address == "10.10.0.5",
        }
    }

    fn counters(all: &[(&str, u64, u64)]) -> Vec<Counter> {
        all.iter().map(counter).collect()
    }

    #[rstest]
    #[case::nothing(&[("10.20.0.6", 8080, 1)], &[("10.20.0.6", 8080, 1)], None)]
    #[case::istiod_may(&[("10.10.0.5", 15012, 1)], &[("10.10.0.5", 15012, 9)], None)]
    #[case::workload(&[("10.20.0.6", 8080, 1)], &[("10.20.0.6", 8080, 3)], Some((1, 3)))]
    #[case::a_new_workload(&[], &[("10.20.0.6", 8080, 2)], Some((0, 2)))]
    #[case::a_new_idle_one(&[], &[("10.20.0.6", 8080, 0)], None)]
    fn only_traffic_to_others_than_istiod_has_grown(
        #[case] before: &[(&str, u64, u64)],
        #[case] after: &[(&str, u64, u64)],
        #[case] expected: Option<(u64, u64)>,
    ) {
        let (before, after) = (counters(before), counters(after));
        let found = grown(&before, &after).map(|(then, counter)| (then, counter.endpoint.connections));
        assert_eq!(found, expected);
    }

    #[test]
    fn sums_keep_istiod_and_the_others_apart() {
        let all = counters(&[("10.10.0.5", 15012, 9), ("10.10.0.5", 15017, 3), ("10.20.0.6", 8080, 2)]);
        assert_eq!((to_istiod(&all, 15012), to_istiod(&all, 15017), elsewhere(&all)), ((9, 1), (3, 1), 2));
    }
}
