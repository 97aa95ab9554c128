//! The user's clusters, by kubeconfig files of meshproof's own: the user's is read, and never written.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{Namespace, Node};
use kube::ResourceExt;
use kube::api::ListParams;
use kube::config::Kubeconfig;

use crate::budget::Budgets;
use crate::check::right::{Place, Right};
use crate::check::verdict::chain;
use crate::event::{ClusterFacts, Recorder};
use crate::lab::cluster::{self, ClusterError};
use crate::lab::{Cluster, Home, LabLock};
use crate::problem::{Problem, Problems};
use crate::reading::{Contexts, find};
use crate::role::Role;
use crate::stray;

const FLAG: &str = "--contexts";

/// The folder with the kubeconfig files, and the right to work on these clusters; both go with it.
struct Files {
    folder: PathBuf,
    _locks: Vec<LabLock>,
}

impl Drop for Files {
    fn drop(&mut self) {
        // It holds credentials. Before the locks, which go with it.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Both clusters, for this process alone among those of this machine; their kubeconfig files go with it.
pub struct Opened {
    /// The primary and the remote.
    pub clusters: [Cluster; 2],
    /// What they are.
    pub facts: [ClusterFacts; 2],
    /// Where their files lie.
    pub home: Home,
    /// By which name there.
    pub lab: String,
    _files: Files,
}

/// Reaches both clusters and opens them under these names of Istio's.
///
/// # Errors
/// All that is wrong with the contexts: nobody answers, or one cluster twice.
pub async fn open(contexts: &Contexts, names: [&str; 2], home: &Home, budgets: &Budgets) -> Result<Opened, Problems> {
    let mut problems = Problems::new();
    let reached = futures::future::join_all(Role::ALL.map(|role| reached(contexts, role, budgets))).await;
    let reached: Vec<ClusterFacts> = reached.into_iter().filter_map(|one| problems.keep(one)).collect();
    let Ok([primary, remote]) = <[ClusterFacts; 2]>::try_from(reached) else { return Err(problems) };
    if primary.kube_system_uid == remote.kube_system_uid {
        let message = format!("contexts {} and {} are of one cluster", primary.context, remote.context);
        problems.push(FLAG, message, "contexts of two clusters: the primary's first, then the remote's");
    }
    let files = Role::ALL.map(|role| one_context(&contexts.kubeconfig, &contexts.names[&role]));
    problems.or(())?;
    // Apart from labs, whose verbs must not find it.
    let home = Home { state: home.state.join("brought"), cache: home.cache.clone() };
    let short = |facts: &ClusterFacts| facts.kube_system_uid.chars().take(8).collect::<String>();
    let lab = format!("{}-{}", short(&primary), short(&remote));
    // Each cluster, whatever its part is and whichever other one it is taken with; in one order, so that nobody waits for nobody.
    let ids: BTreeSet<&String> = [&primary, &remote].into_iter().map(|facts| &facts.kube_system_uid).collect();
    let locks = ids.into_iter().map(|id| LabLock::take(&home, id)).collect::<Result<Vec<_>, _>>();
    let _locks = locks.map_err(|problem| {
        let message = format!("another meshproof works on one of these clusters: {}", problem.message);
        Problem::new(FLAG, message, "wait until it is done")
    })?;
    let folder = home.lab(&lab);
    let _files = Files { folder: folder.clone(), _locks };
    // What a killed meshproof left running must not go on installing.
    stray::end(&folder)
        .await
        .all(&folder)
        .map_err(|error| Problem::new(FLAG, error.to_string(), "end these processes, and call again"))?;
    let mut facts = [primary, remote];
    for (facts, name) in facts.iter_mut().zip(names) {
        facts.name = name.to_string();
    }
    let opened = async {
        let mut clusters = Vec::new();
        for ((role, facts), file) in Role::ALL.into_iter().zip(&mut facts).zip(&files) {
            let path = home.kubeconfig(&lab, role);
            write(&path, file).map_err(|error| {
                Problem::new(path.display().to_string(), format!("cannot be written: {error}"), "check its folder")
            })?;
            let names = (facts.name.as_str(), facts.context.as_str());
            let unusable = |error: ClusterError| Problem::new(FLAG, chain(&error), "contexts that kubectl can use");
            let cluster = Cluster::open(role, names, &contexts.istio_namespace, path, Default::default()).await;
            let mut cluster = cluster.map_err(unusable)?;
            cluster.nodes = nodes(&cluster).await.map_err(unusable)?;
            facts.nodes.clone_from(&cluster.nodes);
            clusters.push(cluster);
        }
        Ok(clusters)
    };
    let opened: Result<Vec<Cluster>, Problem> = opened.await;
    let Ok(clusters) = <[Cluster; 2]>::try_from(opened?) else { unreachable!("there are two roles") };
    Ok(Opened { clusters, facts, home, lab, _files })
}

/// What the cluster of a context says that it is.
async fn reached(contexts: &Contexts, role: Role, budgets: &Budgets) -> Result<ClusterFacts, Problems> {
    let context = &contexts.names[&role];
    let rights = [Right::new(role, Place::Cluster, "", "namespaces", &["get"]).named(&["kube-system"])];
    let refused = |why: String| Problem::new(FLAG, why, "contexts of two clusters that answer, and may be written to");
    let (cluster, kubernetes) = find::open(contexts, &rights, role, &Recorder::new(Vec::new()), budgets)
        .await
        .map_err(|error| refused(chain(&error)))?;
    let system = cluster.all::<Namespace>().get("kube-system").await;
    let system =
        system.map_err(cluster.refused("show Namespace kube-system")).map_err(|error| refused(chain(&error)))?;
    Ok(ClusterFacts {
        name: context.clone(),
        kubernetes,
        kube_system_uid: system.uid().unwrap_or_default(),
        context: context.clone(),
        nodes: Default::default(),
    })
}

/// A kubeconfig with one context, and what belongs to it.
fn one_context(all: &Kubeconfig, context: &str) -> Kubeconfig {
    let mut one = all.clone();
    one.current_context = Some(context.to_string());
    one.contexts.retain(|named| named.name == context);
    let used = one.contexts.iter().filter_map(|named| named.context.as_ref());
    let (clusters, users): (Vec<String>, Vec<String>) =
        used.map(|used| (used.cluster.clone(), used.user.clone().unwrap_or_default())).unzip();
    one.clusters.retain(|named| clusters.contains(&named.name));
    one.auth_infos.retain(|named| users.contains(&named.name));
    one
}

/// What is wrong with the address of the remote's API server: istiod of the primary is told it, too.
pub fn out_of_reach(contexts: &Contexts) -> Option<Problem> {
    let context = &contexts.names[&Role::Remote];
    reached_by_nobody_else(&one_context(&contexts.kubeconfig, context), context)
}

/// Whether pods of another cluster cannot reach the API server at the address in this kubeconfig.
fn reached_by_nobody_else(kubeconfig: &Kubeconfig, context: &str) -> Option<Problem> {
    let server = cluster::server(kubeconfig).ok()?;
    let host = server.rsplit_once(':').map_or(server.as_str(), |(host, _)| host).trim_matches(['[', ']']);
    let is_here = |address: IpAddr| address.is_loopback() || address.is_unspecified();
    let by_name = host == "localhost" || host.ends_with(".localhost");
    (by_name || host.parse::<IpAddr>().is_ok_and(is_here)).then(|| {
        let message =
            format!("the kubeconfig has {server} for context {context}, which no pod of the primary can reach");
        let instead = "a context whose `server` is an address that pods of the other cluster reach, too";
        Problem::new(FLAG, message, instead)
    })
}

fn write(path: &Path, kubeconfig: &Kubeconfig) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // What a killed run left.
    let _ = fs::remove_file(path);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(&serde_json::to_vec(kubeconfig)?)
}

async fn nodes(cluster: &Cluster) -> Result<std::collections::BTreeMap<String, String>, ClusterError> {
    let nodes = cluster.all::<Node>().list(&ListParams::default()).await.map_err(cluster.refused("list nodes"))?;
    let address = |node: &Node| {
        let addresses = node.status.as_ref()?.addresses.as_ref()?;
        Some(addresses.iter().find(|address| address.type_ == "InternalIP")?.address.clone())
    };
    // Those that take no pods have none of the harness's.
    let takes = nodes.iter().filter(|node| takes_pods(node));
    Ok(takes.map(|node| (node.name_any(), address(node).unwrap_or_default())).collect())
}

/// Whether pods are put on a node that tolerate nothing.
fn takes_pods(node: &Node) -> bool {
    let spec = node.spec.clone().unwrap_or_default();
    let refuses = |effect: &str| ["NoSchedule", "NoExecute"].contains(&effect);
    !spec.unschedulable.unwrap_or_default() && !spec.taints.iter().flatten().any(|taint| refuses(&taint.effect))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Node;
    use kube::config::Kubeconfig;
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::{one_context, reached_by_nobody_else, takes_pods};

    fn kubeconfig(server: &str) -> Kubeconfig {
        let text = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "other",
            "clusters": [{"name": "c", "cluster": {"server": server}}, {"name": "d", "cluster": {"server": "https://d"}}],
            "users": [{"name": "u", "user": {"token": "mine"}}, {"name": "v", "user": {"token": "others"}}],
            "contexts": [
                {"name": "prod", "context": {"cluster": "c", "user": "u"}},
                {"name": "other", "context": {"cluster": "d", "user": "v"}}
            ]
        });
        serde_yaml_ng::from_str(&text.to_string()).expect("a kubeconfig")
    }

    #[test]
    fn a_copy_has_one_context_and_the_credentials_of_no_other() {
        let text = serde_json::to_string(&one_context(&kubeconfig("https://c"), "prod")).expect("it can be written");
        assert!(text.contains("mine") && text.contains("https://c"), "{text}");
        assert!(!text.contains("others") && !text.contains("https://d"), "{text}");
        let read: Kubeconfig = serde_yaml_ng::from_str(&text).expect("it can be read");
        assert_eq!(read.current_context.as_deref(), Some("prod"));
    }

    #[rstest]
    #[case::of_kind("https://127.0.0.1:34567", true)]
    #[case::a_name("https://localhost:6443", true)]
    #[case::version_6("https://[::1]:6443", true)]
    #[case::of_k3d("https://0.0.0.0:6550", true)]
    #[case::below_localhost("https://api.localhost:6443", true)]
    #[case::an_address("https://172.30.0.3:6443", false)]
    #[case::a_cloud("https://a.example.com", false)]
    fn an_api_server_that_only_this_machine_reaches_is_refused(#[case] server: &str, #[case] refused: bool) {
        assert_eq!(reached_by_nobody_else(&one_context(&kubeconfig(server), "prod"), "prod").is_some(), refused);
    }

    #[rstest]
    #[case::plain(json!({}), true)]
    #[case::preferred_elsewhere(json!({"taints": [{"key": "a", "effect": "PreferNoSchedule"}]}), true)]
    #[case::a_control_plane(json!({"taints": [{"key": "a", "effect": "NoSchedule"}]}), false)]
    #[case::cordoned(json!({"unschedulable": true}), false)]
    fn only_nodes_that_take_pods_count(#[case] spec: Value, #[case] counts: bool) {
        let node: Node = serde_json::from_value(json!({"metadata": {"name": "a"}, "spec": spec})).expect("a node");
        assert_eq!(takes_pods(&node), counts);
    }
}
