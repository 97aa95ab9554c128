//! D6: the remote secret makes istiod trust the remote cluster: without it its workloads are refused, with it they
//! get certificates and configuration.
//!
//! Sabotage: `kubectl -n istio-system delete secret istio-remote-secret-cluster2` in cluster1, or take its label
//! istio/multiCluster.

mod proxies;
mod secret;
mod token;

use std::collections::BTreeMap;

use harness::check::case::{Case, When};
use harness::check::{Context, Evidence, Fault, Finding};
use harness::install::proof::external_address;
use harness::wait::Look;

use crate::shared::istiod;
use crate::shared::leading::root_of_primary;

/// The clause.
pub const CASE: Case = Case {
    id: "D6",
    slug: "remote-secret-trusted",
    title: "The remote secret makes istiod trust the remote cluster",
    guide: "https://istio.io/latest/docs/setup/install/multicluster/primary-remote/#attach-cluster2-as-a-remote-cluster-of-cluster1",
    needs: &["D3", "token-before-secret"],
    blames: &["D0", "D1"],
    follows: &["remote-secret"],
    uses: &[],
    when: When::Installed,
    judge: |context| Box::pin(judge(context)),
};

async fn judge(context: &Context) -> Result<Evidence, Fault> {
    let mut evidence = Evidence::new();
    secret::judge(context, &mut evidence).await?;
    synced(context, &mut evidence).await?;
    let service = istiod::gateway(context).await?;
    let address = service
        .as_ref()
        .and_then(external_address)
        .ok_or_else(|| Fault::unknown("the gateway has no external address any more"))?;
    let address = format!("{address}:15012");
    let root = root_of_primary(context).await?;
    token::refused_before(context, &mut evidence)?;
    // Each by itself first: through the gateway it is left to chance who answers.
    token::judged_by_each(context, &root, &mut evidence).await?;
    token::accepted_now(context, &address, &root, &mut evidence).await?;
    proxies::judge(context, &mut evidence).await?;
    Ok(evidence)
}

/// Every ready replica of istiod says that the remote cluster is synced.
async fn synced(context: &Context, evidence: &mut Evidence) -> Result<(), Fault> {
    let (primary, remote) = (context.primary(), context.remote());
    let wait = context.wait(format!("every replica of istiod to sync {}", remote.name), context.budgets.converge());
    let found = wait
        .until(|| async {
            let told = match sync_of_each(context).await {
                Ok(told) => told,
                Err(fault) => return fault.into(),
            };
            if told.is_empty() {
                return Look::NotYet(format!("{} has no ready pod of istiod", primary.name));
            }
            match told.iter().find(|(_, (status, _))| status != "synced") {
                None => Look::Yes(told),
                Some((pod, (status, _))) => {
                    Look::NotYet(format!("{} says that {} is {status}", istiod::object(primary, pod), remote.name))
                }
            }
        })
        .await;
    match found {
        Ok(told) => {
            for (pod, (status, secret)) in told {
                evidence.saw(
                    istiod::object(primary, &pod),
                    format!("/debug/clusterz of {}", remote.name),
                    format!("{status}, by Secret {secret}"),
                );
            }
            Ok(())
        }
        Err(timeout) => Err(Finding::new(timeout.last()?)
            .expected_got(format!("{} synced on every replica", remote.name), timeout.last()?)
            .hint(format!(
                "see istiod's log for {}: kubectl --context {} -n {} logs deploy/istiod",
                remote.name, primary.context, primary.istio_namespace
            ))
            .evidence(evidence)
            .into()),
    }
}

async fn sync_of_each(context: &Context) -> Result<BTreeMap<String, (String, String)>, Fault> {
    let (primary, remote) = (context.primary(), context.remote());
    let mut told = BTreeMap::new();
    for pod in istiod::replicas(primary).await? {
        let page = istiod::debug(primary, &pod, "/debug/clusterz").await?;
        let status = istiod::sync(&page, &remote.name).unwrap_or(("unknown to it".to_string(), String::new()));
        told.insert(pod, status);
    }
    Ok(told)
}
