//! Reads a scenario's tree field by field, filling in defaults and collecting every mistake.

use std::collections::BTreeMap;

use ipnet::Ipv4Net;
use marked_yaml::Node;
use marked_yaml::types::{MarkedMappingNode, MarkedScalarNode};

use super::cidr::{self, Purpose};
use super::tree::{Tree, is_repeated};
use super::{ImageSource, IstioNamespace, Replicas, Scenario, cluster_field, names};
use crate::plan::CaseOutline;
use crate::problem::{Problems, all_of, any_of, nearest};
use crate::role::Role;
use crate::versions::{Component, Versions};

const FIELDS: [&str; 12] = [
    "name",
    "lab",
    "kubernetes",
    "istio",
    "images",
    "meshId",
    "network",
    "istioNamespace",
    "clusters",
    "istiod",
    "gateway",
    "expect",
];
const CLUSTER_FIELDS: [&str; 5] = ["name", "nodes", "podSubnet", "serviceSubnet", "istioNamespace"];
const REPLICA_FIELDS: [&str; 1] = ["replicas"];
const VERDICTS: [&str; 5] = ["passed", "failed", "inconclusive", "skipped", "blocked"];

/// Why a value cannot stand, and what to write instead.
type Refusal = (String, String);

/// Reads the text over the defaults; also says where each value stands.
pub fn read(
    text: &str,
    file: &str,
    defaults: Scenario,
    versions: &Versions,
    cases: &[CaseOutline],
) -> Result<(Scenario, BTreeMap<String, String>), Problems> {
    let mut reader = Reader { tree: Tree::load(text, file), scenario: defaults, subnets: Vec::new() };
    match reader.tree.root() {
        Some(root) if root.is_empty() && reader.tree.problems.is_empty() => {
            let instead = "at least a line `name: primary-remote`; without --scenario the guide's own names are taken";
            reader.tree.problems.push(file, "the file says nothing", instead);
        }
        Some(root) => reader.scenario(&root, file, versions, cases),
        None => {}
    }
    let places = reader.tree.places().clone();
    let mut problems = reader.tree.problems;
    problems.0.sort_by_key(|problem| line_and_column(&problem.place));
    problems.or((reader.scenario, places))
}

/// The numbers of `file:line:column`; what concerns the whole file comes first.
fn line_and_column(place: &str) -> (usize, usize) {
    let mut numbers = place.rsplit(':').map_while(|part| part.parse().ok());
    let column = numbers.next().unwrap_or(0);
    numbers.next().map_or((column, 0), |line| (line, column))
}

struct Reader {
    tree: Tree,
    scenario: Scenario,
    /// Subnets given so far, with their paths.
    subnets: Vec<(String, Ipv4Net)>,
}

impl Reader {
    fn scenario(&mut self, root: &MarkedMappingNode, file: &str, versions: &Versions, cases: &[CaseOutline]) {
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
        self.scenario.lab = self.checked(root, "lab", own.lab, names::check_lab_name);
        let known = |component| move |text: &str| versions.check(component, text);
        self.scenario.kubernetes = self.checked(root, "kubernetes", own.kubernetes, known(Component::Kubernetes));
        self.scenario.istio = self.checked(root, "istio", own.istio, known(Component::Istio));
        self.scenario.mesh_id =
            self.checked(root, "meshId", own.mesh_id, |text| names::check_label_value(text, "mesh1"));
        self.scenario.network =
            self.checked(root, "network", own.network, |text| names::check_label_value(text, "network1"));
        self.scenario.istio_namespace = self
            .text("", root, "istioNamespace")
            .and_then(|node| self.refused(&node, IstioNamespace::named))
            .unwrap_or(own.istio_namespace);
        self.scenario.images = self
            .text("", root, "images")
            .and_then(|node| self.refused(&node, ImageSource::named))
            .unwrap_or(own.images);
        if let Some(clusters) = self.mapping("", root, "clusters") {
            self.clusters(&clusters);
        }
        self.scenario.istiod = self.replicas(root, "istiod");
        self.scenario.gateway = self.replicas(root, "gateway");
        if let Some(expect) = self.mapping("", root, "expect") {
            self.expect(&expect, cases);
        }
    }

    fn clusters(&mut self, clusters: &MarkedMappingNode) {
        self.fields("clusters", clusters, &Role::ALL.map(Role::as_str));
        let mut first: Option<(String, String)> = None;
        for role in Role::ALL {
            let Some(cluster) = self.mapping("clusters", clusters, role.as_str()) else { continue };
            let path = format!("clusters.{role}");
            self.fields(&path, &cluster, &CLUSTER_FIELDS);
            let mut wish = self.scenario.clusters[&role].clone();
            if let Some(node) = self.text(&path, &cluster, "name")
                && let Some(name) =
                    self.refused(&node, |text| names::check_cluster_name(text).map(|()| text.to_string()))
            {
                wish.name = name;
            }
            wish.nodes = self.count(&path, &cluster, "nodes").unwrap_or(wish.nodes);
            wish.pod_subnet = self.subnet(&path, &cluster, Purpose::Pods);
            wish.service_subnet = self.subnet(&path, &cluster, Purpose::Services);
            let node = self.text(&path, &cluster, "istioNamespace");
            wish.istio_namespace = node.and_then(|node| self.refused(&node, IstioNamespace::named));
            self.scenario.clusters.insert(role, wish);
        }
        for role in Role::ALL {
            let name = self.scenario.clusters[&role].name.clone();
            let path = cluster_field(role, "name");
            match &first {
                Some((other, taken)) if *taken == name => {
                    // Where only the first has its name from the file, that is the one to change.
                    let path = if self.tree.places().contains_key(&path) { &path } else { other };
                    let place = self.tree.places().get(path).unwrap_or(path).clone();
                    let message = format!("both clusters would be called `{name}`");
                    self.tree.problems.push(place, message, "two names, such as cluster1 and cluster2");
                }
                _ => first = Some((path, name)),
            }
        }
    }

    fn replicas(&mut self, root: &MarkedMappingNode, of: &str) -> Replicas {
        let Some(group) = self.mapping("", root, of) else { return Replicas::default() };
        self.fields(of, &group, &REPLICA_FIELDS);
        Replicas { replicas: self.count(of, &group, "replicas").unwrap_or(1) }
    }

    fn count(&mut self, path: &str, node: &MarkedMappingNode, key: &str) -> Option<u32> {
        let node = self.text(path, node, key)?;
        self.refused(&node, super::count)
    }

    fn subnet(&mut self, path: &str, cluster: &MarkedMappingNode, purpose: Purpose) -> Option<Ipv4Net> {
        let node = self.text(path, cluster, purpose.field())?;
        let net = self.refused(&node, |text| cidr::check(text, purpose))?;
        let path = format!("{path}.{}", purpose.field());
        let clash = self.subnets.iter().find(|(_, other)| other.contains(&net) || net.contains(other));
        if let Some((other_path, other)) = clash {
            let message = format!("`{net}` overlaps {other_path}, which is `{other}`");
            let taken: Vec<Ipv4Net> = self.subnets.iter().map(|(_, net)| *net).collect();
            let instead = match crate::topology::free_subnet(net.prefix_len(), &taken) {
                Some(free) => format!("a subnet that overlaps none of the others, such as `{free}`; or leave it out"),
                None => "a subnet that overlaps none of the others; or leave it out".to_string(),
            };
            self.tree.problems.push(self.tree.place(node.span()), message, instead);
            return None;
        }
        self.subnets.push((path, net));
        Some(net)
    }

    fn expect(&mut self, expect: &MarkedMappingNode, cases: &[CaseOutline]) {
        let ids: Vec<&str> = cases.iter().map(|case| case.id.as_str()).collect();
        for (key, value) in expect.iter().filter(|(key, _)| !is_repeated(key)) {
            let id = key.as_str();
            let known = ids.contains(&id);
            if !known {
                let by_slug = cases.iter().find(|case| case.slug == id).map(|case| case.id.as_str());
                let instead = match by_slug.or_else(|| ids.iter().copied().find(|known| known.eq_ignore_ascii_case(id)))
                {
                    Some(meant) => format!("`{meant}`"),
                    None => format!("the id of a check: {}", any_of(&ids)),
                };
                self.tree.problems.push(self.tree.place(key.span()), format!("there is no check `{id}`"), instead);
            }
            let Some(node) = self.as_text(&format!("expect.{id}"), key, value) else { continue };
            let verdict = self.refused(&node, |text| one_of("a verdict", text, &VERDICTS));
            if let (true, Some(verdict)) = (known, verdict) {
                self.scenario.expect.insert(id.to_string(), verdict);
            }
        }
    }

    /// Reports fields that are not known here.
    fn fields(&mut self, path: &str, node: &MarkedMappingNode, known: &[&str]) {
        for key in node.keys().filter(|key| !is_repeated(key) && !known.contains(&key.as_str())) {
            let name = key.as_str();
            let instead = match nearest(name, known.iter().copied()) {
                Some(meant) => format!("`{meant}`"),
                None if path.is_empty() && CLUSTER_FIELDS.contains(&name) => {
                    format!("`{name}` below clusters.primary or clusters.remote")
                }
                None if path.is_empty() && REPLICA_FIELDS.contains(&name) => {
                    format!("`{name}` below istiod or gateway")
                }
                None if !path.is_empty() && FIELDS.contains(&name) => format!("`{name}` at the left margin"),
                None => format!("one of these: {}", all_of(known)),
            };
            let at = if path.is_empty() { "a scenario".to_string() } else { format!("`{path}`") };
            self.tree.problems.push(self.tree.place(key.span()), format!("{at} has no field `{name}`"), instead);
        }
    }

    /// The field's value after a check, else what it is already.
    fn checked(
        &mut self,
        root: &MarkedMappingNode,
        key: &str,
        otherwise: String,
        check: impl Fn(&str) -> Result<(), Refusal>,
    ) -> String {
        self.text("", root, key)
            .and_then(|node| self.refused(&node, |text| check(text).map(|()| text.to_string())))
            .unwrap_or(otherwise)
    }

    fn refused<T>(&mut self, node: &MarkedScalarNode, check: impl Fn(&str) -> Result<T, Refusal>) -> Option<T> {
        match check(node.as_str()) {
            Ok(value) => Some(value),
            Err((message, instead)) => {
                self.tree.problems.push(self.tree.place(node.span()), message, instead);
                None
            }
        }
    }

    fn text(&mut self, path: &str, node: &MarkedMappingNode, key: &str) -> Option<MarkedScalarNode> {
        let path = if path.is_empty() { key.to_string() } else { format!("{path}.{key}") };
        let (key, value) = node.iter().find(|(name, _)| name.as_str() == key)?;
        self.as_text(&path, key, value)
    }

    fn as_text(&mut self, path: &str, key: &MarkedScalarNode, node: &Node) -> Option<MarkedScalarNode> {
        let place = self.tree.place(node.span());
        let Some(scalar) = node.as_scalar() else {
            let found = if node.as_mapping().is_some() { "has fields of its own" } else { "is a list" };
            self.tree.problems.push(
                place,
                format!("`{path}` {found}"),
                format!("one value, as in `{}: value`", last(path)),
            );
            return None;
        };
        if matches!(scalar.as_str(), "" | "~" | "null") {
            // An empty value begins, for the parser, where the next field does.
            let place = self.tree.place(key.span());
            self.tree.problems.push(place, format!("`{path}` has no value"), "a value; or leave the line out");
            return None;
        }
        self.tree.note(path, node.span());
        Some(scalar.clone())
    }

    fn mapping(&mut self, path: &str, node: &MarkedMappingNode, key: &str) -> Option<MarkedMappingNode> {
        let path = if path.is_empty() { key.to_string() } else { format!("{path}.{key}") };
        let value = node.get_node(key)?;
        if let Some(mapping) = value.as_mapping() {
            return Some(mapping.clone());
        }
        let example = match key {
            "expect" => "`D8: failed`",
            "clusters" => "`primary:` and `remote:`",
            "istiod" | "gateway" => "`replicas: 2`",
            _ => "`name: cluster1`",
        };
        let place = self.tree.place(value.span());
        self.tree.problems.push(
            place,
            format!("`{path}` is not a group of fields"),
            format!("lines below it, indented: {example}"),
        );
        None
    }
}

fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

fn one_of(what: &str, text: &str, known: &[&str]) -> Result<String, Refusal> {
    if known.contains(&text) {
        return Ok(text.to_string());
    }
    let instead = match nearest(text, known.iter().copied()) {
        Some(meant) => format!("`{meant}`"),
        None => any_of(known),
    };
    Err((format!("`{text}` is not {what}"), instead))
}
