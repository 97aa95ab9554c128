//! Removal of a lab, found by its Docker network, also after a kill -9.

use std::io;

use bollard::query_parameters::RemoveContainerOptions;

use super::engine::{Engine, EngineError, LAB_LABEL};
use super::state::Home;

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

/// Removes every container on the lab's networks with its volumes, the networks, then the lab's folder.
///
/// # Errors
/// [`DownError`] for the first thing that could not be removed; calling it again goes on from there.
pub async fn remove(engine: &Engine, home: &Home, lab: &str) -> Result<Removed, DownError> {
    let mut removed = Removed::default();
    for network in engine.networks(&[format!("{LAB_LABEL}={lab}")]).await? {
        let name = network.name.unwrap_or_default();
        let containers = engine.containers("network", &name).await?;
        let removals = containers.into_iter().map(|container| async move {
            let id = container.id.unwrap_or_default();
            let shown = container.names.and_then(|names| names.into_iter().next()).unwrap_or(id.clone());
            let options = RemoveContainerOptions { force: true, v: true, link: false };
            let result = engine.docker.remove_container(&id, Some(options)).await;
            match result {
                Ok(()) => Ok(shown.trim_start_matches('/').to_string()),
                Err(source) => Err(EngineError::Docker { what: format!("remove container {shown}"), source }),
            }
        });
        for result in futures::future::join_all(removals).await {
            removed.containers.push(result?);
        }
        engine
            .docker
            .remove_network(&name)
            .await
            .map_err(|source| EngineError::Docker { what: format!("remove network {name}"), source })?;
        removed.networks.push(name);
    }
    let folder = home.lab(lab);
    match std::fs::remove_dir_all(&folder) {
        Ok(()) => removed.folder = true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(DownError::Folder { folder: folder.display().to_string(), source }),
    }
    removed.containers.sort();
    Ok(removed)
}
