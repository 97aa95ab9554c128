//! The sidecar that an injection webhook gives to pods: to one that is there, and to one that is tried.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::PostParams;
use serde_json::{Value, json};

use super::cluster::{Cluster, FIELD_MANAGER};

/// The annotation in which the webhook says what it did to a pod.
pub const STATUS: &str = "sidecar.istio.io/status";

/// Whether the injection webhook gave this pod a proxy.
pub fn has_proxy(pod: &Pod) -> bool {
    pod.annotations().contains_key(STATUS)
}

/// The revision whose injection webhook gave this pod its proxy; none if it has none.
pub fn revision_of(pod: &Pod) -> Option<String> {
    let status: Value = serde_json::from_str(pod.annotations().get(STATUS)?).ok()?;
    status["revision"].as_str().map(str::to_string)
}

impl Cluster {
    /// What a pod with this label would become in this namespace, by a dry run: all webhooks are called, and nothing is made.
    ///
    /// # Errors
    /// [`kube::Error`] where the API server refuses it, or a webhook that it cannot do without cannot be called.
    pub async fn try_pod(&self, namespace: &str, label: (&str, &str)) -> Result<Pod, kube::Error> {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "dry-run", "labels": BTreeMap::from([label])},
            "spec": {"containers": [{"name": "app", "image": "none", "imagePullPolicy": "Never"}]}
        }))
        .map_err(kube::Error::SerdeError)?;
        let params = PostParams { dry_run: true, field_manager: Some(FIELD_MANAGER.to_string()) };
        self.api::<Pod>(namespace).create(&params, &pod).await
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::{STATUS, has_proxy, revision_of};

    #[rstest]
    #[case::of_a_revision(json!({STATUS: r#"{"revision": "canary"}"#}), (true, Some("canary")))]
    #[case::of_an_istio_that_names_none(json!({STATUS: "{}"}), (true, None))]
    #[case::without_a_proxy(json!({"mine": "1"}), (false, None))]
    fn a_pod_tells_by_its_annotation_who_injected_it(
        #[case] annotations: Value,
        #[case] (has, revision): (bool, Option<&str>),
    ) {
        let pod: Pod = serde_json::from_value(json!({"metadata": {"annotations": annotations}})).expect("a pod");
        assert_eq!((has_proxy(&pod), revision_of(&pod).as_deref()), (has, revision));
    }
}
