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
pub mod state;
pub mod status;
pub mod up;

pub use cluster::Cluster;
pub use engine::Engine;
pub use state::{Home, LabFile, LabLock};

use std::collections::BTreeMap;

use crate::role::Role;

/// A lab that is up, with a client for each cluster.
#[derive(Clone)]
pub struct Lab {
    /// What `lab.json` says.
    pub file: LabFile,
    /// One entry a cluster.
    pub clusters: BTreeMap<Role, Cluster>,
    /// The engine that it runs on.
    pub engine: Engine,
}

impl Lab {
    /// Opens the lab that this file describes.
    ///
    /// # Errors
    /// [`cluster::ClusterError`] when a kubeconfig file is not there or of no use.
    pub async fn open(home: &Home, file: LabFile, engine: Engine) -> Result<Lab, cluster::ClusterError> {
        let mut clusters = BTreeMap::new();
        for (role, plan) in &file.topology.clusters {
            let kubeconfig = home.kubeconfig(&file.scenario.lab, *role);
            let nodes = file.clusters.get(role).map(|facts| facts.nodes.clone()).unwrap_or_default();
            clusters.insert(*role, Cluster::open(*role, plan, kubeconfig, nodes, engine.clone()).await?);
        }
        Ok(Lab { file, clusters, engine })
    }

    /// The cluster with this role.
    pub fn cluster(&self, role: Role) -> &Cluster {
        &self.clusters[&role]
    }
}

impl std::fmt::Debug for Lab {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lab").field("name", &self.file.scenario.lab).finish_non_exhaustive()
    }
}
