//! What a step does.

use std::path::{Path, PathBuf};

use k8s_openapi::api::apps::v1::Deployment;
use serde_json::{Value, json};

use super::distribution::Distribution;
use super::step::StepError;
use super::{ca, cleanup, per_remote, primary_remote, revision, tag, token};
use crate::context::Context;
use crate::lab::{Cluster, Revision, load_balancer, pod_network, up};
use crate::role::Role;
use crate::scenario::{IstioNamespace, SAMPLE_NAMESPACE, Scenario, TagWish};
use crate::tool::Tool;
use crate::topology::ClusterPlan;
use crate::wait::Look;

const PRIMARY_FILE: &str = include_str!("../../../fixtures/istio/cluster1.yaml");
const REMOTE_FILE: &str = include_str!("../../../fixtures/istio/cluster2.yaml");
pub(crate) const LAB_FILE: &str = include_str!("../../../fixtures/istio/lab.yaml");
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

/// The lab's own operator file: the Service that stays in its cluster has a name for each remote.
fn lab_file(scenario: &Scenario) -> String {
    let host = |scenario: &Scenario| format!("local-echo.{}.svc.cluster.local", scenario.sample_namespace());
    let hosts: Vec<String> = scenario.pairs().iter().map(host).collect();
    LAB_FILE.replace(&format!("local-echo.{SAMPLE_NAMESPACE}.svc.cluster.local"), &hosts.join(", "))
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// The nodes of a cluster are given their pod network.
    JoinPodNetwork,
    /// A CA is made, and given to istiod by Secret cacerts, unless one is there.
    PlugInCa,
    /// istioctl installs the primary control plane.
    PrimaryInstall(IstioFiles),
    /// The release's own script generates the east-west gateway, istioctl installs it.
    EastWestGateway {
        /// The gateway's network.
        network: String,
    },
    /// The harness gives the gateway its address, as the platform of clusters does that the user brought.
    AssignGatewayAddress,
    /// The release's file that exposes istiod of this revision is applied in Istio's namespace, and its names of that
    /// namespace are set to it.
    ExposeIstiod(Revision),
    /// A revision tag is set.
    SetTag(TagWish),
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
    /// istioctl removes revision tags, as far as they are there.
    RemoveTags(Vec<String>),
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
        let own = |text: &str| text.replace(SAMPLE_NAMESPACE, &scenario.sample_namespace());
        let (namespace, rest) = SAMPLE.split_once("---").expect("the manifest begins with its namespace");
        let (label, value) = scenario.install.injection_label();
        let namespace = namespace.replace("istio-injection: enabled", &format!("{label}: \"{value}\""));
        let mut manifests = vec![own(&namespace)];
        if role == Role::Primary {
            manifests.push(own(SAMPLE_CONFIG));
        }
        manifests.push(own(&filled(rest, &values)));
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
                let topology = context.lab.file.topology()?;
                let lab_pods: Vec<_> = topology.clusters.values().map(|plan| plan.pod_subnet).collect();
                let budget = context.budgets.cluster_ready();
                pod_network::join(context.lab.engine()?, cluster, &lab_pods, |what| context.wait(what, budget)).await?;
            }
            Action::PlugInCa => ca::plug_in(cluster).await?,
            Action::PrimaryInstall(files) => {
                let args = primary_args(context, files, &Distribution::of_lab(context), &cluster.revision)?;
                let installed = istioctl(context, role, "install").arg("-y").args(args).run().await;
                // From here on everything waits for all clusters.
                if let (Ok(engine), Ok(topology)) = (context.lab.engine(), context.lab.file.topology()) {
                    let remotes = topology.clusters.remotes();
                    let remotes: Vec<String> = remotes.iter().flat_map(ClusterPlan::node_names).collect();
                    up::abreast(engine, &remotes).await;
                }
                installed?;
            }
            Action::EastWestGateway { network } => {
                earlier_gateway_gone(context, cluster).await?;
                let words = revision::gateway_words(network, &cluster.revision);
                install_gateway(context, &Distribution::of_lab(context), &words).await?;
            }
            Action::AssignGatewayAddress => {
                // Elsewhere the platform gives one, for which the proof waits.
                let (Ok(engine), Ok(address)) = (context.lab.engine(), context.lab.gateway_address()) else {
                    return Ok(());
                };
                let wait = context.wait("the Service istio-eastwestgateway", context.budgets.gateway_address());
                load_balancer::assign(engine, cluster, istio, "istio-eastwestgateway", address, &wait).await?;
            }
            Action::ExposeIstiod(revision) => {
                revision::expose(cluster, &Distribution::of_lab(context), revision).await?;
            }
            Action::SetTag(wish) => {
                tag::apply(context, wish, &Distribution::of_lab(context)).await?;
            }
            Action::AnnotateNamespace { control_plane } => {
                let manifest = format!(
                    "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {istio}\n  annotations:\n    \
                     topology.istio.io/controlPlaneClusters: {control_plane}\n"
                );
                cluster.apply(&manifest, "").await?;
            }
            Action::RemoteInstall(files) => {
                let args = remote_args(context, files, &Distribution::of_lab(context), &cluster.revision)?;
                istioctl(context, role, "install").arg("-y").args(args).run().await?;
            }
            Action::RemoteSecret => {
                let remote = context.remote();
                // Elsewhere the kubeconfig has an address that pods reach, as the guide expects.
                let server = if context.lab.engine().is_ok() { of_the_node(remote)? } else { Vec::new() };
                let secret = istioctl(context, Role::Remote, "create-remote-secret")
                    .args(["--name", &remote.name])
                    .args(server)
                    .args(istio_namespace(&remote.istio_namespace))
                    .run()
                    .await?
                    .stdout;
                // It names the namespace of the cluster that it was made in; istiod reads those of its own.
                let names = |namespace: &IstioNamespace| format!("\n  namespace: {namespace}\n");
                cluster.apply(&secret.replace(&names(&remote.istio_namespace), &names(istio)), istio).await?;
            }
            Action::ObserveToken => token::observe(context).await?,
            Action::Manifests(manifests) => {
                file(context, &format!("{}.yaml", context.scope), &manifests.join("\n---\n"))?;
                for manifest in manifests {
                    cluster.apply(manifest, "").await?;
                }
            }
            Action::RemoveFixtures => cleanup::remove_fixtures(context, role).await?,
            Action::RemoveTags(tags) => {
                for name in tags {
                    tag::remove(context, role, name).await?;
                }
            }
            Action::Uninstall => {
                istioctl(context, role, "uninstall").args(["-y", "--purge"]).args(istio_namespace(istio)).run().await?;
            }
            Action::DeleteIstioNamespace => cleanup::delete_istio_namespace(context, role).await?,
        }
        Ok(())
    }
}

/// What `istioctl install` is told for the primary: the guide's file, and those of the lab and the scenario over it.
pub(super) fn primary_args(
    context: &Context,
    files: &IstioFiles,
    istio: &Distribution,
    revision: &Revision,
) -> Result<Vec<String>, StepError> {
    let mut args = set(context.scenario().install.external_istiod.set());
    args.extend(["-f".to_string(), file(context, "cluster1.yaml", &files.primary)?]);
    args.extend(["-f".to_string(), file(context, "lab.yaml", &lab_file(context.scenario()))?]);
    if let Some(text) = replicas_file(ISTIOD_REPLICAS_FILE, context.scenario().istiod.replicas) {
        args.extend(["-f".to_string(), file(context, "istiod-replicas.yaml", &text)?]);
    }
    if primary_remote::is_upstream_envoy(&context.lab.file.data_plane) {
        args.extend(["-f".to_string(), file(context, "upstream-envoy.yaml", UPSTREAM_ENVOY_FILE)?]);
    }
    args.extend(hub_and_tag(context, istio)?);
    args.extend(overlay(context, Role::Primary)?);
    args.extend(revision.words());
    Ok(args)
}

/// What `istioctl install` is told for the remote.
pub(super) fn remote_args(
    context: &Context,
    files: &IstioFiles,
    istio: &Distribution,
    revision: &Revision,
) -> Result<Vec<String>, StepError> {
    let address = context.discovery_address()?;
    let operator = filled(&files.remote, &[("DISCOVERY_ADDRESS", &address)]);
    let name = per_remote::operator_file(context.scenario().clusters.at());
    let mut args = vec!["-f".to_string(), file(context, &name, &operator)?];
    args.extend(hub_and_tag(context, istio)?);
    args.extend(overlay(context, Role::Remote)?);
    args.extend(revision.words());
    Ok(args)
}

/// What `istioctl install` is told for the east-west gateway, and what it reads: the operator that the script of its release
/// makes, which is told `words`.
pub(super) async fn gateway_args(
    context: &Context,
    istio: &Distribution,
    words: &[String],
) -> Result<(Vec<String>, String), StepError> {
    let script = istio.release.join("samples/multicluster/gen-eastwest-gateway.sh");
    let operator = Tool::new(script).args(words).works_for(&folder(context)).run().await?.stdout;
    let mut args = strings(&["-f", &file(context, "lab-gateway.yaml", LAB_GATEWAY_FILE)?]);
    if let Some(text) = replicas_file(GATEWAY_REPLICAS_FILE, context.scenario().gateway.replicas) {
        args.extend(["-f".to_string(), file(context, "gateway-replicas.yaml", &text)?]);
    }
    args.extend(hub_and_tag(context, istio)?);
    args.extend(set_namespace(&context.primary().istio_namespace));
    args.extend(strings(&["-f", "-"]));
    Ok((args, operator))
}

/// Installs the east-west gateway by the script of its release, which is told `words`.
pub(super) async fn install_gateway(
    context: &Context,
    istio: &Distribution,
    words: &[String],
) -> Result<(), StepError> {
    let (args, operator) = gateway_args(context, istio, words).await?;
    istioctl_of(istio, context, Role::Primary, "install").arg("-y").args(args).input(operator).run().await?;
    Ok(())
}

/// What names the API server by its node's address: the kubeconfig of kind names one of this machine alone.
fn of_the_node(remote: &Cluster) -> Result<Vec<String>, StepError> {
    // It alone has an API server.
    let node = remote.control_plane().ok_or_else(|| StepError(format!("{} has no node", remote.name)))?;
    Ok(vec!["--server".to_string(), format!("https://{node}:6443")])
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
fn replicas_file(template: &str, wanted: u32) -> Option<String> {
    (wanted != 1).then(|| filled(template, &[("REPLICAS", &wanted.to_string())]))
}

/// The scenario's own file for this cluster, laid over all others.
fn overlay(context: &Context, role: Role) -> Result<Vec<String>, StepError> {
    let Some(spec) = &context.scenario().clusters[&role].overlay else { return Ok(Vec::new()) };
    operator(context, &format!("overlay-{}.json", context.scenario().clusters.member(role)), spec)
}

/// The file with hub and tag of its images; none where istioctl takes the right ones by itself.
fn hub_and_tag(context: &Context, istio: &Distribution) -> Result<Vec<String>, StepError> {
    let Some((hub, tag)) = &istio.hub_and_tag else { return Ok(Vec::new()) };
    operator(context, "candidate.json", &json!({"hub": hub, "tag": tag}))
}

/// Writes an operator file with this `spec`, and names it to istioctl.
fn operator(context: &Context, name: &str, spec: &Value) -> Result<Vec<String>, StepError> {
    let operator = json!({"apiVersion": "install.istio.io/v1alpha1", "kind": "IstioOperator", "spec": spec});
    let text = serde_json::to_string_pretty(&operator)?;
    Ok(vec!["-f".to_string(), file(context, name, &text)?])
}

/// What sets a value of an operator, if there is one to set.
pub(super) fn set(value: Option<&str>) -> Vec<String> {
    value.map(|value| strings(&["--set", value])).unwrap_or_default()
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

/// A command with further words at its end.
pub fn with(command: String, words: &[String]) -> String {
    [&[command], words].concat().join(" ")
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| word.to_string()).collect()
}

/// The istioctl under test, which asks no cluster.
pub(super) fn istioctl_alone(context: &Context) -> Tool {
    Tool::new(context.lab.file.istioctl()).works_for(&folder(context)).limit(context.budgets.istioctl())
}

/// The istioctl under test, on one cluster of the lab.
fn istioctl(context: &Context, role: Role, verb: &str) -> Tool {
    istioctl_of(&Distribution::of_lab(context), context, role, verb)
}

/// As [`istioctl`], of another Istio.
pub(super) fn istioctl_of(istio: &Distribution, context: &Context, role: Role, verb: &str) -> Tool {
    let cluster = context.cluster(role);
    Tool::new(&istio.istioctl)
        .arg(verb)
        .args(["--context", &cluster.context])
        .env("KUBECONFIG", cluster.kubeconfig.as_deref().unwrap_or(Path::new("")).to_string_lossy())
        .works_for(&folder(context))
        .limit(context.budgets.istioctl())
}

/// The lab's own folder.
fn folder(context: &Context) -> PathBuf {
    let kubeconfig = context.primary().kubeconfig.as_deref();
    kubeconfig.and_then(Path::parent).map(PathBuf::from).unwrap_or_default()
}

/// Writes a file of the install beside the lab's kubeconfig files, where a person can read it afterwards.
fn file(context: &Context, name: &str, text: &str) -> Result<String, StepError> {
    let path = folder(context).join(name);
    std::fs::write(&path, text)?;
    Ok(path.to_string_lossy().into_owned())
}
