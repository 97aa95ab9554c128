//! Breaks a lab and puts it back: what is changed is kept before, and put back in reverse order.

use k8s_openapi::ByteString;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::TypeMeta;
use kube::{Resource, ResourceExt};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::act::{Act, Change, Target};
use super::{Names, Sabotage, rollout};
use crate::check::verdict::chain;
use crate::context::Context;
use crate::lab::cluster::{ClusterError, pod_ready};
use crate::lab::engine::EngineError;
use crate::lab::pod_network::{Route, set_routes};
use crate::lab::{Cluster, NotOfLab};
use crate::role::Role;
use crate::wait::{Look, Timeout};

/// The field manager of whatever is broken: no check takes it for its own work.
const MANAGER: &str = "sabotage";

/// An object that is renewed is away for so long, so that whoever watches it sees two changes and not one.
const GONE_FOR: std::time::Duration = std::time::Duration::from_secs(2);

/// An act that could not be done.
#[derive(Debug, thiserror::Error)]
pub enum BreakError {
    /// The API server refused it.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A node refused it.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// There are no nodes to break.
    #[error(transparent)]
    NotOfLab(#[from] NotOfLab),
    /// What it waits for did not come.
    #[error(transparent)]
    Timeout(#[from] Timeout),
    /// The act does not fit the lab.
    #[error("the act cannot be used: {0}")]
    Act(#[from] serde_json::Error),
    /// There is nothing to break.
    #[error("{0} is not there")]
    Absent(String),
}

/// What stood before an act.
enum Kept {
    /// An object, if it was there.
    Object { cluster: Role, target: Target, before: Option<Box<DynamicObject>> },
    /// Routes that were taken.
    Routes(Vec<Route>),
    /// A command that takes another back.
    Command { cluster: Role, undo: String },
}

/// A lab that is being broken.
pub struct Breakage<'a> {
    context: &'a Context,
    kept: Vec<Kept>,
}

impl std::fmt::Debug for Breakage<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Breakage").field("kept", &self.kept.len()).finish_non_exhaustive()
    }
}

impl<'a> Breakage<'a> {
    /// Of a lab that is whole.
    pub fn of(context: &'a Context) -> Breakage<'a> {
        Breakage { context, kept: Vec::new() }
    }

    /// Does these acts with the names that hold now, until it is cancelled. What was done when one fails is put back by
    /// [`Breakage::put_back`].
    ///
    /// # Errors
    /// [`BreakError`] of the first act that fails.
    pub async fn inflict(&mut self, acts: &[Act], names: &Names, cancel: &CancellationToken) -> Result<(), BreakError> {
        for act in acts {
            if cancel.is_cancelled() {
                break;
            }
            self.act(act, names).await?;
        }
        Ok(())
    }

    /// Puts everything back, the last first; returns what could not be.
    pub async fn put_back(&mut self) -> Vec<String> {
        let mut failed = Vec::new();
        while let Some(kept) = self.kept.pop() {
            if let Err(error) = self.restore(kept).await {
                failed.push(chain(&error));
            }
        }
        failed
    }

    /// Puts everything back, then does what the sabotage says to mend; returns what could not be done.
    pub async fn mend(mut self, sabotage: &Sabotage, names: &Names) -> Vec<String> {
        let mut failed = self.put_back().await;
        for act in &sabotage.mend {
            if let Err(error) = self.act(act, names).await {
                failed.push(chain(&error));
            }
        }
        failed
    }

    async fn act(&mut self, act: &Act, names: &Names) -> Result<(), BreakError> {
        match act.filled(|text| names.fill(text))? {
            Act::Patch { cluster, object, by } => {
                self.keep(cluster, &object).await?;
                let api = self.api(cluster, &object).await?;
                let params = Self::params();
                let patched = match by {
                    Change::Merge(value) => api.patch(&object.name, &params, &Patch::Merge(value)).await,
                    Change::Strategic(value) => api.patch(&object.name, &params, &Patch::Strategic(value)).await,
                    Change::Json(value) => {
                        let patch: Patch<()> = Patch::Json(serde_json::from_value(value)?);
                        api.patch(&object.name, &params, &patch).await
                    }
                };
                patched.map_err(self.refused(cluster, "patch", &object))?;
            }
            Act::Edit { cluster, object, replace, with } => {
                let Some(now) = self.keep(cluster, &object).await? else {
                    return Err(BreakError::Absent(self.named(cluster, &object)));
                };
                let edited = edited(now, &replace, &with)?;
                let edited = edited
                    .ok_or_else(|| BreakError::Absent(format!("`{replace}` in {}", self.named(cluster, &object))))?;
                self.replace(cluster, &object, edited).await?;
            }
            Act::Delete { cluster, object } => {
                if self.keep(cluster, &object).await?.is_none() {
                    return Err(BreakError::Absent(self.named(cluster, &object)));
                }
                self.delete(cluster, &object).await?;
            }
            Act::Apply { cluster, manifest } => {
                let mut document: DynamicObject = serde_json::from_value(manifest)?;
                let target = target_of(&document);
                self.keep(cluster, &target).await?;
                document.metadata.managed_fields = None;
                let params = PatchParams::apply(MANAGER).force();
                let api = self.api(cluster, &target).await?;
                api.patch(&target.name, &params, &Patch::Apply(&document))
                    .await
                    .map_err(self.refused(cluster, "apply", &target))?;
            }
            Act::Renew { cluster, object } => {
                let Some(now) = self.keep(cluster, &object).await? else {
                    return Err(BreakError::Absent(self.named(cluster, &object)));
                };
                self.delete(cluster, &object).await?;
                crate::wait::pause(GONE_FOR).await;
                self.create(cluster, &object, now).await?;
            }
            Act::Restart { cluster, namespace, selector } => self.restart(cluster, &namespace, &selector).await?,
            Act::RolloutRestart { cluster, namespace } => {
                rollout::restart(self.context, self.context.cluster(cluster), &namespace).await?;
            }
            Act::RollOut { cluster, namespace, deployment } => {
                self.rolled_out(cluster, &namespace, &deployment).await?;
            }
            Act::Scale { cluster, namespace, deployment, replicas } => {
                let object = Target {
                    api_version: "apps/v1".to_string(),
                    kind: "Deployment".to_string(),
                    namespace: namespace.clone(),
                    name: deployment.clone(),
                };
                self.keep(cluster, &object).await?;
                let replicas = Patch::Merge(json!({"spec": {"replicas": replicas}}));
                let api = self.api(cluster, &object).await?;
                let scaled = api.patch(&deployment, &Self::params(), &replicas).await;
                scaled.map_err(self.refused(cluster, "scale", &object))?;
                self.rolled_out(cluster, &namespace, &deployment).await?;
            }
            Act::LoseRoutes { cluster } => {
                let routes = self.across(cluster);
                self.kept.push(Kept::Routes(routes.clone()));
                for route in &routes {
                    self.context.lab.engine()?.exec(&route.node, &["ip", "route", "del", &route.pods], "").await?;
                }
            }
            Act::Run { cluster, command, undo } => {
                if let Some(undo) = undo {
                    self.kept.push(Kept::Command { cluster, undo });
                }
                self.on_nodes(cluster, &command).await?;
            }
        }
        Ok(())
    }

    fn params() -> PatchParams {
        PatchParams { field_manager: Some(MANAGER.to_string()), ..PatchParams::default() }
    }

    /// Routes from the nodes of one cluster to the pods of the other.
    fn across(&self, cluster: Role) -> Vec<Route> {
        let lab = &self.context.lab;
        let there = |route: &&Route| lab.cluster(cluster.other()).nodes.values().any(|node| *node == route.via);
        lab.routes().iter().filter(|route| route.role == cluster).filter(there).cloned().collect()
    }

    /// Runs a command on each node, also where one fails.
    async fn on_nodes(&self, cluster: Role, command: &str) -> Result<(), BreakError> {
        let command = ["bash", "-c", command];
        let nodes = self.context.cluster(cluster).nodes.keys();
        let engine = self.context.lab.engine()?;
        let ran = nodes.map(|node| engine.exec(node, &command, ""));
        futures::future::join_all(ran).await.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(())
    }

    async fn restore(&self, kept: Kept) -> Result<(), BreakError> {
        match kept {
            Kept::Routes(routes) => Ok(set_routes(self.context.lab.engine()?, &routes).await?),
            Kept::Command { cluster, undo } => self.on_nodes(cluster, &undo).await,
            Kept::Object { cluster, target, before } => {
                match (before, self.get(cluster, &target).await?) {
                    (None, None) => {}
                    (None, Some(_)) => self.delete(cluster, &target).await?,
                    (Some(before), None) => self.create(cluster, &target, *before).await?,
                    (Some(before), Some(_)) => self.replace(cluster, &target, *before).await?,
                }
                if target.kind == "Deployment" {
                    self.rolled_out(cluster, &target.namespace, &target.name).await?;
                }
                Ok(())
            }
        }
    }

    /// Keeps an object as it is, and returns it; none where it is not there.
    async fn keep(&mut self, cluster: Role, target: &Target) -> Result<Option<DynamicObject>, BreakError> {
        let found = self.get(cluster, target).await?;
        let before = found.clone().map(Box::new);
        self.kept.push(Kept::Object { cluster, target: target.clone(), before });
        Ok(found)
    }

    async fn api(&self, cluster: Role, target: &Target) -> Result<Api<DynamicObject>, ClusterError> {
        let types = TypeMeta { api_version: target.api_version.clone(), kind: target.kind.clone() };
        self.context.cluster(cluster).api_of(&types, &target.namespace).await
    }

    async fn get(&self, cluster: Role, target: &Target) -> Result<Option<DynamicObject>, ClusterError> {
        let api = self.api(cluster, target).await?;
        api.get_opt(&target.name).await.map_err(self.refused(cluster, "show", target))
    }

    async fn delete(&self, cluster: Role, target: &Target) -> Result<(), BreakError> {
        let api = self.api(cluster, target).await?;
        match api.delete(&target.name, &DeleteParams::background()).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => return Ok(()),
            Err(error) => return Err(self.refused(cluster, "delete", target)(error).into()),
            Ok(_) => {}
        }
        let wait = self.context.wait(format!("{} to go", self.named(cluster, target)), self.context.budgets.cleanup());
        wait.until(|| async {
            match api.get_opt(&target.name).await {
                Ok(None) => Look::Yes(()),
                Ok(Some(_)) => Look::NotYet("it is still there".to_string()),
                Err(error) => Look::unable(error),
            }
        })
        .await?;
        Ok(())
    }

    async fn create(&self, cluster: Role, target: &Target, object: DynamicObject) -> Result<(), BreakError> {
        let api = self.api(cluster, target).await?;
        let params = PostParams { field_manager: Some(MANAGER.to_string()), ..PostParams::default() };
        let object = anew(object);
        let what = format!("{} to be made", self.named(cluster, target));
        let wait = self.context.wait(what, self.context.budgets.converge());
        wait.until(|| async {
            match api.create(&params, &object).await {
                Ok(_) => Look::Yes(()),
                // Made by an attempt whose answer was lost.
                Err(kube::Error::Api(status)) if status.is_already_exists() => Look::Yes(()),
                Err(error) => Look::NotYet(error.to_string()),
            }
        })
        .await?;
        Ok(())
    }

    /// Writes over whatever is there; who else writes at the same time is written over too.
    async fn replace(&self, cluster: Role, target: &Target, before: DynamicObject) -> Result<(), BreakError> {
        let api = self.api(cluster, target).await?;
        let params = PostParams { field_manager: Some(MANAGER.to_string()), ..PostParams::default() };
        let what = format!("{} to be as it was", self.named(cluster, target));
        let wait = self.context.wait(what, self.context.budgets.converge());
        wait.until(|| async {
            let now = match api.get_opt(&target.name).await {
                Ok(Some(now)) => now,
                Ok(None) => return Look::NotYet("it is not there".to_string()),
                Err(error) => return Look::unable(error),
            };
            let mut object = before.clone();
            object.metadata.resource_version = now.resource_version();
            object.metadata.uid = now.uid();
            match api.replace(&target.name, &params, &object).await {
                Ok(_) => Look::Yes(()),
                Err(error) => Look::NotYet(error.to_string()),
            }
        })
        .await?;
        Ok(())
    }

    async fn restart(&self, cluster: Role, namespace: &str, selector: &str) -> Result<(), BreakError> {
        let there = self.context.cluster(cluster);
        // By their UIDs: a pod of a StatefulSet gets its name again.
        let before = there.pods(namespace, selector).await?;
        let old: Vec<Option<String>> = before.iter().map(|pod| pod.metadata.uid.clone()).collect();
        if before.is_empty() {
            return Err(BreakError::Absent(format!("a pod {selector} in {namespace} of {}", there.name)));
        }
        for pod in &before {
            end(there, namespace, &pod.name_any()).await?;
        }
        let what = format!("{} other pods {selector} in {namespace} of {}", before.len(), there.name);
        let wait = self.context.wait(what, self.context.budgets.istiod_ready());
        there
            .watch_pods(&wait, namespace, selector, |pods| {
                let new: Vec<&Pod> = pods.iter().filter(|pod| !old.contains(&pod.metadata.uid)).collect();
                match new.iter().filter(|pod| pod_ready(pod) == Look::Yes(())).count() {
                    ready if ready >= before.len() => Look::Yes(()),
                    ready => Look::NotYet(format!("{ready} of {} are ready", before.len())),
                }
            })
            .await?;
        Ok(())
    }

    async fn rolled_out(&self, cluster: Role, namespace: &str, deployment: &str) -> Result<(), BreakError> {
        let there = self.context.cluster(cluster);
        let what = format!("Deployment {namespace}/{deployment} of {} to be rolled out", there.name);
        let wait = self.context.wait(what, self.context.budgets.istiod_ready());
        let selector = there
            .watch(&wait, there.api::<Deployment>(namespace), deployment, |found| match found {
                None => Look::NotYet("it is not there".to_string()),
                Some(found) => rolled(found),
            })
            .await?;
        // A pod that is on its way still does its work: an old istiod goes on mending what was broken.
        let params = ListParams::default().labels(&selector);
        let pods = there.api::<Pod>(namespace).list(&params).await;
        let pods = pods.map_err(there.refused(format!("list pods {selector} in {namespace}")))?;
        let leaving = pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_some());
        let leaving: Vec<String> = leaving.map(ResourceExt::name_any).collect();
        for pod in &leaving {
            end(there, namespace, pod).await?;
        }
        there
            .watch_pods(&wait, namespace, &selector, |pods| {
                match pods.iter().map(ResourceExt::name_any).find(|pod| leaving.contains(pod)) {
                    None => Look::Yes(()),
                    Some(pod) => Look::NotYet(format!("pod {pod} is on its way")),
                }
            })
            .await?;
        Ok(())
    }

    fn named(&self, cluster: Role, target: &Target) -> String {
        let name = match target.namespace.as_str() {
            "" => target.name.clone(),
            namespace => format!("{namespace}/{}", target.name),
        };
        self.context.cluster(cluster).object(&target.kind, &name)
    }

    fn refused(&self, cluster: Role, what: &str, target: &Target) -> impl FnOnce(kube::Error) -> ClusterError {
        let name = format!("{what} {} {}", target.kind, target.name);
        self.context.cluster(cluster).refused(name)
    }
}

fn target_of(document: &DynamicObject) -> Target {
    let types = document.types.clone().unwrap_or(TypeMeta { api_version: String::new(), kind: String::new() });
    Target {
        api_version: types.api_version,
        kind: types.kind,
        namespace: document.namespace().unwrap_or_default(),
        name: document.name_any(),
    }
}

/// The object with one text in the place of another; none where it does not have that text.
fn edited(object: DynamicObject, replace: &str, with: &str) -> Result<Option<DynamicObject>, serde_json::Error> {
    let is_secret = object.types.as_ref().is_some_and(|types| types.kind == "Secret");
    let mut edited = object.clone();
    if let Some(data) = edited.data.get_mut("data").and_then(Value::as_object_mut).filter(|_| is_secret) {
        for value in data.values_mut() {
            let ByteString(bytes) = serde_json::from_value(value.clone())?;
            let text = String::from_utf8_lossy(&bytes).replace(replace, with);
            *value = serde_json::to_value(ByteString(text.into_bytes()))?;
        }
    } else {
        edit_strings(&mut edited.data, replace, with);
    }
    Ok((edited.data != object.data).then_some(edited))
}

fn edit_strings(value: &mut Value, replace: &str, with: &str) {
    match value {
        Value::String(text) => *text = text.replace(replace, with),
        Value::Array(items) => items.iter_mut().for_each(|item| edit_strings(item, replace, with)),
        Value::Object(fields) => fields.values_mut().for_each(|field| edit_strings(field, replace, with)),
        _ => {}
    }
}

/// As a user would give it to the API server: without what that adds.
fn anew(mut object: DynamicObject) -> DynamicObject {
    let metadata = object.meta_mut();
    metadata.uid = None;
    metadata.resource_version = None;
    metadata.creation_timestamp = None;
    metadata.managed_fields = None;
    metadata.generation = None;
    if let Some(data) = object.data.as_object_mut() {
        data.remove("status");
    }
    object
}

/// Ends a pod: it is told, and has a second to give back what it holds.
async fn end(cluster: &Cluster, namespace: &str, pod: &str) -> Result<(), ClusterError> {
    let soon = DeleteParams { grace_period_seconds: Some(1), ..DeleteParams::default() };
    match cluster.api::<Pod>(namespace).delete(pod, &soon).await {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        Err(error) => Err(cluster.refused(format!("delete pod {namespace}/{pod}"))(error)),
        Ok(_) => Ok(()),
    }
}

/// The labels of a Deployment's pods, once it has exactly those that it asks for.
fn rolled(deployment: &Deployment) -> Look<String> {
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let status = deployment.status.clone().unwrap_or_default();
    let counts = [status.replicas, status.updated_replicas, status.ready_replicas].map(|count| count.unwrap_or(0));
    let seen = status.observed_generation >= deployment.metadata.generation;
    if seen && counts == [wanted; 3] {
        let labels = deployment.spec.iter().flat_map(|spec| spec.selector.match_labels.iter().flatten());
        return Look::Yes(labels.map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(","));
    }
    let [all, new, ready] = counts;
    Look::NotYet(format!("{all} pods, {new} of the newest template, {ready} ready, {wanted} wanted"))
}
