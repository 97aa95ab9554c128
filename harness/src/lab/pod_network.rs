//! The pod network: CNI configuration on every node, and routes between the nodes of all clusters.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::Ipv4Net;
use k8s_openapi::api::core::v1::{Node, Service};
use kube::Api;
use serde::{Deserialize, Serialize};

use super::cluster::{Cluster, ClusterError};
use super::engine::{Engine, EngineError};
use crate::role::Role;
use crate::wait::{Look, Timeout, Wait};

/// The script that runs on every node; the same one on every image source.
const SCRIPT: &str = include_str!("../../../kind/node/podnet.sh");

/// A pod network that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PodNetworkError {
    /// A command on a node failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The API server refused a call.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A node did not get there in time.
    #[error(transparent)]
    Timeout(#[from] Timeout),
}

/// The pod CIDR of each node of a cluster, once each has one.
///
/// # Errors
/// [`PodNetworkError::Timeout`] naming the node.
pub async fn cidrs(
    cluster: &Cluster,
    wait: impl Fn(&str) -> Wait,
) -> Result<BTreeMap<String, String>, PodNetworkError> {
    let found = cluster.nodes.keys().map(async |node| {
        let cidr = cluster
            .watch(&wait(&format!("node {node} to have a pod CIDR")), cluster.all::<Node>(), node, |node| {
                match node.and_then(|node| node.spec.as_ref()?.pod_cidr.clone()) {
                    Some(cidr) => Look::Yes(cidr),
                    None => Look::NotYet("spec.podCIDR is empty".to_string()),
                }
            })
            .await?;
        Ok::<_, PodNetworkError>((node.clone(), cidr))
    });
    futures::future::join_all(found).await.into_iter().collect()
}

/// Gives the nodes of one cluster their pod network, each as soon as its kube-proxy has its rules.
///
/// # Errors
/// [`PodNetworkError`] naming the node or the command.
pub async fn join(
    engine: &Engine,
    cluster: &Cluster,
    lab_pods: &[Ipv4Net],
    wait: impl Fn(&str) -> Wait,
) -> Result<(), PodNetworkError> {
    let services: Api<Service> = cluster.api("default");
    let name = &cluster.name;
    let api_service =
        cluster
            .watch(&wait(&format!("{name} to have the Service kubernetes")), services, "kubernetes", |service| {
                match service.and_then(|service| service.spec.as_ref()?.cluster_ip.clone()) {
                    Some(address) => Look::Yes(address),
                    None => Look::NotYet("the Service default/kubernetes is not there".to_string()),
                }
            })
            .await?;
    let lab_pods: Vec<String> = lab_pods.iter().map(ToString::to_string).collect();
    let cidrs = cidrs(cluster, wait).await?;
    // Side by side: each node waits for its own kube-proxy.
    let joined = cidrs.iter().map(async |(node, cidr)| {
        let mut command = vec!["bash", "-s", "--", cidr.as_str(), api_service.as_str()];
        command.extend(lab_pods.iter().map(String::as_str));
        engine.exec(node, &command, SCRIPT).await
    });
    // All are awaited before any error ends this: no command may go on behind the back of `down`.
    futures::future::join_all(joined).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(())
}

/// Waits until every node of a cluster is Ready.
///
/// # Errors
/// [`PodNetworkError::Timeout`] naming the node and what it says of itself.
pub async fn ready(cluster: &Cluster, wait: impl Fn(&str) -> Wait) -> Result<(), PodNetworkError> {
    let waits = cluster.nodes.keys().map(async |node| {
        cluster
            .watch(&wait(&format!("node {node} to be Ready")), cluster.all::<Node>(), node, |node| {
                let conditions = node.and_then(|node| node.status.as_ref()?.conditions.clone()).unwrap_or_default();
                match conditions.iter().find(|condition| condition.type_ == "Ready") {
                    Some(ready) if ready.status == "True" => Look::Yes(()),
                    Some(ready) => Look::NotYet(ready.message.clone().unwrap_or_default()),
                    None => Look::NotYet("it has no condition Ready".to_string()),
                }
            })
            .await
    });
    futures::future::try_join_all(waits).await?;
    Ok(())
}

/// One route of the lab: on `node`, the pods of another node are reached by that node's address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The node that has the route.
    pub node: String,
    /// Its cluster.
    pub role: Role,
    /// Pods of the other node.
    pub pods: String,
    /// Address of the other node.
    pub via: String,
}

/// The pods of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subnet {
    /// The node.
    pub node: String,
    /// The part of its cluster.
    pub role: Role,
    /// The node's address.
    pub address: String,
    /// Addresses of its pods.
    pub pods: String,
}

impl Subnet {
    /// Of each node of a cluster, by the pod CIDR of each.
    pub fn of(cluster: &Cluster, cidrs: &BTreeMap<String, String>) -> Vec<Subnet> {
        let of = |(node, address): (&String, &String)| Subnet {
            node: node.clone(),
            role: cluster.role,
            address: address.clone(),
            pods: cidrs.get(node).cloned().unwrap_or_default(),
        };
        cluster.nodes.iter().map(of).collect()
    }
}

/// Every route that the lab needs: each node knows the pod CIDR of each other node of all clusters.
pub fn routes(nodes: &[Subnet]) -> Vec<Route> {
    let of = |one: &Subnet| {
        let (node, role) = (one.node.clone(), one.role);
        let others = nodes.iter().filter(|other| other.node != one.node);
        let route =
            |other: &Subnet| Route { node: node.clone(), role, pods: other.pods.clone(), via: other.address.clone() };
        others.map(route).collect::<Vec<_>>()
    };
    nodes.iter().flat_map(of).collect()
}

/// Puts these routes in place.
///
/// # Errors
/// [`EngineError`] naming the node and the command.
pub async fn set_routes(engine: &Engine, routes: &[Route]) -> Result<(), EngineError> {
    let mut by_node: BTreeMap<&str, String> = BTreeMap::new();
    for Route { node, pods, via, .. } in routes {
        by_node.entry(node).or_default().push_str(&format!("route replace {pods} via {via}\n"));
    }
    let set = by_node.iter().map(|(node, lines)| engine.exec(node, &["ip", "-batch", "-"], lines));
    futures::future::try_join_all(set).await.map(|_| ())
}

/// Which of these routes are not in place, each with what the node has for these pods instead.
///
/// # Errors
/// [`EngineError`] when a node cannot be asked.
pub async fn missing_routes(engine: &Engine, routes: &[Route]) -> Result<Vec<(Route, String)>, EngineError> {
    let nodes: BTreeSet<&str> = routes.iter().map(|route| route.node.as_str()).collect();
    let asked = nodes.into_iter().map(async |node| {
        Ok::<_, EngineError>((node, engine.exec(node, &["ip", "-o", "-4", "route", "show"], "").await?))
    });
    let tables: BTreeMap<&str, String> = futures::future::try_join_all(asked).await?.into_iter().collect();
    let missing = routes.iter().filter_map(|route| {
        let mut lines = tables[route.node.as_str()].lines().map(str::trim);
        let got = lines.find(|line| line.split(' ').next() == Some(&route.pods)).unwrap_or("no route");
        let right = format!("{} via {} ", route.pods, route.via);
        (!format!("{got} ").starts_with(&right)).then(|| (route.clone(), got.to_string()))
    });
    Ok(missing.collect())
}
