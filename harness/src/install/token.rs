//! What istiod says to a token of the remote cluster before it has the remote secret.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::ListParams;

use super::facts::Fact;
use super::step::StepError;
use crate::context::Context;
use crate::lab::cluster::pod_ready;
use crate::lab::probe::{self, Csr, Probe, ProbeError};
use crate::wait::Look;

/// Asks until istiod gives any answer; which one it is, D6 judges.
pub(super) async fn observe(context: &Context) -> Result<(), StepError> {
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
    let mut pods = primary.pods(&primary.istio_namespace, &primary.revision.selector()).await?;
    pods.retain(|pod| pod_ready(pod) == Look::Yes(()));
    if pods.is_empty() {
        return Ok(Look::NotYet("no istiod is ready".to_string()));
    }
    let mut answers = BTreeMap::new();
    for pod in pods {
        let name = format!("pod {}/{}", primary.istio_namespace, pod.name_any());
        let address = pod.status.as_ref().and_then(|status| status.pod_ip.clone()).unwrap_or_default();
        let probe = Probe::beside(primary, &pod, &context.budgets).await?;
        let (istiod, remote) = (primary.istiod(), &context.remote().name);
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
    let secrets = secrets.map_err(primary.refused("list remote secrets"))?;
    // Those of other remotes say nothing of this one.
    let others = context.lab.file.scenario.clusters.remotes().iter().filter(|wish| wish.name != context.remote().name);
    let others: Vec<String> = others.map(|wish| format!("istio-remote-secret-{}", wish.name)).collect();
    Ok(secrets.iter().any(|secret| !others.contains(&secret.name_any())))
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
