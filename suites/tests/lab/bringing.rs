//! Clusters of the user's own: installed on, judged, and left exactly as they were, also after a kill.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use harness::lab::{Home, images};
use harness::role::Role;
use kube::config::Kubeconfig;
use serde_json::json;

use crate::calling::{Lab, docker, kubectl, node};
use crate::running::Running;

/// What the user calls the clusters.
const CONTEXTS: [(Role, &str, &str); 2] = [(Role::Primary, "cluster1", "mine-a"), (Role::Remote, "cluster2", "mine-b")];

/// Checks that look at what is other there than in a lab, one that cannot be asked there, and the clean-up.
const ASKED: &str = "D0,D2,D5,D8,D10,B3,D12";

/// Kinds that Kubernetes itself makes and renames as it runs.
const PASSING: &str =
    "^(events|endpoints|endpointslices|leases|pods|replicasets|ipaddresses|certificatesigningrequests)";

/// Does the whole job on the clusters of this lab, from which an Istio was uninstalled, as if a user had brought them.
pub fn leaves_the_users_clusters_as_they_were(lab: &Lab) {
    let user = User::of(lab);
    let before = user.objects();
    let (exit, said) = user.run(&["--yes"]);
    assert_eq!(exit, 2, "what an uninstalled Istio left is in the way: {said}");
    assert!(said.contains("mine-a has Istio") && said.contains("istio-ca-root-cert"), "{said}");
    assert_eq!(user.objects(), before);
    user.forget_istio();
    let before = user.objects();
    let (exit, said) = user.run(&[]);
    assert_eq!(exit, 2, "nobody agrees: {said}");
    for word in [
        "context mine-a",
        "creates namespaces istio-system, meshproof-probe",
        "istiod-clusterrole-istio-system",
        "--yes",
    ] {
        assert!(said.contains(word), "the plan says {word}: {said}");
    }
    assert_eq!(user.objects(), before);
    let _cloud = Cloud::of(lab);
    a_killed_run_is_cleaned_up_after(&user, &before);
    the_whole_job_is_green(&user, &before);
}

fn a_killed_run_is_cleaned_up_after(user: &User<'_>, before: &BTreeSet<String>) {
    let mut run = Running::start(user.lab, user.command(&["--yes"]));
    // istioctl is at it in cluster1, and is left running.
    run.until(r#""event":"step-finished","id":"probe-primary""#);
    run.signal("KILL");
    let _ = run.ends_within(Duration::from_secs(10));
    assert_ne!(user.objects(), *before, "half an install is there");
    kubectl(user.lab, "cluster2", &["-n", "istio-system", "create", "configmap", "theirs"]);
    let record = user.lab.runs.join("latest/created.json");
    let (exit, said) = user.uninstall(&record);
    assert_eq!(exit, 4, "what somebody else made keeps its namespace: {said}");
    assert!(
        said.contains("Namespace istio-system is left") && said.contains("ConfigMap istio-system/theirs"),
        "{said}"
    );
    kubectl(user.lab, "cluster2", &["-n", "istio-system", "delete", "configmap", "theirs"]);
    let (exit, said) = user.uninstall(&record);
    assert_eq!((exit, user.objects()), (0, before.clone()), "{said}");
    user.nothing_of_its_own_is_left();
}

fn the_whole_job_is_green(user: &User<'_>, before: &BTreeSet<String>) {
    let mut run = Running::start(user.lab, user.command(&["--yes", "--only", ASKED]));
    run.until(r#""id":"primary-install""#);
    kubectl(user.lab, "cluster1", &["-n", "shop", "create", "configmap", "meanwhile"]);
    let status = run.ends_within(Duration::from_secs(300));
    let verdicts = user.lab.verdicts();
    assert_eq!(status.code(), Some(0), "{verdicts:#?}");
    assert!(verdicts["B3"].starts_with("Skipped: the audit log lies on a node"), "{}", verdicts["B3"]);
    assert!(verdicts.iter().all(|(id, shown)| id == "B3" || shown == "passed"), "{verdicts:#?}");
    kubectl(user.lab, "cluster1", &["-n", "shop", "delete", "configmap", "meanwhile"]);
    assert_eq!(user.objects(), *before, "everything is as it was");
    let (exit, said) = user.uninstall(&user.lab.runs.join("latest/created.json"));
    assert!(exit == 2 && said.contains("was removed on"), "what comes to be there later is somebody else's: {said}");
    user.nothing_of_its_own_is_left();
    println!("on clusters of the user's own: {} clauses told, {} objects unchanged", verdicts.len(), before.len());
}

/// Somebody with two clusters and something of theirs in each.
struct User<'l> {
    lab: &'l Lab,
    folder: tempfile::TempDir,
}

impl User<'_> {
    fn of(lab: &Lab) -> User<'_> {
        let user = User { lab, folder: tempfile::tempdir().expect("a folder") };
        std::fs::write(user.kubeconfig(), kubeconfig(lab)).expect("it can be written");
        for (_, cluster, _) in CONTEXTS {
            kubectl(lab, cluster, &["create", "namespace", "shop"]);
            let image = format!("--image={}", images::WORKLOAD_IN_NODE);
            kubectl(lab, cluster, &["-n", "shop", "create", "deployment", "till", &image, "--", "/workload", "serve"]);
            kubectl(lab, cluster, &["-n", "kube-system", "create", "configmap", "mine", "--from-literal=a=b"]);
            kubectl(lab, cluster, &["-n", "shop", "rollout", "status", "deployment", "till"]);
        }
        user
    }

    fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("config")
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = Command::new(crate::calling::MESHPROOF);
        command.args(["run", "--contexts", "mine-a,mine-b", "--allow-install", "--keep", "never"]);
        command.args(["--workload-image", images::WORKLOAD_IN_NODE, "--runs"]).arg(&self.lab.runs);
        // The images of the lab hold upstream Envoy.
        let overlay = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/istio/upstream-envoy.yaml");
        command.args(["--overlay", &format!("primary={}", overlay.display())]).args(more);
        command.env("KUBECONFIG", self.kubeconfig()).env("CI", "true").stdin(std::process::Stdio::null());
        command
    }

    fn run(&self, more: &[&str]) -> (i32, String) {
        self.lab.shown(self.command(more))
    }

    fn uninstall(&self, record: &Path) -> (i32, String) {
        let mut command = Command::new(crate::calling::MESHPROOF);
        command.args(["uninstall", "--record"]).arg(record).env("KUBECONFIG", self.kubeconfig());
        self.lab.shown(command)
    }

    /// All objects of both clusters by kind, name and UID; of those that are the user's, the version too.
    fn objects(&self) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        for (_, cluster, _) in CONTEXTS {
            let columns = "K:.kind,NS:.metadata.namespace,N:.metadata.name,U:.metadata.uid";
            let script = format!(
                "kinds=$(kubectl api-resources --verbs=list -o name | grep -vE '{PASSING}' | paste -sd,); \
                 kubectl get $kinds -A --ignore-not-found --no-headers -o custom-columns={columns}; \
                 kubectl get deployment/till -n shop --no-headers -o custom-columns=V:.metadata.resourceVersion,S:.spec; \
                 kubectl get configmap/mine -n kube-system --no-headers -o custom-columns=V:.metadata.resourceVersion"
            );
            let environment = "KUBECONFIG=/etc/kubernetes/admin.conf";
            let listed = docker(&["exec", "-e", environment, &node(self.lab, cluster), "bash", "-c", &script]);
            let text = String::from_utf8_lossy(&listed.stdout).into_owned();
            all.extend(
                text.lines().map(|line| format!("{cluster} {}", line.split_whitespace().collect::<Vec<_>>().join(" "))),
            );
        }
        assert!(all.len() > 200, "{all:#?}");
        all
    }

    /// Deletes what istiod left, as the refusal says.
    fn forget_istio(&self) {
        for (_, cluster, _) in CONTEXTS {
            for map in ["istio-ca-root-cert", "istio-ca-crl"] {
                let script = format!(
                    "kubectl get configmaps -A --no-headers --field-selector metadata.name={map} -o custom-columns=N:.metadata.namespace \
                     | xargs -r -I N kubectl -n N delete configmap {map}"
                );
                let environment = "KUBECONFIG=/etc/kubernetes/admin.conf";
                docker(&["exec", "-e", environment, &node(self.lab, cluster), "bash", "-c", &script]);
            }
        }
    }

    /// The kubeconfig is as it was, and copies of it are gone.
    fn nothing_of_its_own_is_left(&self) {
        assert_eq!(std::fs::read_to_string(self.kubeconfig()).expect("it is there"), kubeconfig(self.lab));
        let folder = Home::from_environment().state.join("brought/labs");
        let left: Vec<_> =
            std::fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        assert_eq!(left, Vec::<PathBuf>::new());
    }
}

/// A kubeconfig with both clusters at addresses that their pods reach, too.
fn kubeconfig(lab: &Lab) -> String {
    let (mut clusters, mut users, mut contexts) = (Vec::new(), Vec::new(), Vec::new());
    for (role, cluster, context) in CONTEXTS {
        let own = Kubeconfig::read_from(Home::from_environment().kubeconfig(lab.name, role)).expect("the lab's own");
        let mut at = own.clusters[0].cluster.clone().expect("it has a cluster");
        at.server = Some(format!("https://{}:6443", address(lab, cluster)));
        clusters.push(json!({"name": context, "cluster": at}));
        users.push(json!({"name": context, "user": own.auth_infos[0].auth_info}));
        contexts.push(json!({"name": context, "context": {"cluster": context, "user": context}}));
    }
    json!({"apiVersion": "v1", "kind": "Config", "clusters": clusters, "users": users, "contexts": contexts})
        .to_string()
}

fn address(lab: &Lab, cluster: &str) -> String {
    let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    String::from_utf8_lossy(&docker(&["inspect", "-f", format, &node(lab, cluster)]).stdout).trim().to_string()
}

/// Plays the platform of cluster1: gives the gateway's Service an address, whenever there is one without.
struct Cloud {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Cloud {
    fn of(lab: &Lab) -> Cloud {
        let (node, own) = (node(lab, "cluster1"), address(lab, "cluster1"));
        let given = format!("{}.201", own.rsplit_once('.').expect("an address").0);
        docker(&["exec", &node, "ip", "address", "replace", &format!("{given}/32"), "dev", "eth0"]);
        let over = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&over);
        let status = json!({"status": {"loadBalancer": {"ingress": [{"ip": given}]}}}).to_string();
        let thread = std::thread::spawn(move || {
            let kubectl =
                ["exec", &node, "kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", "-n", "istio-system"];
            let patch = ["patch", "service", "istio-eastwestgateway", "--subresource=status", "--patch", &status];
            while !ended.load(Ordering::Relaxed) {
                // There is none most of the time.
                let _ = Command::new("docker").args(kubectl).args(patch).output();
                std::thread::sleep(Duration::from_millis(500));
            }
            let _ =
                Command::new("docker").args(["exec", &node, "ip", "address", "del", &given, "dev", "eth0"]).output();
        });
        Cloud { over, thread: Some(thread) }
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
