//! Whether a lab still stands as it was made: its node containers, their addresses, routes and API servers.

use std::time::Duration;

use super::engine::{Engine, EngineError};
use super::state::{Home, LabFile};
use super::{Cluster, pod_network};
use crate::check::verdict::chain;
use crate::install::facts::Fact;
use crate::per_cluster::Member;
use crate::role::Role;

/// So long an API server is given to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// A lab of which something is gone.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// The engine refused.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Nodes are gone or do not run.
    #[error("{}\nmake the lab again: meshproof down --lab {lab}, then meshproof up --lab {lab}", nodes.join("\n"))]
    Nodes {
        /// The lab.
        lab: String,
        /// One line each.
        nodes: Vec<String>,
    },
}

/// Says that every node of a lab runs.
///
/// # Errors
/// [`HealthError`] naming those that are gone or do not run: nothing can be judged then.
pub async fn nodes_run(engine: &Engine, file: &LabFile) -> Result<(), HealthError> {
    let broken = broken_nodes(engine, file).await?;
    let nodes: Vec<String> = broken.into_iter().map(|(_, why)| why).collect();
    if nodes.is_empty() { Ok(()) } else { Err(HealthError::Nodes { lab: file.scenario.lab.clone(), nodes }) }
}

/// What is no longer as it was made, one line each; nothing for a lab that is well.
///
/// # Errors
/// [`EngineError`] when the engine does not list its containers.
pub async fn ailments(engine: &Engine, home: &Home, file: &LabFile) -> Result<Vec<String>, EngineError> {
    let broken = broken_nodes(engine, file).await?;
    let mut found: Vec<String> = broken.iter().map(|(_, why)| why.clone()).collect();
    let runs = |node: &String| !broken.iter().any(|(name, _)| name == node);
    let routes: Vec<_> = file.routes.iter().filter(|route| runs(&route.node)).cloned().collect();
    match pod_network::missing_routes(engine, &routes).await {
        Ok(missing) => found.extend(
            missing
                .into_iter()
                .map(|(route, got)| format!("node {} has lost its route to {}: {got}", route.node, route.pods)),
        ),
        Err(error) => found.push(chain(&error)),
    }
    for (member, cluster) in file.clusters.iter() {
        let nodes: Vec<&String> = cluster.nodes.keys().filter(|node| runs(node)).collect();
        if member.role == Role::Primary
            && let Some(address) = file.facts.get(Fact::GatewayAddress)
            && !nodes.is_empty()
            && !any_has(engine, &nodes, &address).await
        {
            found.push(format!("no node of {} has the gateway's address {address} any more", cluster.name));
        }
        if nodes.len() == cluster.nodes.len()
            && let Err(why) = answers(home, file, &member).await
        {
            found.push(format!("the API server of {} does not answer: {why}", cluster.name));
        }
    }
    Ok(found)
}

/// Nodes that are gone, do not run or have another address, each with a line that says so.
async fn broken_nodes(engine: &Engine, file: &LabFile) -> Result<Vec<(String, String)>, EngineError> {
    let network = &file.topology.network.name;
    let mut broken = Vec::new();
    for (node, address) in file.clusters.values().flat_map(|cluster| &cluster.nodes) {
        let found = engine.containers("name", &format!("^/{node}$")).await?.into_iter().next();
        let why = match found {
            None => format!("node {node} is gone: there is no such container any more"),
            Some(container) => {
                let status = container.status.unwrap_or_default();
                let networks = container.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
                match networks.get(network).and_then(|endpoint| endpoint.ip_address.clone()) {
                    _ if !status.starts_with("Up") => format!("node {node} does not run: {status}"),
                    Some(now) if now == *address => continue,
                    Some(now) => format!("node {node} has the address {now} now, and the lab was made with {address}"),
                    None => format!("node {node} is not on the Docker network {network} any more"),
                }
            }
        };
        broken.push((node.clone(), why));
    }
    Ok(broken)
}

async fn any_has(engine: &Engine, nodes: &[&String], address: &str) -> bool {
    for node in nodes {
        let shown = engine.exec(node, &["ip", "-o", "-4", "address", "show"], "").await.unwrap_or_default();
        if shown.contains(&format!(" {address}/")) {
            return true;
        }
    }
    false
}

async fn answers(home: &Home, file: &LabFile, member: &Member) -> Result<(), String> {
    let plan = file.topology.clusters.iter().find_map(|(other, plan)| (other == *member).then_some(plan));
    let plan = plan.ok_or("it is not in lab.json")?;
    let kubeconfig = home.kubeconfig(&file.scenario.lab, member.clone());
    let namespace = file.scenario.istio_namespace_in(member);
    let cluster = Cluster::open(member.clone(), plan, namespace, kubeconfig, Default::default())
        .await
        .map_err(|error| chain(&error))?;
    match tokio::time::timeout(ANSWER, cluster.client.apiserver_version()).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(chain(&error)),
        Err(_) => Err(format!("it says nothing within {} s", ANSWER.as_secs())),
    }
}
