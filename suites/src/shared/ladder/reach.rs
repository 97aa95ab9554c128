//! The ground: routes between nodes, and connections to pods of the other cluster.

use harness::check::{Broken, Context, Fault, Layer};
use harness::lab::pod_network::missing_routes;
use harness::lab::probe::{Probe, Tls};
use harness::role::Role;

use super::{PORT, SERVICE, Told, host};
use crate::shared::leading::root_of_primary;

/// Routes between the nodes of the two clusters.
///
/// # Errors
/// [`Fault`] when the nodes cannot be asked.
pub async fn node_routes(context: &Context) -> Told {
    let routes = &context.lab.routes();
    let missing = missing_routes(context.lab.engine()?, routes).await?;
    Ok(match missing.first() {
        None => Ok(format!("{} routes between nodes", routes.len())),
        Some((route, got)) => Err(Broken {
            layer: Layer::NodeRoute,
            object: context.cluster(route.role).object("node", &route.node),
            seen: format!("{got} to {}", route.pods),
            look: format!("docker exec {} ip route", route.node),
        }),
    })
}

/// A handshake with one echo server by a probe of the other cluster, which is outside the mesh.
pub struct Handshake {
    /// Who asked.
    pub from: Probe,
    /// The server.
    pub to: Probe,
    /// What came of it.
    pub tls: Tls,
}

pub async fn handshakes(context: &Context) -> Result<Vec<Handshake>, Fault> {
    let host = host(context);
    let namespace = context.sample();
    let root = root_of_primary(context).await?;
    let target = |server: &Probe| format!("{}:{PORT}", server.address);
    let sni = format!("outbound_.{PORT}_._.{host}");
    let mut all = Vec::new();
    for role in Role::ALL {
        let from = Probe::outside(context.cluster(role.other()), &context.budgets).await?;
        for to in Probe::find(context.cluster(role), namespace, SERVICE, &context.budgets).await? {
            let tls = from.ask(&["tls", &target(&to), "--sni", &sni, "--alpn", "istio", "--root-pem", &root]).await?;
            all.push(Handshake { from: from.clone(), to, tls });
        }
    }
    Ok(all)
}

pub fn pod_addresses(handshakes: &[Handshake]) -> Result<String, Broken> {
    match handshakes.iter().find(|shake| !shake.tls.connected) {
        None => Ok(format!("{} servers are reached by the other cluster's probe", handshakes.len())),
        Some(Handshake { from, to, tls }) => {
            Err(unreached(from, to, PORT, tls.error.as_deref().unwrap_or("no answer")))
        }
    }
}

/// A port of a pod to which another pod gets no connection.
pub fn unreached(from: &Probe, to: &Probe, port: u16, why: &str) -> Broken {
    let address = format!("{}:{port}", to.address);
    Broken {
        layer: Layer::PodAddress,
        object: to.object(),
        seen: format!("{} gets no connection to {address}: {why}", from.object()),
        look: format!(
            "kubectl --context {} -n {} exec {} -- workload connect {address}",
            from.cluster.context_word(),
            from.namespace,
            from.pod
        ),
    }
}
