//! What a step does.

use std::collections::BTreeMap;
use std::path::PathBuf;

use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::{Namespace, Pod, Secret};
use kube::api::{DeleteParams, ListParams};
use kube::{Api, ResourceExt};

use super::facts::Fact;
use super::inventory;
use super::primary_remote;
use super::step::StepError;
use crate::context::Context;
use crate::lab::cluster::pod_ready;
use crate::lab::probe::{self, Csr, Probe, ProbeError};
use crate::lab::{Cluster, Home, load_balancer, pod_network, up};
use crate::role::Role;
use crate::scenario::{IstioNamespace, Replicas, Scenario};
use crate::tool::Tool;
use crate::wait::Look;

/// istiod's name in files of the release.
pub(super) const RELEASED_ISTIOD: &str = "istiod.istio-system.svc.cluster.local";

/// The namespaces of the harness's own probes and workloads.
const FIXTURE_NAMESPACES: [&str; 2] = ["meshproof-sample", "meshproof-probe"];

const PRIMARY_FILE: &str = include_str!("../../../fixtures/istio/cluster1.yaml");
const REMOTE_FILE: &str = include_str!("../../../fixtures/istio/cluster2.yaml");
const LAB_FILE: &str = include_str!("../../../fixtures/istio/lab.yaml");
const LAB_GATEWAY_FILE: &str = include_str!("../../../fixtures/istio/lab-gateway.yaml");
const ISTIOD_REPLICAS_FILE: &str = include_str!("../../../fixtures/istio/istiod-replicas.yaml");
const GATEWAY_REPLICAS_FILE: &str = include_str!("../../../fixtures/istio/gateway-replicas.yaml");
const UPSTREAM_ENVOY_FILE: &str = include_str!("../../../fixtures/istio/upstream-envoy.yaml");
const PROBE: &str = include_str!("../../../fixtures/manifests/probe.yaml");
const SAMPLE: &str = include_str!("../../../fixtures/manifests/sample.yaml");
const SAMPLE_CONFIG: &str = include_str!("../../../fixtures/manifests/sample-config.yaml");

/// The operator files of the guide, filled in for a scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IstioFiles {
    /// The guide's `cluster1.yaml`.
    pub primary: String,
    /// The guide's `cluster2.yaml`; the gateway's address is still a variable.
    pub remote: String,
}

impl IstioFiles {
    /// The files for this scenario.
    pub fn of(scenario: &Scenario) -> IstioFiles {
        let fill = |text: &str, role| {
            let text = with_namespace(text, scenario.istio_namespace_of(role));
            filled(
                &text,
                &[
                    ("MESH", scenario.mesh_id.as_str()),
                    ("CLUSTER", scenario.clusters[&role].name.as_str()),
                    ("NETWORK", scenario.network.as_str()),
                ],
            )
        };
        IstioFiles { primary: fill(PRIMARY_FILE, Role::Primary), remote: fill(REMOTE_FILE, Role::Remote) }
    }
}

/// An operator file that says where Istio goes, if that is not where it goes by itself. It ends with its `global`.
fn with_namespace(text: &str, namespace: &IstioNamespace) -> String {
    if namespace.is_default() { text.to_string() } else { format!("{text}      istioNamespace: {namespace}\n") }
}

/// Replaces every `${NAME}` of a template.
pub fn filled(template: &str, values: &[(&str, &str)]) -> String {
    values.iter().fold(template.to_string(), |text, (name, value)| text.replace(&format!("${{{name}}}"), value))
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// The nodes of a cluster are given their pod network.
    JoinPodNetwork,
    /// istioctl installs the primary control plane.
    PrimaryInstall(IstioFiles),
    /// The release's own script generates the east-west gateway, istioctl installs it.
    EastWestGateway {
        /// The gateway's network.
        network: String,
    },
    /// The harness gives the gateway its address.
    AssignGatewayAddress,
    /// A file of the release is applied in Istio's namespace, and its names of that namespace are set to it.
    ApplyRelease {
        /// Its path in the release.
        path: &'static str,
    },
    /// Istio's namespace of the remote cluster is made and annotated.
    AnnotateNamespace {
        /// The cluster named as control plane.
        control_plane: String,
    },
    /// istioctl installs the remote profile.
    RemoteInstall(IstioFiles),
    /// The remote secret is made and applied.
    RemoteSecret,
    /// istiod is asked for a certificate with a token of the remote cluster.
    ObserveToken,
    /// Manifests of the harness are applied.
    Manifests(Vec<String>),
    /// The harness's own pods end, and their namespaces are told to go.
    RemoveFixtures,
    /// istioctl uninstalls Istio.
    Uninstall,
    /// Istio's namespace is deleted.
    DeleteIstioNamespace,
}

impl Action {
    /// The probe outside the mesh.
    pub fn probe(cluster: &str, image: &str) -> Action {
        Action::Manifests(vec![filled(PROBE, &[("CLUSTER", cluster), ("WORKLOAD_IMAGE", image)])])
    }

    /// The sample workloads of one cluster; Istio's configuration for them goes where istiod reads it.
    pub fn sample(scenario: &Scenario, role: Role, version: &str, image: &str) -> Action {
        let (echoes, callers) = (scenario.most_nodes().to_string(), scenario.clusters[&role].nodes.to_string());
        let scaled = scaled(role).to_string();
        let values = [
            ("CLUSTER", scenario.clusters[&role].name.as_str()),
            ("VERSION", version),
            ("WORKLOAD_IMAGE", image),
            ("ECHOES", &echoes),
            ("CALLERS", &callers),
            ("SCALED", &scaled),
        ];
        let (namespace, rest) = SAMPLE.split_once("---").expect("the manifest begins with its namespace");
        let mut manifests = vec![namespace.to_string()];
        if role == Role::Primary {
            manifests.push(SAMPLE_CONFIG.to_string());
        }
        manifests.push(filled(rest, &values));
        Action::Manifests(manifests)
    }

    /// Does it.
    ///
    /// # Errors
    /// [`StepError`] with the command or call that failed.
    pub async fn apply(&self, role: Role, context: &Context) -> Result<(), StepError> {
        let cluster = context.cluster(role);
        let istio = &cluster.istio_namespace;
        match self {
            Action::JoinPodNetwork => {
                let topology = &context.lab.file.topology;
                let lab_pods: Vec<_> = topology.clusters.values().map(|plan| plan.pod_subnet).collect();
                let budget = context.budgets.cluster_ready();
                pod_network::join(cluster, &lab_pods, |what| context.wait(what, budget)).await?;
            }
            Action::PrimaryInstall(files) => {
                let mut args = strings(&["--set", "values.pilot.env.EXTERNAL_ISTIOD=true"]);
                args.extend(["-f".to_string(), file(context, "cluster1.yaml", &files.primary)?]);
                args.extend(["-f".to_string(), file(context, "lab.yaml", LAB_FILE)?]);
                if let Some(text) = replicas_file(ISTIOD_REPLICAS_FILE, context.scenario().istiod) {
                    args.extend(["-f".to_string(), file(context, "istiod-replicas.yaml", &text)?]);
                }
                if primary_remote::is_upstream_envoy(&context.lab.file.data_plane) {
                    args.extend(["-f".to_string(), file(context, "upstream-envoy.yaml", UPSTREAM_ENVOY_FILE)?]);
                }
                let installed = istioctl(context, role, "install").arg("-y").args(args).run().await;
                // From here on everything waits for both clusters.
                let remote = context.lab.file.topology.cluster(Role::Remote).node_names();
                up::abreast(&context.lab.engine, &remote).await;
                installed?;
            }
            Action::EastWestGateway { network } => {
                earlier_gateway_gone(context, cluster).await?;
                let script = context.lab.file.release.join("samples/multicluster/gen-eastwest-gateway.sh");
                let operator =
                    Tool::new(script).args(["--network", network]).works_for(&folder(context)).run().await?.stdout;
                let overlay = file(context, "lab-gateway.yaml", LAB_GATEWAY_FILE)?;
                let mut args = strings(&["-y", "-f", &overlay]);
                if let Some(text) = replicas_file(GATEWAY_REPLICAS_FILE, context.scenario().gateway) {
                    args.extend(["-f".to_string(), file(context, "gateway-replicas.yaml", &text)?]);
                }
                args.extend(set_namespace(istio));
                istioctl(context, role, "install").args(args).args(["-f", "-"]).input(operator).run().await?;
            }
            Action::AssignGatewayAddress => {
                let address = context.lab.gateway_address();
                let wait = context.wait("the Service istio-eastwestgateway", context.budgets.gateway_address());
                load_balancer::assign(cluster, istio, "istio-eastwestgateway", address, &wait).await?;
            }
            Action::ApplyRelease { path } => {
                let manifest = std::fs::read_to_string(context.lab.file.release.join(path))?;
                let manifest = manifest.replace(RELEASED_ISTIOD, &format!("{}.cluster.local", istio.istiod()));
                cluster.apply(&manifest, istio).await?;
            }
            Action::AnnotateNamespace { control_plane } => {
                let manifest = format!(
                    "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {istio}\n  annotations:\n    \
                     topology.istio.io/controlPlaneClusters: {control_plane}\n"
                );
                cluster.apply(&manifest, "").await?;
            }
            Action::RemoteInstall(files) => {
                let address = context.lab.gateway_address().to_string();
                let operator = filled(&files.remote, &[("DISCOVERY_ADDRESS", &address)]);
                let path = file(context, "cluster2.yaml", &operator)?;
                istioctl(context, role, "install").args(["-y", "-f", &path]).run().await?;
            }
            Action::RemoteSecret => {
                let remote = context.remote();
                // It alone has an API server.
                let node = remote.control_plane().ok_or_else(|| StepError("cluster2 has no node".to_string()))?;
                let secret = istioctl(context, Role::Remote, "create-remote-secret")
                    .args(["--name", &remote.name, "--server", &format!("https://{node}:6443")])
                    .args(istio_namespace(&remote.istio_namespace))
                    .run()
                    .await?
                    .stdout;
                // It names the namespace of the cluster that it was made in; istiod reads those of its own.
                let names = |namespace: &IstioNamespace| format!("\n  namespace: {namespace}\n");
                cluster.apply(&secret.replace(&names(&remote.istio_namespace), &names(istio)), istio).await?;
            }
            Action::ObserveToken => observe_token(context).await?,
            Action::Manifests(manifests) => {
                file(context, &format!("{}.yaml", context.scope), &manifests.join("\n---\n"))?;
                for manifest in manifests {
                    cluster.apply(manifest, "").await?;
                }
            }
            Action::RemoveFixtures => {
                // D12 tells by it what Istio no longer leaves from what it never wrote.
                let installed = inventory::take(cluster).await?;
                let path = Home::from_environment().inventory_at_clean_up(&context.scenario().lab, role);
                std::fs::write(path, serde_json::to_vec(&installed)?)?;
                leftovers(cluster).await?;
                delete_namespaces(context, role, &FIXTURE_NAMESPACES, FIXTURE_GRACE).await?;
            }
            Action::Uninstall => {
                istioctl(context, role, "uninstall").args(["-y", "--purge"]).args(istio_namespace(istio)).run().await?;
            }
            Action::DeleteIstioNamespace => delete_namespaces(context, role, &[istio], ISTIO_GRACE).await?,
        }
        Ok(())
    }
}

/// Deletes what checks make outside the fixture namespaces, in case one was killed before it did so itself.
async fn leftovers(cluster: &Cluster) -> Result<(), StepError> {
    let ours = |name: &str| name.starts_with("meshproof-") && !FIXTURE_NAMESPACES.contains(&name);
    let webhooks = cluster.all::<MutatingWebhookConfiguration>();
    let found = webhooks.list(&ListParams::default()).await;
    for found in found.map_err(cluster.refused("list MutatingWebhookConfigurations"))? {
        let name = found.name_any();
        if ours(&name) {
            gone(webhooks.delete(&name, &DeleteParams::background()).await.map(|_| ()))
                .map_err(cluster.refused(format!("delete MutatingWebhookConfiguration {name}")))?;
        }
    }
    let namespaces = cluster.all::<Namespace>();
    for found in namespaces.list(&ListParams::default()).await.map_err(cluster.refused("list namespaces"))? {
        let name = found.name_any();
        if ours(&name) {
            gone(namespaces.delete(&name, &DeleteParams::background()).await.map(|_| ()))
                .map_err(cluster.refused(format!("delete namespace {name}")))?;
        }
    }
    Ok(())
}

/// A deletion of what is gone, or on its way, is done.
fn gone(deleted: Result<(), kube::Error>) -> Result<(), kube::Error> {
    match deleted {
        Err(kube::Error::Api(status)) if status.is_not_found() || status.code == 409 => Ok(()),
        other => other,
    }
}

/// Pods of the Deployment that D7 scales: it does so in the remote cluster alone.
pub(super) fn scaled(role: Role) -> usize {
    match role {
        Role::Primary => 0,
        Role::Remote => 1,
    }
}

/// Waits until a gateway of an earlier install has ended: installing over the primary prunes it, and what is applied to
/// an object that is on its way out goes with it.
async fn earlier_gateway_gone(context: &Context, cluster: &Cluster) -> Result<(), StepError> {
    let wait = context.wait("an earlier east-west gateway to end", context.budgets.gateway_ready());
    let deployments = cluster.api::<Deployment>(&cluster.istio_namespace);
    Ok(cluster
        .watch(&wait, deployments, "istio-eastwestgateway", |found| match found {
            Some(found) if found.metadata.deletion_timestamp.is_some() => {
                Look::NotYet("Deployment istio-eastwestgateway is being deleted".to_string())
            }
            _ => Look::Yes(()),
        })
        .await?)
}

/// The overlay for several replicas; none where the guide's own one is asked for.
fn replicas_file(template: &str, wanted: Replicas) -> Option<String> {
    (wanted != Replicas::default()).then(|| filled(template, &[("REPLICAS", &wanted.replicas.to_string())]))
}

/// What tells `istioctl install` where Istio goes, where no file says so.
pub(super) fn set_namespace(namespace: &IstioNamespace) -> Vec<String> {
    let set = || vec!["--set".to_string(), format!("values.global.istioNamespace={namespace}")];
    if namespace.is_default() { Vec::new() } else { set() }
}

/// What tells other commands of istioctl where Istio is.
pub fn istio_namespace(namespace: &IstioNamespace) -> Vec<String> {
    if namespace.is_default() { Vec::new() } else { vec!["--istioNamespace".to_string(), namespace.to_string()] }
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| word.to_string()).collect()
}

/// istioctl of the release under test, on one cluster of the lab.
fn istioctl(context: &Context, role: Role, verb: &str) -> Tool {
    let cluster = context.cluster(role);
    Tool::new(context.lab.file.release.join("bin/istioctl"))
        .arg(verb)
        .args(["--context", &cluster.context])
        .env("KUBECONFIG", cluster.kubeconfig.to_string_lossy())
        .works_for(&folder(context))
        .limit(context.budgets.istioctl())
}

/// The lab's own folder.
fn folder(context: &Context) -> PathBuf {
    context.primary().kubeconfig.parent().map(PathBuf::from).unwrap_or_default()
}

/// Writes a file of the install beside the lab's kubeconfig files, where a person can read it afterwards.
fn file(context: &Context, name: &str, text: &str) -> Result<String, StepError> {
    let path = folder(context).join(name);
    std::fs::write(&path, text)?;
    Ok(path.to_string_lossy().into_owned())
}

/// Asks until istiod gives any answer; which one it is, D6 judges.
async fn observe_token(context: &Context) -> Result<(), StepError> {
    if is_observed(context.facts.get(Fact::TokenBeforeSecret).is_some(), has_remote_secret(context).await?)? {
        return Ok(());
    }
    let root = context.fact(Fact::RootCert)?;
    let token = probe::token(context.remote()).await?;
    let answers = context
        .wait("each istiod to answer", context.budgets.gateway_ready())
        .until(|| async {
            let asked = each_istiod_on_token(context, &root, &token).await;
            asked.unwrap_or_else(|error| Look::unable(crate::check::verdict::chain(&error)))
        })
        .await?;
    context.facts.learn(Fact::TokenBeforeSecret, serde_json::to_string(&answers)?);
    Ok(())
}

/// Whether what istiod says before it has the remote secret was seen in an earlier install, and still holds.
///
/// # Errors
/// [`StepError`] where it was not, and the secret is there: what istiod says now is another thing.
fn is_observed(was_seen: bool, has_secret: bool) -> Result<bool, StepError> {
    if has_secret && !was_seen {
        let why =
            "it is too late to look: the remote secret is there; make the lab again: meshproof down, meshproof run";
        return Err(StepError(why.to_string()));
    }
    Ok(was_seen && has_secret)
}

/// An answer of istiod, whichever it is. Unavailable (14) is none: so says an istiod that is just beginning.
fn any_answer(answer: Csr) -> Look<Csr> {
    match answer.grpc_status {
        Some(status) if status != UNAVAILABLE => Look::Yes(answer),
        _ => Look::NotYet(answer.error.or(answer.grpc_message).unwrap_or_else(|| "no answer and no error".to_string())),
    }
}

/// gRPC's status for a server that cannot be reached.
const UNAVAILABLE: i32 = 14;

/// What each istiod that serves, asked from its own node, answers to a token of the remote cluster.
async fn each_istiod_on_token(
    context: &Context,
    root: &str,
    token: &str,
) -> Result<Look<BTreeMap<String, Csr>>, ProbeError> {
    let primary = context.primary();
    let mut pods = primary.pods(&primary.istio_namespace, "app=istiod").await?;
    pods.retain(|pod| pod_ready(pod) == Look::Yes(()));
    if pods.is_empty() {
        return Ok(Look::NotYet("no istiod is ready".to_string()));
    }
    let mut answers = BTreeMap::new();
    for pod in pods {
        let name = format!("pod {}/{}", primary.istio_namespace, pod.name_any());
        let address = pod.status.as_ref().and_then(|status| status.pod_ip.clone()).unwrap_or_default();
        let probe = Probe::beside(primary, &pod, &context.budgets).await?;
        let (istiod, remote) = (primary.istio_namespace.istiod(), &context.remote().name);
        let asked = probe.csr_with(&format!("{address}:15012"), &istiod, root, remote, token).await?;
        match any_answer(asked) {
            Look::Yes(answer) => answers.insert(name, answer),
            Look::NotYet(why) => return Ok(Look::NotYet(format!("{name}: {why}"))),
            Look::Unable(why) => return Ok(Look::Unable(format!("{name}: {why}"))),
        };
    }
    Ok(Look::Yes(answers))
}

async fn has_remote_secret(context: &Context) -> Result<bool, StepError> {
    let primary = context.primary();
    let params = ListParams::default().labels("istio/multiCluster=true");
    let secrets = primary.api::<Secret>(&primary.istio_namespace).list_metadata(&params).await;
    Ok(!secrets.map_err(primary.refused("list remote secrets"))?.items.is_empty())
}

/// Seconds that a pod of the harness is given to end.
const FIXTURE_GRACE: u32 = 1;

/// Seconds that a pod of an uninstalled Istio is given: its object goes at once, and the node ends the process. istiod
/// sits out whatever it is given (seen with 1.31.1), and its rights went with the uninstall.
const ISTIO_GRACE: u32 = 0;

/// Ends the pods of these namespaces, then deletes the namespaces.
///
/// In this order because the namespace controller, where it still finds pods, looks again only after half of their
/// grace period, and then some.
async fn delete_namespaces(context: &Context, role: Role, names: &[&str], grace: u32) -> Result<(), StepError> {
    let ended = futures::future::join_all(names.iter().map(|name| end_pods(context, role, name, grace))).await;
    ended.into_iter().collect::<Result<Vec<()>, _>>()?;
    let cluster = context.cluster(role);
    let namespaces: Api<Namespace> = cluster.all();
    for name in names {
        match namespaces.delete(name, &DeleteParams::background()).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => {}
            Err(error) => return Err(cluster.refused(format!("delete namespace {name}"))(error).into()),
            Ok(_) => {}
        }
    }
    Ok(())
}

/// Deletes what makes pods in a namespace, then its pods, and waits until they are gone.
async fn end_pods(context: &Context, role: Role, namespace: &str, grace: u32) -> Result<(), StepError> {
    let cluster = context.cluster(role);
    let refused = |what: &str| cluster.refused(format!("delete all {what} of namespace {namespace}"));
    let (everything, background) = (ListParams::default(), DeleteParams::background());
    let deployments = cluster.api::<Deployment>(namespace);
    deployments.delete_collection(&background, &everything).await.map_err(refused("Deployments"))?;
    let stateful = cluster.api::<StatefulSet>(namespace);
    stateful.delete_collection(&background, &everything).await.map_err(refused("StatefulSets"))?;
    let daemons = cluster.api::<DaemonSet>(namespace);
    daemons.delete_collection(&background, &everything).await.map_err(refused("DaemonSets"))?;
    let sets = cluster.api::<ReplicaSet>(namespace);
    sets.delete_collection(&background, &everything).await.map_err(refused("ReplicaSets"))?;
    let soon = DeleteParams { grace_period_seconds: Some(grace), ..DeleteParams::background() };
    let pods = cluster.api::<Pod>(namespace);
    pods.delete_collection(&soon, &everything).await.map_err(refused("pods"))?;
    let wait = context.wait(format!("the pods of namespace {namespace} to end"), context.budgets.cleanup());
    cluster
        .watch_pods(&wait, namespace, "", |pods| match pods {
            [] => Look::Yes(()),
            some => Look::NotYet(some.iter().map(|pod| pod.name_any()).collect::<Vec<_>>().join(", ")),
        })
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{any_answer, is_observed};
    use crate::lab::probe::Csr;
    use crate::wait::Look;

    #[rstest]
    #[case::a_first_install(false, false, Some(false))]
    #[case::a_second_install(true, true, Some(true))]
    #[case::the_secret_was_taken_away(true, false, Some(false))]
    #[case::the_first_look_failed_and_the_secret_came(false, true, None)]
    fn istiod_is_asked_only_while_it_has_no_secret(
        #[case] was_seen: bool,
        #[case] has_secret: bool,
        #[case] observed: Option<bool>,
    ) {
        assert_eq!(is_observed(was_seen, has_secret).ok(), observed);
    }

    #[rstest]
    #[case::refused(Some(16), true)]
    #[case::accepted(Some(0), true)]
    #[case::nobody_behind_the_gateway(Some(14), false)]
    #[case::no_connection(None, false)]
    fn that_istiod_cannot_be_reached_is_no_answer(#[case] grpc_status: Option<i32>, #[case] counts: bool) {
        let answer = any_answer(Csr { grpc_status, ..Csr::default() });
        assert_eq!(matches!(answer, Look::Yes(_)), counts);
    }
}
