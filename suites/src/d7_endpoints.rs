//! D7: the endpoints of both clusters are known to the proxies of each, and follow the remote cluster up and down.
//!
//! Sabotage: remove the remote secret from cluster1 (cluster2's endpoints go from every proxy); add an EndpointSlice with
//! an address of nobody to Service echo in cluster2; label the caller of cluster2 `topology.istio.io/network: network2`
//! (it is given the gateway in the place of pods); hide Service scaled from the caller by a Sidecar in cluster1.

mod held;

use std::collections::BTreeMap;

use futures::future::join_all;
use harness::check::case::{Case, Ground, Reading, Reads, Use, When};
use harness::check::right::{Place, Right};
use harness::check::{ByHand, Context, Evidence, Explanation, Fault, Finding, Layer, Path};
use harness::install::facts::Fact;
use harness::lab::probe::Probe;
use harness::problem::all_of;
use harness::role::Role;
use harness::wait::Look;
use k8s_openapi::api::core::v1::Service;

use crate::shared::address::AddressBook;
use crate::shared::envoy::{Endpoint, Proxy};
use crate::shared::shards::{shards, unknown_to_istiod, wrong};
use crate::shared::{ladder, rows, sample, scaling};

/// The clause.
pub const CASE: Case = Case {
    id: "D7",
    slug: "endpoints-of-both-clusters",
    shows: &[Path::Discovery],
    title: "Proxies in each cluster know the endpoints of both",
    guide: "https://istio.io/latest/docs/setup/install/multicluster/primary-remote/#attach-cluster2-as-a-remote-cluster-of-cluster1",
    needs: &["D5", "D6", "workloads-primary", "workloads-remote"],
    blames: &["D0", "D8", "D9"],
    follows: &[],
    uses: &[Use::Relies(Ground::RemoteInjection), Use::Relies(Ground::RemoteRootCert)],
    when: When::Installed,
    judge: |context| Box::pin(judge(context)),
    reads: Reads::Part(Reading {
        judge: |mesh| Box::pin(held::read(mesh)),
        rights: &[
            Right::new(Role::Primary, Place::Cluster, "", "namespaces", &["list"]),
            Right::new(Role::Primary, Place::Cluster, "", "services", &["list"]),
            Right::new(Role::Primary, Place::Cluster, "", "pods", &["list"]),
            Right::new(Role::Primary, Place::Istio, "", "pods/portforward", &["create", "get"]),
            Right::new(Role::Remote, Place::Cluster, "", "namespaces", &["list"]),
            Right::new(Role::Remote, Place::Cluster, "", "services", &["list"]),
            Right::new(Role::Remote, Place::Cluster, "", "pods", &["list"]),
        ],
        not_asked: "what the proxies list, and whether that follows pods as they come and go",
    }),
    explains: Explanation {
        judges: "Service echo is in both clusters. Every replica of istiod, and the proxy of every sample workload, \
                has exactly the ready pods of both clusters behind it, by the pods' own addresses. A Deployment of \
                the remote cluster is scaled up and down, and callers of the primary follow both times.",
        why: "A proxy sends requests only to endpoints that it knows. Where those of a cluster are missing, nothing \
             is shared with it and nothing fails over to it; where one is stale, requests to it fail.",
        by_hand: &[
            ByHand::on_a_lab(
                "the pods of both clusters, as a proxy of the primary knows them",
                "istioctl --context ${CTX_CLUSTER1} proxy-config endpoints deploy/caller -n meshproof-sample --cluster 'outbound|8080||echo.meshproof-sample.svc.cluster.local'",
            ),
            ByHand::on_a_lab(
                "the same",
                "istioctl --context ${CTX_CLUSTER2} proxy-config endpoints deploy/caller -n meshproof-sample --cluster 'outbound|8080||echo.meshproof-sample.svc.cluster.local'",
            ),
            ByHand::on_a_lab(
                "the pods of the primary",
                "kubectl --context ${CTX_CLUSTER1} -n meshproof-sample get pods -l app=echo -o wide",
            ),
            ByHand::on_a_lab(
                "the pods of the remote cluster",
                "kubectl --context ${CTX_CLUSTER2} -n meshproof-sample get pods -l app=echo -o wide",
            ),
            ByHand::new(
                "each cluster's endpoints in a shard of its own, by Service",
                "kubectl --context ${CTX_CLUSTER1} -n ${ISTIO_NAMESPACE} exec deploy/istiod${REVISION_SUFFIX} -- pilot-discovery request GET /debug/endpointShardz",
            ),
        ],
    },
};

const PORT: u64 = 8080;

/// Addresses of ready pods, each with the pod's name and cluster.
type Pods = BTreeMap<String, String>;

async fn judge(context: &Context) -> Result<Evidence, Fault> {
    match known(context).await {
        Err(Fault::Refuted(finding)) => Err(ladder::explained(context, *finding, Layer::Xds).await.into()),
        other => other,
    }
}

async fn known(context: &Context) -> Result<Evidence, Fault> {
    let namespace = context.sample();
    let mut evidence = Evidence::new();
    for role in Role::ALL {
        is_named(context, role, &mut evidence).await?;
    }
    let (mut proxies, mut across) = (Vec::new(), Vec::new());
    for role in Role::ALL {
        let cluster = context.cluster(role);
        let proxied = sample::names_in_the_mesh(cluster).await?;
        for caller in Probe::each_inside(cluster, &context.budgets).await? {
            if !proxied.contains(&caller.pod) {
                return Err(Finding::new(format!("{} has no sidecar, so it knows no endpoints", caller.object()))
                    .expected_got("the annotation sidecar.istio.io/status, which the injection webhook sets", "absent")
                    .hint(format!(
                        "see the label {} of namespace {namespace}, and whether the webhook is called (D8)",
                        context.scenario().install.injection_label().0
                    ))
                    .evidence(&evidence)
                    .into());
            }
            // Seen from the other cluster than the one that scales: this is what crosses.
            if role == Role::Primary {
                across.push(Proxy::open(cluster, namespace, &caller.pod).await?);
            }
        }
        for pod in proxied {
            proxies.push(Proxy::open(cluster, namespace, &pod).await?);
        }
    }
    for (ip, pod) in sample::echoes(context).await? {
        evidence.saw(pod, "status.podIP", ip);
    }
    for seen in join_all(proxies.iter().map(|proxy| lists_all(context, proxy))).await {
        evidence.extend(seen?);
    }
    is_held(context, &mut evidence).await?;
    scaling::followed(context, &across.iter().collect::<Vec<_>>(), &mut evidence).await?;
    Ok(evidence)
}

fn host(context: &Context) -> String {
    rows::host("echo", context.sample())
}

/// The cluster of a client has the Service itself: names are looked up there, wherever the endpoints are.
async fn is_named(context: &Context, role: Role, evidence: &mut Evidence) -> Result<(), Fault> {
    let namespace = context.sample();
    let cluster = context.cluster(role);
    let object = cluster.object("Service", &format!("{namespace}/echo"));
    let found = cluster.api::<Service>(namespace).get_opt("echo").await;
    let found = found.map_err(cluster.refused(format!("show Service {namespace}/echo")))?;
    let address = found.and_then(|service| service.spec?.cluster_ip);
    evidence.saw(&object, "spec.clusterIP", address.as_deref().unwrap_or("no such Service"));
    match address {
        Some(_) => Ok(()),
        None => Err(Finding::new(format!(
            "{object} is not there, so pods of {} do not find the name {}",
            cluster.name,
            host(context)
        ))
        .expected_got("a Service echo in each cluster", "no such Service")
        .hint("a Service must be in both clusters: a name is looked up in the client's own (istio/istio#58340)")
        .evidence(evidence)
        .into()),
    }
}

/// Each replica of istiod holds exactly the ready pods of each cluster, in the shard of that cluster.
async fn is_held(context: &Context, evidence: &mut Evidence) -> Result<(), Fault> {
    let namespace = context.sample();
    let host = host(context);
    let wait = context.wait("istiod to hold the endpoints of echo", context.budgets.endpoints());
    let held = wait.until(|| async {
        match futures::join!(sample::echoes(context), shards(context, &host, namespace, PORT)) {
            (Ok(pods), Ok(replicas)) => wrong(&pods, &replicas).map_or(Look::Yes(replicas), Look::NotYet),
            (Err(error), _) => Look::unable(error),
            (_, Err(fault)) => fault.into(),
        }
    });
    match held.await {
        Ok(replicas) => {
            for (istiod, shards) in replicas {
                for (cluster, held) in shards {
                    let held = all_of(&held.iter().collect::<Vec<_>>());
                    evidence.saw(&istiod, format!("/debug/endpointShardz of {host}, shard of {cluster}"), held);
                }
            }
            Ok(())
        }
        Err(timeout) => Err(Finding::new(timeout.last()?)
            .expected_got("the addresses of each cluster's ready pods in its shard of /debug/endpointShardz", timeout.last()?)
            .hint("see the EndpointSlices of Service echo in that cluster, /debug/clusterz of this replica, and its log for errors of the cluster")
            .evidence(evidence)
            .into()),
    }
}

/// Waits until the proxy lists exactly the ready pods of both clusters.
async fn lists_all(context: &Context, proxy: &Proxy) -> Result<Evidence, Fault> {
    let namespace = context.sample();
    let mut evidence = Evidence::new();
    let host = host(context);
    let upstream = format!("outbound|{PORT}||{host}");
    let compare = || async {
        let pods = sample::echoes(context).await?;
        let listed = proxy.endpoints_of(&upstream).await?;
        Ok::<_, Fault>((Difference::between(&pods, &listed), pods, listed))
    };
    let wait = context.wait(format!("{} to list the endpoints of echo", proxy.object()), context.budgets.endpoints());
    let found = wait
        .until(|| async {
            match compare().await {
                Ok((difference, pods, listed)) if difference.is_none() => Look::Yes((pods, listed)),
                Ok((difference, ..)) => Look::NotYet(difference.said()),
                Err(fault) => fault.into(),
            }
        })
        .await;
    if let Ok((pods, listed)) = found {
        show(proxy, &upstream, &pods, &listed, &mut evidence);
        return Ok(evidence);
    }
    // Looked at once more, for a timeout holds only words.
    let (difference, pods, listed) = compare().await?;
    show(proxy, &upstream, &pods, &listed, &mut evidence);
    if difference.is_none() {
        return Ok(evidence);
    }
    // It only explains the difference, which stands without it.
    let held = shards(context, &host, namespace, PORT).await.unwrap_or_default();
    let istiod_lacks = held.into_iter().find_map(|(istiod, shards)| {
        unknown_to_istiod(&pods, &shards).map(|(ip, pod)| {
            format!("{istiod} itself does not hold {ip} of {pod}: see its /debug/clusterz and the remote secret")
        })
    });
    let by_gateway = context.fact(Fact::GatewayAddress).is_ok_and(|gateway| difference.extra.contains(&gateway));
    let hint = match istiod_lacks {
        Some(lacks) => lacks,
        None if difference.missing.is_empty() => {
            "see the EndpointSlices of Service echo in both clusters, and the readiness of its pods".to_string()
        }
        None if by_gateway => "proxy and endpoints are taken to be on different networks: both clusters need the same global.network, and no other topology.istio.io/network label".to_string(),
        None => "istiod holds the endpoints; see whether this proxy is connected to it (/debug/syncz)".to_string(),
    };
    let got: Vec<String> = listed.iter().map(|endpoint| endpoint.address.clone()).collect();
    Err(Finding::new(difference.cause(proxy, &AddressBook::of(context).await?))
        .expected_got(all_of(&pods.keys().collect::<Vec<_>>()), all_of(&got))
        .hint(hint)
        .evidence(&evidence)
        .into())
}

fn show(proxy: &Proxy, upstream: &str, pods: &Pods, listed: &[Endpoint], evidence: &mut Evidence) {
    for endpoint in listed {
        let pod = pods.get(&endpoint.address).map_or("no ready pod of echo", String::as_str);
        evidence.saw(
            proxy.object(),
            upstream,
            format!("{}:{} {}, {pod}", endpoint.address, endpoint.port, endpoint.health),
        );
    }
    if listed.is_empty() {
        evidence.saw(proxy.object(), upstream, "no endpoint");
    }
}

/// How the endpoints in a proxy differ from the ready pods.
#[derive(Debug, Default, PartialEq, Eq)]
struct Difference {
    /// Address and name of pods that are not listed.
    missing: Vec<(String, String)>,
    /// Address, name and health of pods that get no traffic.
    unhealthy: Vec<(String, String, String)>,
    /// Addresses that belong to no ready pod.
    extra: Vec<String>,
}

impl Difference {
    fn between(pods: &Pods, listed: &[Endpoint]) -> Difference {
        let mut difference = Difference::default();
        for (ip, pod) in pods {
            match listed.iter().find(|endpoint| endpoint.address == *ip) {
                None => difference.missing.push((ip.clone(), pod.clone())),
                Some(endpoint) if !endpoint.is_healthy() => {
                    difference.unhealthy.push((ip.clone(), pod.clone(), endpoint.health.clone()));
                }
                Some(_) => {}
            }
        }
        let extra = listed.iter().filter(|endpoint| !pods.contains_key(&endpoint.address));
        difference.extra = extra.map(|endpoint| endpoint.address.clone()).collect();
        difference
    }

    fn is_none(&self) -> bool {
        *self == Difference::default()
    }

    fn said(&self) -> String {
        let missing = self.missing.iter().map(|(ip, _)| format!("{ip} is missing"));
        let unhealthy = self.unhealthy.iter().map(|(ip, _, health)| format!("{ip} is {health}"));
        let extra = self.extra.iter().map(|ip| format!("{ip} is nobody's"));
        missing.chain(unhealthy).chain(extra).collect::<Vec<_>>().join(", ")
    }

    fn cause(&self, proxy: &Proxy, book: &AddressBook) -> String {
        let extra: Vec<String> = self.extra.iter().map(|ip| book.name(ip)).collect();
        let instead = if extra.is_empty() { String::new() } else { format!(", and lists {}", all_of(&extra)) };
        let missing: Vec<String> = self.missing.iter().map(|(ip, pod)| format!("{ip} of {pod}")).collect();
        if !missing.is_empty() {
            return format!("{} does not list endpoint {}{instead}", proxy.object(), all_of(&missing));
        }
        let unhealthy: Vec<String> =
            self.unhealthy.iter().map(|(ip, pod, health)| format!("{ip} of {pod} as {health}")).collect();
        if !unhealthy.is_empty() {
            return format!("{} lists endpoint {}{instead}", proxy.object(), all_of(&unhealthy));
        }
        format!("{} lists endpoint {} for echo, which is no ready pod of it", proxy.object(), all_of(&extra))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{Difference, Endpoint, Pods};

    fn pods() -> Pods {
        let pod = |ip: &str, name: &str| (ip.to_string(), name.to_string());
        [pod("10.10.0.8", "cluster1 pod meshproof-sample/a"), pod("10.20.0.6", "cluster2 pod meshproof-sample/b")]
            .into()
    }

    fn endpoint((address, health): &(&str, &str)) -> Endpoint {
        Endpoint {
            upstream: String::new(),
            address: address.to_string(),
            port: 8080,
            health: health.to_string(),
            connections: 0,
            open: 0,
            requests: 0,
        }
    }

    #[rstest]
    #[case::both(&[("10.10.0.8", "HEALTHY"), ("10.20.0.6", "HEALTHY")], "")]
    #[case::one_missing(&[("10.10.0.8", "HEALTHY")], "10.20.0.6 is missing")]
    #[case::one_unhealthy(&[("10.10.0.8", "HEALTHY"), ("10.20.0.6", "UNHEALTHY")], "10.20.0.6 is UNHEALTHY")]
    #[case::a_gateway_instead(&[("10.10.0.8", "HEALTHY"), ("172.30.0.129", "HEALTHY")], "10.20.0.6 is missing, 172.30.0.129 is nobody's")]
    #[case::a_stale_one(&[("10.10.0.8", "HEALTHY"), ("10.20.0.6", "HEALTHY"), ("10.20.0.9", "HEALTHY")], "10.20.0.9 is nobody's")]
    fn the_endpoints_must_be_exactly_the_ready_pods(#[case] listed: &[(&str, &str)], #[case] expected: &str) {
        let listed: Vec<Endpoint> = listed.iter().map(endpoint).collect();
        let difference = Difference::between(&pods(), &listed);
        assert_eq!((difference.said().as_str(), difference.is_none()), (expected, expected.is_empty()));
    }
}
