//! What a picture of a mesh shows, read from the events alone: clusters, their nodes and pods with their addresses, the gateway.

use std::collections::{BTreeMap, BTreeSet};

use crate::check::evidence::Item;
use crate::event::{ClusterFacts, StepOutcome};
use crate::plan::Target;
use crate::report::{Summary, pod_name};

/// A cluster of the picture.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Shown {
    /// Istio's name for it.
    pub name: String,
    /// Its nodes, each with its address.
    pub nodes: Vec<(String, String)>,
    /// Sample workloads that were seen, each with the address of its pod, where that was told.
    pub workloads: Vec<(String, String)>,
}

/// A primary and the remote that it is shown with.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pair {
    /// The primary.
    pub primary: Shown,
    /// The remote.
    pub remote: Shown,
    /// Whether it is the first remote, whose checks have no name before their id.
    pub first: bool,
    /// Names of the other remotes.
    pub others: Vec<String>,
    /// The Docker network and its addresses, of a lab.
    pub network: String,
    /// The address of the east-west gateway, where one was seen.
    pub gateway: String,
}

/// The pairs of a run, if it says which clusters there are.
pub fn pairs(summary: &Summary) -> Vec<Pair> {
    let clusters = clusters(summary);
    let Some((primary, remotes)) = clusters.split_first() else { return Vec::new() };
    let network = match summary.plan.as_ref().map(|plan| &plan.target) {
        Some(Target::Lab { topology, .. }) => {
            format!("Docker network {}, {}", topology.network.name, topology.network.subnet)
        }
        _ => String::new(),
    };
    let address =
        all(summary).find(|item| item.field == "status.loadBalancer.ingress[0]").map(|item| item.value.clone());
    let pair = |(number, remote): (usize, &ClusterFacts)| Pair {
        primary: shown(summary, primary),
        remote: shown(summary, remote),
        first: number == 0,
        others: remotes.iter().map(|other| other.name.clone()).filter(|other| *other != remote.name).collect(),
        network: network.clone(),
        gateway: address.clone().unwrap_or_default(),
    };
    remotes.iter().enumerate().map(pair).collect()
}

/// The clusters, the primary first: as they said of themselves, else as they were planned.
fn clusters(summary: &Summary) -> Vec<ClusterFacts> {
    if let Some(lab) = &summary.ready {
        return lab.clusters.values().cloned().collect();
    }
    if let Some(mesh) = &summary.found {
        return mesh.clusters.values().cloned().collect();
    }
    let planned = |name: &String| ClusterFacts {
        name: name.clone(),
        kubernetes: String::new(),
        kube_system_uid: String::new(),
        context: String::new(),
        nodes: BTreeMap::new(),
    };
    match summary.plan.as_ref().map(|plan| &plan.target) {
        Some(Target::Lab { topology, .. }) => {
            topology.clusters.values().map(|cluster| planned(&cluster.name)).collect()
        }
        Some(Target::Brought { scenario, .. }) => {
            scenario.clusters.values().map(|cluster| planned(&cluster.name)).collect()
        }
        _ => Vec::new(),
    }
}

fn shown(summary: &Summary, cluster: &ClusterFacts) -> Shown {
    let nodes = cluster.nodes.iter().map(|(name, address)| (name.clone(), address.clone())).collect();
    let addresses: BTreeMap<String, String> = all(summary)
        .filter(|item| item.field == "status.podIP")
        .filter_map(|item| Some((pod(item, &cluster.name)?, item.value.rsplit(' ').next()?.to_string())))
        .collect();
    let pods: BTreeSet<String> = of_steps(summary).filter_map(|item| pod(item, &cluster.name)).collect();
    let sample = pods.iter().filter(|pod| pod.starts_with("meshproof-sample"));
    let workload = |pod: &String| {
        let name = pod.rsplit('/').next().unwrap_or(pod);
        (pod_name::owner(name).unwrap_or(name).to_string(), addresses.get(pod).cloned().unwrap_or_default())
    };
    Shown { name: cluster.name.clone(), nodes, workloads: sample.map(workload).collect() }
}

/// The pod of this cluster that an item is about, as `namespace/name`.
fn pod(item: &Item, cluster: &str) -> Option<String> {
    let rest = item.object.strip_prefix(cluster)?.strip_prefix(" pod ")?;
    rest.split(' ').next().map(str::to_string)
}

fn all(summary: &Summary) -> impl Iterator<Item = &Item> {
    let cases = summary.cases.iter().filter_map(|case| case.verdict.as_ref()?.evidence());
    of_steps(summary).chain(cases.flat_map(|seen| &seen.items))
}

fn of_steps(summary: &Summary) -> impl Iterator<Item = &Item> {
    let proved = summary.steps.iter().filter_map(|step| match &step.outcome {
        Some(StepOutcome::Proved { evidence }) => Some(evidence),
        _ => None,
    });
    proved.flat_map(|seen| &seen.items)
}
