//! Which pods proxies list behind a Service of the sample whose pods come and go.

use std::time::Duration;

use futures::future::join_all;
use harness::check::{Context, Fault, Finding};
use harness::problem::all_of;
use harness::wait::Look;

use super::deployment::Pods;
use super::envoy::Proxy;
use super::rows::host;

/// Looks this often, so that what is timed takes no longer than the mesh does.
const PAUSE: Duration = Duration::from_millis(50);

/// The name by which a proxy knows a Service of the sample at its HTTP port.
pub fn upstream(service: &str, namespace: &str) -> String {
    format!("outbound|8080||{}", host(service, namespace))
}

/// Waits until each proxy lists exactly these pods behind the Service.
///
/// # Errors
/// [`Fault`] naming the proxy, and the endpoint that it does not list or still lists.
pub async fn exactly(context: &Context, proxies: &[Proxy], service: &str, pods: &Pods) -> Result<(), Fault> {
    let namespace = context.sample();
    let upstream = &upstream(service, namespace);
    let named = &format!("{namespace}/{service}");
    let each = join_all(proxies.iter().map(|proxy| async move {
        let what = format!("{} to list the pods of {service}", proxy.object());
        let wait = context.wait(what, context.budgets.endpoints()).every(PAUSE);
        let listed = wait.until(|| async {
            match proxy.endpoints_of(upstream).await {
                Ok(all) => {
                    let listed = all.iter().filter(|endpoint| endpoint.is_healthy());
                    difference(named, pods, &listed.map(|endpoint| endpoint.address.as_str()).collect::<Vec<_>>())
                        .map_or(Look::Yes(()), Look::NotYet)
                }
                Err(error) => Look::unable(error),
            }
        });
        match listed.await {
            Ok(()) => Ok(()),
            Err(timeout) => Err(Fault::from(
                Finding::new(format!("{} {}", proxy.object(), timeout.last()?))
                    .expected_got(all_of(&pods.values().collect::<Vec<_>>()), timeout.last()?)
                    .hint(format!("compare Service {namespace}/{service} of both clusters (selector, ports, annotation networking.istio.io/exportTo) and its EndpointSlices there")),
            )),
        }
    }));
    each.await.into_iter().collect()
}

/// How the addresses listed behind a Service, `namespace/name`, are others than those of the pods, as the end of a sentence that
/// begins with the proxy.
fn difference(service: &str, pods: &Pods, listed: &[&str]) -> Option<String> {
    if let Some((ip, pod)) = pods.iter().find(|(ip, _)| !listed.contains(&ip.as_str())) {
        return Some(format!("does not list endpoint {ip} of {pod} behind Service {service}"));
    }
    let extra = listed.iter().find(|address| !pods.contains_key(**address));
    extra.map(|address| format!("still lists endpoint {address}, which Service {service} has left"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::difference;

    #[rstest]
    #[case::exactly(&["10.10.0.9"], None)]
    #[case::not_there(&["10.20.0.7"], Some("does not list endpoint 10.10.0.9 of cluster1 pod a/b behind"))]
    #[case::not_gone(&["10.10.0.9", "10.20.0.7"], Some("still lists endpoint 10.20.0.7, which Service"))]
    fn a_proxy_lists_where_the_workload_is(#[case] listed: &[&str], #[case] says: Option<&str>) {
        let got = difference("moved", &[("10.10.0.9".to_string(), "cluster1 pod a/b".to_string())].into(), listed);
        match says {
            None => assert_eq!(got, None),
            Some(says) => assert!(got.as_ref().is_some_and(|got| got.starts_with(says)), "{got:?}"),
        }
    }
}
