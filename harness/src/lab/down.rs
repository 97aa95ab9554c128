//! Removal of a lab, found by its Docker network, also after a kill -9.

use std::io;

use bollard::errors::Error;
use bollard::models::ContainerSummary;
use bollard::query_parameters::RemoveContainerOptions;

use super::engine::{Engine, EngineError, LAB_LABEL};
use super::state::Home;
use super::{kind, network};
use crate::stray;
use crate::topology::network_name;
use crate::wait::pause;

/// So long the engine is given before it is looked at again.
const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_millis(300);

/// What was removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// Containers, by name.
    pub containers: Vec<String>,
    /// Networks, by name.
    pub networks: Vec<String>,
    /// Whether there was a folder of the lab.
    pub folder: bool,
}

impl Removed {
    /// Whether there was anything to remove.
    pub fn is_nothing(&self) -> bool {
        *self == Removed::default()
    }
}

/// A lab that could not be removed whole.
#[derive(Debug, thiserror::Error)]
pub enum DownError {
    /// The engine refused.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A tool goes on making what was to be removed.
    #[error(transparent)]
    Stray(#[from] stray::StillRunning),
    /// It took too long.
    #[error("lab {lab} was not removed within {} s; call `meshproof down --lab {lab}` again", limit.as_secs())]
    Slow {
        /// The lab.
        lab: String,
        /// The limit.
        limit: std::time::Duration,
    },
    /// A folder could not be removed.
    #[error("cannot remove {folder}")]
    Folder {
        /// The folder.
        folder: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Names of all labs that left anything: a network in Docker or a folder.
///
/// # Errors
/// [`EngineError`] when the engine does not list its networks.
pub async fn labs(engine: &Engine, home: &Home) -> Result<Vec<String>, EngineError> {
    let mut names = home.labs();
    for network in engine.networks(&[LAB_LABEL.to_string()]).await? {
        names.extend(network.labels.unwrap_or_default().remove(LAB_LABEL));
    }
    names.sort();
    names.dedup();
    Ok(names)
}

/// Ends what a killed run left running, removes every container on the lab's networks with its volumes, the networks,
/// then the lab's folder.
///
/// Only to be called by who holds the lab's lock.
///
/// # Errors
/// [`DownError`] for the first thing that could not be removed; calling it again goes on from there.
pub async fn remove(engine: &Engine, home: &Home, lab: &str) -> Result<Removed, DownError> {
    let mut removed = Removed::default();
    // First of all: a kind that goes on would make again what is removed here.
    let folder = home.lab(lab);
    let ended = stray::end(&folder).await.all(&folder)? > 0;
    network::shown(engine, &folder, lab).await;
    // The engine may still carry out what it was asked for last, so it is looked at until nothing new shows.
    let mut again = ended;
    while pass(engine, lab, &mut removed).await? || again {
        again = false;
        pause(LOOK_AGAIN).await;
    }
    match std::fs::remove_dir_all(&folder) {
        Ok(()) => removed.folder = true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(DownError::Folder { folder: folder.display().to_string(), source }),
    }
    removed.containers.sort();
    removed.containers.dedup();
    Ok(removed)
}

/// Removes what stands of a lab at this moment; says whether that was anything.
async fn pass(engine: &Engine, lab: &str, removed: &mut Removed) -> Result<bool, DownError> {
    let mut found = false;
    for network in engine.networks(&[format!("{LAB_LABEL}={lab}")]).await? {
        let name = network.name.unwrap_or_default();
        let containers = engine.containers("network", &name).await?;
        let alone = containers.is_empty();
        remove_containers(engine, containers, removed).await?;
        match engine.docker.remove_network(&name).await {
            Ok(()) => removed.networks.push(name),
            Err(Error::DockerResponseServerError { status_code: 404, .. }) => {}
            // A container came onto it meanwhile: the next look finds it.
            Err(Error::DockerResponseServerError { status_code: 403, .. }) if !alone => {}
            Err(source) => return Err(EngineError::Docker { what: format!("remove network {name}"), source }.into()),
        }
        found = true;
    }
    // A container that was asked for before the network went, and made after.
    let name = network_name(lab);
    let others = engine.networks(&[]).await?.into_iter().any(|network| network.name.as_ref() == Some(&name));
    if !others {
        let mut late = engine.containers("network", &name).await?;
        late.retain(|container| container.labels.as_ref().is_some_and(|labels| labels.contains_key(kind::LABEL)));
        found |= !late.is_empty();
        remove_containers(engine, late, removed).await?;
    }
    Ok(found)
}

async fn remove_containers(
    engine: &Engine,
    containers: Vec<ContainerSummary>,
    removed: &mut Removed,
) -> Result<(), DownError> {
    let removals = containers.into_iter().map(|container| async move {
        let id = container.id.unwrap_or_default();
        let shown = container.names.and_then(|names| names.into_iter().next()).unwrap_or(id.clone());
        let options = RemoveContainerOptions { force: true, v: true, link: false };
        match engine.docker.remove_container(&id, Some(options)).await {
            // Gone already, or on its way: the next look tells.
            Ok(()) | Err(Error::DockerResponseServerError { status_code: 404 | 409, .. }) => {
                Ok(shown.trim_start_matches('/').to_string())
            }
            Err(source) => Err(EngineError::Docker { what: format!("remove container {shown}"), source }),
        }
    });
    for result in futures::future::join_all(removals).await {
        removed.containers.push(result?);
    }
    Ok(())
}
