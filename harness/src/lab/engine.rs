//! The Docker engine: is it there, what is on it, and commands inside node containers.

use std::collections::HashMap;

use bollard::Docker;
use bollard::exec::{CreateExecOptions, StartExecResults};
use bollard::models::{ContainerSummary, ContainerSummaryStateEnum, ContainerUpdateBody, Network};
use bollard::query_parameters::{ListContainersOptions, ListNetworksOptions};
use futures::StreamExt;
use ipnet::Ipv4Net;
use tokio::io::{AsyncRead, AsyncWriteExt};

use super::host::Nodes;
use crate::problem::Problem;
use crate::topology::Taken;

/// The label that ties a Docker network to its lab; what is on such a network belongs to the lab.
pub const LAB_LABEL: &str = "io.meshproof.lab";

/// The label of a lab's network that lists the subnets of its pods and services, with commas.
pub const SUBNETS_LABEL: &str = "io.meshproof.subnets";

/// An engine that could not be asked, or that said no.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The engine refused or broke off a call.
    #[error("{}", refusal(what, source))]
    Docker {
        /// What was asked of it.
        what: String,
        /// Its answer.
        #[source]
        source: bollard::errors::Error,
    },
    /// A command inside a container failed.
    #[error("`docker exec {container} {command}` ended with exit code {code}: {output}")]
    Exec {
        /// The container.
        container: String,
        /// The command.
        command: String,
        /// Its exit code.
        code: i64,
        /// The last that it printed.
        output: String,
    },
}

/// An engine that is gone says nothing, and is not to be confused with one that said no.
fn refusal(what: &str, source: &bollard::errors::Error) -> String {
    use bollard::errors::Error;
    match source {
        Error::HyperLegacyError { .. }
        | Error::HyperResponseError { .. }
        | Error::SocketNotFoundError(_)
        | Error::IOError { .. }
        | Error::RequestTimeoutError => {
            format!("no Docker engine answers any more, asked to {what}; see whether it runs: docker version")
        }
        _ => format!("the Docker engine refused to {what}"),
    }
}

/// A container's share of the processor, unless it is given another.
pub const USUAL_SHARE: i64 = 1024;

/// A running Docker engine.
#[derive(Clone, Debug)]
pub struct Engine {
    /// The client, for calls that have no method here.
    pub docker: Docker,
}

impl Engine {
    /// Connects as the docker CLI would by its environment (`DOCKER_HOST`), and asks the engine for its version.
    ///
    /// # Errors
    /// A [`Problem`] that says how to get an engine.
    pub async fn connect() -> Result<Engine, Problem> {
        let missing = |source: bollard::errors::Error| {
            Problem::new(
                "the host",
                format!("no Docker engine answers: {source}"),
                "start one, or let `kind/engine` do it (make run does that by itself)",
            )
        };
        let docker = Docker::connect_with_defaults().map_err(missing)?;
        let docker = docker.negotiate_version().await.map_err(missing)?;
        Ok(Engine { docker })
    }

    /// IPv4 addresses that networks of this engine hold, and those of pods and services of labs, with who has them.
    ///
    /// # Errors
    /// [`EngineError`] when the engine does not list its networks.
    pub async fn taken(&self) -> Result<Vec<Taken>, EngineError> {
        Ok(self.networks(&[]).await?.iter().flat_map(taken_by).collect())
    }

    /// Networks with these labels; all of them if there are none.
    ///
    /// # Errors
    /// [`EngineError`] when the engine does not list its networks.
    pub async fn networks(&self, labels: &[String]) -> Result<Vec<Network>, EngineError> {
        let filters = (!labels.is_empty()).then(|| HashMap::from([("label".to_string(), labels.to_vec())]));
        self.docker
            .list_networks(Some(ListNetworksOptions { filters }))
            .await
            .map_err(|source| EngineError::Docker { what: "list networks".to_string(), source })
    }

    /// Gives a container this share of the processor where others want it too; others have [`USUAL_SHARE`].
    ///
    /// # Errors
    /// [`EngineError`] when the engine refuses, as it may where it cannot set limits.
    pub async fn share(&self, container: &str, share: i64) -> Result<(), EngineError> {
        let body = ContainerUpdateBody { cpu_shares: Some(share), ..ContainerUpdateBody::default() };
        let weighed = self.docker.update_container(container, body).await;
        weighed.map_err(|source| EngineError::Docker { what: format!("weigh container {container}"), source })
    }

    /// Nodes of kind that run on this engine, whoever made them: their file watches count against the host's limits.
    ///
    /// # Errors
    /// [`EngineError`] when the engine does not list its containers.
    pub async fn nodes(&self) -> Result<Nodes, EngineError> {
        let label = "io.x-k8s.kind.role";
        let running = self.containers("label", label).await?.into_iter();
        let running = running.filter(|container| container.state == Some(ContainerSummaryStateEnum::RUNNING));
        let roles: Vec<_> = running.filter_map(|container| container.labels?.remove(label)).collect();
        let count = |role: &str| u32::try_from(roles.iter().filter(|found| *found == role).count()).unwrap_or(u32::MAX);
        Ok(Nodes { control_planes: count("control-plane"), workers: count("worker") })
    }

    /// Containers, running or not, for a filter such as `network=NAME`.
    ///
    /// # Errors
    /// [`EngineError`] when the engine does not list its containers.
    pub async fn containers(&self, filter: &str, value: &str) -> Result<Vec<ContainerSummary>, EngineError> {
        let filters = Some(HashMap::from([(filter.to_string(), vec![value.to_string()])]));
        self.docker
            .list_containers(Some(ListContainersOptions { all: true, filters, ..Default::default() }))
            .await
            .map_err(|source| EngineError::Docker { what: "list containers".to_string(), source })
    }

    /// Runs a command inside a container, feeds it `input` and returns its standard output.
    ///
    /// # Errors
    /// [`EngineError::Exec`] when it ends with an error, [`EngineError::Docker`] when it cannot run.
    pub async fn exec(&self, container: &str, command: &[&str], input: &str) -> Result<String, EngineError> {
        self.exec_reading(container, command, input.as_bytes()).await
    }

    /// As [`Engine::exec`], with all that there is to read from `input`, such as a file.
    ///
    /// # Errors
    /// As [`Engine::exec`].
    pub async fn exec_reading(
        &self,
        container: &str,
        command: &[&str],
        mut input: impl AsyncRead + Unpin,
    ) -> Result<String, EngineError> {
        let refused = |source| EngineError::Docker { what: format!("run a command in {container}"), source };
        let options = CreateExecOptions {
            cmd: Some(command.to_vec()),
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..Default::default()
        };
        let exec = self.docker.create_exec(container, options).await.map_err(refused)?;
        let (mut stdout, mut stderr) = (String::new(), String::new());
        if let StartExecResults::Attached { mut output, input: mut stdin } =
            self.docker.start_exec(&exec.id, None).await.map_err(refused)?
        {
            // A command that ends before it has read everything says why by its exit code.
            let _ = tokio::io::copy(&mut input, &mut stdin).await;
            let _ = stdin.shutdown().await;
            while let Some(part) = output.next().await {
                match part.map_err(refused)? {
                    bollard::container::LogOutput::StdErr { message } => {
                        stderr.push_str(&String::from_utf8_lossy(&message));
                    }
                    other => stdout.push_str(&String::from_utf8_lossy(&other.into_bytes())),
                }
            }
        }
        let code = self.docker.inspect_exec(&exec.id).await.map_err(refused)?.exit_code.unwrap_or(-1);
        if code == 0 {
            return Ok(stdout);
        }
        let output = if stderr.trim().is_empty() { &stdout } else { &stderr };
        Err(EngineError::Exec {
            container: container.to_string(),
            command: command.join(" "),
            code,
            output: output.trim().chars().take(600).collect(),
        })
    }
}

/// Addresses that a network holds: its own, and if it is a lab's, those of the lab's pods and services.
pub fn taken_by(network: &Network) -> Vec<Taken> {
    let name = network.name.clone().unwrap_or_default();
    let configs = network.ipam.iter().filter_map(|ipam| ipam.config.as_ref()).flatten();
    let own = configs.filter_map(|config| Some((config.subnet.clone()?, format!("Docker network {name}"))));
    let label = |label: &str| network.labels.as_ref().and_then(|labels| labels.get(label)).cloned();
    let lab = label(LAB_LABEL).unwrap_or_default();
    let inner = label(SUBNETS_LABEL).unwrap_or_default();
    let inner = inner.split(',').map(|net| (net.to_string(), format!("pods or services of lab {lab}")));
    own.chain(inner).filter_map(|(net, by)| Some(Taken::new(net.parse::<Ipv4Net>().ok()?, by))).collect()
}
