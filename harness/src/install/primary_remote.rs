//! The guide, top to bottom, on one network; its page is [`GUIDE`].

use super::action::{Action, IstioFiles, istio_namespace, scaled, set, with};
use super::beside::{self, overlay_words};
use super::facts::Fact;
use super::per_remote;
use super::proof::Proof;
use super::revision::{expose_command, gateway_commands};
use super::step::Step;
use super::{cleanup, tag};
use crate::plan::{Deviation, Phase};
use crate::role::Role;
use crate::scenario::{Ca, Scenario};

/// The guide's page.
pub const GUIDE: &str = "https://istio.io/latest/docs/setup/install/multicluster/primary-remote/";

const CONFIGURE_PRIMARY: &str = "#configure-cluster1-as-a-primary";
const GATEWAY: &str = "#install-the-east-west-gateway-in-cluster1";
const EXPOSE: &str = "#expose-the-control-plane-in-cluster1";
const SET_CONTROL_PLANE: &str = "#set-the-control-plane-cluster-for-cluster2";
const CONFIGURE_REMOTE: &str = "#configure-cluster2-as-a-remote";
const ATTACH: &str = "#attach-cluster2-as-a-remote-cluster-of-cluster1";
const CLEAN_UP: &str = "#cleanup";
const PLUG_IN_CA: &str = "https://istio.io/latest/docs/tasks/security/cert-management/plugin-ca-cert/";
const TAGS: &str = "https://istio.io/latest/docs/setup/upgrade/canary/#stable-revision-labels";
const HARNESS: &str = "harness";

/// The last steps of the lab, the steps of the install and, after them, of the clean-up. Of several remotes each has its
/// own steps, after those of the first.
pub fn steps(scenario: &Scenario, workload_image: &str) -> Vec<Step> {
    let mut all: Vec<Step> = Vec::new();
    for pair in scenario.pairs() {
        let steps = of_pair(&pair, workload_image);
        all.extend(if pair.clusters.at() == 0 { steps } else { per_remote::of(steps, &pair) });
    }
    // In the guide's order, side by side.
    all.sort_by_key(|step| step.phase);
    all
}

/// The steps for the primary and the one remote that this scenario is seen from.
fn of_pair(scenario: &Scenario, workload_image: &str) -> Vec<Step> {
    let files = IstioFiles::of(scenario);
    let mut steps = lab(scenario);
    steps.extend(install(scenario, &files, workload_image));
    for step in &mut steps {
        let own = per_remote::id(&step.id, scenario.clusters.further().as_deref());
        let manifests = scenario.install.manifests.iter();
        step.beside = manifests.filter(|wish| wish.step() == step.id || wish.step() == own).cloned().collect();
    }
    steps.extend(clean_up(scenario));
    steps
}

/// The same steps on clusters that the user brought: these have their pod network, and their platform gives the gateway an
/// address, for which the remote profile has to wait.
pub fn on_brought(mut steps: Vec<Step>) -> Vec<Step> {
    steps.retain(|step| step.phase != Phase::Lab);
    for step in &mut steps {
        step.after.retain(|id| !id.starts_with("pod-network-"));
        if step.id == "remote-install" {
            step.after.push("gateway-address".to_string());
            step.needs = &[Fact::GatewayAddress];
        }
    }
    steps
}

/// Where the install on clusters that the user brought does otherwise than the guide, and why: not where a lab alone does.
pub fn deviations_on_brought(scenario: &Scenario) -> Vec<Deviation> {
    let of_lab = |row: &Deviation| OF_LAB.iter().any(|words| row.what.contains(words));
    deviations(scenario).into_iter().filter(|row| !of_lab(row)).collect()
}

/// Words in the rows that hold for a lab alone.
const OF_LAB: [&str; 3] = ["address is put on a node", "--server https://", "while it installs the primary"];

fn ids(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| id.to_string()).collect()
}

fn lab(scenario: &Scenario) -> Vec<Step> {
    let ids = [(Role::Primary, "pod-network-primary"), (Role::Remote, "pod-network-remote")];
    let step = |(role, id): (Role, &str)| Step {
        id: id.to_string(),
        at: 0,
        title: format!("Pods of {} have their network", scenario.clusters[&role].name),
        guide: HARNESS,
        role,
        phase: Phase::Lab,
        commands: Vec::new(),
        after: Vec::new(),
        follows: Vec::new(),
        needs: &[],
        teaches: &[],
        action: Action::JoinPodNetwork,
        proof: Proof::NodesReady,
        beside: Vec::new(),
    };
    ids.map(step).to_vec()
}

fn install(scenario: &Scenario, files: &IstioFiles, workload_image: &str) -> Vec<Step> {
    let name = |role| scenario.clusters[&role].name.as_str();
    let (primary, remote, network) = (name(Role::Primary), name(Role::Remote), &scenario.network);
    let (istio1, istio2) = (scenario.istio_namespace_of(Role::Primary), scenario.istio_namespace_of(Role::Remote));
    let revision = &scenario.install.revision();
    let base = |id: &str, title: String, guide, role, action, proof| Step {
        id: id.to_string(),
        at: 0,
        title,
        guide,
        role,
        phase: Phase::Install,
        commands: Vec::new(),
        after: Vec::new(),
        follows: Vec::new(),
        needs: &[],
        teaches: &[],
        action,
        proof,
        beside: Vec::new(),
    };
    let nodes = |role| scenario.clusters[&role].nodes as usize;
    let probe = |id, role| {
        let manifest = Action::probe(name(role), workload_image);
        base(
            id,
            format!("A probe outside the mesh runs in {}", name(role)),
            HARNESS,
            role,
            manifest,
            Proof::PodsReady { namespace: "meshproof-probe".to_string(), selector: "app=probe", pods: nodes(role) },
        )
    };
    let workloads = |id, role, version| {
        let action = Action::sample(scenario, role, version, workload_image);
        // An echo for each node of the larger cluster, a caller for each node, what D7 scales, what B10 moves and
        // the pod of the StatefulSet.
        let pods = scenario.most_nodes() as usize + nodes(role) + scaled(role) + 2;
        let whose = match scenario.clusters.further() {
            Some(further) if role == Role::Primary => format!("Sample workloads for {further} run in {primary}"),
            _ => format!("Sample workloads run in {}", name(role)),
        };
        base(
            id,
            whose,
            HARNESS,
            role,
            action,
            Proof::PodsReady {
                namespace: scenario.sample_namespace(),
                selector: "app in (echo, scaled, moved, stateful, caller)",
                pods,
            },
        )
    };
    let plug_in = (scenario.install.ca == Ca::PluggedIn).then(|| Step {
        commands: vec![
            format!("make -f tools/certs/Makefile.selfsigned.mk root-ca {primary}-cacerts"),
            format!("kubectl --context=\"${{CTX_CLUSTER1}}\" create namespace {istio1}"),
            format!(
                "(cd {primary} && kubectl --context=\"${{CTX_CLUSTER1}}\" -n {istio1} create secret generic cacerts \
                 --from-file=ca-cert.pem --from-file=ca-key.pem --from-file=root-cert.pem --from-file=cert-chain.pem)"
            ),
        ],
        ..base(
            "plug-in-ca",
            format!("{primary} has a CA that istiod did not make"),
            PLUG_IN_CA,
            Role::Primary,
            Action::PlugInCa,
            Proof::Nothing,
        )
    });
    let guide = vec![
        Step {
            commands: vec![
                format!("cat <<EOF > cluster1.yaml\n{}EOF", files.primary),
                with(
                    with("istioctl install".to_string(), &set(scenario.install.external_istiod.set()))
                        + " --context=\"${CTX_CLUSTER1}\" -f cluster1.yaml",
                    &[overlay_words(scenario, Role::Primary), revision.words()].concat(),
                ),
            ],
            after: if plug_in.is_some() { ids(&["plug-in-ca"]) } else { Vec::new() },
            teaches: &[Fact::RootCert],
            ..base(
                "primary-install",
                format!("{primary} runs a primary control plane"),
                CONFIGURE_PRIMARY,
                Role::Primary,
                Action::PrimaryInstall(files.clone()),
                Proof::ControlPlaneReady,
            )
        },
        Step {
            commands: gateway_commands(scenario, revision),
            after: ids(&["primary-install"]),
            ..base(
                "eastwest-gateway",
                format!("The east-west gateway runs in {primary}"),
                GATEWAY,
                Role::Primary,
                Action::EastWestGateway { network: network.clone() },
                Proof::DeploymentAvailable { name: "istio-eastwestgateway" },
            )
        },
        Step {
            commands: vec![format!(
                "kubectl --context=\"${{CTX_CLUSTER1}}\" get svc istio-eastwestgateway -n {istio1}"
            )],
            after: ids(&["primary-install"]),
            teaches: &[Fact::GatewayAddress],
            ..base(
                "gateway-address",
                "The east-west gateway has an external address".to_string(),
                GATEWAY,
                Role::Primary,
                Action::AssignGatewayAddress,
                Proof::GatewayAddress,
            )
        },
        Step {
            commands: vec![expose_command("--context=\"${CTX_CLUSTER1}\"", istio1, revision)],
            after: ids(&["primary-install"]),
            ..base(
                "expose-istiod",
                format!("istiod of {primary} is exposed through the gateway"),
                EXPOSE,
                Role::Primary,
                Action::ExposeIstiod(revision.clone()),
                Proof::IstiodExposed(revision.clone()),
            )
        },
        Step {
            commands: vec![
                format!("kubectl --context=\"${{CTX_CLUSTER2}}\" create namespace {istio2}"),
                format!(
                    "kubectl --context=\"${{CTX_CLUSTER2}}\" annotate namespace {istio2} \
                     topology.istio.io/controlPlaneClusters={primary}"
                ),
            ],
            ..base(
                "annotate-namespace",
                format!("{istio2} of {remote} names {primary} as its control plane"),
                SET_CONTROL_PLANE,
                Role::Remote,
                Action::AnnotateNamespace { control_plane: primary.to_string() },
                Proof::NamespaceAnnotated { control_plane: primary.to_string() },
            )
        },
        Step {
            commands: vec![
                format!(
                    "export DISCOVERY_ADDRESS=$(kubectl --context=\"${{CTX_CLUSTER1}}\" -n {istio1} get svc \
                     istio-eastwestgateway -o jsonpath='{{.status.loadBalancer.ingress[0].ip}}')"
                ),
                format!("cat <<EOF > cluster2.yaml\n{}EOF", files.remote),
                with(
                    "istioctl install --context=\"${CTX_CLUSTER2}\" -f cluster2.yaml".to_string(),
                    &[overlay_words(scenario, Role::Remote), revision.words()].concat(),
                ),
            ],
            // Nothing of it talks to cluster1, and its address is known: what it takes is free while istiod starts.
            after: ids(&["annotate-namespace"]),
            ..base(
                "remote-install",
                format!("{remote} has the remote profile"),
                CONFIGURE_REMOTE,
                Role::Remote,
                Action::RemoteInstall(files.clone()),
                Proof::RemoteProfile(revision.clone()),
            )
        },
        // Not before: istiod, which everything waits for, has begun by then.
        Step { after: ids(&["pod-network-primary", "pod-network-remote"]), ..probe("probe-primary", Role::Primary) },
        Step { after: ids(&["pod-network-primary", "pod-network-remote"]), ..probe("probe-remote", Role::Remote) },
        Step {
            after: ids(&["primary-install", "probe-primary", "probe-remote"]),
            needs: &[Fact::RootCert],
            teaches: &[Fact::TokenBeforeSecret],
            ..base(
                "token-before-secret",
                format!("istiod answers a token of {remote} before it has the remote secret"),
                ATTACH,
                Role::Remote,
                Action::ObserveToken,
                Proof::TokenObserved,
            )
        },
        Step {
            commands: vec![format!(
                "{}{} | kubectl apply -f - --context=\"${{CTX_CLUSTER1}}\"",
                with(
                    format!("istioctl create-remote-secret --context=\"${{CTX_CLUSTER2}}\" --name={remote}"),
                    &istio_namespace(istio2)
                ),
                if istio1 == istio2 {
                    String::new()
                } else {
                    format!(" | sed 's/^  namespace: .*/  namespace: {istio1}/'")
                }
            )],
            after: ids(&["primary-install", "annotate-namespace", "remote-install"]),
            follows: ids(&["token-before-secret"]),
            ..base(
                "remote-secret",
                format!("istiod of {primary} has the remote secret of {remote}"),
                ATTACH,
                Role::Primary,
                Action::RemoteSecret,
                Proof::RemoteSynced,
            )
        },
    ];
    // The webhook of the remote cluster is reached through the gateway.
    let reached = ["remote-secret", "gateway-address", "expose-istiod"];
    let tags = [("tag-primary", Role::Primary, &["primary-install"][..]), ("tag-remote", Role::Remote, &reached)];
    let tags = tags.into_iter().filter_map(|(id, role, after)| {
        let wish = scenario.install.tag_in(role)?;
        let title = format!("Tag {} of {} stands for revision {revision}", wish.name, name(role));
        let commands = tag::commands(scenario, &wish);
        let step = base(id, title, TAGS, role, Action::SetTag(wish.clone()), Proof::TagFollowed(wish));
        Some(Step { commands, after: ids(after), ..step })
    });
    let tags: Vec<Step> = tags.collect();
    // Namespaces that ask by a tag ask once it is there.
    let tagged = |id: &'static str| tags.iter().find(|step| step.id == id).map(|_| id);
    let samples = vec![
        Step {
            after: ids(&[&reached[..], tagged("tag-remote").as_slice()].concat()),
            ..workloads("workloads-remote", Role::Remote, "v2")
        },
        // Beside the gateway, not after it: an Envoy that hears of two changes of its endpoints' health within a second
        // keeps the second one back for a second (its update_merge_window), so the pods of the two clusters come apart.
        Step {
            after: ids(&[&["primary-install"][..], tagged("tag-primary").as_slice()].concat()),
            ..workloads("workloads-primary", Role::Primary, "v1")
        },
    ];
    plug_in.into_iter().chain(guide).chain(tags.clone()).chain(samples).collect()
}

fn clean_up(scenario: &Scenario) -> Vec<Step> {
    let step = |id: &str, title, guide, role, commands, after: &[&str], action, proof| Step {
        id: id.to_string(),
        at: 0,
        title,
        guide,
        role,
        phase: Phase::CleanUp,
        commands,
        after: ids(after),
        follows: Vec::new(),
        needs: &[],
        teaches: &[],
        action,
        proof,
        beside: Vec::new(),
    };
    let name = |role| scenario.clusters[&role].name.as_str();
    let both = [
        (
            Role::Primary,
            ["remove-workloads-primary", "remove-tags-primary", "uninstall-primary", "delete-namespace-primary"],
        ),
        (
            Role::Remote,
            ["remove-workloads-remote", "remove-tags-remote", "uninstall-remote", "delete-namespace-remote"],
        ),
    ];
    let mut steps = Vec::new();
    for (role, [remove, untag, uninstall, delete]) in both {
        let (cluster, context) = (name(role), role.context_variable());
        let istio = scenario.istio_namespace_of(role);
        steps.push(step(
            remove,
            format!("Probes and sample workloads leave {cluster}"),
            HARNESS,
            role,
            Vec::new(),
            &[],
            Action::RemoveFixtures,
            // Its namespaces take five seconds to go, in which Istio is uninstalled; the last step looks for them.
            Proof::Nothing,
        ));
        let tags = Vec::from_iter(scenario.tags_in(role));
        if !tags.is_empty() {
            steps.push(step(
                untag,
                format!("Revision tags leave {cluster}: {}", tags.join(", ")),
                TAGS,
                role,
                tags.iter().map(|name| tag::remove_command(scenario, role, name)).collect(),
                &[remove],
                Action::RemoveTags(tags.clone()),
                Proof::Nothing,
            ));
        }
        steps.push(step(
            uninstall,
            format!("Istio is uninstalled from {cluster}"),
            CLEAN_UP,
            role,
            vec![with(format!("istioctl uninstall --context=\"${{{context}}}\" -y --purge"), &istio_namespace(istio))],
            // istiod must be there until the workloads of both clusters are gone: their proxies end in order.
            &[if tags.is_empty() { remove } else { untag }],
            Action::Uninstall,
            Proof::Nothing,
        ));
        steps.push(step(
            delete,
            format!("Namespace {istio} leaves {cluster}"),
            CLEAN_UP,
            role,
            vec![format!("kubectl delete namespace {istio} --context=\"${{{context}}}\"")],
            &[uninstall],
            Action::DeleteIstioNamespace,
            Proof::NamespacesGone {
                namespaces: [
                    vec![istio.to_string()],
                    cleanup::fixture_namespaces(scenario, role),
                    beside::namespaces(scenario, role),
                ]
                .concat(),
            },
        ));
    }
    steps
}

/// Where the install does otherwise than the guide, whatever the images are, and why. Several replicas need more of them.
pub fn deviations(scenario: &Scenario) -> Vec<Deviation> {
    let row = |what: &str, why: &str| Deviation { what: what.to_string(), why: why.to_string() };
    let mut rows = vec![
        row(
            "istioctl install with -y, and -f lab.yaml after the guide's own file",
            "nobody is there to confirm; lab.yaml holds the rows below, so that the guide's file stays as it is",
        ),
        row(
            "the gateway's address is put on a node of cluster1 and into the Service's status by the harness",
            "kind has no load balancer; the guide expects the platform's",
        ),
        row(
            "create-remote-secret with --server https://<address of cluster2's node>:6443",
            "the kubeconfig of kind names 127.0.0.1, which no pod of cluster1 can reach (istio/istio#31081)",
        ),
        row(
            "istioctl installs the remote profile in cluster2 while it installs the primary in cluster1",
            "the lab keeps an address for the gateway, so DISCOVERY_ADDRESS is known before the Service has it; a step proves that it is the same",
        ),
        row(
            "values.global.imagePullPolicy: IfNotPresent",
            "the images are on the nodes; the gateway's image `auto` would mean Always",
        ),
        row(
            "smaller resource requests for istiod, gateways and proxies",
            "two clusters share the cores of one host; requests reserve, they do not limit",
        ),
        row(
            "components.pilot.k8s.readinessProbe: initialDelaySeconds: 0, periodSeconds: 1; the same for the ingress gateway",
            "asked at once and every second whether they are ready, instead of after one and every two or three",
        ),
        row(
            "values.global.proxy.readinessPeriodSeconds: 1, readinessFailureThreshold: 60",
            "a gateway that was not ready at the first look is looked at again after 15 s; it is given up after 60 s as before",
        ),
        row(
            "meshConfig.serviceSettings: Service local-echo of the sample is cluster-local",
            "a name that stays in the caller's cluster, beside others for the same pods that do not",
        ),
        row(
            "meshConfig.extensionProviders: an access log, used by the sample namespace alone",
            "the application sees its own proxy as the peer; the server proxy's log says who called",
        ),
    ];
    rows.push(row(
        "in the clean-up, pods of a namespace are ended at once before it is deleted",
        "nothing is drained in a lab; istiod takes its whole 30 s to end, and a namespace waits longer than its slowest pod",
    ));
    let istio = scenario.istio_namespace_of(Role::Primary);
    if !istio.is_default() {
        rows.push(row(
            &format!("values.global.istioNamespace: {istio} in cluster1.yaml, cluster2.yaml and for the gateway; --istioNamespace {istio} for other commands of istioctl; -n {istio} for kubectl"),
            "the scenario asks for another namespace than istio-system; the guide allows that, the same in both clusters",
        ));
        rows.push(row(
            &format!(
                "the file that exposes istiod is applied with {} in the place of istiod.istio-system.svc",
                istio.istiod(&scenario.install.revision())
            ),
            "the release's file names istiod in istio-system, where none runs",
        ));
    }
    let remote = scenario.istio_namespace_of(Role::Remote);
    if remote != istio {
        rows.push(row(
            &format!("values.global.istioNamespace: {remote} in cluster2.yaml, and the annotation there; the remote secret goes to {istio}"),
            "the scenario asks for it; the guide demands the same namespace in both clusters, and D4 says what becomes of it",
        ));
    }
    let (istiod, gateway) = (scenario.istiod.replicas, scenario.gateway.replicas);
    if istiod > 1 {
        rows.push(row(
            &format!("values.pilot: autoscaleEnabled: false, replicaCount: {istiod}, topologySpreadConstraints over the nodes"),
            "the scenario asks for several istiod; an autoscaler would change their number while they are judged",
        ));
    }
    if gateway > 1 {
        rows.push(row(
            &format!("values.gateways.istio-ingressgateway: autoscaleEnabled: false, replicaCount: {gateway}, podAntiAffinityTermLabelSelector over the nodes"),
            "the scenario asks for several gateway pods; an autoscaler would change their number while they are judged",
        ));
    }
    if Role::ALL.iter().any(|role| !scenario.tags_in(*role).is_empty()) {
        rows.push(row(
            "in the clean-up, istioctl tag remove before istioctl uninstall --purge",
            "that one leaves the webhooks of a tag that somebody has set; the guide sets none",
        ));
    }
    rows.extend(beside::deviations(scenario));
    rows
}

/// Whether this is what [`crate::lab::images::data_plane`] says of upstream Envoy.
pub fn is_upstream_envoy(data_plane: &str) -> bool {
    data_plane.starts_with("upstream Envoy")
}

/// Where the install does otherwise because of what serves the data plane; Istio's own proxy needs nothing of it.
pub fn data_plane_deviations(upstream_envoy: bool) -> Vec<Deviation> {
    let what = "PILOT_ENABLE_METADATA_EXCHANGE, PILOT_ENABLE_ALPN_FILTER, PILOT_ENABLE_TELEMETRY_LABEL: false; \
                values.telemetry.enabled: false";
    let why = "the data plane is upstream Envoy, which lacks Istio's own filters";
    let row = Deviation { what: what.to_string(), why: why.to_string() };
    upstream_envoy.then_some(row).into_iter().collect()
}
