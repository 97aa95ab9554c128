//! A plan for people: the guide's own commands, in order, with what proves each step, before anything happens.

use std::collections::BTreeMap;

use super::text;
use crate::plan::{CaseOutline, Deviation, Phase, Plan, StepOutline, Target};
use crate::role::Role;
use crate::scenario::{Scenario, Thread};
use crate::topology::Topology;

/// The page that is judged.
const GUIDE: &str = "https://istio.io/latest/docs/setup/install/multicluster/primary-remote/";

/// Renders a plan as plain text.
pub fn render(plan: &Plan) -> String {
    let mut parts = vec![head(plan)];
    parts.extend(steps(plan, Phase::Lab, "LAB"));
    parts.extend(steps(plan, Phase::Install, "INSTALL"));
    parts.extend(steps(plan, Phase::Timeline, "TIMELINE"));
    parts.extend(section("CHECKS", plan.cases.iter().map(|step| case(plan, step)).collect()));
    parts.extend(steps(plan, Phase::CleanUp, "CLEAN-UP"));
    parts.extend(section("DEVIATIONS FROM THE GUIDE", plan.deviations.iter().map(deviation).collect()));
    parts.join("\n\n") + "\n"
}

fn head(plan: &Plan) -> String {
    match &plan.target {
        Target::Lab { scenario, topology } => lab(scenario, topology),
        Target::Brought { scenario, contexts, creates } => brought(scenario, contexts, creates),
        Target::Contexts { contexts, istio_namespace } => {
            let mut lines =
                vec![plan.name(), format!("guide    {GUIDE}"), format!("istio    {istio_namespace}, read only")];
            lines.extend(contexts.iter().map(|(role, context)| format!("{:<7}  context {context}", role.as_str())));
            lines.join("\n")
        }
        Target::Archives { archives, istio_namespace } => {
            let mut lines =
                vec![plan.name(), format!("guide    {GUIDE}"), format!("istio    {istio_namespace}, offline")];
            lines.extend(archives.iter().map(|(role, archive)| format!("{:<7}  {archive}", role.as_str())));
            lines.join("\n")
        }
    }
}

fn brought(scenario: &Scenario, contexts: &BTreeMap<Role, String>, creates: &BTreeMap<Role, Vec<String>>) -> String {
    let mut lines = vec![
        format!("{}  Istio {} on clusters of your own", scenario.name, scenario.istio),
        format!("guide    {GUIDE}"),
    ];
    for (role, context) in contexts {
        lines.push(format!("{:<7}  {}  context {context}", role.as_str(), scenario.clusters[role].name));
        lines.extend(creates.get(role).into_iter().flatten().map(|line| format!("           {line}")));
    }
    lines.join("\n")
}

fn lab(scenario: &Scenario, topology: &Topology) -> String {
    let network = &topology.network;
    let mut lines = vec![
        format!("{}  Istio {} on Kubernetes {}", scenario.name, scenario.istio, scenario.kubernetes),
        format!("guide    {GUIDE}"),
        format!("lab      {}, images: {}", topology.lab, scenario.images.as_str()),
        format!(
            "network  {}  {}, nodes {}, gateways {}",
            network.name, network.subnet, network.nodes, network.gateways
        ),
    ];
    lines.extend(topology.clusters.iter().map(|(member, cluster)| {
        let subnets = format!("pods {}, services {}", cluster.pod_subnet, cluster.service_subnet);
        let nodes = if cluster.nodes > 1 { format!(", {} nodes", cluster.nodes) } else { String::new() };
        format!("{:<7}  {}  context {}, {subnets}{nodes}", member.role.as_str(), cluster.name, cluster.context)
    }));
    let threads: Vec<String> = scenario.threads.iter().map(Thread::address).collect();
    lines.extend(
        (!scenario.description.is_empty()).then(|| format!("shows    {}", text::one_line(&scenario.description))),
    );
    lines.extend((!threads.is_empty()).then(|| format!("threads  {}", threads.join(", "))));
    let several = [("istiod", scenario.istiod.replicas), ("gateway", scenario.gateway.replicas)];
    let several = several.into_iter().filter(|(_, replicas)| *replicas > 1);
    lines.extend(several.map(|(what, replicas)| format!("{what:<7}  {replicas} replicas")));
    lines.extend(scenario.gateway.address.map(|address| format!("gateway  at {address}")));
    let revision = scenario.install.revision();
    let tag = scenario.install.tag.iter().map(|tag| format!(", by tag {tag}")).collect::<String>();
    lines.extend((!revision.is_default()).then(|| format!("istiod   of revision {revision}{tag}")));
    lines.join("\n")
}

fn steps(plan: &Plan, phase: Phase, title: &str) -> Option<String> {
    let numbered = plan.steps.iter().enumerate().filter(|(_, step)| step.phase == phase);
    section(title, numbered.map(|(index, outline)| step(plan, index + 1, outline)).collect())
}

fn section(title: &str, entries: Vec<String>) -> Option<String> {
    (!entries.is_empty()).then(|| format!("{title}\n\n{}", entries.join("\n\n")))
}

fn step(plan: &Plan, number: usize, step: &StepOutline) -> String {
    let mut lines =
        vec![format!("{number:>4}  {}  ({})", step.id, step.role), field("", &step.title), field("guide", &step.guide)];
    if plan.scenario().is_some_and(|scenario| scenario.install.without.contains(&step.id)) {
        lines.push(field("", "left out by the scenario"));
    }
    lines.extend(list("after", &step.after));
    lines.extend(list("needs", &step.needs));
    lines.extend(list("teaches", &step.teaches));
    lines.extend(step.commands.iter().flat_map(|text| command(text)));
    lines.push(field("proof", &step.proof));
    lines.join("\n")
}

fn case(plan: &Plan, case: &CaseOutline) -> String {
    let mut lines = vec![format!("{:>4}  {}", case.id, case.slug), field("", &case.title), field("guide", &case.guide)];
    lines.extend(list("needs", &case.needs));
    lines.extend(plan.expected(&case.id).map(|verdict| field("expects", verdict)));
    lines.join("\n")
}

fn deviation(row: &Deviation) -> String {
    format!("      {}\n{}", row.what, field("why", &row.why))
}

fn field(name: &str, value: &str) -> String {
    let blank = if name.is_empty() { String::new() } else { format!("{name:<9}") };
    format!("      {blank}{value}")
}

fn list(name: &str, values: &[String]) -> Option<String> {
    (!values.is_empty()).then(|| field(name, &values.join(", ")))
}

/// A command as it is typed: a prompt before its first line, and the others below it as they are.
fn command(text: &str) -> Vec<String> {
    let line = |(index, line)| format!("      {} {line}", if index == 0 { '$' } else { ' ' });
    text.lines().enumerate().map(line).collect()
}
