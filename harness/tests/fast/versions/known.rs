//! Versions: how they are written, which are known, and what there is of each.

use harness::lab::images::{BuiltParts, OfficialImages, Overview, Pair, VersionRow, print_overview};
use harness::versions::{Component, Versions};
use rstest::rstest;

const FILE: &str = r#"
[defaults]
kubernetes = "v1.36.3"
istio = "1.31.1"
[kubernetes."v1.36.3"]
etcd = "v3.6.8"
[kubernetes."v1.34.4"]
[kubernetes."v1.9.0"]
[istio."1.31.1"]
[istio."1.29.2"]
supports = ["1.34", "1.35"]
"#;

fn known() -> Versions {
    Versions::parse(FILE).unwrap()
}

#[rstest]
#[case::istio(Component::Istio, "1.31.1")]
#[case::a_candidate(Component::Istio, "1.32.0-rc.1")]
#[case::kubernetes(Component::Kubernetes, "v1.36.3")]
fn a_version_is_read_and_written_as_its_publisher_writes_it(#[case] component: Component, #[case] text: &str) {
    let release = component.release(text).unwrap().to_string();
    assert_eq!(release, text.trim_start_matches('v'));
}

#[rstest]
#[case::with_a_letter(Component::Istio, "v1.30.1", "`1.30.1`")]
#[case::without_its_letter(Component::Kubernetes, "1.35.5", "`v1.35.5`")]
#[case::too_short(Component::Istio, "v1.30", "three numbers, such as 1.31.1")]
#[case::too_long(Component::Kubernetes, "v1.35.5.1", "three numbers, such as v1.31.1")]
#[case::a_pseudo_version(Component::Istio, "1.30.1-", "three numbers, such as 1.31.1")]
#[case::leading_zero(Component::Istio, "1.030.1", "three numbers, such as 1.31.1")]
#[case::a_word(Component::Istio, "latest", "three numbers, such as 1.31.1")]
#[case::a_path(Component::Kubernetes, "v1.35.5/../x", "three numbers, such as v1.31.1")]
#[case::nothing(Component::Kubernetes, "", "three numbers, such as v1.31.1")]
fn what_is_no_version_is_refused_with_what_was_meant(
    #[case] component: Component,
    #[case] text: &str,
    #[case] instead: &str,
) {
    assert_eq!(component.release(text).unwrap_err().1, instead);
}

#[test]
fn versions_are_listed_with_the_newest_first() {
    assert_eq!(known().known(Component::Kubernetes), ["v1.36.3", "v1.34.4", "v1.9.0"]);
    let release = |text| Component::Istio.release(text).unwrap();
    assert!(release("1.32.0-rc.1") < release("1.32.0") && release("1.32.0-rc.1") > release("1.31.9"));
}

#[rstest]
#[case::near(Component::Istio, "1.30.1", "1.31.1 or 1.29.2; or add it: `meshproof versions add istio 1.30.1`")]
#[case::nearest_first(
    Component::Kubernetes,
    "v1.34.9",
    "v1.34.4, v1.36.3 or v1.9.0; or add it: `meshproof versions add kubernetes v1.34.9`"
)]
#[case::known_in_other_words(Component::Istio, "v1.31.1", "`1.31.1`")]
#[case::as_another_component_writes_it(
    Component::Istio,
    "v1.30.1",
    "1.31.1 or 1.29.2; or add it: `meshproof versions add istio 1.30.1`"
)]
#[case::no_version(Component::Istio, "latest", "1.31.1 or 1.29.2")]
fn an_unknown_version_is_told_its_neighbours_and_how_to_add_it(
    #[case] component: Component,
    #[case] version: &str,
    #[case] instead: &str,
) {
    assert_eq!(known().check(component, version).unwrap_err().1, instead);
}

#[rstest]
#[case::in_the_table("1.29.2", "v1.34.4", Some(true))]
#[case::not_in_the_table("1.29.2", "v1.36.3", Some(false))]
#[case::no_table("1.31.1", "v1.36.3", None)]
fn support_is_what_istio_publishes_or_not_known(
    #[case] istio: &str,
    #[case] kubernetes: &str,
    #[case] supported: Option<bool>,
) {
    assert_eq!(known().supports(istio, kubernetes), supported);
}

fn overview(engine: bool) -> Overview {
    let row = |component, version: &str, is_default, with: &str, built, official| VersionRow {
        component,
        version: version.to_string(),
        is_default,
        with: with.to_string(),
        built,
        official,
    };
    let pair = |istio: &str, supported, ready| Pair {
        istio: istio.to_string(),
        kubernetes: "v1.36.4".to_string(),
        supported,
        ready: engine.then_some(ready),
    };
    let there = if engine { 5 } else { 4 };
    let parts = |there, untold| BuiltParts { all: 5, there, untold, bytes: 1_700_000_000 };
    Overview {
        rows: vec![
            row(
                Component::Istio,
                "1.31.1",
                true,
                "Envoy 1.39.3",
                BuiltParts { all: 3, there: 3, untold: 0, bytes: 620_000_000 },
                OfficialImages::Tag("registry.example/release".to_string()),
            ),
            row(
                Component::Istio,
                "1.29.2",
                false,
                "Envoy 1.37.0",
                BuiltParts { all: 3, there: 1, untold: 0, bytes: 300_000_000 },
                OfficialImages::Unknown,
            ),
            row(
                Component::Kubernetes,
                "v1.36.4",
                true,
                "etcd v3.6.8, CoreDNS v1.14.2",
                parts(there, 5 - there),
                OfficialImages::Digest("sha256:1".to_string()),
            ),
        ],
        pairs: vec![pair("1.31.1", None, true), pair("1.29.2", Some(false), false)],
        engine,
    }
}

#[test]
fn the_overview_is_a_table_of_versions_and_one_of_pairs() {
    insta::assert_snapshot!(print_overview(&overview(true)), @r"
    component   version           goes with                     built here            official images
    istio       1.31.1   default  Envoy 1.39.3                  built, 620 MB         to be pulled by tag from registry.example/release
    istio       1.29.2            Envoy 1.37.0                  1 of 3 parts, 300 MB  not known
    kubernetes  v1.36.4  default  etcd v3.6.8, CoreDNS v1.14.2  built, 1.7 GB         to be pulled by digest

    supported  Istio 1.31.1      Istio 1.29.2
    v1.36.4    not known, ready  no

    supported: whether the table that Istio publishes has this Kubernetes (kind/versions.toml)
    ready: a lab of the two needs nothing built or pulled
    ");
}

#[test]
fn without_an_engine_the_overview_says_what_is_not_known() {
    insta::assert_snapshot!(print_overview(&overview(false)), @r"
    component   version           goes with                     built here            official images
    istio       1.31.1   default  Envoy 1.39.3                  built, 620 MB         to be pulled by tag from registry.example/release
    istio       1.29.2            Envoy 1.37.0                  1 of 3 parts, 300 MB  not known
    kubernetes  v1.36.4  default  etcd v3.6.8, CoreDNS v1.14.2  files built, 1.7 GB   to be pulled by digest

    supported  Istio 1.31.1  Istio 1.29.2
    v1.36.4    not known     no

    supported: whether the table that Istio publishes has this Kubernetes (kind/versions.toml)
    no Docker engine answers: what is in one is not known
    ");
}

#[test]
fn versions_of_this_repository_are_written_as_their_publishers_write_them() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let text = std::fs::read_to_string(root.join("kind/versions.toml")).unwrap();
    let versions = Versions::parse(&text).unwrap();
    for component in Component::ALL {
        for version in versions.known(component) {
            assert!(component.release(&version).is_ok(), "{component} {version}");
        }
    }
    for istio in versions.known(Component::Istio) {
        for line in versions.field(Component::Istio, &istio, "supports") {
            assert!(Component::Kubernetes.release(&format!("v{line}.0")).is_ok(), "istio {istio} supports {line}");
        }
    }
}
