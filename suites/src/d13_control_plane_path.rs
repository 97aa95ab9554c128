//! D13: workloads of the remote cluster reach the control plane through the east-west gateway, and nothing else goes
//! through it.
//!
//! Sabotage: put istiod's own pod address into another EndpointSlice of Service istio-system/istiod in cluster2, and
//! make the caller there anew (it stays connected directly when the slice is gone again); or apply the release's
//! `expose-services.yaml` and label the caller of cluster2 `topology.istio.io/network: network2`.

use std::collections::{BTreeMap, BTreeSet};

use harness::check::case::{Case, Ground, Reads, Use, When};
use harness::check::{ByHand, Context, Evidence, Explanation, Fault, Finding, Path};
use harness::install::facts::Fact;
use harness::install::proof::istiod_addresses;
use harness::install::revision;
use harness::lab::cluster::ClusterError;
use harness::lab::probe::{Calls, Probe};
use harness::problem::all_of;
use harness::role::Role;
use harness::wait::Look;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::Value;

use crate::shared::address::AddressBook;
use crate::shared::gateway_traffic::{self as gateway, Counter};
use crate::shared::istiod;
use crate::shared::rows::{self, split, unanswered};
use crate::shared::sample::callers;

/// The clause.
pub const CASE: Case = Case {
    id: "D13",
    slug: "control-plane-through-gateway",
    shows: &[Path::ControlPlane],
    title: "The remote cluster reaches the control plane through the gateway, and workload traffic goes past it",
    guide: "https://istio.io/latest/docs/setup/install/multicluster/primary-remote/#expose-the-control-plane-in-cluster1",
    needs: &["D6", "D10", "workloads-primary", "workloads-remote"],
    blames: &["D5", "D7", "D11"],
    follows: &[],
    // A dry run of a pod shows that the webhook is called through the gateway.
    uses: &[Use::Relies(Ground::RemoteInjection), Use::Relies(Ground::Traffic)],
    when: When::Installed,
    judge: |context| Box::pin(judge(context)),
    reads: Reads::Nothing("it follows connections of its own pods through the gateway"),
    explains: Explanation {
        judges: "Service istiod of the remote cluster leads to the gateway alone. istiod sees each connection of a \
                proxy of the remote cluster come from a pod of the gateway, and those of its own cluster from the \
                proxies themselves. Both ports of istiod have been reached through the gateway, and calls between \
                workloads of the two clusters leave no trace in it.",
        why: "The gateway is what an operator opens and guards. A control-plane connection beside it holds by \
             accident and breaks with the next pod; workload traffic through it is the bottleneck that one network \
             is there to avoid.",
        by_hand: &[
            ByHand::new(
                "proxies of ${CLUSTER2} at the addresses of the gateway's pods",
                "kubectl --context ${CTX_CLUSTER1} -n ${ISTIO_NAMESPACE} exec deploy/istiod${REVISION_SUFFIX} -- pilot-discovery request GET /debug/connections",
            ),
            ByHand::new(
                "these addresses",
                "kubectl --context ${CTX_CLUSTER1} -n ${ISTIO_NAMESPACE} get pods -l istio=eastwestgateway -o wide",
            ),
            ByHand::new(
                "the gateway's external address alone",
                "kubectl --context ${CTX_CLUSTER2} -n ${ISTIO_NAMESPACE} get endpointslices -l kubernetes.io/service-name=istiod${REVISION_SUFFIX}",
            ),
            ByHand::new(
                "connections to istiod and to no workload",
                "kubectl --context ${CTX_CLUSTER1} -n ${ISTIO_NAMESPACE} exec deploy/istio-eastwestgateway -- pilot-agent request GET clusters | grep cx_total | grep -v '::0$'",
            ),
        ],
    },
};

const CALLS: u32 = 20;

async fn judge(context: &Context) -> Result<Evidence, Fault> {
    let mut evidence = Evidence::new();
    service_leads_to_gateway(context, &mut evidence).await?;
    connections_come_from_gateway(context, &mut evidence).await?;
    istiod_is_reached(context, &mut evidence).await?;
    workloads_go_past(context, &mut evidence).await?;
    Ok(evidence)
}

/// What proxies of the remote cluster are told to be istiod is the gateway's address alone.
async fn service_leads_to_gateway(context: &Context, evidence: &mut Evidence) -> Result<(), Fault> {
    let remote = context.remote();
    let gateway = context.fact(Fact::GatewayAddress)?;
    let addresses = istiod_addresses(remote).await?;
    let object = remote.object("Service", &format!("{}/{}", remote.istio_namespace, remote.revision.istiod()));
    evidence.saw(&object, "addresses in its EndpointSlices", all_of(&addresses));
    match addresses.iter().find(|address| **address != gateway) {
        None => Ok(()),
        Some(other) => Err(Finding::new(format!(
            "{object} leads to {}, which is not the east-west gateway",
            AddressBook::of(context).await?.name(other)
        ))
        .expected_got(gateway, all_of(&addresses))
        .hint("the remote profile writes one EndpointSlice with global.remotePilotAddress; see who wrote the other")
        .evidence(evidence)
        .into()),
    }
}

/// A proxy that is connected to istiod: `pod.namespace`, and the address that istiod sees.
type Connection = (String, String);

/// Where the proxies of a name run and what their pods' addresses are, by `pod.namespace`: pods of StatefulSets have
/// namesakes in the other cluster.
type Proxies = BTreeMap<String, Vec<(Role, String)>>;

/// Every connection that a replica of istiod has from the remote cluster comes from a pod of the gateway.
async fn connections_come_from_gateway(context: &Context, evidence: &mut Evidence) -> Result<(), Fault> {
    let (primary, remote) = (context.primary(), context.remote());
    // One that is on its way out still passes what it had passed before.
    let gateways = primary.all_pods(&primary.istio_namespace, gateway::SELECTOR).await?;
    let gateways: BTreeSet<String> = gateways.into_iter().filter_map(|pod| pod.status?.pod_ip).collect();
    evidence.saw(
        primary.object("pods", gateway::SELECTOR),
        "status.podIP",
        all_of(&gateways.iter().collect::<Vec<_>>()),
    );
    let wait = context.wait(format!("proxies of {} to be connected", remote.name), context.budgets.converge());
    let connected = wait
        .until(|| async {
            match needed_and_connected(context).await {
                Ok((needed, all)) => {
                    match needed.iter().find(|proxy| !all.iter().any(|(_, (found, _))| found == *proxy)) {
                        None => Look::Yes(all),
                        Some(proxy) => Look::NotYet(format!("proxy {proxy} of {} is not connected", remote.name)),
                    }
                }
                Err(fault) => fault.into(),
            }
        })
        .await;
    let connected = match connected {
        Ok(connected) => connected,
        Err(timeout) => {
            let cause = format!("{}: no replica of istiod of {} has a connection of it", timeout.last()?, primary.name);
            return Err(Finding::new(cause)
                .expected_got("a connection in /debug/connections", timeout.to_string())
                .evidence(evidence)
                .into());
        }
    };
    let proxies = proxies(context).await?;
    let book = AddressBook::of(context).await?;
    for (replica, (proxy, address)) in &connected {
        let of = match proxies.get(proxy).map(Vec::as_slice) {
            None | Some([]) => "a pod that is gone",
            Some([(role, _)]) => context.cluster(*role).name.as_str(),
            Some(_) => "either cluster",
        };
        evidence.saw(replica, format!("/debug/connections: {proxy} of {of}"), format!("from {}", book.name(address)));
    }
    let Some((replica, (proxy, address), role)) = stray(&connected, &proxies, &gateways) else { return Ok(()) };
    let cluster = &context.cluster(role).name;
    let (expected, way) = match role {
        Role::Remote => ("a pod of the east-west gateway", "not through the east-west gateway"),
        Role::Primary => ("the proxy's own pod", "not straight from its pod"),
    };
    let seen = book.name(address);
    Err(Finding::new(format!("proxy {proxy} of {cluster} is connected to {replica} from {seen}, {way}"))
        .expected_got(expected, seen)
        .hint(format!(
            "see what Service {}/{} of {cluster} leads to",
            context.cluster(role).istio_namespace,
            context.cluster(role).revision.istiod()
        ))
        .evidence(evidence)
        .into())
}

/// Proxies that must be connected: those of callers and echo in the remote cluster that are ready and stay; and all
/// connections.
async fn needed_and_connected(context: &Context) -> Result<(Vec<String>, Vec<(String, Connection)>), Fault> {
    let namespace = context.sample();
    let mut needed = Vec::new();
    for app in ["caller", "echo"] {
        let pods = Probe::find(context.remote(), namespace, app, &context.budgets).await?;
        needed.extend(pods.iter().map(|pod| format!("{}.{namespace}", pod.pod)));
    }
    Ok((needed, connections(context).await?))
}

/// Connections of all replicas of istiod, each with its replica; those of the workloads of other remotes are judged there.
async fn connections(context: &Context) -> Result<Vec<(String, Connection)>, Fault> {
    let primary = context.primary();
    let samples = context.scenario().pairs().into_iter().map(|pair| format!(".{}", pair.sample_namespace()));
    let others: Vec<String> = samples.filter(|of| of[1..] != *context.sample()).collect();
    let mut all = Vec::new();
    for replica in istiod::replicas(primary).await? {
        let page = istiod::debug(primary, &replica, "/debug/connections").await?;
        let object = istiod::object(primary, &replica);
        let ours = connections_of(&page).into_iter().filter(|(proxy, _)| !others.iter().any(|of| proxy.ends_with(of)));
        all.extend(ours.map(|connection| (object.clone(), connection)));
    }
    Ok(all)
}

fn connections_of(page: &Value) -> Vec<Connection> {
    let clients = page["clients"].as_array().into_iter().flatten();
    clients
        .filter_map(|client| {
            // The id is `pod.namespace-number`.
            let (proxy, _) = client["connectionId"].as_str()?.rsplit_once('-')?;
            let (address, _) = client["address"].as_str()?.rsplit_once(':')?;
            Some((proxy.to_string(), address.to_string()))
        })
        .collect()
}

async fn proxies(context: &Context) -> Result<Proxies, ClusterError> {
    let mut proxies = Proxies::new();
    for role in Role::ALL {
        let cluster = context.cluster(role);
        for pod in cluster.all::<Pod>().list(&ListParams::default()).await.map_err(cluster.refused("list pods"))? {
            let key = format!("{}.{}", pod.name_any(), pod.namespace().unwrap_or_default());
            if let Some(ip) = pod.status.and_then(|status| status.pod_ip) {
                proxies.entry(key).or_default().push((role, ip));
            }
        }
    }
    Ok(proxies)
}

/// The first connection that took the wrong way; pods that are gone by now are left out.
fn stray<'a>(
    connected: &'a [(String, Connection)],
    proxies: &Proxies,
    gateways: &BTreeSet<String>,
) -> Option<(&'a String, &'a Connection, Role)> {
    connected.iter().find_map(|(replica, connection)| {
        let (proxy, address) = connection;
        let namesakes = proxies.get(proxy)?;
        let right = |(role, own): &(Role, String)| match role {
            Role::Remote => gateways.contains(address),
            Role::Primary => address == own,
        };
        // Which of two namesakes it is shows by its address alone.
        let (role, _) = namesakes.iter().find(|(_, own)| address == own).or(namesakes.last())?;
        (!namesakes.iter().any(right)).then_some((replica, connection, *role))
    })
}

/// Both ports of istiod have been reached through the gateway.
async fn istiod_is_reached(context: &Context, evidence: &mut Evidence) -> Result<(), Fault> {
    let remote = context.remote();
    // Whether the webhook likes the pod is judged by D8; here it has to be called.
    let answer = remote.try_pod("meshproof-probe", remote.revision.asked_by_pods()).await;
    let answer = answer.map_or_else(|error| error.to_string(), |_| "accepted".to_string());
    evidence.saw(format!("{} dry run of a pod", remote.name), "answer, after its injection webhook was called", answer);
    let counters = gateway::counters(context).await?;
    show_istiod(&counters, evidence);
    for (port, what) in [(15012, "its discovery port"), (15017, "its webhook port")] {
        let (connections, open) = gateway::to_istiod(&counters, port);
        if connections == 0 {
            return Err(Finding::new(format!("the east-west gateway of {} has never passed a connection to istiod at {port}, {what}", context.primary().name))
                .expected_got("at least one connection", format!("{connections}, {open} open"))
                .hint(format!(
                    "see Gateway istiod-gateway and VirtualService {}, and what the webhooks and Service {} of the remote cluster lead to",
                    revision::exposed(&remote.revision),
                    remote.revision.istiod()
                ))
                .evidence(evidence)
                .into());
        }
    }
    Ok(())
}

fn show_istiod(counters: &[Counter], evidence: &mut Evidence) {
    // A replica that no connection has come to by chance is shown too: it is one of those that were asked.
    let at_port = |counter: &&Counter| counter.istiod && [15012, 15017].contains(&counter.endpoint.port);
    for counter in counters.iter().filter(at_port) {
        evidence.saw(&counter.gateway, counter.endpoint.to_string(), counter.endpoint.counters());
    }
}

/// Calls that are all answered, some by the other cluster: what stays at home, or fails, would leave no trace at the
/// gateway in any case. Whether calls are answered is no question of this clause.
async fn crossing(context: &Context, caller: &Probe, there: &str) -> Result<Calls, Fault> {
    let namespace = context.sample();
    // Not echo itself: calls beside those that D11 counts would skew them, for a proxy prefers who has less to do.
    let url = format!("http://second-echo.{namespace}:8080/{}/d13/{}", context.nonce, caller.cluster.role);
    let wait = context.wait(format!("calls from {} to cross", caller.object()), context.budgets.converge());
    let calls = wait.until(|| async {
        rows::look(caller.call(&[&url, "--count", &CALLS.to_string()]).await, |calls| unanswered(calls, &[there]))
    });
    Ok(calls.await?)
}

/// Calls from each cluster that the other answers leave no trace in the gateway.
async fn workloads_go_past(context: &Context, evidence: &mut Evidence) -> Result<(), Fault> {
    for proxy in gateway::proxies(context).await? {
        let listeners = proxy.listeners().await?;
        if listeners.iter().any(|listener| listener.ends_with(":15443")) {
            evidence.note(format!("{} listens on 15443, which one network does not need", proxy.object()));
        }
        evidence.saw(proxy.object(), "listeners", all_of(&listeners));
    }
    let before = gateway::counters(context).await?;
    for caller in callers(context).await? {
        let there = &context.cluster(caller.cluster.role.other()).name;
        let calls = crossing(context, &caller, there).await?;
        evidence.saw(
            caller.object(),
            format!("{} calls of second-echo, answers by cluster", calls.sent),
            split(&calls.by_cluster()),
        );
    }
    let after = gateway::counters(context).await?;
    evidence.saw(
        format!("{} east-west gateway", context.primary().name),
        "connections and requests to anything but istiod, before and after these calls",
        format!("{} and {}", gateway::elsewhere(&before), gateway::elsewhere(&after)),
    );
    let Some((then, counter)) = gateway::grown(&before, &after) else { return Ok(()) };
    let now = counter.endpoint.counters();
    Err(Finding::new(format!("workload traffic goes through {}: {} now has {now}", counter.gateway, counter.endpoint))
        .expected_got(format!("nothing beyond the {then} connections and requests before"), now)
        .hint("on one network pods call each other directly; see whether both clusters have the same global.network, and whether echo has the gateway as an endpoint")
        .evidence(evidence)
        .into())
}

#[cfg(test)]
mod tests {
    use harness::role::Role;
    use rstest::rstest;
    use serde_json::json;

    use super::{Proxies, connections_of, stray};

    fn proxies() -> Proxies {
        let (one, two) = ((Role::Primary, "10.10.0.9".to_string()), (Role::Remote, "10.20.0.7".to_string()));
        [
            ("caller-1.sample".to_string(), vec![one.clone()]),
            ("caller-2.sample".to_string(), vec![two.clone()]),
            ("stateful-0.sample".to_string(), vec![one, two]),
        ]
        .into()
    }

    #[rstest]
    #[case::by_the_gateway("caller-2.sample", "10.10.0.10", None)]
    #[case::directly("caller-2.sample", "10.20.0.7", Some(Role::Remote))]
    #[case::own_pod("caller-1.sample", "10.10.0.9", None)]
    #[case::primary_by_the_gateway("caller-1.sample", "10.10.0.10", Some(Role::Primary))]
    #[case::the_namesake_here("stateful-0.sample", "10.10.0.9", None)]
    #[case::the_namesake_there("stateful-0.sample", "10.10.0.10", None)]
    #[case::a_namesake_directly("stateful-0.sample", "10.20.0.7", Some(Role::Remote))]
    #[case::a_pod_that_is_gone("caller-3.sample", "10.20.0.8", None)]
    fn only_the_remote_cluster_comes_by_the_gateway(
        #[case] proxy: &str,
        #[case] address: &str,
        #[case] expected: Option<Role>,
    ) {
        let page = json!({"clients": [{"connectionId": format!("{proxy}-12"), "address": format!("{address}:41508")}]});
        let connected: Vec<_> = connections_of(&page).into_iter().map(|found| ("istiod".to_string(), found)).collect();
        assert_eq!(connected.len(), 1);
        let found = stray(&connected, &proxies(), &["10.10.0.10".to_string()].into());
        assert_eq!(found.map(|(_, _, role)| role), expected);
    }
}
