//! The clusters of a scenario.

use ipnet::Ipv4Net;
use marked_yaml::Node;
use marked_yaml::types::MarkedMappingNode;
use serde_json::Value;

use super::Reader;
use crate::role::Role;
use crate::scenario::cidr::{self, Purpose};
use crate::scenario::{ClusterWish, IstioNamespace, MOST, cluster_fields, names, value};
use crate::topology::overlap;

pub(super) const CLUSTER_FIELDS: [&str; 6] =
    ["name", "nodes", "podSubnet", "serviceSubnet", "istioNamespace", "overlay"];

impl Reader<'_> {
    pub(super) fn clusters(&mut self, clusters: &MarkedMappingNode) {
        self.fields("clusters", clusters, &["primary", "remote", "remotes"]);
        for role in Role::ALL {
            let Some(cluster) = self.mapping("clusters", clusters, role.as_str()) else { continue };
            let wish = self.scenario.clusters[&role].clone();
            self.scenario.clusters[&role] = self.cluster(&format!("clusters.{role}"), &cluster, wish);
        }
        let remotes = self.list("clusters", clusters, "remotes");
        if clusters.get_node("remote").is_some() && clusters.get_node("remotes").is_some() {
            let place = self.tree.places().get("clusters.remotes").cloned().unwrap_or_default();
            let message = "`clusters` has both `remote` and `remotes`";
            self.tree.problems.push(place, message, "one of them: `remotes` lists all, `remote` is the only one");
        } else if !remotes.is_empty() {
            self.remotes(&remotes);
        }
        self.distinct_names();
    }

    fn remotes(&mut self, remotes: &[Node]) {
        if remotes.len() > MOST as usize {
            let place = self.tree.places().get("clusters.remotes").cloned().unwrap_or_default();
            let message = format!("{} remotes are too many", remotes.len());
            self.tree.problems.push(place, message, format!("1 to {MOST} remotes: a lab is one host"));
        }
        let mut wishes = Vec::new();
        for (number, node) in remotes.iter().enumerate() {
            let path = format!("clusters.remotes[{number}]");
            let wish = ClusterWish::remote(number);
            wishes.push(match self.as_mapping(&path, node, "`name: cluster2`") {
                Some(cluster) => self.cluster(&path, &cluster, wish),
                None => wish,
            });
        }
        *self.scenario.clusters.remotes_mut() = wishes;
    }

    /// One cluster, over what is asked of it where nothing is said.
    fn cluster(&mut self, path: &str, cluster: &MarkedMappingNode, wish: ClusterWish) -> ClusterWish {
        self.fields(path, cluster, &CLUSTER_FIELDS);
        let name = |text: &str| names::check_cluster_name(text).map(|()| text.to_string());
        ClusterWish {
            name: self.read(path, cluster, "name", name).unwrap_or(wish.name),
            nodes: self.count(path, cluster, "nodes").unwrap_or(wish.nodes),
            pod_subnet: self.subnet(path, cluster, Purpose::Pods),
            service_subnet: self.subnet(path, cluster, Purpose::Services),
            istio_namespace: self.read(path, cluster, "istioNamespace", IstioNamespace::named),
            overlay: self.overlay(path, cluster),
        }
    }

    fn distinct_names(&mut self) {
        let mut taken: Vec<(String, String)> = Vec::new();
        let clusters = self.scenario.clusters.values().zip(cluster_fields(&self.scenario));
        for (path, name) in clusters.map(|(wish, path)| (format!("{path}.name"), wish.name.clone())).collect::<Vec<_>>()
        {
            if let Some((other, _)) = taken.iter().find(|(_, taken)| *taken == name) {
                // Where only the first has its name from the file, that is the one to change.
                let path = if self.tree.places().contains_key(&path) { &path } else { other };
                let place = self.tree.places().get(path).unwrap_or(path).clone();
                let message = format!("two clusters would be called `{name}`");
                self.tree.problems.push(place, message, "a name for each, such as cluster1 and cluster2");
            }
            taken.push((path, name));
        }
    }

    /// The `spec` of an operator; what stands in it Istio judges.
    fn overlay(&mut self, path: &str, cluster: &MarkedMappingNode) -> Option<Value> {
        let overlay = self.mapping(path, cluster, "overlay")?;
        for field in ["apiVersion", "kind", "spec"].into_iter().filter_map(|field| overlay.get_node(field)) {
            let message = "the overlay is the whole operator";
            self.tree.problems.push(self.tree.place(field.span()), message, "what stands below its `spec`");
        }
        Some(value::of(&Node::Mapping(overlay)))
    }

    fn subnet(&mut self, path: &str, cluster: &MarkedMappingNode, purpose: Purpose) -> Option<Ipv4Net> {
        let node = self.text(path, cluster, purpose.field())?;
        let net = self.refused(&node, |text| cidr::check(text, purpose))?;
        let path = format!("{path}.{}", purpose.field());
        let clash = self.subnets.iter().find(|(_, other)| overlap(*other, net));
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
}
