//! Clusters, networks and addresses that follow from a scenario and from what the host has taken already.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

pub use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::per_cluster::{Named, PerCluster};
use crate::problem::{Problem, Problems, all_of};
use crate::role::Role;
use crate::scenario::{ClusterWish, Scenario, cluster_fields, is_one, one};

/// The lab as it will be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Topology {
    /// The lab's name.
    pub lab: String,
    /// The Docker network that all clusters share.
    pub network: NetworkPlan,
    /// One entry a cluster.
    pub clusters: PerCluster<ClusterPlan>,
}

/// The Docker network of a lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkPlan {
    /// Its Docker name.
    pub name: String,
    /// All its addresses.
    pub subnet: Ipv4Net,
    /// The half from which Docker gives addresses to nodes.
    pub nodes: Ipv4Net,
    /// The half from which the harness gives addresses to gateways.
    pub gateways: Ipv4Net,
}

/// One kind cluster of a lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterPlan {
    /// Istio's name for it: `cluster1`.
    pub name: String,
    /// kind's name for it, with the lab's name in it: `meshproof-cluster1`.
    pub kind_name: String,
    /// Its kube context, `kind-` and kind's name.
    pub context: String,
    /// Addresses of its pods.
    pub pod_subnet: Ipv4Net,
    /// Addresses of its services.
    pub service_subnet: Ipv4Net,
    /// Its nodes: one control plane, the others workers.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub nodes: u32,
}

impl Named for ClusterPlan {
    fn name(&self) -> &str {
        &self.name
    }
}

impl ClusterPlan {
    /// kind's names for its nodes, the control plane first.
    pub fn node_names(&self) -> Vec<String> {
        let workers = (1..self.nodes).map(|number| match number {
            1 => format!("{}-worker", self.kind_name),
            more => format!("{}-worker{more}", self.kind_name),
        });
        std::iter::once(format!("{}-control-plane", self.kind_name)).chain(workers).collect()
    }
}

/// A subnet that this host uses already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The addresses.
    pub net: Ipv4Net,
    /// Who has them, for people: `Docker network bridge`, `route of eth0`.
    pub by: String,
}

impl Taken {
    /// These addresses, which this one has.
    pub fn new(net: Ipv4Net, by: impl Into<String>) -> Self {
        Taken { net, by: by.into() }
    }
}

impl Topology {
    /// The plan of the cluster with this role.
    pub fn cluster(&self, role: Role) -> &ClusterPlan {
        &self.clusters[&role]
    }

    /// Subnets of pods and services, which no host and no other lab can see.
    pub fn inner_subnets(&self) -> Vec<Ipv4Net> {
        self.clusters.values().flat_map(|cluster| [cluster.pod_subnet, cluster.service_subnet]).collect()
    }

    /// Whether any address of this lab is among these.
    pub fn clashes(&self, taken: &[Taken]) -> bool {
        let mut own = self.inner_subnets();
        own.push(self.network.subnet);
        own.iter().any(|net| taken.iter().any(|taken| overlap(taken.net, *net)))
    }

    /// Names and addresses for a scenario on a host with these addresses taken; the same for the same input.
    ///
    /// Subnets that the scenario gives are kept, and a clash with the host is a problem at a place such as
    /// `clusters.primary.podSubnet`; the others are chosen so that they clash with nothing.
    pub fn choose(scenario: &Scenario, taken: &[Taken]) -> Result<Topology, Problems> {
        let mut problems = Problems::new();
        let mut used: Vec<Ipv4Net> = taken.iter().map(|taken| taken.net).collect();
        let paths = cluster_fields(scenario);
        for (wish, path) in scenario.clusters.values().zip(&paths) {
            for (field, net) in [("podSubnet", wish.pod_subnet), ("serviceSubnet", wish.service_subnet)] {
                let Some(net) = net else { continue };
                let owners = owners(net, taken);
                if !owners.is_empty() {
                    let host: Vec<Ipv4Net> = taken.iter().map(|taken| taken.net).collect();
                    let instead = match free_subnet(net.prefix_len(), &host) {
                        Some(free) => format!("a free subnet, such as `{free}`; or leave it out, and one is chosen"),
                        None => "leave it out, and one is chosen".to_string(),
                    };
                    let message = format!("`{net}` is taken on this host: {}", all_of(&owners));
                    problems.push(format!("{path}.{field}"), message, instead);
                }
                used.push(net);
            }
            problems.0.extend(too_small(path, wish));
        }
        if let Some(address) = scenario.gateway.address {
            problems.0.extend(taken_around(address, taken, &used));
            used.push(NetworkPlan::around(address));
        }
        let mut choice = Choice::make(scenario, &used, 16);
        if !choice.missing.is_empty() {
            // On a crowded host smaller subnets are large enough for a lab.
            choice = Choice::make(scenario, &used, 20);
        }
        if !choice.missing.is_empty() {
            let mut owners: Vec<String> = taken.iter().map(|taken| format!("{} ({})", taken.by, taken.net)).collect();
            owners.sort();
            owners.dedup();
            problems.push(
                "the host",
                format!("no private subnet is free for {}", all_of(&choice.missing)),
                format!("fewer networks on this host: it has {}", all_of(&owners)),
            );
        }
        problems.or(())?;
        let subnets = choice.pods.iter().zip(&choice.services);
        let mut plans = scenario.clusters.values().zip(subnets).map(|(wish, (pod_subnet, service_subnet))| {
            let (name, nodes) = (wish.name.clone(), wish.nodes);
            let kind_name = format!("{}-{name}", scenario.lab);
            let context = format!("kind-{kind_name}");
            ClusterPlan { name, kind_name, context, pod_subnet: *pod_subnet, service_subnet: *service_subnet, nodes }
        });
        let primary = plans.next().expect("a scenario has a primary");
        Ok(Topology {
            lab: scenario.lab.clone(),
            network: NetworkPlan::new(network_name(&scenario.lab), choice.network),
            clusters: PerCluster::new(primary, plans.collect()),
        })
    }
}

/// What is wrong with a given pod subnet that has not room for all nodes: kubeadm gives each a /24 of it.
fn too_small(path: &str, wish: &ClusterWish) -> Option<Problem> {
    let net = wish.pod_subnet?;
    let room = 1u32 << 24u8.saturating_sub(net.prefix_len());
    (wish.nodes > room).then(|| {
        let larger = 24 - u8::try_from(wish.nodes.next_power_of_two().trailing_zeros()).unwrap_or(4);
        let message = format!("`{net}` has room for {room} nodes, and {} has {}", wish.name, wish.nodes);
        Problem::new(format!("{path}.podSubnet"), message, format!("a /{larger}: each node takes a /24"))
    })
}

/// Who on this host has addresses of this subnet, for people.
fn owners(net: Ipv4Net, taken: &[Taken]) -> Vec<String> {
    let owners = taken.iter().filter(|taken| overlap(taken.net, net));
    let owners: BTreeSet<String> = owners.map(|taken| format!("{} ({})", taken.by, taken.net)).collect();
    owners.into_iter().collect()
}

/// What is wrong with a given address of the gateway where the host has some of the network around it.
fn taken_around(address: Ipv4Addr, taken: &[Taken], used: &[Ipv4Net]) -> Option<Problem> {
    let net = NetworkPlan::around(address);
    let owners = owners(net, taken);
    if owners.is_empty() {
        return None;
    }
    let free = docker_networks().find(|net| !used.iter().any(|used| overlap(*used, *net)))?;
    let [a, b, c, _] = free.network().octets();
    let free = Ipv4Addr::new(a, b, c, address.octets()[3]);
    let message = format!("the lab's network around `{address}`, {net}, is taken on this host: {}", all_of(&owners));
    let instead = format!("an address that is free, such as `{free}`; or leave it out, and one is chosen");
    Some(Problem::new("gateway.address", message, instead))
}

impl NetworkPlan {
    /// The subnet of a lab whose gateway has this address.
    pub fn around(address: Ipv4Addr) -> Ipv4Net {
        Ipv4Net::new_assert(address, DOCKER_NETWORK).trunc()
    }

    /// A network of this subnet: the lower half for nodes, the upper half for gateways.
    pub fn new(name: String, subnet: Ipv4Net) -> Self {
        let half = subnet.prefix_len() + 1;
        let nodes = Ipv4Net::new_assert(subnet.network(), half);
        let gateways = Ipv4Net::new_assert(subnet.broadcast(), half).trunc();
        NetworkPlan { name, subnet, nodes, gateways }
    }
}

/// The Docker network of a lab of this name.
pub fn network_name(lab: &str) -> String {
    format!("meshproof-{lab}")
}

/// A private subnet of this length that overlaps none of these.
pub fn free_subnet(length: u8, taken: &[Ipv4Net]) -> Option<Ipv4Net> {
    let fits = |net: &Ipv4Net| !taken.iter().any(|taken| overlap(*taken, *net));
    subnets(POD_FIRST, length).find(fits)
}

/// The first choice of the second octet in 10.0.0.0/8 for the primary; each further cluster begins [`FURTHER`] later.
const POD_FIRST: u8 = 10;
const SERVICE_FIRST: u8 = 110;
const FURTHER: u8 = 10;

/// The length of the subnet of a Docker network.
const DOCKER_NETWORK: u8 = 24;

/// A stand-in where nothing is free; the problem that says so keeps it from being used.
const NOTHING: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 16);

/// One try to find room for everything.
struct Choice {
    used: Vec<Ipv4Net>,
    missing: Vec<String>,
    pods: Vec<Ipv4Net>,
    services: Vec<Ipv4Net>,
    network: Ipv4Net,
}

impl Choice {
    fn make(scenario: &Scenario, used: &[Ipv4Net], length: u8) -> Choice {
        let (used, missing) = (used.to_vec(), Vec::new());
        let mut choice = Choice { used, missing, pods: Vec::new(), services: Vec::new(), network: NOTHING };
        let each = |first| scenario.clusters.values().zip((first..=u8::MAX).step_by(usize::from(FURTHER)));
        for (wish, first) in each(POD_FIRST) {
            let pods = choice.keep_or_take(wish.pod_subnet, &format!("pods of {}", wish.name), subnets(first, length));
            choice.pods.push(pods);
        }
        for (wish, first) in each(SERVICE_FIRST) {
            let what = format!("services of {}", wish.name);
            let services = choice.keep_or_take(wish.service_subnet, &what, subnets(first, length));
            choice.services.push(services);
        }
        choice.network = match scenario.gateway.address {
            Some(address) => NetworkPlan::around(address),
            None => choice.take("the Docker network", docker_networks()),
        };
        choice
    }

    fn keep_or_take(&mut self, given: Option<Ipv4Net>, what: &str, from: impl Iterator<Item = Ipv4Net>) -> Ipv4Net {
        given.unwrap_or_else(|| self.take(what, from))
    }

    fn take(&mut self, what: &str, mut from: impl Iterator<Item = Ipv4Net>) -> Ipv4Net {
        match from.find(|net| !self.used.iter().any(|used| overlap(*used, *net))) {
            Some(net) => {
                self.used.push(net);
                net
            }
            None => {
                self.missing.push(what.to_string());
                NOTHING
            }
        }
    }
}

/// Private subnets of this length, in the order in which they are tried: from this second octet of 10.0.0.0/8 on.
fn subnets(first: u8, length: u8) -> impl Iterator<Item = Ipv4Net> {
    let ten = (first..=255).chain(0..first).map(|octet| [10, octet]);
    // 172.30 is for Docker networks, so it comes last.
    let more = [31, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 30].map(|octet| [172, octet]);
    ten.chain(more)
        .chain([[192, 168]])
        .map(|[a, b]| Ipv4Net::new_assert([a, b, 0, 0].into(), 16))
        .flat_map(move |net| net.subnets(length.max(16)).into_iter().flatten())
}

/// Every /24 that may become a Docker network, in the order in which they are tried.
fn docker_networks() -> impl Iterator<Item = Ipv4Net> {
    let spaces = [[172, 30], [172, 31], [172, 29], [172, 28], [192, 168], [10, 30], [10, 200]];
    spaces
        .into_iter()
        .flat_map(|[a, b]| (0..=255).map(move |c| Ipv4Net::new_assert([a, b, c, 0].into(), DOCKER_NETWORK)))
        .chain(subnets(0, DOCKER_NETWORK))
}

/// Whether these subnets share addresses.
pub(crate) fn overlap(one: Ipv4Net, other: Ipv4Net) -> bool {
    one.contains(&other) || other.contains(&one)
}
