//! B9: a Service whose pods are in one cluster alone is served to both by those, and a headless one is known pod by pod.
//!
//! Of a headless Service istiod gives each proxy a listener for every pod of both clusters, and a call of a pod's address
//! in the Service's name goes to that very pod by mutual TLS. What Istio does not promise is that DNS tells a pod of the
//! other cluster: without DNS proxying a name is answered by the cluster's own DNS, which knows its own pods only
//! (istio/istio#29969, #31787, #34582, #36349; with DNS proxying, #61038). What it says is noted, not judged.

use futures::future::join_all;
use harness::check::case::{Case, Ground, Reads, Use, When};
use harness::check::{ByHand, Context, Evidence, Explanation, Fault, Finding, Path};
use harness::lab::probe::{Calls, Probe};
use harness::role::Role;

use crate::shared::sample::callers;
use crate::shared::{headless, peers, rows};

/// The check.
pub const CASE: Case = Case {
    id: "B9",
    slug: "service-of-one-cluster",
    shows: &[Path::Requests],
    title: "A Service whose pods are all in the remote cluster is served to both, and a headless one is known pod by pod",
    guide: "https://istio.io/latest/docs/ops/deployment/deployment-models/#dns-with-multiple-clusters",
    needs: &["D7", "D10"],
    blames: &["D11", "B11"],
    follows: &[],
    uses: &[Use::Relies(Ground::Traffic)],
    when: When::Installed,
    judge: |context| Box::pin(judge(context)),
    reads: Reads::Nothing("it makes calls between pods of its own"),
    explains: Explanation {
        judges: "Service echo-v2, whose pods are all in the remote cluster, is served by them to callers of both. Of \
                the headless Service echo-pods each caller's proxy has a listener for every pod of both clusters, \
                and a call in its name to a pod's address reaches that pod under mutual TLS. What DNS says of it is \
                noted, not judged.",
        why: "Many services live in one cluster and are called from all. Clients of databases and queues call one \
             pod and not another, which is what headless Services are for.",
        by_hand: &[
            ByHand::on_a_lab(
                "both Services, in the primary",
                "kubectl --context ${CTX_CLUSTER1} -n meshproof-sample get service echo-v2 echo-pods",
            ),
            ByHand::on_a_lab(
                "the same in the remote cluster",
                "kubectl --context ${CTX_CLUSTER2} -n meshproof-sample get service echo-v2 echo-pods",
            ),
            ByHand::on_a_lab(
                "a pod of the remote cluster and no other",
                "istioctl --context ${CTX_CLUSTER1} proxy-config endpoints deploy/caller -n meshproof-sample --cluster 'outbound|8080||echo-v2.meshproof-sample.svc.cluster.local'",
            ),
            ByHand::on_a_lab(
                "a listener for each pod behind echo-pods",
                "istioctl --context ${CTX_CLUSTER1} proxy-config listeners deploy/caller -n meshproof-sample --port 9000",
            ),
        ],
    },
};

/// The same object in both clusters; only pods of the remote one have its version.
const REMOTE: &str = "echo-v2";

/// All pods of echo, without an address of its own.
const HEADLESS: &str = "echo-pods";

/// A row in which a cluster that answers half of the calls shows, but for one in a million.
const CALLS: u32 = 20;

async fn judge(context: &Context) -> Result<Evidence, Fault> {
    let namespace = context.sample();
    let (callers, mut servers) = (callers(context).await?, Vec::new());
    for role in Role::ALL {
        servers.extend(Probe::find(context.cluster(role), namespace, "echo", &context.budgets).await?);
    }
    let remote = join_all(callers.iter().map(|caller| by_remote_alone(context, caller)));
    let headless = join_all(callers.iter().map(|caller| pod_by_pod(context, caller, &servers)));
    let (remote, headless) = futures::join!(remote, headless);
    let mut evidence = Evidence::new();
    for part in remote.into_iter().chain(headless) {
        evidence.extend(part?);
    }
    Ok(evidence)
}

/// Every call of the Service is answered, by the remote cluster.
async fn by_remote_alone(context: &Context, caller: &Probe) -> Result<Evidence, Fault> {
    let namespace = context.sample();
    let (name, remote) = (&caller.cluster.name, &context.remote().name);
    let url = format!("http://{REMOTE}.{namespace}:8080/{}/b9/{}/{}", context.nonce, caller.cluster.role, caller.pod);
    let wait = context.wait(format!("{} to be answered by {remote}", caller.object()), context.budgets.converge());
    let seen = wait.until(|| async {
        rows::look(caller.call(&[&url, "--count", &CALLS.to_string()]).await, |calls| otherwise(calls, remote))
    });
    match seen.await {
        Ok(calls) => {
            let mut evidence = Evidence::new();
            evidence.saw(caller.object(), format!("{} calls of {REMOTE}", calls.sent), format!("{remote} answered all"));
            Ok(evidence)
        }
        Err(timeout) => Err(Finding::new(format!(
            "calls from {name} to Service {namespace}/{REMOTE}, whose pods are all in {remote}, are not served: {}",
            timeout.last()?
        ))
        .expected_got(format!("{CALLS} answers of {remote}"), timeout.last()?)
        .hint(format!("compare Service {namespace}/{REMOTE} of both clusters (it must be in the caller's too, and be exported: annotation networking.istio.io/exportTo), and see its endpoints in the caller's proxy: istioctl --context {} proxy-config endpoint {}.{namespace}", caller.cluster.context_word(), caller.pod))
        .into()),
    }
}

/// How a row is otherwise than answered by this cluster alone.
fn otherwise(calls: &Calls, remote: &str) -> Option<String> {
    if calls.answered != calls.sent {
        return Some(format!("{} of {} are answered; {}", calls.answered, calls.sent, calls.failure_line()));
    }
    let by = calls.by_cluster();
    let other = by.iter().find(|(cluster, _)| cluster.as_str() != remote);
    other.map(|(cluster, count)| format!("{cluster} answered {count} of {}", calls.sent))
}

/// The caller's proxy knows each pod of the headless Service, and calls of a pod reach it under mutual TLS.
async fn pod_by_pod(context: &Context, caller: &Probe, servers: &[Probe]) -> Result<Evidence, Fault> {
    let namespace = context.sample();
    let mut evidence = Evidence::new();
    headless::known(context, caller, HEADLESS, servers, &mut evidence).await?;
    let mark = format!("/{}/b9/{}/{}/pods/", context.nonce, caller.cluster.role, caller.pod);
    let rows = join_all(servers.iter().map(|server| headless::reached(context, caller, HEADLESS, server, &mark))).await;
    let mut answered = Calls::default();
    for (server, row) in servers.iter().zip(rows) {
        let calls = row?;
        evidence.saw(
            caller.object(),
            format!("{} calls of {} in the name of {HEADLESS}", calls.sent, server.address),
            format!("all answered by {}", server.object()),
        );
        answered.add(calls);
    }
    let url = format!("http://{HEADLESS}.{namespace}:8080/{}/b9/named", context.nonce);
    // A caller of each cluster is told its own pods; nothing hangs on it.
    let named = caller.call(&[&url, "--count", "5", "--fresh-connection"]).await?;
    let said = match named.answered {
        0 => named.failure_line(),
        _ => named
            .by_cluster()
            .iter()
            .map(|(cluster, count)| format!("{cluster} {count}"))
            .collect::<Vec<_>>()
            .join(", "),
    };
    evidence.saw(caller.object(), format!("{} calls of {HEADLESS} by its name, not judged", named.sent), said);
    peers::are_the_caller(context, caller, "echo", &mark, &answered.by_cluster(), &mut evidence).await?;
    Ok(evidence)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use harness::lab::probe::Calls;
    use rstest::rstest;

    use super::otherwise;

    fn calls(by: &[(&str, u32)], failed: u32) -> Calls {
        let answered: u32 = by.iter().map(|(_, count)| count).sum();
        Calls {
            sent: answered + failed,
            answered,
            by: by.iter().map(|(who, count)| (who.to_string(), *count)).collect(),
            failures: BTreeMap::from([("dns: name or service not known".to_string(), failed)]),
            ..Calls::default()
        }
    }

    #[rstest]
    #[case::the_remote_alone(&[("cluster2/v2/a", 9), ("cluster2/v2/b", 1)], 0, None)]
    #[case::one_is_lost(&[("cluster2/v2/a", 9)], 1, Some("9 of 10 are answered; dns: name or service not known (x1)"))]
    #[case::the_primary_too(&[("cluster1/v1/c", 4), ("cluster2/v2/a", 6)], 0, Some("cluster1 answered 4 of 10"))]
    fn the_pods_of_one_cluster_answer_alone(
        #[case] by: &[(&str, u32)],
        #[case] failed: u32,
        #[case] says: Option<&str>,
    ) {
        assert_eq!(otherwise(&calls(by, failed), "cluster2").as_deref(), says);
    }
}
