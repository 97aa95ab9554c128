//! Proxies of the remote cluster, as istiod of the primary knows them.

use std::collections::BTreeMap;

use harness::check::{Context, Evidence, Fault, Finding};
use harness::install::action::{istio_namespace, with};
use harness::lab::Revision;
use harness::lab::injection::revision_of;
use harness::wait::Look;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use crate::shared::istiod;
use crate::shared::sample::in_the_mesh;

/// Every ready proxy of the sample namespace in the remote cluster is connected to istiod as one of that cluster.
///
/// # Errors
/// A finding that names the pod.
pub async fn judge(context: &Context, evidence: &mut Evidence) -> Result<(), Fault> {
    let namespace = context.sample();
    let (primary, remote) = (context.primary(), context.remote());
    let wait =
        context.wait(format!("proxies of {} to be connected to istiod", remote.name), context.budgets.endpoints());
    let found = wait
        .until(|| async {
            match connections(context).await {
                Ok((pods, told)) => {
                    match pods.iter().find_map(|pod| strayed(pod, namespace, &told, (&remote.name, &remote.revision))) {
                        None => Look::Yes((pods, told)),
                        Some(why) => Look::NotYet(why),
                    }
                }
                Err(fault) => fault.into(),
            }
        })
        .await;
    let (pods, told) = match found {
        Ok(found) => found,
        Err(timeout) => {
            return Err(Finding::new(format!("{} pod {}", remote.name, timeout.last()?))
                .expected_got(
                    format!("connected to istiod of {} with the cluster id {}", primary.name, remote.name),
                    timeout.last()?,
                )
                .hint(with(
                    format!("istioctl --context {} proxy-status", primary.context_word()),
                    &istio_namespace(&primary.istio_namespace),
                ))
                .evidence(evidence)
                .into());
        }
    };
    if pods.is_empty() {
        evidence.note(format!("{} has no ready pod in {namespace} yet, so no proxy could be asked about", remote.name));
        return Ok(());
    }
    let names: Vec<String> = pods.iter().map(ResourceExt::name_any).collect();
    for pod in &names {
        let found = told.get(&format!("{pod}.{namespace}")).into_iter().flatten();
        let own = found.into_iter().find(|(cluster, _)| *cluster == remote.name);
        let (cluster, replica) = own.cloned().unwrap_or_default();
        let object = remote.object("pod", &format!("{namespace}/{pod}"));
        evidence.saw(&object, format!("connected to {replica} with cluster id"), cluster);
    }
    identity(context, &names[0], evidence).await
}

/// What proxies are connected as, and to which replica, by `pod.namespace`: pods of StatefulSets have namesakes in the
/// other cluster.
type Connections = BTreeMap<String, Vec<(String, String)>>;

/// Ready pods with a proxy, and what each replica of istiod says of its connections.
async fn connections(context: &Context) -> Result<(Vec<Pod>, Connections), Fault> {
    let (primary, remote) = (context.primary(), context.remote());
    let pods = in_the_mesh(remote).await?;
    let mut told = Connections::new();
    for replica in istiod::replicas(primary).await? {
        for (proxy, cluster) in istiod::connected(&istiod::debug(primary, &replica, "/debug/syncz").await?) {
            told.entry(proxy).or_default().push((cluster, istiod::object(primary, &replica)));
        }
    }
    Ok((pods, told))
}

/// Why a pod's proxy is not connected as one of its cluster; none if it is.
fn strayed(pod: &Pod, namespace: &str, told: &Connections, (cluster, judged): (&str, &Revision)) -> Option<String> {
    let name = pod.name_any();
    let found = told.get(&format!("{name}.{namespace}")).map_or([].as_slice(), Vec::as_slice);
    if found.iter().any(|(id, _)| id == cluster) {
        return None;
    }
    Some(match found.first() {
        None => {
            let other = revision_of(pod).filter(|revision| revision != judged.name());
            let other = other.map(|revision| format!("; its proxy is that of revision {revision}")).unwrap_or_default();
            format!("{namespace}/{name} is ready, and no replica of istiod has a connection of it{other}")
        }
        Some((id, replica)) => format!("{namespace}/{name} is connected to {replica} with the cluster id {id}"),
    })
}

/// The identity with which that proxy is connected, by the certificate that it holds.
async fn identity(context: &Context, pod: &str, evidence: &mut Evidence) -> Result<(), Fault> {
    let namespace = context.sample();
    let remote = context.remote();
    let certificates = remote.forward(namespace, pod, 15000).await?.json("/certs").await?;
    let chain = &certificates["certificates"][0]["cert_chain"][0];
    let uri = chain["subject_alt_names"][0]["uri"].as_str().unwrap_or_default();
    let object = remote.object("pod", &format!("{namespace}/{pod}"));
    evidence.saw(&object, "identity of its proxy", uri);
    if uri.starts_with(&format!("spiffe://cluster.local/ns/{namespace}/sa/")) {
        return Ok(());
    }
    let got = if uri.is_empty() { "no identity" } else { uri };
    Err(Finding::new(format!("the proxy of {object} has {got}"))
        .expected_got(format!("spiffe://cluster.local/ns/{namespace}/sa/..."), got)
        .evidence(evidence)
        .into())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use harness::lab::Revision;
    use harness::lab::injection::STATUS;
    use k8s_openapi::api::core::v1::Pod;
    use rstest::rstest;
    use serde_json::json;

    use super::strayed;

    fn pod(name: &str, revision: &str) -> Pod {
        let status = json!({"revision": revision}).to_string();
        let pod = json!({"metadata": {"name": name, "annotations": {STATUS: status}}});
        serde_json::from_value(pod).expect("it is a pod")
    }

    #[rstest]
    #[case::connected("echo", "")]
    #[case::with_a_namesake("stateful-0", "")]
    #[case::as_another_cluster("caller", "with the cluster id cluster1")]
    #[case::not_connected("scaled", "no replica of istiod has a connection of it")]
    fn a_proxy_must_be_connected_as_one_of_its_cluster(#[case] name: &str, #[case] why: &str) {
        let entry = |pod: &str, ids: &[&str]| {
            let all = ids.iter().map(|id| (id.to_string(), "istiod-a".to_string()));
            (format!("{pod}.meshproof-sample"), all.collect::<Vec<_>>())
        };
        let told = BTreeMap::from([
            entry("echo", &["cluster2"]),
            entry("caller", &["cluster1"]),
            entry("stateful-0", &["cluster1", "cluster2"]),
        ]);
        let judged = Revision::default();
        let found = strayed(&pod(name, "default"), "meshproof-sample", &told, ("cluster2", &judged));
        assert!(found.as_ref().is_none_or(|found| found.ends_with(why)), "{found:?}");
        assert_eq!(found.is_none(), why.is_empty());
    }

    #[test]
    fn a_proxy_of_another_revision_says_so() {
        let (told, judged) = (BTreeMap::new(), Revision::default());
        let found = strayed(&pod("echo", "1-31-1"), "meshproof-sample", &told, ("cluster2", &judged));
        assert!(found.is_some_and(|found| found.ends_with("; its proxy is that of revision 1-31-1")));
    }
}
