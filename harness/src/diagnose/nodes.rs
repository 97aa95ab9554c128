//! What the engine and the nodes say: it works where no API server answers.

use super::item::Item;
use crate::check::verdict::chain;
use crate::lab::pod_network::Route;
use crate::lab::{Engine, Lab, kind};
use crate::per_cluster::Member;
use crate::role::Role;

pub(super) const HOST: &str = "sysctl fs.inotify.max_user_instances fs.inotify.max_user_watches fs.file-max fs.file-nr; \
                    echo; cat /proc/loadavg; echo; head -n 5 /proc/meminfo; echo; df -h /var 2>/dev/null";
/// Official node images have crictl, the lab's own have containerd's client alone.
pub(super) const CONTAINERS: &str = "crictl ps --all 2>/dev/null || { \
                          ctr --namespace k8s.io tasks list && ctr --namespace k8s.io containers list; } 2>/dev/null";
pub(super) const NETWORK: &str = "echo '# ip route'; ip route; echo; echo '# ip address'; ip address";

/// All nodes of the lab, and the containers on its network.
pub fn of(lab: &Lab) -> Vec<Item> {
    let mut items = vec![containers(&lab.engine, &lab.file.topology.network.name)];
    for (member, plan) in lab.file.topology.clusters.iter() {
        let planned = plan.node_names();
        let known = lab.file.clusters.iter().find(|(known, _)| *known == member);
        let known = known.map(|(_, facts)| facts.nodes.keys().cloned().collect::<Vec<_>>());
        // A lab that is half made has not written its nodes down yet.
        let nodes = known.filter(|nodes| !nodes.is_empty()).unwrap_or_else(|| planned.clone());
        for node in nodes {
            items.push(network(lab, &member, &node));
            for (file, title, command) in [
                ("iptables-nat.txt", "address translation of", "iptables-save -t nat"),
                ("host.txt", "limits, load, memory and disk of", HOST),
                ("containers.txt", "containers of", CONTAINERS),
                (
                    "kubelet.log",
                    "the last 300 lines of the kubelet of",
                    "journalctl --unit kubelet --lines 300 --no-pager",
                ),
            ] {
                items.push(asked(lab, &member, &node, file, &format!("{title} {node}"), command));
            }
        }
        if member.role == Role::Remote {
            let command = format!("tail -n 500 {}", kind::AUDIT_LOG);
            let title = "who wrote webhooks, configmaps and locks: the last 500 lines of the audit log";
            items.push(asked(lab, &member, &planned[0], "audit.jsonl", title, &command));
        }
    }
    items
}

fn asked(lab: &Lab, member: &Member, node: &str, file: &str, title: &str, command: &str) -> Item {
    let (engine, container, command) = (lab.engine.clone(), node.to_string(), command.to_string());
    Item::new(format!("{member}/nodes/{node}/{file}"), title, async move {
        engine.exec(&container, &["sh", "-c", &command], "").await.map_err(|error| chain(&error))
    })
}

fn network(lab: &Lab, member: &Member, node: &str) -> Item {
    let (engine, container) = (lab.engine.clone(), node.to_string());
    let routes: Vec<Route> = lab.file.routes.iter().filter(|route| route.node == node).cloned().collect();
    Item::new(format!("{member}/nodes/{node}/network.txt"), format!("routes and addresses of {node}"), async move {
        let text = engine.exec(&container, &["sh", "-c", NETWORK], "").await.map_err(|error| chain(&error))?;
        Ok(format!("{}\n{text}", routes_of_the_lab(&routes, &text)))
    })
}

/// Whether the routes that the lab made are still there.
fn routes_of_the_lab(routes: &[Route], text: &str) -> String {
    let mut said = String::from("# Routes to the pods of other nodes, made by the lab\n");
    for route in routes {
        let wanted = format!("{} via {}", route.pods, route.via);
        let there = text.lines().any(|line| line == wanted || line.starts_with(&format!("{wanted} ")));
        said.push_str(&format!("{wanted} on {}: {}\n", route.node, if there { "there" } else { "missing" }));
    }
    said
}

/// What runs on the lab's network.
pub fn containers(engine: &Engine, network: &str) -> Item {
    let (engine, network) = (engine.clone(), network.to_string());
    Item::new("containers.txt", "containers on the lab's Docker network", async move {
        let found = engine.containers("network", &network).await.map_err(|error| chain(&error))?;
        let mut lines: Vec<String> = found
            .into_iter()
            .map(|container| {
                let name = container.names.unwrap_or_default().join(" ");
                let address = container
                    .network_settings
                    .and_then(|settings| settings.networks?.remove(&network)?.ip_address)
                    .unwrap_or_default();
                let text = |field: Option<String>| field.unwrap_or_default();
                format!("{name}  {address}  {}  {}\n", text(container.status), text(container.image))
            })
            .collect();
        lines.sort();
        Ok(if lines.is_empty() { format!("There is no container on {network}.\n") } else { lines.concat() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_that_is_gone_is_named() {
        let route = |pods: &str, via: &str| Route {
            node: "a".to_string(),
            role: Role::Primary,
            pods: pods.to_string(),
            via: via.to_string(),
        };
        let routes = [route("10.20.0.0/24", "172.30.0.2"), route("10.20.1.0/24", "172.30.0.4")];
        let said =
            routes_of_the_lab(&routes, "default via 172.30.0.1 dev eth0 \n10.20.0.0/24 via 172.30.0.2 dev eth0 \n");
        assert!(said.contains("10.20.0.0/24 via 172.30.0.2 on a: there"), "{said}");
        assert!(said.contains("10.20.1.0/24 via 172.30.0.4 on a: missing"), "{said}");
    }
}
