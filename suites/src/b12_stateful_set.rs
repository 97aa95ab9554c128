//! B12: the pod of a StatefulSet that is deleted comes back with its name under a new address, and the callers of both
//! clusters follow it there.
//!
//! It is reached by three names. Service `any-stateful` stands for the pods of both clusters. In the name of the headless
//! Service, each is called at its own address. And by the pod's own DNS name: both clusters have a `stateful-0`, and
//! without DNS proxying a cluster's own DNS tells its callers of its own one only, so that is what they must get.

use std::time::Instant;

use futures::future::join_all;
use harness::check::case::{Case, Ground, Reads, Use, When};
use harness::check::{ByHand, Context, Evidence, Explanation, Fault, Finding, Path};
use harness::lab::probe::{Calls, Probe};
use harness::problem::all_of;
use harness::role::Role;
use harness::wait::Look;
use k8s_openapi::api::core::v1::Pod;
use kube::api::DeleteParams;

use crate::shared::deployment::{Pods, settled};
use crate::shared::envoy::Proxy;
use crate::shared::rows::{self, CALLS, host, split};
use crate::shared::sample::callers;
use crate::shared::shards::{shards, wrong};
use crate::shared::{headless, listed, peers};

/// The check.
pub const CASE: Case = Case {
    id: "B12",
    slug: "stateful-set",
    shows: &[Path::Requests],
    title: "A StatefulSet's pod that comes back under a new address is found there by both clusters, and no more at the old one",
    guide: "https://istio.io/latest/docs/ops/configuration/traffic-management/traffic-routing/#headless-services",
    needs: &["D7", "D10"],
    blames: &["D8", "D11", "B11"],
    follows: &[],
    uses: &[Use::Relies(Ground::Traffic), Use::Relies(Ground::RemoteInjection), Use::Relies(Ground::RemoteRootCert)],
    when: When::Installed,
    judge: |context| Box::pin(judge(context)),
    reads: Reads::Nothing("it deletes a pod of its own and waits for its new address"),
    explains: Explanation {
        judges: "Pod stateful-0 of the remote cluster is deleted, and comes back under its name with a new address. \
                istiod and the callers' proxies of both clusters take the new address and drop the old one. The pod \
                is reached by the Service for both clusters, at its address in the headless Service's name, and in \
                its own cluster by its DNS name.",
        why: "A StatefulSet keeps names and not addresses. Who goes on calling the old address reaches nobody or, \
             once it is given anew, somebody else.",
        by_hand: &[
            ByHand::on_a_lab(
                "its address",
                "kubectl --context ${CTX_CLUSTER2} -n meshproof-sample get pods -l app=stateful -o wide",
            ),
            ByHand::on_a_lab(
                "that address and the one of the primary's",
                "istioctl --context ${CTX_CLUSTER1} proxy-config endpoints deploy/caller -n meshproof-sample --cluster 'outbound|8080||any-stateful.meshproof-sample.svc.cluster.local'",
            ),
            ByHand::on_a_lab(
                "listeners at these addresses and at no old one",
                "istioctl --context ${CTX_CLUSTER1} proxy-config listeners deploy/caller -n meshproof-sample --port 9000",
            ),
        ],
    },
};

/// The StatefulSet, its label and its headless Service.
const NAME: &str = "stateful";
const POD: &str = "stateful-0";

/// The Service for the pods of both clusters.
const ANY: &str = "any-stateful";

async fn judge(context: &Context) -> Result<Evidence, Fault> {
    let callers = callers(context).await?;
    let proxies = Proxy::of_each(&callers).await?;
    // An earlier run may have been killed in between.
    let (here, there) = futures::join!(ready(context, Role::Primary), ready(context, Role::Remote));
    let (here, before) = (here?, there?);
    let asked = join_all(callers.iter().map(|caller| answered(context, caller)));
    let both = pods(&[&here, &before]);
    let (listed, asked) = futures::join!(listed::exactly(context, &proxies, ANY, &both), asked);
    listed?;
    asked.into_iter().collect::<Result<(), Fault>>()?;

    let (mut evidence, told) = (Evidence::new(), Instant::now());
    let after = comes_back(context, &before).await?;
    evidence.saw(after.object(), "status.podIP", format!("{}, then {}", before.address, after.address));
    evidence.saw(after.object(), "deleted: ready again after", seconds(told));
    let both = pods(&[&here, &after]);
    let forgotten = callers.iter().map(|caller| headless::forgotten(context, caller, NAME, &before.address));
    let forgotten = join_all(forgotten);
    let (held, listed, forgotten) = futures::join!(
        timed(told, held(context, &both)),
        timed(told, listed::exactly(context, &proxies, ANY, &both)),
        timed(told, async { forgotten.await.into_iter().collect::<Result<(), Fault>>() }),
    );
    // From the source on: what istiod holds is what proxies are told.
    let (istiod, all) =
        (context.primary().object("istiod", &context.primary().istio_namespace), "the proxies of all callers");
    let shard = format!(
        "/debug/endpointShardz of {} holds the new address and not the old one after",
        host(ANY, context.sample())
    );
    evidence.saw(istiod, shard, held?);
    evidence.saw(all, format!("list the new address and not the old one behind {ANY} after"), listed?);
    evidence.saw(all, format!("have dropped listener {}:9000 after", before.address), forgotten?);
    let servers = [here, after];
    for followed in join_all(callers.iter().map(|caller| followed(context, caller, &servers))).await {
        evidence.extend(followed?);
    }
    evidence.saw("all callers", "answered by the new address under mutual TLS after", seconds(told));
    Ok(evidence)
}

/// Deletes the pod in the remote cluster, and waits for the one that takes its name.
async fn comes_back(context: &Context, before: &Probe) -> Result<Probe, Fault> {
    let namespace = context.sample();
    let remote = context.remote();
    let deleted = remote.api::<Pod>(namespace).delete(POD, &DeleteParams::default()).await;
    deleted.map_err(remote.refused(format!("delete pod {namespace}/{POD}")))?;
    let after = ready(context, Role::Remote).await?;
    if after.address == before.address {
        return Err(Fault::unknown(format!("{} came back under its old address {}", after.object(), after.address)));
    }
    Ok(after)
}

fn pods(probes: &[&Probe]) -> Pods {
    probes.iter().map(|probe| (probe.address.clone(), probe.object())).collect()
}

fn seconds(since: Instant) -> String {
    format!("{:.1} s", since.elapsed().as_secs_f64())
}

/// When, in words, this ended well.
async fn timed(since: Instant, what: impl Future<Output = Result<(), Fault>>) -> Result<String, Fault> {
    what.await.map(|()| seconds(since))
}

/// Waits for the one pod of the StatefulSet in this cluster.
async fn ready(context: &Context, role: Role) -> Result<Probe, Fault> {
    let namespace = context.sample();
    let cluster = context.cluster(role);
    let pods = settled(context, role, NAME, 1).await?;
    let found = Probe::find(cluster, namespace, NAME, &context.budgets).await?;
    let found = found.into_iter().find(|pod| pods.contains_key(&pod.address));
    found.ok_or_else(|| Fault::unknown(format!("pod {namespace}/{POD} of {} changed meanwhile", cluster.name)))
}

/// Waits until each replica of istiod holds exactly these pods, each in the shard of its cluster.
async fn held(context: &Context, pods: &Pods) -> Result<(), Fault> {
    let namespace = context.sample();
    let host = host(ANY, namespace);
    let wait = context.wait(format!("istiod to hold the pods of {ANY}"), context.budgets.endpoints());
    let held = wait.until(|| async {
        match shards(context, &host, namespace, 8080).await {
            Ok(replicas) => wrong(pods, &replicas).map_or(Look::Yes(()), Look::NotYet),
            Err(fault) => fault.into(),
        }
    });
    let Err(timeout) = held.await else { return Ok(()) };
    Err(Finding::new(format!("{} behind Service {namespace}/{ANY}", timeout.last()?))
        .expected_got(all_of(&pods.iter().map(|(ip, pod)| format!("{ip} of {pod}")).collect::<Vec<_>>()), timeout.last()?)
        .hint(format!("compare the EndpointSlices of Service {namespace}/{ANY} in that cluster with its pods; where they are right, see istiod's /debug/clusterz and its log"))
        .into())
}

/// The pods of both clusters answer, by the Service for all of them.
async fn answered(context: &Context, caller: &Probe) -> Result<(), Fault> {
    let clusters = Role::ALL.map(|role| context.cluster(role).name.as_str());
    let path = format!("/{}/{ANY}/first", context.nonce);
    let wait = context.wait(format!("{ANY} to answer {}", caller.object()), context.budgets.converge());
    let seen = wait
        .until(|| async { rows::look(rows::row(caller, ANY, &path).await, |calls| rows::otherwise(calls, &clusters)) });
    let Err(timeout) = seen.await else { return Ok(()) };
    Err(unshared(caller, &clusters, timeout.last()?).into())
}

fn unshared(caller: &Probe, clusters: &[&str], why: &str) -> Finding {
    let namespace = &*caller.cluster.sample;
    Finding::new(format!(
        "calls from {} to Service {namespace}/{ANY} are not shared by the pods of both clusters: {why}",
        caller.object(),
    ))
    .expected_got(format!("{CALLS} answers, of {}", all_of(clusters)), why)
    .hint(format!("see VirtualServices and DestinationRules for {ANY}, and istioctl --context {} proxy-config endpoint {}.{namespace}", caller.cluster.context_word(), caller.pod))
}

/// A row that is judged as it is.
fn judged(calls: Calls, why: Option<String>, finding: impl Fn(&str) -> Finding) -> Result<Calls, Fault> {
    match why {
        None => Ok(calls),
        Some(why) if calls.only_late() => Err(Fault::unknown(finding(&why).cause)),
        Some(why) => Err(finding(&why).into()),
    }
}

/// A caller reaches the pods of both clusters by each name, under mutual TLS.
async fn followed(context: &Context, caller: &Probe, servers: &[Probe]) -> Result<Evidence, Fault> {
    let mut evidence = Evidence::new();
    headless::known(context, caller, NAME, servers, &mut evidence).await?;
    answered(context, caller).await?;
    let mark = format!("/{}/b12/{}/{}/", context.nonce, caller.cluster.role, caller.pod);
    let at = join_all(servers.iter().map(|server| headless::reached(context, caller, NAME, server, &mark)));
    let clusters = Role::ALL.map(|role| context.cluster(role).name.as_str());
    let by_any = async {
        let row = rows::row(caller, ANY, &format!("{mark}any")).await?;
        let why = rows::otherwise(&row, &clusters);
        judged(row, why, |why| unshared(caller, &clusters, why))
    };
    let (by_any, by_name, at) = futures::join!(by_any, by_name(context, caller, &mark), at);
    let (by_any, by_name) = (by_any?, by_name?);
    evidence.saw(caller.object(), format!("{} calls of {ANY}", by_any.sent), split(&by_any.by_cluster()));
    evidence.saw(
        caller.object(),
        format!("{} calls of {}", by_name.sent, own_name(context)),
        split(&by_name.by_cluster()),
    );
    let mut answered = Calls::default();
    for (server, row) in servers.iter().zip(at) {
        let said = format!("all answered by {}", server.object());
        let row = row?;
        evidence.saw(caller.object(), format!("{} calls of {} in the name of {NAME}", row.sent, server.address), said);
        answered.add(row);
    }
    answered.add(by_any);
    answered.add(by_name);
    // Its log begins with the pod, so each of these lines was written under the new address.
    peers::are_the_caller(context, caller, NAME, &mark, &answered.by_cluster(), &mut evidence).await?;
    Ok(evidence)
}

/// The pod's name as DNS knows it.
fn own_name(context: &Context) -> String {
    format!("{POD}.{}", host(NAME, context.sample()))
}

/// By the pod's own DNS name a caller reaches the pod of its own cluster.
async fn by_name(context: &Context, caller: &Probe, mark: &str) -> Result<Calls, Fault> {
    let namespace = context.sample();
    let call = |path: &str| format!("http://{}:8080{path}", own_name(context));
    let (first, marked) = (call(&format!("/{}/{NAME}/named", context.nonce)), call(&format!("{mark}named")));
    let cluster = &caller.cluster.name;
    let wait = context.wait(format!("{} to answer {}", own_name(context), caller.object()), context.budgets.converge());
    let seen = wait.until(|| async {
        rows::look(caller.call(&[&first, "--count", "3", "--fresh-connection"]).await, |calls| {
            headless::astray(calls, cluster, POD)
        })
    });
    let unnamed = |why: &str| {
        Finding::new(format!(
            "calls from {} to {} do not reach the pod of that name in {cluster}: {why}",
            caller.object(),
            own_name(context),
        ))
        .expected_got(format!("every call answered by {POD} of {cluster}"), why)
        .hint(format!("see the EndpointSlices of Service {namespace}/{NAME} in {cluster} (they carry the pod's hostname), and VirtualServices and DestinationRules for it"))
    };
    match seen.await {
        Ok(_) => {
            let row = caller.call_within(context.budgets.judged_call(), &[&marked, "--count", "3"]).await?;
            let why = headless::astray(&row, cluster, POD);
            judged(row, why, unnamed)
        }
        Err(timeout) => Err(unnamed(timeout.last()?).into()),
    }
}
