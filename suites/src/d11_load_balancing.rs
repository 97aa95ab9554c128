//! D11: requests to a service are served by both clusters, from both, and the servers see the caller's identity.
//! It judges HTTP by counts; that other protocols are answered too is B6.
//!
//! Sabotage: in cluster1 give VirtualService meshproof-sample/echo-without-retries destinations in subsets v1 and v2,
//! weighted 100:0 or 90:10, or a fault that aborts 8 % of requests; switch TLS off by a DestinationRule (no identity);
//! reject port 8080 of echo-v2 in the node's FORWARD chain; scale echo-v2 to 0 (D7 then blocks this check).

use std::collections::BTreeMap;
use std::time::Duration;

use harness::check::case::{Case, Ground, Reads, Use, When};
use harness::check::tally::{Design, Judgement};
use harness::check::{ByHand, Context, Evidence, Explanation, Fault, Finding, Layer, Path, Sample};
use harness::lab::cluster::pod_ready;
use harness::lab::injection::has_proxy;
use harness::lab::probe::{Calls, Probe, ProbeError};
use harness::problem::all_of;
use harness::role::Role;
use harness::wait::{Look, Timeout};
use kube::ResourceExt;

use crate::shared::access_log::{self, Way, tally};
use crate::shared::rows::split;
use crate::shared::sample::callers;
use crate::shared::{ladder, peers};

/// The clause.
pub const CASE: Case = Case {
    id: "D11",
    slug: "served-by-both-clusters",
    shows: &[Path::Requests],
    title: "Requests from each cluster are served by both",
    guide: "https://istio.io/latest/docs/setup/install/multicluster/verify/",
    needs: &["D7", "D10"],
    blames: &["B11"],
    follows: &[],
    uses: &[Use::Relies(Ground::Traffic)],
    when: When::Installed,
    judge: |context| Box::pin(judge(context)),
    reads: Reads::Nothing("it counts which of its own pods answer"),
    explains: Explanation {
        judges: "The caller on each node sends so many requests to Service echo that an uneven split, or a pod that \
                answers none, would show. All are answered, by both clusters in even shares, and by every ready pod. \
                Every pod of echo has a sidecar, and its log shows the caller's identity.",
        why: "This is what the guide promises in the end: one service in two clusters. A cluster that answers less \
             than its share, or whose answers nobody can trace to a caller, shows here although every object looks \
             right.",
        by_hand: &[
            ByHand::on_a_lab(
                "answers by both clusters, no failure",
                "kubectl --context ${CTX_CLUSTER1} -n meshproof-sample exec deploy/caller -c caller -- /workload call http://echo.meshproof-sample:8080/look --count 50",
            ),
            ByHand::on_a_lab(
                "the same",
                "kubectl --context ${CTX_CLUSTER2} -n meshproof-sample exec deploy/caller -c caller -- /workload call http://echo.meshproof-sample:8080/look --count 50",
            ),
            ByHand::new(
                "no rule that names a cluster, a version or a weight for the service",
                "kubectl --context ${CTX_CLUSTER1} get virtualservices,destinationrules,authorizationpolicies,envoyfilters -A",
            ),
        ],
    },
};

/// So many calls end in time on a busy machine, before the question itself is given up.
const ROW: u32 = 50;

async fn judge(context: &Context) -> Result<Evidence, Fault> {
    match served(context).await {
        Err(Fault::Refuted(finding)) => Err(ladder::explained(context, *finding, Layer::Http).await.into()),
        other => other,
    }
}

async fn served(context: &Context) -> Result<Evidence, Fault> {
    let callers = callers(context).await?;
    let servers = servers(context).await?;
    in_the_mesh(context).await?;
    // One tally for each caller.
    let design = Design::pair(callers.len());
    let count = design.sample_size().max(seen_from_all(servers.len(), design.false_alarm_each()));
    let mut evidence = Evidence::new();
    evidence.saw("sample", "requests from each caller, one after the other", count).saw(
        "sample",
        "what it can tell",
        format!(
            "alarm at p = {:e}, which blames a fair mesh in {:e} of the runs; a split of {:.0}:{:.0} or a silent endpoint is seen with a chance of {}",
            design.false_alarm_each(),
            design.false_alarm,
            design.against * 100.0,
            (1.0 - design.against) * 100.0,
            design.power
        ),
    );
    let mut samples = Vec::new();
    for caller in callers {
        let calls = sample(context, &caller, &design, count, &mut evidence).await?;
        every_server_answers(&caller, &calls, &servers, &evidence)?;
        samples.push((caller, calls));
    }
    // Last, for the proxies write their logs in batches.
    for (caller, calls) in &samples {
        peers::are_the_caller(context, caller, "echo", &mark(context, caller), &calls.by_cluster(), &mut evidence)
            .await?;
    }
    Ok(evidence)
}

/// The Service that is called, for people.
fn service(caller: &Probe) -> String {
    format!("Service {}/echo", caller.cluster.sample)
}

/// The part of the path that only the sample of this caller has.
fn mark(context: &Context, caller: &Probe) -> String {
    format!("/{}/d11/{}/{}/sample", context.nonce, caller.cluster.role, caller.pod)
}

/// Pods of echo that are ready: name, and `cluster1 pod x/y on node z`.
async fn servers(context: &Context) -> Result<BTreeMap<String, String>, Fault> {
    let namespace = context.sample();
    let mut servers = BTreeMap::new();
    for role in Role::ALL {
        for server in Probe::find(context.cluster(role), namespace, "echo", &context.budgets).await? {
            servers.insert(server.pod.clone(), format!("{} on node {}", server.object(), server.node));
        }
    }
    Ok(servers)
}

/// Every ready pod of echo has a sidecar: without one requests are answered, but nobody knows who asked.
async fn in_the_mesh(context: &Context) -> Result<(), Fault> {
    let namespace = context.sample();
    for role in Role::ALL {
        let cluster = context.cluster(role);
        for pod in cluster.pods(namespace, "app=echo").await? {
            if pod_ready(&pod) != Look::Yes(()) || has_proxy(&pod) {
                continue;
            }
            let object = cluster.object("pod", &format!("{namespace}/{}", pod.name_any()));
            return Err(Finding::new(format!("{object} behind Service {namespace}/echo has no sidecar"))
                .expected_got("the annotation sidecar.istio.io/status, which the injection webhook sets", "absent")
                .hint(format!("see the label {} of namespace {namespace}, the label sidecar.istio.io/inject of the pod, and whether the webhook is called (D8)", context.scenario().install.injection_label().0))
                .into());
        }
    }
    Ok(())
}

/// How many requests it takes that a fair mesh leaves any of so many servers out no more often than this.
fn seen_from_all(servers: usize, false_alarm: f64) -> u32 {
    if servers < 2 {
        return 1;
    }
    let servers = servers as f64;
    let requests = (false_alarm / servers).ln() / (1.0 - 1.0 / servers).ln();
    (requests / 10.0).ceil() as u32 * 10
}

/// Each server, on whatever node, has answered this caller.
fn every_server_answers(
    caller: &Probe,
    calls: &Calls,
    servers: &BTreeMap<String, String>,
    evidence: &Evidence,
) -> Result<(), Fault> {
    let answered = |pod: &str| calls.by.keys().any(|who| who.rsplit('/').next() == Some(pod));
    let Some((_, silent)) = servers.iter().find(|(pod, _)| !answered(pod)) else { return Ok(()) };
    Err(Finding::new(format!(
        "{silent} answered none of {} requests from {} on node {} to {}",
        calls.sent,
        caller.object(),
        caller.node,
        service(caller)
    ))
    .expected_got("answers of every ready pod of echo", all_of(&calls.by.keys().collect::<Vec<_>>()))
    .hint("see whether the caller's proxy lists that endpoint as healthy (D7), and DestinationRules for echo")
    .evidence(evidence)
    .into())
}

async fn sample(
    context: &Context,
    caller: &Probe,
    design: &Design,
    count: u32,
    evidence: &mut Evidence,
) -> Result<Calls, Fault> {
    let name = &caller.cluster.name;
    let (base, service) = (format!("http://echo.{}:8080", context.sample()), service(caller));
    let first = format!("{base}/{}/d11/{}/first", context.nonce, caller.cluster.role);
    if let Err(timeout) = converge(context, caller, &[&first]).await? {
        return Err(Finding::new(format!(
            "no three requests in a row from {name} to {service} are answered: {}",
            timeout.last()?
        ))
        .expected_got("answers", timeout.to_string())
        .hint(why_refused(context, timeout.last()?))
        .evidence(evidence)
        .into());
    }
    let mark = mark(context, caller);
    let url = format!("{base}{mark}");
    let mut calls = Calls::default();
    while calls.sent < count && calls.answered == calls.sent {
        let row = ROW.min(count - calls.sent).to_string();
        calls.add(caller.call_within(context.budgets.judged_call(), &[&url, "--count", &row]).await?);
    }
    evidence.saw(
        caller.object(),
        format!("{} requests to {url}, answers by cluster/version/pod", calls.sent),
        split(&calls.by),
    );
    if calls.answered < calls.sent {
        evidence.saw(caller.object(), "failures", calls.failure_line());
        let at = failed_at(context, caller, &mark).await;
        let line = format!(
            "{} of {} requests from {name} to {service} failed: {}",
            calls.sent - calls.answered,
            calls.sent,
            calls.failure_line()
        );
        let cause = if at.is_empty() { line } else { format!("{line}; its proxy had sent them to {at}") };
        return Err(Finding::new(cause)
            .expected_got(format!("{} answers", calls.sent), calls.answered.to_string())
            .hint(why_refused(context, &calls.failure_line()))
            .evidence(evidence)
            .into());
    }
    let expected: Vec<String> = Role::ALL.iter().map(|role| context.cluster(*role).name.clone()).collect();
    evidence.counted(Sample {
        from: name.clone(),
        to: service.clone(),
        answers: calls.by_cluster(),
        calm: design.calm(calls.sent),
    });
    let judgement = design.judge(&calls.by_cluster(), &expected);
    evidence.saw(caller.object(), "verdict on its sample", &judgement);
    match cause(&judgement, name, &service, calls.sent) {
        None if judgement.is_even() => Ok(calls),
        None => Err(Fault::unknown(judgement)),
        Some(cause) => Err(Finding::new(cause)
            .expected_got(format!("an even split over {}", all_of(&expected)), judgement.to_string())
            .hint("see whether each cluster has a ready pod of echo, and VirtualServices and DestinationRules for it in the primary cluster")
            .evidence(evidence)
            .into()),
    }
}

/// Where to look when requests fail in this way.
fn why_refused(context: &Context, failures: &str) -> String {
    if failures.contains("403") {
        let primary = context.primary().context_word();
        return format!("an AuthorizationPolicy denies them: kubectl --context {primary} get authorizationpolicies -A");
    }
    "a proxy answers 503 in the server's place; its flags say why: UF no connection, UH no healthy endpoint, URX retries used up, NR no route".to_string()
}

/// The cause line of an uneven split; none for an even one, and for too few answers.
fn cause(judgement: &Judgement, from: &str, service: &str, sent: u32) -> Option<String> {
    match judgement {
        Judgement::Even { .. } | Judgement::TooFew { .. } => None,
        Judgement::Missing { backend, .. } => {
            Some(format!("{backend} answered none of {sent} requests from {from} to {service}"))
        }
        Judgement::Skewed { p_value, limit, split } => Some(format!(
            "requests from {from} to {service} are not shared evenly: {split} answers (p = {p_value:.1e}, alarm at {limit:.1e})"
        )),
        Judgement::Unexpected { backend, count } => Some(format!(
            "`{backend}`, which is no cluster of this lab, answered {count} of {sent} requests from {from} to {service}"
        )),
    }
}

/// Calls until three in a row are answered, so that a connection's first moments are not judged.
async fn converge(context: &Context, caller: &Probe, call: &[&str]) -> Result<Result<(), Timeout>, ProbeError> {
    let wait = context.wait(format!("three answers in a row to {}", caller.object()), context.budgets.converge());
    let wait = wait.every(Duration::from_millis(50));
    let row = wait
        .steady(3, || async {
            match caller.call(call).await {
                Ok(calls) if calls.answered == calls.sent => Look::Yes(None),
                Ok(calls) => Look::NotYet(calls.failure_line()),
                Err(ProbeError::Exec(error)) => Look::unable(error),
                Err(error) => Look::Yes(Some(error)),
            }
        })
        .await;
    match row {
        Ok(None) => Ok(Ok(())),
        Ok(Some(error)) => Err(error),
        Err(timeout) => Ok(Err(timeout)),
    }
}

/// Where the caller's proxy had sent the requests that failed, if its log says so.
async fn failed_at(context: &Context, caller: &Probe, mark: &str) -> String {
    let namespace = context.sample();
    let wait = context.wait("the log of the caller's proxy", context.budgets.request());
    let failed = wait
        .until(|| async {
            match access_log::requests(&caller.cluster, namespace, "app=caller", Way::Out, mark).await {
                Ok(all) => {
                    let failed: Vec<_> = all.into_iter().filter(|entry| entry.code != 200).collect();
                    if failed.is_empty() { Look::NotYet("no failed request".to_string()) } else { Look::Yes(failed) }
                }
                Err(error) => Look::unable(error),
            }
        })
        .await;
    // It only explains a failure that stands without it.
    let (Ok(failed), Ok(book)) = (failed, crate::shared::address::AddressBook::of(context).await) else {
        return String::new();
    };
    let upstreams: Vec<String> = failed
        .iter()
        .map(|entry| {
            let upstream = if entry.upstream.is_empty() { "nobody".to_string() } else { book.name(&entry.upstream) };
            format!("{upstream} with flags {}", entry.flags)
        })
        .collect();
    tally(upstreams.iter().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use harness::check::tally::Design;
    use rstest::rstest;

    use super::cause;

    #[rstest]
    #[case::even(&[("cluster1", 40), ("cluster2", 40)], None)]
    #[case::silent(&[("cluster1", 80)], Some("cluster2 answered none of 80 requests from cluster1 to Service meshproof-sample/echo"))]
    #[case::skewed(&[("cluster1", 72), ("cluster2", 8)], Some("requests from cluster1 to Service meshproof-sample/echo are not shared evenly: "))]
    #[case::a_stranger(&[("cluster1", 40), ("cluster3", 40)], Some("`cluster3`, which is no cluster of this lab, answered 40 of 80"))]
    #[case::too_few(&[("cluster1", 1)], None)]
    fn the_cause_names_who_did_not_answer(#[case] counts: &[(&str, u32)], #[case] expected: Option<&str>) {
        let counts = counts.iter().map(|(name, count)| (name.to_string(), *count)).collect();
        let judgement = Design::pair(2).judge(&counts, &["cluster1".to_string(), "cluster2".to_string()]);
        let cause = cause(&judgement, "cluster1", "Service meshproof-sample/echo", 80);
        match (cause, expected) {
            (Some(cause), Some(expected)) => assert!(cause.starts_with(expected), "{cause}"),
            (cause, expected) => assert_eq!(cause.as_deref(), expected),
        }
    }
}
