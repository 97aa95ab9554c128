//! The lab: a Docker engine, images, kind clusters on one network, and the ways into them.

pub mod cluster;
pub mod dns;
pub mod down;
pub mod engine;
pub mod exec;
pub mod forward;
pub mod health;
pub mod host;
pub mod images;
pub mod injection;
pub mod kind;
pub mod load_balancer;
pub mod network;
pub mod pod_network;
pub mod probe;
pub mod recipe;
pub mod revision;
pub mod state;
pub mod status;
pub mod up;

pub use cluster::Cluster;
pub use engine::Engine;
pub use forward::Pages;
pub use revision::Revision;
pub use state::{Home, LabFile, LabLock, NotOfLab};

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::{Arc, OnceLock};

use ipnet::Ipv4Net;

use self::pod_network::Route;
use crate::brought::Ledger;
use crate::install::inventory::{self, Entry};
use crate::role::Role;

/// A primary and one of its remotes: each comes when it is made, for all clones.
#[derive(Clone, Default)]
pub struct Clusters([Arc<OnceLock<Cluster>>; 2]);

impl Clusters {
    /// Takes a cluster that is made; the first of its role stays.
    pub fn add(&self, cluster: Cluster) {
        let _ = self.0[cluster.role as usize].set(cluster);
    }

    /// The cluster with this role.
    ///
    /// # Panics
    /// Where it is not made yet: no step on a cluster begins before (see [`crate::run::Run::steps`]).
    pub fn get(&self, role: Role) -> &Cluster {
        self.0[role as usize].get().expect("a step on a cluster begins when it is made")
    }

    /// Those that are made, by role.
    pub fn iter(&self) -> impl Iterator<Item = (Role, &Cluster)> {
        Role::ALL.iter().filter_map(|role| Some((*role, self.0[*role as usize].get()?)))
    }
}

impl std::fmt::Debug for Clusters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter().map(|(_, cluster)| &cluster.name)).finish()
    }
}

/// What clusters stand on.
#[derive(Debug, Clone)]
pub enum Ground {
    /// Containers of this engine.
    Engine(Engine),
    /// The user's own nodes, with the record of what is made in them.
    Brought(Arc<Ledger>),
}

/// A lab with a client for each cluster; or clusters that the user brought, which have no engine.
#[derive(Clone)]
pub struct Lab {
    /// What `lab.json` says, seen from the remote that is meant.
    pub file: LabFile,
    /// The primary and the remote that is meant, as far as they are made.
    pub clusters: Clusters,
    /// The primary with each of its remotes.
    pairs: Vec<Clusters>,
    /// What it stands on.
    ground: Ground,
    /// Where it is remembered.
    pub home: Home,
}

impl Lab {
    /// Opens the lab that this file describes.
    ///
    /// # Errors
    /// [`cluster::ClusterError`] when a kubeconfig file is not there or of no use.
    pub async fn open(home: &Home, file: LabFile, engine: Engine) -> Result<Lab, cluster::ClusterError> {
        let lab = Lab::unmade(home, file, Ground::Engine(engine));
        for (member, plan) in lab.file.topology.iter().flat_map(|topology| topology.clusters.iter()) {
            let kubeconfig = home.kubeconfig(&lab.file.scenario.lab, member.clone());
            let facts = lab.file.clusters.iter().find(|(known, _)| *known == member);
            let nodes = facts.map(|(_, facts)| facts.nodes.clone()).unwrap_or_default();
            let namespace = lab.file.scenario.istio_namespace_in(&member);
            lab.add(Cluster::open(member, (&plan.name, &plan.context), namespace, kubeconfig, nodes).await?);
        }
        Ok(lab)
    }

    /// A lab of which no cluster is made yet.
    pub fn unmade(home: &Home, file: LabFile, ground: Ground) -> Lab {
        let pairs: Vec<Clusters> = file.scenario.clusters.remotes().iter().map(|_| Clusters::default()).collect();
        Lab { file, clusters: pairs.first().cloned().unwrap_or_default(), pairs, ground, home: home.clone() }
    }

    /// The engine that its nodes run on.
    ///
    /// # Errors
    /// [`NotOfLab`] where the user brought the clusters.
    pub fn engine(&self) -> Result<&Engine, NotOfLab> {
        match &self.ground {
            Ground::Engine(engine) => Ok(engine),
            Ground::Brought(_) => Err(NotOfLab),
        }
    }

    /// Names of all objects of a cluster; where others work in it too, without what they made since the install began.
    ///
    /// # Errors
    /// [`cluster::ClusterError`] for a kind that cannot be listed.
    pub async fn inventory(&self, cluster: &Cluster) -> Result<BTreeSet<Entry>, cluster::ClusterError> {
        match &self.ground {
            Ground::Engine(_) => inventory::take(cluster).await,
            Ground::Brought(ledger) => ledger.inventory(cluster).await,
        }
    }

    /// Takes a cluster that is made, for all clones; the first of its part stays.
    pub fn add(&self, cluster: Cluster) {
        for (pair, clusters) in self.file.scenario.pairs().iter().zip(&self.pairs) {
            if cluster.role == Role::Primary || pair.clusters.member(Role::Remote) == cluster.member {
                let (sample, revision) = (pair.sample_namespace(), pair.install.revision());
                clusters.add(Cluster { sample, revision, ..cluster.clone() });
            }
        }
    }

    /// The same lab, seen from its remote of this number.
    pub fn seen_from(&self, at: usize) -> Lab {
        Lab { file: self.file.seen_from(at), clusters: self.pairs[at].clone(), ..self.clone() }
    }

    /// All clusters that are made: the primary, then the remotes in order.
    pub fn all_clusters(&self) -> impl Iterator<Item = &Cluster> {
        let primary = self.clusters.0[Role::Primary as usize].get();
        primary.into_iter().chain(self.pairs.iter().filter_map(move |pair| pair.0[Role::Remote as usize].get()))
    }

    /// The routes between the primary and the remote that is meant, and within each.
    pub fn routes(&self) -> Vec<Route> {
        let nodes: BTreeMap<&String, &String> =
            Role::ALL.iter().filter_map(|role| self.file.clusters.get(role)).flat_map(|facts| &facts.nodes).collect();
        let ours =
            |route: &&Route| nodes.contains_key(&route.node) && nodes.values().any(|address| **address == route.via);
        self.file.routes.iter().filter(ours).cloned().collect()
    }

    /// The address that the lab keeps for the east-west gateway: the guide's `DISCOVERY_ADDRESS`.
    ///
    /// # Errors
    /// [`NotOfLab`] where the user brought the clusters: then their platform gives one.
    pub fn gateway_address(&self) -> Result<Ipv4Addr, NotOfLab> {
        Ok(load_balancer::address(&self.file.topology()?.network, &self.file.scenario))
    }

    /// Addresses of the pods of the cluster with this role.
    ///
    /// # Errors
    /// [`NotOfLab`] where the user brought the clusters.
    pub fn pods_of(&self, role: Role) -> Result<Ipv4Net, NotOfLab> {
        Ok(self.file.topology()?.cluster(role).pod_subnet)
    }

    /// The cluster with this role.
    ///
    /// # Panics
    /// Where it is not made yet: see [`Clusters::get`].
    pub fn cluster(&self, role: Role) -> &Cluster {
        self.clusters.get(role)
    }
}

impl std::fmt::Debug for Lab {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lab").field("name", &self.file.scenario.lab).finish_non_exhaustive()
    }
}
