//! The commands that go on from what a run came to: what is judged where it broke first, how to judge just that again, and how
//! to do all of it again.

use std::collections::BTreeMap;

use super::open::Kind;
use super::remains::Remains;
use super::summary::Summary;
use super::trouble::Trouble;
use crate::check::explanation;
use crate::context::own_id;
use crate::plan::Target;
use crate::reading::find::MESH;
use crate::role::Role;
use crate::scenario::{IstioNamespace, Scenario, lab_flag};
use crate::tool::quote;

/// What is done next about the first thing that is not as expected.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rerun {
    /// Prints what is judged there and how to look by hand; none for what is no check.
    pub explain: Option<String>,
    /// Does just that again; none where it would come to the same, and where the events do not tell how.
    pub again: Option<Call>,
}

/// A call of meshproof, as it is typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    text: String,
    from_file: bool,
}

impl Call {
    fn new(text: String) -> Call {
        Call { text, from_file: false }
    }

    /// The command; where it takes the scenario of the run from a file, a remark says where that `stands`.
    pub fn with_scenario(&self, stands: &str) -> String {
        match self.from_file {
            true => format!("{}   # {stands}, in a file", self.text),
            false => self.text.clone(),
        }
    }
}

/// Where the scenario stands for one who has the reports of the run beside.
pub const IN_REPORT: &str = "the scenario in report.html";

/// Asks for the scenario of a run where its flags are not known.
const FROM_FILE: &str = "--scenario scenario.yaml";

impl Rerun {
    /// The commands for this run. `flags` are those by which it got its scenario and versions, as they are typed.
    pub fn of(summary: &Summary, flags: Option<&str>) -> Rerun {
        let Some(trouble) = summary.first_broken() else { return Rerun::default() };
        let case = (trouble.class == "case").then(|| trouble.id.split(' ').next().unwrap_or_default());
        Rerun { explain: case.and_then(explanation::command), again: again(summary, &trouble, case, flags) }
    }
}

/// Does all of the run again; none where it would come to the same, and where the events do not tell how.
pub fn all(summary: &Summary) -> Option<Call> {
    let target = &summary.plan.as_ref()?.target;
    let Target::Lab { scenario, .. } = target else { return elsewhere(summary, target, "") };
    let verb = &summary.head.as_ref()?.verb;
    let (free, lab) = (free(summary, scenario), lab_flag(&scenario.lab));
    Some(Call { text: format!("{free}meshproof {verb} {FROM_FILE}{lab}"), from_file: true })
}

fn again(summary: &Summary, trouble: &Trouble, case: Option<&str>, flags: Option<&str>) -> Option<Call> {
    let only = case.map(|case| format!(" --only {}", quote(own_id(case)))).unwrap_or_default();
    match &summary.plan.as_ref()?.target {
        Target::Lab { scenario, .. } => Some(on_lab(summary, scenario, trouble, case, &only, flags)),
        target @ Target::Contexts { .. } => elsewhere(summary, target, &only),
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
) -> Call {
    let lab = lab_flag(&scenario.lab);
    if trouble.class == Kind::Removal.class() && Kind::of_lab_part(&trouble.id) == Kind::Removal {
        return Call::new(format!("meshproof down{lab}"));
    }
    let verb = summary.head.as_ref().map_or("run", |head| &head.verb);
    let in_round = case.is_some_and(|id| scenario.rounds().any(|round| id.starts_with(&format!("{}/", round.name))));
    let after_clean_up = case.is_some_and(|id| summary.case(id).is_some_and(|case| case.outline.after_clean_up));
    let cleans_up = after_clean_up || trouble.class == Kind::CleanUp.class();
    if summary.remains() == Remains::Lab && !in_round {
        let on_it = match trouble.class {
            _ if cleans_up => Some(format!("uninstall{lab}")),
            "case" => Some(format!("check{lab}{only}")),
            "install" => Some(format!("install{lab}")),
            // The lab is not this verb's to be made anew.
            _ if !summary.makes_lab() => Some(format!("{verb}{lab}")),
            _ => None,
        };
        if let Some(on_it) = on_it {
            return Call::new(format!("meshproof {on_it}"));
        }
    }
    let from_file = flags.is_none() && !scenario.is_of_the_guide();
    let flags = match flags {
        Some("") => String::new(),
        Some(flags) => format!(" {flags}"),
        None if from_file => format!(" {FROM_FILE}"),
        None => format!(" --istio {} --kubernetes {}", quote(&scenario.istio), quote(&scenario.kubernetes)),
    };
    let judging = match verb {
        "up" => String::new(),
        // A round of a timeline is judged by going through all of it.
        _ if in_round => " --keep always".to_string(),
        // A lab that is kept is not cleaned up.
        _ if cleans_up => only.to_string(),
        _ => format!("{only} --keep always"),
    };
    let verb = if verb == "up" { verb } else { "run" };
    Call { text: format!("{}meshproof {verb}{lab}{flags}{judging}", free(summary, scenario)), from_file }
}

/// What goes before a verb that makes the lab, so that its name is free.
fn free(summary: &Summary, scenario: &Scenario) -> String {
    match summary.makes_lab() && summary.remains() != Remains::Nothing {
        true => format!("meshproof down{} && ", lab_flag(&scenario.lab)),
        false => String::new(),
    }
}

/// The call that judges clusters which are no lab, or what was written down of them.
fn elsewhere(summary: &Summary, target: &Target, only: &str) -> Option<Call> {
    // They were named in the wrong order, or are no mesh: what to call instead is said there.
    if summary.lab.iter().any(|part| part.id == MESH && part.end.as_ref().is_some_and(|end| end.error.is_some())) {
        return None;
    }
    let contexts = |names: &BTreeMap<Role, String>| quote(&names.values().cloned().collect::<Vec<_>>().join(","));
    let namespace = |namespace: &IstioNamespace| match namespace == &IstioNamespace::default() {
        true => String::new(),
        false => format!(" --istio-namespace {}", quote(namespace)),
    };
    let text = match target {
        Target::Lab { .. } => return None,
        Target::Brought { scenario, contexts: names, .. } => {
            let (names, istio) = (contexts(names), quote(&scenario.istio));
            let namespace = namespace(&scenario.istio_namespace);
            // The image is not among the events.
            let image = "--workload-image IMAGE";
            format!("meshproof run --contexts {names} --allow-install --istio {istio}{namespace} {image}")
        }
        Target::Contexts { contexts: names, istio_namespace } => {
            let (names, namespace) = (contexts(names), namespace(istio_namespace));
            format!("meshproof check --contexts {names} --read-only{namespace}{only}")
        }
        Target::Archives { archives, istio_namespace } => {
            let archives: Vec<String> = archives.values().map(|archive| quote(archive)).collect();
            format!("meshproof inspect {}{}", archives.join(" "), namespace(istio_namespace))
        }
    };
    Some(Call::new(text))
}
