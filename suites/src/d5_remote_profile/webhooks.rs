//! The injection webhooks of the remote cluster, and what they call.

use harness::check::{Evidence, Fault, Finding, Mesh};
use harness::role::Role;
use k8s_openapi::api::admissionregistration::v1::{MutatingWebhook, MutatingWebhookConfiguration};
use kube::ResourceExt;
use kube::api::ListParams;

use super::remote_profile;
use crate::shared::webhook::{REVISION, is_ours};
use crate::shared::writer::manager_of;

/// Every injection webhook calls Service istiod with the path of this cluster and network.
///
/// # Errors
/// A finding that names the MutatingWebhookConfiguration and the webhook.
pub async fn judge(mesh: &Mesh, evidence: &mut Evidence) -> Result<(), Fault> {
    let remote = mesh.remote();
    let path = match (mesh.wanted.id(Role::Remote)?, mesh.wanted.network()?) {
        (cluster, "") => format!("/inject/cluster/{cluster}"),
        (cluster, network) => format!("/inject/cluster/{cluster}/net/{network}"),
    };
    let all = remote
        .all::<MutatingWebhookConfiguration>()
        .list(&ListParams::default())
        .await
        .map_err(remote.refused("list MutatingWebhookConfigurations"))?;
    let mut injectors = Vec::new();
    for configuration in all {
        let name = configuration.name_any();
        let object = remote.object("MutatingWebhookConfiguration", &name);
        // By the webhooks' names, as istiod's patcher does: a lost label must show, not hide the object.
        let webhooks: Vec<&MutatingWebhook> = configuration
            .webhooks
            .iter()
            .flatten()
            .filter(|webhook| webhook.name.ends_with("sidecar-injector.istio.io"))
            .collect();
        if webhooks.is_empty() || is_ours(&name) {
            continue;
        }
        let Some(revision) = configuration.labels().get(REVISION) else {
            return Err(Finding::new(format!("{object} lacks the label {REVISION}"))
                .expected_got(format!("{REVISION}={}", remote.revision), "no such label")
                .hint("istiod patches its CA only into webhooks with the label of its revision")
                .evidence(evidence)
                .into());
        };
        evidence.saw(&object, format!("label {REVISION}"), revision);
        // Another control plane serves those of its own revision.
        if remote.is_of_another(revision) {
            evidence.note(format!("{object} is of revision {revision}, which is not judged"));
            continue;
        }
        for webhook in &webhooks {
            let called = called(webhook);
            evidence.saw(&object, format!("webhooks[{}].clientConfig", webhook.name), &called);
            let wanted = format!("Service {}/{}:443{path}", remote.istio_namespace, remote.revision.istiod());
            if called != wanted {
                return Err(Finding::new(format!("{object} calls {called} in webhook {}", webhook.name))
                    .expected_got(
                        wanted,
                        format!("{called}, written by {}", manager_of(&configuration.metadata, "f:clientConfig")),
                    )
                    .hint(format!("the guide's cluster2.yaml sets istiodRemote.injectionPath: {path}"))
                    .evidence(evidence)
                    .into());
            }
        }
        evidence.saw(&object, "managedFields of webhooks", manager_of(&configuration.metadata, "f:path"));
        injectors.push(name);
    }
    if !injectors.iter().any(|name| name.starts_with("istio-sidecar-injector")) {
        let got = if injectors.is_empty() { "none".to_string() } else { injectors.join(", ") };
        let object = remote.object("MutatingWebhookConfiguration", &remote.injector());
        return Err(Finding::new(format!("{object} is not there"))
            .expected_got(format!("injection webhooks that call istiod by {path}"), got)
            .hint(remote_profile(&remote.revision))
            .evidence(evidence)
            .into());
    }
    Ok(())
}

/// What a webhook calls, as one line.
fn called(webhook: &MutatingWebhook) -> String {
    let config = &webhook.client_config;
    match (&config.service, &config.url) {
        (Some(service), _) => format!(
            "Service {}/{}:{}{}",
            service.namespace,
            service.name,
            service.port.unwrap_or(443),
            service.path.as_deref().unwrap_or_default()
        ),
        (None, Some(url)) => format!("the URL {url}"),
        (None, None) => "nothing".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::admissionregistration::v1::MutatingWebhook;
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::called;

    #[rstest]
    #[case::a_service(json!({"service": {"namespace": "istio-system", "name": "istiod", "path": "/inject", "port": 443}}),
                      "Service istio-system/istiod:443/inject")]
    #[case::without_a_port(json!({"service": {"namespace": "a", "name": "b", "path": "/c"}}), "Service a/b:443/c")]
    #[case::a_url(json!({"url": "https://1.2.3.4:15017/inject"}), "the URL https://1.2.3.4:15017/inject")]
    #[case::nothing(json!({}), "nothing")]
    fn what_a_webhook_calls_is_one_line(#[case] config: Value, #[case] line: &str) {
        let webhook: MutatingWebhook = serde_json::from_value(json!({
            "name": "a.sidecar-injector.istio.io", "clientConfig": config,
            "admissionReviewVersions": ["v1"], "sideEffects": "None",
        }))
        .expect("a webhook");
        assert_eq!(called(&webhook), line);
    }
}
