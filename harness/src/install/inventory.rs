//! All objects of a cluster by name: taken before the install and after the clean-up, D12 compares the two.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, DynamicObject, ListParams};
use kube::discovery::{Discovery, verbs};
use serde::{Deserialize, Serialize};

use crate::lab::Cluster;
use crate::lab::cluster::ClusterError;
use crate::wait::{Look, Timeout, Wait};

/// One object of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Entry {
    /// Kind with its API group: `ConfigMap`, `Gateway.networking.istio.io`.
    pub kind: String,
    /// Namespace, empty for objects of the whole cluster.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl std::fmt::Display for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{} {}", self.kind, self.name)
        } else {
            write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
        }
    }
}

/// The other way round than [`Entry`]'s display.
impl std::str::FromStr for Entry {
    type Err = String;

    fn from_str(text: &str) -> Result<Entry, String> {
        let (kind, rest) = text.split_once(' ').ok_or_else(|| format!("`{text}` is no kind and name"))?;
        let (namespace, name) = rest.split_once('/').unwrap_or(("", rest));
        Ok(Entry { kind: kind.into(), namespace: namespace.into(), name: name.into() })
    }
}

impl Entry {
    /// Its kind without the API group.
    pub fn bare_kind(&self) -> &str {
        self.kind.split('.').next().unwrap_or_default()
    }
}

/// One object of a cluster, with what tells whose it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    /// What it is called.
    #[serde(flatten)]
    pub entry: Entry,
    /// `apps/v1`, by which it is asked for.
    pub api_version: String,
    /// Its UID: no other object has ever had it.
    pub uid: String,
    /// Who wrote it, by its managed fields; its status does not count.
    pub managers: BTreeSet<String>,
    /// Its labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Whether another object is its owner, and takes it along.
    pub owned: bool,
}

/// Kinds that are no objects of anybody's: what Kubernetes itself notes as it runs.
const NOTES: [&str; 7] = [
    "Event",
    "Event.events.k8s.io",
    "Endpoints",
    "EndpointSlice.discovery.k8s.io",
    "IPAddress.networking.k8s.io",
    "CertificateSigningRequest.certificates.k8s.io",
    "CSINode.storage.k8s.io",
];

/// Kinds that Kubernetes itself makes, names anew and drops as it runs; their owners are in the inventory.
const IGNORED_KINDS: [&str; 10] = [
    "Event",
    "Event.events.k8s.io",
    "Pod",
    "ReplicaSet.apps",
    "ControllerRevision.apps",
    "Endpoints",
    "EndpointSlice.discovery.k8s.io",
    "IPAddress.networking.k8s.io",
    "CertificateSigningRequest.certificates.k8s.io",
    "CSINode.storage.k8s.io",
];

/// Leases of Kubernetes' own: heartbeats of nodes and leaders.
fn is_heartbeat(entry: &Entry) -> bool {
    entry.kind == "Lease.coordination.k8s.io" && entry.namespace.starts_with("kube-")
}

/// As [`take`], of a new cluster: not before its controllers have given every namespace what they give each.
///
/// # Errors
/// [`Timeout`] where they do not, or a kind cannot be listed.
pub async fn take_settled(cluster: &Cluster, wait: Wait) -> Result<BTreeSet<Entry>, Timeout> {
    // The last two things that the controller manager makes by itself; the accounts of its controllers come before.
    let is_given = |entries: &BTreeSet<Entry>, namespace: &str| {
        let has = |kind: &str, name: &str| {
            entries.contains(&Entry { kind: kind.into(), namespace: namespace.into(), name: name.into() })
        };
        has("ServiceAccount", "default") && has("ConfigMap", "kube-root-ca.crt")
    };
    let wait = wait.every(Duration::from_millis(100));
    let settled = wait.until(|| async {
        match take(cluster).await {
            // A group of an API server that has just begun may not answer yet.
            Err(error) => Look::unable(crate::check::verdict::chain(&error)),
            Ok(entries) => {
                let mut namespaces = entries.iter().filter(|entry| entry.kind == "Namespace");
                match namespaces.find(|namespace| !is_given(&entries, &namespace.name)) {
                    Some(bare) => Look::NotYet(format!("namespace {} has no account or no root yet", bare.name)),
                    None => Look::Yes(entries),
                }
            }
        }
    });
    settled.await
}

/// Names of all objects of a cluster, of every kind that its API server lists.
///
/// # Errors
/// [`ClusterError`] for a kind that cannot be listed.
pub async fn take(cluster: &Cluster) -> Result<BTreeSet<Entry>, ClusterError> {
    Ok(list(cluster, &IGNORED_KINDS).await?.into_iter().map(|found| found.entry).collect())
}

/// All objects of a cluster that have no owner, with what tells whose they are.
///
/// # Errors
/// [`ClusterError`] for a kind that cannot be listed.
pub async fn objects(cluster: &Cluster) -> Result<Vec<Found>, ClusterError> {
    let mut all = list(cluster, &NOTES).await?;
    all.retain(|found| !found.owned && !found.uid.is_empty());
    all.sort();
    Ok(all)
}

/// So often kinds are asked for again while a group goes.
const AGAIN: usize = 20;

/// The kinds that an API server knows. A group whose last definition is being removed is still in its list, and no longer
/// answers.
async fn kinds(cluster: &Cluster) -> Result<Discovery, ClusterError> {
    let mut asked = 0;
    loop {
        match Discovery::new(cluster.client.clone()).run().await {
            Err(kube::Error::Api(status)) if status.code == 404 && asked < AGAIN => asked += 1,
            found => return found.map_err(cluster.refused("list its kinds")),
        }
        crate::wait::pause(Duration::from_millis(250)).await;
    }
}

async fn list(cluster: &Cluster, ignored: &[&str]) -> Result<Vec<Found>, ClusterError> {
    let discovery = kinds(cluster).await?;
    let kinds =
        discovery.groups().flat_map(|group| group.recommended_resources()).filter_map(|(kind, capabilities)| {
            let name = if kind.group.is_empty() { kind.kind.clone() } else { format!("{}.{}", kind.kind, kind.group) };
            (capabilities.supports_operation(verbs::LIST) && !ignored.contains(&name.as_str())).then_some((name, kind))
        });
    let lists = stream::iter(kinds.collect::<Vec<_>>()).map(|(name, kind)| async move {
        let api: Api<DynamicObject> = Api::all_with(cluster.client.clone(), &kind);
        match api.list_metadata(&ListParams::default()).await {
            Ok(list) => {
                let found = list.items.iter().map(|object| found(&name, &kind.api_version, &object.metadata));
                Ok(found.collect::<Vec<_>>())
            }
            // A kind whose definition is being removed right now has no objects left to speak of; and some servers beside the
            // API server's own, as that of metrics, list nothing that is an object.
            Err(kube::Error::Api(status)) if matches!(status.code, 404..=406) => Ok(Vec::new()),
            Err(error) => Err(cluster.refused(format!("list {name}"))(error)),
        }
    });
    let found: Vec<Vec<Found>> = lists.buffer_unordered(8).try_collect().await?;
    Ok(found.into_iter().flatten().filter(|found| !is_heartbeat(&found.entry)).collect())
}

fn found(kind: &str, api_version: &str, metadata: &ObjectMeta) -> Found {
    let written = metadata.managed_fields.iter().flatten();
    let written = written.filter(|entry| entry.subresource.as_deref().unwrap_or_default().is_empty());
    Found {
        entry: Entry {
            kind: kind.to_string(),
            namespace: metadata.namespace.clone().unwrap_or_default(),
            name: metadata.name.clone().unwrap_or_default(),
        },
        api_version: api_version.to_string(),
        uid: metadata.uid.clone().unwrap_or_default(),
        managers: written.filter_map(|entry| entry.manager.clone()).collect(),
        labels: metadata.labels.clone().unwrap_or_default(),
        owned: metadata.owner_references.as_ref().is_some_and(|owners| !owners.is_empty()),
    }
}
