//! Removal of exactly what a record says, each object by its UID, in an order that works.

use std::collections::BTreeSet;

use futures::future::{join_all, try_join_all};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{DeleteParams, ListParams, Preconditions};
use kube::core::TypeMeta;

use super::ledger::{Ledger, New};
use super::preflight::plural;
use crate::check::verdict::chain;
use crate::install::cleanup::{self, ISTIO_GRACE};
use crate::install::inventory::{self, Entry, Found};
use crate::install::step::StepError;
use crate::lab::Cluster;
use crate::lab::cluster::ClusterError;
use crate::problem::all_of;
use crate::wait::{Look, Wait};

/// What came of a removal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// How many objects went.
    pub objects: usize,
    /// What the install made and is still there, each with why.
    pub left: Vec<String>,
    /// What was there before the install and is gone: nothing of the record's.
    pub lost: Vec<String>,
    /// How many objects were there before, and are.
    pub unchanged: usize,
}

/// A removal that broke off, or left something.
#[derive(Debug, thiserror::Error)]
pub enum RemovalError {
    /// A call was refused.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// Something did not go in time.
    #[error("{0}")]
    Step(String),
    /// Something stays.
    #[error("{}; what to do: see to what is named, then `meshproof uninstall --record {record}`", left.join("; "))]
    Left {
        /// What, and why.
        left: Vec<String>,
        /// The record.
        record: String,
    },
}

impl From<StepError> for RemovalError {
    fn from(StepError(why): StepError) -> Self {
        RemovalError::Step(why)
    }
}

/// How many deletions are under way at once.
const AT_ONCE: usize = 8;

/// Removes what the record of these clusters says; somebody else's objects stay, and so does a namespace or a definition that
/// holds one.
///
/// Webhooks first, for nothing may call an istiod that is gone; the harness's pods, and then Istio with its namespace, for
/// istiod would write again what is deleted; then what istiod and istioctl made elsewhere; definitions last.
///
/// # Errors
/// [`RemovalError`] where a call is refused, or something does not go. What is left stays in the record.
pub async fn remove(
    ledger: &Ledger,
    clusters: &[Cluster; 2],
    wait: &(impl Fn(String) -> Wait + Sync),
) -> Result<Removed, RemovalError> {
    let removals = clusters.each_ref().map(|cluster| Removal { ledger, cluster, wait });
    let look = || try_join_all(removals.iter().map(|removal| ledger.look(removal.cluster)));
    let mut removed = Removed::default();
    let is_webhook = |found: &Found| found.entry.bare_kind().ends_with("WebhookConfiguration");
    let mut errors = Vec::new();
    let seen = look().await?;
    let steps = removals.iter().zip(&seen).map(|(removal, new)| removal.delete(&new.ours, is_webhook));
    removed.objects += gone(join_all(steps).await, &mut errors);
    let istio = ledger.record().istio_namespace.to_string();
    for of_istio in [false, true] {
        let seen = look().await?;
        let wanted = |name: &str| (name == istio) == of_istio;
        let steps = removals.iter().zip(&seen).map(|(removal, new)| removal.namespaces(new, wanted));
        removed.objects += gone(join_all(steps).await, &mut errors);
    }
    let is_definition = |found: &Found| found.entry.bare_kind() == "CustomResourceDefinition";
    for of_definitions in [false, true] {
        let seen = look().await?;
        let steps = removals.iter().zip(&seen).map(|(removal, new)| {
            let used: BTreeSet<String> = new.theirs.iter().filter_map(|found| definition_of(&found.entry)).collect();
            removal.delete(&new.ours, move |found: &Found| {
                is_definition(found) == of_definitions && !used.contains(&found.entry.name)
            })
        });
        removed.objects += gone(join_all(steps).await, &mut errors);
    }
    for removal in &removals {
        removal.compare(&mut removed).await?;
    }
    // Why something is left comes before what it is.
    let left = if removed.left.is_empty() { Vec::new() } else { [errors, removed.left.clone()].concat() };
    if left.is_empty() {
        ledger.removed();
        return Ok(removed);
    }
    Err(RemovalError::Left { left, record: ledger.path().display().to_string() })
}

/// How many objects went, of all clusters: what one refuses or holds back must not leave the other, or what comes after, as
/// it is.
fn gone<E: std::error::Error>(results: Vec<Result<usize, E>>, errors: &mut Vec<String>) -> usize {
    let mut objects = 0;
    for result in results {
        match result {
            Ok(some) => objects += some,
            Err(error) => errors.push(chain(&error)),
        }
    }
    objects
}

/// The name of the definition that a custom resource of Istio's is of.
fn definition_of(entry: &Entry) -> Option<String> {
    let (kind, group) = entry.kind.split_once('.')?;
    group.ends_with(".istio.io").then(|| format!("{}.{group}", plural(kind)))
}

struct Removal<'a, W> {
    ledger: &'a Ledger,
    cluster: &'a Cluster,
    wait: &'a W,
}

impl<W: Fn(String) -> Wait + Sync> Removal<'_, W> {
    /// Deletes those of these objects that are meant; says how many went.
    async fn delete(&self, ours: &[Found], meant: impl Fn(&Found) -> bool) -> Result<usize, ClusterError> {
        // Namespaces have a way of their own.
        let meant = ours.iter().filter(|found| found.entry.bare_kind() != "Namespace" && meant(found));
        let deleted = stream::iter(meant.collect::<Vec<_>>()).map(|found| self.delete_one(found));
        let deleted: Vec<bool> = deleted.buffer_unordered(AT_ONCE).try_collect().await?;
        Ok(deleted.into_iter().filter(|gone| *gone).count())
    }

    /// Deletes this very object; says whether it was there. Another one of its name is somebody else's.
    async fn delete_one(&self, found: &Found) -> Result<bool, ClusterError> {
        let types = TypeMeta { api_version: found.api_version.clone(), kind: found.entry.bare_kind().to_string() };
        let api = match self.cluster.api_of(&types, &found.entry.namespace).await {
            // A kind whose definition is gone has no objects.
            Err(ClusterError::Api { source, .. }) if is_unknown(&source) => return Ok(false),
            api => api?,
        };
        let this = Preconditions { uid: Some(found.uid.clone()), resource_version: None };
        let how = DeleteParams { preconditions: Some(this), ..DeleteParams::background() };
        match api.delete(&found.entry.name, &how).await {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(false),
            Err(error) => Err(self.cluster.refused(format!("delete {}", found.entry))(error)),
        }
    }

    /// Deletes the namespaces that are meant, with all that is in them, and waits until they are gone. Of one that somebody
    /// else uses, what the install made in it.
    async fn namespaces(&self, new: &New, meant: impl Fn(&str) -> bool) -> Result<usize, RemovalError> {
        let all = new.ours.iter().filter(|found| found.entry.bare_kind() == "Namespace" && meant(&found.entry.name));
        let gone = join_all(all.map(|namespace| self.namespace(namespace, new))).await;
        gone.into_iter().sum()
    }

    async fn namespace(&self, namespace: &Found, new: &New) -> Result<usize, RemovalError> {
        let name = &namespace.entry.name;
        let inside = |found: &&Found| found.entry.namespace == *name;
        let ours: Vec<Found> = new.ours.iter().filter(inside).cloned().collect();
        if new.theirs.iter().any(|found| inside(&found)) {
            let objects = self.delete(&ours, |_| true).await?;
            self.pods_gone(name).await?;
            // What controllers had made for these goes with them.
            if self.ledger.look(self.cluster).await?.theirs.iter().any(|found| inside(&found)) {
                return Ok(objects);
            }
        }
        cleanup::end_pods(self.cluster, name, ISTIO_GRACE, self.wait).await?;
        self.delete_one(namespace).await?;
        let wait = (self.wait)(format!("namespace {name} of {} to go", self.cluster.name));
        let gone = self.cluster.watch(&wait, self.cluster.all::<Namespace>(), name, |found| match found {
            Some(found) if found.metadata.uid.as_deref() == Some(&namespace.uid) => {
                Look::NotYet("it is being deleted".to_string())
            }
            _ => Look::Yes(()),
        });
        gone.await.map_err(|timeout| RemovalError::Step(timeout.to_string()))?;
        Ok(ours.len() + 1)
    }

    /// Waits until no pod of Istio's is in a namespace that stays.
    async fn pods_gone(&self, namespace: &str) -> Result<(), RemovalError> {
        let wait = (self.wait)(format!("pods of the install to leave {namespace} of {}", self.cluster.name));
        let gone = wait.until(|| async {
            let listed = self.cluster.api::<Pod>(namespace).list(&ListParams::default().labels("istio")).await;
            match listed {
                Ok(pods) if pods.items.is_empty() => Look::Yes(()),
                Ok(pods) => Look::NotYet(format!("{} are there", pods.items.len())),
                Err(error) => Look::unable(error),
            }
        });
        gone.await.map_err(|timeout| RemovalError::Step(timeout.to_string()))
    }

    /// Sets what is there now against the record, and against what was there before.
    async fn compare(&self, removed: &mut Removed) -> Result<(), ClusterError> {
        let cluster = self.cluster;
        // What was deleted may take a moment to go.
        let wait = (self.wait)(format!("what was deleted in {} to go", cluster.name));
        let gone = wait.until(|| async {
            match self.ledger.look(cluster).await {
                Ok(new) => match new.ours.iter().find(|found| !new.theirs.iter().any(|other| holds(found, other))) {
                    Some(found) => Look::NotYet(format!("{} is there", found.entry)),
                    None => Look::Yes(new),
                },
                Err(error) => Look::unable(error),
            }
        });
        let New { ours, theirs } = match gone.await {
            Ok(new) => new,
            Err(_) => self.ledger.look(cluster).await?,
        };
        for found in &ours {
            let holds: Vec<String> =
                theirs.iter().filter(|other| holds(found, other)).map(|other| other.entry.to_string()).collect();
            let why = match holds.as_slice() {
                [] => String::new(),
                holds => format!(", for it holds what somebody else made: {}", all_of(holds)),
            };
            removed.left.push(format!("{} is left in {}{why}", found.entry, cluster.called()));
        }
        let now: BTreeSet<String> = inventory::objects(cluster).await?.into_iter().map(|found| found.uid).collect();
        for before in self.ledger.before(cluster.role) {
            if now.contains(&before.uid) {
                removed.unchanged += 1;
            } else {
                removed.lost.push(format!("{} of {}", before.entry, cluster.name));
            }
        }
        Ok(())
    }
}

/// Whether an object of the install stays because of one of somebody else's.
fn holds(found: &Found, other: &Found) -> bool {
    match found.entry.bare_kind() {
        "Namespace" => other.entry.namespace == found.entry.name,
        "CustomResourceDefinition" => definition_of(&other.entry).is_some_and(|name| name == found.entry.name),
        _ => false,
    }
}

fn is_unknown(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404) || matches!(error, kube::Error::Discovery(_))
}
