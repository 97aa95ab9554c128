//! The part of D7 that only reads: what istiod holds of every Service of the mesh, against the ready pods behind it.
//!
//! Pods come and go meanwhile: only what differs in the same way at every look is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use harness::check::{Evidence, Fault, Finding, Mesh};
use harness::lab::Cluster;
use harness::lab::cluster::pod_ready;
use harness::role::Role;
use harness::wait::Look;
use k8s_openapi::api::core::v1::{Namespace, Pod, Service};
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::Value;

use crate::shared::istiod;
use crate::shared::shards::{Shards, misplacements, shards_of};

/// So many names are written down of what was compared.
const NAMED: usize = 20;

/// A Service, by namespace and name.
type Name = (String, String);

/// What stands behind the Services of one name.
#[derive(Debug, Default)]
struct Behind {
    /// The ready pods of both clusters: addresses of each, and `cluster2 pod x/y`.
    pods: Vec<(Vec<String>, String)>,
    /// Clusters in which something else than Kubernetes says what is behind it.
    by_hand: BTreeSet<String>,
}

type Backed = BTreeMap<Name, Behind>;

/// Every replica of istiod holds exactly the ready pods behind each Service of each cluster.
///
/// # Errors
/// A finding that names the replica, the address and the Service.
pub async fn read(mesh: &Mesh) -> Result<Evidence, Fault> {
    mesh.wanted.discovery.as_ref().map_err(Clone::clone)?;
    let ids = [mesh.wanted.id(Role::Primary)?, mesh.wanted.id(Role::Remote)?];
    // What cannot be asked at all is not waited for.
    look(mesh).await?;
    let lasting: Mutex<Option<BTreeSet<String>>> = Mutex::default();
    let wait = mesh.wait("istiod to hold the pods behind every Service", mesh.budgets.endpoints());
    let held = wait.until(|| async {
        let (backed, pages) = match look(mesh).await {
            Ok(seen) => seen,
            Err(fault) => return fault.into(),
        };
        let wrong: BTreeSet<String> =
            pages.iter().flat_map(|(istiod, page)| differences(istiod, page, &backed, ids)).collect();
        let mut lasting = lasting.lock().unwrap_or_else(PoisonError::into_inner);
        let still = match lasting.take() {
            Some(before) => before.intersection(&wrong).cloned().collect(),
            None => wrong,
        };
        let first = still.first().cloned();
        *lasting = Some(still);
        first.map_or(Look::Yes((backed, pages)), Look::NotYet)
    });
    let (backed, pages) = match held.await {
        Ok(seen) => seen,
        Err(timeout) => {
            return Err(Finding::new(timeout.last()?)
                .expected_got("the ready pods of each cluster in its shard of /debug/endpointShardz", timeout.last()?)
                .hint(format!(
                    "see the EndpointSlices of that Service in that cluster, and istiod's log for errors of it: kubectl --context {} -n {} logs {}",
                    mesh.primary().context_word(),
                    mesh.primary().istio_namespace,
                    format_args!("deploy/{}", mesh.primary().revision.istiod()),
                ))
                .into());
        }
    };
    let mut evidence = Evidence::new();
    for role in Role::ALL {
        let id = mesh.wanted.id(role)?;
        let of_cluster = |pods: &[(Vec<String>, String)]| pods.iter().filter(|(_, pod)| is_of(pod, id)).count();
        let services: Vec<(&Name, usize)> = backed
            .iter()
            .map(|(name, behind)| (name, of_cluster(&behind.pods)))
            .filter(|(_, pods)| *pods > 0)
            .collect();
        // Nothing would be missed where there is nothing.
        if services.is_empty() {
            let called = mesh.cluster(role).called();
            return Err(Fault::unknown(format!("{called} has no Service with a ready pod, by which one could tell")));
        }
        let pods: usize = services.iter().map(|(_, pods)| pods).sum();
        let told = format!("{pods} endpoints of {} Services: {}", services.len(), some_of(&services));
        for (istiod, _) in &pages {
            evidence.saw(istiod, format!("/debug/endpointShardz, shard of {id}, as its ready pods are"), &told);
        }
    }
    Ok(evidence)
}

fn some_of(services: &[(&Name, usize)]) -> String {
    let names = services.iter().take(NAMED).map(|((namespace, name), pods)| format!("{namespace}/{name} ({pods})"));
    let more = services.len().saturating_sub(NAMED);
    let rest = (more > 0).then(|| format!("{more} more"));
    names.chain(rest).collect::<Vec<_>>().join(", ")
}

fn is_of(pod: &str, cluster: &str) -> bool {
    pod.starts_with(&format!("{cluster} "))
}

/// The Services with their pods, and what each ready replica of istiod holds.
async fn look(mesh: &Mesh) -> Result<(Backed, Vec<(String, Value)>), Fault> {
    let primary = mesh.primary();
    let mut backed = Backed::new();
    for role in Role::ALL {
        behind(mesh, mesh.cluster(role), &mut backed).await?;
    }
    let mut pages = Vec::new();
    for replica in istiod::replicas(primary).await? {
        let page = istiod::debug(primary, &replica, "/debug/endpointShardz").await?;
        pages.push((istiod::object(primary, &replica), page));
    }
    if pages.is_empty() {
        return Err(Fault::unknown(format!("{} has no ready pod of istiod", primary.called())));
    }
    Ok((backed, pages))
}

/// Adds the ready pods of one cluster behind each of its Services.
async fn behind(mesh: &Mesh, cluster: &Cluster, backed: &mut Backed) -> Result<(), Fault> {
    let all = ListParams::default();
    let (namespaces, services, pods) = futures::try_join!(
        async { cluster.all::<Namespace>().list(&all).await.map_err(cluster.refused("list namespaces")) },
        async { cluster.all::<Service>().list(&all).await.map_err(cluster.refused("list Services")) },
        async { cluster.all::<Pod>().list(&all).await.map_err(cluster.refused("list pods")) },
    )?;
    let looked_at: BTreeSet<String> =
        namespaces.iter().filter(|found| mesh.wanted.discovers(found.labels())).map(ResourceExt::name_any).collect();
    let ready: Vec<&Pod> = pods.iter().filter(|pod| is_ready(pod)).collect();
    for service in &services {
        let namespace = service.namespace().unwrap_or_default();
        if !looked_at.contains(&namespace) {
            continue;
        }
        let behind = backed.entry((namespace.clone(), service.name_any())).or_default();
        if !is_backed(service) {
            behind.by_hand.insert(cluster.name.clone());
            continue;
        }
        let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref());
        let fits = |pod: &Pod| {
            pod.namespace().as_ref() == Some(&namespace)
                && selector.into_iter().flatten().all(|(label, value)| pod.labels().get(label) == Some(value))
        };
        for pod in ready.iter().filter(|pod| fits(pod)) {
            behind.pods.push((addresses(pod), cluster.object("pod", &format!("{namespace}/{}", pod.name_any()))));
        }
    }
    Ok(())
}

/// Whether Kubernetes puts ready pods behind it, and no others.
fn is_backed(service: &Service) -> bool {
    service.spec.as_ref().is_some_and(|spec| {
        spec.selector.as_ref().is_some_and(|selector| !selector.is_empty())
            && spec.type_.as_deref() != Some("ExternalName")
            && spec.ports.as_ref().is_some_and(|ports| !ports.is_empty())
            && !spec.publish_not_ready_addresses.unwrap_or(false)
    })
}

fn is_ready(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_none() && pod_ready(pod) == Look::Yes(()) && !addresses(pod).is_empty()
}

fn addresses(pod: &Pod) -> Vec<String> {
    let status = pod.status.as_ref();
    let all = status.into_iter().flat_map(|status| status.pod_ips.iter().flatten().map(|ip| ip.ip.clone()));
    let all: Vec<String> = all.collect();
    if all.is_empty() { status.and_then(|status| status.pod_ip.clone()).into_iter().collect() } else { all }
}

/// What one replica holds otherwise than the pods are, a sentence each.
fn differences(istiod: &str, page: &Value, backed: &Backed, ids: [&str; 2]) -> Vec<String> {
    let mut all = Vec::new();
    for ((namespace, name), Behind { pods, by_hand }) in backed {
        // The end of the host is the domain of the cluster.
        let prefix = format!("{name}.{namespace}.svc.");
        let host = page.as_object().into_iter().flatten().find(|(host, _)| host.starts_with(&prefix));
        let mut shards = host.map_or(Shards::new(), |(_, page)| shards_of(&page[namespace]["Shards"], None));
        // The mesh may have more clusters.
        shards.retain(|cluster, _| ids.contains(&cluster.as_str()) && !by_hand.contains(cluster));
        let known: BTreeSet<&String> = shards.values().flatten().collect();
        let pods: BTreeMap<String, String> =
            pods.iter().flat_map(|(addresses, pod)| one_of(addresses, pod, &known)).collect();
        let wrong = misplacements(&pods, &shards);
        all.extend(wrong.into_iter().map(|what| format!("{istiod} {what} behind Service {namespace}/{name}")));
    }
    all
}

/// The addresses of a pod that istiod holds; its first where it holds none. A Service may have but one family of them.
fn one_of(addresses: &[String], pod: &str, known: &BTreeSet<&String>) -> Vec<(String, String)> {
    let held: Vec<&String> = addresses.iter().filter(|address| known.contains(address)).collect();
    let these = if held.is_empty() { addresses.iter().take(1).collect() } else { held };
    these.into_iter().map(|address| (address.clone(), pod.to_string())).collect()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Service;
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::{Backed, Behind, differences, is_backed};

    fn page(shards: Value) -> Value {
        let shards: serde_json::Map<String, Value> = shards
            .as_object()
            .into_iter()
            .flatten()
            .map(|(cluster, addresses)| {
                (format!("Kubernetes/{cluster}"), json!([{"EndpointPort": 8080, "Addresses": addresses}]))
            })
            .collect();
        json!({"echo.sample.svc.cluster.local": {"sample": {"Shards": shards}}})
    }

    #[rstest]
    #[case::as_they_are(json!({"a": ["10.1.0.1"], "b": ["10.2.0.1"]}), None)]
    #[case::of_the_other_family(json!({"a": ["10.1.0.1"], "b": ["fd00::2"]}), None)]
    #[case::with_a_third_cluster(json!({"a": ["10.1.0.1"], "b": ["10.2.0.1"], "c": ["10.3.0.1"]}), None)]
    #[case::one_is_missing(json!({"a": ["10.1.0.1"]}), Some("istiod does not hold endpoint 10.2.0.1 of b pod sample/y"))]
    #[case::nobodys(json!({"a": ["10.1.0.1"], "b": ["10.2.0.1", "10.2.0.9"]}), Some("istiod holds endpoint 10.2.0.9 in the shard of b"))]
    fn each_pod_behind_a_service_is_held_and_nothing_else(#[case] shards: Value, #[case] wrong: Option<&str>) {
        let pod = |ips: &[&str], name: &str| (ips.iter().map(|ip| ip.to_string()).collect(), name.to_string());
        let pods = vec![pod(&["10.1.0.1"], "a pod sample/x"), pod(&["10.2.0.1", "fd00::2"], "b pod sample/y")];
        let by_hand = Default::default();
        let backed = Backed::from([(("sample".to_string(), "echo".to_string()), Behind { pods, by_hand })]);
        let found = differences("istiod", &page(shards), &backed, ["a", "b"]);
        match wrong {
            None => assert_eq!(found, Vec::<String>::new()),
            Some(wrong) => assert!(found.len() == 1 && found[0].starts_with(wrong), "{found:?}"),
        }
    }

    #[test]
    fn what_is_put_behind_a_service_by_hand_is_not_compared() {
        let pods = vec![(vec!["10.1.0.1".to_string()], "a pod sample/x".to_string())];
        let behind = Behind { pods, by_hand: ["b".to_string()].into() };
        let backed = Backed::from([(("sample".to_string(), "echo".to_string()), behind)]);
        let page = page(json!({"a": ["10.1.0.1"], "b": ["192.0.2.7"]}));
        assert_eq!(differences("istiod", &page, &backed, ["a", "b"]), Vec::<String>::new());
    }

    #[test]
    fn a_service_that_istiod_does_not_know_is_missed() {
        let pods = vec![(vec!["10.1.0.1".to_string()], "a pod other/x".to_string())];
        let behind = Behind { pods, ..Behind::default() };
        let backed = Backed::from([(("other".to_string(), "echo".to_string()), behind)]);
        assert_eq!(differences("istiod", &page(json!({})), &backed, ["a", "b"]).len(), 1);
    }

    #[rstest]
    #[case::by_labels(json!({"selector": {"a": "b"}, "ports": [{"port": 80}]}), true)]
    #[case::by_hand(json!({"ports": [{"port": 80}]}), false)]
    #[case::elsewhere(json!({"selector": {"a": "b"}, "ports": [{"port": 80}], "type": "ExternalName"}), false)]
    #[case::before_they_are_ready(json!({"selector": {"a": "b"}, "ports": [{"port": 80}], "publishNotReadyAddresses": true}), false)]
    #[case::without_a_port(json!({"selector": {"a": "b"}}), false)]
    fn only_ready_pods_that_kubernetes_chose_can_be_compared(#[case] spec: Value, #[case] is: bool) {
        let service: Service = serde_json::from_value(json!({"spec": spec})).expect("a Service");
        assert_eq!(is_backed(&service), is);
    }
}
