//! Bringing a lab up: network, two clusters side by side, pod network, routes, `lab.json`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use k8s_openapi::api::core::v1::{Namespace, Node};
use kube::ResourceExt;
use kube::api::ListParams;

use super::cluster::{Cluster, ClusterError};
use super::engine::{Engine, EngineError};
use super::host::Host;
use super::images::Built;
use super::pod_network::{self, PodNetworkError};
use super::state::{Home, LAB_FORMAT, LabFile};
use super::{Lab, dns, kind, network};
use crate::budget::Budgets;
use crate::event::{ClusterFacts, Event, Recorder};
use crate::install::facts::Facts;
use crate::install::inventory;
use crate::role::Role;
use crate::scenario::Scenario;
use crate::tool::ToolError;
use crate::topology::Topology;
use crate::wait::{Look, Wait};

/// A lab that could not be brought up.
#[derive(Debug, thiserror::Error)]
pub enum UpError {
    /// The engine refused.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The lab's network could not be made.
    #[error(transparent)]
    Network(#[from] network::NetworkError),
    /// kind failed.
    #[error(transparent)]
    Kind(#[from] ToolError),
    /// A cluster is of no use.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// What stands in a cluster could not be written down.
    #[error(transparent)]
    Inventory(#[from] crate::wait::Timeout),
    /// The pod network could not be made.
    #[error(transparent)]
    PodNetwork(#[from] PodNetworkError),
    /// A file of the lab could not be written.
    #[error("the lab's folder cannot be written")]
    Files(#[from] std::io::Error),
}

/// What bringing a lab up needs to know.
#[derive(Debug, Clone, Copy)]
pub struct Site<'a> {
    /// The engine to run on.
    pub engine: &'a Engine,
    /// Where labs are remembered.
    pub home: &'a Home,
    /// The repository, for the audit policy.
    pub root: &'a Path,
    /// What the host allows.
    pub host: &'a Host,
    /// What was built for it.
    pub built: &'a Built,
    /// Where events go.
    pub recorder: &'a Recorder,
    /// Time limits.
    pub budgets: &'a Budgets,
}

/// Runs one part of the lab between its two events.
pub async fn part<T, E: std::error::Error>(
    recorder: &Recorder,
    id: &str,
    title: impl Into<String>,
    work: impl Future<Output = Result<(T, String), E>>,
) -> Result<T, E> {
    let started = Instant::now();
    recorder.emit(Event::LabStarted { id: id.to_string(), title: title.into() });
    let result = work.await;
    let (detail, error) = match &result {
        Ok((_, detail)) => (detail.clone(), None),
        Err(error) => (String::new(), Some(crate::check::verdict::chain(error))),
    };
    recorder.emit(Event::LabFinished { id: id.to_string(), detail, error, seconds: started.elapsed().as_secs_f64() });
    result.map(|(value, _)| value)
}

/// Brings the lab up.
///
/// # Errors
/// [`UpError`]; what was made so far stays until [`super::down::remove`].
pub async fn up(site: Site<'_>, scenario: &Scenario, topology: &Topology) -> Result<Lab, UpError> {
    let lab = &scenario.lab;
    std::fs::create_dir_all(site.home.lab(lab))?;
    let title = format!("The lab has its own Docker network {}", topology.network.name);
    let topology = &part(site.recorder, "network", title, async {
        let claimed = network::claim(site.engine, scenario, topology, &site.host.routes).await?;
        let subnet = claimed.network.subnet;
        let detail = match claimed == *topology {
            true => subnet.to_string(),
            false => format!("{subnet}; addresses were chosen anew, for another lab took those of the plan meanwhile"),
        };
        Ok::<_, UpError>((claimed, detail))
    })
    .await?;
    let (primary, remote) =
        tokio::join!(cluster(site, scenario, topology, Role::Primary), cluster(site, scenario, topology, Role::Remote));
    // Both are awaited before either error ends this: a half-made cluster must not go on behind the back of `down`.
    let made = BTreeMap::from([(Role::Primary, primary?), (Role::Remote, remote?)]);
    let nodes =
        made.iter()
            .map(|(role, (cluster, cidrs))| {
                let nodes = cluster.nodes.iter().map(|(name, address)| {
                    (name.clone(), (address.clone(), cidrs.get(name).cloned().unwrap_or_default()))
                });
                (*role, nodes.collect())
            })
            .collect();
    let routes = pod_network::routes(&nodes);
    let clusters: BTreeMap<Role, Cluster> = made.into_iter().map(|(role, (cluster, _))| (role, cluster)).collect();
    let routed = part(site.recorder, "routes", "Every node knows the pods of every other node", async {
        pod_network::set_routes(site.engine, &routes).await?;
        let mut lines: Vec<String> = routes.iter().map(|route| format!("{} via {}", route.pods, route.via)).collect();
        // Every node but one has the same: each line once.
        let mut seen = std::collections::BTreeSet::new();
        lines.retain(|line| seen.insert(line.clone()));
        Ok::<_, UpError>(((), lines.join(", ")))
    });
    let read = async {
        let (primary, remote) =
            tokio::join!(cluster_facts(&clusters[&Role::Primary]), cluster_facts(&clusters[&Role::Remote]));
        Ok::<_, UpError>(BTreeMap::from([(Role::Primary, primary?), (Role::Remote, remote?)]))
    };
    let (routed, facts) = tokio::join!(routed, read);
    routed?;
    let facts = facts?;
    let file = LabFile {
        format: LAB_FORMAT,
        meshproof: crate::version().to_string(),
        scenario: scenario.clone(),
        topology: topology.clone(),
        clusters: facts,
        routes,
        images: site.built.digests.clone(),
        image_source: site.built.source.clone(),
        data_plane: site.built.data_plane.clone(),
        workload_image: site.built.workload_image.clone(),
        release: site.built.release.clone(),
        facts: Facts::default(),
        proved: Vec::new(),
        failed: BTreeMap::new(),
    };
    file.write(site.home)?;
    Ok(Lab { file, clusters, engine: site.engine.clone() })
}

type Made = (Cluster, BTreeMap<String, String>);

async fn cluster(site: Site<'_>, scenario: &Scenario, topology: &Topology, role: Role) -> Result<Made, UpError> {
    let plan = topology.cluster(role);
    let id = format!("cluster-{role}");
    part(site.recorder, &id, format!("{} runs Kubernetes {}", plan.name, scenario.kubernetes), async {
        let kubeconfig = site.home.kubeconfig(&scenario.lab, role);
        // The remote's audit log is the evidence of who wrote its webhooks and configmaps.
        let policy = (role == Role::Remote).then(|| site.root.join("kind/audit-policy.yaml"));
        let config = kind::config(plan, &scenario.kubernetes, site.host, policy.as_deref());
        // For people: with it and the files of the install, which come beside it, the lab can be made by hand.
        std::fs::write(kubeconfig.with_file_name(format!("kind-{role}.yaml")), &config)?;
        let create = kind::Create {
            kind: &site.built.kind,
            topology,
            role,
            image: &site.built.node_image,
            config: &config,
            kubeconfig: &kubeconfig,
        };
        kind::create(create, site.budgets, |line| {
            tracing::debug!(cluster = %plan.name, "kind: {line}");
        })
        .await?;
        let mut cluster = Cluster::open(role, plan, kubeconfig, BTreeMap::new(), site.engine.clone()).await?;
        dns::quicken(&cluster).await?;
        let budget = site.budgets.cluster_ready();
        let wait = |what: &str| Wait::new(what, budget).shown(site.recorder, &id);
        cluster.nodes = nodes(&cluster, &plan.node_names(), wait("all nodes to be known")).await?;
        let cidrs = pod_network::cidrs(&cluster, wait).await?;
        // What stands in it before the install; D12 asks for it after the clean-up.
        let entries = inventory::take_settled(&cluster, wait("the controllers to have made what they make")).await?;
        let text = serde_json::to_vec(&entries).map_err(std::io::Error::from)?;
        std::fs::write(site.home.inventory(&scenario.lab, role), text)?;
        let nodes: Vec<String> = cluster.nodes.iter().map(|(name, at)| format!("{name} {at}")).collect();
        Ok::<_, UpError>(((cluster, cidrs), format!("{}, {} objects", nodes.join(", "), entries.len())))
    })
    .await
}

/// Addresses of the planned nodes; a worker may show a moment after kind says that it has joined.
async fn nodes(cluster: &Cluster, planned: &[String], wait: Wait) -> Result<BTreeMap<String, String>, UpError> {
    let address = |node: Node| {
        let addresses = node.status.as_ref()?.addresses.clone()?;
        let internal = addresses.into_iter().find(|address| address.type_ == "InternalIP")?;
        Some((node.name_any(), internal.address))
    };
    let found = wait.until(|| async {
        let listed = cluster.all::<Node>().list(&ListParams::default()).await;
        match listed.map_err(cluster.refused("list nodes")) {
            Err(error) => Look::Yes(Err(error)),
            Ok(nodes) => {
                let known: BTreeMap<String, String> = nodes.items.into_iter().filter_map(address).collect();
                match planned.iter().find(|name| !known.contains_key(*name)) {
                    Some(name) => Look::NotYet(format!("node {name} has no address")),
                    None => Look::Yes(Ok(known)),
                }
            }
        }
    });
    Ok(found.await.map_err(PodNetworkError::from)??)
}

async fn cluster_facts(cluster: &Cluster) -> Result<ClusterFacts, ClusterError> {
    let version = cluster.client.apiserver_version().await.map_err(cluster.refused("say its version"))?;
    let kube_system =
        cluster.all::<Namespace>().get("kube-system").await.map_err(cluster.refused("show namespace kube-system"))?;
    Ok(ClusterFacts {
        name: cluster.name.clone(),
        kubernetes: version.git_version,
        kube_system_uid: kube_system.uid().unwrap_or_default(),
        context: cluster.context.clone(),
        nodes: cluster.nodes.clone(),
    })
}
