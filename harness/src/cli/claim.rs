//! What a verb on a lab begins with: an engine, the host, and the lab for this process alone.

use std::path::{Path, PathBuf};

use super::args::{EngineUse, Request};
use super::interrupt::Interrupt;
use super::preflight;
use super::session::Session;
use crate::check::Case;
use crate::check::verdict::chain;
use crate::event::Recorder;
use crate::lab::host::{Host, HostError};
use crate::lab::{Engine, Home, LabFile, LabLock, images};
use crate::problem::{Problem, Problems};
use crate::stray;
use crate::topology::Topology;
use crate::versions::{Component, Picked, istio};

/// What every verb on a lab is given besides its request.
#[derive(Clone, Copy)]
pub struct Base<'a> {
    /// The catalogue.
    pub catalogue: &'a [Case],
    /// Where labs are remembered.
    pub home: &'a Home,
    /// The repository.
    pub root: &'a Path,
    /// The versions that the lab has or gets.
    pub picked: &'a Picked,
}

/// A lab of which nobody else may change anything.
pub struct Claim<'a> {
    /// What the verb is given.
    pub base: Base<'a>,
    /// The engine.
    pub engine: Engine,
    /// What the host allows.
    pub host: Host,
    _lock: LabLock,
}

impl<'a> Claim<'a> {
    /// Takes the lab of this request.
    ///
    /// # Errors
    /// A [`Problem`] where there is no engine, or somebody else has the lab.
    pub async fn take(request: &Request, base: Base<'a>, engine: EngineUse) -> Result<Claim<'a>, Problems> {
        let (home, lab) = (base.home, &request.scenario().lab);
        let engine = preflight::engine(base.root, engine).await?;
        // Read after the engine is there: getting one running may have raised limits of the host.
        let host = Host::read().map_err(host_problem)?;
        let lock = LabLock::take(home, lab)?;
        // What a killed meshproof left running must not install or create behind the back of this one.
        let ended = stray::end(&home.lab(lab)).await.all(&home.lab(lab));
        ended.map_err(|error| {
            Problem::new(format!("lab {lab}"), error.to_string(), "end these processes, and call again")
        })?;
        Ok(Claim { base, engine, host, _lock: lock })
    }

    /// The topology of a lab that shall be made, if nothing stands in its way.
    ///
    /// # Errors
    /// Everything that stands in its way.
    pub async fn free(&self, request: &Request) -> Result<Topology, Problems> {
        let recorder = Recorder::new(Vec::new());
        let site = image_site(request, self.base, &self.engine, &self.host, &recorder);
        let readiness = images::readiness(&site).await;
        let mut problems = images::candidate_problems(&site).await;
        if let Some(envoy) = &request.scenario().envoy
            && readiness != images::Readiness::Ready
            && let Err(unpublished) = istio::is_published(envoy, &request.budgets).await
        {
            let place = request.verb.versions().envoy_place().to_string();
            problems.0.extend(request.file.locate(Problem { place, ..unpublished }.into()).0);
        }
        let topology = preflight::lab(request, &self.engine, self.base.home, &self.host, readiness).await;
        match problems.keep(topology) {
            Some(topology) => problems.or(topology),
            None => Err(problems),
        }
    }

    /// The topology of the lab that a verb `makes`, or the lab that is there with its own; and the request for it.
    ///
    /// # Errors
    /// As [`Claim::free`] and [`Claim::existing`].
    pub async fn lab(&self, request: &Request, makes: bool) -> Result<(Request, Topology, Option<LabFile>), Problems> {
        let (mut request, topology, file) = if makes {
            (request.clone(), self.free(request).await?, None)
        } else {
            let (file, request) = self.existing(request)?;
            let topology = file.topology().map_err(|error| {
                Problem::new(format!("lab {}", file.scenario.lab), error.to_string(), "another lab")
            })?;
            (request, topology.clone(), Some(file))
        };
        request.budgets = request.budgets.shared_by(request.scenario().clusters.len());
        Ok((request, topology, file))
    }

    /// The lab that is there, and the request as that lab was made.
    ///
    /// # Errors
    /// A [`Problem`] where there is none, or the request asks for another.
    pub fn existing(&self, request: &Request) -> Result<(LabFile, Request), Problems> {
        let lab = &request.scenario().lab;
        let file = LabFile::read(self.base.home, lab)?;
        let mut problems = other_versions(request, &file);
        let mut request = request.clone();
        for component in Component::ALL {
            // What is wrong with a flag is said once.
            if request.verb.versions().of(component).is_some() {
                let made = file.scenario.version(component);
                made.clone_into(request.file.scenario.version_mut(component));
            }
        }
        if request.verb.versions().envoy.is_some() {
            request.file.scenario.envoy.clone_from(&file.scenario.envoy);
        }
        // A lab stays what it was made as; only a file that says otherwise is a mistake.
        if request.from_file && !request.file.asks_for_lab(&file.scenario) {
            problems.push(
                "--scenario",
                format!("lab {lab} was made from another scenario"),
                "drop --scenario, or make the lab again: meshproof down, meshproof up",
            );
        }
        request.file.scenario = match request.from_file {
            true => request.scenario().on_lab_of(&file.scenario),
            false => file.scenario.clone(),
        };
        problems.or((file, request))
    }

    /// One call of a verb on this lab.
    pub fn session<'s>(
        &'s self,
        request: &'s Request,
        interrupt: Interrupt,
        recorder: Recorder,
        folder: PathBuf,
    ) -> Session<'s> {
        let Claim { base: Base { catalogue, home, root, .. }, engine, host, .. } = self;
        Session { request, catalogue, home, root, engine, host, interrupt, recorder, folder }
    }
}

/// Versions that are asked for by flag of a lab that was made of others: it cannot become another.
fn other_versions(request: &Request, file: &LabFile) -> Problems {
    let (lab, flags) = (&file.scenario.lab, request.verb.versions());
    let mut problems = Problems::new();
    let mut other = |key: &str, what: String, made: &str, wanted: Option<&str>| {
        let Some(wanted) = wanted.filter(|wanted| *wanted != made) else { return };
        let flag = format!("--{key}");
        let message = format!("lab {lab} was made of {what} {made}, not {wanted}");
        let instead =
            format!("drop {flag}, take another name with --lab, or remove that lab first: meshproof down --lab {lab}");
        problems.push(flag, message, instead);
    };
    for component in Component::ALL {
        other(component.key(), component.to_string(), file.scenario.version(component), flags.of(component));
    }
    let own = file.scenario.envoy.as_deref().unwrap_or("that goes with its Istio");
    other("envoy", "the Envoy".to_string(), own, flags.envoy.as_deref());
    problems
}

/// What is needed to get the images of this request.
pub fn image_site<'a>(
    request: &'a Request,
    base: Base<'a>,
    engine: &'a Engine,
    host: &'a Host,
    recorder: &'a Recorder,
) -> images::Site<'a> {
    let Base { home, root, picked, .. } = base;
    let (source, origins, budgets) = (request.scenario().images, &request.origins, &request.budgets);
    let candidate = &request.scenario().candidate;
    images::Site { home, root, picked, engine, host, source, candidate, origins, recorder, budgets }
}

/// A host that cannot be read.
pub fn host_problem(error: HostError) -> Problem {
    Problem::new("the host", chain(&error), "meshproof runs on Linux; see README.md")
}

/// A folder of runs that cannot be made.
pub fn runs_problem(runs: &Path, error: &std::io::Error) -> Problem {
    let message = format!("cannot make a folder in {}: {error}", runs.display());
    Problem::new("--runs", message, "a folder that you may write to")
}
