//! Whether istiod leads in the remote cluster: what D8 and D9 hang on, and say when they are red.

use harness::check::{Context, Evidence, Fault};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::ResourceExt;
use kube::api::LogParams;

/// The root that istiod of the primary has published in its own cluster: the expected value everywhere.
///
/// # Errors
/// [`Fault`] when it cannot be read.
pub async fn root_of_primary(context: &Context) -> Result<String, Fault> {
    let primary = context.primary();
    let map = primary
        .api::<ConfigMap>("istio-system")
        .get("istio-ca-root-cert")
        .await
        .map_err(primary.refused("show ConfigMap istio-system/istio-ca-root-cert"))?;
    map.data.and_then(|data| data.get("root-cert.pem").cloned()).ok_or_else(|| {
        Fault::unknown(format!("ConfigMap istio-system/istio-ca-root-cert of {} is empty", primary.name))
    })
}

/// Looks in istiod's log for its decision to lead; returns the end of a cause line, and a hint.
///
/// istiod decides once, when it reads the remote secret (`checkShouldLead`, see FIELD notes F2 and F3).
pub async fn leads_not(context: &Context, evidence: &mut Evidence) -> (String, String) {
    let (primary, remote) = (context.primary(), context.remote());
    let asked = format!("should join leader-election for cluster {}:", remote.name);
    let mut last = None;
    for pod in primary.pods("istio-system", "app=istiod").await.unwrap_or_default() {
        let params = LogParams { container: Some("discovery".to_string()), ..LogParams::default() };
        let log = primary.api::<Pod>("istio-system").logs(&pod.name_any(), &params).await.unwrap_or_default();
        if let Some(line) = log.lines().rev().find(|line| line.contains(&asked)) {
            evidence.saw(primary.object("pod", &format!("istio-system/{}", pod.name_any())), "log", line.trim());
            last = Some(line.trim_end().ends_with("true"));
        }
    }
    match last {
        Some(false) => (
            format!(": istiod of {} decided not to lead in {}", primary.name, remote.name),
            format!(
                "namespace istio-system of {} had no fitting annotation topology.istio.io/controlPlaneClusters, or istiod no EXTERNAL_ISTIOD, when the remote secret was read; set it, then make the remote secret anew",
                remote.name
            ),
        ),
        Some(true) => (String::new(), format!("istiod leads in {}; see its log for errors of its writes", remote.name)),
        None => (
            format!(": istiod of {} never asked whether to lead in {}", primary.name, remote.name),
            "see whether the remote secret is there and has the label istio/multiCluster=true".to_string(),
        ),
    }
}
