//! The lab's own Docker network, by which everything of the lab is found again, and by which labs keep out of each
//! other's way.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;
use std::{fs, io};

use bollard::models::{BollardDate, Ipam, IpamConfig, Network, NetworkCreateRequest};

use super::engine::{Engine, EngineError, LAB_LABEL, SUBNETS_LABEL};
use crate::problem::Problems;
use crate::scenario::Scenario;
use crate::topology::{Taken, Topology};
use crate::wait::{Look, Timeout, Wait};

/// A network that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The engine refused.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// That the engine is asked cannot be noted in the lab's folder.
    #[error("cannot note in the lab's folder that the network is asked for")]
    Note(#[source] io::Error),
    /// What another lab took meanwhile leaves no room for this one.
    #[error("another lab took addresses meanwhile: {0}")]
    NoRoom(Problems),
    /// Others were faster again and again.
    #[error("other labs took the chosen addresses {TRIES} times in a row; call again when they are up")]
    Outrun,
}

/// In the lab's folder while the engine is asked for the network: it makes what it was asked for although whoever asked is
/// gone, and until then nothing shows of it.
const ASKED: &str = "network.asked";

/// How long a network may take to show that was asked for; measured under 1 s.
const SHOWS: Duration = Duration::from_secs(5);

/// Waits for the network of a lab to show, if the engine was asked for it and never answered.
pub async fn shown(engine: &Engine, folder: &Path, lab: &str) {
    if !folder.join(ASKED).exists() {
        return;
    }
    let wait = Wait::new(format!("the network of lab {lab} to show"), SHOWS);
    let shown = wait.until(|| async {
        match engine.networks(&[format!("{LAB_LABEL}={lab}")]).await {
            Ok(networks) if networks.is_empty() => Look::NotYet("it does not show".to_string()),
            Ok(_) => Look::Yes(()),
            Err(error) => Look::unable(error),
        }
    });
    if shown.await.is_err() {
        tracing::debug!(lab, "the engine was asked for a network and made none");
    }
}

/// How often addresses are chosen anew: each other lab that begins in the same moment costs at most one.
const TRIES: usize = 10;

/// Makes the network of the lab, whose folder is there, and returns the topology that it really has.
///
/// Addresses were chosen before images were looked for, and another lab may have taken them since; then they are chosen
/// anew. The engine is the judge, so this holds for every user of it and needs no lock: it refuses a network of the same
/// addresses by itself, and of two labs with the same pods or services the one whose network is older stays.
///
/// # Errors
/// [`NetworkError`] when the engine refuses, or no addresses are left.
pub async fn claim(
    engine: &Engine,
    folder: &Path,
    scenario: &Scenario,
    wanted: &Topology,
    routes: &[Taken],
) -> Result<Topology, NetworkError> {
    let mut topology = wanted.clone();
    let asked = folder.join(ASKED);
    for _ in 0..TRIES {
        // Not removed where this is killed or given up: the engine goes on all the same.
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&asked, &topology.network.name))
            .map_err(NetworkError::Note)?;
        let created = create(engine, &topology).await;
        fs::remove_file(&asked).map_err(NetworkError::Note)?;
        if created.is_ok() {
            if !is_second(engine, &topology).await? {
                return Ok(topology);
            }
            let name = &topology.network.name;
            let refused = |source| EngineError::Docker { what: format!("remove network {name}"), source };
            engine.docker.remove_network(name).await.map_err(refused)?;
        }
        topology = match (clash(engine, &topology).await, created) {
            (Ok(mut taken), _) => {
                // The host's own routes are as they were; bridges made meanwhile are among the engine's networks.
                taken.extend_from_slice(routes);
                Topology::choose(scenario, &taken).map_err(NetworkError::NoRoom)?
            }
            (Err(_), Err(refused)) => return Err(refused.into()),
            (Err(_), Ok(())) => topology,
        };
    }
    Err(NetworkError::Outrun)
}

/// What is taken, once some of it clashes with this topology: the engine keeps the addresses of a network for a while
/// before it lists the network.
async fn clash(engine: &Engine, topology: &Topology) -> Result<Vec<Taken>, Timeout> {
    let wait = Wait::new("a network of another lab to be listed", Duration::from_secs(3));
    wait.until(|| async {
        match engine.taken().await {
            Ok(taken) if topology.clashes(&taken) => Look::Yes(taken),
            Ok(_) => Look::NotYet("none clashes".to_string()),
            Err(error) => Look::unable(error),
        }
    })
    .await
}

/// Makes the network: nodes get addresses from its lower half, so that gateway addresses from the upper half are free.
async fn create(engine: &Engine, topology: &Topology) -> Result<(), EngineError> {
    let plan = &topology.network;
    let gateway = plan.nodes.hosts().next().expect("a network of 128 addresses has a first host");
    let subnets: Vec<String> = topology.inner_subnets().iter().map(ToString::to_string).collect();
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
        labels: Some(HashMap::from([
            (LAB_LABEL.to_string(), topology.lab.clone()),
            // No route of the host leads to pods and services, so nobody else could know of them.
            (SUBNETS_LABEL.to_string(), subnets.join(",")),
        ])),
        ..Default::default()
    };
    engine
        .docker
        .create_network(request)
        .await
        .map(|_| ())
        .map_err(|source| EngineError::Docker { what: format!("create network {}", plan.name), source })
}

/// Whether an older network of another lab has pods or services at the same addresses.
async fn is_second(engine: &Engine, topology: &Topology) -> Result<bool, EngineError> {
    let networks = engine.networks(&[LAB_LABEL.to_string()]).await?;
    let Some(own) = networks.iter().find(|network| network.name.as_deref() == Some(&topology.network.name)) else {
        return Ok(false);
    };
    let older = networks.iter().filter(|network| age(network) < age(own));
    Ok(older.map(super::engine::taken_by).any(|taken| topology.clashes(&taken)))
}

/// When a network was made, with its id where two are of one moment.
fn age(network: &Network) -> (Option<&BollardDate>, Option<&str>) {
    (network.created.as_ref(), network.id.as_deref())
}
