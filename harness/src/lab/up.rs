//! Bringing a lab up: network, clusters side by side, routes, `lab.json`. What needs the primary alone begins when that is
//! made, and does not wait for the others.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::Instant;

use bollard::query_parameters::EventsOptions;
use futures::StreamExt;
use k8s_openapi::api::core::v1::{Namespace, Node};
use kube::ResourceExt;
use kube::api::ListParams;
use tokio::sync::oneshot;

use super::cluster::{Cluster, ClusterError};
use super::engine::{Engine, EngineError, USUAL_SHARE};
use super::host::Host;
use super::images::Built;
use super::pod_network::{self, PodNetworkError, Subnet};
use super::state::{Home, LAB_FORMAT, LabFile};
use super::{Ground, Lab, dns, kind, network};
use crate::budget::Budgets;
use crate::event::{ClusterFacts, Event, Recorder};
use crate::install::facts::Facts;
use crate::install::inventory;
use crate::per_cluster::{Member, PerCluster};
use crate::role::Role;
use crate::scenario::{IstioNamespace, Scenario};
use crate::topology::{ClusterPlan, Topology};
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
    Kind(#[from] kind::KindError),
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

/// Brings the lab up, and has `begin` work on it from the moment when its primary cluster is made; it is told what
/// `lab.json` says when the rest is there, and is told nothing where that fails.
///
/// # Errors
/// [`UpError`]; what was made so far stays until [`super::down::remove`].
pub async fn up<T>(
    site: Site<'_>,
    scenario: &Scenario,
    topology: &Topology,
    begin: impl AsyncFnOnce(Lab, oneshot::Receiver<LabFile>) -> T,
) -> Result<(Lab, T), UpError> {
    let lab = &scenario.lab;
    std::fs::create_dir_all(site.home.lab(lab))?;
    let title = format!("The lab has its own Docker network {}", topology.network.name);
    let topology = &part(site.recorder, "network", title, async {
        let claimed =
            network::claim(site.engine, &site.home.lab(&topology.lab), scenario, topology, &site.host.routes).await?;
        let subnet = claimed.network.subnet;
        let detail = match claimed == *topology {
            true => subnet.to_string(),
            false => format!("{subnet}; addresses were chosen anew, for another lab took those of the plan meanwhile"),
        };
        Ok::<_, UpError>((claimed, detail))
    })
    .await?;
    let file = LabFile {
        format: LAB_FORMAT,
        meshproof: crate::version().to_string(),
        scenario: scenario.clone(),
        topology: Some(topology.clone()),
        clusters: PerCluster::default(),
        routes: Vec::new(),
        images: site.built.digests.clone(),
        image_source: site.built.source.clone(),
        data_plane: site.built.data_plane.clone(),
        workload_image: site.built.workload_image.clone(),
        release: site.built.release.clone(),
        further: site.built.further.clone(),
        istioctl: Some(site.built.istioctl.clone()),
        hub_and_tag: site.built.hub_and_tag.clone(),
        facts: Facts::default(),
        proved: Vec::new(),
        failed: BTreeMap::new(),
    };
    let mut lab = Lab::unmade(site.home, file, Ground::Engine(site.engine.clone()));
    let (made, primary_is_made) = oneshot::channel();
    let (told, rest_is_there) = oneshot::channel();
    let primary = async {
        let cidrs = cluster(site, &lab, &Role::Primary.into()).await?;
        let _ = made.send(cidrs);
        Ok::<_, UpError>(begin(lab.clone(), rest_is_there).await)
    };
    let members = topology.clusters.iter().map(|(member, _)| member);
    let members: Vec<Member> = members.filter(|member| member.role == Role::Remote).collect();
    let rest = async {
        let made = members
            .iter()
            .zip(topology.clusters.remotes())
            .map(|(member, plan)| behind(site.engine, &plan.kind_name, cluster(site, &lab, member)));
        // All are awaited before any error ends this, as below.
        let made: Result<Vec<Cidrs>, UpError> = futures::future::join_all(made).await.into_iter().collect();
        let mut cidrs = made?.concat();
        // Where the primary failed, its own error says so.
        let Ok(primary) = primary_is_made.await else { return Ok(None) };
        cidrs.extend(primary);
        let file = join(site, &lab, &cidrs).await?;
        file.write(site.home)?;
        let _ = told.send(file.clone());
        Ok::<_, UpError>(Some(file))
    };
    // Both are awaited before either error ends this: a half-made cluster must not go on behind the back of `down`.
    let (begun, file) = tokio::join!(primary, rest);
    let remotes: Vec<String> = topology.clusters.remotes().iter().flat_map(ClusterPlan::node_names).collect();
    abreast(site.engine, &remotes).await;
    let (begun, file) = (begun?, file?);
    lab.file = file.unwrap_or(lab.file);
    Ok((lab, begun))
}

/// Joins the clusters by routes, and reads what they are; with that the lab's file is whole.
async fn join(site: Site<'_>, lab: &Lab, cidrs: &[Subnet]) -> Result<LabFile, UpError> {
    let routes = pod_network::routes(cidrs);
    let routed = part(site.recorder, "routes", "Every node knows the pods of every other node", async {
        pod_network::set_routes(site.engine, &routes).await?;
        let mut lines: Vec<String> = routes.iter().map(|route| format!("{} via {}", route.pods, route.via)).collect();
        // Every node but one has the same: each line once.
        let mut seen = std::collections::BTreeSet::new();
        lines.retain(|line| seen.insert(line.clone()));
        Ok::<_, UpError>(((), lines.join(", ")))
    });
    let facts = futures::future::join_all(lab.all_clusters().map(cluster_facts));
    let (routed, facts) = tokio::join!(routed, facts);
    routed?;
    let mut facts = facts.into_iter().collect::<Result<Vec<ClusterFacts>, _>>()?.into_iter();
    let primary = facts.next().expect("the primary is made");
    Ok(LabFile { clusters: PerCluster::new(primary, facts.collect()), routes, ..lab.file.clone() })
}

/// A cluster's share of the processor while it must not hold up the other one, of [`USUAL_SHARE`].
const SHARE_BEHIND: i64 = 64;

/// Makes a cluster out of what the work on the other one leaves of the processor: everything waits for that. It stays so
/// until [`abreast`].
///
/// Only a matter of time: an engine that cannot weigh containers makes both alike.
async fn behind<T>(engine: &Engine, kind_name: &str, work: impl Future<Output = T>) -> T {
    let filters = HashMap::from([
        ("event".to_string(), vec!["start".to_string()]),
        ("label".to_string(), vec![format!("{}={kind_name}", kind::LABEL)]),
    ]);
    let mut starts = engine.docker.events(Some(EventsOptions { filters: Some(filters), ..EventsOptions::default() }));
    let weigh = async {
        while let Some(Ok(start)) = starts.next().await {
            share(engine, &start.actor.and_then(|actor| actor.id).unwrap_or_default(), SHARE_BEHIND).await;
        }
        std::future::pending().await
    };
    tokio::select! {
        done = work => done,
        never = weigh => never,
    }
}

/// Gives the nodes of a cluster their usual share of the processor again.
pub async fn abreast(engine: &Engine, nodes: &[String]) {
    futures::future::join_all(nodes.iter().map(|node| share(engine, node, USUAL_SHARE))).await;
}

async fn share(engine: &Engine, node: &str, share: i64) {
    if let Err(error) = engine.share(node, share).await {
        tracing::debug!("{}", crate::check::verdict::chain(&error));
    }
}

/// The pods of each node of a cluster.
type Cidrs = Vec<Subnet>;

async fn cluster(site: Site<'_>, lab: &Lab, member: &Member) -> Result<Cidrs, UpError> {
    let (scenario, topology) = (&lab.file.scenario, lab.file.topology().map_err(std::io::Error::other)?);
    let plan = topology.clusters.iter().find_map(|(other, plan)| (other == *member).then_some(plan));
    let plan = plan.expect("it is a cluster of this topology");
    let id = format!("cluster-{member}");
    part(site.recorder, &id, format!("{} runs Kubernetes {}", plan.name, scenario.kubernetes), async {
        let kubeconfig = site.home.kubeconfig(&scenario.lab, member.clone());
        // The remote's audit log is the evidence of who wrote its webhooks and configmaps; both show what reading reads.
        let policy = kubeconfig.with_file_name(format!("audit-policy-{member}.yaml"));
        let policy = audit_policy(site, scenario.istio_namespace_in(member), &policy)?;
        let config = kind::config(plan, &scenario.kubernetes, site.host, Some(&policy));
        // For people: with it and the files of the install, which come beside it, the lab can be made by hand.
        std::fs::write(kubeconfig.with_file_name(format!("kind-{member}.yaml")), &config)?;
        let create = kind::Create {
            kind: &site.built.kind,
            network: &topology.network.name,
            plan,
            image: &site.built.node_image,
            config: &config,
            kubeconfig: &kubeconfig,
        };
        kind::create(create, site.budgets, |line| {
            tracing::debug!(cluster = %plan.name, "kind: {line}");
        })
        .await?;
        let namespace = scenario.istio_namespace_in(member);
        let mut cluster =
            Cluster::open(member.clone(), (&plan.name, &plan.context), namespace, kubeconfig, BTreeMap::new()).await?;
        dns::quicken(&cluster).await?;
        let budget = site.budgets.cluster_ready();
        let wait = |what: &str| Wait::new(what, budget).shown(site.recorder, &id);
        cluster.nodes = nodes(&cluster, &plan.node_names(), wait("all nodes to be known")).await?;
        let cidrs = pod_network::cidrs(&cluster, wait).await?;
        // What stands in it before the install; D12 asks for it after the clean-up.
        let entries = inventory::take_settled(&cluster, wait("the controllers to have made what they make")).await?;
        let text = serde_json::to_vec(&entries).map_err(std::io::Error::from)?;
        std::fs::write(site.home.inventory(&scenario.lab, member.clone()), text)?;
        let nodes: Vec<String> = cluster.nodes.iter().map(|(name, at)| format!("{name} {at}")).collect();
        let cidrs = Subnet::of(&cluster, &cidrs);
        lab.add(cluster);
        Ok::<_, UpError>((cidrs, format!("{}, {} objects", nodes.join(", "), entries.len())))
    })
    .await
}

/// The audit policy of a cluster: the repository's, filled in. It has to stay as long as the node that mounts it.
fn audit_policy(site: Site<'_>, istio: &IstioNamespace, path: &Path) -> std::io::Result<PathBuf> {
    let policy = std::fs::read_to_string(site.root.join("kind/audit-policy.yaml"))?;
    std::fs::write(path, policy.replace("${ISTIO_NAMESPACE}", istio))?;
    Ok(path.to_path_buf())
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

/// What a cluster says that it is.
///
/// # Errors
/// [`ClusterError`] where it does not.
pub async fn cluster_facts(cluster: &Cluster) -> Result<ClusterFacts, ClusterError> {
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
