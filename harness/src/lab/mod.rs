//! The lab: a Docker engine, images, two kind clusters on one network, and the ways into them.

pub mod cluster;
pub mod dns;
pub mod down;
pub mod engine;
pub mod exec;
pub mod forward;
pub mod health;
pub mod host;
pub mod images;
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
pub use state::{Home, LabFile, LabLock};

use std::net::Ipv4Addr;
use std::sync::{Arc, OnceLock};

use ipnet::Ipv4Net;

use crate::role::Role;

/// The clusters of a lab: each comes when it is made, for all clones.
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

/// A lab with a client for each cluster.
#[derive(Clone)]
pub struct Lab {
    /// What `lab.json` says.
    pub file: LabFile,
    /// The clusters that are made so far.
    pub clusters: Clusters,
    /// The engine that it runs on.
    pub engine: Engine,
}

impl Lab {
    /// Opens the lab that this file describes.
    ///
    /// # Errors
    /// [`cluster::ClusterError`] when a kubeconfig file is not there or of no use.
    pub async fn open(home: &Home, file: LabFile, engine: Engine) -> Result<Lab, cluster::ClusterError> {
        let clusters = Clusters::default();
        for (role, plan) in &file.topology.clusters {
            let kubeconfig = home.kubeconfig(&file.scenario.lab, *role);
            let nodes = file.clusters.get(role).map(|facts| facts.nodes.clone()).unwrap_or_default();
            let namespace = file.scenario.istio_namespace_of(*role);
            clusters.add(Cluster::open(*role, plan, namespace, kubeconfig, nodes).await?);
        }
        Ok(Lab { file, clusters, engine })
    }

    /// The address that the lab keeps for the east-west gateway: the guide's `DISCOVERY_ADDRESS`.
    pub fn gateway_address(&self) -> Ipv4Addr {
        load_balancer::address(&self.file.topology.network, 0)
    }

    /// Addresses of the pods of the cluster with this role.
    pub fn pods_of(&self, role: Role) -> Ipv4Net {
        self.file.topology.cluster(role).pod_subnet
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
