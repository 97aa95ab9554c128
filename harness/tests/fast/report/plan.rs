//! A plan reads like the guide.

use harness::plan::Target;

#[test]
fn a_plan_shows_commands_proofs_cases_and_deviations() {
    insta::assert_snapshot!(harness::report::plan::render(&super::story::plan(&[("D1", "failed")])));
}

#[test]
fn a_plan_says_what_is_asked_of_nodes_istiod_and_gateway() {
    let mut plan = super::story::plan(&[]);
    let before = harness::report::plan::render(&plan);
    let Target::Lab { scenario, topology } = &mut plan.target else { panic!("it is the plan of a lab") };
    topology.clusters.values_mut().for_each(|cluster| cluster.nodes = 3);
    (scenario.istiod.replicas, scenario.gateway.replicas) = (2, 4);
    scenario.gateway.address = Some([172, 30, 0, 200].into());
    (scenario.install.revision, scenario.install.tag) = (Some("canary".to_string()), Some("prod".to_string()));
    let after = harness::report::plan::render(&plan);
    for said in [
        ", 3 nodes\n",
        "\nistiod   2 replicas\n",
        "\ngateway  4 replicas\n",
        "\ngateway  at 172.30.0.200\n",
        "\nistiod   of revision canary, by tag prod\n",
    ] {
        assert!(after.contains(said) && !before.contains(said), "{said:?} is said, and only then: {after}");
    }
}
