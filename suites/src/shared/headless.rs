//! Pods behind a headless Service of the sample, as the proxies of callers know and reach each of them.

use harness::check::{Context, Evidence, Fault, Finding};
use harness::lab::probe::{Calls, Probe};
use harness::wait::Look;

use super::envoy::Proxy;
use super::rows;

const CALLS: u32 = 3;

/// Waits until the caller's proxy listens at the address of each of these pods, in whichever cluster, at port 9000.
///
/// # Errors
/// [`Fault`] naming the pod at which it does not listen.
pub async fn known(
    context: &Context,
    caller: &Probe,
    service: &str,
    servers: &[Probe],
    evidence: &mut Evidence,
) -> Result<(), Fault> {
    let namespace = context.sample();
    let proxy = Proxy::of(caller).await?;
    let wait = context.wait(format!("{} to know the pods of {service}", proxy.object()), context.budgets.endpoints());
    let listed = wait.until(|| async {
        match proxy.listeners().await {
            Ok(all) => match servers.iter().find(|server| !all.contains(&format!("{}:9000", server.address))) {
                None => Look::Yes(()),
                Some(server) => Look::NotYet(format!("no listener {}:9000, of {}", server.address, server.object())),
            },
            Err(error) => Look::unable(error),
        }
    });
    if let Err(timeout) = listed.await {
        return Err(Finding::new(format!(
            "{} has {} behind the headless Service {namespace}/{service}",
            proxy.object(),
            timeout.last()?
        ))
        .expected_got("a listener for port 9000 of each pod of both clusters", timeout.last()?)
        .hint(format!("compare Service {namespace}/{service} of both clusters: a headless Service must be in both with the same ports; and see its endpoints in istiod's /debug/endpointShardz"))
        .evidence(evidence)
        .into());
    }
    for server in servers {
        evidence.saw(proxy.object(), format!("listener {}:9000", server.address), server.object());
    }
    Ok(())
}

/// Waits until the caller's proxy listens no more at an address that a pod has left.
///
/// # Errors
/// [`Fault`] naming the address.
pub async fn forgotten(context: &Context, caller: &Probe, service: &str, address: &str) -> Result<(), Fault> {
    let namespace = context.sample();
    let proxy = Proxy::of(caller).await?;
    let listener = format!("{address}:9000");
    let wait = context.wait(format!("{} to drop listener {listener}", proxy.object()), context.budgets.endpoints());
    let dropped = wait.until(|| async {
        match proxy.listeners().await {
            Ok(all) if all.is_empty() => Look::NotYet("has no listener at all".to_string()),
            Ok(all) if all.contains(&listener) => Look::NotYet(format!("still has listener {listener}")),
            Ok(_) => Look::Yes(()),
            Err(error) => Look::unable(error),
        }
    });
    let Err(timeout) = dropped.await else { return Ok(()) };
    let why = timeout.last()?;
    Err(Finding::new(format!(
        "{} {why}, which the headless Service {namespace}/{service} has left",
        proxy.object()
    ))
    .expected_got(format!("no listener {listener}"), why)
    .hint(format!("see the EndpointSlices of Service {namespace}/{service} in both clusters, and whether this proxy takes what istiod sends: /debug/syncz"))
    .into())
}

/// Calls of this pod's address in the headless Service's name are answered by this pod: by HTTP, whose row is returned,
/// and by TCP.
///
/// # Errors
/// [`Fault`] naming the pod that is not reached.
pub async fn reached(
    context: &Context,
    caller: &Probe,
    service: &str,
    server: &Probe,
    mark: &str,
) -> Result<Calls, Fault> {
    let namespace = context.sample();
    let host = format!("host={service}.{namespace}:8080");
    let first = format!("http://{}:8080/{}/{service}/first", server.address, context.nonce);
    let tcp = format!("{}:9000", server.address);
    let count = CALLS.to_string();
    // First moments are waited for; what is judged by the servers' logs comes after them.
    let http = [&first, "--header", &host, "--count", &count];
    let tcp = [&tcp, "--protocol", "tcp", "--count", &count];
    let settles = |call| settles(context, caller, service, server, call);
    let (http, tcp) = futures::join!(settles(&http), settles(&tcp));
    http.and(tcp)?;
    let url = format!("http://{}:8080{mark}{}", server.address, server.pod);
    let row = [url.as_str(), "--header", &host, "--count", &count];
    let calls = caller.call_within(context.budgets.judged_call(), &row).await?;
    match astray(&calls, &server.cluster.name, &server.pod) {
        None => Ok(calls),
        Some(why) => Err(unreached(caller, service, server, &why).into()),
    }
}

/// Waits until every one of these calls is answered by this pod.
async fn settles(context: &Context, caller: &Probe, service: &str, server: &Probe, call: &[&str]) -> Result<(), Fault> {
    let wait = context.wait(format!("{} to reach {}", caller.object(), server.object()), context.budgets.converge());
    let seen = wait.until(|| async {
        rows::look(caller.call(call).await, |calls| astray(calls, &server.cluster.name, &server.pod))
    });
    match seen.await {
        Ok(_) => Ok(()),
        Err(timeout) => Err(unreached(caller, service, server, timeout.last()?).into()),
    }
}

fn unreached(caller: &Probe, service: &str, server: &Probe, why: &str) -> Finding {
    let namespace = &*caller.cluster.sample;
    Finding::new(format!(
        "calls from {} to {} of {} behind the headless Service {namespace}/{service} do not reach it: {why}",
        caller.object(),
        server.address,
        server.object()
    ))
    .expected_got("every call answered by this very pod", why)
    .hint(format!(
        "see cluster outbound|8080||{service}.{namespace}.svc.cluster.local in the caller's proxy, and DestinationRules for it"
    ))
}

/// How calls of one pod went otherwise than to it.
pub fn astray(calls: &Calls, cluster: &str, pod: &str) -> Option<String> {
    if calls.answered != calls.sent {
        return Some(format!("{} of {} are answered; {}", calls.answered, calls.sent, calls.failure_line()));
    }
    let itself = |who: &str| who.split('/').next() == Some(cluster) && who.rsplit('/').next() == Some(pod);
    let other = calls.by.keys().find(|who| !itself(who));
    other.map(|other| format!("{other} answers in its place"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use harness::lab::probe::Calls;
    use rstest::rstest;

    use super::astray;

    #[rstest]
    #[case::this_very_pod(&[("cluster2/v2/a", 3)], 0, None)]
    #[case::another(&[("cluster2/v2/b", 1), ("cluster2/v2/a", 2)], 0, Some("cluster2/v2/b answers in its place"))]
    #[case::its_namesake(&[("cluster1/v1/a", 3)], 0, Some("cluster1/v1/a answers in its place"))]
    #[case::nobody(&[], 3, Some("0 of 3 are answered; HTTP 503 (x3)"))]
    fn a_call_of_a_pod_reaches_that_pod(#[case] by: &[(&str, u32)], #[case] failed: u32, #[case] says: Option<&str>) {
        let answered: u32 = by.iter().map(|(_, count)| count).sum();
        let calls = Calls {
            sent: answered + failed,
            answered,
            by: by.iter().map(|(who, count)| (who.to_string(), *count)).collect(),
            failures: BTreeMap::from([("HTTP 503".to_string(), failed)]),
            ..Calls::default()
        };
        assert_eq!(astray(&calls, "cluster2", "a").as_deref(), says);
    }
}
