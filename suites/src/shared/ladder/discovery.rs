//! Discovery: the Service, its name, its EndpointSlices, and what istiod holds of them.

use std::collections::BTreeSet;

use harness::check::{Broken, Context, Layer};
use harness::lab::probe::{Get, Probe};
use harness::problem::all_of;
use harness::role::Role;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::ListParams;

use super::{PORT, SERVICE, Told, host, otherwise};
use crate::shared::sample;
use crate::shared::shards::{misplaced, shards};

pub async fn services(context: &Context) -> Told {
    let namespace = context.sample();
    for role in Role::ALL {
        let cluster = context.cluster(role);
        let found = cluster.api::<Service>(namespace).get_opt(SERVICE).await;
        let found = found.map_err(cluster.refused(format!("show Service {namespace}/{SERVICE}")))?;
        let has = |service: &Service| {
            let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
            ports.into_iter().any(|port| port.port == i32::from(PORT))
        };
        if !found.as_ref().is_some_and(has) {
            let seen = if found.is_some() { format!("no port {PORT}") } else { "not there".to_string() };
            return Ok(Err(Broken {
                layer: Layer::Service,
                object: cluster.object("Service", &format!("{namespace}/{SERVICE}")),
                seen,
                look: format!("kubectl --context {} -n {namespace} get service {SERVICE}", cluster.context_word()),
            }));
        }
    }
    Ok(Ok("in both clusters".to_string()))
}

/// Whether the name of the Service is found. That whoever is behind it does not answer is another layer's matter: it may be
/// one of several endpoints.
pub async fn names(context: &Context) -> Told {
    let host = host(context);
    let limit = context.budgets.resolved().as_millis().to_string();
    for role in Role::ALL {
        let cluster = context.cluster(role);
        let probe = Probe::outside(cluster, &context.budgets).await?;
        // With a dot at its end it is looked up as it is, and not below every search domain first.
        let url = format!("http://{host}.:{PORT}/healthz");
        let asked: Get = probe.ask(&["get", &url, "--timeout-ms", &limit]).await?;
        if let Some(why) = asked.error.as_deref().and_then(unresolved) {
            return Ok(Err(Broken {
                layer: Layer::Dns,
                object: probe.object(),
                seen: format!("{host} is not found: {why}"),
                look: format!(
                    "kubectl --context {} -n kube-system get pods -l k8s-app=kube-dns",
                    cluster.context_word()
                ),
            }));
        }
    }
    Ok(Ok(format!("{host} is found in both clusters")))
}

/// Why a name was not found, where that is what an error of the probe says.
fn unresolved(error: &str) -> Option<&str> {
    error.strip_prefix("dns: ")
}

pub async fn endpoint_slices(context: &Context) -> Told {
    let namespace = context.sample();
    let mut count = 0;
    for role in Role::ALL {
        let cluster = context.cluster(role);
        let pods = sample::echoes_of(context, role).await?;
        let params = ListParams::default().labels(&format!("kubernetes.io/service-name={SERVICE}"));
        let slices = cluster.api::<EndpointSlice>(namespace).list(&params).await;
        let slices = slices.map_err(cluster.refused(format!("list EndpointSlices of {namespace}/{SERVICE}")))?;
        let endpoints = slices.iter().flat_map(|slice| slice.endpoints.iter());
        let is_ready = |endpoint: &&k8s_openapi::api::discovery::v1::Endpoint| {
            endpoint.conditions.as_ref().is_none_or(|conditions| conditions.ready != Some(false))
        };
        let listed: BTreeSet<String> =
            endpoints.filter(is_ready).flat_map(|endpoint| endpoint.addresses.clone()).collect();
        if let Some(seen) = otherwise(&pods, &listed) {
            return Ok(Err(Broken {
                layer: Layer::EndpointSlice,
                object: cluster.object("Service", &format!("{namespace}/{SERVICE}")),
                seen,
                look: format!(
                    "kubectl --context {} -n {namespace} get endpointslices -l kubernetes.io/service-name={SERVICE} -o yaml",
                    cluster.context_word()
                ),
            }));
        }
        count += listed.len();
    }
    Ok(Ok(format!("{count} addresses, those of the ready pods")))
}

pub async fn registry(context: &Context) -> Told {
    let host = host(context);
    let namespace = context.sample();
    let pods = sample::echoes(context).await?;
    let replicas = shards(context, &host, namespace, u64::from(PORT)).await?;
    let primary = context.primary();
    for (istiod, shards) in &replicas {
        let Some(seen) = misplaced(&pods, shards) else { continue };
        let pod = istiod.rsplit('/').next().unwrap_or(istiod);
        return Ok(Err(Broken {
            layer: Layer::Registry,
            object: istiod.clone(),
            seen: format!("it {seen}"),
            look: format!(
                "kubectl --context {} -n {} exec {pod} -- pilot-discovery request GET /debug/endpointShardz",
                primary.context_word(),
                primary.istio_namespace
            ),
        }));
    }
    Ok(Ok(format!("{} addresses in the shards of {}", pods.len(), all_of(&names_of(&replicas)))))
}

fn names_of<T>(replicas: &[(String, T)]) -> Vec<&String> {
    replicas.iter().map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::unresolved;

    #[rstest]
    #[case::no_server("dns: temporary failure in name resolution", Some("temporary failure in name resolution"))]
    #[case::an_endpoint_of_nobody("timeout after 12000 ms", None)]
    #[case::no_endpoint("connect: connection refused", None)]
    fn only_a_name_that_is_not_found_is_a_matter_of_dns(#[case] error: &str, #[case] why: Option<&str>) {
        assert_eq!(unresolved(error), why);
    }
}
