//! An account that has the printed rights and no others, and what the API servers wrote down of it.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use harness::check::right::{Place, Right};
use harness::lab::{Home, kind};
use harness::role::Role;
use kube::config::Kubeconfig;
use serde_json::{Value, json};

use crate::calling::{Lab, MESHPROOF, docker, eventually, kubectl, node};

/// What the user calls the clusters of the lab.
const CONTEXTS: [(Role, &str, &str); 2] = [(Role::Primary, "cluster1", "mine-a"), (Role::Remote, "cluster2", "mine-b")];

/// Who reads a mesh with a verb that prints its rights.
pub struct Account {
    /// The verb.
    pub verb: &'static str,
    /// The service account of the printed manifest, in Istio's namespace.
    pub name: &'static str,
    /// What the verb says that it reads in a cluster.
    pub rights: fn(Role) -> Vec<Right>,
}

impl Account {
    /// Has the printed rights given in both clusters, and waits until the API servers judge by them.
    pub fn made(&self, lab: &Lab) {
        for (role, cluster, _) in CONTEXTS {
            apply(lab, cluster, "apply", &self.manifest(role));
            for place in [Place::Cluster, Place::Istio] {
                let right = (self.rights)(role).into_iter().find(|right| right.place == place);
                self.becomes(lab, cluster, &right.expect("rights in both places"), "yes");
            }
        }
    }

    /// Has all that the printed manifests made deleted.
    pub fn removed(&self, lab: &Lab) {
        for (role, cluster, _) in CONTEXTS {
            apply(lab, cluster, "delete", &self.manifest(role));
        }
    }

    /// What the verb prints.
    pub fn manifest(&self, role: Role) -> String {
        let output = Command::new(MESHPROOF).args([self.verb, "--print-rbac", role.as_str()]).output();
        let output = output.expect("meshproof can be started");
        assert!(output.status.success());
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Waits until the API server has taken up whether it has a right: it judges by what it has heard of the rules.
    pub fn becomes(&self, lab: &Lab, cluster: &str, right: &Right, wanted: &str) {
        let (resource, subresource) = right.resource.split_once('/').unwrap_or((right.resource, ""));
        let resource = format!("{resource}.{}", right.group).trim_end_matches('.').to_string();
        let resource = right.names.first().map_or(resource.clone(), |name| format!("{resource}/{name}"));
        let mut words = vec!["exec".to_string(), node(lab, cluster)];
        words.extend(["kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", "auth", "can-i"].map(String::from));
        words.extend([right.verbs[0], &resource, "--subresource", subresource, "--as", &self.user()].map(String::from));
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

    /// A kubeconfig that has this account in both clusters, and nobody else.
    pub fn kubeconfig(&self, lab: &Lab, folder: &Path) -> PathBuf {
        let (mut clusters, mut users, mut contexts) = (Vec::new(), Vec::new(), Vec::new());
        for (role, cluster, context) in CONTEXTS {
            let own = Kubeconfig::read_from(Home::from_environment().kubeconfig(lab.name, role));
            let own = own.expect("the lab's own").clusters[0].cluster.clone().expect("it has a cluster");
            let token = kubectl(lab, cluster, &["-n", "istio-system", "create", "token", self.name]);
            let ca = own.certificate_authority_data.expect("its CA");
            clusters
                .push(json!({"name": context, "cluster": {"server": own.server, "certificate-authority-data": ca}}));
            users.push(json!({"name": context, "user": {"token": token.trim()}}));
            contexts.push(json!({"name": context, "context": {"cluster": context, "user": context}}));
        }
        let text =
            json!({"apiVersion": "v1", "kind": "Config", "clusters": clusters, "users": users, "contexts": contexts});
        let path = folder.join("config");
        std::fs::write(&path, text.to_string()).expect("it can be written");
        path
    }

    /// What the API servers wrote down of it: nothing that writes, nothing that is not printed, and all that is.
    pub fn used_only_the_printed_rights(&self, lab: &Lab) {
        for (role, cluster, _) in CONTEXTS {
            let printed: BTreeSet<[String; 3]> = (self.rights)(role)
                .iter()
                .flat_map(|right| right.verbs.iter().map(|verb| [verb, right.group, right.resource].map(String::from)))
                .collect();
            // Where all is well there is nothing to wait for; and whether a connection may be made is asked, not written down.
            let unused = |used: &BTreeSet<[String; 3]>| -> Vec<[String; 3]> {
                let unused = printed.difference(used).filter(|[verb, ..]| verb != "watch" && verb != "create");
                unused.cloned().collect()
            };
            // A forwarded connection is written down when it ends, which may be after the process that made it.
            eventually(|| {
                Some(unused(&self.used(lab, cluster)))
                    .filter(|unused| !unused.is_empty())
                    .map(|unused| format!("{cluster}: printed, and never used: {unused:?}"))
            });
            let used = self.used(lab, cluster);
            let unprinted: Vec<_> = used.difference(&printed).collect();
            assert_eq!(unprinted, Vec::<&[String; 3]>::new(), "{cluster}");
            let writes = used.iter().filter(|[verb, _, resource]| {
                !["get", "list", "watch"].contains(&verb.as_str()) && resource != "pods/portforward"
            });
            assert_eq!(writes.count(), 0, "{cluster}: {used:?}");
            println!("{cluster}: {} rights used by {}, no write", used.len(), self.verb);
        }
    }

    /// What the API server of a cluster wrote down of it: verb, group and resource.
    fn used(&self, lab: &Lab, cluster: &str) -> BTreeSet<[String; 3]> {
        let log = docker(&["exec", &node(lab, cluster), "cat", kind::AUDIT_LOG]).stdout;
        let log = String::from_utf8_lossy(&log).into_owned();
        let calls = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let user = self.user();
        let calls = calls.filter(|call| call["user"]["username"] == user && call["objectRef"].is_object());
        calls.map(|call| right_of(&call)).collect()
    }

    /// As the API servers call it.
    fn user(&self) -> String {
        format!("system:serviceaccount:istio-system:{}", self.name)
    }
}

/// Applies or deletes the objects of a manifest, as the administrator of the cluster.
pub fn apply(lab: &Lab, cluster: &str, verb: &str, manifest: &str) {
    let node = node(lab, cluster);
    let line = ["exec", "-i", &node, "kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", verb, "-f", "-"];
    let mut process = Command::new("docker").args(line).stdin(Stdio::piped()).spawn().expect("docker can be started");
    process.stdin.take().expect("its input").write_all(manifest.as_bytes()).expect("kubectl reads it");
    assert!(process.wait().expect("kubectl ends").success(), "kubectl {verb}");
}

fn right_of(call: &Value) -> [String; 3] {
    let place = &call["objectRef"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let sub = place["subresource"].as_str().map_or(String::new(), |sub| format!("/{sub}"));
    [text(&call["verb"]), text(&place["apiGroup"]), format!("{}{sub}", text(&place["resource"]))]
}
