//! A mesh of two clusters as checks look at it: how to reach them, and what must hold. Every lab has one; one that
//! meshproof did not make has no more than this.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::core::{Selector, SelectorExt};

use crate::budget::{Budgets, Limit};
use crate::event::Recorder;
use crate::field::Symptoms;
use crate::lab::{Cluster, Clusters, Revision};
use crate::role::Role;
use crate::scenario::Scenario;
use crate::wait::{Hurry, Wait};

/// What a check is given that only reads.
#[derive(Debug, Clone)]
pub struct Mesh {
    /// Its clusters.
    pub clusters: Clusters,
    /// What must hold of it.
    pub wanted: Arc<Wanted>,
    /// Where events go.
    pub recorder: Recorder,
    /// Time limits.
    pub budgets: Budgets,
    /// What red checks say in the field issues that are known.
    pub symptoms: Arc<Symptoms>,
    /// Id of the step or case that this is for.
    pub scope: String,
    /// Hurries the waits of a check that another already takes the blame for.
    pub hurry: Hurry,
}

/// What could not be learnt of a mesh, and why: what hangs on it cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unlearnt(pub String);

/// What is known of a mesh, or why it is not.
pub type Known<T> = Result<T, Unlearnt>;

/// What must hold of a mesh: of a lab by its scenario, of any other by what its parts say of themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Istio's id of the primary cluster.
    pub primary: Known<String>,
    /// Istio's id of the remote cluster.
    pub remote: Known<String>,
    /// The mesh's id; empty where it has none.
    pub mesh_id: Known<String>,
    /// The network of both clusters; empty where they have none.
    pub network: Known<String>,
    /// Version of Istio; none where any is right.
    pub istio: Option<String>,
    /// Ready pods of istiod at least; none where its Deployment alone says how many.
    pub istiod_replicas: Option<usize>,
    /// Ready pods of the gateway at least; none where any number is right.
    pub gateway_replicas: Option<usize>,
    /// Labels of the namespaces that istiod looks at, any of them; none where it looks at all.
    pub discovery: Known<Vec<Selector>>,
}

impl Wanted {
    /// What must hold of a lab.
    pub fn of(scenario: &Scenario) -> Wanted {
        let name = |role| Ok(scenario.clusters[&role].name.clone());
        Wanted {
            primary: name(Role::Primary),
            remote: name(Role::Remote),
            mesh_id: Ok(scenario.mesh_id.clone()),
            network: Ok(scenario.network.clone()),
            istio: Some(scenario.istio.clone()),
            istiod_replicas: Some(scenario.istiod.replicas as usize),
            gateway_replicas: Some(scenario.gateway.replicas as usize),
            discovery: Ok(Vec::new()),
        }
    }

    /// Istio's id of the cluster with this role.
    ///
    /// # Errors
    /// [`Unlearnt`] where it is not known.
    pub fn id(&self, role: Role) -> Known<&str> {
        let id = match role {
            Role::Primary => &self.primary,
            Role::Remote => &self.remote,
        };
        known(id)
    }

    /// Whether istiod looks at a namespace with these labels, as far as that is known.
    pub fn discovers(&self, labels: &BTreeMap<String, String>) -> bool {
        let all = self.discovery.as_deref().unwrap_or_default();
        all.is_empty() || all.iter().any(|selector| selector.matches(labels))
    }

    /// The network of both clusters.
    ///
    /// # Errors
    /// [`Unlearnt`] where it is not known.
    pub fn network(&self) -> Known<&str> {
        known(&self.network)
    }

    /// The mesh's id.
    ///
    /// # Errors
    /// [`Unlearnt`] where it is not known.
    pub fn mesh_id(&self) -> Known<&str> {
        known(&self.mesh_id)
    }
}

fn known(fact: &Known<String>) -> Known<&str> {
    fact.as_deref().map_err(Unlearnt::clone)
}

impl Mesh {
    /// The cluster with this role.
    pub fn cluster(&self, role: Role) -> &Cluster {
        self.clusters.get(role)
    }

    /// The guide's cluster1.
    pub fn primary(&self) -> &Cluster {
        self.cluster(Role::Primary)
    }

    /// The guide's cluster2.
    pub fn remote(&self) -> &Cluster {
        self.cluster(Role::Remote)
    }

    /// The same mesh, of whose control planes (version of Istio by revision) the one of this revision is judged.
    pub fn judged_by(&self, revision: &str, control_planes: &BTreeMap<String, String>) -> Mesh {
        let beside: Vec<Revision> =
            control_planes.keys().filter(|other| *other != revision).map(|other| Revision::named(other)).collect();
        let clusters = Clusters::default();
        for (_, cluster) in self.clusters.iter() {
            let (revision, beside) = (Revision::named(revision), beside.clone());
            clusters.add(Cluster { revision, beside, ..cluster.clone() });
        }
        let istio = control_planes.get(revision).cloned();
        Mesh { clusters, wanted: Arc::new(Wanted { istio, ..(*self.wanted).clone() }), ..self.clone() }
    }

    /// The namespace of the sample workloads by which the two are judged.
    pub fn sample(&self) -> &str {
        &self.primary().sample
    }

    /// A wait that shows on the live line.
    pub fn wait(&self, what: impl Into<String>, budget: impl Into<Limit>) -> Wait {
        let wait = Wait::new(what, budget).shown(&self.recorder, &self.scope);
        wait.hurried(&self.hurry, self.budgets.hurried(), self.budgets.request())
    }
}
