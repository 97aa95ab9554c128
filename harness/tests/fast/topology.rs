//! Names and addresses follow from a scenario and from what the host has taken, and clash with nothing.

use bollard::models::{Ipam, IpamConfig, Network};
use harness::lab::engine::taken_by;
use harness::lab::load_balancer;
use harness::role::Role;
use harness::scenario::Scenario;
use harness::topology::{Taken, Topology};
use harness::versions::Versions;
use ipnet::Ipv4Net;
use rstest::rstest;

fn scenario() -> Scenario {
    let versions = "[defaults]\nkubernetes = \"v1\"\nistio = \"1\"\n[kubernetes.v1]\n[istio.1]\n";
    Scenario::default_primary_remote(&Versions::parse(versions).unwrap())
}

fn net(text: &str) -> Ipv4Net {
    text.parse().unwrap()
}

fn taken(nets: &[&str]) -> Vec<Taken> {
    nets.iter().map(|text| Taken::new(net(text), "route of eth0")).collect()
}

fn all(topology: &Topology) -> Vec<Ipv4Net> {
    let clusters = topology.clusters.values().flat_map(|cluster| [cluster.pod_subnet, cluster.service_subnet]);
    clusters.chain([topology.network.subnet]).collect()
}

fn overlap(one: &Ipv4Net, other: &Ipv4Net) -> bool {
    one.contains(other) || other.contains(one)
}

#[test]
fn an_empty_host_gets_the_preferred_addresses() {
    let topology = Topology::choose(&scenario(), &[]).unwrap();
    let (primary, remote) = (topology.cluster(Role::Primary), topology.cluster(Role::Remote));
    assert_eq!(primary.pod_subnet, net("10.10.0.0/16"));
    assert_eq!(primary.service_subnet, net("10.110.0.0/16"));
    assert_eq!(remote.pod_subnet, net("10.20.0.0/16"));
    assert_eq!(remote.service_subnet, net("10.120.0.0/16"));
    assert_eq!(topology.network.subnet, net("172.30.0.0/24"));
    assert_eq!(topology.network.nodes, net("172.30.0.0/25"));
    assert_eq!(topology.network.gateways, net("172.30.0.128/25"));
}

#[test]
fn names_carry_the_lab() {
    let topology = Topology::choose(&Scenario { lab: "mine".to_string(), ..scenario() }, &[]).unwrap();
    let remote = topology.cluster(Role::Remote);
    assert_eq!(topology.network.name, "meshproof-mine");
    assert_eq!((remote.name.as_str(), remote.kind_name.as_str()), ("cluster2", "mine-cluster2"));
    assert_eq!(remote.context, "kind-mine-cluster2");
    let default = Topology::choose(&scenario(), &[]).unwrap();
    assert_eq!(default.cluster(Role::Primary).kind_name, "meshproof-cluster1");
}

#[rstest]
#[case::nothing(&[])]
#[case::dockers_own(&["172.17.0.0/16", "192.0.2.0/24"])]
#[case::one_of_each_preferred(&["10.10.3.0/24", "10.20.0.0/16", "10.110.0.0/20", "10.120.9.1/32", "172.30.0.0/25"])]
#[case::a_vpn_over_ten(&["10.0.0.0/8"])]
#[case::the_whole_of_172_30(&["172.30.0.0/16"])]
#[case::all_but_ten(&["172.16.0.0/12", "192.168.0.0/16"])]
#[case::all_but_one_16(&["10.0.0.0/8", "172.16.0.0/12"])]
#[case::all_but_four_in_172(&["10.0.0.0/8", "192.168.0.0/16", "172.16.0.0/13", "172.24.0.0/14"])]
fn what_is_chosen_clashes_with_nothing(#[case] nets: &[&str]) {
    let taken = taken(nets);
    let topology = Topology::choose(&scenario(), &taken).unwrap();
    assert_eq!(topology, Topology::choose(&scenario(), &taken).unwrap(), "the choice is the same every time");
    let chosen = all(&topology);
    for (index, one) in chosen.iter().enumerate() {
        let clash = taken.iter().find(|taken| overlap(&taken.net, one));
        assert!(clash.is_none(), "{one} clashes with {clash:?}");
        let clash = chosen[index + 1..].iter().find(|other| overlap(one, other));
        assert!(clash.is_none(), "{one} clashes with {clash:?}");
    }
    let private = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"].map(net);
    assert!(chosen.iter().all(|one| private.iter().any(|space| space.contains(one))), "{chosen:?}");
}

#[test]
fn given_subnets_are_kept_and_avoided() {
    let mut scenario = scenario();
    scenario.clusters.get_mut(&Role::Remote).unwrap().service_subnet = Some(net("10.10.64.0/20"));
    scenario.clusters.get_mut(&Role::Remote).unwrap().pod_subnet = Some(net("172.30.0.0/16"));
    let topology = Topology::choose(&scenario, &[]).unwrap();
    assert_eq!(topology.cluster(Role::Remote).service_subnet, net("10.10.64.0/20"));
    assert_eq!(topology.cluster(Role::Primary).pod_subnet, net("10.11.0.0/16"));
    assert_eq!(topology.network.subnet, net("172.31.0.0/24"));
}

#[test]
fn the_network_is_chosen_around_the_address_of_the_gateway() {
    let mut scenario = scenario();
    scenario.gateway.address = Some([10, 20, 7, 200].into());
    let topology = Topology::choose(&scenario, &taken(&["172.30.0.0/16"])).unwrap();
    assert_eq!(topology.network.subnet, net("10.20.7.0/24"));
    assert!(topology.network.gateways.contains(&scenario.gateway.address.unwrap()));
    assert_eq!(load_balancer::address(&topology.network, &scenario), scenario.gateway.address.unwrap());
    assert_eq!(topology.cluster(Role::Remote).pod_subnet, net("10.21.0.0/16"), "pods give way");
}

#[test]
fn a_gateway_whose_network_the_host_has_is_refused_with_its_owner() {
    let mut scenario = scenario();
    scenario.gateway.address = Some([172, 30, 0, 200].into());
    let taken = [Taken::new(net("172.30.0.0/24"), "Docker network other")];
    let problems = Topology::choose(&scenario, &taken).unwrap_err().0;
    let shown: Vec<(&str, &str)> = problems.iter().map(|p| (p.place.as_str(), p.message.as_str())).collect();
    let message = "the lab's network around `172.30.0.200`, 172.30.0.0/24, is taken on this host: Docker network other (172.30.0.0/24)";
    assert_eq!(shown, [("gateway.address", message)]);
    assert!(problems[0].instead.contains("`172.30.1.200`"), "{}", problems[0].instead);
}

#[test]
fn every_given_subnet_that_the_host_has_is_named_with_its_owner() {
    let mut scenario = scenario();
    scenario.clusters.get_mut(&Role::Primary).unwrap().pod_subnet = Some(net("172.17.0.0/16"));
    scenario.clusters.get_mut(&Role::Remote).unwrap().service_subnet = Some(net("10.0.0.0/16"));
    let taken =
        [Taken::new(net("172.17.0.0/16"), "Docker network bridge"), Taken::new(net("10.0.7.0/24"), "route of wg0")];
    let problems = Topology::choose(&scenario, &taken).unwrap_err().0;
    let shown: Vec<(&str, &str)> = problems.iter().map(|p| (p.place.as_str(), p.message.as_str())).collect();
    assert_eq!(
        shown,
        [
            (
                "clusters.primary.podSubnet",
                "`172.17.0.0/16` is taken on this host: Docker network bridge (172.17.0.0/16)"
            ),
            ("clusters.remote.serviceSubnet", "`10.0.0.0/16` is taken on this host: route of wg0 (10.0.7.0/24)"),
        ]
    );
    assert!(problems[0].instead.contains("`10.10.0.0/16`"), "{}", problems[0].instead);
}

#[test]
fn a_host_without_room_is_told_what_is_missing_and_who_has_it() {
    let problems =
        Topology::choose(&scenario(), &taken(&["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"])).unwrap_err().0;
    assert_eq!(problems.len(), 1);
    assert_eq!(
        problems[0].message,
        "no private subnet is free for pods of cluster1, pods of cluster2, services of cluster1, services of cluster2 \
         and the Docker network"
    );
    assert!(problems[0].instead.contains("route of eth0 (172.16.0.0/12)"), "{}", problems[0].instead);
}

#[rstest]
#[case::one(1, &["meshproof-cluster1-control-plane"])]
#[case::three(3, &["meshproof-cluster1-control-plane", "meshproof-cluster1-worker", "meshproof-cluster1-worker2"])]
fn nodes_have_the_names_that_kind_gives_them(#[case] nodes: u32, #[case] names: &[&str]) {
    let mut scenario = scenario();
    scenario.clusters.get_mut(&Role::Primary).unwrap().nodes = nodes;
    let topology = Topology::choose(&scenario, &[]).unwrap();
    assert_eq!(topology.cluster(Role::Primary).node_names(), names);
    assert_eq!(topology.cluster(Role::Remote).node_names().len(), 1, "each cluster has its own number");
}

#[rstest]
#[case::four_fit(4, None)]
#[case::five_do_not(5, Some("`10.10.0.0/22` has room for 4 nodes, and cluster1 has 5"))]
fn a_pod_subnet_without_room_for_all_nodes_is_named(#[case] nodes: u32, #[case] said: Option<&str>) {
    let mut scenario = scenario();
    let wish = scenario.clusters.get_mut(&Role::Primary).unwrap();
    (wish.nodes, wish.pod_subnet) = (nodes, Some(net("10.10.0.0/22")));
    let problems = Topology::choose(&scenario, &[]).err().unwrap_or_default().0;
    assert_eq!(problems.first().map(|problem| problem.message.as_str()), said);
    if let Some(problem) = problems.first() {
        assert_eq!(
            (problem.place.as_str(), problem.instead.as_str()),
            ("clusters.primary.podSubnet", "a /21: each node takes a /24")
        );
    }
}

/// A network as the engine lists it.
fn network(name: &str, subnet: &str, labels: &[(&str, &str)]) -> Network {
    Network {
        name: Some(name.to_string()),
        ipam: Some(Ipam {
            config: Some(vec![IpamConfig { subnet: Some(subnet.to_string()), ..Default::default() }]),
            ..Default::default()
        }),
        labels: Some(labels.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()),
        ..Default::default()
    }
}

#[test]
fn a_second_lab_keeps_out_of_the_pods_and_services_of_the_first() {
    let first = Topology::choose(&scenario(), &[]).unwrap();
    let inner: Vec<String> = first.inner_subnets().iter().map(ToString::to_string).collect();
    let labels = [("io.meshproof.lab", "first"), ("io.meshproof.subnets", &inner.join(","))];
    let taken = taken_by(&network("meshproof-first", &first.network.subnet.to_string(), &labels));
    assert_eq!(taken.len(), 5, "its network, and pods and services of two clusters: {taken:?}");
    assert!(first.clashes(&taken));
    let second = Topology::choose(&Scenario { lab: "second".to_string(), ..scenario() }, &taken).unwrap();
    assert!(!second.clashes(&taken), "{second:?}");
    let nets = [all(&first), all(&second)].concat();
    for (index, one) in nets.iter().enumerate() {
        assert!(nets[index + 1..].iter().all(|other| !overlap(one, other)), "{one} of {nets:?}");
    }
}

#[test]
fn a_given_subnet_that_another_lab_has_is_refused_with_its_name() {
    let mut scenario = scenario();
    scenario.clusters.get_mut(&Role::Primary).unwrap().pod_subnet = Some(net("10.10.0.0/16"));
    let labels = [("io.meshproof.lab", "first"), ("io.meshproof.subnets", "10.10.0.0/16,10.110.0.0/16")];
    let taken = taken_by(&network("meshproof-first", "172.30.0.0/24", &labels));
    let problems = Topology::choose(&scenario, &taken).unwrap_err().0;
    assert_eq!(
        problems[0].message,
        "`10.10.0.0/16` is taken on this host: pods or services of lab first (10.10.0.0/16)"
    );
}

#[rstest]
#[case::no_labels(&[], 1)]
#[case::no_subnets_in_the_label(&[("io.meshproof.lab", "old"), ("io.meshproof.subnets", "")], 1)]
#[case::not_ours_to_read(&[("io.meshproof.subnets", "many, and 10.1.0.0")], 1)]
fn a_network_that_says_nothing_of_pods_holds_its_own_addresses(#[case] labels: &[(&str, &str)], #[case] count: usize) {
    assert_eq!(taken_by(&network("other", "172.18.0.0/16", labels)).len(), count);
}
