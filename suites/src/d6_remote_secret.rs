//! D6: the remote secret makes istiod trust the remote cluster: without it its workloads are refused, with it they
//! get certificates and configuration.
//!
//! Sabotage: `kubectl -n istio-system delete secret istio-remote-secret-cluster2` in cluster1, or take its label
//! istio/multiCluster.

use std::collections::BTreeMap;

use harness::check::case::{Case, When};
use harness::check::{Context, Evidence, Fault, Finding};
use harness::install::action::ISTIO_SYSTEM;
use harness::install::proof::external_address;
use harness::lab::cluster::pod_ready;
use harness::wait::Look;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::ResourceExt;
use kube::api::ListParams;

use crate::shared::leading::root_of_primary;
use crate::shared::writer::manager_of;
use crate::shared::{istiod, token};

/// The clause.
pub const CASE: Case = Case {
    id: "D6",
    slug: "remote-secret-trusted",
    title: "The remote secret makes istiod trust the remote cluster",
    guide: "https://istio.io/latest/docs/setup/install/multicluster/primary-remote/#attach-cluster2-as-a-remote-cluster-of-cluster1",
    needs: &["D3", "token-before-secret"],
    uses: &[],
    when: When::Installed,
    judge: |context| Box::pin(judge(context)),
};

const LABEL: &str = "istio/multiCluster";
const SAMPLE: &str = "meshproof-sample";

async fn judge(context: &Context) -> Result<Evidence, Fault> {
    let mut evidence = Evidence::new();
    secret(context, &mut evidence).await?;
    synced(context, &mut evidence).await?;
    let service = istiod::gateway(context).await?;
    let address = service.as_ref().and_then(external_address).ok_or_else(|| Fault::unknown("the gateway has no external address any more"))?;
    let address = format!("{address}:15012");
    let root = root_of_primary(context).await?;
    token::refused_before(context, &mut evidence)?;
    token::accepted_now(context, &address, &root, &mut evidence).await?;
    token::altered_refused(context, &address, &root, &mut evidence).await?;
    proxies(context, &mut evidence).await?;
    Ok(evidence)
}

/// The Secret is where istiod looks for it, names the remote cluster, and leads to its API server. Of what is in it only
/// that address is shown.
async fn secret(context: &Context, evidence: &mut Evidence) -> Result<(), Fault> {
    let (primary, remote) = (context.primary(), context.remote());
    let all = primary
        .api::<Secret>(ISTIO_SYSTEM)
        .list(&ListParams::default().labels(&format!("{LABEL}=true")))
        .await
        .map_err(primary.refused("list the remote secrets"))?;
    let fitting: Vec<&Secret> =
        all.items.iter().filter(|secret| secret.data.as_ref().is_some_and(|data| data.contains_key(&remote.name))).collect();
    let Some(secret) = fitting.first() else { return Err(missing(context, &all.items, evidence).await?.into()) };
    let object = primary.object("Secret", &format!("{ISTIO_SYSTEM}/{}", secret.name_any()));
    let config = secret.data.as_ref().and_then(|data| data.get(&remote.name)).map(|bytes| String::from_utf8_lossy(&bytes.0));
    let server = config.as_deref().and_then(server).unwrap_or_default();
    evidence
        .saw(&object, format!("label {LABEL}"), "true")
        .saw(&object, "key", &remote.name)
        .saw(&object, format!("server of {}", remote.name), &server)
        .saw(&object, format!("managedFields of label {LABEL}"), manager_of(&secret.metadata, &format!("f:{LABEL}")));
    if is_loopback(&server) {
        return Err(Finding::new(format!("{object} leads istiod to {server}, which is istiod's own pod"))
            .expected_got(format!("an address of the API server of {} that pods of {} reach", remote.name, primary.name), server)
            .hint("make it again with istioctl create-remote-secret --server https://<address of the node>:6443 (istio/istio#31081)")
            .evidence(evidence)
            .into());
    }
    if fitting.len() > 1 {
        let names: Vec<String> = fitting.iter().map(|secret| secret.name_any()).collect();
        evidence.note(format!("{} secrets name {}; istiod uses one of them: {}", names.len(), remote.name, names.join(", ")));
    }
    Ok(())
}

/// What to say when no labelled Secret names the remote cluster: it may be there by another name, or without its label.
async fn missing(context: &Context, labelled: &[Secret], evidence: &mut Evidence) -> Result<Finding, Fault> {
    let (primary, remote) = (context.primary(), context.remote());
    let name = format!("istio-remote-secret-{}", remote.name);
    let object = primary.object("Secret", &format!("{ISTIO_SYSTEM}/{name}"));
    let there = primary
        .api::<Secret>(ISTIO_SYSTEM)
        .get_metadata_opt(&name)
        .await
        .map_err(primary.refused(format!("show Secret {ISTIO_SYSTEM}/{name}")))?;
    let keys = |secret: &Secret| secret.data.iter().flat_map(|data| data.keys().cloned()).collect::<Vec<_>>().join(", ");
    let others: Vec<String> = labelled.iter().map(|secret| format!("{} for {}", secret.name_any(), keys(secret))).collect();
    evidence.saw(primary.object("Secrets", &format!("{LABEL}=true")), "names and clusters", if others.is_empty() { "none".to_string() } else { others.join("; ") });
    let cause = match (there, others.first()) {
        (Some(found), _) if found.labels().get(LABEL).map(String::as_str) != Some("true") => {
            format!("{object} lacks the label {LABEL}=true")
        }
        (Some(_), _) => format!("{object} holds no kubeconfig under the key {}", remote.name),
        (None, Some(other)) => format!("{object} is not there; there is {other}"),
        (None, None) => format!("{object} is not there"),
    };
    let got = if others.is_empty() { "no remote secret".to_string() } else { others.join("; ") };
    Ok(Finding::new(cause)
        .expected_got(format!("a Secret with the label {LABEL}=true and the key {}", remote.name), got)
        .hint(format!("istioctl create-remote-secret --context={} --name={} | kubectl apply -f - --context={}", remote.context, remote.name, primary.context))
        .evidence(evidence))
}

/// The server in a kubeconfig as host and port, and nothing else of it.
fn server(config: &str) -> Option<String> {
    let line = config.lines().map(|line| line.trim().trim_start_matches("- ")).find(|line| line.starts_with("server:"))?;
    let url = line["server:".len()..].trim().trim_matches(['"', '\'']);
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next()?;
    Some(authority.rsplit('@').next().unwrap_or(authority).to_string())
}

fn is_loopback(server: &str) -> bool {
    ["127.", "localhost", "[::1]", "0.0.0.0"].iter().any(|start| server.starts_with(start))
}

/// Every ready replica of istiod says that the remote cluster is synced.
async fn synced(context: &Context, evidence: &mut Evidence) -> Result<(), Fault> {
    let (primary, remote) = (context.primary(), context.remote());
    let wait = context.wait(format!("every replica of istiod to sync {}", remote.name), context.budgets.converge());
    let found = wait
        .until(|| async {
            let told = match sync_of_each(context).await {
                Ok(told) => told,
                Err(Fault::Unknown(error)) => return Look::NotYet(format!("the debug page could not be read: {error}")),
                Err(Fault::Refuted(finding)) => return Look::NotYet(finding.cause),
            };
            if told.is_empty() {
                return Look::NotYet(format!("{} has no ready pod of istiod", primary.name));
            }
            match told.iter().find(|(_, (status, _))| status != "synced") {
                None => Look::Yes(told),
                Some((pod, (status, _))) => Look::NotYet(format!("{} says that {} is {status}", istiod::object(primary, pod), remote.name)),
            }
        })
        .await;
    match found {
        Ok(told) => {
            for (pod, (status, secret)) in told {
                evidence.saw(istiod::object(primary, &pod), format!("/debug/clusterz of {}", remote.name), format!("{status}, by Secret {secret}"));
            }
            Ok(())
        }
        Err(timeout) if timeout.last().starts_with("the debug page could not be read") => Err(timeout.into()),
        Err(timeout) => Err(Finding::new(timeout.last())
            .expected_got(format!("{} synced on every replica", remote.name), timeout.last())
            .hint(format!("see istiod's log for {}: kubectl --context {} -n {ISTIO_SYSTEM} logs deploy/istiod", remote.name, primary.context))
            .evidence(evidence)
            .into()),
    }
}

async fn sync_of_each(context: &Context) -> Result<BTreeMap<String, (String, String)>, Fault> {
    let (primary, remote) = (context.primary(), context.remote());
    let mut told = BTreeMap::new();
    for pod in istiod::replicas(primary).await? {
        let page = istiod::debug(primary, &pod, "/debug/clusterz").await?;
        let status = istiod::sync(&page, &remote.name).unwrap_or(("unknown to it".to_string(), String::new()));
        told.insert(pod, status);
    }
    Ok(told)
}

/// Every ready proxy of the sample namespace in the remote cluster is connected to istiod as one of that cluster.
async fn proxies(context: &Context, evidence: &mut Evidence) -> Result<(), Fault> {
    let (primary, remote) = (context.primary(), context.remote());
    let wait = context.wait(format!("proxies of {} to be connected to istiod", remote.name), context.budgets.converge());
    let found = wait
        .until(|| async {
            match connections(context).await {
                Ok((pods, told)) => match pods.iter().find_map(|pod| strayed(pod, &told, &remote.name)) {
                    None => Look::Yes((pods, told)),
                    Some(why) => Look::NotYet(why),
                },
                Err(Fault::Unknown(error)) => Look::NotYet(format!("the debug page could not be read: {error}")),
                Err(Fault::Refuted(finding)) => Look::NotYet(finding.cause),
            }
        })
        .await;
    let (pods, told) = match found {
        Ok(found) => found,
        Err(timeout) if timeout.last().starts_with("the debug page could not be read") => return Err(timeout.into()),
        Err(timeout) => {
            return Err(Finding::new(format!("{} pod {}", remote.name, timeout.last()))
                .expected_got(format!("connected to istiod of {} with the cluster id {}", primary.name, remote.name), timeout.last())
                .hint(format!("istioctl --context {} proxy-status", primary.context))
                .evidence(evidence)
                .into());
        }
    };
    if pods.is_empty() {
        evidence.note(format!("{} has no ready pod in {SAMPLE} yet, so no proxy could be asked about", remote.name));
        return Ok(());
    }
    for pod in &pods {
        let (cluster, replica) = told.get(&format!("{pod}.{SAMPLE}")).cloned().unwrap_or_default();
        let object = remote.object("pod", &format!("{SAMPLE}/{pod}"));
        evidence.saw(&object, format!("connected to {replica} with cluster id"), cluster);
    }
    identity(context, &pods[0], evidence).await
}

/// What proxies are connected as, and to which replica, by `pod.namespace`.
type Connections = BTreeMap<String, (String, String)>;

/// Ready pods with a proxy, and what each replica of istiod says of its connections.
async fn connections(context: &Context) -> Result<(Vec<String>, Connections), Fault> {
    let (primary, remote) = (context.primary(), context.remote());
    let has_proxy = |pod: &Pod| pod.metadata.annotations.as_ref().is_some_and(|all| all.contains_key("sidecar.istio.io/status"));
    let pods = remote.pods(SAMPLE, "app").await?;
    let pods = pods.iter().filter(|pod| pod_ready(pod) == Look::Yes(()) && has_proxy(pod)).map(ResourceExt::name_any).collect();
    let mut told = BTreeMap::new();
    for replica in istiod::replicas(primary).await? {
        for (proxy, cluster) in istiod::connected(&istiod::debug(primary, &replica, "/debug/syncz").await?) {
            told.insert(proxy, (cluster, istiod::object(primary, &replica)));
        }
    }
    Ok((pods, told))
}

/// Why a pod's proxy is not connected as one of its cluster; none if it is.
fn strayed(pod: &str, told: &Connections, cluster: &str) -> Option<String> {
    match told.get(&format!("{pod}.{SAMPLE}")) {
        None => Some(format!("{SAMPLE}/{pod} is ready, and no replica of istiod has a connection of it")),
        Some((id, replica)) if id != cluster => Some(format!("{SAMPLE}/{pod} is connected to {replica} with the cluster id {id}")),
        Some(_) => None,
    }
}

/// The identity with which that proxy is connected, by the certificate that it holds.
async fn identity(context: &Context, pod: &str, evidence: &mut Evidence) -> Result<(), Fault> {
    let remote = context.remote();
    let certificates = remote.forward(SAMPLE, pod, 15000).await?.json("/certs").await?;
    let chain = &certificates["certificates"][0]["cert_chain"][0];
    let uri = chain["subject_alt_names"][0]["uri"].as_str().unwrap_or_default();
    let object = remote.object("pod", &format!("{SAMPLE}/{pod}"));
    evidence.saw(&object, "identity of its proxy", uri);
    if uri.starts_with(&format!("spiffe://cluster.local/ns/{SAMPLE}/sa/")) {
        return Ok(());
    }
    let got = if uri.is_empty() { "no identity" } else { uri };
    Err(Finding::new(format!("the proxy of {object} has {got}"))
        .expected_got(format!("spiffe://cluster.local/ns/{SAMPLE}/sa/..."), got)
        .evidence(evidence)
        .into())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rstest::rstest;

    use super::{is_loopback, server, strayed};

    #[rstest]
    #[case::as_made("clusters:\n- cluster:\n    server: https://172.30.0.2:6443\n  name: a", Some("172.30.0.2:6443"))]
    #[case::first_of_its_list("- server: https://a.example/base", Some("a.example"))]
    #[case::quoted("    server: \"https://127.0.0.1:40000\"", Some("127.0.0.1:40000"))]
    #[case::with_a_password("server: https://user:secret@host:1/", Some("host:1"))]
    #[case::none("kind: Config", None)]
    fn only_host_and_port_of_a_kubeconfig_are_shown(#[case] config: &str, #[case] shown: Option<&str>) {
        assert_eq!(server(config).as_deref(), shown);
    }

    #[rstest]
    #[case("127.0.0.1:40000", true)]
    #[case("localhost:6443", true)]
    #[case("[::1]:6443", true)]
    #[case("172.30.0.2:6443", false)]
    fn a_server_on_loopback_is_no_remote_one(#[case] server: &str, #[case] loopback: bool) {
        assert_eq!(is_loopback(server), loopback);
    }

    #[rstest]
    #[case::connected("echo", true)]
    #[case::as_another_cluster("caller", false)]
    #[case::not_connected("scaled", false)]
    fn a_proxy_must_be_connected_as_one_of_its_cluster(#[case] pod: &str, #[case] fine: bool) {
        let entry = |pod: &str, id: &str| (format!("{pod}.meshproof-sample"), (id.to_string(), "istiod-a".to_string()));
        let told = BTreeMap::from([entry("echo", "cluster2"), entry("caller", "cluster1")]);
        assert_eq!(strayed(pod, &told, "cluster2").is_none(), fine);
    }
}
