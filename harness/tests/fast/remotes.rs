//! One primary with several remotes: as many pairs, whose primary is done once.

use std::collections::BTreeSet;

use harness::budget::Budgets;
use harness::install::step::check_order;
use harness::install::{Step, per_remote, primary_remote};
use harness::lab::host::{Need, Nodes};
use harness::plan::Phase;
use harness::role::Role;
use harness::scenario::{ClusterWish, Known, Scenario, ScenarioFile};
use harness::topology::Topology;
use harness::versions::Versions;
use rstest::rstest;

fn versions() -> Versions {
    Versions::parse(include_str!("../../../kind/versions.toml")).expect("the versions file is sound")
}

/// With so many remotes: cluster2, cluster3 and so on.
fn scenario(remotes: usize) -> Scenario {
    let mut scenario = Scenario::default_primary_remote(&versions());
    *scenario.clusters.remotes_mut() = (0..remotes).map(ClusterWish::remote).collect();
    scenario
}

fn steps(remotes: usize) -> Vec<Step> {
    primary_remote::steps(&scenario(remotes), "image")
}

fn ids(steps: &[Step]) -> Vec<&str> {
    steps.iter().map(|step| step.id.as_str()).collect()
}

fn step<'s>(steps: &'s [Step], id: &str) -> &'s Step {
    steps.iter().find(|step| step.id == id).unwrap_or_else(|| panic!("{id} is not among {:?}", ids(steps)))
}

#[rstest]
fn every_step_comes_after_what_it_needs(#[values(1, 2, 4, 9)] remotes: usize) {
    let steps = steps(remotes);
    assert_eq!(check_order(&steps), Ok(()));
    let distinct: BTreeSet<&str> = ids(&steps).into_iter().collect();
    assert_eq!(distinct.len(), steps.len(), "ids are unique: {:?}", ids(&steps));
}

#[test]
fn what_is_done_to_a_remote_is_done_to_each_and_the_primary_is_installed_once() {
    let (one, three) = (steps(1), steps(3));
    for step in one.iter().filter(|step| step.role == Role::Remote) {
        assert!(per_remote::is_of_each(&step.id), "{} acts on a remote, and each has its own", step.id);
    }
    let of_each = one.iter().filter(|step| per_remote::is_of_each(&step.id)).count();
    assert_eq!(three.len(), one.len() + 2 * of_each);
    // The first remote's steps are called as those of a lone one.
    assert!(ids(&one).iter().all(|id| ids(&three).contains(id)));
}

#[rstest]
#[case::beside_each_other("remote-install-cluster3", &["annotate-namespace-cluster3"])]
#[case::by_the_one_primary("workloads-remote-cluster3", &["remote-secret-cluster3", "gateway-address", "expose-istiod"])]
#[case::its_own_pods_in_the_primary("workloads-primary-cluster3", &["primary-install"])]
#[case::its_own_look_before(
    "remote-secret-cluster3",
    &["primary-install", "annotate-namespace-cluster3", "remote-install-cluster3"]
)]
fn a_remote_waits_for_its_own_steps_and_those_of_the_primary(#[case] id: &str, #[case] after: &[&str]) {
    assert_eq!(step(&steps(2), id).after, after);
}

#[test]
fn the_plan_tells_each_remote_by_the_guides_way_of_counting() {
    let steps = steps(2);
    let install = step(&steps, "remote-install-cluster3").commands.join("\n");
    for said in
        ["--context=\"${CTX_CLUSTER3}\" -f cluster3.yaml", "injectionPath: /inject/cluster/cluster3/net/network1"]
    {
        assert!(install.contains(said), "{said} is not in {install}");
    }
    let secret = step(&steps, "remote-secret-cluster3").commands.join("\n");
    assert!(secret.contains("--context=\"${CTX_CLUSTER3}\" --name=cluster3"), "{secret}");
    assert!(secret.contains("kubectl apply -f - --context=\"${CTX_CLUSTER1}\""), "{secret}");
    assert!(steps.iter().filter(|step| step.phase == Phase::Install).any(|step| step.id == "probe-remote-cluster3"));
}

#[test]
fn each_pair_has_sample_workloads_of_its_own() {
    let namespaces: Vec<String> = scenario(3).pairs().iter().map(Scenario::sample_namespace).collect();
    assert_eq!(namespaces, ["meshproof-sample", "meshproof-sample-cluster3", "meshproof-sample-cluster4"]);
}

#[rstest]
#[case::of_a_further_remote("remote-install-cluster3", "remote-install")]
#[case::of_the_first("remote-install", "remote-install")]
#[case::of_no_remote("remote-install-cluster9", "remote-install-cluster9")]
#[case::done_once("primary-install-cluster3", "primary-install-cluster3")]
fn the_id_of_a_step_tells_its_remote(#[case] id: &str, #[case] base: &str) {
    assert_eq!(per_remote::base(id, &scenario(2)), base);
}

#[test]
fn clusters_of_a_mesh_have_addresses_of_their_own() {
    let topology = Topology::choose(&scenario(9), &[]).expect("there is room");
    let nets = topology.inner_subnets();
    assert_eq!(nets.len(), 20);
    for (at, one) in nets.iter().enumerate() {
        assert!(nets[..at].iter().all(|other| !one.contains(other) && !other.contains(one)), "{one} is given twice");
    }
    assert_eq!(topology.clusters.seen_from(1)[&Role::Remote].context, "kind-meshproof-cluster3");
}

#[test]
fn a_lab_needs_a_control_plane_for_each_cluster() {
    let (pair, five) = (Need::lab(&scenario(1), "/"), Need::lab(&scenario(4), "/"));
    assert_eq!(five.nodes, Nodes { control_planes: 5, workers: 0 });
    assert_eq!((five.memory - pair.memory, five.what.as_str()), (3 * Need::CONTROL_PLANE_MEMORY, "5 nodes"));
}

#[rstest]
#[case::the_first("D8", Some("failed"))]
#[case::another("cluster3/D8", None)]
#[case::another_by_name("cluster3/D9", Some("blocked"))]
#[case::in_a_round("late/cluster3/D8", Some("failed"))]
#[case::the_first_in_a_round("late/D8", None)]
fn a_verdict_is_expected_of_one_remote(#[case] told: &str, #[case] expected: Option<&str>) {
    let text = "\
name: several
clusters: {remotes: [{name: cluster2}, {name: cluster3}]}
timeline:
- judge: {name: late, expect: {cluster3/D8: failed}}
expect: {D8: failed, cluster3/D9: blocked}
";
    let (versions, cases) = (versions(), crate::catalogue::catalogue());
    let known = Known { versions: &versions, cases: &cases, steps: &[], sabotages: &[] };
    let file = ScenarioFile::parse(text, "mine.yaml", known).expect("it is sound");
    assert_eq!(file.scenario.expected(told), expected);
}

#[rstest]
#[case::a_pair(2, 1.5)]
#[case::five_clusters(5, 3.75)]
fn more_clusters_on_the_same_cores_are_given_more_time(#[case] clusters: usize, #[case] slow: f64) {
    assert_eq!(Budgets { slow: 1.5 }.shared_by(clusters).slow, slow);
}
