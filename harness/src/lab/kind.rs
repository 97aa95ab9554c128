//! kind: the configuration of one cluster, and the call that creates it.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::host::{Cgroup, Host};
use crate::budget::Budgets;
use crate::check::verdict::chain;
use crate::tool::{Tool, ToolError};
use crate::topology::ClusterPlan;

/// Where the audit log of a cluster lies inside its control-plane node.
pub const AUDIT_LOG: &str = "/var/log/kubernetes/audit.log";

/// The label that kind gives the containers of its nodes.
pub const LABEL: &str = "io.x-k8s.kind.cluster";

/// kind's configuration for one cluster of the lab.
///
/// `kubernetes` is its version, as `v1.36.3`. Patches for restricted and cgroup v1 hosts are set only where they are
/// needed. `audit_policy` is the file on the host that says what the API server writes down; without it, that is
/// nothing.
pub fn config(plan: &ClusterPlan, kubernetes: &str, host: &Host, audit_policy: Option<&Path>) -> String {
    let mut yaml = String::new();
    let mut line = |text: &str| writeln!(yaml, "{text}").expect("a String takes everything");
    line("kind: Cluster");
    line("apiVersion: kind.x-k8s.io/v1alpha4");
    line(&format!("name: {}", plan.kind_name));
    line("networking:");
    // The pod network is ours on every image source: kindnet would hide pod addresses between the clusters.
    line("  disableDefaultCNI: true");
    line(&format!("  podSubnet: {}", plan.pod_subnet));
    line(&format!("  serviceSubnet: {}", plan.service_subnet));
    if host.restricted() {
        line("featureGates:");
        line("  KubeletInUserNamespace: true");
    }
    line("kubeadmConfigPatches:");
    if host.cgroup == Cgroup::V1 {
        line("- |");
        line("  kind: KubeletConfiguration");
        line("  failCgroupV1: false");
    }
    line("- |");
    line("  kind: KubeProxyConfiguration");
    // A second between two writings of its rules, kind's value, is for clusters with many services: here it is a second
    // in which the gateway that became ready refuses istiod's webhooks, and who called them backs off.
    line("  iptables: {minSyncPeriod: 50ms}");
    if host.restricted() {
        line("  conntrack: {maxPerCore: 0}");
    }
    if plan.nodes > 1 {
        // Pods spread over all nodes, as on a cluster of one, where kind takes the taint of the control plane away.
        line("- |");
        line("  kind: InitConfiguration");
        line("  nodeRegistration:");
        line("    taints: []");
    }
    line("- |");
    line("  kind: ClusterConfiguration");
    let form = ArgsForm::of(kubernetes);
    if form == ArgsForm::List {
        // A dozen RSA keys take two seconds of a core, in each cluster.
        line("  encryptionAlgorithm: ECDSA-P256");
    }
    line("  etcd:");
    line("    local:");
    // A lab is thrown away: its etcd need not survive a power cut.
    form.write("      ", &[("unsafe-no-fsync", "true")], &mut line);
    // Alone in its cluster each has nobody to agree with; asking for the lease before the API server grants it costs
    // four seconds in which no pod starts. So does the controller manager's default rate, when it makes an account and
    // a token for each of its controllers.
    line("  scheduler:");
    form.write("    ", &[("leader-elect", "false")], &mut line);
    line("  controllerManager:");
    let rates = [("leader-elect", "false"), ("kube-api-qps", "200"), ("kube-api-burst", "400")];
    form.write("    ", &rates, &mut line);
    if audit_policy.is_some() {
        line("  apiServer:");
        let audit = [
            ("audit-policy-file", "/etc/kubernetes/meshproof/audit-policy.yaml"),
            ("audit-log-path", AUDIT_LOG),
            ("audit-log-maxsize", "50"),
        ];
        form.write("    ", &audit, &mut line);
        line("    extraVolumes:");
        line("    - name: audit-policy");
        line("      hostPath: /etc/kubernetes/meshproof");
        line("      mountPath: /etc/kubernetes/meshproof");
        line("      readOnly: true");
        line("      pathType: DirectoryOrCreate");
        line("    - name: audit-log");
        line("      hostPath: /var/log/kubernetes");
        line("      mountPath: /var/log/kubernetes");
        line("      readOnly: false");
        line("      pathType: DirectoryOrCreate");
    }
    line("nodes:");
    line("- role: control-plane");
    if let Some(policy) = audit_policy {
        line("  extraMounts:");
        line(&format!("  - hostPath: {}", policy.display()));
        line("    containerPath: /etc/kubernetes/meshproof/audit-policy.yaml");
        line("    readOnly: true");
    }
    for _ in 1..plan.nodes {
        line("- role: worker");
    }
    yaml
}

/// How the names of the files end in which stands what kind said.
const LOG: &str = ".kind.log";

/// The file beside a kubeconfig file in which stands what kind said.
fn log(kubeconfig: &Path) -> PathBuf {
    kubeconfig.with_extension(LOG.trim_start_matches('.'))
}

/// What kind said of each cluster of the lab with this folder, by the name of the cluster's files.
pub fn logs(folder: &Path) -> Vec<(String, String)> {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let log = |entry: std::fs::DirEntry| {
        let cluster = entry.file_name().to_string_lossy().strip_suffix(LOG)?.to_string();
        Some((cluster, std::fs::read_to_string(entry.path()).ok()?))
    };
    let mut logs: Vec<(String, String)> = files.filter_map(log).collect();
    logs.sort();
    logs
}

/// The file in the folder of diagnostics in which stands what kind said of this cluster.
pub fn diagnosed(cluster: &str) -> String {
    format!("{cluster}/kind.log")
}

/// A cluster that kind could not create.
#[derive(Debug, thiserror::Error)]
#[error("{}\nall that kind said: diagnostics/{log}", chain(source))]
pub struct KindError {
    /// What its call came to.
    source: ToolError,
    /// The file with its log, in the folder of diagnostics, for the lab's own goes with the lab.
    log: String,
}

/// How kubeadm's configuration writes arguments; kind goes over to kubeadm v1beta4 with Kubernetes 1.36.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ArgsForm {
    /// kubeadm.k8s.io/v1beta3: a map.
    Map,
    /// kubeadm.k8s.io/v1beta4: a list of names and values.
    List,
}

impl ArgsForm {
    /// The form for a version such as `v1.36.3`.
    fn of(kubernetes: &str) -> ArgsForm {
        let mut numbers = kubernetes.trim_start_matches('v').split('.').map(|part| part.parse::<u32>().unwrap_or(0));
        match (numbers.next(), numbers.next()) {
            (Some(1), Some(minor)) if minor < 36 => ArgsForm::Map,
            _ => ArgsForm::List,
        }
    }

    fn write(self, indent: &str, args: &[(&str, &str)], line: &mut impl FnMut(&str)) {
        line(&format!("{indent}extraArgs:"));
        for (name, value) in args {
            match self {
                ArgsForm::Map => line(&format!("{indent}  {name}: \"{value}\"")),
                ArgsForm::List => line(&format!("{indent}- {{name: {name}, value: \"{value}\"}}")),
            }
        }
    }
}

/// What `kind create cluster` needs to know.
#[derive(Debug, Clone, Copy)]
pub struct Create<'a> {
    /// The kind command.
    pub kind: &'a Path,
    /// The Docker network of the lab.
    pub network: &'a str,
    /// The cluster.
    pub plan: &'a ClusterPlan,
    /// The node image.
    pub image: &'a str,
    /// kind's configuration.
    pub config: &'a str,
    /// The kubeconfig file to write.
    pub kubeconfig: &'a Path,
}

/// Creates one cluster on the lab's network; the user's own kubeconfig is not touched.
///
/// # Errors
/// [`KindError`] with what kind says of it. What was made so far stays, for diagnostics, until the lab is removed.
pub async fn create(what: Create<'_>, budgets: &Budgets, mut line: impl FnMut(&str)) -> Result<(), KindError> {
    let plan = what.plan;
    // For diagnostics alone: a log that cannot be written must not end what it tells about.
    let mut log = std::fs::File::create(log(what.kubeconfig)).ok();
    Tool::new(what.kind)
        .args(["create", "cluster", "--name", &plan.kind_name, "--image", what.image])
        .args(["--config", "-", "--retain", "--kubeconfig", &what.kubeconfig.to_string_lossy()])
        .env("KIND_EXPERIMENTAL_DOCKER_NETWORK", what.network)
        .env("KIND_EXPERIMENTAL_PROVIDER", "docker")
        .works_for(what.kubeconfig.parent().unwrap_or(Path::new(".")))
        .input(what.config.as_bytes())
        .limit(budgets.cluster_create())
        .run_with(|text| {
            let _ = log.as_mut().map(|log| std::io::Write::write_all(log, format!("{text}\n").as_bytes()));
            line(text);
        })
        .await
        .map(|_| ())
        .map_err(|source| {
            let cluster = what.kubeconfig.file_stem().unwrap_or_default().to_string_lossy();
            KindError { source, log: diagnosed(&cluster) }
        })
}
