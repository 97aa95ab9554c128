//! The injection webhooks of the remote cluster, as istiod's patcher finds them.

use harness::lab::Cluster;
use harness::lab::cluster::ClusterError;
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use kube::ResourceExt;
use kube::api::ListParams;

/// The label by which istiod knows the webhooks of its revision.
pub use harness::lab::revision::LABEL as REVISION;

/// What the webhooks' names end with that istiod patches.
const INJECTOR: &str = "sidecar-injector.istio.io";

/// How webhooks of revision tags are called, and as who istioctl writes them.
const TAGGED: (&str, &str) = ("istio-revision-tag-", "istio-ci");

/// Who else than istiod may have written the CA of this webhook configuration, by field manager: `istioctl tag set` copies what
/// istiod has written into the webhooks of the revision, so istiod finds it right. It writes it itself when the root changes.
pub fn copied_by(name: &str) -> Option<&'static str> {
    let (tagged, istioctl) = TAGGED;
    name.starts_with(tagged).then_some(istioctl)
}

/// Whether a webhook configuration is one that a check has made for itself, or that a killed one has left.
pub fn is_ours(name: &str) -> bool {
    name.starts_with("meshproof-")
}

/// The webhook configurations that have the label of a revision, but for those of a check.
///
/// # Errors
/// [`ClusterError`] when they cannot be listed.
pub async fn labelled(cluster: &Cluster) -> Result<Vec<MutatingWebhookConfiguration>, ClusterError> {
    let all = cluster.all::<MutatingWebhookConfiguration>().list(&ListParams::default().labels(REVISION)).await;
    let all = all.map_err(cluster.refused("list MutatingWebhookConfigurations"))?;
    Ok(all.items.into_iter().filter(|configuration| !is_ours(&configuration.name_any())).collect())
}

/// Names of the webhooks that istiod patches: by their suffix, as its patcher does.
pub fn injectors(configuration: &MutatingWebhookConfiguration) -> Vec<String> {
    let webhooks = configuration.webhooks.iter().flatten();
    webhooks.map(|webhook| webhook.name.clone()).filter(|name| name.ends_with(INJECTOR)).collect()
}

/// The CA that a webhook's server must be of; empty where there is none.
pub fn ca_bundle(configuration: Option<&MutatingWebhookConfiguration>, webhook: &str) -> String {
    let webhooks = configuration.and_then(|configuration| configuration.webhooks.as_ref());
    webhooks
        .and_then(|webhooks| webhooks.iter().find(|found| found.name == webhook))
        .and_then(|found| found.client_config.ca_bundle.as_ref())
        .map(|ByteString(bytes)| String::from_utf8_lossy(bytes).into_owned())
        .unwrap_or_default()
}
