//! Whose an address is: what stands behind a peer that should have been somebody else.

use std::collections::BTreeMap;

use harness::check::Context;
use harness::install::facts::Fact;
use harness::lab::cluster::ClusterError;
use harness::role::Role;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::ListParams;

/// Addresses of the lab, with a name for each.
#[derive(Debug, Default)]
pub struct AddressBook(BTreeMap<String, String>);

impl AddressBook {
    /// Looks up all nodes, pods and the east-west gateway's external address.
    ///
    /// # Errors
    /// [`ClusterError`] when pods cannot be listed.
    pub async fn of(context: &Context) -> Result<AddressBook, ClusterError> {
        let mut names = BTreeMap::new();
        for role in Role::ALL {
            let cluster = context.cluster(role);
            let pods = cluster.all::<Pod>().list(&ListParams::default()).await.map_err(cluster.refused("list pods"))?;
            for pod in &pods {
                let status = pod.status.clone().unwrap_or_default();
                if let (Some(address), false) = (status.pod_ip, status.phase.as_deref() == Some("Succeeded")) {
                    let name = format!("{}/{}", pod.namespace().unwrap_or_default(), pod.name_any());
                    names.insert(address, cluster.object("pod", &name));
                }
            }
            // After the pods, for those on the host network share it.
            for (node, address) in &cluster.nodes {
                names.insert(address.clone(), cluster.object("node", node));
            }
        }
        if let Ok(gateway) = context.fact(Fact::GatewayAddress) {
            names.insert(gateway, "external address of the east-west gateway".to_string());
        }
        Ok(AddressBook(names))
    }

    /// `172.30.0.3 (cluster1 node x)`; just the address when it is nobody's.
    pub fn name(&self, address: &str) -> String {
        match self.0.get(address) {
            Some(name) => format!("{address} ({name})"),
            None => address.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::AddressBook;

    #[rstest]
    #[case::known("172.30.0.3", "172.30.0.3 (cluster1 node one)")]
    #[case::nobodys("1.2.3.4", "1.2.3.4")]
    fn an_address_is_shown_with_whose_it_is(#[case] address: &str, #[case] expected: &str) {
        let book = AddressBook([("172.30.0.3".to_string(), "cluster1 node one".to_string())].into());
        assert_eq!(book.name(address), expected);
    }
}
