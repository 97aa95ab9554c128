//! From flags and a scenario file to a request that can be carried out, or to everything that is wrong with them.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::{Cli, Common, FieldArgs, FieldVerb, Telling, Verb, VersionsArgs, VersionsVerb, brought, own, remotes};
use crate::budget::Budgets;
use crate::field::Symptoms;
use crate::inspect::Reports;
use crate::install::per_remote;
use crate::lab::images::Origins;
use crate::plan::{CaseOutline, Deviation};
use crate::problem::{Problem, Problems, any_of, nearest};
use crate::reading::rbac::Subject;
use crate::reading::{Contexts, KubeconfigFiles};
use crate::report::runs;
use crate::role::Role;
use crate::sabotage::Sabotage;
use crate::scenario::{
    ImageSource, IstioNamespace, Known, Moment, Scenario, ScenarioFile, check_envoy, check_lab_name, count, length,
};
use crate::select::{Selection, select};
use crate::versions::{Component, Versions};

/// What a request is judged against.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// The versions that can be asked for.
    pub versions: &'a Versions,
    /// The checks there are.
    pub catalogue: &'a [CaseOutline],
    /// Ids of the steps of the install.
    pub steps: &'a [String],
    /// The catalogue of sabotages, where a scenario may name one.
    pub sabotages: &'a [Sabotage],
    /// What red checks say in the field issues that are known, where checks are asked.
    pub symptoms: &'a Symptoms,
    /// Whether a person sees the output.
    pub terminal: bool,
    /// Whether this is a CI job.
    pub ci: bool,
    /// Where the user's kubeconfig is; only read where contexts are asked for.
    pub kubeconfig: &'a KubeconfigFiles,
}

impl<'a> Surroundings<'a> {
    /// What a scenario can name.
    pub fn known(&self) -> Known<'a> {
        Known { versions: self.versions, cases: self.catalogue, steps: self.steps, sabotages: self.sabotages }
    }
}

/// Whether the lab is kept after a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Whatever the verdict.
    Always,
    /// Where the run is not green, and was not interrupted.
    OnFailure,
    /// In no case.
    Never,
}

impl Keep {
    const NAMES: [(&'static str, Keep); 3] =
        [("always", Keep::Always), ("on-failure", Keep::OnFailure), ("never", Keep::Never)];

    /// Whether a lab stays after what was green or not, and ended by a signal or not.
    pub fn keeps(self, green: bool, by_signal: bool) -> bool {
        match self {
            Keep::Always => true,
            Keep::Never => false,
            // Who ends a run by hand has seen enough; who finds it ended wants to look.
            Keep::OnFailure => !by_signal && !green,
        }
    }

    /// What holds if nobody says: a person may want to look, a CI job cannot.
    pub fn default_for(terminal: bool, ci: bool) -> Keep {
        if terminal && !ci { Keep::OnFailure } else { Keep::Never }
    }
}

/// What may be done about a Docker engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineUse {
    /// Where none runs, one is installed and started.
    Auto,
    /// Only one that runs already is used.
    Existing,
}

/// How often a run is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeat {
    /// At most so many times; none for no limit.
    pub most: Option<u32>,
    /// Whether the first run that is not green is the last.
    pub until_fail: bool,
}

impl Repeat {
    /// Once, which is no repetition.
    pub const ONCE: Repeat = Repeat { most: Some(1), until_fail: false };

    /// Whether nothing is repeated.
    pub fn is_once(self) -> bool {
        self == Repeat::ONCE
    }
}

/// What is asked for, complete and found to be possible.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The verb with its flags as they were given.
    pub verb: Verb,
    /// The scenario, under the name of `--lab`, with the places of its file.
    pub file: ScenarioFile,
    /// Whether `--scenario` was given.
    pub from_file: bool,
    /// What of a bundle is not rebuilt, and why.
    pub not_rebuilt: Vec<Deviation>,
    /// The checks that are asked.
    pub selection: Selection,
    /// The checks that each round of the timeline asks, in its order.
    pub rounds: Vec<Selection>,
    /// The sabotages that the timeline carries out.
    pub sabotages: Vec<Sabotage>,
    /// What red checks say in the field issues that are known.
    pub symptoms: Symptoms,
    /// The step after which to wait for a person.
    pub pause_after: Option<String>,
    /// The clusters to judge or to install on, if meshproof did not make them.
    pub contexts: Option<Contexts>,
    /// The bug reports to judge, if that is what is asked.
    pub reports: Option<Reports>,
    /// Whose rights to print, and for whom, if that is all that is asked.
    pub rbac: Option<Rbac>,
    /// Steps of the guide that are left out, as `prove` does on purpose; no flag asks for that.
    pub without: Vec<String>,
    /// Whether the lab is kept.
    pub keep: Keep,
    /// How often a run is done.
    pub repeat: Repeat,
    /// How long the run may take, if it was said.
    pub deadline: Option<Duration>,
    /// Time limits.
    pub budgets: Budgets,
    /// Where folders of runs go.
    pub runs: PathBuf,
    /// What may be done about a Docker engine.
    pub engine: EngineUse,
    /// Mirrors of official images and releases.
    pub origins: Origins,
    /// How much is said.
    pub telling: Telling,
}

/// A manifest of rights that is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Rbac {
    /// The cluster in which it will be applied.
    pub role: Role,
    /// Who gets the rights.
    pub subject: Subject,
    /// The namespace of Istio.
    pub istio_namespace: IstioNamespace,
}

impl Request {
    /// The scenario that is asked for.
    pub fn scenario(&self) -> &Scenario {
        &self.file.scenario
    }
}

impl Cli {
    /// Reads the scenario file and judges it and every flag, or names all that is wrong.
    pub fn request(&self, around: &Surroundings<'_>) -> Result<Request, Problems> {
        let mut problems = Problems::new();
        let mut common = self.verb.common().cloned().unwrap_or_default();
        if let Verb::Inspect(inspecting) = &self.verb {
            common.runs.clone_from(&inspecting.runs);
        }
        let file = problems.keep(scenario_file(&common, around));
        let versions = self.verb.versions();
        let rebuilt = self.verb.rebuild().wanted(common.scenario.is_some(), &versions, around);
        let rebuilt = problems.keep(rebuilt).flatten();
        let (rebuilt, not_rebuilt) = rebuilt.map(|one| (one.scenario, one.not_rebuilt)).unzip();
        let file = rebuilt.map(ScenarioFile::built_in).or(file);
        let mut file = file.unwrap_or_else(|| built_in(around.versions));
        if let Some(lab) = &common.lab {
            match check_lab_name(lab) {
                Ok(()) => file.scenario.lab.clone_from(lab),
                Err((message, instead)) => problems.push("--lab", message, instead),
            }
        }
        let shape = self.verb.shape();
        if let Some(remotes) = &shape.remotes {
            problems.0.extend(remotes::give(remotes, &mut file.scenario));
        }
        if let Some(nodes) = &shape.nodes {
            match count(nodes) {
                Ok(nodes) => file.scenario.clusters.values_mut().for_each(|wish| wish.nodes = nodes),
                Err((message, instead)) => problems.push("--nodes", message, instead),
            }
        }
        if let Some(name) = &shape.istio_namespace {
            match IstioNamespace::named(name) {
                Ok(namespace) => file.scenario.istio_namespace = namespace,
                Err((message, instead)) => problems.push("--istio-namespace", message, instead),
            }
        }
        problems.0.extend(shape.candidate.apply(&mut file).0);
        for component in Component::ALL {
            let Some(version) = versions.of(component) else { continue };
            match around.versions.check(component, version) {
                Ok(()) => *file.scenario.version_mut(component) = version.to_string(),
                Err((message, instead)) => problems.push(format!("--{}", component.key()), message, instead),
            }
        }
        if let Some(envoy) = &versions.envoy {
            match check_envoy(envoy) {
                Ok(()) => file.scenario.envoy = Some(envoy.clone()),
                Err((message, instead)) => problems.push("--envoy", message, instead),
            }
        }
        let sources = self.verb.sources();
        if let Some(name) = sources.images.as_deref().filter(|name| !name.is_empty()) {
            match ImageSource::named(name) {
                Ok(source) => file.scenario.images = source,
                Err((message, instead)) => problems.push("--images or MESHPROOF_IMAGES", message, instead),
            }
        }
        if let Some((message, instead)) = file.scenario.envoy_mistake() {
            let mistake = Problem::new(versions.envoy_place(), message, instead);
            problems.0.extend(file.locate(mistake.into()).0);
        } else if file.scenario.envoy.is_some() {
            // Nobody publishes images with that Envoy.
            file.scenario.images = ImageSource::Local;
        }
        let origins = Origins::read(sources.registry.as_deref(), sources.releases.as_deref());
        let origins = problems.keep(origins.map_err(Problems::from));
        let selection = problems.keep(self.selection(&file.scenario, around));
        let rounds = problems.keep(rounds(&file.scenario, around));
        let slow = problems.keep(slow(common.slow.as_deref()));
        let engine = problems.keep(engine(common.engine.as_deref()));
        problems.0.extend(self.verb.telling().mistake());
        if common.runs.is_file() {
            let message = format!("`{}` is a file", common.runs.display());
            problems.push("--runs", message, "a folder; it is made if it is not there");
        }
        let mut keep = Keep::default_for(around.terminal, around.ci);
        let mut pause_after = None;
        let mut deadline = None;
        let mut repeat = Repeat::ONCE;
        let (mut contexts, mut rbac, mut reports) = (None, None, None);
        match &self.verb {
            Verb::Check(checking) => {
                (contexts, rbac) = own::read(&checking.own, &common, around.kubeconfig, &mut problems);
            }
            Verb::Run(run) => {
                contexts = brought::read(run, &file.scenario.istio_namespace, around.kubeconfig, &mut problems);
                keep = problems.keep(self::keep(run.keep.as_deref(), keep)).unwrap_or(keep);
                deadline = problems.keep(self::deadline(run.deadline.as_deref())).flatten();
                pause_after.clone_from(&run.pause_after);
                if let Some(most) = problems.keep(times(run.repeat.as_deref())).flatten() {
                    repeat = Repeat { most: Some(most), until_fail: run.until_fail };
                } else if run.until_fail {
                    repeat = Repeat { most: None, until_fail: true };
                }
                if run.keep.is_none() && !repeat.is_once() && !repeat.until_fail {
                    // A lab that is kept would be in the way of the next run.
                    keep = Keep::Never;
                }
                if run.pause_after.is_some() && !repeat.is_once() {
                    let message = "nobody waits at a lab that is made again and again";
                    problems.push("--pause-after", message, "one of them: --pause-after, or --repeat and --until-fail");
                }
                let left_out = &file.scenario.install.without;
                let steps = file.scenario.install.steps(around.steps);
                let known = |step: &str| no_step(step, per_remote::base(step, &file.scenario), &steps, left_out);
                problems.0.extend(run.pause_after.as_deref().and_then(known));
            }
            Verb::Uninstall(uninstalling) if uninstalling.record.is_some() => {
                for (flag, given) in [("--lab", common.lab.is_some()), ("--scenario", common.scenario.is_some())] {
                    if given {
                        let message = format!("{flag} means a lab, and --record clusters of yours");
                        problems.push(flag, message, format!("one of them: {flag} or --record"));
                    }
                }
            }
            Verb::Prove(proving) => {
                problems.0.extend(remotes::only_one("prove", &file.scenario));
                keep = problems.keep(self::keep(proving.keep.as_deref(), keep)).unwrap_or(keep);
            }
            Verb::Field(FieldArgs { verb: FieldVerb::Run(run) }) => {
                problems.keep(self::keep(run.keep.as_deref(), keep));
                problems.keep(self::deadline(run.deadline.as_deref()));
                for version in &run.istio {
                    if let Err((message, instead)) = around.versions.check(Component::Istio, version) {
                        problems.push("--istio", message, instead);
                    }
                }
                if common.scenario.is_some() {
                    let message = "the issues are the scenarios";
                    problems.push("--scenario", message, "the file without the flag: meshproof field run FILE");
                }
            }
            Verb::Down(down) if down.all => {
                let named = [("--lab", common.lab.is_some()), ("--scenario", common.scenario.is_some())];
                for (flag, _) in named.into_iter().filter(|(_, given)| *given) {
                    let message = format!("--all removes every lab, and {flag} names one");
                    problems.push("--all", message, format!("one of them: --all or {flag}"));
                }
            }
            Verb::Inspect(inspecting) => reports = problems.keep(inspecting.wanted()),
            Verb::Capture(capturing) => {
                problems.keep(capturing.wanted(around.kubeconfig));
            }
            Verb::Versions(VersionsArgs { verb: Some(VersionsVerb::Add(adding)) }) => {
                problems.keep(adding.wanted());
            }
            Verb::Report(report) if !runs::events(&report.events).is_file() => {
                let message = format!("there is no run in `{}`", report.events.display());
                problems.push("RUN", message, "the folder of a run, such as runs/latest, or its events.jsonl");
            }
            _ => {}
        }
        let (Some(selection), Some(rounds), Some(slow), Some(engine), Some(origins)) =
            (selection, rounds, slow, engine, origins)
        else {
            return Err(problems);
        };
        let named = |sabotage: &&Sabotage| {
            file.scenario.timeline.iter().any(|moment| matches!(moment, Moment::Sabotage(id) if *id == sabotage.id))
        };
        let sabotages = around.sabotages.iter().filter(named).cloned().collect();
        problems.or(Request {
            verb: self.verb.clone(),
            file,
            from_file: common.scenario.is_some(),
            not_rebuilt: not_rebuilt.unwrap_or_default(),
            selection,
            rounds,
            sabotages,
            symptoms: around.symptoms.clone(),
            pause_after,
            contexts,
            reports,
            rbac,
            without: Vec::new(),
            keep,
            repeat,
            deadline,
            budgets: Budgets { slow },
            runs: common.runs,
            engine,
            origins,
            telling: self.verb.telling(),
        })
    }
}

impl Cli {
    /// The checks that are asked in the end: what the flags say goes before what the scenario says. Verbs that choose none
    /// ask all of them.
    fn selection(&self, scenario: &Scenario, around: &Surroundings<'_>) -> Result<Selection, Problems> {
        let choice = self.verb.choice();
        let (only, skip) = (trimmed(&choice.only), trimmed(&choice.skip));
        let by_flags = !only.is_empty() || !skip.is_empty();
        if by_flags || !matches!(self.verb, Verb::Run(_) | Verb::Check(_) | Verb::Plan(_) | Verb::List(_)) {
            return select(around.catalogue, &only, &skip);
        }
        select(around.catalogue, &scenario.checks.only, &scenario.checks.skip)
    }
}

/// The checks that each round of the timeline asks: those of an installed mesh alone.
fn rounds(scenario: &Scenario, around: &Surroundings<'_>) -> Result<Vec<Selection>, Problems> {
    let installed: Vec<CaseOutline> = around.catalogue.iter().filter(|case| !case.after_clean_up).cloned().collect();
    scenario.rounds().map(|round| select(&installed, &round.only, &round.skip)).collect()
}

fn built_in(versions: &Versions) -> ScenarioFile {
    ScenarioFile::built_in(Scenario::default_primary_remote(versions))
}

fn scenario_file(common: &Common, around: &Surroundings<'_>) -> Result<ScenarioFile, Problems> {
    let Some(path) = &common.scenario else { return Ok(built_in(around.versions)) };
    let text = fs::read_to_string(path).map_err(|error| {
        let message = format!("cannot read `{}`: {error}", path.display());
        let instead =
            "a scenario file such as suites/scenarios/primary-remote.yaml; without the flag, the guide's own names";
        Problems::from(Problem::new("--scenario", message, instead))
    })?;
    ScenarioFile::parse(&text, &path.display().to_string(), around.known())
}

fn trimmed(patterns: &[String]) -> Vec<String> {
    patterns.iter().map(|pattern| pattern.trim().to_string()).collect()
}

fn slow(text: Option<&str>) -> Result<f64, Problems> {
    let Some(text) = text else { return Ok(1.0) };
    match text.parse::<f64>() {
        Ok(factor) if (1.0..=100.0).contains(&factor) => Ok(factor),
        _ => Err(Problem::new("--slow", format!("`{text}` is no factor"), "a number from 1 to 100, such as 2").into()),
    }
}

fn times(text: Option<&str>) -> Result<Option<u32>, Problems> {
    let Some(text) = text else { return Ok(None) };
    match text.parse::<u32>() {
        Ok(times) if times > 0 => Ok(Some(times)),
        _ => {
            let message = format!("`{text}` is no number of runs");
            Err(Problem::new("--repeat", message, "a whole number from 1, such as 20").into())
        }
    }
}

fn deadline(text: Option<&str>) -> Result<Option<Duration>, Problems> {
    let Some(text) = text else { return Ok(None) };
    length(text).map(Some).map_err(|(message, instead)| Problem::new("--deadline", message, instead).into())
}

fn engine(text: Option<&str>) -> Result<EngineUse, Problems> {
    match text.unwrap_or_default() {
        "" | "auto" => Ok(EngineUse::Auto),
        "existing" => Ok(EngineUse::Existing),
        other => {
            Err(Problem::new("--engine or ENGINE", format!("`{other}` is not known"), "`existing` or `auto`").into())
        }
    }
}

fn keep(text: Option<&str>, otherwise: Keep) -> Result<Keep, Problems> {
    let Some(text) = text else { return Ok(otherwise) };
    let names = Keep::NAMES.map(|(name, _)| name);
    Keep::NAMES
        .into_iter()
        .find(|(name, _)| *name == text)
        .map(|(_, keep)| keep)
        .ok_or_else(|| Problem::new("--keep", format!("`{text}` does not say when"), any_of(&names)).into())
}

fn no_step(step: &str, base: &str, steps: &[&str], left_out: &[String]) -> Option<Problem> {
    if left_out.iter().any(|other| other == step) {
        let message = format!("the scenario leaves out step `{step}`");
        return Some(Problem::new("--pause-after", message, "a step that is carried out"));
    }
    if steps.contains(&base) {
        return None;
    }
    let instead = match nearest(step, steps.iter().copied()) {
        Some(meant) => format!("`{meant}`"),
        None => any_of(steps),
    };
    Some(Problem::new("--pause-after", format!("there is no step `{step}`"), instead))
}
