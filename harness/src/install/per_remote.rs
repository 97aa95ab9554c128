//! The steps that each remote has of its own, where one primary has several.

use super::step::Step;
use crate::scenario::Scenario;

/// All of them, as they are called of the first remote. Those of the primary are the pods that stand across from the
/// remote's, and what makes the remote known.
const STEPS: [&str; 13] = [
    "pod-network-remote",
    "annotate-namespace",
    "remote-install",
    "probe-remote",
    "token-before-secret",
    "remote-secret",
    "tag-remote",
    "workloads-remote",
    "workloads-primary",
    "remove-workloads-remote",
    "remove-tags-remote",
    "uninstall-remote",
    "delete-namespace-remote",
];

/// Whether each remote has such a step of its own; the others are done once.
pub fn is_of_each(id: &str) -> bool {
    STEPS.contains(&id)
}

/// The id of a step for the remote of this name: `remote-install-cluster3`. That of the first remote, which has no name
/// here, is the id itself, and so is that of a step that is done once.
pub fn id(id: &str, further: Option<&str>) -> String {
    match further {
        Some(name) if is_of_each(id) => format!("{id}-{name}"),
        _ => id.to_string(),
    }
}

/// The step that this id is of, as it is called of the first remote, where it is the id of a step at all: the other way
/// round than [`id`].
pub fn base<'i>(id: &'i str, scenario: &Scenario) -> &'i str {
    let remotes = scenario.clusters.remotes().iter().skip(1);
    let bases = remotes.filter_map(|wish| id.strip_suffix(&wish.name)?.strip_suffix('-'));
    bases.into_iter().find(|base| is_of_each(base)).unwrap_or(id)
}

/// The same, whatever the remote is called.
pub fn base_of_any(id: &str) -> &str {
    let of_further = |step: &&str| id.strip_prefix(step).is_some_and(|rest| rest.starts_with('-'));
    STEPS.into_iter().find(of_further).map_or(id, |step| &id[..step.len()])
}

/// The steps of a scenario that is seen from a remote after the first, without those that are done once.
pub(super) fn of(mut steps: Vec<Step>, scenario: &Scenario) -> Vec<Step> {
    let (at, further) = (scenario.clusters.at(), scenario.clusters.further());
    let further = further.as_deref();
    steps.retain(|step| is_of_each(&step.id));
    for step in &mut steps {
        step.at = at;
        step.id = id(&step.id, further);
        for other in step.after.iter_mut().chain(&mut step.follows) {
            *other = id(other, further);
        }
        // The guide numbers its clusters.
        for command in &mut step.commands {
            *command = command
                .replace("CTX_CLUSTER2", &format!("CTX_CLUSTER{}", at + 2))
                .replace("cluster2.yaml", &operator_file(at));
        }
    }
    steps
}

/// The guide's name for the operator file of the remote of this number: `cluster2.yaml` is that of the first.
pub(super) fn operator_file(at: usize) -> String {
    format!("cluster{}.yaml", at + 2)
}
