//! kind's configuration of a cluster: one node as the guide needs, or a control plane with workers, all of which take pods.

use std::path::Path;

use harness::budget::Budgets;
use harness::lab::host::{Cgroup, Host};
use harness::lab::kind;
use harness::role::Role;
use harness::scenario::Scenario;
use harness::topology::Topology;
use harness::versions::Versions;
use rstest::rstest;

fn config(nodes: u32, kubernetes: &str, host: &Host, audit: bool) -> String {
    let versions = "[defaults]\nkubernetes = \"v1\"\nistio = \"1\"\n[kubernetes.v1]\n[istio.1]\n";
    let mut scenario = Scenario::default_primary_remote(&Versions::parse(versions).unwrap());
    scenario.clusters.get_mut(&Role::Remote).unwrap().nodes = nodes;
    let topology = Topology::choose(&scenario, &[]).unwrap();
    let policy = audit.then_some(Path::new("/repository/audit-policy.yaml"));
    kind::config(topology.cluster(Role::Remote), kubernetes, host, policy)
}

fn restricted() -> Host {
    Host { capabilities_missing: vec!["CAP_SYS_RESOURCE".to_string()], cgroup: Cgroup::V1, ..Host::default() }
}

#[rstest]
#[case::one_node("one-node", 1, "v1.36.3", Host::default(), false)]
#[case::one_node_of_an_older_kubernetes("one-node-1.35", 1, "v1.35.4", Host::default(), true)]
#[case::three_nodes("three-nodes", 3, "v1.36.3", Host::default(), false)]
#[case::three_nodes_on_a_restricted_host("three-nodes-restricted", 3, "v1.36.3", restricted(), true)]
fn a_cluster_has_the_configuration_on_file(
    #[case] name: &str,
    #[case] nodes: u32,
    #[case] kubernetes: &str,
    #[case] host: Host,
    #[case] audit: bool,
) {
    insta::assert_snapshot!(name, config(nodes, kubernetes, &host, audit));
}

#[rstest]
#[case::alone(1, 0)]
#[case::three(3, 2)]
fn all_nodes_but_one_are_workers(#[case] nodes: u32, #[case] workers: usize) {
    let text = config(nodes, "v1.36.3", &Host::default(), true);
    assert_eq!(text.matches("- role: worker").count(), workers);
    assert_eq!(text.matches("- role: control-plane").count(), 1);
    // Only the control plane has an API server to audit, and its mount must not slip to a worker.
    let (before, _) = text.split_once("- role: worker").unwrap_or((&text, ""));
    assert!(before.contains("hostPath: /repository/audit-policy.yaml"), "{text}");
}

#[tokio::test]
async fn a_cluster_that_cannot_be_made_has_a_log_that_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let versions = Versions::parse("[defaults]\nkubernetes = \"v1\"\nistio = \"1\"\n[kubernetes.v1]\n[istio.1]\n");
    let scenario = Scenario::default_primary_remote(&versions.expect("versions"));
    let topology = Topology::choose(&scenario, &[]).expect("a topology");
    let create = kind::Create {
        kind: Path::new("false"),
        network: "none",
        plan: topology.cluster(Role::Remote),
        image: "none",
        config: "",
        kubeconfig: &folder.path().join("remote-cluster3.kubeconfig"),
    };
    let error = kind::create(create, &Budgets::default(), |_| {}).await.expect_err("false fails").to_string();
    assert!(error.contains("ended with exit status: 1\n"), "{error}");
    assert!(error.ends_with("all that kind said: diagnostics/remote-cluster3/kind.log"), "{error}");
}
