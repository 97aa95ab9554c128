//! A second control plane beside the first, by revision: Istio's canary upgrade of a primary-remote mesh.
//!
//! What that takes in such a mesh stands in no page of Istio's; it is put together from the page on canary upgrades, the
//! release's `samples/multicluster/expose-istiod-rev.yaml.tmpl`, and its charts: the remote profile of a revision makes
//! Service `istiod-<revision>`, by which proxies of that revision ask for their istiod through the gateway.

use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{ListParams, PostParams};
use serde_json::{Value, json};

use super::action::{IstioFiles, install_gateway, istio_namespace, istioctl_of, primary_args, remote_args, with};
use super::distribution::Distribution;
use super::proof::{deployment_ready, sync_status};
use super::step::StepError;
use crate::check::Evidence;
use crate::context::Context;
use crate::lab::cluster::{ClusterError, FIELD_MANAGER};
use crate::lab::images::further;
use crate::lab::revision::LABEL;
use crate::lab::{Cluster, Revision};
use crate::role::Role;
use crate::scenario::{IstiodWish, Scenario, TagWish};
use crate::wait::Look;

/// The release's file that exposes the istiod of a revision, and how it calls the revision.
const EXPOSE: (&str, &str) = ("samples/multicluster/expose-istiod-rev.yaml.tmpl", "{{.Revision}}");

/// The VirtualService that leads to the istiod of a revision, as the release's files call it.
pub fn exposed(revision: &Revision) -> String {
    if revision.is_default() { "istiod-vs".to_string() } else { format!("istiod-vs-{revision}") }
}

/// The commands of [`install`], as a person would type them.
pub fn install_commands(scenario: &Scenario, wish: &IstiodWish) -> Vec<String> {
    let (istio, revision) = (scenario.istio_namespace_of(Role::Primary), &wish.revision);
    let (file, name) = EXPOSE;
    vec![
        format!(
            "istioctl-{} install --context=\"${{CTX_CLUSTER1}}\" -f cluster1.yaml --revision {revision}",
            wish.istio
        ),
        format!("sed 's/{name}/{revision}/' {file} | kubectl apply --context=\"${{CTX_CLUSTER1}}\" -n {istio} -f -"),
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
    let revision = ["--revision", &wish.revision];
    of(Role::Primary).args(primary_args(context, &files, &distribution)?).args(revision).run().await?;
    let manifest = std::fs::read_to_string(distribution.release.join(EXPOSE.0))?.replace(EXPOSE.1, &wish.revision);
    let (primary, remote) = (context.primary(), context.remote());
    let istio = &primary.istio_namespace;
    primary.apply(&manifest.replace(".istio-system.svc", &format!(".{istio}.svc")), istio).await?;
    of(Role::Remote).args(remote_args(context, &files, &distribution)?).args(revision).run().await?;
    proved(context, &Revision::named(&wish.revision), primary, remote).await
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

/// The command of [`tag`].
pub fn tag_commands(wish: &TagWish) -> Vec<String> {
    let TagWish { cluster, name, revision } = wish;
    vec![format!(
        "istioctl tag set {name} --context=\"${{{}}}\" --revision {revision} --overwrite",
        cluster.context_variable()
    )]
}

/// Sets a revision tag, by the istioctl of that revision's version, and waits until pods get proxies by it: the API server
/// takes up a change of webhooks a moment later, and who is rolled out before that gets the old revision's proxy (seen with
/// 1.31.1 and 1.29.2; the pod then asks for an istiod that is uninstalled).
///
/// # Errors
/// [`StepError`] with what istioctl says, or with the revision by which a pod gets its proxy instead.
pub async fn tag(context: &Context, wish: &TagWish, istio: &str) -> Result<Evidence, StepError> {
    let cluster = context.cluster(wish.cluster);
    let set = istioctl_of(&Distribution::of(context, istio)?, context, wish.cluster, "tag")
        .args(["set", &wish.name, "--revision", &wish.revision, "--overwrite", "-y"])
        .args(istio_namespace(&cluster.istio_namespace));
    let said = set.run().await?.stdout;
    let mut evidence = Evidence::new();
    evidence.saw(format!("istioctl tag set in {}", cluster.name), "it says", said.trim());
    let wait = context
        .wait(format!("pods of {} to get proxies by tag {}", cluster.name, wish.name), context.budgets.converge());
    let followed = wait.until(|| async {
        match injected_by(cluster, &wish.name).await {
            Ok(Some(revision)) if revision == wish.revision => Look::Yes(revision),
            Ok(Some(revision)) => Look::NotYet(format!("a pod gets the proxy of revision {revision}")),
            Ok(None) => Look::NotYet("a pod gets no proxy".to_string()),
            Err(error) => Look::unable(error),
        }
    });
    let revision = followed.await?;
    evidence.saw(
        format!("{} dry run of a pod with {LABEL}={}", cluster.name, wish.name),
        "revision of its proxy",
        revision,
    );
    Ok(evidence)
}

/// The revision by which a pod with this tag gets its proxy; none if it gets none. The pod is not made.
async fn injected_by(cluster: &Cluster, tag: &str) -> Result<Option<String>, ClusterError> {
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "dry-run", "labels": {LABEL: tag}},
        "spec": {"containers": [{"name": "app", "image": "none"}]}
    }))
    .expect("it is a pod");
    let params = PostParams { dry_run: true, field_manager: Some(FIELD_MANAGER.to_string()) };
    let made = cluster.api::<Pod>("default").create(&params, &pod).await;
    Ok(revision_of(&made.map_err(cluster.refused(format!("try a pod with tag {tag}")))?))
}

/// The revision whose injection webhook gave this pod its proxy; none if it has none.
pub fn revision_of(pod: &Pod) -> Option<String> {
    let status = pod.annotations().get("sidecar.istio.io/status")?;
    let status: Value = serde_json::from_str(status).ok()?;
    status["revision"].as_str().map(str::to_string)
}

/// The command of [`gateway`].
pub fn gateway_commands(scenario: &Scenario, revision: &Revision) -> Vec<String> {
    let words = gateway_words(&scenario.network, revision).join(" ");
    vec![format!(
        "samples/multicluster/gen-eastwest-gateway.sh {words} | istioctl --context=\"${{CTX_CLUSTER1}}\" install -y -f -"
    )]
}

fn gateway_words(network: &str, revision: &Revision) -> Vec<String> {
    let mut words = vec!["--network".to_string(), network.to_string()];
    if !revision.is_default() {
        words.extend(["--revision".to_string(), revision.to_string()]);
    }
    words
}

/// Has the east-west gateway served by another revision, in its version: it is upgraded in place.
///
/// # Errors
/// [`StepError`] with the command that failed.
pub async fn gateway(context: &Context, revision: &Revision, istio: &str) -> Result<Evidence, StepError> {
    let words = gateway_words(&context.scenario().network, revision);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
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
