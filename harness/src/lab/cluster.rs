//! One cluster, reached through its API server: get, apply, watch.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, pin_mut};
use k8s_openapi::api::authorization::v1::SelfSubjectAccessReview;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{NamespaceResourceScope, TypeMeta};
use kube::discovery::{self, Scope};
use kube::runtime::watcher;
use kube::{Client, Config, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::forward::Pages;
use super::revision::Revision;
use crate::check::right;
use crate::per_cluster::Member;
use crate::role::Role;
use crate::scenario::{IstioNamespace, SAMPLE_NAMESPACE};
use crate::tool::quote;
use crate::wait::{Look, Timeout, Wait};

/// How long after a watch broke off it is taken up again.
const AFTER_A_BREAK: Duration = Duration::from_millis(200);

/// What a user may do who has the ClusterRole cluster-admin, as a `SelfSubjectAccessReview` asks for it, each with its name.
pub fn of_administrator() -> [(&'static str, Value); 2] {
    [
        ("every verb on every resource", json!({"resourceAttributes": {"group": "*", "resource": "*", "verb": "*"}})),
        ("every verb on every path", json!({"nonResourceAttributes": {"path": "*", "verb": "*"}})),
    ]
}

/// The field manager of everything that the harness applies.
pub const FIELD_MANAGER: &str = "meshproof";

/// A cluster that could not be reached or refused.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// Its kubeconfig file is not there or of no use.
    #[error("the kubeconfig {path} of {cluster} is of no use")]
    Kubeconfig {
        /// The cluster's name.
        cluster: String,
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Its API server refused a call.
    #[error("the API server of {cluster} refused to {what}")]
    Api {
        /// The cluster's name.
        cluster: String,
        /// What was asked of it.
        what: String,
        /// Its answer.
        #[source]
        source: Box<kube::Error>,
    },
    /// Its user lacks a right.
    #[error(
        "the right to {right} is missing in context {context}, without which one cannot {what}: give it to {user}{hint}"
    )]
    Forbidden {
        /// The kube context.
        context: String,
        /// What was asked of it.
        what: String,
        /// The verb, the resource and the namespace.
        right: String,
        /// Who lacks it.
        user: String,
        /// Where all rights stand that are wanted, if anywhere.
        hint: String,
    },
    /// A manifest is not one.
    #[error("a manifest for {cluster} cannot be used: {why}")]
    Manifest {
        /// The cluster's name.
        cluster: String,
        /// What is wrong.
        why: String,
    },
}

/// One cluster: of a lab, or one that meshproof did not make.
#[derive(Clone)]
pub struct Cluster {
    /// Its part in the guide.
    pub role: Role,
    /// Which cluster of its mesh it is: by that its files and folders are told apart.
    pub member: Member,
    /// Istio's name for it: `cluster1`.
    pub name: String,
    /// Its kube context.
    pub context: String,
    /// The kubeconfig file that its lab made for it; none of a cluster that meshproof did not make.
    pub kubeconfig: Option<PathBuf>,
    /// A client of its API server.
    pub client: Client,
    /// Node name to address on the lab's network; none of a cluster that meshproof did not make.
    pub nodes: BTreeMap<String, String>,
    /// The namespace of Istio in it.
    pub istio_namespace: IstioNamespace,
    /// The revision of the control plane that is judged.
    pub revision: Revision,
    /// Revisions of control planes that are known to be installed beside it; of a cluster that meshproof did not make none is
    /// known.
    pub beside: Vec<Revision>,
    /// The namespace of the sample workloads in it: in a primary, of those for the remote with which it is judged.
    pub sample: String,
    /// Pages of its pods, where they were written down by somebody and no pod can be asked.
    pub pages: Option<Arc<Pages>>,
}

impl Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Cluster {
    /// Opens the cluster of this name and kube context by the kubeconfig file that the lab made for it.
    ///
    /// # Errors
    /// [`ClusterError::Kubeconfig`] when that file is not there or of no use.
    pub async fn open(
        member: impl Into<Member>,
        (name, context): (&str, &str),
        istio_namespace: &IstioNamespace,
        kubeconfig: PathBuf,
        nodes: BTreeMap<String, String>,
    ) -> Result<Cluster, ClusterError> {
        let bad = |source: Box<dyn std::error::Error + Send + Sync>| ClusterError::Kubeconfig {
            cluster: name.to_string(),
            path: kubeconfig.display().to_string(),
            source,
        };
        let file = Kubeconfig::read_from(&kubeconfig).map_err(|error| bad(error.into()))?;
        let options = KubeConfigOptions { context: Some(context.to_string()), ..Default::default() };
        let mut config = Config::from_custom_kubeconfig(file, &options).await.map_err(|error| bad(error.into()))?;
        // Watches end by themselves; nothing else may hang for minutes.
        config.connect_timeout = Some(std::time::Duration::from_secs(5));
        let client = Client::try_from(config).map_err(|error| bad(error.into()))?;
        let member = member.into();
        Ok(Cluster {
            role: member.role,
            member,
            name: name.to_string(),
            context: context.to_string(),
            kubeconfig: Some(kubeconfig),
            client,
            nodes,
            istio_namespace: istio_namespace.clone(),
            revision: Revision::default(),
            beside: Vec::new(),
            sample: SAMPLE_NAMESPACE.to_string(),
            pages: None,
        })
    }

    /// Objects of one kind in one namespace.
    pub fn api<K>(&self, namespace: &str) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Objects of one kind in the whole cluster.
    pub fn all<K>(&self) -> Api<K>
    where
        K: Resource,
        K::DynamicType: Default,
    {
        Api::all(self.client.clone())
    }

    /// Address of its control plane, the one node with an API server.
    pub fn control_plane(&self) -> Option<&String> {
        self.nodes.iter().find(|(name, _)| name.ends_with("-control-plane")).map(|(_, address)| address)
    }

    /// The name by which proxies know the istiod that is judged: `istiod.istio-system.svc`.
    pub fn istiod(&self) -> String {
        self.istio_namespace.istiod(&self.revision)
    }

    /// The webhooks of the revision that is judged, which inject sidecars.
    pub fn injector(&self) -> String {
        self.istio_namespace.injector(&self.revision)
    }

    /// Whether an object with this label of a revision is for another control plane to write: in a lab for one that is
    /// known, elsewhere for any other.
    pub fn is_of_another(&self, revision: &str) -> bool {
        let known = || !self.is_of_lab() || self.beside.iter().any(|beside| beside.name() == revision);
        revision != self.revision.name() && known()
    }

    /// Host and port of its API server, as its kubeconfig file has them.
    ///
    /// # Errors
    /// [`ClusterError::Kubeconfig`] where there is none that has them.
    pub fn server(&self) -> Result<String, ClusterError> {
        let path = self.kubeconfig.clone().unwrap_or_default();
        let read = Kubeconfig::read_from(&path).map_err(Into::into).and_then(|file| server(&file));
        read.map_err(|source| ClusterError::Kubeconfig {
            cluster: self.name.clone(),
            path: path.display().to_string(),
            source,
        })
    }

    /// Whether its user may do something, as a `SelfSubjectAccessReview` asks by this `spec`; why not, if not.
    ///
    /// # Errors
    /// [`ClusterError`] where that is not told.
    pub async fn may(&self, spec: Value) -> Result<Result<(), String>, ClusterError> {
        let refused = || self.refused("say what its user may do");
        let review = serde_json::from_value(json!({"spec": spec}));
        let review: SelfSubjectAccessReview = review.map_err(|error| refused()(kube::Error::SerdeError(error)))?;
        let answer = self.all::<SelfSubjectAccessReview>().create(&PostParams::default(), &review).await;
        let status = answer.map_err(refused())?.status.unwrap_or_default();
        Ok(if status.allowed { Ok(()) } else { Err(status.reason.unwrap_or_default()) })
    }

    /// Whether meshproof made it, or its mesh.
    pub fn is_of_lab(&self) -> bool {
        self.kubeconfig.is_some()
    }

    /// `cluster2`; of a cluster that meshproof did not make, `cluster2 (context mine)`, for that is what its user knows.
    pub fn called(&self) -> String {
        format!("{}{}", self.name, self.shown_context())
    }

    /// `cluster2 ConfigMap sample/istio-ca-root-cert`: how evidence and causes name an object.
    pub fn object(&self, kind: &str, namespaced_name: &str) -> String {
        format!("{} {kind} {namespaced_name}{}", self.name, self.shown_context())
    }

    /// Whether it is known by what was written down of it, and cannot be asked.
    pub fn is_recorded(&self) -> bool {
        self.pages.is_some()
    }

    /// Its context as a word of a command. What was written down says none, so there it is the guide's variable.
    pub fn context_word(&self) -> String {
        if self.is_recorded() { format!("\"${{{}}}\"", self.role.context_variable()) } else { quote(&self.context) }
    }

    fn shown_context(&self) -> String {
        if self.is_of_lab() { String::new() } else { format!(" (context {})", self.context) }
    }

    /// An error of this cluster's API server.
    pub fn refused(&self, what: impl Into<String>) -> impl FnOnce(kube::Error) -> ClusterError {
        let (cluster, context, what, lab) = (self.called(), self.context.clone(), what.into(), self.is_of_lab());
        let hint = if lab { String::new() } else { format!("; {}", self.how_to_grant()) };
        move |source| match &source {
            kube::Error::Api(status) if status.is_forbidden() => match right::refused(&status.message) {
                Some((right, user)) => ClusterError::Forbidden { context, what, right, user, hint },
                None => ClusterError::Api { cluster, what, source: Box::new(source) },
            },
            _ => ClusterError::Api { cluster, what, source: Box::new(source) },
        }
    }

    /// Where all rights stand that reading takes in this cluster.
    pub fn how_to_grant(&self) -> String {
        format!("`meshproof check --print-rbac {}` prints all that are needed", self.role)
    }

    /// Watches one object until `look` is content with it; `None` is an object that is not there.
    ///
    /// # Errors
    /// [`Timeout`] with what was seen instead.
    pub async fn watch<K, T>(
        &self,
        wait: &Wait,
        api: Api<K>,
        name: &str,
        mut look: impl FnMut(Option<&K>) -> Look<T>,
    ) -> Result<T, Timeout>
    where
        K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    {
        let mut memory = wait.memory();
        let stream = watcher::watch_object(api, name);
        pin_mut!(stream);
        loop {
            match memory.within(stream.next()).await {
                Some(Some(Ok(object))) => match look(object.as_ref()) {
                    Look::Yes(value) => return Ok(value),
                    Look::NotYet(why) => memory.saw(why),
                    Look::Unable(why) => memory.unable(why),
                },
                // The watch is taken up again by itself, with back-off by the next turn.
                Some(Some(Err(error))) => {
                    if let Some(why) = self.forbidden(&error) {
                        memory.unable(why);
                        return Err(memory.timeout());
                    }
                    memory.unable(format!("the watch broke off: {error}"));
                    memory.pause(AFTER_A_BREAK).await;
                }
                Some(None) | None => return Err(memory.timeout()),
            }
        }
    }

    /// Why a watch will never begin: its user lacks a right, which no waiting gives.
    fn forbidden(&self, error: &watcher::Error) -> Option<String> {
        let (watcher::Error::InitialListFailed(source) | watcher::Error::WatchStartFailed(source)) = error else {
            return None;
        };
        let kube::Error::Api(status) = source else { return None };
        let error = self.refused("watch it")(kube::Error::Api(status.clone()));
        matches!(error, ClusterError::Forbidden { .. }).then(|| error.to_string())
    }

    /// Watches the pods that match a label selector until `look` is content with them all.
    ///
    /// # Errors
    /// [`Timeout`] with what was seen instead.
    pub async fn watch_pods<T>(
        &self,
        wait: &Wait,
        namespace: &str,
        selector: &str,
        mut look: impl FnMut(&[Pod]) -> Look<T>,
    ) -> Result<T, Timeout> {
        let mut memory = wait.memory();
        let stream = watcher(self.api::<Pod>(namespace), watcher::Config::default().labels(selector));
        pin_mut!(stream);
        let mut pods: BTreeMap<String, Pod> = BTreeMap::new();
        let mut listed = false;
        loop {
            match memory.within(stream.next()).await {
                Some(Some(Ok(event))) => match event {
                    watcher::Event::Init => pods.clear(),
                    watcher::Event::InitDone => listed = true,
                    watcher::Event::Apply(pod) | watcher::Event::InitApply(pod) => {
                        pods.insert(pod.name_any(), pod);
                    }
                    watcher::Event::Delete(pod) => {
                        pods.remove(&pod.name_any());
                    }
                },
                Some(Some(Err(error))) => {
                    memory.unable(format!("the watch broke off: {error}"));
                    memory.pause(AFTER_A_BREAK).await;
                    continue;
                }
                Some(None) | None => return Err(memory.timeout()),
            }
            if listed {
                let all: Vec<Pod> = pods.values().cloned().collect();
                match look(&all) {
                    Look::Yes(value) => return Ok(value),
                    Look::NotYet(why) => memory.saw(why),
                    Look::Unable(why) => memory.unable(why),
                }
            }
        }
    }

    /// Pods that match a label selector and are not being deleted.
    ///
    /// # Errors
    /// [`ClusterError::Api`] when they cannot be listed.
    pub async fn pods(&self, namespace: &str, selector: &str) -> Result<Vec<Pod>, ClusterError> {
        let mut pods = self.all_pods(namespace, selector).await?;
        pods.retain(|pod| pod.metadata.deletion_timestamp.is_none());
        Ok(pods)
    }

    /// As [`Cluster::pods`], also those that are being deleted, which may still be at work.
    ///
    /// # Errors
    /// As [`Cluster::pods`].
    pub async fn all_pods(&self, namespace: &str, selector: &str) -> Result<Vec<Pod>, ClusterError> {
        let params = ListParams::default().labels(selector);
        let list = self
            .api::<Pod>(namespace)
            .list(&params)
            .await
            .map_err(self.refused(format!("list pods {selector} in {namespace}")))?;
        Ok(list.items)
    }

    /// Applies every document of a manifest, as `kubectl apply -n namespace -f -` would, by server-side apply.
    ///
    /// # Errors
    /// [`ClusterError`] naming the document that is wrong or was refused.
    pub async fn apply(&self, manifest: &str, namespace: &str) -> Result<Vec<String>, ClusterError> {
        let mut applied = Vec::new();
        for document in documents(manifest).map_err(|why| ClusterError::Manifest { cluster: self.name.clone(), why })? {
            let (api, name) = self.dynamic(&document, namespace).await?;
            let what = format!("{} {name}", document.types.as_ref().map_or("?", |types| &types.kind));
            api.patch(&name, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(&document))
                .await
                .map_err(self.refused(format!("apply {what}")))?;
            applied.push(what);
        }
        Ok(applied)
    }

    /// Deletes every object that a manifest names; one that is not there is fine.
    ///
    /// # Errors
    /// [`ClusterError`] naming the document that is wrong or was refused.
    pub async fn delete(&self, manifest: &str, namespace: &str) -> Result<(), ClusterError> {
        for document in documents(manifest).map_err(|why| ClusterError::Manifest { cluster: self.name.clone(), why })? {
            let (api, name) = self.dynamic(&document, namespace).await?;
            match api.delete(&name, &DeleteParams::background()).await {
                Err(kube::Error::Api(status)) if status.is_not_found() => {}
                Err(error) => return Err(self.refused(format!("delete {name}"))(error)),
                Ok(_) => {}
            }
        }
        Ok(())
    }

    async fn dynamic(
        &self,
        document: &DynamicObject,
        namespace: &str,
    ) -> Result<(Api<DynamicObject>, String), ClusterError> {
        let types = document.types.clone().unwrap_or(TypeMeta { api_version: String::new(), kind: String::new() });
        let own = document.metadata.namespace.as_deref().unwrap_or(namespace);
        Ok((self.api_of(&types, own).await?, document.name_any()))
    }

    /// Objects of a kind that only the API server knows; the namespace counts where the kind has one.
    ///
    /// # Errors
    /// [`ClusterError`] when that is no kind, or the API server does not know it.
    pub async fn api_of(&self, types: &TypeMeta, namespace: &str) -> Result<Api<DynamicObject>, ClusterError> {
        let gvk = kube::core::GroupVersionKind::try_from(types)
            .map_err(|error| ClusterError::Manifest { cluster: self.name.clone(), why: error.to_string() })?;
        let (resource, capabilities) = discovery::pinned_kind(&self.client, &gvk)
            .await
            .map_err(self.refused(format!("say what a {} is", types.kind)))?;
        Ok(match capabilities.scope {
            Scope::Cluster => Api::all_with(self.client.clone(), &resource),
            Scope::Namespaced => Api::namespaced_with(self.client.clone(), namespace, &resource),
        })
    }
}

/// Host and port of the first API server of a kubeconfig.
///
/// # Errors
/// One line where it has none.
pub fn server(kubeconfig: &Kubeconfig) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let mut servers = kubeconfig.clusters.iter().filter_map(|named| named.cluster.as_ref()?.server.as_ref());
    let url: http::Uri = servers.next().ok_or("it names no API server")?.parse()?;
    let port = url.port_u16().unwrap_or(if url.scheme_str() == Some("http") { 80 } else { 443 });
    let host = url.host().ok_or("it names no host")?;
    Ok(format!("{host}:{port}"))
}

/// Splits a manifest into its objects.
fn documents(manifest: &str) -> Result<Vec<DynamicObject>, String> {
    use serde::Deserialize;
    let mut objects = Vec::new();
    for document in serde_yaml_ng::Deserializer::from_str(manifest) {
        let value = serde_yaml_ng::Value::deserialize(document).map_err(|error| error.to_string())?;
        if value.is_null() {
            continue;
        }
        objects.push(serde_yaml_ng::from_value(value).map_err(|error| error.to_string())?);
    }
    Ok(objects)
}

/// Whether a pod is Running with every container ready; else why not, in a few words.
pub fn pod_ready(pod: &Pod) -> Look<()> {
    let name = pod.name_any();
    let status = pod.status.clone().unwrap_or_default();
    let ready =
        status.conditions.iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True");
    if ready {
        return Look::Yes(());
    }
    let init = status.init_container_statuses.iter().flatten();
    let containers = status.container_statuses.iter().flatten();
    let waiting = init
        .chain(containers)
        .filter_map(|container| {
            let state = container.state.as_ref()?.waiting.as_ref()?;
            Some(format!("{} {}", container.name, state.reason.clone().unwrap_or_default()))
        })
        .next();
    let phase = status.phase.unwrap_or_else(|| "without a phase".to_string());
    Look::NotYet(match waiting {
        Some(waiting) => format!("pod {name} is {phase}, {waiting}"),
        None => format!("pod {name} is {phase}, not ready"),
    })
}
