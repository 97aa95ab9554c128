//! D3: istiod is exposed through the gateway, and what comes through is istiod itself: TLS is passed, not ended. Each pod
//! of the gateway leads to each istiod.
//!
//! Sabotage: `kubectl -n istio-system delete gateway istiod-gateway` in cluster1, another port in VirtualService
//! istiod-vs, or one pod of the gateway that loses port 15012 on its node (`iptables -I FORWARD -d POD_IP -p tcp
//! --dport 15012 -j DROP`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use harness::check::case::{Case, Reads, When};
use harness::check::{ByHand, Context, Evidence, Explanation, Fault, Finding, Path};
use harness::install::proof::{external_address, raw};
use harness::install::revision;
use harness::lab::probe::{Certificate, Probe, ProbeError, Tls};
use harness::problem::all_of;
use harness::wait::Look;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use serde_json::Value;

use crate::shared::gateway_traffic;
use crate::shared::istiod;
use crate::shared::leading::root_of_primary;

/// The clause.
pub const CASE: Case = Case {
    id: "D3",
    slug: "istiod-exposed",
    shows: &[Path::Injection, Path::ControlPlane],
    title: "istiod is exposed through the gateway by TLS passthrough",
    guide: "https://istio.io/latest/docs/setup/install/multicluster/primary-remote/#expose-the-control-plane-in-cluster1",
    needs: &["D2"],
    blames: &["D1"],
    follows: &["expose-istiod"],
    uses: &[],
    when: When::Installed,
    judge: |context| Box::pin(judge(context)),
    reads: Reads::Nothing("it shakes hands with istiod through the gateway from pods of its own"),
    explains: Explanation {
        judges: "Gateway istiod-gateway passes TLS through on ports 15012 and 15017, and its VirtualService leads \
                both to istiod. At the gateway's address, asked from the remote cluster, and at each of its pods, \
                both ports show a certificate that istiod itself has and that the primary's root verifies. Each pod \
                of the gateway leads to every replica of istiod.",
        why: "TLS must end at istiod: proxies and API servers trust it by its own certificate, and it knows proxies \
             by what they send it. A gateway that ends TLS, or leads elsewhere, cuts the remote cluster off from its \
             control plane.",
        by_hand: &[
            ByHand::new(
                "ports 15012 and 15017, tls.mode PASSTHROUGH",
                "kubectl --context ${CTX_CLUSTER1} -n ${ISTIO_NAMESPACE} get gateways.networking.istio.io istiod-gateway -o jsonpath='{.spec.servers}'",
            ),
            ByHand::new(
                "both ports led to istiod",
                "kubectl --context ${CTX_CLUSTER1} -n ${ISTIO_NAMESPACE} get virtualservices.networking.istio.io -o yaml",
            ),
            ByHand::new(
                "listeners 15012 and 15017 that lead to istiod",
                "istioctl --context ${CTX_CLUSTER1} proxy-config listeners deploy/istio-eastwestgateway -n ${ISTIO_NAMESPACE}",
            ),
            ByHand::on_a_lab(
                "istiod's certificate, asked by a pod of the remote cluster",
                "kubectl --context ${CTX_CLUSTER2} -n meshproof-probe exec ds/probe -- /workload tls $(kubectl --context ${CTX_CLUSTER1} -n ${ISTIO_NAMESPACE} get service istio-eastwestgateway -o jsonpath='{.status.loadBalancer.ingress[0].ip}'):15012 --sni istiod${REVISION_SUFFIX}.${ISTIO_NAMESPACE}.svc",
            ),
        ],
    },
};

/// The ports of istiod for proxies and for webhooks, as the gateway exposes them and as its pods have them, with the
/// port of Service istiod that leads to each.
const PORTS: [(u64, u64, &str); 2] = [(15012, 15012, "proxies"), (15017, 443, "webhooks")];

async fn judge(context: &Context) -> Result<Evidence, Fault> {
    let mut evidence = Evidence::new();
    objects(context, &mut evidence).await?;
    let service = istiod::gateway(context).await?;
    let address = service
        .as_ref()
        .and_then(external_address)
        .ok_or_else(|| Fault::unknown("the gateway has no external address any more"))?;
    let root = root_of_primary(context).await?;
    for (port, _, whom) in PORTS {
        let own = own_certificates(context, port, &root, &mut evidence).await?;
        for pod in gateway_traffic::pods(context.primary()).await? {
            through_replica(context, &pod, port, &own, &root, &mut evidence).await?;
        }
        through_gateway(context, &format!("{address}:{port}"), whom, &own, &root, &mut evidence).await?;
    }
    Ok(evidence)
}

/// Judges the spec of an object by istiod's name: what it says, or what is wrong with it.
type Holds = fn(&Value, &str) -> Result<String, String>;

/// The two objects of the release's own file.
async fn objects(context: &Context, evidence: &mut Evidence) -> Result<(), Fault> {
    let primary = context.primary();
    let istio = &*primary.istio_namespace;
    let exposed = revision::exposed(&primary.revision);
    let asked: [(&str, &str, &str, Holds); 2] = [
        ("Gateway", "gateways", "istiod-gateway", passes_through),
        ("VirtualService", "virtualservices", &exposed, leads_to_istiod),
    ];
    for (kind, plural, name, holds) in asked {
        let object = primary.object(kind, &format!("{istio}/{name}"));
        let path = format!("/apis/networking.istio.io/v1/namespaces/{istio}/{plural}/{name}");
        let found = match raw(&primary.client, &path).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => Err("is not there".to_string()),
            Err(error) => return Err(primary.refused(format!("show {kind} {istio}/{name}"))(error).into()),
            Ok(found) => holds(&found["spec"], &primary.istiod()).map(|line| (line, found)),
        };
        match found {
            Ok((line, found)) => {
                evidence
                    .saw(&object, "metadata.uid", found["metadata"]["uid"].as_str().unwrap_or_default())
                    .saw(&object, "spec", line);
            }
            Err(why) => {
                return Err(Finding::new(format!("{object} {why}"))
                    .expected_got("ports 15012 and 15017 passed through to istiod", why)
                    .hint(revision::expose_command(
                        &format!("--context {}", primary.context_word()),
                        &primary.istio_namespace,
                        &primary.revision,
                    ))
                    .evidence(evidence)
                    .into());
            }
        }
    }
    Ok(())
}

/// Whether the spec of a Gateway passes TLS through on each port; in words either way.
fn passes_through(spec: &Value, _: &str) -> Result<String, String> {
    let mut words = Vec::new();
    for (port, _, _) in PORTS {
        let servers = spec["servers"].as_array().into_iter().flatten();
        let Some(server) = servers.into_iter().find(|server| server["port"]["number"] == port) else {
            return Err(format!("has no server on port {port}"));
        };
        let mode = server["tls"]["mode"].as_str().unwrap_or("absent");
        if mode != "PASSTHROUGH" {
            return Err(format!("has the TLS mode {mode} on port {port}, not PASSTHROUGH"));
        }
        words.push(format!("port {port} tls.mode {mode}"));
    }
    Ok(words.join(", "))
}

/// Whether the spec of a VirtualService leads each port to istiod; in words either way.
fn leads_to_istiod(spec: &Value, istiod: &str) -> Result<String, String> {
    let mut words = Vec::new();
    for (port, service_port, _) in PORTS {
        let matches =
            |route: &&Value| route["match"].as_array().is_some_and(|all| all.iter().any(|one| one["port"] == port));
        let Some(route) = spec["tls"].as_array().into_iter().flatten().find(matches) else {
            return Err(format!("has no TLS route for port {port}"));
        };
        let destination = &route["route"][0]["destination"];
        let host = destination["host"].as_str().unwrap_or("nowhere");
        let to = &destination["port"]["number"];
        if !host.starts_with(istiod) || *to != service_port {
            return Err(format!("leads port {port} to {host}:{to}, not to {istiod}.cluster.local:{service_port}"));
        }
        words.push(format!("port {port} to {host}:{to}"));
    }
    Ok(words.join(", "))
}

async fn shown(probe: &Probe, istiod: &str, target: &str, root: &str) -> Result<Tls, ProbeError> {
    probe.ask(&["tls", target, "--sni", istiod, "--root-pem", root]).await
}

/// The leaf certificate of a handshake that fits root and name; else what is wrong.
fn verified(tls: &Tls) -> Result<Certificate, String> {
    let Some(leaf) = tls.chain.first() else {
        return Err(tls.error.clone().unwrap_or_else(|| "no certificate was shown".to_string()));
    };
    match tls.verified {
        Some(true) => Ok(leaf.clone()),
        _ => {
            let why = tls.verify_error.clone().unwrap_or_else(|| "it was not verified".to_string());
            Err(format!("a certificate for {} of {}: {why}", leaf.dns.join(", "), leaf.issuer))
        }
    }
}

/// Fingerprint of what each replica itself shows in its own cluster, with the replica: each makes a certificate of its own.
type Own = BTreeMap<String, String>;

/// What the replicas show, each asked from its own node.
async fn own_certificates(context: &Context, port: u64, root: &str, evidence: &mut Evidence) -> Result<Own, Fault> {
    let primary = context.primary();
    let name = primary.istiod();
    let mut own = Own::new();
    for pod in istiod::pods(primary).await? {
        let object = istiod::object(primary, &pod.name_any());
        let Some(address) = pod.status.as_ref().and_then(|status| status.pod_ip.clone()) else { continue };
        let probe = Probe::beside(primary, &pod, &context.budgets).await?;
        match verified(&shown(&probe, &name, &format!("{address}:{port}"), root).await?) {
            Ok(leaf) => {
                evidence.saw(
                    &object,
                    format!("certificate on {address}:{port}, seen in {}", primary.name),
                    words(&leaf),
                );
                own.insert(leaf.sha256, object);
            }
            Err(why) => {
                return Err(Finding::new(format!("{object} shows no certificate of its own CA on port {port}"))
                    .expected_got(format!("a certificate for {name} that fits the root of {}", primary.name), why)
                    .evidence(evidence)
                    .into());
            }
        }
    }
    if own.is_empty() {
        return Err(Finding::new(format!("{} has no ready pod of istiod that could be exposed", primary.name))
            .expected_got("a ready pod app=istiod", "none")
            .evidence(evidence)
            .into());
    }
    Ok(own)
}

/// One pod of the gateway, asked from its own node, leads to every replica of istiod sooner or later.
async fn through_replica(
    context: &Context,
    pod: &Pod,
    port: u64,
    own: &Own,
    root: &str,
    evidence: &mut Evidence,
) -> Result<(), Fault> {
    let primary = context.primary();
    let (istio, name) = (&*primary.istio_namespace, primary.istiod());
    let object = istiod::object(primary, &pod.name_any());
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).unwrap_or_default();
    let address = pod.status.as_ref().and_then(|status| status.pod_ip.clone()).unwrap_or_default();
    let target = format!("{address}:{port}");
    let probe = Probe::beside(primary, pod, &context.budgets).await?;
    let met = Mutex::new(BTreeSet::new());
    let budget = context.budgets.converge() * times_to_meet(own.len());
    let wait = context.wait(format!("every istiod behind {object} at {target}"), budget);
    let found = wait
        .until(|| async {
            match shown(&probe, &name, &target, root).await.map(|tls| verified(&tls)) {
                Ok(Ok(leaf)) => {
                    let words = words(&leaf);
                    let Some(replica) = own.get(&leaf.sha256) else {
                        return Look::NotYet(format!("a certificate that no replica of istiod has: {words}"));
                    };
                    met.lock().expect("no look panics").insert(replica.clone());
                    match own.values().find(|replica| !met.lock().expect("no look panics").contains(*replica)) {
                        None => Look::Yes(()),
                        Some(other) => Look::NotYet(format!("{UNMET} {other}")),
                    }
                }
                Ok(Err(why)) => Look::NotYet(why),
                Err(error) => Look::unable(format!("the probe could not ask: {error}")),
            }
        })
        .await;
    let met: Vec<String> = met.into_inner().expect("no look panics").into_iter().collect();
    match found {
        Ok(()) => {
            let what = format!("leads {target} to, asked from its node {node}");
            evidence.saw(object, what, all_of(&met));
            Ok(())
        }
        Err(timeout) => {
            let cause = match timeout.last()?.strip_prefix(UNMET) {
                Some(replica) => {
                    format!("{object} of the east-west gateway on node {node} never leads to{replica} at port {port}")
                }
                None => format!(
                    "{object} of the east-west gateway on node {node} does not show istiod's certificate at {target}"
                ),
            };
            Err(Finding::new(cause)
                .expected_got(all_of(&own.values().collect::<Vec<_>>()), timeout.last()?)
                .hint(format!("see what this pod knows: istioctl --context {} proxy-config all -n {istio} {}; and the packet filters of node {node}", primary.context_word(), pod.name_any()))
                .evidence(evidence)
                .into())
        }
    }
}

/// How many times as long one may have to look until every one of so many replicas was met.
///
/// Envoy takes two by chance, and the one with fewer connections of these: the busiest is met only where it is both, by
/// one look in n². Of the looks that a budget has room for, one replica or two need only a part.
fn times_to_meet(replicas: usize) -> u32 {
    u32::try_from((replicas * replicas).div_ceil(4)).unwrap_or(u32::MAX).max(1)
}

/// How a look begins that has met all but one replica.
const UNMET: &str = "not yet met:";

/// The remote cluster sees istiod's own certificate through the gateway.
async fn through_gateway(
    context: &Context,
    target: &str,
    whom: &str,
    own: &Own,
    root: &str,
    evidence: &mut Evidence,
) -> Result<(), Fault> {
    let (primary, remote) = (context.primary(), context.remote());
    let (istio, name) = (&*primary.istio_namespace, primary.istiod());
    let probe = Probe::outside(remote, &context.budgets).await?;
    let wait = context.wait(format!("istiod's certificate at {target}"), context.budgets.converge());
    let found = wait
        .until(|| async {
            match shown(&probe, &name, target, root).await.map(|tls| verified(&tls)) {
                Ok(Ok(leaf)) if own.contains_key(&leaf.sha256) => Look::Yes(leaf),
                Ok(Ok(leaf)) => Look::NotYet(format!("a certificate that no replica of istiod has: {}", words(&leaf))),
                Ok(Err(why)) => Look::NotYet(why),
                Err(error) => Look::unable(format!("the probe could not ask: {error}")),
            }
        })
        .await;
    match found {
        Ok(leaf) => {
            evidence
                .saw(
                    probe.object(),
                    format!("certificate at {target}, for {whom}"),
                    format!("{}, of {}", words(&leaf), own[&leaf.sha256]),
                )
                .saw(probe.object(), format!("{target} verified by the root of {} for {name}", primary.name), true);
            Ok(())
        }
        Err(timeout) => Err(Finding::new(format!(
            "the gateway of {} does not show istiod's certificate to {} at {target}",
            primary.name, remote.name
        ))
        .expected_got(format!("the certificate of a replica of istiod, for {name}"), timeout.last()?)
        .hint(format!(
            "see the listeners of the gateway: istioctl --context {} proxy-config listeners -n {istio} deploy/{}",
            primary.context_word(),
            istiod::GATEWAY
        ))
        .evidence(evidence)
        .into()),
    }
}

fn words(leaf: &Certificate) -> String {
    format!("{} of {}, sha256 {}", leaf.dns.join(", "), leaf.issuer, leaf.sha256)
}

#[cfg(test)]
mod tests {
    use harness::lab::probe::{Certificate, Tls};
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::{leads_to_istiod, passes_through, times_to_meet, verified};

    #[rstest]
    fn the_busiest_replica_is_met_in_time(#[values(1, 2, 3, 5, 9)] replicas: u32) {
        // 30 s of looks, of which two fit into a second.
        let looks = 60 * times_to_meet(replicas as usize);
        let missed = (1.0 - f64::from(replicas * replicas).recip()).powf(f64::from(looks));
        assert!(missed < 1e-6, "{missed:e}");
    }

    fn server(port: u64, mode: &str) -> Value {
        json!({"port": {"number": port, "protocol": "tls"}, "tls": {"mode": mode}})
    }

    #[rstest]
    #[case::as_released(json!([server(15012, "PASSTHROUGH"), server(15017, "PASSTHROUGH")]), Ok("port 15012 tls.mode"))]
    #[case::ends_tls(json!([server(15012, "SIMPLE"), server(15017, "PASSTHROUGH")]), Err("mode SIMPLE on port 15012"))]
    #[case::no_webhooks(json!([server(15012, "PASSTHROUGH")]), Err("no server on port 15017"))]
    #[case::nothing(json!(null), Err("no server on port 15012"))]
    fn a_gateway_passes_both_ports_through(#[case] servers: Value, #[case] told: Result<&str, &str>) {
        match (passes_through(&json!({"servers": servers}), NAME), told) {
            (Ok(got), Ok(told)) | (Err(got), Err(told)) => assert!(got.contains(told), "{got}"),
            (got, told) => panic!("{got:?}, not {told:?}"),
        }
    }

    fn route(port: u64, host: &str, to: u64) -> Value {
        json!({"match": [{"port": port, "sniHosts": ["*"]}],
               "route": [{"destination": {"host": host, "port": {"number": to}}}]})
    }

    const NAME: &str = "istiod.istio-system.svc";
    const ISTIOD: &str = "istiod.istio-system.svc.cluster.local";

    #[rstest]
    #[case::as_released(json!([route(15012, ISTIOD, 15012), route(15017, ISTIOD, 443)]), Ok("to istiod.istio-system"))]
    #[case::another_port(json!([route(15012, ISTIOD, 15010), route(15017, ISTIOD, 443)]), Err("15012 to istiod"))]
    #[case::another_host(json!([route(15012, "echo", 15012), route(15017, ISTIOD, 443)]), Err("to echo:15012"))]
    #[case::no_webhooks(json!([route(15012, ISTIOD, 15012)]), Err("no TLS route for port 15017"))]
    fn a_virtual_service_leads_both_ports_to_istiod(#[case] routes: Value, #[case] told: Result<&str, &str>) {
        match (leads_to_istiod(&json!({"tls": routes}), NAME), told) {
            (Ok(got), Ok(told)) | (Err(got), Err(told)) => assert!(got.contains(told), "{got}"),
            (got, told) => panic!("{got:?}, not {told:?}"),
        }
    }

    #[rstest]
    #[case::fits(Some(true), true, true)]
    #[case::fits_not(Some(false), true, false)]
    #[case::was_not_judged(None, true, false)]
    #[case::shows_nothing(Some(true), false, false)]
    fn only_a_verified_certificate_counts(#[case] verdict: Option<bool>, #[case] shown: bool, #[case] counts: bool) {
        let chain = if shown { vec![Certificate::default()] } else { Vec::new() };
        let tls = Tls { verified: verdict, chain, ..Tls::default() };
        assert_eq!(verified(&tls).is_ok(), counts);
    }
}
