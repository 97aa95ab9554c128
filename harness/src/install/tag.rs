//! Revision tags: stable names for revisions, by which namespaces ask for their proxies.

use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use kube::api::ListParams;

use super::action::{istio_namespace, istioctl_of, with};
use super::distribution::Distribution;
use super::step::StepError;
use crate::check::Evidence;
use crate::context::Context;
use crate::lab::Cluster;
use crate::lab::cluster::ClusterError;
use crate::lab::injection::revision_of;
use crate::lab::revision::{LABEL, TAG};
use crate::role::Role;
use crate::scenario::{Scenario, TagWish};
use crate::wait::Look;

/// The command of [`set`].
pub fn commands(scenario: &Scenario, wish: &TagWish) -> Vec<String> {
    let TagWish { cluster, name, revision } = wish;
    let istio = scenario.istio_namespace_of(*cluster);
    let set = format!(
        "istioctl tag set {name} --context=\"${{{}}}\" --revision {revision} --overwrite",
        cluster.context_variable()
    );
    vec![with(set, &istio_namespace(istio))]
}

/// Sets a revision tag, by the istioctl of that revision's version, and waits until pods get proxies by it: the API server
/// takes up a change of webhooks a moment later, and who is rolled out before that gets the old revision's proxy (seen with
/// 1.31.1 and 1.29.2; the pod then asks for an istiod that is uninstalled).
///
/// # Errors
/// [`StepError`] with what istioctl says, or with the revision by which a pod gets its proxy instead.
pub async fn set(context: &Context, wish: &TagWish, istio: &str) -> Result<Evidence, StepError> {
    let said = apply(context, wish, &Distribution::of(context, istio)?).await?;
    let mut evidence = Evidence::new();
    evidence.saw(format!("istioctl tag set in {}", context.cluster(wish.cluster).name), "it says", said.trim());
    evidence.extend(followed(context, wish).await?);
    Ok(evidence)
}

/// Sets a revision tag by this istioctl; returns what it says.
pub(super) async fn apply(context: &Context, wish: &TagWish, istio: &Distribution) -> Result<String, StepError> {
    let set = istioctl_of(istio, context, wish.cluster, "tag")
        .args(["set", &wish.name, "--revision", &wish.revision, "--overwrite", "-y"])
        .args(istio_namespace(&context.cluster(wish.cluster).istio_namespace));
    Ok(set.run().await?.stdout)
}

/// The command of [`remove`].
pub(super) fn remove_command(scenario: &Scenario, role: Role, tag: &str) -> String {
    let remove = format!("istioctl tag remove {tag} --context=\"${{{}}}\" -y", role.context_variable());
    with(remove, &istio_namespace(scenario.istio_namespace_of(role)))
}

/// Removes a revision tag, if there is such a one: `istioctl uninstall --purge` leaves its webhooks (seen with 1.31.1).
pub(super) async fn remove(context: &Context, role: Role, tag: &str) -> Result<(), StepError> {
    let cluster = context.cluster(role);
    let tagged = ListParams::default().labels(&format!("{TAG}={tag}"));
    let found = cluster.all::<MutatingWebhookConfiguration>().list_metadata(&tagged).await;
    if !found.map_err(cluster.refused(format!("list the webhooks of tag {tag}")))?.items.is_empty() {
        let remove = istioctl_of(&Distribution::of_lab(context), context, role, "tag").args(["remove", tag, "-y"]);
        remove.args(istio_namespace(&cluster.istio_namespace)).run().await?;
    }
    Ok(())
}

/// Waits until pods get proxies by a tag.
pub(super) async fn followed(context: &Context, wish: &TagWish) -> Result<Evidence, StepError> {
    let cluster = context.cluster(wish.cluster);
    let mut evidence = Evidence::new();
    let wait = context
        .wait(format!("pods of {} to get proxies by tag {}", cluster.name, wish.name), context.budgets.converge());
    let revision = wait.until(|| async {
        match injected_by(cluster, &wish.name).await {
            Ok(Some(revision)) if revision == wish.revision => Look::Yes(revision),
            Ok(Some(revision)) => Look::NotYet(format!("a pod gets the proxy of revision {revision}")),
            Ok(None) => Look::NotYet("a pod gets no proxy".to_string()),
            Err(error) => Look::unable(error),
        }
    });
    let revision = revision.await?;
    evidence.saw(
        format!("{} dry run of a pod with {LABEL}={}", cluster.name, wish.name),
        "revision of its proxy",
        revision,
    );
    Ok(evidence)
}

/// The revision by which a pod with this tag gets its proxy; none if it gets none. The pod is not made.
async fn injected_by(cluster: &Cluster, tag: &str) -> Result<Option<String>, ClusterError> {
    let made = cluster.try_pod("default", (LABEL, tag)).await;
    Ok(revision_of(&made.map_err(cluster.refused(format!("try a pod with tag {tag}")))?))
}
