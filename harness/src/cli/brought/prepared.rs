//! What comes before anything is made: the clusters are reached, all that stands in the way is found, and the plan is made.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::brought::ledger::Before;
use crate::brought::open::Opened;
use crate::brought::record::{ClusterRecord, FORM, Record};
use crate::brought::{Ledger, open, preflight, show};
use crate::check::case::Case;
use crate::check::verdict::chain;
use crate::cli::args::{Bringing, Request};
use crate::cli::claim::Base;
use crate::cli::rounds;
use crate::context::Context;
use crate::event::{ClusterFacts, Recorder};
use crate::install::facts::Facts;
use crate::install::{Step, StepError, announced, inventory, primary_remote};
use crate::lab::state::LAB_FORMAT;
use crate::lab::{Cluster, Ground, Lab, LabFile, images};
use crate::per_cluster::PerCluster;
use crate::plan::{Plan, Target};
use crate::problem::{Problem, Problems};
use crate::reading::Contexts;
use crate::role::Role;
use crate::scenario::Scenario;

/// Clusters in which nothing stands in the way, and the plan for them.
pub struct Prepared {
    /// The clusters as steps and checks see them.
    pub lab: Lab,
    /// The record, not written down yet.
    pub ledger: Arc<Ledger>,
    /// The steps.
    pub steps: Vec<Step>,
    /// The plan.
    pub plan: Plan,
    /// What closes the clusters in the end.
    pub opened: Opened,
}

/// Reaches the clusters, asks istioctl what it will make, and finds all that stands in the way.
///
/// # Errors
/// All of that.
pub async fn prepare(
    request: &Request,
    flags: &Bringing,
    contexts: &Contexts,
    cases: &[Case],
    base: Base<'_>,
) -> Result<Prepared, Problems> {
    let silent = Recorder::new(Vec::new());
    let (budgets, scenario) = (&request.budgets, request.scenario());
    let mut problems = Problems::new();
    let files = images::Files { home: base.home, origins: &request.origins, recorder: &silent, budgets };
    let release = images::istio_release(&files, base.root, base.picked).await.map_err(|error| match error {
        images::ImageError::Problems(problems) => problems,
        error => {
            let instead = "have it fetched or built first: `meshproof images build`; or name a mirror: --releases";
            Problem::new("--istio", format!("samples and istioctl are missing: {}", chain(&error)), instead).into()
        }
    });
    let release = problems.keep(release);
    let names = [Role::Primary, Role::Remote].map(|role| scenario.clusters[&role].name.as_str());
    problems.0.extend(open::out_of_reach(contexts));
    let opened = problems.keep(open::open(contexts, names, base.home, budgets).await);
    let (Some(release), Some(opened)) = (release, opened) else { return Err(problems) };
    if !problems.is_empty() {
        return Err(problems);
    }
    let scenario = as_they_are(scenario, &opened);
    let image = flags.workload_image.as_deref().unwrap_or_default();
    let steps = primary_remote::on_brought(primary_remote::steps(&scenario, image));
    let of_clusters = |error: &dyn std::error::Error| Problem::new("--contexts", chain(error), "see what kubectl says");
    let file = lab_file(request, &scenario, &opened, release, image);
    let record = record(&scenario, &steps, &opened).map_err(|error| of_clusters(&error))?;
    let ledger = Arc::new(Ledger::planned(record));
    let lab = Lab::unmade(&opened.home, file, Ground::Brought(Arc::clone(&ledger)));
    opened.clusters.iter().for_each(|cluster| lab.add(cluster.clone()));
    let context = Context::new(lab.clone(), silent, request.budgets);
    let told = announced::of(&context).await.map_err(|StepError(why)| {
        Problem::new(
            "--istioctl or --overlay",
            why,
            "what istioctl can make manifests of: `istioctl manifest generate`",
        )
    })?;
    for (role, announced) in told {
        ledger.announce(role, announced);
    }
    let mut before = Before::new();
    for cluster in &opened.clusters {
        let record = ledger.of(cluster.role);
        let rights = preflight::rights(cluster, &record).await;
        // Who may not make anything may not see everything.
        if !rights.is_empty() {
            problems.take(rights);
            continue;
        }
        let found = inventory::objects(cluster).await.map_err(|error| of_clusters(&error).into());
        if let Some(found) = problems.keep(found) {
            problems.take(preflight::in_the_way(cluster, &record, &found));
            before.insert(cluster.role, found);
        }
    }
    problems.or(())?;
    ledger.found(before);
    let plan = Plan {
        target: Target::Brought {
            scenario: Box::new(scenario.clone()),
            contexts: contexts.names.clone(),
            creates: Role::ALL.map(|role| (role, show::lines(&ledger.of(role), ledger.before(role)))).into(),
        },
        steps: steps.iter().map(Step::outline).collect(),
        cases: rounds::outlines_of(&scenario, "", cases),
        deviations: primary_remote::deviations_on_brought(&scenario),
    };
    Ok(Prepared { lab, ledger, steps, plan, opened })
}

/// The scenario as these clusters are: their version, and how many of their nodes take pods.
fn as_they_are(scenario: &Scenario, opened: &Opened) -> Scenario {
    let mut scenario = Scenario { lab: opened.lab.clone(), ..scenario.clone() };
    scenario.kubernetes.clone_from(&opened.facts[0].kubernetes);
    for cluster in &opened.clusters {
        scenario.clusters[&cluster.role].nodes = u32::try_from(cluster.nodes.len()).unwrap_or(u32::MAX);
    }
    scenario
}

fn lab_file(
    request: &Request,
    scenario: &Scenario,
    opened: &Opened,
    release: std::path::PathBuf,
    workload_image: &str,
) -> LabFile {
    let candidate = &request.scenario().candidate;
    let hub_and_tag = candidate.hub.clone().zip(candidate.tag.clone());
    let images = match &hub_and_tag {
        Some((hub, tag)) => format!("Istio's from {hub}, {tag}"),
        None => "Istio's as its istioctl has them".to_string(),
    };
    let [primary, remote] = opened.facts.clone();
    LabFile {
        format: LAB_FORMAT,
        meshproof: crate::version().to_string(),
        scenario: scenario.clone(),
        topology: None,
        clusters: PerCluster::new(primary, vec![remote]),
        routes: Vec::new(),
        images: BTreeMap::new(),
        image_source: format!("pulled by the clusters; {images}"),
        data_plane: "what proxyv2 of these images has".to_string(),
        workload_image: workload_image.to_string(),
        release,
        further: BTreeMap::new(),
        istioctl: candidate.istioctl.clone().map(|path| std::path::absolute(&path).unwrap_or(path)),
        hub_and_tag,
        facts: Facts::default(),
        proved: Vec::new(),
        failed: BTreeMap::new(),
    }
}

/// What is known of what will be made before istioctl is asked.
fn record(scenario: &Scenario, steps: &[Step], opened: &Opened) -> Result<Record, StepError> {
    let of = |(cluster, facts): (&Cluster, &ClusterFacts)| {
        let actions = steps.iter().filter(|step| step.role == cluster.role).map(|step| &step.action);
        let announced = announced::of_harness(actions)?;
        let mut namespaces = vec![cluster.istio_namespace.to_string()];
        namespaces.extend(announced.iter().filter(|entry| entry.kind == "Namespace").map(|entry| entry.name.clone()));
        let record = ClusterRecord {
            name: facts.name.clone(),
            context: facts.context.clone(),
            server: cluster.server()?,
            kube_system_uid: facts.kube_system_uid.clone(),
            namespaces,
            announced,
            created: Vec::new(),
        };
        Ok::<_, StepError>((cluster.role, record))
    };
    let clusters = opened.clusters.iter().zip(&opened.facts).map(of).collect::<Result<_, _>>()?;
    Ok(Record {
        form: FORM,
        meshproof: crate::version().to_string(),
        started: jiff::Timestamp::now(),
        installed: None,
        removed: None,
        istio_namespace: scenario.istio_namespace.clone(),
        clusters,
    })
}
