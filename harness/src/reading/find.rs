//! What two clusters are that meshproof did not make: whether they answer, and what their mesh says of itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::join;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::api::ListParams;
use kube::config::KubeConfigOptions;
use kube::core::Selector;
use kube::{Client, Config, ResourceExt};
use serde_json::Value;

use super::client::limited;
use super::contexts::Contexts;
use crate::budget::Budgets;
use crate::check::right::{Place, Right};
use crate::check::verdict::chain;
use crate::event::{ClusterFacts, Event, Recorder};
use crate::lab::cluster::ClusterError;
use crate::lab::revision::LABEL;
use crate::lab::{Cluster, Clusters, Revision, up};
use crate::mesh::{Known, Mesh, Unlearnt, Wanted};
use crate::problem::all_of;
use crate::role::Role;
use crate::scenario::SAMPLE_NAMESPACE;
use crate::wait::Hurry;

/// What is read to find the mesh.
pub const RIGHTS: [Right; 6] = [
    Right::new(Role::Primary, Place::Istio, "apps", "deployments", &["list"]),
    Right::new(Role::Primary, Place::Istio, "", "configmaps", &["get"]),
    Right::new(Role::Primary, Place::Cluster, "", "namespaces", &["get"]).named(&["kube-system"]),
    Right::new(Role::Remote, Place::Istio, "apps", "deployments", &["list"]),
    Right::new(
        Role::Remote,
        Place::Cluster,
        "admissionregistration.k8s.io",
        "mutatingwebhookconfigurations",
        &["list"],
    ),
    Right::new(Role::Remote, Place::Cluster, "", "namespaces", &["get"]).named(&["kube-system"]),
];

/// How names of injection webhooks end.
pub const INJECTOR: &str = "sidecar-injector.istio.io";

/// The part of a run in which the clusters turn out to be a mesh, or not.
pub const MESH: &str = "find-mesh";

/// istiod's id of its cluster where nobody gives it one.
pub const USUAL_ID: &str = "Kubernetes";

/// Clusters in which no mesh could be found.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// The kubeconfig has the context, and it cannot be used.
    #[error("context {context} cannot be used: {why}; see what `kubectl --context {context} version` says")]
    Kubeconfig {
        /// The context.
        context: String,
        /// Why not.
        why: String,
    },
    /// Nobody answers at its address.
    #[error(
        "the API server of context {context} cannot be reached at {server}: {why}; see whether this machine has a way \
         to it, and whether the address in the kubeconfig is right"
    )]
    Unreachable {
        /// The context.
        context: String,
        /// Host and port.
        server: String,
        /// What went wrong.
        why: String,
    },
    /// It does not know the user.
    #[error(
        "the API server of context {context} at {server} does not accept its credentials: {why}; they may have expired: \
         log in anew, and try `kubectl --context {context} get --raw /version`"
    )]
    Credentials {
        /// The context.
        context: String,
        /// Host and port.
        server: String,
        /// What it answered.
        why: String,
    },
    /// The control plane is in the cluster that was named as the remote one.
    #[error(
        "the clusters are swapped: istiod runs in context {remote}, and none in {primary}, which was named first; call \
         it with --contexts {remote},{primary}"
    )]
    Swapped {
        /// The context that was named as the primary's.
        primary: String,
        /// The other.
        remote: String,
    },
    /// Neither has a control plane.
    #[error(
        "neither context {primary} nor {remote} has a Deployment app=istiod in namespace {namespace}; name the \
         namespace with --istio-namespace, and the primary cluster first in --contexts"
    )]
    NoIstiod {
        /// The context that was named as the primary's.
        primary: String,
        /// The other.
        remote: String,
        /// The namespace looked in.
        namespace: String,
    },
}

/// Opens both contexts with no other rights than these and finds the mesh; the events say what came of it.
///
/// # Errors
/// [`FindError`] where nothing can be judged.
pub async fn find(
    contexts: &Contexts,
    rights: &[Right],
    recorder: &Recorder,
    budgets: Budgets,
) -> Result<Mesh, FindError> {
    let open = |role| open(contexts, rights, role, recorder, &budgets);
    let (primary, remote) = join(open(Role::Primary), open(Role::Remote)).await;
    let (primary, remote) = (primary?, remote?);
    mesh_of([primary, remote], recorder, budgets).await
}

/// Finds the mesh of two clusters, each with the version of its API server; the events say what came of it.
///
/// # Errors
/// [`FindError`] where there is none.
pub async fn mesh_of(
    [primary, remote]: [(Cluster, String); 2],
    recorder: &Recorder,
    budgets: Budgets,
) -> Result<Mesh, FindError> {
    let versions = [&primary, &remote].map(|(_, version)| version.clone());
    let (primary, remote) = (primary.0, remote.0);
    let (mesh, facts) = up::part(recorder, MESH, "The clusters say what their mesh is", async {
        let (learnt, facts) = learn(primary, remote).await?;
        let clusters = Clusters::default();
        learnt.clusters.into_iter().for_each(|cluster| clusters.add(cluster));
        let (recorder, wanted) = (recorder.clone(), Arc::new(learnt.wanted));
        let mesh = Mesh {
            clusters,
            wanted,
            recorder,
            budgets,
            symptoms: Arc::default(),
            scope: String::new(),
            hurry: Hurry::default(),
        };
        let said = format!("{} and {}", mesh.primary().called(), mesh.remote().called());
        Ok::<_, FindError>(((mesh, facts), said))
    })
    .await?;
    let each = Role::ALL.into_iter().zip(versions).map(async |(role, version)| {
        let cluster = mesh.cluster(role);
        // Only told, so that a report can be matched to its clusters.
        let system = cluster.all::<Namespace>().get("kube-system").await;
        let facts = ClusterFacts {
            name: cluster.name.clone(),
            kubernetes: version,
            kube_system_uid: system.ok().and_then(|namespace| namespace.uid()).unwrap_or_else(|| "unknown".to_string()),
            context: cluster.context.clone(),
            nodes: BTreeMap::new(),
        };
        (role, facts)
    });
    let clusters = futures::future::join_all(each).await.into_iter().collect();
    recorder.emit(Event::MeshFound { clusters, facts });
    Ok(mesh)
}

/// A client of one context with no other rights than these, and what its API server says of its version.
pub(crate) async fn open(
    contexts: &Contexts,
    rights: &[Right],
    role: Role,
    recorder: &Recorder,
    budgets: &Budgets,
) -> Result<(Cluster, String), FindError> {
    let context = &contexts.names[&role];
    let title = format!("The API server of context {context} answers");
    up::part(recorder, &format!("find-{role}"), title, async {
        let bad = |why: String| FindError::Kubeconfig { context: context.clone(), why };
        let options = KubeConfigOptions { context: Some(context.clone()), ..Default::default() };
        let mut config = Config::from_custom_kubeconfig(contexts.kubeconfig.clone(), &options)
            .await
            .map_err(|error| bad(chain(&error)))?;
        config.connect_timeout = Some(*budgets.request());
        let url = &config.cluster_url;
        let server = url.authority().map(|authority| authority.as_str().rsplit('@').next().unwrap_or_default());
        let server = server.unwrap_or_default().to_string();
        let client = Client::try_from(config).map_err(|error| bad(chain(&error)))?;
        let rights = rights.iter().copied().filter(|right| right.role == role);
        let client = limited(client, rights, &contexts.istio_namespace);
        let unreachable =
            |why: String| FindError::Unreachable { context: context.clone(), server: server.clone(), why };
        let version = match tokio::time::timeout(*budgets.request() * 2, client.apiserver_version()).await {
            Ok(Ok(info)) => info.git_version,
            // It is there, and keeps its version to itself.
            Ok(Err(kube::Error::Api(status))) if status.is_forbidden() => "unknown".to_string(),
            Ok(Err(kube::Error::Api(status))) => {
                let why = format!("HTTP {} {}", status.code, status.message);
                return Err(FindError::Credentials { context: context.clone(), server, why });
            }
            Ok(Err(kube::Error::Auth(error))) => {
                return Err(FindError::Credentials { context: context.clone(), server, why: chain(&error) });
            }
            Ok(Err(error)) => return Err(unreachable(chain(&error))),
            Err(_) => return Err(unreachable("it says nothing".to_string())),
        };
        let cluster = Cluster {
            member: role.into(),
            sample: SAMPLE_NAMESPACE.to_string(),
            role,
            name: context.clone(),
            context: context.clone(),
            kubeconfig: None,
            client,
            nodes: BTreeMap::new(),
            istio_namespace: contexts.istio_namespace.clone(),
            revision: Revision::default(),
            beside: Vec::new(),
            pages: None,
        };
        Ok(((cluster, version.clone()), format!("context {context}, {server}, Kubernetes {version}")))
    })
    .await
}

struct Learnt {
    clusters: [Cluster; 2],
    wanted: Wanted,
}

async fn learn(mut primary: Cluster, mut remote: Cluster) -> Result<(Learnt, BTreeMap<String, String>), FindError> {
    let webhooks = injectors(&remote).await;
    let (here, there) = join(control_planes(&primary), control_planes(&remote)).await;
    let istiod = match (here, there) {
        (Ok(here), there) => match control_plane_of(&here, webhooks.as_deref().unwrap_or_default()) {
            Some(istiod) => Ok(istiod.clone()),
            None => {
                let namespace = primary.istio_namespace.to_string();
                let (primary, remote) = (primary.context, remote.context);
                return Err(match there {
                    Ok(there) if !there.is_empty() => FindError::Swapped { primary, remote },
                    _ => FindError::NoIstiod { primary, remote, namespace },
                });
            }
        },
        (Err(error), _) => Err(unlearnt(error)),
    };
    let revision = istiod.as_ref().map(revision_of).unwrap_or_default();
    (primary.revision, remote.revision) = (revision.clone(), revision.clone());
    let values = data(&primary, &revision.injector(), "values").await;
    let values = values.map(|text| serde_json::from_str::<Value>(&text).unwrap_or_default());
    let config = data(&primary, &revision.mesh_config(), "mesh").await;
    let config = config.map(|text| serde_yaml_ng::from_str::<Value>(&text).unwrap_or_default());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let wanted = Wanted {
        primary: istiod.as_ref().map(cluster_id).map_err(Unlearnt::clone),
        remote: webhooks.clone().and_then(|webhooks| served(&webhooks, &revision, &remote.context)),
        mesh_id: config.as_ref().map(|config| text(&config["defaultConfig"]["meshId"])).map_err(Unlearnt::clone),
        network: values.as_ref().map(|values| text(&values["global"]["network"])).map_err(Unlearnt::clone),
        istio: None,
        istiod_replicas: None,
        gateway_replicas: None,
        discovery: config.and_then(|config| discovery(&config)),
    };
    primary.name = wanted.primary.clone().unwrap_or(primary.name);
    remote.name = wanted.remote.clone().unwrap_or(remote.name);
    let shown = |fact: &Known<String>| match fact {
        Ok(value) if value.is_empty() => "none".to_string(),
        Ok(value) => value.clone(),
        Err(why) => format!("unknown: {why}"),
    };
    let facts = BTreeMap::from([
        ("mesh id".to_string(), shown(&wanted.mesh_id)),
        ("network".to_string(), shown(&wanted.network)),
        ("primary id".to_string(), shown(&wanted.primary)),
        ("remote id".to_string(), shown(&wanted.remote)),
        ("revision".to_string(), revision.to_string()),
    ]);
    Ok((Learnt { clusters: [primary, remote], wanted }, facts))
}

fn unlearnt(error: ClusterError) -> Unlearnt {
    Unlearnt(chain(&error))
}

async fn control_planes(cluster: &Cluster) -> Result<Vec<Deployment>, ClusterError> {
    let namespace = &*cluster.istio_namespace;
    let listed = cluster.api::<Deployment>(namespace).list(&ListParams::default().labels("app=istiod")).await;
    Ok(listed.map_err(cluster.refused(format!("list Deployments app=istiod in {namespace}")))?.items)
}

/// The control plane among several that serves these webhooks; else the usual one, else the first.
fn control_plane_of<'a>(all: &'a [Deployment], webhooks: &[Injector]) -> Option<&'a Deployment> {
    let of = |wanted: &Revision| all.iter().find(|istiod| revision_of(istiod) == *wanted);
    let serving = webhooks.iter().find_map(|webhook| of(&webhook.revision));
    serving.or_else(|| of(&Revision::default())).or(all.first())
}

fn revision_of(istiod: &Deployment) -> Revision {
    istiod.labels().get(LABEL).map(|name| Revision::named(name)).unwrap_or_default()
}

/// The id that istiod gives to its own cluster.
fn cluster_id(istiod: &Deployment) -> String {
    let pod = istiod.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    let containers = pod.iter().flat_map(|pod| &pod.containers).filter(|container| container.name == "discovery");
    let mut environment = containers.flat_map(|container| container.env.iter().flatten());
    let id = environment.find(|variable| variable.name == "CLUSTER_ID").and_then(|variable| variable.value.clone());
    id.filter(|id| !id.is_empty()).unwrap_or_else(|| USUAL_ID.to_string())
}

/// An injection webhook of the remote cluster: for which revision, and for which cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Injector {
    revision: Revision,
    cluster: Option<String>,
}

async fn injectors(cluster: &Cluster) -> Known<Vec<Injector>> {
    let listed = cluster.all::<MutatingWebhookConfiguration>().list(&ListParams::default().labels(LABEL)).await;
    let listed = listed.map_err(cluster.refused("list MutatingWebhookConfigurations")).map_err(unlearnt)?;
    let of = |configuration: &MutatingWebhookConfiguration| {
        let revision = Revision::named(configuration.labels().get(LABEL).map_or("default", String::as_str));
        let webhooks = configuration.webhooks.iter().flatten().filter(|webhook| webhook.name.ends_with(INJECTOR));
        let path = |config: &k8s_openapi::api::admissionregistration::v1::WebhookClientConfig| {
            config.service.as_ref().and_then(|service| service.path.clone()).or(config.url.clone())
        };
        let paths: Vec<_> = webhooks.map(|webhook| path(&webhook.client_config).unwrap_or_default()).collect();
        let clusters = paths.into_iter().map(move |path| (revision.clone(), cluster_in(&path)));
        clusters.map(|(revision, cluster)| Injector { revision, cluster }).collect::<Vec<_>>()
    };
    Ok(listed.items.iter().filter(|found| !found.name_any().starts_with("meshproof-")).flat_map(of).collect())
}

/// The cluster in an injection path such as `/inject/cluster/cluster2/net/network1`.
fn cluster_in(path: &str) -> Option<String> {
    told_by_path(path, "cluster")
}

/// What an injection path tells of `cluster` or `net`.
pub fn told_by_path(path: &str, key: &str) -> Option<String> {
    let (_, pairs) = path.split_once("/inject/")?;
    let words: Vec<&str> = pairs.split('/').collect();
    words.chunks(2).find(|pair| pair[0] == key).and_then(|pair| pair.get(1)).map(|name| name.to_string())
}

/// The id for which the webhooks of this revision inject; those of any where it has none.
fn served(webhooks: &[Injector], revision: &Revision, context: &str) -> Known<String> {
    let own: Vec<&Injector> = webhooks.iter().filter(|webhook| webhook.revision == *revision).collect();
    let looked = if own.is_empty() { webhooks.iter().collect() } else { own };
    let ids: BTreeSet<&str> = looked.iter().filter_map(|webhook| webhook.cluster.as_deref()).collect();
    match ids.len() {
        1 => Ok(ids.into_iter().collect()),
        0 => Err(Unlearnt(format!(
            "which id context {context} has in Istio is not known: no injection webhook there has a path with a cluster"
        ))),
        _ => Err(Unlearnt(format!(
            "which id context {context} has in Istio is not known: its injection webhooks name {}",
            all_of(&ids.into_iter().collect::<Vec<_>>())
        ))),
    }
}

async fn data(cluster: &Cluster, name: &str, key: &str) -> Known<String> {
    let namespace = &*cluster.istio_namespace;
    let map = cluster.api::<ConfigMap>(namespace).get_opt(name).await;
    let map = map.map_err(cluster.refused(format!("show ConfigMap {namespace}/{name}"))).map_err(unlearnt)?;
    let found = map.and_then(|map| map.data?.remove(key));
    found.ok_or_else(|| {
        let object = cluster.object("ConfigMap", &format!("{namespace}/{name}"));
        Unlearnt(format!("{object} has no {key}"))
    })
}

/// The labels of the namespaces at which istiod looks.
fn discovery(config: &Value) -> Known<Vec<Selector>> {
    let written = config["discoverySelectors"].as_array().cloned().unwrap_or_default();
    let selector = |value: Value| {
        let selector: Option<LabelSelector> = serde_json::from_value(value).ok();
        selector.and_then(|selector| Selector::try_from(selector).ok())
    };
    let all: Option<Vec<Selector>> = written.into_iter().map(selector).collect();
    all.ok_or_else(|| Unlearnt("the discoverySelectors of the mesh config cannot be read".to_string()))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::{Deployment, Injector, Revision, cluster_id, cluster_in, control_plane_of, discovery, served};

    #[rstest]
    #[case::as_in_the_guide("/inject/cluster/cluster2/net/network1", Some("cluster2"))]
    #[case::the_other_way_round("/inject/net/network1/cluster/cluster2", Some("cluster2"))]
    #[case::in_a_url("https://istiod.example:15017/inject/cluster/eu", Some("eu"))]
    #[case::for_any_cluster("/inject", None)]
    #[case::torn("/inject/cluster", None)]
    fn the_injection_path_names_the_cluster(#[case] path: &str, #[case] cluster: Option<&str>) {
        assert_eq!(cluster_in(path).as_deref(), cluster);
    }

    fn injector(revision: &str, cluster: Option<&str>) -> Injector {
        Injector { revision: Revision::named(revision), cluster: cluster.map(String::from) }
    }

    #[rstest]
    #[case::one(&[injector("default", Some("a"))], Some("a"))]
    #[case::of_its_revision(&[injector("old", Some("b")), injector("default", Some("a"))], Some("a"))]
    #[case::of_another_alone(&[injector("old", Some("b"))], Some("b"))]
    #[case::at_odds(&[injector("default", Some("a")), injector("default", Some("b"))], None)]
    #[case::without_a_path(&[injector("default", None)], None)]
    #[case::none(&[], None)]
    fn the_remotes_id_is_known_where_its_webhooks_agree(#[case] webhooks: &[Injector], #[case] id: Option<&str>) {
        assert_eq!(served(webhooks, &Revision::default(), "kind-b").ok().as_deref(), id);
    }

    fn istiod(revision: &str, env: Value) -> Deployment {
        let template = json!({"spec": {"containers": [{"name": "discovery", "env": env}]}});
        serde_json::from_value(json!({
            "metadata": {"labels": {"istio.io/rev": revision}},
            "spec": {"selector": {}, "template": template},
        }))
        .expect("a Deployment")
    }

    #[rstest]
    #[case::the_one_that_serves(&["default", "new"], "new", "new")]
    #[case::the_usual_one(&["new", "default"], "other", "default")]
    #[case::the_only_one(&["new"], "other", "new")]
    fn of_several_control_planes_the_one_that_serves_counts(
        #[case] there: &[&str],
        #[case] webhook: &str,
        #[case] chosen: &str,
    ) {
        let all: Vec<Deployment> = there.iter().map(|revision| istiod(revision, json!([]))).collect();
        let found = control_plane_of(&all, &[injector(webhook, None)]).expect("there is one");
        assert_eq!(super::revision_of(found).name(), chosen);
    }

    #[rstest]
    #[case::said(json!([{"name": "A", "value": "b"}, {"name": "CLUSTER_ID", "value": "cluster1"}]), "cluster1")]
    #[case::not_said(json!([]), "Kubernetes")]
    fn the_primarys_id_is_istiods_own(#[case] env: Value, #[case] id: &str) {
        assert_eq!(cluster_id(&istiod("default", env)), id);
    }

    #[rstest]
    #[case::all(json!({}), Some(0))]
    #[case::by_labels(json!({"discoverySelectors": [{"matchLabels": {"a": "b"}}, {"matchExpressions": [{"key": "c", "operator": "Exists"}]}]}), Some(2))]
    #[case::of_no_sense(json!({"discoverySelectors": ["a"]}), None)]
    fn which_namespaces_istiod_looks_at_is_read_from_its_config(#[case] config: Value, #[case] count: Option<usize>) {
        assert_eq!(discovery(&config).ok().map(|all| all.len()), count);
    }
}
