//! D2: the east-west gateway of the primary cluster has an external address, and answers there to the other cluster; each
//! of its pods does, for the address leads to any of them.
//!
//! Sabotage: empty the status of its Service (`kubectl patch --subresource=status`), scale Deployment
//! istio-eastwestgateway to 0, or cut one of its pods off on its node (`iptables -I FORWARD -d POD_IP -j DROP`).

use harness::check::case::{Case, Reading, Reads, When};
use harness::check::right::{Place, Right};
use harness::check::{ByHand, Context, Evidence, Explanation, Fault, Finding, Mesh, Path};
use harness::install::facts::Fact;
use harness::install::proof::external_address;
use harness::lab::cluster::pod_ready;
use harness::lab::probe::{Get, Probe};
use harness::role::Role;
use harness::wait::Look;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::ResourceExt;

use crate::shared::gateway_traffic as gateway;
use crate::shared::istiod::{self, GATEWAY};
use crate::shared::writer::manager_of;

/// The clause.
pub const CASE: Case = Case {
    id: "D2",
    slug: "gateway-external-address",
    shows: &[Path::Injection, Path::ControlPlane],
    title: "The east-west gateway has an external address that answers to the remote cluster",
    guide: "https://istio.io/latest/docs/setup/install/multicluster/primary-remote/#install-the-east-west-gateway-in-cluster1",
    needs: &["probe-remote"],
    blames: &[],
    follows: &["eastwest-gateway", "gateway-address"],
    uses: &[],
    when: When::Installed,
    judge: |context| Box::pin(judge(context)),
    reads: Reads::Part(Reading {
        judge: |mesh| Box::pin(read(mesh)),
        rights: &[
            Right::new(Role::Primary, Place::Cluster, "", "services", &["list", "watch"]),
            Right::new(Role::Primary, Place::Cluster, "", "pods", &["list"]),
        ],
        not_asked: "whether the gateway answers at that address to the remote cluster",
    }),
    explains: Explanation {
        judges: "Service istio-eastwestgateway of the primary is of type LoadBalancer and has an external address in \
                its status. A pod of the remote cluster is answered at that address on port 15021, and each ready \
                pod of the gateway answers a pod on its own node.",
        why: "That address is the remote cluster's only way to the control plane: its proxies and its API server \
             find istiod there. Without it no new pod of the remote cluster gets a sidecar or configuration.",
        by_hand: &[
            ByHand::new(
                "type LoadBalancer and an external address",
                "kubectl --context ${CTX_CLUSTER1} -n ${ISTIO_NAMESPACE} get service istio-eastwestgateway",
            ),
            ByHand::new(
                "every pod ready",
                "kubectl --context ${CTX_CLUSTER1} -n ${ISTIO_NAMESPACE} get pods -l istio=eastwestgateway -o wide",
            ),
            ByHand::on_a_lab(
                r#""status":200, asked by a pod of the remote cluster"#,
                "kubectl --context ${CTX_CLUSTER2} -n meshproof-probe exec ds/probe -- /workload get http://$(kubectl --context ${CTX_CLUSTER1} -n ${ISTIO_NAMESPACE} get service istio-eastwestgateway -o jsonpath='{.status.loadBalancer.ingress[0].ip}'):15021/healthz/ready",
            ),
        ],
    },
};

async fn judge(context: &Context) -> Result<Evidence, Fault> {
    let mut evidence = Evidence::new();
    let (address, _) = address(context, &mut evidence).await?;
    if let Ok(learnt) = context.fact(Fact::GatewayAddress)
        && learnt != address
    {
        evidence.note(format!("the address was {learnt} when the remote profile was installed"));
    }
    answers(context, &address, &mut evidence).await?;
    evidence.note(OPEN);
    Ok(evidence)
}

/// What the guide itself says of such a gateway.
const OPEN: &str = "the guide warns that on most platforms this gateway is open to the Internet as installed: who runs it in \
                    production may want a firewall or a private load balancer before it";

/// The part that only reads: the address in the status, and ready pods that could answer there.
async fn read(mesh: &Mesh) -> Result<Evidence, Fault> {
    let primary = mesh.primary();
    let mut evidence = Evidence::new();
    let (_, service) = address(mesh, &mut evidence).await?;
    let place = format!("{}/{}", service.namespace().unwrap_or_default(), service.name_any());
    let object = primary.object("Service", &place);
    let selector = service.spec.and_then(|spec| spec.selector).unwrap_or_default();
    if selector.is_empty() {
        return Err(Fault::unknown(format!("{object} selects no pods, so who would answer behind it is not known")));
    }
    let selector: Vec<String> = selector.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let pods = primary.pods(&service.metadata.namespace.unwrap_or_default(), &selector.join(",")).await?;
    let ready: Vec<String> =
        pods.iter().filter(|pod| pod_ready(pod) == Look::Yes(())).map(ResourceExt::name_any).collect();
    if ready.is_empty() {
        return Err(Finding::new(format!("{object} has no ready pod behind it, so nobody answers at its address"))
            .expected_got(format!("a ready pod {}", selector.join(",")), format!("none of {} is ready", pods.len()))
            .evidence(&evidence)
            .into());
    }
    evidence.saw(&object, "ready pods behind it", ready.join(", "));
    evidence.note(OPEN);
    Ok(evidence)
}

async fn address(mesh: &Mesh, evidence: &mut Evidence) -> Result<(String, Service), Fault> {
    let primary = mesh.primary();
    let (namespace, name) = istiod::gateway_place(mesh).await?;
    let object = primary.object("Service", &format!("{namespace}/{name}"));
    let wait = mesh.wait(format!("an external address of {object}"), mesh.budgets.converge());
    let found = primary
        .watch(&wait, primary.api::<Service>(&namespace), &name, |service| {
            let Some(service) = service else { return Look::NotYet("is not there".to_string()) };
            let kind = service.spec.as_ref().and_then(|spec| spec.type_.clone()).unwrap_or_default();
            if kind != "LoadBalancer" {
                return Look::NotYet(format!("is of type {kind}, not LoadBalancer"));
            }
            match external_address(service) {
                Some(address) => Look::Yes((address, service.clone())),
                None => Look::NotYet("has no external address in its status".to_string()),
            }
        })
        .await;
    let (address, service) = match found {
        Ok(found) => found,
        Err(timeout) => {
            return Err(Finding::new(format!("{object} {}", timeout.last()?))
                .expected_got("type LoadBalancer and status.loadBalancer.ingress[0]", timeout.last()?)
                .hint("without it the remote cluster has no way to istiod; look at the load balancer of the platform")
                .evidence(evidence)
                .into());
        }
    };
    evidence
        .saw(&object, "status.loadBalancer.ingress[0]", &address)
        .saw(&object, "managedFields of status.loadBalancer", manager_of(&service.metadata, "f:loadBalancer"))
        .saw(&object, "exposed ports", ports(&service));
    Ok((address, service))
}

/// `15012 tls-istiod, 15017 tls-istiodwebhook`, in the order in which the Service has them.
fn ports(service: &Service) -> String {
    let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    let words = ports.map(|port| format!("{} {}", port.port, port.name.as_deref().unwrap_or_default()));
    words.collect::<Vec<_>>().join(", ")
}

async fn answers(context: &Context, address: &str, evidence: &mut Evidence) -> Result<(), Fault> {
    let (primary, remote) = (context.primary(), context.remote());
    let istio = &*primary.istio_namespace;
    let object = primary.object("Service", &format!("{istio}/{GATEWAY}"));
    let ready = gateway::pods(primary).await?;
    let names: Vec<String> = ready.iter().map(ResourceExt::name_any).collect();
    let pods = if names.is_empty() { "none".to_string() } else { names.join(", ") };
    let wanted = context.scenario().gateway.replicas as usize;
    evidence.saw(&object, format!("ready pods behind it, of {wanted}"), &pods);
    for pod in &ready {
        each_answers(context, pod, evidence).await?;
    }
    let url = format!("http://{address}:15021/healthz/ready");
    let probe = Probe::outside(remote, &context.budgets).await?;
    let wait = context.wait(format!("{url} to answer to {}", remote.name), context.budgets.converge());
    // With several pods behind the address one answer says little of the others.
    let row = if wanted > 1 { ROW } else { 1 };
    match wait.steady(row, || get_ready(&probe, &url)).await {
        Ok(()) if ready.len() < wanted => {
            Err(Finding::new(format!("{object} has {} ready pods behind it, not {wanted}", ready.len()))
                .expected_got(wanted.to_string(), pods)
                .hint(format!("kubectl --context {} -n {istio} describe deployment {GATEWAY}", primary.context_word()))
                .evidence(evidence)
                .into())
        }
        Ok(()) => {
            let times = if row > 1 { format!("HTTP 200, {row} times in a row") } else { "HTTP 200".to_string() };
            evidence.saw(probe.object(), format!("GET {url}"), times);
            Ok(())
        }
        Err(timeout) => {
            let why = if ready.is_empty() { "; no pod istio=eastwestgateway is ready" } else { "" };
            Err(Finding::new(format!(
                "{} Service {istio}/{GATEWAY} does not answer pods of {} at {url}{why}",
                primary.name, remote.name
            ))
            .expected_got("HTTP 200", timeout.last()?)
            .hint(format!(
                "see who has the address ({address}), the pods behind the Service, and the routes between the nodes"
            ))
            .evidence(evidence)
            .into())
        }
    }
}

/// Answers in a row at an address with several pods behind it: one silent pod of two is met in all but 1 of 1000 cases.
const ROW: u32 = 10;

/// One pod of the gateway answers, asked from its own node: what is wrong between nodes is for D10 to say.
async fn each_answers(context: &Context, pod: &Pod, evidence: &mut Evidence) -> Result<(), Fault> {
    let primary = context.primary();
    let istio = &*primary.istio_namespace;
    let object = primary.object("pod", &format!("{istio}/{}", pod.name_any()));
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).unwrap_or_default();
    let address = pod.status.as_ref().and_then(|status| status.pod_ip.clone()).unwrap_or_default();
    let url = format!("http://{address}:15021/healthz/ready");
    let probe = Probe::beside(primary, pod, &context.budgets).await?;
    let wait = context.wait(format!("{object} to answer"), context.budgets.converge());
    match wait.until(|| get_ready(&probe, &url)).await {
        Ok(()) => {
            evidence.saw(object, format!("GET {url}, from its node {node}"), "HTTP 200");
            Ok(())
        }
        Err(timeout) => Err(Finding::new(format!("{object} of the east-west gateway on node {node} does not answer at {url}"))
            .expected_got("HTTP 200", timeout.last()?)
            .hint(format!("the Service sends its share of connections there; see the packet filters of node {node} (iptables), and the pod's log"))
            .evidence(evidence)
            .into()),
    }
}

async fn get_ready(probe: &Probe, url: &str) -> Look<()> {
    match probe.ask::<Get>(&["get", url]).await {
        Ok(Get { status: Some(200), .. }) => Look::Yes(()),
        Ok(Get { status: Some(status), .. }) => Look::NotYet(format!("HTTP {status}")),
        Ok(Get { error, .. }) => Look::NotYet(error.unwrap_or_else(|| "no answer".to_string())),
        Err(error) => Look::unable(format!("the probe could not ask: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Service;
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::ports;

    #[rstest]
    #[case::two(json!([{"port": 15012, "name": "tls-istiod"}, {"port": 15017, "name": "tls-istiodwebhook"}]),
                "15012 tls-istiod, 15017 tls-istiodwebhook")]
    #[case::without_a_name(json!([{"port": 80}]), "80 ")]
    #[case::none(json!([]), "")]
    fn exposed_ports_are_told_with_their_names(#[case] list: Value, #[case] words: &str) {
        let service: Service = serde_json::from_value(json!({"spec": {"ports": list}})).expect("a Service");
        assert_eq!(ports(&service), words);
    }
}
