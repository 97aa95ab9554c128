//! Routes of the lab: what a check looks at when pods of one cluster do not reach the other.

use harness::check::{Context, Evidence};
use harness::lab::pod_network::missing_routes;

/// The end of a cause line that names each node with a missing route; empty when all are in place.
///
/// An engine that cannot be asked adds nothing: the cause stands without it.
pub async fn missing(context: &Context, evidence: &mut Evidence) -> String {
    let routes = missing_routes(&context.lab.engine, &context.lab.file.routes).await.unwrap_or_default();
    let mut words = String::new();
    for (route, got) in routes {
        let cluster = &context.cluster(route.role).name;
        evidence.saw(format!("{cluster} node {}", route.node), format!("ip route show {}", route.pods), got);
        words.push_str(&format!("; {cluster} node {} has no route to the pods {} via {}", route.node, route.pods, route.via));
    }
    words
}
