//! The lab's own Docker network, by which everything of the lab is found again.

use std::collections::HashMap;

use bollard::models::{Ipam, IpamConfig, NetworkCreateRequest};

use super::engine::{Engine, EngineError, LAB_LABEL};
use crate::topology::Topology;

/// Makes the network: nodes get addresses from its lower half, so that gateway addresses from the upper half are free.
///
/// # Errors
/// [`EngineError`] when the engine refuses, for example since the subnet was taken meanwhile.
pub async fn create(engine: &Engine, topology: &Topology) -> Result<(), EngineError> {
    let plan = &topology.network;
    let gateway = plan.nodes.hosts().next().expect("a network of 128 addresses has a first host");
    let request = NetworkCreateRequest {
        name: plan.name.clone(),
        driver: Some("bridge".to_string()),
        ipam: Some(Ipam {
            config: Some(vec![IpamConfig {
                subnet: Some(plan.subnet.to_string()),
                ip_range: Some(plan.nodes.to_string()),
                gateway: Some(gateway.to_string()),
                auxiliary_addresses: None,
            }]),
            ..Default::default()
        }),
        labels: Some(HashMap::from([(LAB_LABEL.to_string(), topology.lab.clone())])),
        ..Default::default()
    };
    engine
        .docker
        .create_network(request)
        .await
        .map(|_| ())
        .map_err(|source| EngineError::Docker { what: format!("create network {}", plan.name), source })
}
