//! Scales Deployment `scaled` of the remote cluster up and down, and times how the proxies of the other cluster follow.

use std::time::Instant;

use harness::check::{Context, Evidence, Fault, Finding};
use harness::problem::all_of;
use harness::role::Role;
use harness::wait::Look;

use super::deployment::{Pods, scale, settled};
use super::envoy::Proxy;
use super::listed::upstream;

const DEPLOYMENT: &str = "scaled";

/// Looks this often, so that the times mean something.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(50);

/// Scales to two and back to one; each proxy must list the new endpoint, and then no longer.
///
/// # Errors
/// [`Fault`] naming the endpoint that a proxy does not list or still lists.
pub async fn followed(context: &Context, proxies: &[&Proxy], evidence: &mut Evidence) -> Result<(), Fault> {
    let remote = context.remote();
    // An earlier run may have been killed in between.
    scale(remote, DEPLOYMENT, 1).await?;
    let before = settled(context, Role::Remote, DEPLOYMENT, 1).await?;
    let up = grows(context, proxies, &before, evidence).await;
    // Back in any case: the next check, and the next run, begin with one.
    let began = Instant::now();
    let back = scale(remote, DEPLOYMENT, 1).await;
    let both = up?;
    back?;
    let after = settled(context, Role::Remote, DEPLOYMENT, 1).await?;
    for (ip, pod) in both.iter().filter(|(ip, _)| !after.contains_key(*ip)) {
        for proxy in proxies {
            leaves(context, proxy, ip, pod, began, evidence).await?;
        }
    }
    Ok(())
}

async fn grows(context: &Context, proxies: &[&Proxy], before: &Pods, evidence: &mut Evidence) -> Result<Pods, Fault> {
    let remote = context.remote();
    let began = Instant::now();
    scale(remote, DEPLOYMENT, 2).await?;
    let both = settled(context, Role::Remote, DEPLOYMENT, 2).await?;
    let ready = Instant::now();
    for (ip, pod) in both.iter().filter(|(ip, _)| !before.contains_key(*ip)) {
        for proxy in proxies {
            lists(context, proxy, ip, pod, ready, evidence).await?;
            let times = format!(
                "{:.2} s after the pod was Ready, {:.2} s after the scaling",
                ready.elapsed().as_secs_f64(),
                began.elapsed().as_secs_f64()
            );
            let what = format!("{DEPLOYMENT} of {} scaled from 1 to 2: lists {ip} of {pod}", remote.name);
            evidence.saw(proxy.object(), what, times);
        }
    }
    Ok(both)
}

async fn lists(
    context: &Context,
    proxy: &Proxy,
    ip: &str,
    pod: &str,
    ready: Instant,
    evidence: &mut Evidence,
) -> Result<(), Fault> {
    let upstream = upstream(DEPLOYMENT, context.sample());
    let wait =
        context.wait(format!("{} to list {ip} of {pod}", proxy.object()), context.budgets.endpoints()).every(PAUSE);
    let listed = wait.until(|| async {
        match proxy.endpoints_of(&upstream).await {
            Ok(all) => match all.iter().find(|endpoint| endpoint.address == ip) {
                Some(endpoint) if endpoint.is_healthy() => Look::Yes(()),
                Some(endpoint) => Look::NotYet(format!("{ip} is {}", endpoint.health)),
                None => Look::NotYet(addresses(all.iter().map(|endpoint| endpoint.address.as_str()))),
            },
            Err(error) => Look::unable(error),
        }
    });
    let Err(timeout) = listed.await else { return Ok(()) };
    let cause = format!(
        "{} does not list endpoint {ip} of {pod} {:.0} s after the pod became Ready",
        proxy.object(),
        ready.elapsed().as_secs_f64()
    );
    Err(Finding::new(cause)
        .expected_got(format!("{ip} in {upstream}"), timeout.last()?)
        .hint(who_tells(context))
        .evidence(evidence)
        .into())
}

async fn leaves(
    context: &Context,
    proxy: &Proxy,
    ip: &str,
    pod: &str,
    began: Instant,
    evidence: &mut Evidence,
) -> Result<(), Fault> {
    let upstream = upstream(DEPLOYMENT, context.sample());
    let wait =
        context.wait(format!("{} to drop {ip} of {pod}", proxy.object()), context.budgets.endpoints()).every(PAUSE);
    let gone = wait.until(|| async {
        match proxy.endpoints_of(&upstream).await {
            Ok(all) if all.is_empty() => Look::NotYet("no endpoint at all".to_string()),
            Ok(all) => match all.iter().find(|endpoint| endpoint.address == ip) {
                Some(endpoint) => Look::NotYet(format!("{ip} is still listed as {}", endpoint.health)),
                None => Look::Yes(()),
            },
            Err(error) => Look::unable(error),
        }
    });
    if let Err(timeout) = gone.await {
        let cause = format!(
            "{} still lists endpoint {ip} of {pod} {:.0} s after it was scaled away",
            proxy.object(),
            began.elapsed().as_secs_f64()
        );
        return Err(Finding::new(cause)
            .expected_got(format!("no {ip} in {upstream}"), timeout.last()?)
            .hint(who_tells(context))
            .evidence(evidence)
            .into());
    }
    let name = &context.remote().name;
    let times = format!("{:.2} s after the scaling", began.elapsed().as_secs_f64());
    evidence.saw(proxy.object(), format!("{DEPLOYMENT} of {name} scaled from 2 to 1: drops {ip} of {pod}"), times);
    Ok(())
}

/// Where a proxy hears of endpoints.
fn who_tells(context: &Context) -> String {
    format!(
        "see whether this proxy is connected to istiod (/debug/syncz), and whether istiod still watches {} (/debug/clusterz, and its log)",
        context.remote().name
    )
}

fn addresses<'a>(listed: impl Iterator<Item = &'a str>) -> String {
    format!("it lists {}", all_of(&listed.collect::<Vec<_>>()))
}
