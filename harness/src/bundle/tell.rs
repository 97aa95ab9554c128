//! What captured parts tell of the whole: ids, network, version and the number of proxies.

use std::collections::BTreeMap;

use serde_json::Value;

use super::shape::array;
use super::vote::{most, of_webhooks};
use super::{KnownCluster, path};
use crate::role::Role;

type Files = BTreeMap<String, Vec<Value>>;

/// The annotation by which a remote secret names its cluster.
const CLUSTER: &str = "networking.istio.io/cluster";

/// The label of a gateway that names its network.
const NETWORK: &str = "topology.istio.io/network";

/// Pods with a sidecar, and what their proxies were told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// How many, by namespace.
    pub by_namespace: BTreeMap<String, usize>,
    /// How many, by image.
    pub images: BTreeMap<String, usize>,
    /// How many, by the id of the cluster that they were told.
    pub clusters: BTreeMap<String, usize>,
    /// How many, by the network that they were told.
    pub networks: BTreeMap<String, usize>,
}

impl Proxies {
    /// Counts them among these pods.
    pub fn of(pods: &[Value]) -> Proxies {
        let mut counted = Proxies::default();
        let mut count = |map: fn(&mut Proxies) -> &mut BTreeMap<String, usize>, name: &str| {
            if !name.is_empty() {
                *map(&mut counted).entry(name.to_string()).or_default() += 1;
            }
        };
        for pod in pods {
            let spec = &pod["spec"];
            let mut all = array(&spec["initContainers"]).iter().chain(array(&spec["containers"]));
            let Some(proxy) = all.find(|container| container["name"] == "istio-proxy") else { continue };
            let told = |name: &str| {
                let variable = array(&proxy["env"]).iter().find(|variable| variable["name"] == name);
                variable.and_then(|variable| variable["value"].as_str()).unwrap_or_default().to_string()
            };
            count(|all| &mut all.by_namespace, pod["metadata"]["namespace"].as_str().unwrap_or_default());
            count(|all| &mut all.images, proxy["image"].as_str().unwrap_or_default());
            count(|all| &mut all.clusters, &told("ISTIO_META_CLUSTER_ID"));
            count(|all| &mut all.networks, &told("ISTIO_META_NETWORK"));
        }
        counted
    }
}

fn most_told(told: &BTreeMap<String, usize>) -> String {
    told.iter().max_by_key(|(_, count)| **count).map(|(name, _)| name.clone()).unwrap_or_default()
}

fn documents(files: &Files, role: Role, name: &str) -> Vec<Value> {
    files.get(&path(role, name)).cloned().unwrap_or_default()
}

/// What istiod says of the clusters that it knows.
pub fn known(page: &Value) -> Vec<KnownCluster> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let mut all: Vec<KnownCluster> = array(page)
        .iter()
        .map(|one| KnownCluster {
            id: text(&one["id"]),
            secret: text(&one["secretName"]),
            status: text(&one["syncStatus"]),
        })
        .collect();
    all.sort();
    all
}

/// The id of each cluster: what most of those say that name it. Nothing for one that nobody names.
pub fn ids(files: &Files, known: &[KnownCluster], proxies: &BTreeMap<Role, Proxies>) -> BTreeMap<Role, String> {
    let told = |role: Role| proxies.get(&role).map(|all| most_told(&all.clusters)).unwrap_or_default();
    let istiod = documents(files, Role::Primary, "deployments");
    let own = istiod.iter().filter_map(|istiod| variable(istiod, "CLUSTER_ID"));
    let values = documents(files, Role::Primary, "injection-values");
    let said = values.iter().filter_map(|all| Some(all["global"]["multiCluster"]["clusterName"].as_str()?.to_string()));
    let primary: Vec<String> = own.chain(said).chain([told(Role::Primary)]).collect();

    let webhooks = of_webhooks(&documents(files, Role::Remote, "webhooks"), "cluster");
    let secrets = documents(files, Role::Primary, "remote-secrets");
    let by_secret = secrets.iter().flat_map(|secret| {
        let annotation = secret["metadata"]["annotations"][CLUSTER].as_str().map(String::from);
        let keys = array(&secret["clusters"]).iter().filter_map(|one| Some(one["key"].as_str()?.to_string()));
        keys.chain(annotation)
            .chain(by_name(secret["metadata"]["name"].as_str().unwrap_or_default()))
            .collect::<Vec<_>>()
    });
    let by_istiod = known.iter().filter(|one| !one.secret.is_empty()).flat_map(|one| {
        let name = one.secret.rsplit('/').next().and_then(by_name);
        std::iter::once(one.id.clone()).chain(name).collect::<Vec<_>>()
    });
    // istiod only repeats what the secret says.
    let by_secret: Vec<String> = if secrets.is_empty() { by_istiod.collect() } else { by_secret.collect() };
    let remote: Vec<String> = webhooks.into_iter().chain(by_secret).chain([told(Role::Remote)]).collect();
    let voted = [(Role::Primary, most(&primary)), (Role::Remote, most(&remote))];
    voted.into_iter().filter_map(|(role, id)| Some((role, id?))).collect()
}

/// The cluster in the name that `istioctl create-remote-secret` gives.
fn by_name(secret: &str) -> Option<String> {
    secret.strip_prefix("istio-remote-secret-").map(String::from)
}

/// The network of both clusters; empty where nobody names one.
pub fn network(files: &Files, proxies: &BTreeMap<Role, Proxies>) -> String {
    let values = documents(files, Role::Primary, "injection-values");
    let said = values.iter().filter_map(|all| Some(all["global"]["network"].as_str()?.to_string()));
    let webhooks = of_webhooks(&documents(files, Role::Remote, "webhooks"), "net");
    let services = documents(files, Role::Primary, "services");
    let gateways = services.iter().filter_map(|one| Some(one["metadata"]["labels"][NETWORK].as_str()?.to_string()));
    let told = proxies.values().map(|all| most_told(&all.networks));
    most(&said.chain(webhooks).chain(gateways).chain(told).collect::<Vec<_>>()).unwrap_or_default()
}

/// The version of Istio, by the tag of istiod's image, else by that of the values; empty where neither is one.
pub fn istio(files: &Files) -> String {
    let by_image = by_image(files);
    if !by_image.is_empty() {
        return by_image;
    }
    let values = documents(files, Role::Primary, "injection-values");
    values.first().and_then(|all| all["global"]["tag"].as_str()).map(version_in).unwrap_or_default()
}

fn by_image(files: &Files) -> String {
    let istiods = documents(files, Role::Primary, "deployments");
    let image =
        istiods.iter().filter_map(discovery).find_map(|container| container["image"].as_str().map(String::from));
    let image = image.unwrap_or_default();
    let image = image.split('@').next().unwrap_or_default();
    let tag = image.rsplit('/').next().unwrap_or_default().split_once(':').map(|(_, tag)| tag).unwrap_or_default();
    version_in(tag)
}

/// `1.31.1` in `1.31.1-distroless`; empty where a tag does not begin with a version.
fn version_in(tag: &str) -> String {
    let version: String = tag.chars().take_while(|letter| letter.is_ascii_digit() || *letter == '.').collect();
    let parts = version.split('.').filter(|part| !part.is_empty()).count();
    if parts == 3 { version.trim_end_matches('.').to_string() } else { String::new() }
}

/// istiod's container.
pub fn discovery(istiod: &Value) -> Option<&Value> {
    array(&istiod["spec"]["template"]["spec"]["containers"]).iter().find(|container| container["name"] == "discovery")
}

/// The value of a variable of istiod.
pub fn variable(istiod: &Value, name: &str) -> Option<String> {
    let found = array(&discovery(istiod)?["env"]).iter().find(|variable| variable["name"] == name)?;
    Some(found["value"].as_str().unwrap_or_default().to_string())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::version_in;

    #[rstest]
    #[case("1.31.1", "1.31.1")]
    #[case("1.29.2-distroless", "1.29.2")]
    #[case("latest", "")]
    #[case("1.31", "")]
    #[case("1.31-alpha.0abc", "")]
    fn a_tag_begins_with_the_version(#[case] tag: &str, #[case] version: &str) {
        assert_eq!(version_in(tag), version);
    }
}
