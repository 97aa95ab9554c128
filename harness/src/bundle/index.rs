//! `bundle.yaml`: what a captured mesh is, in numbers and names, and what each file of the folder holds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::role::Role;
use crate::scenario::IstioNamespace;

/// The name of the file. It is written last: a folder without it is half a capture.
pub const INDEX: &str = "bundle.yaml";

/// The form of a bundle that is written, and the only one that is understood.
pub const FORM: u32 = 1;

/// What the folder says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Index {
    /// The form of the bundle.
    pub form: u32,
    /// The version of meshproof that wrote it.
    pub meshproof: String,
    /// When, by the clock of who captured it.
    pub captured: String,
    /// Whether names and addresses were replaced.
    pub anonymised: bool,
    /// The namespace of Istio.
    pub istio_namespace: IstioNamespace,
    /// The revision of the control plane.
    pub revision: String,
    /// The version of Istio, by istiod's image; empty where that does not say it.
    pub istio: String,
    /// The images of proxies, with how many run each.
    pub data_plane: BTreeMap<String, usize>,
    /// The mesh's id; empty where it has none.
    pub mesh_id: String,
    /// The network of both clusters; empty where they have none.
    pub network: String,
    /// The clusters.
    pub clusters: BTreeMap<Role, ClusterIndex>,
    /// What istiod says of the clusters that it knows; none where it was not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_to_istiod: Option<Vec<KnownCluster>>,
    /// The files.
    pub files: Vec<FileEntry>,
    /// What could not be read, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_read: Vec<NotRead>,
}

/// One cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClusterIndex {
    /// Istio's id of it; where parts of the mesh name it differently, what most of them say.
    pub id: String,
    /// The version of Kubernetes, as its API server says.
    pub kubernetes: String,
    /// How many nodes it has; none where they could not be counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<usize>,
    /// Pods with a sidecar, by namespace.
    #[serde(default)]
    pub proxies: BTreeMap<String, usize>,
}

/// A cluster that istiod knows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KnownCluster {
    /// Its id.
    pub id: String,
    /// The remote secret that it is known by; empty for istiod's own cluster.
    pub secret: String,
    /// `synced`, or what it is instead.
    pub status: String,
}

/// A file of the folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileEntry {
    /// Its path in the folder.
    pub path: String,
    /// How many documents it has.
    pub documents: usize,
    /// What they are.
    pub holds: String,
}

/// Something that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NotRead {
    /// What.
    pub what: String,
    /// Why not.
    pub why: String,
}
