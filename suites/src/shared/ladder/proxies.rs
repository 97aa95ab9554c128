//! xDS: what istiod has told the callers' proxies, and whether they took it.

use std::collections::BTreeMap;

use harness::check::{Broken, Context, Fault, Layer};
use harness::lab::probe::Probe;
use harness::problem::all_of;
use harness::role::Role;
use harness::wait::Look;

use super::{HOST, NAMESPACE, PORT, Told, otherwise, ready};
use crate::shared::envoy::Proxy;
use crate::shared::istiod;

/// Each caller's proxy is connected to a replica of istiod, has taken what that told, and lists the ready pods.
pub async fn proxies(context: &Context) -> Told {
    let mut pods = BTreeMap::new();
    let mut callers = Vec::new();
    for role in Role::ALL {
        pods.extend(ready(context, role).await?);
        callers.extend(Probe::each_inside(context.cluster(role), &context.budgets).await?);
    }
    for caller in &callers {
        let proxy = Proxy::open(&caller.cluster, NAMESPACE, &caller.pod).await?;
        let name = format!("{}.{NAMESPACE}", caller.pod);
        // What was sent a moment ago may not have been taken yet.
        let wait = context.wait(format!("{} to be synced", proxy.object()), context.budgets.request());
        let synced = wait.until(|| async {
            match lacking(context, &name, &proxy, &pods).await {
                Ok(None) => Look::Yes(()),
                Ok(Some(seen)) => Look::NotYet(seen),
                Err(fault) => fault.into(),
            }
        });
        if let Err(timeout) = synced.await {
            let (object, seen) = (proxy.object(), timeout.last()?.to_string());
            let look = format!("istioctl --context {} proxy-status {name}", context.primary().context);
            return Ok(Err(Broken { layer: Layer::Xds, object, seen, look }));
        }
    }
    Ok(Ok(format!("{} callers' proxies are connected, synced, and list the ready pods", callers.len())))
}

/// What one proxy lacks of what istiod knows; none where it lacks nothing.
async fn lacking(
    context: &Context,
    name: &str,
    proxy: &Proxy,
    pods: &BTreeMap<String, String>,
) -> Result<Option<String>, Fault> {
    let primary = context.primary();
    let mut told = BTreeMap::new();
    for replica in istiod::replicas(primary).await? {
        told.extend(istiod::progress(&istiod::debug(primary, &replica, "/debug/syncz").await?));
    }
    Ok(match told.get(name) {
        None => Some("it is not connected to any replica of istiod".to_string()),
        Some(stale) if !stale.is_empty() => Some(format!("it has not taken what istiod sent: {}", all_of(stale))),
        Some(_) => {
            let listed = proxy.endpoints_of(&format!("outbound|{PORT}||{HOST}")).await?;
            otherwise(pods, &listed.into_iter().map(|endpoint| endpoint.address).collect())
        }
    })
}
