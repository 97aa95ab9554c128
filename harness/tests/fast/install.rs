//! The install as a plan: the guide's own commands, in an order that can work.

use harness::install::action::Action;
use harness::install::primary_remote::{data_plane_deviations, deviations, steps};
use harness::install::standing::standing;
use harness::install::step::check_order;
use harness::plan::Phase;
use harness::role::Role;
use harness::scenario::{Ca, ClusterWish, IstioNamespace, Scenario};
use harness::versions::Versions;
use rstest::{fixture, rstest};

#[fixture]
fn scenario() -> Scenario {
    let versions = Versions::parse(include_str!("../../../kind/versions.toml")).expect("the versions file is sound");
    Scenario::default_primary_remote(&versions)
}

#[rstest]
fn every_step_comes_after_what_it_needs(scenario: Scenario) {
    assert_eq!(check_order(&steps(&scenario, "image")), Ok(()));
}

#[rstest]
fn an_order_that_uses_a_fact_before_it_is_learnt_is_refused(scenario: Scenario) {
    let mut wrong = steps(&scenario, "image");
    let token = wrong.iter().position(|step| step.id == "token-before-secret").expect("the step is there");
    wrong.swap(0, token);
    let said = check_order(&wrong).expect_err("istiod's root is not known yet").join("\n");
    assert!(said.contains("token-before-secret") && said.contains("root-cert"), "{said}");
}

#[rstest]
#[case::external_istiod("--set values.pilot.env.EXTERNAL_ISTIOD=true --context=\"${CTX_CLUSTER1}\" -f cluster1.yaml")]
#[case::gateway(
    "samples/multicluster/gen-eastwest-gateway.sh --network network1 | istioctl --context=\"${CTX_CLUSTER1}\" install -y -f -"
)]
#[case::exposed(
    "kubectl apply --context=\"${CTX_CLUSTER1}\" -n istio-system -f samples/multicluster/expose-istiod.yaml"
)]
#[case::annotation("annotate namespace istio-system topology.istio.io/controlPlaneClusters=cluster1")]
#[case::injection_path("injectionPath: /inject/cluster/cluster2/net/network1")]
#[case::address("remotePilotAddress: ${DISCOVERY_ADDRESS}")]
#[case::secret("istioctl create-remote-secret --context=\"${CTX_CLUSTER2}\" --name=cluster2")]
#[case::clean_up("istioctl uninstall --context=\"${CTX_CLUSTER2}\" -y --purge")]
fn the_plan_shows_the_guides_own_commands(scenario: Scenario, #[case] command: &str) {
    let commands: Vec<String> = steps(&scenario, "image").into_iter().flat_map(|step| step.commands).collect();
    assert!(commands.iter().any(|line| line.contains(command)), "{commands:#?}");
}

/// The guide's own text says istio-system; everything that names it must name the other one, for a person types these.
#[rstest]
#[case::primary("      network: network1\n      istioNamespace: mesh-system\n")]
#[case::gateway("install -y -f - --set values.global.istioNamespace=mesh-system")]
#[case::gateway_address("get svc istio-eastwestgateway -n mesh-system")]
#[case::exposed(
    "sed -e 's/.istio-system.svc/.mesh-system.svc/' samples/multicluster/expose-istiod.yaml | \
     kubectl apply --context=\"${CTX_CLUSTER1}\" -n mesh-system -f -"
)]
#[case::annotation("annotate namespace mesh-system topology.istio.io/controlPlaneClusters=cluster1")]
#[case::remote("      remotePilotAddress: ${DISCOVERY_ADDRESS}\n      istioNamespace: mesh-system\n")]
#[case::secret("--name=cluster2 --istioNamespace mesh-system | kubectl apply -f -")]
#[case::clean_up("kubectl delete namespace mesh-system --context=\"${CTX_CLUSTER2}\"")]
fn another_namespace_stands_in_every_command(mut scenario: Scenario, #[case] command: &str) {
    scenario.istio_namespace = IstioNamespace::named("mesh-system").expect("a name");
    let commands: Vec<String> = steps(&scenario, "image").into_iter().flat_map(|step| step.commands).collect();
    assert!(commands.iter().any(|line| line.contains(command)), "{commands:#?}");
    let usual: Vec<&String> = commands.iter().filter(|line| line.contains("istio-system")).collect();
    assert!(usual.iter().all(|line| line.starts_with("sed -e 's/.istio-system.svc/")), "{usual:#?}");
}

#[rstest]
fn another_namespace_is_a_deviation(mut scenario: Scenario) {
    let before = deviations(&scenario);
    scenario.istio_namespace = IstioNamespace::named("mesh-system").expect("a name");
    let rows = deviations(&scenario);
    let more: Vec<&str> = rows.iter().filter(|row| !before.contains(row)).map(|row| row.what.as_str()).collect();
    assert!(more.len() == 2 && more.iter().all(|what| what.contains("mesh-system")), "{more:?}");
}

/// The guide demands the same; a scenario may ask for two to see what becomes of it.
#[rstest]
#[case::remote("remotePilotAddress: ${DISCOVERY_ADDRESS}\n      istioNamespace: elsewhere\n")]
#[case::annotation("annotate namespace elsewhere topology.istio.io/controlPlaneClusters=cluster1")]
#[case::secret("--istioNamespace elsewhere | sed 's/^  namespace: .*/  namespace: istio-system/' | kubectl apply -f -")]
#[case::gateway("get svc istio-eastwestgateway -n istio-system")]
#[case::clean_up("kubectl delete namespace elsewhere --context=\"${CTX_CLUSTER2}\"")]
fn two_namespaces_are_kept_apart(mut scenario: Scenario, #[case] command: &str) {
    let remote = scenario.clusters.get_mut(&Role::Remote).expect("it is there");
    remote.istio_namespace = Some(IstioNamespace::named("elsewhere").expect("a name"));
    let commands: Vec<String> = steps(&scenario, "image").into_iter().flat_map(|step| step.commands).collect();
    assert!(commands.iter().any(|line| line.contains(command)), "{commands:#?}");
}

#[rstest]
#[case::primary("--context=\"${CTX_CLUSTER1}\" -f cluster1.yaml --revision canary")]
#[case::gateway("gen-eastwest-gateway.sh --network network1 --revision canary | istioctl")]
#[case::exposed(
    "sed -e 's/{{.Revision}}/canary/' samples/multicluster/expose-istiod-rev.yaml.tmpl | \
     kubectl apply --context=\"${CTX_CLUSTER1}\" -n istio-system -f -"
)]
#[case::remote("--context=\"${CTX_CLUSTER2}\" -f cluster2.yaml --revision canary")]
#[case::tag_of_the_primary("istioctl tag set prod --context=\"${CTX_CLUSTER1}\" --revision canary --overwrite")]
#[case::tag_of_the_remote("istioctl tag set prod --context=\"${CTX_CLUSTER2}\" --revision canary --overwrite")]
#[case::tag_removed("istioctl tag remove prod --context=\"${CTX_CLUSTER2}\" -y")]
#[case::tag_of_a_further_remote("istioctl tag set prod --context=\"${CTX_CLUSTER3}\" --revision canary --overwrite")]
fn a_revision_stands_in_every_command(mut scenario: Scenario, #[case] command: &str) {
    (scenario.install.revision, scenario.install.tag) = (Some("canary".to_string()), Some("prod".to_string()));
    scenario.clusters.remotes_mut().push(ClusterWish::remote(1));
    let steps = steps(&scenario, "image");
    assert_eq!(check_order(&steps), Ok(()));
    let commands: Vec<String> = steps.into_iter().flat_map(|step| step.commands).collect();
    assert!(commands.iter().any(|line| line.contains(command)), "{commands:#?}");
}

#[rstest]
#[case::the_guides_own(None, "istio-injection: \"enabled\"", &["remote-secret", "gateway-address", "expose-istiod"])]
#[case::by_tag(Some("prod"), "istio.io/rev: \"prod\"", &["remote-secret", "gateway-address", "expose-istiod", "tag-remote"])]
fn samples_ask_for_their_proxies_by_what_is_there(
    mut scenario: Scenario,
    #[case] tag: Option<&str>,
    #[case] label: &str,
    #[case] after: &[&str],
) {
    scenario.install.tag = tag.map(str::to_string);
    scenario.install.revision = tag.map(|_| "canary".to_string());
    let steps = steps(&scenario, "image");
    let sample = steps.iter().find(|step| step.id == "workloads-remote").expect("the step is there");
    let Action::Manifests(manifests) = &sample.action else { panic!("it applies manifests") };
    assert!(manifests[0].contains(&format!("    {label}\n")), "{}", manifests[0]);
    assert_eq!(sample.after, after);
}

#[rstest]
fn the_annotation_comes_before_the_remote_secret(scenario: Scenario) {
    let all = steps(&scenario, "image");
    let secret = all.iter().find(|step| step.id == "remote-secret").expect("the step is there");
    assert!(secret.after.contains(&"annotate-namespace".to_string()), "istiod asks once, when it reads the secret");
}

#[rstest]
fn clean_up_is_a_phase_of_its_own_at_the_end(scenario: Scenario) {
    let phases: Vec<bool> = steps(&scenario, "image").iter().map(|step| step.phase == Phase::CleanUp).collect();
    assert!(phases.is_sorted(), "{phases:?}");
}

#[rstest]
fn upstream_envoy_is_a_deviation_with_its_reason(scenario: Scenario) {
    let rows = [deviations(&scenario), data_plane_deviations(true)].concat();
    assert_eq!(rows.len(), deviations(&scenario).len() + 1);
    assert!(rows.iter().all(|row| !row.what.is_empty() && !row.why.is_empty()));
}

#[rstest]
fn several_replicas_are_deviations_that_name_their_number(mut scenario: Scenario) {
    let before = deviations(&scenario);
    scenario.istiod.replicas = 2;
    scenario.gateway.replicas = 3;
    let rows = deviations(&scenario);
    let more: Vec<&str> = rows.iter().filter(|row| !before.contains(row)).map(|row| row.what.as_str()).collect();
    assert_eq!(more.len(), 2, "{more:?}");
    assert!(more[0].contains("values.pilot") && more[0].contains("replicaCount: 2"), "{more:?}");
    assert!(more[1].contains("istio-ingressgateway") && more[1].contains("replicaCount: 3"), "{more:?}");
}

#[rstest]
fn a_plugged_in_ca_is_there_before_istiod_is_installed(mut scenario: Scenario) {
    assert!(steps(&scenario, "image").iter().all(|step| step.id != "plug-in-ca"));
    scenario.install.ca = Ca::PluggedIn;
    let steps = steps(&scenario, "image");
    assert_eq!(check_order(&steps), Ok(()));
    let install = steps.iter().find(|step| step.id == "primary-install").expect("the step is there");
    assert_eq!(install.after, ["plug-in-ca"]);
    assert!(deviations(&scenario).iter().any(|row| row.what.contains("Secret cacerts")));
}

/// What still holds of these steps, proved in this order, on a lab with two remotes.
fn hold(mut scenario: Scenario, proved: &[&str]) -> String {
    *scenario.clusters.remotes_mut() = (0..2).map(ClusterWish::remote).collect();
    let steps = steps(&scenario, "image");
    let known = |id: &&&str| steps.iter().any(|step| step.id == ***id);
    assert_eq!(proved.iter().find(|id| !known(id)), None, "it is a step");
    let proved: Vec<String> = proved.iter().map(ToString::to_string).collect();
    standing(&proved, &steps).join(" ")
}

#[rstest]
#[case::installed(&["pod-network-primary", "primary-install", "probe-primary"], "pod-network-primary primary-install probe-primary")]
#[case::cleaned_up(
    &["pod-network-primary", "primary-install", "probe-primary", "workloads-primary-cluster3", "remove-workloads-primary", "uninstall-primary", "delete-namespace-primary"],
    "pod-network-primary remove-workloads-primary uninstall-primary delete-namespace-primary"
)]
#[case::workloads_alone_are_gone(&["primary-install", "probe-primary", "remove-workloads-primary"], "primary-install remove-workloads-primary")]
#[case::installed_anew(
    &["remove-workloads-primary", "uninstall-primary", "delete-namespace-primary", "primary-install", "probe-primary"],
    "primary-install probe-primary"
)]
#[case::killed_while_it_was_installed_anew(
    &["eastwest-gateway", "remove-workloads-primary", "uninstall-primary", "primary-install"],
    "remove-workloads-primary primary-install"
)]
#[case::another_remote(
    &["remote-install", "remote-install-cluster3", "uninstall-remote-cluster3"],
    "remote-install uninstall-remote-cluster3"
)]
fn what_was_proved_holds_until_it_is_undone(scenario: Scenario, #[case] proved: &[&str], #[case] holds: &str) {
    assert_eq!(hold(scenario, proved), holds);
}
