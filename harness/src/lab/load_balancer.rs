//! Addresses for Services of type LoadBalancer, by the harness itself.
//!
//! An address from the upper half of the lab's network is added to a node, and written to the Service's status;
//! kube-proxy does the rest.

use std::net::Ipv4Addr;

use k8s_openapi::api::core::v1::Service;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::cluster::{Cluster, ClusterError, FIELD_MANAGER};
use super::engine::{Engine, EngineError};
use crate::scenario::Scenario;
use crate::topology::NetworkPlan;
use crate::wait::{Look, Timeout, Wait};

/// A Service that could not be given an address.
#[derive(Debug, thiserror::Error)]
pub enum LoadBalancerError {
    /// The API server refused a call.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A command on the node failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The Service was not there in time.
    #[error(transparent)]
    Timeout(#[from] Timeout),
    /// The cluster has no node to put an address on.
    #[error("cluster {0} has no node")]
    NoNode(String),
}

/// The address of the east-west gateway: the one that the scenario asks for, for which the network was chosen, else the first
/// of those for gateways.
pub fn address(network: &NetworkPlan, scenario: &Scenario) -> Ipv4Addr {
    let first = || network.gateways.hosts().next().expect("the upper half of a /24 holds 126 gateways");
    scenario.gateway.address.unwrap_or_else(first)
}

/// Waits for the Service, puts the address on a node and into the Service's status.
///
/// # Errors
/// [`LoadBalancerError`] naming the object or the command.
pub async fn assign(
    engine: &Engine,
    cluster: &Cluster,
    namespace: &str,
    service: &str,
    address: Ipv4Addr,
    wait: &Wait,
) -> Result<(), LoadBalancerError> {
    let services: Api<Service> = cluster.api(namespace);
    let node = cluster.nodes.keys().next().ok_or_else(|| LoadBalancerError::NoNode(cluster.name.clone()))?;
    // Looked for on the same node first: `replace` makes a second install as good as the first.
    engine.exec(node, &["ip", "address", "replace", &format!("{address}/32"), "dev", "eth0"], "").await?;
    cluster
        .watch(wait, services.clone(), service, |found| match found {
            Some(_) => Look::Yes(()),
            None => Look::NotYet(format!("Service {namespace}/{service} is not there")),
        })
        .await?;
    let status = json!({"status": {"loadBalancer": {"ingress": [{"ip": address.to_string()}]}}});
    services
        .patch_status(
            service,
            &PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..Default::default() },
            &Patch::Merge(&status),
        )
        .await
        .map_err(cluster.refused(format!("write the status of Service {namespace}/{service}")))?;
    Ok(())
}
