//! B10: a workload that leaves one cluster, comes back and leaves the other under a steady row of calls loses none.
//!
//! What Istio promises is that its proxies follow the endpoints of both clusters, and that its own retries (two, for a
//! request that no server has begun to answer) cover the moment of a change; of the order of news from two clusters it
//! promises nothing. So a place is told to go only when every caller's proxy lists the other one, and it goes on
//! answering until they have heard that it goes, as the workload's `preStop` has it: one that exits at once loses what
//! is under way, in any mesh.

mod traffic;

use std::time::Instant;

use futures::future::join_all;
use harness::check::case::{Case, Ground, Reads, Use, When};
use harness::check::{ByHand, Context, Evidence, Explanation, Fault, Finding, Path};
use harness::lab::probe::{Calls, Probe};
use harness::role::Role;
use harness::wait::Look;

use self::traffic::Traffic;
use crate::shared::deployment::{Pods, scale, settled};
use crate::shared::envoy::Proxy;
use crate::shared::listed;
use crate::shared::rows::split;
use crate::shared::sample::callers;

/// The check.
pub const CASE: Case = Case {
    id: "B10",
    slug: "moved-under-traffic",
    shows: &[Path::Requests],
    title: "A workload that moves from cluster to cluster under traffic loses no call",
    guide: "https://istio.io/latest/docs/ops/deployment/deployment-models/#multiple-clusters",
    needs: &["D7", "D10"],
    blames: &["D8", "D11", "B11"],
    follows: &[],
    uses: &[Use::Relies(Ground::Traffic), Use::Relies(Ground::RemoteInjection), Use::Relies(Ground::RemoteRootCert)],
    when: When::Installed,
    judge: |context| Box::pin(judge(context)),
    reads: Reads::Nothing("it moves a workload of its own from cluster to cluster"),
    explains: Explanation {
        judges: "Deployment moved runs in both clusters, then in the primary alone, in both again, and in the remote \
                cluster alone, under a steady row of calls from every caller. No call is lost. Its pods go on \
                answering for 10 s when they are told to go, as a workload must.",
        why: "To move workloads is one reason to have two clusters. What is lost at the moment of the move is lost \
             to users, and shows in no object afterwards.",
        by_hand: &[
            ByHand::on_a_lab(
                "where it runs, in the primary",
                "kubectl --context ${CTX_CLUSTER1} -n meshproof-sample get deployment,pods -l app=moved -o wide",
            ),
            ByHand::on_a_lab(
                "the same in the remote cluster",
                "kubectl --context ${CTX_CLUSTER2} -n meshproof-sample get deployment,pods -l app=moved -o wide",
            ),
            ByHand::on_a_lab(
                "these pods and no other",
                "istioctl --context ${CTX_CLUSTER1} proxy-config endpoints deploy/caller -n meshproof-sample --cluster 'outbound|8080||moved.meshproof-sample.svc.cluster.local'",
            ),
            ByHand::new(
                "no rule that names a cluster or a version for it",
                "kubectl --context ${CTX_CLUSTER1} get virtualservices,destinationrules -A",
            ),
        ],
    },
};

const NAME: &str = "moved";

/// Seconds for which a pod that was told to go still answers (`preStop` in the manifest).
const PATIENCE: f64 = 10.0;

async fn judge(context: &Context) -> Result<Evidence, Fault> {
    let callers = callers(context).await?;
    let proxies = Proxy::of_each(&callers).await?;
    let judged = moves(context, &callers, &proxies).await;
    // In both clusters whatever came of it: the next run begins so.
    let mut back = Ok(());
    for role in Role::ALL {
        back = back.and(scale(context.cluster(role), NAME, 1).await);
    }
    let evidence = judged?;
    back?;
    Ok(evidence)
}

async fn moves(context: &Context, callers: &[Probe], proxies: &[Proxy]) -> Result<Evidence, Fault> {
    let namespace = context.sample();
    let mut evidence = Evidence::new();
    // An earlier run may have been killed in between.
    let (here, there) = futures::join!(there(context, Role::Primary), there(context, Role::Remote));
    let (here, there) = (here?, there?);
    let both = here.clone().into_iter().chain(there).collect();
    let answered = join_all(callers.iter().map(|caller| answers(context, caller)));
    let (known, answered) = futures::join!(listed::exactly(context, proxies, NAME, &both), answered);
    known?;
    answered.into_iter().collect::<Result<(), Fault>>()?;
    let traffic = Traffic::of(context, format!("http://{NAME}.{namespace}:8080/{}/b10/moved", context.nonce), callers);
    let moved = async {
        let moved = from_place_to_place(context, &here, proxies, &traffic).await;
        traffic.end();
        moved
    };
    let (rows, moved) = futures::join!(traffic.row_after_row(), moved);
    let moved = match moved {
        Err(refuted @ Fault::Refuted(_)) => return Err(refuted),
        moved => moved,
    };
    // A row that could not be made says more than that none came.
    let rows = rows?;
    let (seen, slowest) = moved?;
    evidence.extend(seen);
    for (caller, calls) in callers.iter().zip(rows) {
        evidence.saw(
            caller.object(),
            format!("{} calls of {NAME} meanwhile, answers by cluster", calls.sent),
            split(&calls.by_cluster()),
        );
        if calls.answered == calls.sent {
            continue;
        }
        if slowest > PATIENCE {
            return Err(Fault::unknown(format!(
                "proxies heard after {slowest:.1} s that a pod of {NAME} goes, which stays for {PATIENCE} s only: calls were lost, but not by the mesh alone"
            )));
        }
        return Err(lost(caller, &calls).evidence(&evidence).into());
    }
    Ok(evidence)
}

fn lost(caller: &Probe, calls: &Calls) -> Finding {
    let namespace = &*caller.cluster.sample;
    Finding::new(format!(
        "{} of {} calls from {} to Service {namespace}/{NAME} were lost while it moved from cluster to cluster: {}",
        calls.sent - calls.answered,
        calls.sent,
        caller.object(),
        calls.failure_line()
    ))
    .expected_got(format!("{} answers", calls.sent), format!("{}, and {}", split(&calls.by_cluster()), calls.failure_line()))
    .hint(format!("see VirtualServices and DestinationRules for {NAME} that name a cluster or a version, and its endpoints in the caller's proxy: istioctl --context {} proxy-config endpoint {}.{namespace}", caller.cluster.context_word(), caller.pod))
}

/// Both places, then the primary alone, both again, and the remote alone; returns also the seconds after which every
/// proxy had heard, at the latest, that a place goes.
async fn from_place_to_place(
    context: &Context,
    here: &Pods,
    proxies: &[Proxy],
    traffic: &Traffic<'_>,
) -> Result<(Evidence, f64), Fault> {
    let namespace = context.sample();
    let mut evidence = Evidence::new();
    let left = leaves(context, Role::Remote, proxies, here, &mut evidence).await?;
    let began = Instant::now();
    let there = there(context, Role::Remote).await?;
    let ready = began.elapsed().as_secs_f64();
    listed::exactly(context, proxies, NAME, &here.clone().into_iter().chain(there.clone()).collect()).await?;
    let listed = began.elapsed().as_secs_f64();
    evidence.saw(
        context.remote().object("Deployment", &format!("{namespace}/{NAME}")),
        "scaled from 0 to 1",
        format!("ready after {ready:.1} s, listed by every caller's proxy after {listed:.1} s"),
    );
    let moved = leaves(context, Role::Primary, proxies, &there, &mut evidence).await?;
    traffic.goes_on().await?;
    Ok((evidence, left.max(moved)))
}

/// Tells the place in one cluster to go; returns the seconds after which every proxy lists the other one alone.
async fn leaves(
    context: &Context,
    role: Role,
    proxies: &[Proxy],
    stays: &Pods,
    evidence: &mut Evidence,
) -> Result<f64, Fault> {
    let namespace = context.sample();
    let cluster = context.cluster(role);
    let told = Instant::now();
    scale(cluster, NAME, 0).await?;
    listed::exactly(context, proxies, NAME, stays).await?;
    let seconds = told.elapsed().as_secs_f64();
    let object = cluster.object("Deployment", &format!("{namespace}/{NAME}"));
    evidence.saw(object, "scaled from 1 to 0", format!("dropped by every caller's proxy after {seconds:.1} s"));
    Ok(seconds)
}

/// The control: without it nothing can be said of what is lost later.
async fn answers(context: &Context, caller: &Probe) -> Result<(), Fault> {
    let namespace = context.sample();
    let url = format!("http://{NAME}.{namespace}:8080/{}/b10/first", context.nonce);
    let wait = context.wait(format!("{NAME} to answer {}", caller.object()), context.budgets.converge());
    let seen = wait.until(|| async {
        match caller.call(&[&url, "--count", "5"]).await {
            Ok(calls) if calls.answered == calls.sent => Look::Yes(()),
            Ok(calls) => Look::NotYet(calls.failure_line()),
            Err(error) => Look::unable(error),
        }
    });
    match seen.await {
        Ok(()) => Ok(()),
        Err(timeout) => Err(Finding::new(format!(
            "calls from {} to Service {namespace}/{NAME} are not answered before it moves: {}",
            caller.object(),
            timeout.last()?
        ))
        .expected_got("every call answered", timeout.last()?)
        .hint(format!("see VirtualServices and DestinationRules for {NAME}"))
        .into()),
    }
}

/// Asks for one pod, and waits for it.
async fn there(context: &Context, role: Role) -> Result<Pods, Fault> {
    scale(context.cluster(role), NAME, 1).await?;
    Ok(settled(context, role, NAME, 1).await?)
}
