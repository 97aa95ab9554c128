//! D0: what the guide asks for before it begins, of both clusters and of the network between them.
//!
//! Sabotage: `docker exec <node of cluster2> iptables -I INPUT -p tcp --dport 6443 -s <node of cluster1> -j DROP`. A missing
//! route between pods does not show here: what leaves for an API server wears the node's address (D10 judges it).

use std::collections::BTreeMap;

use harness::check::case::{Case, Reads, When};
use harness::check::{ByHand, Context, Evidence, Explanation, Fault, Finding};
use harness::lab::Cluster;
use harness::lab::cluster::of_administrator;
use harness::lab::probe::{Get, Probe, Tls};
use harness::role::Role;
use harness::topology::{Ipv4Net, NetworkPlan};
use harness::wait::Look;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::Value;

/// The clause.
pub const CASE: Case = Case {
    id: "D0",
    slug: "prerequisites",
    shows: &[],
    title: "Both clusters meet what the guide asks for before it begins",
    guide: "https://istio.io/latest/docs/setup/install/multicluster/before-you-begin/",
    needs: &["probe-primary", "probe-remote"],
    blames: &[],
    follows: &[],
    uses: &[],
    when: When::Installed,
    judge: |context| Box::pin(judge(context)),
    reads: Reads::Nothing("it asks from a pod of its own whether the API server of the remote cluster is reached"),
    explains: Explanation {
        judges: "In both clusters the user is cluster-admin, pods have addresses that do not overlap, and no label \
                of Istio's namespace names another network. A pod of the primary reaches the API server of the \
                remote cluster at its address, and is shown a certificate of that cluster's own CA. In a lab the \
                version of Kubernetes is looked at too, and that every node is on the lab's network.",
        why: "istiod of the primary learns all it knows of the remote cluster from that API server. Where its pods \
             do not reach it, the guide's commands succeed, and no endpoint of the remote cluster ever arrives.",
        by_hand: &[
            ByHand::new("yes", "kubectl --context ${CTX_CLUSTER1} auth can-i '*' '*' --all-namespaces"),
            ByHand::new("yes", "kubectl --context ${CTX_CLUSTER2} auth can-i '*' '*' --all-namespaces"),
            ByHand::new(
                "pod subnets of the primary",
                "kubectl --context ${CTX_CLUSTER1} get nodes -o custom-columns=NODE:.metadata.name,PODS:.spec.podCIDR",
            ),
            ByHand::new(
                "pod subnets of the remote cluster, which do not overlap these",
                "kubectl --context ${CTX_CLUSTER2} get nodes -o custom-columns=NODE:.metadata.name,PODS:.spec.podCIDR",
            ),
            ByHand::new(
                "no label topology.istio.io/network, or the network of the install",
                "kubectl --context ${CTX_CLUSTER2} get namespace ${ISTIO_NAMESPACE} --show-labels",
            ),
            ByHand::on_a_lab(
                "the version of the remote API server, asked by a pod of the primary",
                "kubectl --context ${CTX_CLUSTER1} -n meshproof-probe exec ds/probe -- /workload get https://$(kubectl --context ${CTX_CLUSTER2} get endpointslice kubernetes -o jsonpath='{.endpoints[0].addresses[0]}:{.ports[0].port}')/version --insecure",
            ),
        ],
    },
};

/// The label by which Istio learns the network of a cluster.
const NETWORK_LABEL: &str = "topology.istio.io/network";

async fn judge(context: &Context) -> Result<Evidence, Fault> {
    let mut evidence = Evidence::new();
    for role in Role::ALL {
        let cluster = context.cluster(role);
        administrator(cluster, &mut evidence).await?;
        version(context, cluster, &mut evidence).await?;
    }
    one_network(context, &mut evidence).await?;
    api_server(context, &mut evidence).await?;
    evidence.note("that pods reach each other directly across clusters is judged by D10");
    Ok(evidence)
}

async fn administrator(cluster: &Cluster, evidence: &mut Evidence) -> Result<(), Fault> {
    for (what, spec) in of_administrator() {
        let allowed = cluster.may(spec).await?;
        evidence.saw(cluster.object("SelfSubjectAccessReview", what), "status.allowed", allowed.is_ok());
        if let Err(reason) = allowed {
            return Err(Finding::new(format!(
                "{}: the user of context {} is no cluster-admin",
                cluster.name, cluster.context
            ))
            .expected_got(format!("{what} allowed"), format!("refused: {reason}"))
            .hint("the guide needs a user with the ClusterRole cluster-admin in each cluster")
            .evidence(evidence)
            .into());
        }
    }
    Ok(())
}

async fn version(context: &Context, cluster: &Cluster, evidence: &mut Evidence) -> Result<(), Fault> {
    let info = cluster.client.apiserver_version().await.map_err(cluster.refused("say its version"))?;
    let wanted = &context.scenario().kubernetes;
    evidence.saw(format!("{} API server", cluster.name), "/version gitVersion", &info.git_version);
    // What the user brought has the version that it has.
    if context.lab.file.topology().is_ok() && info.git_version != *wanted {
        return Err(Finding::new(format!("the API server of {} is {}, not {wanted}", cluster.name, info.git_version))
            .expected_got(wanted, &info.git_version)
            .hint("the lab was made for another scenario: `meshproof down`, then `meshproof up`")
            .evidence(evidence)
            .into());
    }
    Ok(())
}

/// The guide's clusters are on one network: in a lab, one Docker network below; pods that no other pods collide with, and no
/// label that tells Istio otherwise.
async fn one_network(context: &Context, evidence: &mut Evidence) -> Result<(), Fault> {
    let docker = docker_network(context).await?;
    let mut pods: BTreeMap<Role, Vec<Ipv4Net>> = BTreeMap::new();
    for role in Role::ALL {
        let cluster = context.cluster(role);
        let nodes = cluster.all::<Node>().list(&ListParams::default()).await.map_err(cluster.refused("list nodes"))?;
        for node in nodes {
            let name = node.name_any();
            let object = cluster.object("Node", &name);
            let address = internal_ip(&node);
            let cidr = node.spec.as_ref().and_then(|spec| spec.pod_cidr.clone()).unwrap_or_default();
            evidence.saw(&object, "status.addresses[InternalIP]", &address).saw(&object, "spec.podCIDR", &cidr);
            pods.entry(role).or_default().extend(cidr.parse::<Ipv4Net>());
            // The rest is what the lab made so.
            let Some((network, attached)) = &docker else { continue };
            if !attached.iter().any(|container| container.trim_start_matches('/') == name) {
                return Err(Finding::new(format!("{object} is not on the Docker network {}", network.name))
                    .expected_got(format!("on {} ({})", network.name, network.subnet), address)
                    .hint(format!("docker network connect {} {name}", network.name))
                    .evidence(evidence)
                    .into());
            }
            let subnet = context.lab.pods_of(role)?;
            if !cidr.parse::<Ipv4Net>().is_ok_and(|pods| subnet.contains(&pods)) {
                return Err(Finding::new(format!("{object} gives its pods addresses outside {subnet}"))
                    .expected_got(subnet.to_string(), cidr)
                    .evidence(evidence)
                    .into());
            }
        }
        if let Some((network, _)) = &docker {
            evidence.saw(format!("Docker network {}", network.name), "subnet", network.subnet);
        }
        network_label(context, cluster, evidence).await?;
    }
    let (one, other) = (context.primary(), context.remote());
    let [ones, others] = Role::ALL.map(|role| pods.remove(&role).unwrap_or_default());
    if ones.is_empty() || others.is_empty() {
        evidence.note("not every Node says which addresses it gives to pods");
    }
    let pairs = ones.iter().flat_map(|ones| others.iter().map(move |others| (ones, others)));
    if let Some((ones, others)) =
        pairs.into_iter().find(|(ones, others)| ones.contains(*others) || others.contains(*ones))
    {
        return Err(Finding::new(format!("pods of {} and {} have the same addresses", one.name, other.name))
            .expected_got("pod subnets that do not overlap", format!("{ones} and {others}"))
            .evidence(evidence)
            .into());
    }
    Ok(())
}

/// The Docker network of the lab with what is on it; none of clusters that the user brought.
async fn docker_network(context: &Context) -> Result<Option<(&NetworkPlan, Vec<String>)>, Fault> {
    let (Ok(engine), Ok(topology)) = (context.lab.engine(), context.lab.file.topology()) else { return Ok(None) };
    let containers = engine.containers("network", &topology.network.name).await?;
    let attached = containers.into_iter().flat_map(|container| container.names.unwrap_or_default()).collect();
    Ok(Some((&topology.network, attached)))
}

async fn network_label(context: &Context, cluster: &Cluster, evidence: &mut Evidence) -> Result<(), Fault> {
    let istio = &*cluster.istio_namespace;
    let namespace =
        cluster.all::<Namespace>().get_opt(istio).await.map_err(cluster.refused(format!("show Namespace {istio}")))?;
    let label = namespace.as_ref().and_then(|namespace| namespace.labels().get(NETWORK_LABEL));
    let object = cluster.object("Namespace", istio);
    evidence.saw(&object, format!("label {NETWORK_LABEL}"), label.map_or("absent", String::as_str));
    match label {
        Some(label) if *label != context.scenario().network => Err(Finding::new(format!(
            "{object} says that the cluster is on network {label}"
        ))
        .expected_got(format!("{} or no label", context.scenario().network), label)
        .hint(format!(
            "with two networks istiod sends traffic to gateways; kubectl label namespace {istio} {NETWORK_LABEL}-"
        ))
        .evidence(evidence)
        .into()),
        _ => Ok(()),
    }
}

fn internal_ip(node: &Node) -> String {
    let addresses = node.status.iter().flat_map(|status| status.addresses.iter().flatten());
    addresses
        .filter(|address| address.type_ == "InternalIP")
        .map(|address| address.address.clone())
        .next()
        .unwrap_or_default()
}

/// A pod of the primary cluster reaches the remote cluster's API server at its address, and it is
/// that server: its certificate is of the remote cluster's own CA.
async fn api_server(context: &Context, evidence: &mut Evidence) -> Result<(), Fault> {
    let (primary, remote) = (context.primary(), context.remote());
    let target = api_server_address(context, evidence).await?;
    let (address, _) = target.rsplit_once(':').unwrap_or((&target, ""));
    let ca = remote
        .api::<ConfigMap>("kube-system")
        .get("kube-root-ca.crt")
        .await
        .map_err(remote.refused("show ConfigMap kube-system/kube-root-ca.crt"))?;
    let ca = ca.data.and_then(|data| data.get("ca.crt").cloned()).unwrap_or_default();
    let url = format!("https://{target}/version");
    let probe = Probe::outside(primary, &context.budgets).await?;
    let wait = context.wait(format!("a pod of {} to reach {url}", primary.name), context.budgets.converge());
    let reached = wait
        .until(|| async {
            let tls = probe.ask::<Tls>(&["tls", &target, "--sni", address, "--root-pem", &ca]).await;
            let got = probe.ask::<Get>(&["get", &url, "--root-pem", &ca]).await;
            match (tls, got) {
                (Ok(tls), Ok(got)) => match (tls.verified, git_version(&got)) {
                    (Some(true), Some(version)) => Look::Yes((tls, version)),
                    (Some(false), _) if !tls.chain.is_empty() => {
                        Look::NotYet(tls.verify_error.unwrap_or_else(|| "another server's certificate".to_string()))
                    }
                    _ => Look::NotYet(got.error.or(tls.error).unwrap_or_else(|| format!("HTTP {:?}", got.status))),
                },
                (Err(error), _) | (_, Err(error)) => Look::unable(format!("the probe could not ask: {error}")),
            }
        })
        .await;
    match reached {
        Ok((tls, version)) => {
            let seen = format!("{} at {url}", probe.object());
            let certificate = tls.chain.first().cloned().unwrap_or_default();
            evidence
                .saw(&seen, "gitVersion", version)
                .saw(
                    &seen,
                    "server certificate",
                    format!(
                        "{} with {}, sha256 {}",
                        certificate.subject,
                        certificate.ip.join(", "),
                        certificate.sha256
                    ),
                )
                .saw(&seen, format!("signed by {}", remote.object("ConfigMap", "kube-system/kube-root-ca.crt")), true);
            Ok(())
        }
        Err(timeout) => Err(Finding::new(format!(
            "pods of {} do not reach the API server of {} at {url}",
            primary.name, remote.name
        ))
        .expected_got(format!("gitVersion {}", context.scenario().kubernetes), timeout.last()?)
        .hint(format!("istiod of {} must reach it there; look at routes and packet filters of the nodes", primary.name))
        .evidence(evidence)
        .into()),
    }
}

/// Where the API server of the remote cluster is: where it says itself, or where the user's kubeconfig has it, for that is
/// what istiod will be told.
async fn api_server_address(context: &Context, evidence: &mut Evidence) -> Result<String, Fault> {
    let remote = context.remote();
    if context.lab.file.topology().is_err() {
        let server = remote.server()?;
        evidence.saw(remote.object("context", &remote.context), "server", &server);
        return Ok(server);
    }
    let slice = remote
        .api::<EndpointSlice>("default")
        .get("kubernetes")
        .await
        .map_err(remote.refused("show EndpointSlice default/kubernetes"))?;
    let advertised = slice.endpoints.iter().flat_map(|endpoint| endpoint.addresses.first()).next().cloned();
    let port = slice.ports.iter().flatten().find_map(|port| port.port).unwrap_or(6443);
    let address =
        advertised.ok_or_else(|| Fault::unknown(format!("the API server of {} advertises no address", remote.name)))?;
    let target = format!("{address}:{port}");
    evidence.saw(remote.object("EndpointSlice", "default/kubernetes"), "endpoints[0]", &target);
    Ok(target)
}

/// The version in an answer of `/version`; none in any other answer.
fn git_version(got: &Get) -> Option<String> {
    let answer: Value = serde_json::from_str(&got.body).ok()?;
    (got.status == Some(200)).then(|| answer["gitVersion"].as_str().map(String::from))?
}

#[cfg(test)]
mod tests {
    use harness::lab::probe::Get;
    use rstest::rstest;

    use super::git_version;

    #[rstest]
    #[case::an_api_server(Some(200), r#"{"gitVersion": "v1.36.3"}"#, Some("v1.36.3"))]
    #[case::forbidden(Some(403), r#"{"gitVersion": "v1.36.3"}"#, None)]
    #[case::something_else(Some(200), "<html>", None)]
    #[case::another_document(Some(200), "{}", None)]
    #[case::no_answer(None, "", None)]
    fn only_an_api_server_answers_with_its_version(
        #[case] status: Option<u16>,
        #[case] body: &str,
        #[case] version: Option<&str>,
    ) {
        let got = Get { status, body: body.to_string(), error: None };
        assert_eq!(git_version(&got).as_deref(), version);
    }
}
