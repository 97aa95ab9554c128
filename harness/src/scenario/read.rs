//! Reads a scenario's tree field by field, filling in defaults and collecting every mistake.

mod candidate;
mod clusters;
mod fields;
mod install;
mod judging;
mod timeline;
mod upgrade;

use std::collections::BTreeMap;

use ipnet::Ipv4Net;
use marked_yaml::types::MarkedMappingNode;

use super::gateway::check_address;
use super::schema::FORM;
use super::tree::Tree;
use super::{GatewayWish, ImageSource, IstioNamespace, Replicas, Scenario, Thread, names};
use crate::plan::CaseOutline;
use crate::problem::Problems;
use crate::sabotage::Sabotage;
use crate::topology::{NetworkPlan, overlap};
use crate::versions::{Component, Versions};

const FIELDS: [&str; 21] = [
    "schema",
    "name",
    "description",
    "threads",
    "symptom",
    "lab",
    "kubernetes",
    "istio",
    "envoy",
    "images",
    "candidate",
    "meshId",
    "network",
    "istioNamespace",
    "clusters",
    "istiod",
    "gateway",
    "install",
    "timeline",
    "checks",
    "expect",
];
const REPLICA_FIELDS: [&str; 1] = ["replicas"];
const GATEWAY_FIELDS: [&str; 2] = ["replicas", "address"];

/// Why a value cannot stand, and what to write instead.
type Refusal = (String, String);

/// What a scenario can name.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// Versions that can be asked for.
    pub versions: &'a Versions,
    /// The catalogue of checks.
    pub cases: &'a [CaseOutline],
    /// Ids of the steps of the install.
    pub steps: &'a [String],
    /// The catalogue of sabotages.
    pub sabotages: &'a [Sabotage],
}

/// Reads the text over the defaults; also says where each value stands.
pub fn read(
    text: &str,
    file: &str,
    defaults: Scenario,
    known: Known<'_>,
) -> Result<(Scenario, BTreeMap<String, String>), Problems> {
    let mut reader = Reader { tree: Tree::load(text, file), scenario: defaults, subnets: Vec::new(), known };
    match reader.tree.root() {
        Some(root) if root.is_empty() && reader.tree.problems.is_empty() => {
            let instead = "at least a line `name: primary-remote`; without --scenario the guide's own names are taken";
            reader.tree.problems.push(file, "the file says nothing", instead);
        }
        Some(root) => reader.scenario(&root, file),
        None => {}
    }
    let places = reader.tree.places().clone();
    let mut problems = reader.tree.problems;
    problems.0.sort_by_key(|problem| line_and_column(&problem.place));
    problems.quoting(file, text).or((reader.scenario, places))
}

/// The numbers of `file:line:column`; what concerns the whole file comes first.
fn line_and_column(place: &str) -> (usize, usize) {
    let mut numbers = place.rsplit(':').map_while(|part| part.parse().ok());
    let column = numbers.next().unwrap_or(0);
    numbers.next().map_or((column, 0), |line| (line, column))
}

struct Reader<'a> {
    tree: Tree,
    scenario: Scenario,
    /// Subnets given so far, with their paths.
    subnets: Vec<(String, Ipv4Net)>,
    known: Known<'a>,
}

impl Reader<'_> {
    fn scenario(&mut self, root: &MarkedMappingNode, file: &str) {
        self.form(root);
        self.fields("", root, &FIELDS);
        if root.get_node("name").is_none() {
            self.tree.problems.push(
                file,
                "`name` is missing",
                "a line such as `name: primary-remote`; reports show it",
            );
        }
        let own = self.scenario.clone();
        self.scenario.name = self.checked(root, "name", own.name, names::check_scenario_name);
        self.scenario.description = self.checked(root, "description", own.description, |_| Ok(()));
        self.scenario.threads = self.threads(root);
        self.scenario.lab = self.checked(root, "lab", own.lab, names::check_lab_name);
        let versions = self.known.versions;
        let known = |component| move |text: &str| versions.check(component, text);
        self.scenario.kubernetes = self.checked(root, "kubernetes", own.kubernetes, known(Component::Kubernetes));
        self.scenario.istio = self.checked(root, "istio", own.istio, known(Component::Istio));
        let envoy = |text: &str| super::check_envoy(text).map(|()| text.to_string());
        self.scenario.envoy = self.read("", root, "envoy", envoy);
        self.scenario.mesh_id =
            self.checked(root, "meshId", own.mesh_id, |text| names::check_label_value(text, "mesh1"));
        self.scenario.network =
            self.checked(root, "network", own.network, |text| names::check_label_value(text, "network1"));
        self.scenario.istio_namespace =
            self.read("", root, "istioNamespace", IstioNamespace::named).unwrap_or(own.istio_namespace);
        self.scenario.images = self.read("", root, "images", ImageSource::named).unwrap_or(own.images);
        self.candidate(root);
        if let Some((message, instead)) = self.scenario.envoy_mistake() {
            let place = self.tree.places().get("envoy").cloned().unwrap_or_default();
            self.tree.problems.push(place, message, instead);
        }
        if let Some(clusters) = self.mapping("", root, "clusters") {
            self.clusters(&clusters);
        }
        self.scenario.istiod = self.replicas(root, "istiod");
        self.gateway(root);
        if let Some(install) = self.mapping("", root, "install") {
            self.install(&install);
        }
        self.timeline(root);
        self.judging(root);
        self.symptom(root);
    }

    /// Refuses a file of another form than is understood.
    fn form(&mut self, root: &MarkedMappingNode) {
        let said = self.read("", root, "schema", |text| {
            if text == FORM.to_string() {
                return Ok(());
            }
            let instead = match text.parse::<u32>() {
                Ok(later) if later > FORM => format!("`{FORM}`, if the file needs nothing newer; or a newer meshproof"),
                _ => format!("`{FORM}`; `meshproof scenario schema` has every field of that form"),
            };
            Err((format!("form `{text}` of scenario files is not understood"), instead))
        });
        let _: Option<()> = said;
    }

    fn threads(&mut self, root: &MarkedMappingNode) -> Vec<Thread> {
        let nodes = self.texts("", root, "threads");
        nodes.iter().filter_map(|node| self.refused(node, Thread::named)).collect()
    }

    fn replicas(&mut self, root: &MarkedMappingNode, of: &str) -> Replicas {
        let Some(group) = self.mapping("", root, of) else { return Replicas::default() };
        self.fields(of, &group, &REPLICA_FIELDS);
        Replicas { replicas: self.count(of, &group, "replicas").unwrap_or(1) }
    }

    fn gateway(&mut self, root: &MarkedMappingNode) {
        let Some(group) = self.mapping("", root, "gateway") else { return };
        self.fields("gateway", &group, &GATEWAY_FIELDS);
        let replicas = self.count("gateway", &group, "replicas").unwrap_or(1);
        let subnets = self.subnets.clone();
        let address = self.read("gateway", &group, "address", |text| {
            let address = check_address(text)?;
            let network = NetworkPlan::around(address);
            match subnets.iter().find(|(_, net)| overlap(*net, network)) {
                None => Ok(address),
                Some((path, net)) => {
                    let message =
                        format!("the lab's network around `{text}`, {network}, overlaps {path}, which is `{net}`");
                    Err((message, "an address outside of it, or another subnet there; or leave it out".to_string()))
                }
            }
        });
        self.scenario.gateway = GatewayWish { replicas, address };
    }

    fn count(&mut self, path: &str, node: &MarkedMappingNode, key: &str) -> Option<u32> {
        let node = self.text(path, node, key)?;
        self.refused(&node, super::count)
    }
}
