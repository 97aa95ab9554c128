//! The commands that go on from what broke first: what is judged there, and how to judge just that again.

use super::summary::Summary;
use super::trouble::Trouble;
use crate::check::explanation;
use crate::context::own_id;
use crate::plan::Target;
use crate::scenario::{IstioNamespace, Scenario, lab_flag};
use crate::tool::quote;

/// What is done next about the first thing that is not as expected.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rerun {
    /// Prints what is judged there and how to look by hand; none for what is no check.
    pub explain: Option<String>,
    /// Does just that again; none where the events do not tell how.
    pub again: Option<String>,
}

impl Rerun {
    /// The commands for this run. `flags` are those by which it got its scenario and versions, as they are typed; without
    /// them a lab that is gone can be made again only where it was the guide's own.
    pub fn of(summary: &Summary, flags: Option<&str>) -> Rerun {
        let Some(trouble) = summary.first_broken() else { return Rerun::default() };
        let case = (trouble.class == "case").then(|| trouble.id.split(' ').next().unwrap_or_default());
        let check = case.map(own_id);
        Rerun { explain: case.and_then(explanation::command), again: again(summary, &trouble, case, check, flags) }
    }
}

fn again(
    summary: &Summary,
    trouble: &Trouble,
    case: Option<&str>,
    check: Option<&str>,
    flags: Option<&str>,
) -> Option<String> {
    let contexts = |names: Vec<String>| quote(&names.join(","));
    let only = check.map(|check| format!(" --only {}", quote(check))).unwrap_or_default();
    match &summary.plan.as_ref()?.target {
        Target::Lab { scenario, .. } => on_lab(summary, scenario, trouble, case, &only, flags),
        Target::Contexts { contexts: names, istio_namespace } => {
            let names = contexts(names.values().cloned().collect());
            let namespace = match istio_namespace == &IstioNamespace::default() {
                true => String::new(),
                false => format!(" --istio-namespace {istio_namespace}"),
            };
            Some(format!("meshproof check --contexts {names} --read-only{namespace}{only}"))
        }
        // Only the names of the files are known, or not all flags.
        Target::Brought { .. } | Target::Archives { .. } => None,
    }
}

fn on_lab(
    summary: &Summary,
    scenario: &Scenario,
    trouble: &Trouble,
    case: Option<&str>,
    only: &str,
    flags: Option<&str>,
) -> Option<String> {
    let lab = lab_flag(&scenario.lab);
    let in_round = case.is_some_and(|id| scenario.rounds().any(|round| id.starts_with(&format!("{}/", round.name))));
    let after_clean_up = case.is_some_and(|id| summary.case(id).is_some_and(|case| case.outline.after_clean_up));
    if summary.finished.as_ref().is_some_and(|finish| finish.lab_kept) && !in_round {
        let verb = match trouble.class {
            "case" if !after_clean_up => Some(format!("check{lab}{only}")),
            "case" | "clean-up" => Some(format!("uninstall{lab}")),
            "install" => Some(format!("install{lab}")),
            _ => None,
        };
        if let Some(verb) = verb {
            return Some(format!("meshproof {verb}"));
        }
    }
    let own =
        || (scenario.name == GUIDE).then(|| format!("--istio {} --kubernetes {}", scenario.istio, scenario.kubernetes));
    let flags = flags.map(str::to_string).or_else(own)?;
    let flags = if flags.is_empty() { String::new() } else { format!(" {flags}") };
    // A round of a timeline is judged by going through all of it.
    let only = if in_round { "" } else { only };
    let keep = if after_clean_up { "" } else { " --keep always" };
    Some(format!("meshproof run{lab}{flags}{only}{keep}"))
}

/// The name of the scenario that no file is needed for.
const GUIDE: &str = "primary-remote";
