//! What is explained of every check, step and hint: it is there, it is true to the catalogues, and its commands can be pasted.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use harness::check::Case;
use harness::explain::{Catalogue, Filling, Subject, list, markdown, text};
use harness::field::{Issue, read};
use harness::install::{Step, primary_remote};
use harness::plan::StepOutline;
use harness::scenario::{IstioNamespace, Scenario};
use rstest::rstest;

use crate::registry;
use crate::tests::with_known;

/// What there is, as `meshproof explain` has it of the lab that is made where nothing is said.
fn with_all<T>(work: impl FnOnce(Catalogue<'_>, &Filling) -> T) -> T {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    with_known(|known| {
        let scenario = Scenario::default_primary_remote(known.versions);
        let issues: Vec<Issue> = read(&root, known).expect("the field issues are sound");
        let steps: Vec<StepOutline> = primary_remote::steps(&scenario, "workload").iter().map(Step::outline).collect();
        let checks: Vec<Case> = registry();
        let sabotages = known.sabotages;
        work(Catalogue { checks: &checks, steps: &steps, sabotages, issues: &issues }, &Filling::planned(&scenario))
    })
}

fn explained(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(ToString::to_string).collect();
    with_all(|catalogue, filling| {
        let found = catalogue.find(&words).unwrap_or_else(|problems| panic!("{problems}"));
        found.into_iter().map(|subject| text(subject, &catalogue, filling)).collect()
    })
}

/// `MESHPROOF_ACCEPT=1 cargo test -p meshproof --lib` writes it anew.
#[test]
fn the_catalogue_on_file_is_that_of_the_checks() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("CATALOG.md");
    let now = with_all(|catalogue, filling| markdown(&catalogue, filling));
    if std::env::var_os("MESHPROOF_ACCEPT").is_some() {
        std::fs::write(&path, &now).expect("it can be written");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == now, "suites/CATALOG.md differs; MESHPROOF_ACCEPT=1 writes it anew");
}

#[test]
fn the_catalogue_names_every_check_and_every_sabotage_that_turns_one_red_once() {
    with_all(|catalogue, filling| {
        let written = markdown(&catalogue, filling);
        for case in catalogue.checks {
            assert!(written.contains(&format!("\n## {} {}\n", case.id, case.slug)), "{}", case.id);
        }
        for sabotage in catalogue.sabotages.iter().filter(|sabotage| !sabotage.red.is_empty()) {
            let link = format!("[`{id}`](../fixtures/faults/{id}.yaml): ", id = sabotage.id);
            assert_eq!(written.matches(&link).count(), 1, "{}", sabotage.id);
        }
        for issue in catalogue.issues {
            let link = format!("[`{id}`](scenarios/field/{id}.yaml): ", id = issue.id);
            assert_eq!(written.matches(&link).count(), issue.scenario().symptom.len(), "{}", issue.id);
        }
        assert!(!written.contains("${"), "every name is filled in");
    });
}

#[test]
fn no_two_things_have_one_name() {
    with_all(|catalogue, _| {
        let mut names = BTreeSet::new();
        for name in catalogue.subjects().iter().flat_map(Subject::names) {
            assert!(names.insert(name.to_lowercase()), "{name} stands for two things");
        }
    });
}

#[test]
fn each_check_says_in_sentences_what_it_judges_and_why() {
    for case in registry() {
        for said in [case.explains.judges, case.explains.why] {
            let fits = said.ends_with('.') && (60..600).contains(&said.len()) && !said.contains("  ");
            assert!(fits && !said.contains("CTX_"), "{}: {said}", case.id);
        }
        assert!(case.explains.by_hand.len() > 1, "{} says too little of how to look by hand", case.id);
    }
}

/// Every command that is shown, of the lab and of a user's own mesh.
fn commands() -> Vec<String> {
    with_all(|catalogue, lab| {
        let namespace = IstioNamespace::named("mesh").expect("a namespace");
        let contexts = ["of a".to_string(), "it's $b".to_string()];
        let own = Filling::of_contexts(contexts, namespace, &lab.scenario);
        let of = |filling: &Filling| -> Vec<String> {
            let shown = catalogue.subjects().into_iter().map(|subject| text(subject, &catalogue, filling));
            let lines = shown.flat_map(|text| text.lines().map(str::to_string).collect::<Vec<_>>());
            lines.filter_map(|line| Some(line.strip_prefix("  ")?.to_string())).collect()
        };
        let is_command = |line: &String| ["kubectl ", "istioctl ", "docker "].iter().any(|tool| line.starts_with(tool));
        of(lab).into_iter().chain(of(&own)).filter(is_command).collect()
    })
}

#[test]
fn commands_name_their_cluster_and_a_shell_takes_them() {
    let commands = commands();
    assert!(commands.len() > 150, "{}", commands.len());
    for command in &commands {
        assert!(!command.contains("${"), "a name is not filled in: {command}");
        let calls = command.matches("kubectl ").count() + command.matches("istioctl ").count();
        assert_eq!(command.matches("--context").count(), calls, "{command}");
        let mut bash = Command::new("bash");
        bash.args(["-n", "-c", command]).stderr(Stdio::piped());
        let said = bash.output().expect("bash is there");
        assert!(said.status.success(), "{command}: {}", String::from_utf8_lossy(&said.stderr));
    }
}

#[test]
fn what_takes_a_lab_is_left_out_for_a_mesh_of_the_users_own() {
    with_all(|catalogue, lab| {
        let contexts = ["a".to_string(), "b".to_string()];
        let own = Filling::of_contexts(contexts, IstioNamespace::default(), &lab.scenario);
        for subject in catalogue.subjects().into_iter().filter(|subject| matches!(subject, Subject::Check(_))) {
            let shown = text(subject, &catalogue, &own);
            assert!(!shown.contains("docker exec") && !shown.contains("/workload "), "{shown}");
        }
    });
}

#[rstest]
#[case::by_id("D8")]
#[case::whatever_its_case("d8")]
#[case::by_name("webhook-ca-patched")]
fn a_check_is_found_and_told_with_its_sabotages_and_field_issues(#[case] word: &str) {
    let shown = explained(&[word]);
    assert!(shown.starts_with("D8 webhook-ca-patched: istiod patches its CA"), "{shown}");
    for part in [
        "primary-remote/#attach-cluster2",
        "needs       D5 and D6\n",
        "by reading  yes; not asked then: ",
        "  reader-without-webhooks  the reader account of istiod may not update the webhooks of cluster2",
        "  f02-annotated-late ",
        "istio/istio#41389",
        "kubectl --context kind-meshproof-cluster2 get mutatingwebhookconfigurations ",
    ] {
        assert!(shown.contains(part), "{part} is not in:\n{shown}");
    }
}

#[test]
fn steps_and_hints_are_told_with_their_commands() {
    let shown = explained(&["remote-secret", "webhook-without-ca"]);
    for part in [
        "primary-remote/#attach-cluster2-as-a-remote-cluster-of-cluster1\n",
        "judged by   D6\n",
        "  istioctl create-remote-secret --context=kind-meshproof-cluster2 ",
        "  left-out-remote-secret  ",
        "webhook-without-ca: an injection webhook has no CA\n",
        "reference   guide, attach cluster2; istio/istio#42327",
    ] {
        assert!(shown.contains(part), "{part} is not in:\n{shown}");
    }
}

#[rstest]
#[case::of_a_round("rotated/D6", "D6")]
#[case::of_a_remote("late/cluster3/D6", "D6")]
#[case::with_its_name("cluster3/D6 remote-secret-trusted", "D6")]
#[case::of_a_step("workloads-remote-cluster3", "workloads-remote")]
#[case::of_a_step_whose_remote_has_a_long_name("uninstall-remote-eu-west-1", "uninstall-remote")]
fn what_reports_print_is_explained(#[case] printed: &str, #[case] id: &str) {
    assert_eq!(explained(&[printed]), explained(&[id]));
}

#[test]
fn every_name_explains_what_has_it() {
    with_all(|catalogue, _| {
        for subject in catalogue.subjects() {
            for name in subject.names() {
                let found = catalogue.find(&[name.to_string()]).expect("it is a name");
                assert!(found.iter().any(|one| one.names() == subject.names()), "{name}");
            }
        }
    });
}

#[test]
fn a_glob_explains_each_thing_once() {
    let shown = explained(&["d1?", "D10", "pods-reach-*"]);
    assert_eq!(shown.matches("pods-reach-each-other: ").count(), 1, "{shown}");
    assert_eq!(shown.matches("\nguide ").count(), 4, "D10 to D13: {shown}");
}

#[test]
fn words_that_mean_nothing_are_all_said_with_names_that_look_like_them() {
    let words = ["D8", "secrt-names-localhost", "webhook", "D14", ""].map(str::to_string);
    let said = with_all(|catalogue, _| catalogue.find(&words).expect_err("four mean nothing"));
    let instead: Vec<&str> = said.0.iter().map(|problem| problem.instead.as_str()).collect();
    assert_eq!(instead.len(), 4, "{said}");
    assert!(instead[0].starts_with("`secret-names-localhost`; "), "{said}");
    assert!(instead[1].starts_with("`webhook-ca-patched`, "), "{said}");
    assert!(instead[2..].iter().all(|instead| instead.contains("`meshproof explain` lists them all")), "{said}");
}

#[test]
fn the_list_has_everything_that_can_be_explained() {
    with_all(|catalogue, _| {
        let listed = list(&catalogue);
        for name in catalogue.subjects().iter().flat_map(Subject::names) {
            assert!(listed.split_whitespace().any(|word| word == name), "{name} is not in the list");
        }
    });
}
