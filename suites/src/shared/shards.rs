//! Endpoints as istiod holds them: one shard a cluster, on each replica.

use std::collections::{BTreeMap, BTreeSet};

use harness::check::{Context, Fault};
use serde_json::Value;

use super::istiod;

/// By cluster, the addresses that one replica of istiod holds for a service.
pub type Shards = BTreeMap<String, BTreeSet<String>>;

/// What each ready replica of istiod holds for this port of a service.
///
/// # Errors
/// [`Fault`] when a replica does not answer.
pub async fn shards(context: &Context, host: &str, namespace: &str, port: u64) -> Result<Vec<(String, Shards)>, Fault> {
    let primary = context.primary();
    let mut all = Vec::new();
    for replica in istiod::replicas(primary).await? {
        let page = istiod::debug(primary, &replica, "/debug/endpointShardz").await?;
        all.push((istiod::object(primary, &replica), shards_of(&page[host][namespace]["Shards"], Some(port))));
    }
    Ok(all)
}

/// What a page holds for one Service: at this port of its pods, or at any.
pub fn shards_of(page: &Value, port: Option<u64>) -> Shards {
    let mut shards = Shards::new();
    for (shard, endpoints) in page.as_object().into_iter().flatten() {
        // The key is `Kubernetes/cluster1`.
        let cluster = shard.rsplit('/').next().unwrap_or(shard).to_string();
        let held = shards.entry(cluster).or_default();
        let at_port = |endpoint: &&Value| port.is_none_or(|port| endpoint["EndpointPort"] == port);
        for endpoint in endpoints.as_array().into_iter().flatten().filter(at_port) {
            let addresses = endpoint["Addresses"].as_array().into_iter().flatten();
            held.extend(addresses.filter_map(|address| address.as_str()).map(str::to_string));
        }
    }
    shards
}

/// The pods, as address and `cluster2 pod x/y`, whose address is not in the shard of their cluster.
fn unknown<'a>(pods: &'a BTreeMap<String, String>, shards: &Shards) -> impl Iterator<Item = (&'a String, &'a String)> {
    pods.iter().filter(|(ip, pod)| {
        let cluster = pod.split(' ').next().unwrap_or_default();
        !shards.get(cluster).is_some_and(|held| held.contains(*ip))
    })
}

/// The first pod whose address is not in the shard of its cluster.
pub fn unknown_to_istiod<'a>(pods: &'a BTreeMap<String, String>, shards: &Shards) -> Option<(&'a String, &'a String)> {
    unknown(pods, shards).next()
}

/// What one replica holds otherwise than the pods are, each as the end of a sentence that begins with the replica; none
/// where it holds each in the shard of its own cluster, and nothing else.
pub fn misplacements(pods: &BTreeMap<String, String>, shards: &Shards) -> Vec<String> {
    let missing = unknown(pods, shards).map(|(ip, pod)| format!("does not hold endpoint {ip} of {pod}"));
    let extra = shards.iter().flat_map(|(cluster, held)| {
        let own = move |ip: &&String| pods.get(*ip).is_some_and(|pod| pod.starts_with(&format!("{cluster} ")));
        held.iter().filter(move |ip| !own(ip)).map(move |ip| {
            let whose = pods.get(ip).map_or("no ready pod's", String::as_str);
            format!("holds endpoint {ip} in the shard of {cluster}, which is {whose}")
        })
    });
    missing.chain(extra).collect()
}

/// The first of [`misplacements`].
pub fn misplaced(pods: &BTreeMap<String, String>, shards: &Shards) -> Option<String> {
    misplacements(pods, shards).into_iter().next()
}

/// The first replica that holds something otherwise than the pods are, and how; see [`misplaced`].
pub fn wrong(pods: &BTreeMap<String, String>, replicas: &[(String, Shards)]) -> Option<String> {
    replicas.iter().find_map(|(istiod, shards)| Some(format!("{istiod} {}", misplaced(pods, shards)?)))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::{misplaced, shards_of, unknown_to_istiod};

    #[rstest]
    #[case::both(json!({"Kubernetes/cluster1": ["10.10.0.8"], "Kubernetes/cluster2": ["10.20.0.6"]}), None)]
    #[case::no_shard(json!({"Kubernetes/cluster1": ["10.10.0.8"]}), Some("10.20.0.6"))]
    #[case::empty_shard(json!({"Kubernetes/cluster1": ["10.10.0.8"], "Kubernetes/cluster2": []}), Some("10.20.0.6"))]
    #[case::the_wrong_shard(json!({"Kubernetes/cluster1": ["10.10.0.8", "10.20.0.6"]}), Some("10.20.0.6"))]
    fn each_pod_must_be_in_the_shard_of_its_cluster(#[case] held: serde_json::Value, #[case] expected: Option<&str>) {
        let shards: serde_json::Map<_, _> = held
            .as_object()
            .into_iter()
            .flatten()
            .map(|(shard, addresses)| (shard.clone(), json!([{"EndpointPort": 8080, "Addresses": addresses}])))
            .collect();
        let pod = |ip: &str, name: &str| (ip.to_string(), name.to_string());
        let pods = [pod("10.10.0.8", "cluster1 pod sample/a"), pod("10.20.0.6", "cluster2 pod sample/b")].into();
        assert_eq!(
            unknown_to_istiod(&pods, &shards_of(&json!(shards), Some(8080))).map(|(ip, _)| ip.as_str()),
            expected
        );
    }

    #[rstest]
    #[case::each_in_its_own(&[("cluster1", "10.10.0.8"), ("cluster2", "10.20.0.6")], None)]
    #[case::in_the_other_too(&[("cluster1", "10.10.0.8"), ("cluster2", "10.20.0.6"), ("cluster2", "10.10.0.8")], Some("in the shard of cluster2, which is cluster1 pod sample/a"))]
    #[case::nobodys(&[("cluster1", "10.10.0.8"), ("cluster1", "192.0.2.7"), ("cluster2", "10.20.0.6")], Some("which is no ready pod's"))]
    #[case::missing(&[("cluster1", "10.10.0.8")], Some("does not hold endpoint 10.20.0.6 of cluster2 pod"))]
    fn a_shard_holds_the_pods_of_its_cluster_alone(#[case] held: &[(&str, &str)], #[case] says: Option<&str>) {
        let mut shards = super::Shards::new();
        for (cluster, ip) in held {
            shards.entry(cluster.to_string()).or_default().insert(ip.to_string());
        }
        let pod = |ip: &str, name: &str| (ip.to_string(), name.to_string());
        let pods = [pod("10.10.0.8", "cluster1 pod sample/a"), pod("10.20.0.6", "cluster2 pod sample/b")].into();
        let said = misplaced(&pods, &shards);
        match says {
            None => assert_eq!(said, None),
            Some(says) => assert!(said.as_ref().is_some_and(|said| said.contains(says)), "{said:?}"),
        }
    }
}
