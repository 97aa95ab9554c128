//! The catalogue of checks for Istio's "Install Primary-Remote" guide: one file a clause (D), listed here in order, and one
//! for each behaviour of the mesh that follows from them (B).

mod b10_move;
mod b11_workload_roots;
mod b12_stateful_set;
mod b13_cluster_local;
mod b1_authorization;
mod b2_strict_mutual_tls;
mod b3_authorship;
mod b4_new_webhook;
mod b5_lock;
mod b6_traffic_matrix;
mod b7_routing;
mod b8_retries;
mod b9_remote_service;
mod d0_prerequisites;
mod d10_pod_network;
mod d11_load_balancing;
mod d12_clean_up;
mod d13_control_plane_path;
mod d1_control_plane;
mod d2_gateway_address;
mod d3_exposed_istiod;
mod d4_annotation;
mod d5_remote_profile;
mod d6_remote_secret;
mod d7_endpoints;
mod d8_webhook_ca;
mod d9_root_configmaps;
#[cfg(test)]
mod inspected;
mod shared;

use harness::check::Case;

/// All checks: the guide's clauses in their order, then behaviours.
pub fn registry() -> Vec<Case> {
    vec![
        d0_prerequisites::CASE,
        d1_control_plane::CASE,
        d2_gateway_address::CASE,
        d3_exposed_istiod::CASE,
        d4_annotation::CASE,
        d5_remote_profile::CASE,
        d6_remote_secret::CASE,
        d7_endpoints::CASE,
        d8_webhook_ca::CASE,
        d9_root_configmaps::CASE,
        d10_pod_network::CASE,
        d11_load_balancing::CASE,
        d12_clean_up::CASE,
        d13_control_plane_path::CASE,
        b1_authorization::CASE,
        b2_strict_mutual_tls::CASE,
        b3_authorship::CASE,
        b4_new_webhook::CASE,
        b5_lock::CASE,
        b6_traffic_matrix::CASE,
        b7_routing::CASE,
        b8_retries::CASE,
        b9_remote_service::CASE,
        b10_move::CASE,
        b11_workload_roots::CASE,
        b12_stateful_set::CASE,
        b13_cluster_local::CASE,
    ]
}

#[cfg(test)]
mod explained;
#[cfg(test)]
mod field_issues;

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;

    use harness::check::Case;
    use harness::check::right::{Place, Right};
    use harness::cli::scenarios::read;
    use harness::install::{Step, primary_remote};
    use harness::reading::rbac::{self, Subject};
    use harness::role::Role;
    use harness::scenario::{IstioNamespace, Known, Scenario};
    use harness::versions::Versions;
    use rstest::rstest;
    use serde::Deserialize;
    use serde_json::Value;

    use super::registry;

    fn steps() -> Vec<Step> {
        let versions = Versions::parse(include_str!("../../kind/versions.toml")).expect("the versions file is sound");
        primary_remote::steps(&Scenario::default_primary_remote(&versions), "image")
    }

    #[test]
    fn the_catalogue_holds_the_clauses_d0_to_d13_in_order_and_then_behaviours() {
        let ids: Vec<String> = registry().iter().map(|case| case.id.to_string()).collect();
        let clauses = (0..=13).map(|number| format!("D{number}"));
        let behaviours = (1..=registry().len() - 14).map(|number| format!("B{number}"));
        assert_eq!(ids, clauses.chain(behaviours).collect::<Vec<_>>());
    }

    #[test]
    fn names_are_unique_and_kebab_case() {
        let slugs: BTreeSet<&str> = registry().iter().map(|case| case.slug).collect();
        assert_eq!(slugs.len(), registry().len());
        for slug in slugs {
            assert!(slug.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'), "{slug}");
        }
    }

    #[test]
    fn every_need_is_a_step_or_another_clause() {
        let steps = steps();
        let known: BTreeSet<&str> =
            steps.iter().map(|step| step.id.as_str()).chain(registry().iter().map(|case| case.id)).collect();
        for case in registry() {
            for need in case.needs {
                assert!(known.contains(need) && *need != case.id, "{} needs {need}", case.id);
            }
        }
    }

    #[test]
    fn blame_goes_to_other_clauses_and_never_in_a_circle() {
        let known: BTreeMap<&str, Case> = registry().into_iter().map(|case| (case.id, case)).collect();
        for (id, case) in &known {
            assert!(case.blames.iter().all(|other| known.contains_key(other)), "{id} blames {:?}", case.blames);
            let mut seen = BTreeSet::new();
            let mut next = vec![case];
            while let Some(case) = next.pop() {
                for other in case.needs.iter().chain(case.blames).filter_map(|other| known.get(other)) {
                    assert_ne!(other.id, *id, "{id} would wait for itself");
                    if seen.insert(other.id) {
                        next.push(other);
                    }
                }
            }
        }
    }

    #[test]
    fn every_check_is_the_first_to_turn_red_in_some_sabotage() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let steps = steps();
        let steps: Vec<&str> = steps.iter().map(|step| step.id.as_str()).collect();
        let sabotages = harness::sabotage::choose(&root, &[], &registry(), &steps).expect("the catalogue is sound");
        let first: BTreeSet<&str> =
            sabotages.iter().filter_map(|sabotage| sabotage.red.first()).map(String::as_str).collect();
        let unproved: Vec<&str> = registry().iter().map(|case| case.id).filter(|id| !first.contains(id)).collect();
        assert!(unproved.is_empty(), "no file in fixtures/faults has these first in `red`: {unproved:?}");
    }

    #[rstest]
    #[case::primary(Role::Primary)]
    #[case::remote(Role::Remote)]
    fn the_manifest_gives_exactly_the_rights_of_the_table(#[case] role: Role) {
        let istio = IstioNamespace::default();
        let text = rbac::manifest(&registry(), role, &istio, &Subject::usual(&istio, rbac::READER));
        let given: BTreeSet<(bool, String, String, String, String)> = serde_yaml_ng::Deserializer::from_str(&text)
            .map(|document| Value::deserialize(document).expect("YAML"))
            .flat_map(|object| {
                let everywhere = object["kind"] == "ClusterRole";
                let rules = object["rules"].as_array().cloned().unwrap_or_default();
                rules.into_iter().flat_map(move |rule| of_rule(everywhere, &rule))
            })
            .collect();
        let names = |right: &Right| right.names.join(",");
        let wanted = rbac::rights(&registry(), role).into_iter().flat_map(|(right, _)| {
            let everywhere = right.place == Place::Cluster;
            let of = move |verb: &&str| {
                (everywhere, right.group.to_string(), right.resource.to_string(), names(&right), verb.to_string())
            };
            right.verbs.iter().map(of).collect::<Vec<_>>()
        });
        assert_eq!(given, wanted.collect());
    }

    /// The rights of one rule: where, group, resource, names and verb.
    fn of_rule(everywhere: bool, rule: &Value) -> Vec<(bool, String, String, String, String)> {
        let words = |field: &str| -> Vec<String> {
            let all = rule[field].as_array().into_iter().flatten();
            all.map(|word| word.as_str().expect("a word").to_string()).collect()
        };
        let (group, resource, names) =
            (words("apiGroups").join(","), words("resources").join(","), words("resourceNames").join(","));
        words("verbs")
            .into_iter()
            .map(|verb| (everywhere, group.clone(), resource.clone(), names.clone(), verb))
            .collect()
    }

    #[test]
    fn reading_takes_no_right_to_write_and_none_to_secrets() {
        for role in Role::ALL {
            for (right, needed) in rbac::rights(&registry(), role) {
                assert_ne!(right.resource, "secrets", "{needed}");
                for verb in right.verbs {
                    // A connection to a port counts as made, and changes no object.
                    let reads = ["get", "list", "watch"].contains(verb) || right.resource == "pods/portforward";
                    assert!(reads, "{needed}: {verb} {}", right.resource);
                }
            }
        }
    }

    /// What a scenario of the project can name.
    pub fn with_known<T>(work: impl FnOnce(Known<'_>) -> T) -> T {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let versions = Versions::parse(include_str!("../../kind/versions.toml")).expect("the versions file is sound");
        let steps: Vec<String> = steps().iter().map(|step| step.id.to_string()).collect();
        let names: Vec<&str> = steps.iter().map(String::as_str).collect();
        let sabotages = harness::sabotage::choose(&root, &[], &registry(), &names).expect("it is sound");
        let cases: Vec<_> = registry().iter().map(Case::outline).collect();
        work(Known { versions: &versions, cases: &cases, steps: &steps, sabotages: &sabotages })
    }

    #[test]
    fn every_scenario_of_the_project_is_sound() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folders = ["scenarios", "scenarios/field", "tests/lab"].map(|folder| root.join(folder));
        let files = folders.iter().flat_map(|folder| std::fs::read_dir(folder).expect("it is there").flatten());
        let files = files.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "yaml"));
        with_known(|known| {
            files.for_each(|path| {
                read(&path, known).unwrap_or_else(|problems| panic!("{problems}"));
            })
        });
    }

    #[test]
    fn every_clause_names_its_place_in_the_guide() {
        for case in registry() {
            assert!(case.guide.starts_with("https://istio.io/latest/docs/"), "{}", case.id);
        }
    }
}
