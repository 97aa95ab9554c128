//! Everything that can be wrong before anything is created, found at once.

use std::path::{Path, PathBuf};

use super::args::{EngineUse, Request};
use super::output::say;
use crate::lab::host::{Host, Need};
use crate::lab::images::Readiness;
use crate::lab::{Engine, Home};
use crate::problem::{Problem, Problems};
use crate::tool::Tool;
use crate::topology::{ClusterPlan, Topology};

/// The repository with `kind/`: where recipes, versions and the engine script are.
///
/// # Errors
/// A [`Problem`] when it is nowhere to be found.
pub fn root() -> Result<PathBuf, Problem> {
    let named = std::env::var_os("MESHPROOF_ROOT").map(PathBuf::from);
    let here = std::env::current_dir().unwrap_or_default();
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf);
    let above = here.ancestors().map(Path::to_path_buf);
    named.into_iter().chain(above).chain(built).find(|folder| folder.join("kind/versions.toml").is_file()).ok_or_else(
        || {
            Problem::new(
                "the repository",
                "kind/versions.toml is nowhere above this folder",
                "call meshproof inside its repository, or set MESHPROOF_ROOT to it",
            )
        },
    )
}

/// A running engine: the one there is, or one that `kind/engine` gets running.
///
/// # Errors
/// A [`Problem`] with what the script said.
pub async fn engine(root: &Path, allowed: EngineUse) -> Result<Engine, Problem> {
    let missing = match Engine::connect().await {
        Ok(engine) => return Ok(engine),
        Err(problem) => problem,
    };
    if allowed == EngineUse::Existing {
        return Err(Problem {
            instead: "start one, or drop ENGINE=existing so that kind/engine may".to_string(),
            ..missing
        });
    }
    let script = root.join("kind/engine");
    let limit = std::time::Duration::from_secs(900);
    let started = Tool::new(&script).limit(limit).run_with(|line| say("Engine", line)).await;
    started.map_err(|error| {
        Problem::new("the host", error.to_string(), "do what kind/engine says above, then call again")
    })?;
    Engine::connect().await
}

/// What is wrong with the host for this request, and the lab as it will be.
///
/// # Errors
/// All [`Problems`] at once.
pub async fn lab(
    request: &Request,
    engine: &Engine,
    home: &Home,
    host: &Host,
    images: Readiness,
) -> Result<Topology, Problems> {
    let mut problems = Problems::new();
    let scenario = request.scenario();
    let need = match images {
        Readiness::Build => Need::build(scenario, existing(&home.cache)),
        Readiness::Pull => Need::pull(scenario, existing(&home.cache)),
        Readiness::Ready => Need::lab(scenario, existing(&home.state)),
    };
    let unwell = "see whether the engine is well";
    match engine.nodes().await {
        Ok(up) => problems.0.extend(host.problems(&need, up)),
        Err(error) => problems.push("the host", crate::check::verdict::chain(&error), unwell),
    }
    let mut taken = host.routes.clone();
    match engine.taken().await {
        Ok(networks) => taken.extend(networks),
        Err(error) => problems.push("the host", crate::check::verdict::chain(&error), unwell),
    }
    let chosen = Topology::choose(scenario, &taken).map_err(|problems| request.file.locate(problems));
    let topology = problems.keep(chosen);
    if let Some(topology) = &topology {
        problems.0.extend(names_taken(topology, engine, home).await);
    }
    match topology {
        Some(topology) => problems.or(topology),
        None => Err(problems),
    }
}

/// Names that the lab needs and something else has.
async fn names_taken(topology: &Topology, engine: &Engine, home: &Home) -> Vec<Problem> {
    let lab = &topology.lab;
    if home.lab(lab).join("lab.json").is_file() {
        let instead = format!(
            "use it (meshproof check --lab {lab}), remove it (meshproof down --lab {lab}), or take another name with --lab"
        );
        return vec![Problem::new(format!("lab {lab}"), "is up already", instead)];
    }
    let refused =
        |error| Problem::new("the host", crate::check::verdict::chain(&error), "see whether the engine is well");
    let mut problems = Vec::new();
    match engine.networks(&[]).await {
        Err(error) => problems.push(refused(error)),
        Ok(networks) => {
            let same = networks.into_iter().find(|network| network.name.as_deref() == Some(&topology.network.name));
            if let Some(network) = same {
                let ours = network.labels.unwrap_or_default().get(crate::lab::engine::LAB_LABEL) == Some(lab);
                problems.push(if ours {
                    let instead = format!("remove it first: meshproof down --lab {lab}");
                    Problem::new(format!("lab {lab}"), "an earlier run left something of it", instead)
                } else {
                    let message = format!("the Docker network {} is not meshproof's", topology.network.name);
                    Problem::new(format!("lab {lab}"), message, "another name with --lab")
                });
                return problems;
            }
        }
    }
    for name in topology.clusters.values().flat_map(ClusterPlan::node_names) {
        match engine.containers("name", &format!("^/{name}$")).await {
            Err(error) => problems.push(refused(error)),
            Ok(found) if !found.is_empty() => {
                let message = format!("a container {name} stands already, and is not of this lab");
                problems.push(Problem::new(format!("lab {lab}"), message, "another name with --lab"));
            }
            Ok(_) => {}
        }
    }
    problems
}

/// The nearest folder above a path that exists: disks are asked about folders.
fn existing(path: &Path) -> PathBuf {
    path.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("/")).to_path_buf()
}
