//! A control plane by revision: the one that is installed, where the scenario names it so, or a second one beside it, as in
//! Istio's canary upgrade.
//!
//! What that takes in such a mesh stands in no page of Istio's; it is put together from the page on canary upgrades, the
//! release's `samples/multicluster/expose-istiod-rev.yaml.tmpl`, and its charts: the remote profile of a revision makes
//! Service `istiod-<revision>`, by which proxies of that revision ask for their istiod through the gateway.

use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use kube::ResourceExt;
use kube::api::ListParams;

use super::action::{
    IstioFiles, install_gateway, istio_namespace, istioctl_of, primary_args, remote_args, set_namespace, with,
};
use super::distribution::Distribution;
use super::proof::{deployment_ready, sync_status};
use super::step::StepError;
use crate::check::Evidence;
use crate::context::Context;
use crate::lab::images::further;
use crate::lab::revision::LABEL;
use crate::lab::{Cluster, Revision};
use crate::role::Role;
use crate::scenario::{IstioNamespace, IstiodWish, Scenario};
use crate::wait::Look;

/// The release's file that exposes istiod, and the one for the istiod of a named revision.
const EXPOSE: &str = "samples/multicluster/expose-istiod.yaml";
const EXPOSE_REVISION: &str = "samples/multicluster/expose-istiod-rev.yaml.tmpl";

/// How they call the revision, and the namespace of Istio.
const REVISION: &str = "{{.Revision}}";
const RELEASED_NAMESPACE: &str = ".istio-system.svc";

/// The command by which a person exposes the istiod of a revision, in the cluster that this flag of kubectl names.
pub fn expose_command(cluster: &str, istio: &IstioNamespace, revision: &Revision) -> String {
    let apply = format!("kubectl apply {cluster} -n {istio} -f");
    let (file, edits) = exposing(istio, revision);
    let edits: Vec<String> = edits.iter().map(|(from, to)| format!("-e 's/{from}/{to}/'")).collect();
    if edits.is_empty() { format!("{apply} {file}") } else { format!("sed {} {file} | {apply} -", edits.join(" ")) }
}

/// The release's file that exposes the istiod of a revision, and what is written in it in the place of what.
fn exposing(istio: &IstioNamespace, revision: &Revision) -> (&'static str, Vec<(&'static str, String)>) {
    let mut edits = Vec::new();
    if !revision.is_default() {
        edits.push((REVISION, revision.to_string()));
    }
    if !istio.is_default() {
        edits.push((RELEASED_NAMESPACE, format!(".{istio}.svc")));
    }
    (if revision.is_default() { EXPOSE } else { EXPOSE_REVISION }, edits)
}

/// Exposes the istiod of a revision by the file of a release.
///
/// # Errors
/// [`StepError`] where that file cannot be read or applied.
pub(super) async fn expose(
    primary: &Cluster,
    distribution: &Distribution,
    revision: &Revision,
) -> Result<(), StepError> {
    let (file, edits) = exposing(&primary.istio_namespace, revision);
    let mut manifest = std::fs::read_to_string(distribution.release.join(file))?;
    for (from, to) in edits {
        manifest = manifest.replace(from, &to);
    }
    Ok(primary.apply(&manifest, &primary.istio_namespace).await.map(|_| ())?)
}

/// The VirtualService that leads to the istiod of a revision, as the release's files call it.
pub fn exposed(revision: &Revision) -> String {
    if revision.is_default() { "istiod-vs".to_string() } else { format!("istiod-vs-{revision}") }
}

/// The commands of [`install`], as a person would type them.
pub fn install_commands(scenario: &Scenario, wish: &IstiodWish) -> Vec<String> {
    let (istio, revision) = (scenario.istio_namespace_of(Role::Primary), &wish.revision);
    let exposed = expose_command("--context=\"${CTX_CLUSTER1}\"", istio, &Revision::named(revision));
    vec![
        format!(
            "istioctl-{} install --context=\"${{CTX_CLUSTER1}}\" -f cluster1.yaml --revision {revision}",
            wish.istio
        ),
        exposed,
        format!(
            "istioctl-{} install --context=\"${{CTX_CLUSTER2}}\" -f cluster2.yaml --revision {revision}",
            wish.istio
        ),
    ]
}

/// Installs it in the primary, exposes it through the gateway, and installs the remote profile of its revision; then waits
/// until it serves the remote cluster.
///
/// # Errors
/// [`StepError`] with the command or call that failed, or with what was seen instead.
pub async fn install(context: &Context, wish: &IstiodWish) -> Result<Evidence, StepError> {
    let lab = &context.lab;
    let distribution = Distribution::of(context, &wish.istio)?;
    if let Some(istio) = lab.file.further.get(&wish.istio) {
        let nodes: Vec<String> = Role::ALL.iter().flat_map(|role| lab.cluster(*role).nodes.keys().cloned()).collect();
        further::bring(lab.engine()?, istio, &nodes).await?;
    }
    let files = IstioFiles::of(context.scenario());
    let of = |role| istioctl_of(&distribution, context, role, "install").arg("-y");
    let revision = Revision::named(&wish.revision);
    of(Role::Primary).args(primary_args(context, &files, &distribution, &revision)?).run().await?;
    let (primary, remote) = (context.primary(), context.remote());
    expose(primary, &distribution, &revision).await?;
    of(Role::Remote).args(remote_args(context, &files, &distribution, &revision)?).run().await?;
    proved(context, &revision, primary, remote).await
}

/// It is ready, has synced the remote cluster, and has written its CA into the webhooks of its revision there.
async fn proved(
    context: &Context,
    revision: &Revision,
    primary: &Cluster,
    remote: &Cluster,
) -> Result<Evidence, StepError> {
    let mut evidence = Evidence::new();
    let (istio, name) = (&primary.istio_namespace, revision.istiod());
    let ready = deployment_ready(context, primary, &name, context.budgets.istiod_ready()).await?;
    evidence.saw(primary.object("Deployment", &format!("{istio}/{name}")), "status.readyReplicas", ready);
    let wait = context.wait(format!("every istiod to sync {}", remote.name), context.budgets.remote_synced());
    let synced = wait.until(|| async {
        match sync_status(primary, &remote.name).await {
            Ok(all) => match all.iter().find(|(_, status)| status != "synced") {
                None => Look::Yes(all),
                Some((pod, status)) => Look::NotYet(format!("{pod}: {status}")),
            },
            Err(error) => Look::unable(error),
        }
    });
    for (pod, status) in synced.await? {
        let object = primary.object("pod", &format!("{istio}/{pod}"));
        evidence.saw(object, format!("/debug/clusterz of {}", remote.name), status);
    }
    let wait =
        context.wait(format!("the CA in the webhooks of {revision} in {}", remote.name), context.budgets.converge());
    let webhooks = remote.all::<MutatingWebhookConfiguration>();
    let labelled = ListParams::default().labels(&format!("{LABEL}={revision}"));
    let patched = wait.until(|| async {
        match webhooks.list(&labelled).await {
            Ok(all) if all.items.is_empty() => Look::NotYet("there is none".to_string()),
            Ok(all) => match all.items.iter().find(|found| !has_ca(found)) {
                None => Look::Yes(all.items.iter().map(ResourceExt::name_any).collect::<Vec<_>>()),
                Some(found) => Look::NotYet(format!("{} has none", found.name_any())),
            },
            Err(error) => Look::unable(error),
        }
    });
    for name in patched.await? {
        evidence.saw(remote.object("MutatingWebhookConfiguration", &name), "caBundle", "is there");
    }
    Ok(evidence)
}

fn has_ca(configuration: &MutatingWebhookConfiguration) -> bool {
    let mut webhooks = configuration.webhooks.iter().flatten();
    webhooks.all(|webhook| webhook.client_config.ca_bundle.as_ref().is_some_and(|ca| !ca.0.is_empty()))
}

/// The command of [`gateway`].
pub fn gateway_commands(scenario: &Scenario, revision: &Revision) -> Vec<String> {
    let words = gateway_words(&scenario.network, revision).join(" ");
    let install = format!(
        "samples/multicluster/gen-eastwest-gateway.sh {words} | istioctl --context=\"${{CTX_CLUSTER1}}\" install -y -f -"
    );
    vec![with(install, &set_namespace(scenario.istio_namespace_of(Role::Primary)))]
}

/// What the release's script for the gateway is told.
pub(super) fn gateway_words(network: &str, revision: &Revision) -> Vec<String> {
    [vec!["--network".to_string(), network.to_string()], revision.words()].concat()
}

/// Has the east-west gateway served by another revision, in its version: it is upgraded in place.
///
/// # Errors
/// [`StepError`] with the command that failed.
pub async fn gateway(context: &Context, revision: &Revision, istio: &str) -> Result<Evidence, StepError> {
    let words = gateway_words(&context.scenario().network, revision);
    install_gateway(context, &Distribution::of(context, istio)?, &words).await?;
    let mut evidence = Evidence::new();
    let primary = context.primary();
    let name = "istio-eastwestgateway";
    let ready = deployment_ready(context, primary, name, context.budgets.gateway_ready()).await?;
    evidence.saw(
        primary.object("Deployment", &format!("{}/{name}", primary.istio_namespace)),
        "status.readyReplicas",
        ready,
    );
    Ok(evidence)
}

/// The commands of [`uninstall`].
pub fn uninstall_commands(scenario: &Scenario, revision: &Revision) -> Vec<String> {
    let istio = scenario.istio_namespace_of(Role::Primary);
    let uninstall = |role: Role| {
        let command =
            format!("istioctl uninstall --context=\"${{{}}}\" -y --revision {revision}", role.context_variable());
        with(command, &istio_namespace(scenario.istio_namespace_of(role)))
    };
    let last =
        format!("kubectl delete virtualservice {} --context=\"${{CTX_CLUSTER1}}\" -n {istio}", exposed(revision));
    vec![uninstall(Role::Remote), uninstall(Role::Primary), last]
}

/// Takes away what [`install`] made, the remote cluster's part first: who asks there by then asks in vain.
///
/// # Errors
/// [`StepError`] with the command or call that failed.
pub async fn uninstall(context: &Context, revision: &Revision, istio: &str) -> Result<Evidence, StepError> {
    let distribution = Distribution::of(context, istio)?;
    let mut evidence = Evidence::new();
    for role in [Role::Remote, Role::Primary] {
        let cluster = context.cluster(role);
        istioctl_of(&distribution, context, role, "uninstall")
            .args(["-y", "--revision", revision.name()])
            .args(istio_namespace(&cluster.istio_namespace))
            .run()
            .await?;
        evidence.saw(&cluster.name, format!("istioctl uninstall --revision {revision}"), "ended well");
    }
    let primary = context.primary();
    let name = exposed(revision);
    let manifest = format!("apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: {name}}}\n");
    primary.delete(&manifest, &primary.istio_namespace).await?;
    Ok(evidence)
}
