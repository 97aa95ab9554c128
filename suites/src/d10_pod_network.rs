//! D10: pods reach each other directly across clusters, for both clusters are on one network: from each node to each.
//!
//! It is asked outside the mesh, where the server itself sees who called: the caller's own address, and not that of a
//! node or of a gateway.
//!
//! Sabotage: take the route to the other cluster's pods from a node (`ip route del 10.20.0.0/24` in the node's
//! container), or rewrite the source of what leaves it (`iptables -t nat -I POSTROUTING -d 10.20.0.0/24 -j MASQUERADE`).

use futures::{StreamExt, stream};
use harness::check::case::{Case, Reads, When};
use harness::check::{ByHand, Context, Evidence, Explanation, Fault, Finding, Path};
use harness::lab::pod_network::{Route, missing_routes};
use harness::lab::probe::{Calls, Probe};
use harness::problem::all_of;
use harness::role::Role;
use harness::wait::Look;

use crate::shared::address::AddressBook;
use crate::shared::ladder;

/// The clause.
pub const CASE: Case = Case {
    id: "D10",
    slug: "pods-reach-each-other",
    shows: &[Path::PodToPod],
    title: "Pods reach each other directly across clusters",
    guide: "https://istio.io/latest/docs/setup/install/multicluster/primary-remote/",
    needs: &["probe-primary", "probe-remote"],
    blames: &[],
    follows: &[],
    uses: &[],
    when: When::Installed,
    judge: |context| Box::pin(judge(context)),
    reads: Reads::Nothing("it makes calls between pods of its own"),
    explains: Explanation {
        judges: "Probes outside the mesh, one on each node of both clusters, call each other by pod address. Each \
                call is answered by the pod that has the address, and that pod sees the caller's own address.",
        why: "On one network a proxy sends a request straight to a pod of the other cluster. Where a route is \
             missing, requests to that cluster time out; where addresses are rewritten, a server no longer sees who \
             called.",
        by_hand: &[
            ByHand::on_a_lab(
                "an answer of cluster ${CLUSTER2} whose peer is the probe's own address",
                "kubectl --context ${CTX_CLUSTER1} -n meshproof-probe exec ds/probe -- /workload get http://$(kubectl --context ${CTX_CLUSTER2} -n meshproof-probe get pods -l app=probe -o jsonpath='{.items[0].status.podIP}'):8080/",
            ),
            ByHand::on_a_lab(
                "a route to the other cluster's pods by the address of its node",
                "docker exec $(kubectl --context ${CTX_CLUSTER1} get nodes -o jsonpath='{.items[0].metadata.name}') ip route",
            ),
            ByHand::on_a_lab(
                "the same the other way",
                "docker exec $(kubectl --context ${CTX_CLUSTER2} get nodes -o jsonpath='{.items[0].metadata.name}') ip route",
            ),
            ByHand::new(
                "which pods each node has",
                "kubectl --context ${CTX_CLUSTER2} get nodes -o custom-columns=NODE:.metadata.name,ADDRESS:.status.addresses[0].address,PODS:.spec.podCIDR",
            ),
        ],
    },
};

const CALLS: u32 = 3;

/// Ways asked at once: enough that many nodes do not take long, few enough for a small machine.
const AT_ONCE: usize = 8;

async fn judge(context: &Context) -> Result<Evidence, Fault> {
    let mut probes = Vec::new();
    for role in Role::ALL {
        probes.extend(Probe::each_outside(context.cluster(role), &context.budgets).await?);
    }
    let mut asks = Vec::new();
    for from in &probes {
        for to in probes.iter().filter(|to| to.address != from.address) {
            asks.push(async move { (from, to, ask(context, from, to).await) });
        }
    }
    let asked: Vec<_> = stream::iter(asks).buffered(AT_ONCE).collect().await;
    let mut evidence = Evidence::new();
    let mut troubles = Vec::new();
    for (from, to, calls) in asked {
        let path = format!("calls of its port 8080 by {} ({}) on node {}", from.object(), from.address, from.node);
        match calls? {
            Ok(calls) => {
                let object = format!("{} on node {}", to.object(), to.node);
                let by = format!("{} of {} answered by {}", calls.answered, calls.sent, names(&calls.by));
                evidence.saw(&object, path, by).saw(&object, "peer address that it saw", names(&calls.peers));
                if let Some(trouble) = Trouble::of(&calls, from, to) {
                    troubles.push((from, to, trouble));
                }
            }
            Err(failure) => {
                evidence.saw(to.object(), path, &failure);
                troubles.push((from, to, Trouble::Unreached(failure)));
            }
        }
    }
    let (wrong, cures) = routes(context, &mut evidence).await;
    let Some((from, to, trouble)) = troubles.first() else {
        if !wrong.is_empty() {
            evidence.note(format!("calls pass although {}", all_of(&wrong)));
        }
        return Ok(evidence);
    };
    let finding = match trouble {
        // A lost route breaks both directions: the answers have to find back.
        Trouble::Unreached(failure) if !wrong.is_empty() => Finding::new(all_of(&wrong))
            .expected_got(format!("{} answers {}", to.object(), from.object()), failure)
            .hint(format!("put it back: {}", all_of(&cures)))
            .broken(ladder::node_routes(context).await.ok().and_then(Result::err)),
        Trouble::Unreached(failure) => {
            let (from_node, to_node) = (&from.node, &to.node);
            let address = &to.address;
            Finding::new(format!(
                "{} on node {from_node} cannot reach {} on node {to_node} at {address}: {failure}",
                from.object(),
                to.object()
            ))
            .expected_got(format!("{CALLS} answers"), failure)
            .hint("the routes between the nodes are in place; see their packet filters (iptables, nft) and the CNI")
            .broken(Some(ladder::unreached(from, to, 8080, failure)))
        }
        Trouble::Elsewhere(who) => Finding::new(format!(
            "calls of {} to {} at {} were answered by {who}",
            from.object(),
            to.object(),
            to.address
        ))
        .expected_got(to.pod.as_str(), who)
        .hint("the pod networks of the two clusters overlap, or something on the way answers for the pod"),
        Trouble::Rewritten(addresses) => {
            let book = AddressBook::of(context).await?;
            let seen: Vec<String> = addresses.iter().map(|address| book.name(address)).collect();
            let seen = all_of(&seen);
            Finding::new(format!("{} sees the calls of {} from {seen}, not from {}", to.object(), from.object(), from.address))
                .expected_got(from.address.as_str(), &seen)
                .hint("something rewrites the source address, such as a masquerade rule on the caller's node; the guide wants both clusters on one network")
        }
    };
    Err(finding.evidence(&evidence).into())
}

/// Calls until one row of calls is answered; the inner error is what became of the last row.
async fn ask(context: &Context, from: &Probe, to: &Probe) -> Result<Result<Calls, String>, Fault> {
    let url = format!("http://{}:8080/{}/d10/{}", to.address, context.nonce, from.cluster.role);
    let count = CALLS.to_string();
    let args = [url.as_str(), "--count", &count, "--fresh-connection"];
    let wait = context.wait(format!("{} to answer {}", to.object(), from.object()), context.budgets.request() * 2);
    let row = wait
        .until(|| async {
            match from.call_within(context.budgets.pod_call(), &args).await {
                Ok(calls) if calls.answered == calls.sent => Look::Yes(Ok(calls)),
                Ok(calls) => {
                    Look::NotYet(format!("{} of {} answered, {}", calls.answered, calls.sent, calls.failure_line()))
                }
                Err(error) => Look::Yes(Err(error)),
            }
        })
        .await;
    match row {
        Ok(calls) => Ok(Ok(calls?)),
        Err(timeout) => Ok(Err(timeout.last()?.to_string())),
    }
}

/// What is wrong with calls that should go straight from pod to pod.
#[derive(Debug, PartialEq, Eq)]
enum Trouble {
    /// Not all were answered.
    Unreached(String),
    /// Somebody else answered.
    Elsewhere(String),
    /// The server saw other addresses than the caller's.
    Rewritten(Vec<String>),
}

impl Trouble {
    fn of(calls: &Calls, from: &Probe, to: &Probe) -> Option<Trouble> {
        Trouble::between(calls, &from.address, &to.cluster.name, &to.pod)
    }

    fn between(calls: &Calls, caller: &str, cluster: &str, pod: &str) -> Option<Trouble> {
        if calls.sent == 0 || calls.answered < calls.sent {
            return Some(Trouble::Unreached(calls.failure_line()));
        }
        let meant = |who: &String| who.starts_with(&format!("{cluster}/")) && who.ends_with(&format!("/{pod}"));
        if let Some(who) = calls.by.keys().find(|who| !meant(who)) {
            return Some(Trouble::Elsewhere(who.clone()));
        }
        let others: Vec<String> = calls.peers.keys().filter(|peer| *peer != caller).cloned().collect();
        (!others.is_empty()).then_some(Trouble::Rewritten(others))
    }
}

/// Notes every route between nodes; returns a cause line for each that is not as it should be, and the commands that
/// put them back.
async fn routes(context: &Context, evidence: &mut Evidence) -> (Vec<String>, Vec<String>) {
    let expected = context.lab.routes();
    // The nodes of clusters that the user brought are not asked: calls alone tell.
    let Ok(engine) = context.lab.engine() else { return (Vec::new(), Vec::new()) };
    let missing = match missing_routes(engine, &expected).await {
        Ok(missing) => missing,
        Err(error) => {
            evidence.note(format!("the routes of the nodes could not be read: {error}"));
            return (Vec::new(), Vec::new());
        }
    };
    let cluster_at = |address: &str| {
        let found = Role::ALL.iter().map(|role| context.cluster(*role));
        found
            .into_iter()
            .find(|cluster| cluster.nodes.values().any(|node| node == address))
            .map(|cluster| cluster.name.clone())
    };
    for route in &expected {
        let got = missing.iter().find(|(lost, _)| lost == route).map(|(_, got)| got.clone());
        let node = context.cluster(route.role).object("node", &route.node);
        evidence.saw(node, format!("route to {}", route.pods), got.unwrap_or_else(|| format!("via {}", route.via)));
    }
    let line = |(route, got): &(Route, String)| {
        let there = cluster_at(&route.via).unwrap_or_else(|| "another cluster".to_string());
        wrong_route(route, got, &context.cluster(route.role).name, &there)
    };
    let cure = |(Route { node, pods, via, .. }, _): &(Route, String)| {
        format!("`docker exec {node} ip route replace {pods} via {via}`")
    };
    (missing.iter().map(line).collect(), missing.iter().map(cure).collect())
}

fn wrong_route(route: &Route, got: &str, here: &str, there: &str) -> String {
    let Route { node, pods, via, .. } = route;
    match got {
        "no route" => format!("node {node} of {here} has no route to {pods} (pods of {there}) via {via}"),
        other => format!("node {node} of {here} has the route `{other}` to the pods of {there}, not one via {via}"),
    }
}

/// `a 3 times and b once`, as the calls count them.
fn names(counts: &std::collections::BTreeMap<String, u32>) -> String {
    let each: Vec<String> = counts.iter().map(|(name, count)| format!("{name} (x{count})")).collect();
    all_of(&each)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use harness::lab::pod_network::Route;
    use harness::lab::probe::Calls;
    use harness::role::Role;
    use rstest::rstest;

    use super::{Trouble, wrong_route};

    fn calls(answered: u32, who: &str, peer: &str) -> Calls {
        Calls {
            sent: 3,
            answered,
            by: BTreeMap::from([(who.to_string(), answered)]),
            peers: BTreeMap::from([(peer.to_string(), answered)]),
            failures: BTreeMap::from([("timeout".to_string(), 3 - answered)]),
            ..Calls::default()
        }
    }

    #[rstest]
    #[case::direct(calls(3, "cluster2/probe/p", "10.10.0.4"), None)]
    #[case::one_lost(calls(2, "cluster2/probe/p", "10.10.0.4"), Some(Trouble::Unreached("timeout (x1)".to_string())))]
    #[case::the_wrong_cluster(calls(3, "cluster1/probe/p", "10.10.0.4"), Some(Trouble::Elsewhere("cluster1/probe/p".to_string())))]
    #[case::the_wrong_pod(calls(3, "cluster2/probe/q", "10.10.0.4"), Some(Trouble::Elsewhere("cluster2/probe/q".to_string())))]
    #[case::rewritten(calls(3, "cluster2/probe/p", "172.30.0.3"), Some(Trouble::Rewritten(vec!["172.30.0.3".to_string()])))]
    #[case::never_asked(Calls::default(), Some(Trouble::Unreached(String::new())))]
    fn only_a_direct_call_of_every_time_is_no_trouble(#[case] calls: Calls, #[case] expected: Option<Trouble>) {
        assert_eq!(Trouble::between(&calls, "10.10.0.4", "cluster2", "p"), expected);
    }

    #[rstest]
    #[case::lost("no route", "node n of cluster1 has no route to 10.20.0.0/24 (pods of cluster2) via 172.30.0.2")]
    #[case::elsewhere(
        "10.20.0.0/24 via 172.30.0.9",
        "node n of cluster1 has the route `10.20.0.0/24 via 172.30.0.9` to the pods of cluster2, not one via 172.30.0.2"
    )]
    fn a_wrong_route_is_named_with_its_node(#[case] got: &str, #[case] expected: &str) {
        let route = Route {
            node: "n".to_string(),
            role: Role::Primary,
            pods: "10.20.0.0/24".to_string(),
            via: "172.30.0.2".to_string(),
        };
        assert_eq!(wrong_route(&route, got, "cluster1", "cluster2"), expected);
    }
}
