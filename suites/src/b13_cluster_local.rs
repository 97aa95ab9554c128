//! B13: what MeshConfig says is cluster-local stays in the caller's cluster, while the same pods serve both clusters by
//! another name; and so do the hosts of kube-system, of which Istio says it by default.
//!
//! Local is meant for a Service that is in every cluster: each proxy is given the endpoints of its own cluster alone.

use futures::future::join_all;
use harness::check::case::{Case, Ground, Reads, Use, When};
use harness::check::{ByHand, Context, Evidence, Explanation, Fault, Finding, Path};
use harness::lab::cluster::pod_ready;
use harness::lab::probe::{Probe, ProbeError};
use harness::problem::all_of;
use harness::role::Role;
use harness::wait::Look;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use crate::shared::deployment::Pods;
use crate::shared::envoy::Proxy;
use crate::shared::listed::upstream;
use crate::shared::rows::{self, CALLS, host, split};
use crate::shared::sample::{callers, echoes, echoes_of};

/// The check.
pub const CASE: Case = Case {
    id: "B13",
    slug: "cluster-local-host",
    shows: &[Path::Requests],
    title: "Calls of a host that is cluster-local stay in the caller's cluster, and so does its DNS by default",
    guide: "https://istio.io/latest/docs/ops/configuration/traffic-management/multicluster/#keeping-traffic-in-cluster",
    needs: &["D7", "D10"],
    blames: &["D11", "B11"],
    follows: &[],
    uses: &[Use::Relies(Ground::Traffic)],
    when: When::Installed,
    judge: |context| Box::pin(judge(context)),
    reads: Reads::Nothing("it makes calls between pods of its own"),
    explains: Explanation {
        judges: "Behind a host that meshConfig.serviceSettings makes cluster-local, and behind kube-dns of \
                kube-system, which is so by default, the callers' proxies list pods of their own cluster alone. \
                Calls of the host are answered by the caller's cluster, and calls of the same pods by another name \
                by both.",
        why: "Cluster-local is how a service stays out of traffic across clusters: for its latency, its cost, or \
             since each cluster has data of its own. By default it holds for kube-system, whose DNS must not be that \
             of another cluster.",
        by_hand: &[
            ByHand::new(
                "clusterLocal: true for the hosts that shall stay",
                "kubectl --context ${CTX_CLUSTER1} -n ${ISTIO_NAMESPACE} get configmap istio${REVISION_SUFFIX} -o jsonpath='{.data.mesh}' | grep -A6 serviceSettings",
            ),
            ByHand::on_a_lab(
                "a pod of the primary and no other",
                "istioctl --context ${CTX_CLUSTER1} proxy-config endpoints deploy/caller -n meshproof-sample --cluster 'outbound|8080||local-echo.meshproof-sample.svc.cluster.local'",
            ),
            ByHand::on_a_lab(
                "the pods of both",
                "istioctl --context ${CTX_CLUSTER1} proxy-config endpoints deploy/caller -n meshproof-sample --cluster 'outbound|8080||second-echo.meshproof-sample.svc.cluster.local'",
            ),
            ByHand::on_a_lab(
                "the DNS servers of the primary and no other",
                "istioctl --context ${CTX_CLUSTER1} proxy-config endpoints deploy/caller -n meshproof-sample --cluster 'outbound|53||kube-dns.kube-system.svc.cluster.local'",
            ),
        ],
    },
};

/// The pods of echo by a name that MeshConfig keeps in the cluster (`fixtures/istio/lab.yaml`), and by one for both.
const LOCAL: &str = "local-echo";
const SHARED: &str = "second-echo";

/// Kept in the cluster by Istio's own default, as all of kube-system.
const DNS: &str = "kube-dns.kube-system.svc.cluster.local";

/// One host that stays, and what to look at where it does not.
struct Kept<'a> {
    host: &'a str,
    upstream: &'a str,
    meant: Meant,
    hint: &'a str,
}

/// Which pods are meant by a host.
#[derive(Clone, Copy)]
enum Meant {
    Echo,
    Dns,
}

impl Meant {
    /// Those of one cluster, at least one, and those of both; asked anew at each look, for pods come and go.
    async fn pods(self, context: &Context, role: Role) -> Result<(Pods, Pods), ProbeError> {
        match self {
            Meant::Echo => Ok((echoes_of(context, role).await?, echoes(context).await?)),
            Meant::Dns => {
                let (own, others) = (dns_of(context, role).await?, dns_of(context, role.other()).await?);
                Ok((own.clone(), own.into_iter().chain(others).collect()))
            }
        }
    }
}

async fn judge(context: &Context) -> Result<Evidence, Fault> {
    let callers = callers(context).await?;
    let mut evidence = Evidence::new();
    for local in join_all(callers.iter().map(|caller| stays(context, caller))).await {
        evidence.extend(local?);
    }
    Ok(evidence)
}

/// What one caller's proxy lists, and who answers it.
async fn stays(context: &Context, caller: &Probe) -> Result<Evidence, Fault> {
    let (role, mut evidence) = (caller.cluster.role, Evidence::new());
    let proxy = Proxy::of(caller).await?;
    let by_setting = Kept {
        host: &host(LOCAL, context.sample()),
        upstream: &upstream(LOCAL, context.sample()),
        meant: Meant::Echo,
        hint: "see meshConfig.serviceSettings in ConfigMap istio of the primary: settings.clusterLocal must be true for this host, and no entry after it say otherwise",
    };
    let by_default = Kept {
        host: DNS,
        upstream: &format!("outbound|53||{DNS}"),
        meant: Meant::Dns,
        hint: "hosts of kube-system are cluster-local unless meshConfig.serviceSettings in ConfigMap istio of the primary says otherwise",
    };
    let (one, both) = ([caller.cluster.name.as_str()], Role::ALL.map(|role| context.cluster(role).name.as_str()));
    let (setting, default, local, shared) = futures::join!(
        lists_own_alone(context, role, &proxy, &by_setting),
        lists_own_alone(context, role, &proxy, &by_default),
        answers(context, caller, LOCAL, &one, by_setting.hint),
        answers(context, caller, SHARED, &both, "compare its endpoints in the caller's proxy with those of D7"),
    );
    for (kept, listed) in [(&by_setting, setting), (&by_default, default)] {
        let pods: Vec<String> = listed?.iter().map(|(ip, pod)| format!("{ip} of {pod}")).collect();
        evidence.saw(proxy.object(), kept.upstream, format!("{} and no other", all_of(&pods)));
    }
    for (service, row) in [(LOCAL, local), (SHARED, shared)] {
        evidence.saw(caller.object(), format!("{CALLS} calls of {service}"), row?);
    }
    Ok(evidence)
}

/// Waits until the proxy lists the pods of its own cluster behind this host, and no other; returns them.
async fn lists_own_alone(context: &Context, role: Role, proxy: &Proxy, kept: &Kept<'_>) -> Result<Pods, Fault> {
    let what = format!("{} to list the pods of its own cluster behind {}", proxy.object(), kept.host);
    let wait = context.wait(what, context.budgets.endpoints());
    let listed = wait.until(|| async {
        let (own, all) = match kept.meant.pods(context, role).await {
            Ok(pods) => pods,
            Err(error) => return Look::unable(error),
        };
        match proxy.endpoints_of(kept.upstream).await {
            Ok(endpoints) => {
                let listed: Vec<&str> = endpoints.iter().map(|endpoint| endpoint.address.as_str()).collect();
                astray(kept.host, &own, &all, &listed).map_or(Look::Yes(own), Look::NotYet)
            }
            Err(error) => Look::unable(error),
        }
    });
    match listed.await {
        Ok(own) => Ok(own),
        Err(timeout) => Err(Finding::new(format!("{} {}", proxy.object(), timeout.last()?))
            .expected_got("the ready pods of its own cluster and no other", timeout.last()?)
            .hint(kept.hint)
            .into()),
    }
}

/// How these are others than the pods of the own cluster, as the end of a sentence that begins with the proxy.
fn astray(host: &str, own: &Pods, all: &Pods, listed: &[&str]) -> Option<String> {
    if let Some(ip) = listed.iter().find(|ip| !own.contains_key(**ip)) {
        let whose = all.get(*ip).map_or("no ready pod", String::as_str);
        return Some(format!("lists endpoint {ip} of {whose} behind {host}, which stays in its cluster"));
    }
    let (ip, pod) = own.iter().find(|(ip, _)| !listed.contains(&ip.as_str()))?;
    Some(format!("does not list endpoint {ip} of {pod} behind {host}"))
}

/// Each of these clusters answers, and no other; returns how often.
async fn answers(
    context: &Context,
    caller: &Probe,
    service: &str,
    clusters: &[&str],
    hint: &str,
) -> Result<String, Fault> {
    let namespace = context.sample();
    let path = format!("/{}/b13/{}/{}", context.nonce, caller.cluster.role, caller.pod);
    let wait = context.wait(format!("{service} to answer {}", caller.object()), context.budgets.converge());
    let seen = wait.until(|| async {
        rows::look(rows::row(caller, service, &path).await, |calls| rows::otherwise(calls, clusters))
    });
    match seen.await {
        Ok(calls) => Ok(split(&calls.by_cluster())),
        Err(timeout) => Err(Finding::new(format!(
            "calls from {} to Service {namespace}/{service} are not answered by {} alone: {}",
            caller.object(),
            all_of(clusters),
            timeout.last()?
        ))
        .expected_got(format!("{CALLS} answers, of {}", all_of(clusters)), timeout.last()?)
        .hint(hint)
        .into()),
    }
}

/// Address and name of the ready DNS servers of one cluster.
async fn dns_of(context: &Context, role: Role) -> Result<Pods, ProbeError> {
    let (cluster, selector) = (context.cluster(role), "k8s-app=kube-dns");
    let mut pods = cluster.pods("kube-system", selector).await?;
    pods.retain(|pod| pod_ready(pod) == Look::Yes(()));
    let named = |pod: Pod| {
        let object = cluster.object("pod", &format!("kube-system/{}", pod.name_any()));
        Some((pod.status?.pod_ip?, object))
    };
    let named: Pods = pods.into_iter().filter_map(named).collect();
    if named.is_empty() {
        let (cluster, namespace) = (cluster.name.clone(), "kube-system".to_string());
        return Err(ProbeError::NoPod { cluster, namespace, selector: selector.to_string() });
    }
    Ok(named)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::astray;

    #[rstest]
    #[case::its_own(&["10.10.0.6"], None)]
    #[case::of_the_other(&["10.10.0.6", "10.20.0.7"], Some("lists endpoint 10.20.0.7 of cluster2 pod a/c behind h, which stays in its cluster"))]
    #[case::of_nobody(&["192.0.2.7"], Some("lists endpoint 192.0.2.7 of no ready pod behind h, which stays in its cluster"))]
    #[case::none(&[], Some("does not list endpoint 10.10.0.6 of cluster1 pod a/b behind h"))]
    fn a_proxy_lists_the_pods_of_its_own_cluster(#[case] listed: &[&str], #[case] says: Option<&str>) {
        let pod = |ip: &str, name: &str| (ip.to_string(), name.to_string());
        let own = [pod("10.10.0.6", "cluster1 pod a/b")].into();
        let all = [pod("10.10.0.6", "cluster1 pod a/b"), pod("10.20.0.7", "cluster2 pod a/c")].into();
        assert_eq!(astray("h", &own, &all, listed).as_deref(), says);
    }
}
