//! xDS: what istiod has told the callers' proxies, and whether they took it.

use std::collections::BTreeMap;

use futures::future::join_all;
use harness::check::{Broken, Context, Fault, Layer};
use harness::install::action::{istio_namespace, with};
use harness::problem::all_of;
use harness::role::Role;
use harness::wait::Look;

use super::{PORT, Told, host, otherwise};
use crate::shared::envoy::Proxy;
use crate::shared::{istiod, sample};

/// Each proxy of the sample is connected to a replica of istiod, has taken what that told, and lists the ready pods.
pub async fn proxies(context: &Context) -> Told {
    let namespace = context.sample();
    let pods = sample::echoes(context).await?;
    let mut proxies = Vec::new();
    for role in Role::ALL {
        let cluster = context.cluster(role);
        for pod in sample::names_in_the_mesh(cluster).await? {
            let client = (cluster.name.clone(), format!("{pod}.{namespace}"));
            proxies.push((client, Proxy::open(cluster, namespace, &pod).await?));
        }
    }
    // Side by side: what was sent a moment ago may not have been taken yet.
    let pods = &pods;
    let looks = proxies.iter().map(|(client, proxy)| async move {
        let wait = context.wait(format!("{} to be synced", proxy.object()), context.budgets.request());
        let synced = wait.until(|| async {
            match lacking(context, client, proxy, pods).await {
                Ok(None) => Look::Yes(()),
                Ok(Some(seen)) => Look::NotYet(seen),
                Err(fault) => fault.into(),
            }
        });
        let Err(timeout) = synced.await else { return Ok(None) };
        let (object, seen) = (proxy.object(), timeout.last()?.to_string());
        let primary = context.primary();
        let look = format!("istioctl --context {} proxy-status {}", primary.context_word(), client.1);
        let look = with(look, &istio_namespace(&primary.istio_namespace));
        Ok::<_, Fault>(Some(Broken { layer: Layer::Xds, object, seen, look }))
    });
    for look in join_all(looks).await {
        if let Some(broken) = look? {
            return Ok(Err(broken));
        }
    }
    Ok(Ok(format!("{} proxies are connected, synced, and list the ready pods", proxies.len())))
}

/// What one proxy lacks of what istiod knows; none where it lacks nothing.
async fn lacking(
    context: &Context,
    client: &istiod::Client,
    proxy: &Proxy,
    pods: &BTreeMap<String, String>,
) -> Result<Option<String>, Fault> {
    let host = host(context);
    let primary = context.primary();
    let mut told = BTreeMap::new();
    for replica in istiod::replicas(primary).await? {
        told.extend(istiod::progress(&istiod::debug(primary, &replica, "/debug/syncz").await?));
    }
    Ok(match told.get(client) {
        None => Some("it is not connected to any replica of istiod".to_string()),
        Some(stale) if !stale.is_empty() => Some(format!("it has not taken what istiod sent: {}", all_of(stale))),
        Some(_) => {
            let listed = proxy.endpoints_of(&format!("outbound|{PORT}||{host}")).await?;
            otherwise(pods, &listed.into_iter().map(|endpoint| endpoint.address).collect())
        }
    })
}
