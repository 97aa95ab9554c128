//! The two clusters of a scenario.

use ipnet::Ipv4Net;
use marked_yaml::Node;
use marked_yaml::types::MarkedMappingNode;
use serde_json::Value;

use super::Reader;
use crate::role::Role;
use crate::scenario::cidr::{self, Purpose};
use crate::scenario::{IstioNamespace, cluster_field, names, value};

pub(super) const CLUSTER_FIELDS: [&str; 6] =
    ["name", "nodes", "podSubnet", "serviceSubnet", "istioNamespace", "overlay"];

impl Reader<'_> {
    pub(super) fn clusters(&mut self, clusters: &MarkedMappingNode) {
        self.fields("clusters", clusters, &Role::ALL.map(Role::as_str));
        let mut first: Option<(String, String)> = None;
        for role in Role::ALL {
            let Some(cluster) = self.mapping("clusters", clusters, role.as_str()) else { continue };
            let path = format!("clusters.{role}");
            self.fields(&path, &cluster, &CLUSTER_FIELDS);
            let mut wish = self.scenario.clusters[&role].clone();
            let name = |text: &str| names::check_cluster_name(text).map(|()| text.to_string());
            wish.name = self.read(&path, &cluster, "name", name).unwrap_or(wish.name);
            wish.nodes = self.count(&path, &cluster, "nodes").unwrap_or(wish.nodes);
            wish.pod_subnet = self.subnet(&path, &cluster, Purpose::Pods);
            wish.service_subnet = self.subnet(&path, &cluster, Purpose::Services);
            wish.istio_namespace = self.read(&path, &cluster, "istioNamespace", IstioNamespace::named);
            wish.overlay = self.overlay(&path, &cluster);
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
}
