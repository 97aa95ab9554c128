//! A scenario file is read whole: what it leaves out has a default, and every mistake is shown with its line.

use std::fs;
use std::path::{Path, PathBuf};

use harness::problem::Problems;
use harness::role::Role;
use harness::sabotage::Sabotage;
use harness::scenario::{
    ClusterWish, ExternalIstiod, GatewayWish, ImageSource, IstioNamespace, Known, Moment, Scenario, ScenarioFile,
};
use harness::versions::{Component, Versions};
use rstest::rstest;
use serde_json::json;

use crate::said::said;

/// Versions that stay, so that the expected texts do too.
const VERSIONS: &str = r#"
[defaults]
kubernetes = "v1.36.3"
istio = "1.31.1"
kind = "v0.33.0"

[kubernetes."v1.36.3"]
etcd = "v3.6.8"

[kubernetes."v1.34.4"]
etcd = "v3.6.5"

[istio."1.31.1"]
envoy = "1.39.3"
replace = ["istio.io/api v1.31.1", "istio.io/client-go v1.31.1"]

[istio."1.29.2"]
envoy = "1.37.0"
"#;

fn versions() -> Versions {
    Versions::parse(VERSIONS).unwrap()
}

fn sabotages() -> Vec<Sabotage> {
    let sabotage = |id: &str, without: &[&str]| {
        let text = json!({
            "what": id, "layer": "network", "without": without, "break": [{"loseRoutes": {"cluster": "primary"}}],
            "red": ["D1"], "cause": ["x"], "hint": ["x"]
        });
        Sabotage { id: id.to_string(), ..serde_json::from_value(text).unwrap() }
    };
    vec![sabotage("route-lost-in-primary", &[]), sabotage("left-out-exposure", &["expose-istiod"])]
}

fn file(text: &str, name: &str, versions: &Versions) -> Result<ScenarioFile, Problems> {
    let steps = ["primary-install", "annotate-namespace", "remote-install", "remote-secret"].map(str::to_string);
    let (cases, sabotages) = (crate::catalogue::catalogue(), sabotages());
    ScenarioFile::parse(text, name, Known { versions, cases: &cases, steps: &steps, sabotages: &sabotages })
}

fn parse_with(text: &str, name: &str, versions: &Versions) -> Result<Scenario, Problems> {
    file(text, name, versions).map(|file| file.scenario)
}

fn parse(text: &str) -> Result<Scenario, Problems> {
    parse_with(text, "mine.yaml", &versions())
}

fn in_repository(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// `MESHPROOF_ACCEPT=1 cargo test --test fast scenario` writes what is shown now; read it before it is committed.
#[rstest]
fn every_mistake_of_a_bad_scenario_is_shown_with_its_line(#[files("tests/fast/scenarios-bad/*.yaml")] path: PathBuf) {
    let name = path.file_name().unwrap().to_str().unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let shown = match parse_with(&text, name, &versions()) {
        Ok(scenario) => panic!("{name} is taken as {scenario:#?}"),
        Err(problems) => format!("{problems}\n"),
    };
    let beside = path.with_extension("txt");
    if std::env::var_os("MESHPROOF_ACCEPT").is_some() {
        fs::write(&beside, &shown).unwrap();
    }
    let expected = fs::read_to_string(&beside).unwrap_or_default();
    assert_eq!(shown, expected, "what is shown for {name} is not what stands in {}", beside.display());
}

#[test]
fn a_name_is_all_that_a_scenario_must_say() {
    let scenario = parse("name: primary-remote\n").unwrap();
    assert_eq!(scenario, Scenario::default_primary_remote(&versions()));
}

#[test]
fn every_field_is_taken() {
    let text = "\
name: mine
description: what it shows
threads: [istio/istio#41389, 'https://istio.io/latest/']
lab: mine
kubernetes: v1.34.4
istio: 1.29.2
images: local
meshId: mesh9
network: network9
istioNamespace: mesh-system
clusters:
  primary:
    name: east
    nodes: 3
    overlay: {values: {pilot: {env: {A: \"1\", B: 2}}}}
    podSubnet: 10.1.0.0/16
    serviceSubnet: 172.16.4.0/22
  remote:
    name: west
    istioNamespace: elsewhere
    podSubnet: 10.2.0.0/22
    serviceSubnet: 192.168.7.0/24
istiod:
  replicas: 2
gateway:
  replicas: 3
  address: 172.28.3.200
install:
  externalIstiod: value
  revision: canary
  tag: prod
  without: [annotate-namespace]
  manifests:
  - before: remote-secret
    cluster: remote
    manifest: {apiVersion: v1, kind: ConfigMap, metadata: {name: a-b}, data: {mesh: \"${CLUSTER1}\", no: \"on\"}}
timeline:
- step: annotate-namespace
- pause: 1m 30s
- judge: {name: late, only: [D8, D9], expect: {D8: failed}}
- sabotage: route-lost-in-primary
- putBack: route-lost-in-primary
- renew: {cluster: primary, object: {apiVersion: v1, kind: Secret, namespace: \"${ISTIO_NAMESPACE}\", name: a}}
- scale: {cluster: remote, namespace: a, deployment: b, replicas: 2}
checks:
  only: [D8, D9, D6]
expect:
  D8: failed
  D9: {1.29.2: blocked}
  D6: {1.31.1: failed}
";
    let scenario = parse(text).unwrap();
    let value: serde_json::Value = serde_yaml_ng::from_str(text).unwrap();
    let by_serde: Scenario = serde_json::from_value(value).unwrap();
    assert_eq!(scenario, by_serde, "the spanned reader and serde take the same file for the same scenario");
    assert_eq!(scenario.clusters[&Role::Remote].pod_subnet, Some("10.2.0.0/22".parse().unwrap()));
    assert_eq!((scenario.clusters[&Role::Primary].nodes, scenario.clusters[&Role::Remote].nodes), (3, 1));
    assert_eq!((scenario.istiod.replicas, scenario.gateway.replicas), (2, 3));
    let namespaces = Role::ALL.map(|role| scenario.istio_namespace_of(role).to_string());
    assert_eq!(namespaces, ["mesh-system", "elsewhere"]);
    assert_eq!([scenario.expected("D9"), scenario.expected("D6")], [Some("blocked"), None], "by the version");
    assert_eq!(scenario.gateway.address, Some([172, 28, 3, 200].into()));
    assert_eq!(scenario.install.external_istiod, ExternalIstiod::Value);
    assert_eq!((scenario.install.revision.as_deref(), scenario.install.tag.as_deref()), (Some("canary"), Some("prod")));
    assert!(matches!(&scenario.timeline[..2], [Moment::Step(step), Moment::Pause(_)] if step == "annotate-namespace"));
    assert!(matches!(&scenario.timeline[6], Moment::Act(act) if act.role() == Role::Remote));
    let expected = ["D8", "D1", "late/D8", "late/D9"].map(|told| scenario.expected(told));
    assert_eq!(expected, [Some("failed"), None, Some("failed"), None]);
    let again = serde_yaml_ng::to_string(&serde_json::to_value(&scenario).unwrap()).unwrap();
    assert_eq!(parse(&again).unwrap(), scenario, "what `scenario show` prints is a scenario file");
}

/// As `lab.json` of a meshproof that knew of none.
#[test]
fn a_lab_that_says_no_namespace_of_istio_has_the_usual_one() {
    let written = serde_json::to_value(Scenario::default_primary_remote(&versions())).unwrap();
    assert_eq!(written.get("istioNamespace"), None);
    let read: Scenario = serde_json::from_value(written).unwrap();
    assert_eq!(read.istio_namespace.to_string(), "istio-system");
}

#[test]
fn what_is_written_back_is_read_the_same() {
    let scenario =
        parse("name: mine\nclusters:\n  remote:\n    podSubnet: 10.99.0.0/16\nexpect:\n  D1: failed\n").unwrap();
    assert_eq!(parse(&serde_yaml_ng::to_string(&scenario).unwrap()).unwrap(), scenario);
}

#[test]
fn the_committed_scenario_is_the_default() {
    let versions = Versions::parse(&in_repository("kind/versions.toml")).unwrap();
    let text = in_repository("suites/scenarios/primary-remote.yaml");
    let scenario = parse_with(&text, "primary-remote.yaml", &versions).unwrap();
    assert_eq!(scenario, Scenario::default_primary_remote(&versions));
}

#[test]
fn the_scenario_of_official_images_asks_for_a_node_image_that_kind_publishes() {
    let versions = Versions::parse(&in_repository("kind/versions.toml")).unwrap();
    let text = in_repository("suites/scenarios/official.yaml");
    let scenario = parse_with(&text, "official.yaml", &versions).unwrap();
    assert!(versions.pick(&scenario).value("kubernetes.node").starts_with("sha256:"));
}

#[test]
fn what_the_committed_scenario_offers_in_comments_can_be_taken() {
    let versions = Versions::parse(&in_repository("kind/versions.toml")).unwrap();
    let text: String = in_repository("suites/scenarios/primary-remote.yaml")
        .lines()
        .map(|line| match line.split_once("# ") {
            // An offered line is a field, a word with its colon, or the item of a list; maybe indented.
            Some((before, field))
                if field.split_whitespace().next().is_some_and(|word| word.ends_with(':') || word == "-") =>
            {
                format!("{before}{field}\n")
            }
            _ => format!("{line}\n"),
        })
        .collect();
    let scenario = parse_with(&text, "primary-remote.yaml", &versions).unwrap();
    let default = Scenario::default_primary_remote(&versions);
    assert_eq!(scenario.expected("D8"), Some("failed"));
    assert_eq!(scenario.clusters[&Role::Primary].pod_subnet, Some("10.10.0.0/16".parse().unwrap()));
    assert!(scenario.clusters[&Role::Primary].overlay.is_some());
    assert_eq!((scenario.install.manifests.len(), scenario.timeline.len(), scenario.threads.len()), (1, 15, 1));
    let others = Scenario { istio: scenario.istio.clone(), kubernetes: scenario.kubernetes.clone(), ..default.clone() };
    let others = Scenario { images: scenario.images, mesh_id: scenario.mesh_id, network: scenario.network, ..others };
    assert!(scenario.gateway.address.is_some());
    let gateway = GatewayWish { address: None, ..scenario.gateway };
    let others = Scenario { istiod: scenario.istiod, gateway, lab: scenario.lab, ..others };
    assert_eq!(others, default, "the lines offered are the defaults");
}

#[test]
fn a_mistake_found_later_is_shown_where_the_file_says_so() {
    let text = "name: x\nclusters:\n  primary:\n    podSubnet: 10.10.0.0/16\n";
    let file = file(text, "mine.yaml", &versions()).unwrap();
    let mut problems = Problems::new();
    problems.push("clusters.primary.podSubnet", "taken", "another");
    problems.push("the host", "small", "a larger one");
    let places: Vec<String> = file.locate(problems).0.into_iter().map(|problem| problem.place).collect();
    assert_eq!(places, ["mine.yaml:4:16", "the host"]);
}

#[test]
fn fields_of_a_version_are_found_by_their_keys() {
    let scenario = parse("name: x\nistio: 1.31.1\nkubernetes: v1.34.4\n").unwrap();
    let picked = versions().pick(&scenario);
    assert_eq!(picked.value("kubernetes"), "v1.34.4");
    assert_eq!(picked.value("kubernetes.etcd"), "v3.6.5");
    assert_eq!(picked.value("kind"), "v0.33.0");
    assert_eq!(picked.value("istio.replace"), "istio.io/api v1.31.1\nistio.io/client-go v1.31.1");
    assert_eq!(picked.value("istio.nothing"), "");
    assert!(picked.has_component("istio.nothing") && !picked.has_component("isito.replace"));
}

#[test]
fn the_projects_own_versions_are_read() {
    let versions = Versions::parse(&in_repository("kind/versions.toml")).unwrap();
    let picked = versions.pick(&Scenario::default_primary_remote(&versions));
    assert!(versions.known(Component::Kubernetes).contains(&picked.value("kubernetes")));
    assert!(versions.known(Component::Istio).contains(&picked.value("istio")));
    assert_ne!(picked.value("istio.envoy"), "");
}

#[rstest]
#[case::not_toml("[defaults\n", "kind/versions.toml:1:10: this is not TOML")]
#[case::no_defaults("", "kind/versions.toml: the table [defaults] is missing")]
#[case::no_istio("[defaults]\nkubernetes = \"v1\"\n[kubernetes.v1]\n", "[defaults] names no istio")]
#[case::no_table(
    "[defaults]\nkubernetes = \"v1\"\nistio = \"1\"\n[istio.1]\n",
    "2:14: kubernetes v1 has no table of its own"
)]
#[case::misspelt(
    "[defaults]\nkubernetes = \"v1\"\nistio = \"1\"\n[istoi.1]\n",
    "4:2: `istoi` is no component\n    instead: `istio`"
)]
#[case::number(
    "[defaults]\nkubernetes = 1\nistio = \"1\"\n[istio.1]\nreplace = [2]\n",
    "2:14: `defaults.kubernetes` is not a text"
)]
#[case::number_in_list(
    "[defaults]\nkubernetes = 1\nistio = \"1\"\n[istio.1]\nreplace = [2]\n",
    "5:12: `istio.\"1\".replace` is not a text"
)]
fn every_mistake_of_the_versions_has_its_line(#[case] text: &str, #[case] shown: &str) {
    let problems = said(&Versions::parse(text).unwrap_err());
    assert!(problems.contains(shown), "{problems}");
}

#[rstest]
#[case::as_it_is("", |_: &mut Scenario| {}, true)]
#[case::made_with_remotes("", |made: &mut Scenario| made.clusters.remotes_mut().push(ClusterWish::remote(1)), true)]
#[case::made_with_nodes("", |made: &mut Scenario| made.clusters.values_mut().for_each(|wish| wish.nodes = 3), true)]
#[case::made_with_images("", |made: &mut Scenario| made.images = ImageSource::Official, true)]
#[case::made_with_a_namespace("", |made: &mut Scenario| made.istio_namespace = IstioNamespace::named("mesh").unwrap(), true)]
#[case::made_with_a_version("", |made: &mut Scenario| made.istio = "1.29.2".to_string(), true)]
#[case::of_another_istio("istio: 1.31.1\n", |made: &mut Scenario| made.istio = "1.29.2".to_string(), false)]
#[case::of_another_cluster("", |made: &mut Scenario| made.clusters.values_mut().for_each(|wish| wish.name.push('x')), false)]
#[case::with_replicas("", |made: &mut Scenario| made.istiod.replicas = 2, false)]
#[case::with_an_address("", |made: &mut Scenario| made.gateway.address = Some([172, 30, 0, 200].into()), false)]
#[case::of_a_revision("", |made: &mut Scenario| made.install.revision = Some("canary".to_string()), false)]
#[case::of_another_install("", |made: &mut Scenario| made.install.without.push("remote-secret".to_string()), false)]
#[case::judged_otherwise("checks: {only: [D1]}\nexpect: {D1: failed}\ntimeline: [{pause: 1s}]\n", |_: &mut Scenario| {}, true)]
fn a_file_fits_a_lab_that_was_made_from_it_with_flags(
    #[case] said: &str,
    #[case] change: fn(&mut Scenario),
    #[case] fits: bool,
) {
    let asked = file(&format!("name: primary-remote\n{said}"), "mine.yaml", &versions()).unwrap();
    let mut made = Scenario::default_primary_remote(&versions());
    change(&mut made);
    assert_eq!(asked.asks_for_lab(&made), fits);
    if fits {
        let on_it = asked.scenario.on_lab_of(&made);
        assert_eq!((&on_it.istio, &on_it.checks), (&made.istio, &asked.scenario.checks));
    }
}
