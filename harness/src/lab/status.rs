//! Which labs there are, in what state, and the commands to look inside.

use std::fmt::Write;

use super::state::{Home, LabFile};
use super::{Engine, down, health};
use crate::check::verdict::chain;
use crate::install::facts::Fact;
use crate::install::standing::standing;
use crate::install::{action, primary_remote};
use crate::per_cluster::Member;
use crate::role::Role;
use crate::scenario::lab_flag;
use crate::tool::quote;

/// All labs of this host for a person.
pub async fn render(home: &Home, engine: Option<&Engine>) -> String {
    let mut text = String::new();
    let labs = match engine {
        Some(engine) => down::labs(engine, home).await.unwrap_or_else(|_| home.labs()),
        None => home.labs(),
    };
    if engine.is_none() {
        text.push_str("No Docker engine answers: what is said below is what lab.json remembers.\n");
    }
    if labs.is_empty() {
        text.push_str("There is no lab; make one: meshproof up\n");
    }
    for lab in labs {
        match LabFile::read(home, &lab) {
            Ok(file) => {
                let _ =
                    writeln!(text, "lab {lab}: Kubernetes {}, Istio {}", file.scenario.kubernetes, file.scenario.istio);
                for (member, cluster) in file.clusters.iter() {
                    for (node, address) in &cluster.nodes {
                        let state = node_state(engine, node).await;
                        let _ = writeln!(
                            text,
                            "  {:8} {} node {node} {address} {state}",
                            member.role.as_str(),
                            cluster.name
                        );
                    }
                }
                if let Some(address) = file.facts.get(Fact::GatewayAddress) {
                    let _ = writeln!(text, "  east-west gateway {address}");
                }
                let steps = primary_remote::steps(&file.scenario, super::images::WORKLOAD_IN_NODE);
                let proved = standing(&file.proved, &steps);
                let _ = writeln!(
                    text,
                    "  steps proved: {}",
                    if proved.is_empty() { "none".to_string() } else { proved.join(", ") }
                );
                for (step, why) in &file.failed {
                    let _ = writeln!(text, "  step failed: {step}: {why}");
                }
                let ailments = match engine {
                    Some(engine) => health::ailments(engine, home, &file).await.unwrap_or_else(|e| vec![chain(&e)]),
                    None => Vec::new(),
                };
                for ailment in &ailments {
                    let _ = writeln!(text, "  broken: {}", ailment.replace('\n', "; "));
                }
                if !ailments.is_empty() {
                    let _ = writeln!(
                        text,
                        "  to mend it: meshproof down --lab {lab}, then meshproof up --lab {lab} and meshproof install --lab {lab}"
                    );
                }
                text.push_str(&look_inside(home, &lab));
            }
            Err(problem) => {
                let _ = writeln!(text, "lab {lab}: {}\n  instead: {}", problem.message, problem.instead);
            }
        }
    }
    text
}

async fn node_state(engine: Option<&Engine>, node: &str) -> String {
    let Some(engine) = engine else { return String::new() };
    match engine.containers("name", &format!("^/{node}$")).await {
        Ok(found) => match found.first() {
            Some(container) => container.status.clone().unwrap_or_default(),
            None => "is gone".to_string(),
        },
        Err(error) => error.to_string(),
    }
}

/// The kubeconfig file of each cluster of a lab.
fn kubeconfigs(home: &Home, lab: &str, file: Option<&LabFile>) -> Vec<(Member, String)> {
    let members = match file {
        Some(file) => file.clusters.iter().map(|(member, _)| member).collect(),
        None => Role::ALL.map(Member::from).to_vec(),
    };
    let path = |member: &Member| home.kubeconfig(lab, member.clone()).to_string_lossy().into_owned();
    members.into_iter().map(|member| (member.clone(), path(&member))).collect()
}

fn export(kubeconfigs: &[(Member, String)]) -> String {
    let paths: Vec<&str> = kubeconfigs.iter().map(|(_, path)| path.as_str()).collect();
    format!("export KUBECONFIG={}", quote(&paths.join(":")))
}

/// What a shell has to be told before commands with contexts of this lab, and with its istioctl, can be pasted.
pub fn exports(home: &Home, lab: &str, file: &LabFile) -> Vec<String> {
    let mut lines = vec![export(&kubeconfigs(home, lab, Some(file)))];
    let istioctl = file.istioctl();
    if let Some(folder) = istioctl.parent().filter(|_| istioctl.ends_with("istioctl")) {
        lines.push(format!("export PATH={}:\"$PATH\"", quote(&folder.to_string_lossy())));
    }
    lines
}

/// The commands with which a person looks inside a lab, and removes it.
pub fn look_inside(home: &Home, lab: &str) -> String {
    let mut text = String::from("  to look inside:\n");
    let file = LabFile::read(home, lab).ok();
    let kubeconfigs = kubeconfigs(home, lab, file.as_ref());
    let _ = writeln!(text, "    {}   # for --context as hints say it", export(&kubeconfigs));
    for (member, kubeconfig) in &kubeconfigs {
        let _ = writeln!(text, "    kubectl --kubeconfig {} get pods -A   # {member}", quote(kubeconfig));
    }
    if let Some(file) = file {
        let istioctl = quote(&file.istioctl().to_string_lossy());
        let kubeconfig = quote(&home.kubeconfig(lab, Role::Primary).to_string_lossy());
        let words = action::istio_namespace(file.scenario.istio_namespace_of(Role::Primary));
        let words: String = words.iter().map(|word| format!(" {word}")).collect();
        let _ = writeln!(text, "    {istioctl} --kubeconfig {kubeconfig} proxy-status{words}");
    }
    let flag = lab_flag(lab);
    let _ = writeln!(text, "  to judge it again: meshproof check{flag}\n  to remove it:      meshproof down{flag}");
    text
}

/// What a person can do with what is left of a lab, a verb and a command each; nothing where nothing is left.
pub fn left(home: &Home, lab: &str) -> Vec<(&'static str, String)> {
    let flag = lab_flag(lab);
    let remove = ("Remove", format!("meshproof down{flag}"));
    let Ok(file) = LabFile::read(home, lab) else {
        return if home.lab(lab).exists() { vec![remove] } else { Vec::new() };
    };
    let contexts: Vec<&str> = file.clusters.values().map(|cluster| cluster.context.as_str()).collect();
    let mut commands = vec![("Look inside", export(&kubeconfigs(home, lab, Some(&file))))];
    if let [first, others @ ..] = &contexts[..] {
        commands.push(("", format!("kubectl --context {first} get pods -A   # or {}", others.join(", "))));
    }
    commands.extend([("", "meshproof status   # has more".to_string()), remove]);
    commands
}
