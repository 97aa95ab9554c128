//! A mesh of the user's own: judged with the printed rights and no others, and nothing is written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use harness::check::case::Reads;
use harness::check::right::{Place, Right};
use harness::reading::rbac;
use harness::role::Role;

use crate::account::{Account, apply};
use crate::calling::{Lab, MESHPROOF, judged, kubectl};

/// Who judges by reading.
const READER: Account = Account {
    verb: "check",
    name: rbac::READER,
    rights: |role| rbac::rights(&suites::registry(), role).into_iter().map(|(right, _)| right).collect(),
};

/// Judges the healthy lab, sees what was read, breaks it and judges again.
pub fn judges_with_the_printed_rights_and_writes_nothing(lab: &Lab) {
    READER.made(lab);
    let folder = tempfile::tempdir().expect("a folder");
    let kubeconfig = READER.kubeconfig(lab, folder.path());
    is_green(lab, &kubeconfig);
    READER.used_only_the_printed_rights(lab);
    a_lost_annotation_is_found(lab, &kubeconfig);
    a_missing_right_is_named(lab, &kubeconfig);
    swapped_clusters_are_named(lab, &kubeconfig);
    READER.removed(lab);
}

/// Judges by reading; the exit code, and all that was said.
fn check(lab: &Lab, kubeconfig: &Path, contexts: &str) -> (i32, String) {
    let before = std::fs::read(kubeconfig).expect("the kubeconfig");
    let mut command = Command::new(MESHPROOF);
    command
        .args(["check", "--contexts", contexts, "--read-only", "--runs"])
        .arg(&lab.runs)
        .env("KUBECONFIG", kubeconfig);
    let told = lab.shown(command);
    assert_eq!(std::fs::read(kubeconfig).expect("the kubeconfig"), before, "it is only read");
    told
}

/// Clauses that passed, and all that were neither that nor skipped.
fn told(lab: &Lab) -> (BTreeSet<String>, BTreeMap<String, String>) {
    let (passed, other): (BTreeMap<_, _>, _) = lab.verdicts().into_iter().partition(|(_, shown)| shown == "passed");
    let other = other.into_iter().filter(|(_, shown)| !shown.starts_with("Skipped: reading alone cannot tell"));
    (passed.into_keys().collect(), other.collect())
}

fn readable() -> BTreeSet<String> {
    let all = suites::registry();
    all.iter().filter(|case| matches!(case.reads, Reads::Part(_))).map(|case| case.id.to_string()).collect()
}

fn is_green(lab: &Lab, kubeconfig: &Path) {
    let (exit, said) = check(lab, kubeconfig, "mine-a,mine-b");
    let (passed, other) = told(lab);
    assert_eq!((exit, &passed, other), (0, &readable(), BTreeMap::new()), "{said}");
    let report = lab.junit();
    let about = report.test_suites[0].system_out.as_ref().map_or("", |text| text.as_str()).to_string();
    for fact in ["primary context = mine-a", "remote id = cluster2", "cluster1 kube-system uid = ", "by reading only"] {
        assert!(about.contains(fact), "the report says {fact}: {about}");
    }
    for case in judged(&report).filter(|case| passed.contains(id(&case.name))) {
        let evidence = case.system_out.as_ref().map_or("", |text| text.as_str());
        assert!(evidence.contains("note: judged by reading only"), "{}: {evidence}", case.name.as_str());
    }
    println!("judged by reading: {} of {} clauses", passed.len(), suites::registry().len());
}

fn id(name: &str) -> &str {
    name.split(' ').next().unwrap_or_default()
}

fn a_lost_annotation_is_found(lab: &Lab, kubeconfig: &Path) {
    let annotate = |annotation: &str| {
        kubectl(lab, "cluster2", &["annotate", "namespace", "istio-system", annotation]);
    };
    annotate("topology.istio.io/controlPlaneClusters-");
    let (exit, said) = check(lab, kubeconfig, "mine-a,mine-b");
    annotate("topology.istio.io/controlPlaneClusters=cluster1");
    let (_, other) = told(lab);
    assert_eq!((exit, other.keys().map(String::as_str).collect::<Vec<_>>()), (1, vec!["D4"]), "{said}");
    for word in ["cluster2", "mine-b", "istio-system", "topology.istio.io/controlPlaneClusters=cluster1"] {
        assert!(other["D4"].contains(word), "the cause names {word}: {other:?}");
    }
    assert!(said.contains("kubectl --context mine-b annotate"), "the hint is for the user's own context: {said}");
}

fn a_missing_right_is_named(lab: &Lab, kubeconfig: &Path) {
    let all = READER.manifest(Role::Primary);
    let rule = "- apiGroups: [\"\"]\n  resources: [pods/portforward]\n  verbs: [create, get]\n";
    let without = all.replace(rule, "");
    assert_ne!(all, without);
    apply(lab, "cluster1", "apply", &without);
    let right = Right::new(Role::Primary, Place::Istio, "", "pods/portforward", &["get"]);
    READER.becomes(lab, "cluster1", &right, "no");
    let (exit, said) = check(lab, kubeconfig, "mine-a,mine-b");
    apply(lab, "cluster1", "apply", &all);
    let (_, other) = told(lab);
    assert_eq!((exit, other.keys().map(String::as_str).collect::<Vec<_>>()), (3, vec!["D6", "D7"]), "{said}");
    for shown in other.values() {
        for word in ["pods/portforward", "istio-system", "mine-a", "--print-rbac primary"] {
            assert!(shown.contains(word), "it names {word}: {shown}");
        }
    }
}

fn swapped_clusters_are_named(lab: &Lab, kubeconfig: &Path) {
    let (exit, said) = check(lab, kubeconfig, "mine-b,mine-a");
    assert_eq!(exit, 3, "{said}");
    assert!(said.contains("swapped") && said.contains("--contexts mine-a,mine-b"), "{said}");
}
