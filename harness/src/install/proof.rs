//! What must hold after a step, and what it teaches.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Event as CoreEvent, Namespace, Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};
use serde_json::Value;

use super::facts::Fact;
use super::revision::exposed;
use super::step::StepError;
use super::{ca, tag};
use crate::budget::Limit;
use crate::check::Evidence;
use crate::context::Context;
use crate::lab::cluster::pod_ready;
use crate::lab::{Cluster, Revision, pod_network};
use crate::role::Role;
use crate::scenario::{Ca, TagWish};
use crate::wait::{Look, Timeout};

/// What must hold before another step may rely on a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// The step's own end is proof enough.
    Nothing,
    /// Every node of the cluster is Ready.
    NodesReady,
    /// istiod is ready on every replica, and its root certificate is published.
    ControlPlaneReady,
    /// A Deployment of Istio is available.
    DeploymentAvailable {
        /// Its name.
        name: &'static str,
    },
    /// The gateway's Service has the lab's address in its status, and a ready pod behind it.
    GatewayAddress,
    /// Gateway and VirtualService for istiod of this revision are there.
    IstiodExposed(Revision),
    /// Pods get proxies by a revision tag.
    TagFollowed(TagWish),
    /// Istio's namespace of the remote cluster has the annotation.
    NamespaceAnnotated {
        /// The cluster named as control plane.
        control_plane: String,
    },
    /// The remote cluster has the Service of istiod of this revision, with the gateway's address behind it.
    RemoteProfile(Revision),
    /// istiod has answered.
    TokenObserved,
    /// Every replica of istiod says that the remote cluster is synced.
    RemoteSynced,
    /// Pods are ready.
    PodsReady {
        /// Their namespace.
        namespace: String,
        /// Their label selector.
        selector: &'static str,
        /// How many.
        pods: usize,
    },
    /// Namespaces are gone.
    NamespacesGone {
        /// Their names.
        namespaces: Vec<String>,
    },
}

impl Proof {
    /// One line for plans.
    pub fn title(&self) -> String {
        match self {
            Proof::Nothing => "the command ends well".to_string(),
            Proof::NodesReady => "every node is Ready".to_string(),
            Proof::ControlPlaneReady => "istiod is ready on every replica and has published its root".to_string(),
            Proof::DeploymentAvailable { name } => format!("Deployment {name} is available"),
            Proof::GatewayAddress => "the Service has its address in its status, and a ready pod behind it".to_string(),
            Proof::IstiodExposed(revision) => {
                format!("Gateway istiod-gateway and VirtualService {} are there", exposed(revision))
            }
            Proof::TagFollowed(TagWish { name, revision, .. }) => {
                format!("a dry run of a pod with istio.io/rev={name} gets the proxy of revision {revision}")
            }
            Proof::NamespaceAnnotated { control_plane } => format!("the annotation says {control_plane}"),
            Proof::RemoteProfile(revision) => {
                format!("Service {} has the gateway's address behind it", revision.istiod())
            }
            Proof::TokenObserved => "istiod gives an answer".to_string(),
            Proof::RemoteSynced => "every replica of istiod says that the cluster is synced".to_string(),
            Proof::PodsReady { pods, .. } => format!("ready pods: {pods}"),
            Proof::NamespacesGone { namespaces } => format!("namespaces are gone: {}", namespaces.join(", ")),
        }
    }

    /// Waits until it holds, and learns what it teaches.
    ///
    /// # Errors
    /// [`StepError`] with what was seen instead.
    pub async fn verify(&self, role: Role, context: &Context) -> Result<Evidence, StepError> {
        let cluster = context.cluster(role);
        let istio = &*cluster.istio_namespace;
        let mut evidence = Evidence::new();
        match self {
            Proof::Nothing | Proof::TokenObserved => {}
            Proof::NodesReady => {
                let budget = context.budgets.cluster_ready();
                pod_network::ready(cluster, |what| context.wait(what, budget)).await?;
                for node in cluster.nodes.keys() {
                    evidence.saw(cluster.object("Node", node), "status.conditions[Ready]", "True");
                }
            }
            Proof::ControlPlaneReady => {
                let name = cluster.revision.istiod();
                let ready = deployment_ready(context, cluster, &name, context.budgets.istiod_ready()).await?;
                evidence.saw(cluster.object("Deployment", &format!("{istio}/{name}")), "status.readyReplicas", ready);
                let wait = context.wait("istiod to publish its root", context.budgets.converge());
                let configmaps: Api<ConfigMap> = cluster.api(istio);
                let root = cluster
                    .watch(&wait, configmaps, "istio-ca-root-cert", |map| {
                        match map.and_then(|map| map.data.as_ref()?.get("root-cert.pem").cloned()) {
                            Some(root) => Look::Yes(root),
                            None => Look::NotYet("ConfigMap istio-ca-root-cert is not there".to_string()),
                        }
                    })
                    .await?;
                if context.scenario().install.ca == Ca::PluggedIn {
                    ca::is_used(cluster, &root).await?;
                    evidence.saw(
                        cluster.object("ConfigMap", &format!("{istio}/istio-ca-root-cert")),
                        "its root",
                        "that of Secret cacerts",
                    );
                }
                context.facts.learn(Fact::RootCert, root);
            }
            Proof::DeploymentAvailable { name } => {
                let ready = deployment_ready(context, cluster, name, context.budgets.gateway_ready()).await?;
                evidence.saw(cluster.object("Deployment", &format!("{istio}/{name}")), "status.readyReplicas", ready);
            }
            Proof::GatewayAddress => {
                let services: Api<Service> = cluster.api(istio);
                let of_platform = context.lab.gateway_address().is_err();
                let limit =
                    if of_platform { context.budgets.platform_address() } else { context.budgets.gateway_address() };
                let wait = context.wait("the gateway's external address", limit);
                let address = cluster
                    .watch(&wait, services, "istio-eastwestgateway", |service| {
                        match service.and_then(external_address) {
                            Some(address) => Look::Yes(address),
                            None => Look::NotYet("status.loadBalancer is empty".to_string()),
                        }
                    })
                    .await
                    .map_err(|timeout| if of_platform { no_address(&timeout, cluster) } else { timeout.into() })?;
                evidence.saw(
                    cluster.object("Service", &format!("{istio}/istio-eastwestgateway")),
                    "status.loadBalancer.ingress[0]",
                    &address,
                );
                if let Ok(given) = context.lab.gateway_address()
                    && address != given.to_string()
                {
                    let remote = &context.remote().name;
                    return Err(StepError(format!("it is {address}, and {remote} was told {given}")));
                }
                context.facts.learn(Fact::GatewayAddress, address);
                // With this step the gateway serves: istioctl looks for it only every two seconds.
                let wait = context.wait("a ready pod of the gateway", context.budgets.gateway_ready());
                let pod = cluster
                    .watch_pods(&wait, istio, "istio=eastwestgateway", |pods| {
                        let ready = pods.iter().find(|pod| pod_ready(pod) == Look::Yes(()));
                        ready.map_or(Look::NotYet("there is none".to_string()), |pod| Look::Yes(pod.name_any()))
                    })
                    .await?;
                evidence.saw(cluster.object("pod", &format!("{istio}/{pod}")), "condition Ready", "True");
            }
            Proof::TagFollowed(wish) => {
                evidence.extend(tag::followed(context, wish).await?);
            }
            Proof::IstiodExposed(revision) => {
                for (kind, plural, name) in [
                    ("Gateway", "gateways", "istiod-gateway"),
                    ("VirtualService", "virtualservices", &exposed(revision)),
                ] {
                    let path = format!("/apis/networking.istio.io/v1/namespaces/{istio}/{plural}/{name}");
                    let object = raw(&cluster.client, &path)
                        .await
                        .map_err(cluster.refused(format!("show {kind} {istio}/{name}")))?;
                    let uid = object["metadata"]["uid"].as_str().unwrap_or_default();
                    evidence.saw(cluster.object(kind, &format!("{istio}/{name}")), "metadata.uid", uid);
                }
            }
            Proof::NamespaceAnnotated { control_plane } => {
                let wait = context.wait(format!("the annotation of {istio}"), context.budgets.converge());
                let found = cluster
                    .watch(&wait, cluster.all::<Namespace>(), istio, |namespace| {
                        let value = namespace.and_then(|namespace| {
                            namespace.annotations().get("topology.istio.io/controlPlaneClusters")
                        });
                        match value {
                            Some(value) if value == control_plane => Look::Yes(value.clone()),
                            Some(value) => Look::NotYet(format!("it says {value}")),
                            None => Look::NotYet("there is no such annotation".to_string()),
                        }
                    })
                    .await?;
                evidence.saw(
                    cluster.object("Namespace", istio),
                    "metadata.annotations[topology.istio.io/controlPlaneClusters]",
                    found,
                );
            }
            Proof::RemoteProfile(revision) => {
                let name = revision.istiod();
                let address = context.discovery_address()?;
                context
                    .wait(format!("{address} behind Service {name}"), context.budgets.converge())
                    .until(|| async {
                        match istiod_addresses(cluster).await {
                            Ok(found) if found.contains(&address) => Look::Yes(()),
                            Ok(found) => Look::NotYet(format!("its EndpointSlices hold {found:?}")),
                            Err(error) => Look::unable(error),
                        }
                    })
                    .await?;
                evidence.saw(cluster.object("Service", &format!("{istio}/{name}")), "EndpointSlice addresses", address);
            }
            Proof::RemoteSynced => {
                let name = &context.remote().name;
                let secrets: Api<Secret> = cluster.api(istio);
                let wait = context.wait(format!("istiod to sync {name}"), context.budgets.remote_synced());
                let replicas = wait
                    .until(|| async {
                        match sync_status(cluster, name).await {
                            Ok(all) if !all.is_empty() && all.iter().all(|(_, status)| status == "synced") => {
                                Look::Yes(all)
                            }
                            Ok(all) if all.is_empty() => Look::NotYet("no replica of istiod is ready".to_string()),
                            Ok(all) => Look::NotYet(
                                all.iter()
                                    .map(|(pod, status)| format!("{pod}: {status}"))
                                    .collect::<Vec<_>>()
                                    .join(", "),
                            ),
                            Err(error) => Look::unable(error),
                        }
                    })
                    .await?;
                for (pod, status) in replicas {
                    evidence.saw(
                        cluster.object("pod", &format!("{istio}/{pod}")),
                        format!("/debug/clusterz of {name}"),
                        status,
                    );
                }
                let labelled = secrets
                    .list_metadata(&ListParams::default().labels("istio/multiCluster=true"))
                    .await
                    .map_err(cluster.refused("list remote secrets"))?;
                for secret in labelled {
                    evidence.saw(
                        cluster.object("Secret", &format!("{istio}/{}", secret.name_any())),
                        "label",
                        "istio/multiCluster=true",
                    );
                }
            }
            Proof::PodsReady { namespace, selector, pods } => {
                let wait = context.wait(
                    format!("{pods} ready pods {selector} in {namespace} of {}", cluster.name),
                    context.budgets.workload_ready(),
                );
                let names = cluster
                    .watch_pods(&wait, namespace, selector, |found| {
                        let waiting = found.iter().find_map(|pod| match pod_ready(pod) {
                            Look::NotYet(why) | Look::Unable(why) => Some(why),
                            Look::Yes(()) => None,
                        });
                        match waiting {
                            Some(why) => Look::NotYet(why),
                            None if found.len() < *pods => Look::NotYet(format!("{} of {pods} pods", found.len())),
                            None => Look::Yes(found.iter().map(|pod| pod.name_any()).collect::<Vec<_>>()),
                        }
                    })
                    .await;
                let names = match names {
                    Ok(names) => names,
                    Err(timeout) => {
                        let why = last_warning(cluster, namespace).await.unwrap_or_default();
                        return Err(StepError(format!("{timeout}{why}")));
                    }
                };
                for name in names {
                    evidence.saw(cluster.object("pod", &format!("{namespace}/{name}")), "Ready", "True");
                }
            }
            Proof::NamespacesGone { namespaces } => {
                for name in namespaces {
                    let wait = context.wait(format!("namespace {name} to go"), context.budgets.cleanup());
                    cluster
                        .watch(&wait, cluster.all::<Namespace>(), name, |namespace| match namespace {
                            None => Look::Yes(()),
                            Some(found) => Look::NotYet(terminating(found)),
                        })
                        .await?;
                    evidence.saw(cluster.object("Namespace", name), "present", false);
                }
                checks_namespaces_gone(context, cluster).await?;
            }
        }
        Ok(evidence)
    }
}

/// What to do where the platform gives the gateway no address.
fn no_address(timeout: &Timeout, primary: &Cluster) -> StepError {
    let istio = &primary.istio_namespace;
    StepError(format!(
        "{timeout}; the platform of {} gave Service {istio}/istio-eastwestgateway no address: see `kubectl --context {} -n \
         {istio} describe service istio-eastwestgateway`, and whether that cluster has load balancers for Services at all",
        primary.name,
        primary.context_word()
    ))
}

/// Waits until namespaces that checks made for themselves are gone: they delete them without waiting.
async fn checks_namespaces_gone(context: &Context, cluster: &Cluster) -> Result<(), StepError> {
    let wait = context.wait("namespaces of checks to go", context.budgets.cleanup());
    let gone = wait.until(|| async {
        match cluster.all::<Namespace>().list(&ListParams::default()).await {
            Ok(all) => match all.iter().map(ResourceExt::name_any).find(|name| name.starts_with("meshproof-")) {
                None => Look::Yes(()),
                Some(name) => Look::NotYet(format!("{name} is still there")),
            },
            Err(error) => Look::unable(error),
        }
    });
    Ok(gone.await?)
}

/// The latest warning of a namespace: a ReplicaSet that may not make its pods says why only there.
async fn last_warning(cluster: &Cluster, namespace: &str) -> Option<String> {
    let events: Api<CoreEvent> = cluster.api(namespace);
    let list = events.list(&ListParams::default().fields("type=Warning")).await.ok()?;
    let last = list.items.into_iter().max_by_key(|event| event.last_timestamp.as_ref().map(|time| time.0))?;
    Some(format!(
        "; last warning: {} {}: {}",
        last.involved_object.kind.unwrap_or_default(),
        last.reason.unwrap_or_default(),
        last.message.unwrap_or_default()
    ))
}

fn terminating(namespace: &Namespace) -> String {
    let conditions = namespace.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
    conditions
        .iter()
        .find(|condition| condition.status == "True")
        .and_then(|condition| condition.message.clone())
        .unwrap_or_else(|| "it is being deleted".to_string())
}

pub(super) async fn deployment_ready(
    context: &Context,
    cluster: &Cluster,
    name: &str,
    budget: Limit,
) -> Result<String, StepError> {
    let wait = context.wait(format!("Deployment {name} of {} to be ready", cluster.name), budget);
    let deployments: Api<Deployment> = cluster.api(&cluster.istio_namespace);
    Ok(cluster
        .watch(&wait, deployments, name, |deployment| {
            let Some(deployment) = deployment else { return Look::NotYet("it is not there".to_string()) };
            let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
            let ready = deployment.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0);
            if ready >= wanted {
                Look::Yes(format!("{ready} of {wanted}"))
            } else {
                Look::NotYet(format!("{ready} of {wanted} replicas are ready"))
            }
        })
        .await?)
}

/// The first external address of a Service.
pub fn external_address(service: &Service) -> Option<String> {
    let ingress = service.status.as_ref()?.load_balancer.as_ref()?.ingress.as_ref()?.first()?;
    ingress.ip.clone().or_else(|| ingress.hostname.clone())
}

/// Addresses behind the Service of a cluster by which its proxies ask for the istiod that is judged, or the name that it leads to.
///
/// # Errors
/// [`crate::lab::cluster::ClusterError`] when EndpointSlices cannot be listed.
pub async fn istiod_addresses(cluster: &Cluster) -> Result<Vec<String>, crate::lab::cluster::ClusterError> {
    let slices: Api<EndpointSlice> = cluster.api(&cluster.istio_namespace);
    let (istio, name) = (&*cluster.istio_namespace, cluster.revision.istiod());
    let list = slices
        .list(&ListParams::default().labels(&format!("kubernetes.io/service-name={name}")))
        .await
        .map_err(cluster.refused(format!("list the EndpointSlices of Service {istio}/{name}")))?;
    let found = list.items.into_iter().flat_map(|slice| slice.endpoints.into_iter().flat_map(|end| end.addresses));
    let mut found: Vec<String> = found.collect();
    if found.is_empty() {
        // A gateway that has a name in the place of an address is behind it as such.
        let service = cluster.api::<Service>(istio).get_opt(&name).await;
        let service = service.map_err(cluster.refused(format!("show Service {istio}/{name}")))?;
        found.extend(service.and_then(|service| service.spec?.external_name));
    }
    Ok(found)
}

/// What every ready replica of istiod says of its sync with a remote cluster; `absent` where it does not know it.
///
/// # Errors
/// Any error of the way to its debug page.
pub async fn sync_status(primary: &Cluster, name: &str) -> Result<Vec<(String, String)>, StepError> {
    let mut all = Vec::new();
    for pod in primary.pods(&primary.istio_namespace, "app=istiod").await? {
        if pod_ready(&pod) != Look::Yes(()) {
            continue;
        }
        let pod = pod.name_any();
        let clusters = primary.forward(&primary.istio_namespace, &pod, 15014).await?.json("/debug/clusterz").await?;
        let status = clusters
            .as_array()
            .into_iter()
            .flatten()
            .find(|cluster| cluster["id"] == name)
            .and_then(|cluster| cluster["syncStatus"].as_str())
            .unwrap_or("absent");
        all.push((pod, status.to_string()));
    }
    Ok(all)
}

/// An object as JSON by its API path, for kinds that have no type here.
///
/// # Errors
/// [`kube::Error`] of the call.
pub async fn raw(client: &Client, path: &str) -> Result<Value, kube::Error> {
    let request = http::Request::get(path).body(Vec::new()).map_err(kube::Error::HttpError)?;
    client.request::<Value>(request).await
}
