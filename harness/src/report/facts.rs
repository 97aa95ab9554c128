//! What a run was about: versions, digests, clusters and deviations, as lines that every report can carry.

use std::collections::BTreeMap;

use super::summary::{LabFacts, MeshFacts, Summary};
use super::text;
use crate::event::ClusterFacts;
use crate::plan::{Deviation, Plan, Target};
use crate::scenario::Scenario;

/// One `name = value` line for each fact, in a fixed order.
pub fn lines(summary: &Summary) -> Vec<String> {
    rows(summary).iter().map(|(name, value)| text::one_line(&format!("{name} = {value}"))).collect()
}

/// Each fact with its value, in a fixed order.
pub fn rows(summary: &Summary) -> Vec<(String, String)> {
    let mut facts = Vec::new();
    if let Some(head) = &summary.head {
        facts.push(("meshproof".to_string(), head.meshproof.clone()));
        facts.push(("run".to_string(), head.run.clone()));
        facts.push(("verb".to_string(), head.verb.clone()));
    }
    facts.extend(summary.plan.iter().flat_map(of_plan));
    facts.extend(summary.ready.iter().flat_map(of_lab));
    facts.extend(summary.found.iter().flat_map(of_mesh));
    // Cases run side by side, so the suite's own time, which adds them up, is not how long the run took.
    facts.push(("wall-clock seconds".to_string(), format!("{:.1}", summary.elapsed)));
    for (id, at) in &summary.reached {
        facts.push((format!("{id} reached, seconds"), format!("{at:.1}")));
    }
    let path = summary.times.critical_path();
    let steps: Vec<String> = path.iter().map(|span| format!("{} {:.2}", span.id, span.seconds())).collect();
    if !steps.is_empty() {
        facts.push(("critical path, seconds".to_string(), steps.join(" > ")));
    }
    if let Some(usage) = summary.finished.as_ref().and_then(|finish| finish.usage) {
        facts.push(("harness".to_string(), usage.to_string()));
    }
    let remarks = summary.notes.iter().map(|note| ("note".to_string(), note.clone()));
    let deviations = deviations(summary)
        .into_iter()
        .map(|row| ("deviation from the guide".to_string(), format!("{} | {}", row.what, row.why)));
    facts.extend(remarks.chain(deviations));
    facts
}

/// Where the run does otherwise than the guide: the plan knows what is so in any case, the rest follows from the images that were had.
pub fn deviations(summary: &Summary) -> Vec<&Deviation> {
    let planned: Vec<&Deviation> = summary.plan.iter().flat_map(|plan| &plan.deviations).collect();
    let by_images = summary.ready.iter().flat_map(|lab| &lab.deviations).filter(|row| !planned.contains(row));
    planned.iter().copied().chain(by_images).collect()
}

/// What was judged and what it was made of, name to value: what two runs have in common where they are alike.
pub fn of_what(summary: &Summary) -> BTreeMap<String, String> {
    let head = summary.head.iter().map(|head| ("meshproof".to_string(), head.meshproof.clone()));
    let plan = summary.plan.iter().flat_map(of_plan);
    let lab = summary.ready.iter().flat_map(of_lab);
    let mesh = summary.found.iter().flat_map(of_mesh);
    let rows = deviations(summary).into_iter().map(|row| (format!("deviation: {}", row.what), row.why.clone()));
    let facts = head.chain(plan).chain(lab).chain(mesh).chain(rows);
    // These are another in every run.
    facts.filter(|(name, _)| name != "lab" && !name.ends_with(" uid")).collect()
}

fn of_plan(plan: &Plan) -> Vec<(String, String)> {
    match &plan.target {
        Target::Lab { scenario, .. } => of_scenario(scenario),
        Target::Brought { scenario, contexts, .. } => {
            let each = contexts.iter().map(|(role, context)| (format!("{role} context"), context.clone()));
            let mut facts = vec![("istio".to_string(), scenario.istio.clone())];
            facts.extend(each);
            facts
        }
        Target::Contexts { contexts, istio_namespace } => {
            let each = contexts.iter().map(|(role, context)| (format!("{role} context"), context.clone()));
            let how = ("judged".to_string(), "by reading only; nothing was written".to_string());
            each.chain([("istio namespace".to_string(), istio_namespace.to_string()), how]).collect()
        }
        Target::Archives { archives, istio_namespace } => {
            let each = archives.iter().map(|(role, archive)| (format!("{role} archive"), archive.clone()));
            let how = ("judged".to_string(), "by two bug reports; no cluster was asked".to_string());
            each.chain([("istio namespace".to_string(), istio_namespace.to_string()), how]).collect()
        }
    }
}

fn of_scenario(scenario: &Scenario) -> Vec<(String, String)> {
    let described = Some(scenario.description.clone()).filter(|text| !text.is_empty());
    let described = described.map(|text| ("shows".to_string(), text));
    let threads = scenario.threads.iter().map(|thread| ("thread".to_string(), thread.address()));
    let mut facts = vec![("scenario".to_string(), scenario.name.clone())];
    facts.extend(described.into_iter().chain(threads));
    facts.extend([
        ("lab".to_string(), scenario.lab.clone()),
        ("istio".to_string(), scenario.istio.clone()),
        ("kubernetes".to_string(), scenario.kubernetes.clone()),
    ]);
    facts
}

fn of_mesh(mesh: &MeshFacts) -> Vec<(String, String)> {
    let clusters = mesh.clusters.values().flat_map(of_cluster);
    let facts = mesh.facts.iter().map(|(name, value)| (name.clone(), value.clone()));
    clusters.chain(facts).collect()
}

fn of_cluster(cluster: &ClusterFacts) -> [(String, String); 2] {
    [
        (format!("{} kubernetes", cluster.name), cluster.kubernetes.clone()),
        (format!("{} kube-system uid", cluster.name), cluster.kube_system_uid.clone()),
    ]
}

fn of_lab(lab: &LabFacts) -> Vec<(String, String)> {
    let mut facts = vec![("data plane".to_string(), lab.data_plane.clone())];
    if !lab.image_source.is_empty() {
        facts.push(("image source".to_string(), lab.image_source.clone()));
    }
    facts.extend(lab.clusters.values().flat_map(of_cluster));
    facts.extend(lab.images.iter().map(|(name, digest)| (format!("image {name}"), digest.clone())));
    facts
}
