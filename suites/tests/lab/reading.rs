//! A mesh of the user's own: judged with the printed rights and no others, and nothing is written.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use harness::check::case::Reads;
use harness::check::right::{Place, Right};
use harness::lab::{Home, kind};
use harness::reading::rbac;
use harness::role::Role;
use kube::config::Kubeconfig;
use serde_json::{Value, json};

use crate::calling::{Lab, MESHPROOF, docker, eventually, kubectl, node};

/// The account that the printed manifest makes.
const ACCOUNT: &str = "system:serviceaccount:istio-system:meshproof-reader";

/// What the user calls the clusters of the lab.
const CONTEXTS: [(Role, &str, &str); 2] = [(Role::Primary, "cluster1", "mine-a"), (Role::Remote, "cluster2", "mine-b")];

/// Judges the healthy lab, sees what was read, breaks it and judges again.
pub fn judges_with_the_printed_rights_and_writes_nothing(lab: &Lab) {
    for (role, cluster, _) in CONTEXTS {
        with_manifest(lab, cluster, "apply", &manifest(role));
        for place in [Place::Cluster, Place::Istio] {
            let rights = rbac::rights(&suites::registry(), role);
            let right = rights.iter().map(|(right, _)| right).find(|right| right.place == place);
            becomes(lab, cluster, right.expect("rights in both places"), "yes");
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    let kubeconfig = kubeconfig(lab, folder.path());
    is_green(lab, &kubeconfig);
    only_the_printed_rights_were_used(lab);
    a_lost_annotation_is_found(lab, &kubeconfig);
    a_missing_right_is_named(lab, &kubeconfig);
    swapped_clusters_are_named(lab, &kubeconfig);
    for (role, cluster, _) in CONTEXTS {
        with_manifest(lab, cluster, "delete", &manifest(role));
    }
}

fn manifest(role: Role) -> String {
    let output = Command::new(MESHPROOF).args(["check", "--print-rbac", role.as_str()]).output();
    let output = output.expect("meshproof can be started");
    assert!(output.status.success());
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Applies or deletes the objects of a manifest, as the administrator of the cluster.
fn with_manifest(lab: &Lab, cluster: &str, verb: &str, manifest: &str) {
    let node = node(lab, cluster);
    let line = ["exec", "-i", &node, "kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", verb, "-f", "-"];
    let mut process = Command::new("docker").args(line).stdin(Stdio::piped()).spawn().expect("docker can be started");
    process.stdin.take().expect("its input").write_all(manifest.as_bytes()).expect("kubectl reads it");
    assert!(process.wait().expect("kubectl ends").success(), "kubectl {verb}");
}

/// Waits until the API server has taken up whether the account has a right: it judges by what it has heard of the rules.
fn becomes(lab: &Lab, cluster: &str, right: &Right, wanted: &str) {
    let (resource, subresource) = right.resource.split_once('/').unwrap_or((right.resource, ""));
    let resource = format!("{resource}.{}", right.group).trim_end_matches('.').to_string();
    let resource = right.names.first().map_or(resource.clone(), |name| format!("{resource}/{name}"));
    let mut words = vec!["exec".to_string(), node(lab, cluster)];
    words.extend(["kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", "auth", "can-i"].map(String::from));
    words.extend([right.verbs[0], &resource, "--subresource", subresource, "--as", ACCOUNT].map(String::from));
    words.extend(match right.place {
        Place::Cluster => vec!["--all-namespaces".to_string()],
        Place::Istio => vec!["--namespace".to_string(), "istio-system".to_string()],
    });
    eventually(|| {
        // Its exit code is 1 where the answer is no.
        let output = Command::new("docker").args(&words).output().expect("docker can be started");
        let answer = String::from_utf8_lossy(&output.stdout).trim().to_string();
        (answer != wanted).then(|| format!("{}: {answer:?} instead of {wanted}", words.join(" ")))
    });
}

/// A kubeconfig that has the account of the printed rights in both clusters, and nobody else.
fn kubeconfig(lab: &Lab, folder: &Path) -> std::path::PathBuf {
    let (mut clusters, mut users, mut contexts) = (Vec::new(), Vec::new(), Vec::new());
    for (role, cluster, context) in CONTEXTS {
        let own = Kubeconfig::read_from(Home::from_environment().kubeconfig(lab.name, role)).expect("the lab's own");
        let own = own.clusters[0].cluster.clone().expect("it has a cluster");
        let token = kubectl(lab, cluster, &["-n", "istio-system", "create", "token", "meshproof-reader"]);
        let ca = own.certificate_authority_data.expect("its CA");
        clusters.push(json!({"name": context, "cluster": {"server": own.server, "certificate-authority-data": ca}}));
        users.push(json!({"name": context, "user": {"token": token.trim()}}));
        contexts.push(json!({"name": context, "context": {"cluster": context, "user": context}}));
    }
    let text =
        json!({"apiVersion": "v1", "kind": "Config", "clusters": clusters, "users": users, "contexts": contexts});
    let path = folder.join("config");
    std::fs::write(&path, text.to_string()).expect("it can be written");
    path
}

/// Judges by reading; the exit code, and all that was said.
fn check(lab: &Lab, kubeconfig: &Path, contexts: &str) -> (i32, String) {
    let before = std::fs::read(kubeconfig).expect("the kubeconfig");
    let output = Command::new(MESHPROOF)
        .args(["check", "--contexts", contexts, "--read-only", "--runs"])
        .arg(&lab.runs)
        .env("KUBECONFIG", kubeconfig)
        .output()
        .expect("meshproof can be started");
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    eprintln!("{said}");
    assert_eq!(std::fs::read(kubeconfig).expect("the kubeconfig"), before, "it is only read");
    (output.status.code().unwrap_or(-1), said)
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
    for case in report.test_suites[0].test_cases.iter().filter(|case| passed.contains(id(&case.name))) {
        let evidence = case.system_out.as_ref().map_or("", |text| text.as_str());
        assert!(evidence.contains("note: judged by reading only"), "{}: {evidence}", case.name.as_str());
    }
    println!("judged by reading: {} of {} clauses", passed.len(), suites::registry().len());
}

fn id(name: &str) -> &str {
    name.split(' ').next().unwrap_or_default()
}

/// What the API servers wrote down of that account: nothing that writes, nothing that is not printed, and all that is.
fn only_the_printed_rights_were_used(lab: &Lab) {
    for (role, cluster, _) in CONTEXTS {
        let printed: BTreeSet<[String; 3]> = rbac::rights(&suites::registry(), role)
            .iter()
            .flat_map(|(right, _)| right.verbs.iter().map(|verb| [verb, right.group, right.resource].map(String::from)))
            .collect();
        // Where all is well there is nothing to wait for; and whether a connection may be made is asked, not written down.
        let unused = |used: &BTreeSet<[String; 3]>| -> Vec<[String; 3]> {
            let unused = printed.difference(used).filter(|[verb, ..]| verb != "watch" && verb != "create");
            unused.cloned().collect()
        };
        // A forwarded connection is written down when it ends, which may be after the process that made it.
        eventually(|| {
            Some(unused(&all_used(lab, cluster)))
                .filter(|unused| !unused.is_empty())
                .map(|unused| format!("{cluster}: printed, and never used: {unused:?}"))
        });
        let used = all_used(lab, cluster);
        let unprinted: Vec<_> = used.difference(&printed).collect();
        assert_eq!(unprinted, Vec::<&[String; 3]>::new(), "{cluster}");
        let writes = used.iter().filter(|[verb, _, resource]| {
            !["get", "list", "watch"].contains(&verb.as_str()) && resource != "pods/portforward"
        });
        assert_eq!(writes.count(), 0, "{cluster}: {used:?}");
        println!("{cluster}: {} rights used by reading, no write", used.len());
    }
}

/// What the API server of a cluster wrote down of the account.
fn all_used(lab: &Lab, cluster: &str) -> BTreeSet<[String; 3]> {
    let log = docker(&["exec", &node(lab, cluster), "cat", kind::AUDIT_LOG]).stdout;
    let log = String::from_utf8_lossy(&log).into_owned();
    let calls = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let calls = calls.filter(|call| call["user"]["username"] == ACCOUNT && call["objectRef"].is_object());
    calls.map(|call| used(&call)).collect()
}

fn used(call: &Value) -> [String; 3] {
    let place = &call["objectRef"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let sub = place["subresource"].as_str().map_or(String::new(), |sub| format!("/{sub}"));
    [text(&call["verb"]), text(&place["apiGroup"]), format!("{}{sub}", text(&place["resource"]))]
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
    let all = manifest(Role::Primary);
    let rule = "- apiGroups: [\"\"]\n  resources: [pods/portforward]\n  verbs: [create, get]\n";
    let without = all.replace(rule, "");
    assert_ne!(all, without);
    with_manifest(lab, "cluster1", "apply", &without);
    let right = Right::new(Role::Primary, Place::Istio, "", "pods/portforward", &["get"]);
    becomes(lab, "cluster1", &right, "no");
    let (exit, said) = check(lab, kubeconfig, "mine-a,mine-b");
    with_manifest(lab, "cluster1", "apply", &all);
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
