//! D5: the remote cluster has the remote profile: it injects by the primary's istiod, and has none of its own.
//!
//! Sabotage: another path in a webhook of MutatingWebhookConfiguration istio-sidecar-injector, or another address in
//! EndpointSlice istio-system/istiod of cluster2.

mod webhooks;

use std::collections::BTreeSet;

use harness::check::case::{Case, Reading, Reads, When};
use harness::check::right::{Place, Right};
use harness::check::{ByHand, Evidence, Explanation, Fault, Finding, Mesh, Path};
use harness::install::action::with;
use harness::install::facts::Fact;
use harness::install::proof::external_address;
use harness::lab::Revision;
use harness::role::Role;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Endpoints, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;
use kube::api::ListParams;

use crate::shared::istiod;
use crate::shared::writer::manager_of;

/// The clause.
pub const CASE: Case = Case {
    id: "D5",
    slug: "remote-profile",
    shows: &[Path::Injection],
    title: "The remote cluster injects by the primary's istiod, behind the gateway's address",
    guide: "https://istio.io/latest/docs/setup/install/multicluster/primary-remote/#configure-cluster2-as-a-remote",
    needs: &[],
    blames: &[],
    follows: &["remote-install"],
    uses: &[],
    when: When::Installed,
    judge: |context| Box::pin(read(context, context.facts.get(Fact::GatewayAddress))),
    reads: Reads::Part(Reading {
        judge: |mesh| Box::pin(read(mesh, None)),
        rights: &[
            Right::new(
                Role::Remote,
                Place::Cluster,
                "admissionregistration.k8s.io",
                "mutatingwebhookconfigurations",
                &["list"],
            ),
            Right::new(Role::Remote, Place::Istio, "", "services", &["get"]),
            Right::new(Role::Remote, Place::Istio, "discovery.k8s.io", "endpointslices", &["list"]),
            Right::new(Role::Remote, Place::Istio, "", "endpoints", &["get"]),
            Right::new(Role::Remote, Place::Cluster, "apps", "deployments", &["list"]),
            Right::new(Role::Remote, Place::Cluster, "", "pods", &["list"]),
            Right::new(Role::Primary, Place::Cluster, "", "services", &["get", "list"]),
        ],
        not_asked: "",
    }),
    explains: Explanation {
        judges: "Every injection webhook of the remote cluster has the label of a revision, and calls Service istiod \
                with the path of this cluster and network. That Service has no selector; behind it is the gateway's \
                address and nothing else, on ports 15012 and 15017. No istiod runs in the remote cluster.",
        why: "By this path a new pod gets its sidecar, and by this Service its proxy finds the control plane. \
             Another path gives proxies another cluster's id, and another address leaves them without configuration.",
        by_hand: &[
            ByHand::new(
                "the path /inject/cluster/${CLUSTER2}/net/${NETWORK}",
                "kubectl --context ${CTX_CLUSTER2} get mutatingwebhookconfigurations -l istio.io/rev -o custom-columns=NAME:.metadata.name,PATH:.webhooks[*].clientConfig.service.path",
            ),
            ByHand::new(
                "the gateway's address, ports 15012 and 15017",
                "kubectl --context ${CTX_CLUSTER2} -n ${ISTIO_NAMESPACE} get endpointslices -l kubernetes.io/service-name=istiod${REVISION_SUFFIX}",
            ),
            ByHand::new(
                "the same address",
                "kubectl --context ${CTX_CLUSTER1} -n ${ISTIO_NAMESPACE} get service istio-eastwestgateway",
            ),
            ByHand::new("nothing", "kubectl --context ${CTX_CLUSTER2} get deployments,pods -A -l app=istiod"),
        ],
    },
};

/// Ports of Service istiod, with where each leads.
const PORTS: [(i32, i32); 2] = [(15012, 15012), (443, 15017)];

/// All of it only reads. The gateway's address may have been `learnt` before it was lost.
async fn read(mesh: &Mesh, learnt: Option<String>) -> Result<Evidence, Fault> {
    let mut evidence = Evidence::new();
    webhooks::judge(mesh, &mut evidence).await?;
    let service = service(mesh, &mut evidence).await?;
    addresses(mesh, &service, learnt, &mut evidence).await?;
    no_istiod(mesh, &mut evidence).await?;
    Ok(evidence)
}

async fn service(mesh: &Mesh, evidence: &mut Evidence) -> Result<Service, Fault> {
    let remote = mesh.remote();
    let istio = &*remote.istio_namespace;
    let name = remote.revision.istiod();
    let object = remote.object("Service", &format!("{istio}/{name}"));
    let service = remote
        .api::<Service>(istio)
        .get_opt(&name)
        .await
        .map_err(remote.refused(format!("show Service {istio}/{name}")))?;
    let Some(service) = service else {
        return Err(Finding::new(format!("{object} is not there"))
            .expected_got("a Service with the gateway's address behind it", "no such Service")
            .hint(remote_profile(&remote.revision))
            .evidence(evidence)
            .into());
    };
    let spec = service.spec.clone().unwrap_or_default();
    let ports: Vec<(i32, i32)> =
        spec.ports.iter().flatten().map(|port| (port.port, target(port.port, &port.target_port))).collect();
    let words = ports.iter().map(|(port, to)| format!("{port} to {to}")).collect::<Vec<_>>().join(", ");
    evidence.saw(&object, "spec.ports", &words);
    for (port, to) in PORTS {
        if !ports.contains(&(port, to)) {
            return Err(Finding::new(format!("{object} does not lead port {port} to {to}"))
                .expected_got("15012 to 15012, 443 to 15017", words)
                .evidence(evidence)
                .into());
        }
    }
    // With a selector Kubernetes writes the endpoints by itself, and drops the gateway's address.
    if let Some(selector) = spec.selector.filter(|selector| !selector.is_empty()) {
        return Err(Finding::new(format!("{object} selects pods of its own cluster"))
            .expected_got("no selector", format!("{selector:?}"))
            .hint("values.global.remotePilotAddress was not set when the remote profile was installed")
            .evidence(evidence)
            .into());
    }
    Ok(service)
}

fn target(port: i32, target: &Option<IntOrString>) -> i32 {
    match target {
        Some(IntOrString::Int(to)) => *to,
        _ => port,
    }
}

/// What is behind Service istiod is the gateway's address as it is now, and nothing else.
async fn addresses(
    mesh: &Mesh,
    service: &Service,
    learnt: Option<String>,
    evidence: &mut Evidence,
) -> Result<(), Fault> {
    let (primary, remote) = (mesh.primary(), mesh.remote());
    let istio = &*remote.istio_namespace;
    let gateway = istiod::gateway(mesh).await?;
    let (gateway_namespace, gateway_name) = istiod::gateway_place(mesh).await?;
    let gateway_object = primary.object("Service", &format!("{gateway_namespace}/{gateway_name}"));
    let wanted = match gateway.as_ref().and_then(external_address) {
        Some(address) => {
            evidence.saw(&gateway_object, "status.loadBalancer.ingress[0]", &address);
            address
        }
        // That the gateway has lost its address is for D2 to say.
        None => {
            let none = format!("{gateway_object} has no external address now");
            let learnt = learnt.ok_or_else(|| Fault::unknown(format!("{none}, with which to compare")))?;
            evidence.note(format!("{none}; compared with the one learnt by the install"));
            learnt
        }
    };
    let mismatch = |object: String, got: String, evidence: &Evidence| {
        Finding::new(format!("{object} holds {got}, not the address {wanted} of the gateway of {}", primary.name))
            .expected_got(&wanted, got)
            .hint("install the remote profile again with values.global.remotePilotAddress set to that address")
            .evidence(evidence)
    };
    if let Some(name) = service.spec.as_ref().and_then(|spec| spec.external_name.clone()) {
        let object = remote.object("Service", &format!("{istio}/{}", remote.revision.istiod()));
        evidence.saw(&object, "spec.externalName", &name);
        if name != wanted && !remote.is_of_lab() {
            // Whoever runs a mesh may have a name of their own for the gateway's address.
            return Err(Fault::unknown(format!(
                "{object} leads to {name}; whether that is {wanted}, the gateway, is not read"
            )));
        }
        return if name == wanted { Ok(()) } else { Err(mismatch(object, name, evidence).into()) };
    }
    let slices = remote
        .api::<EndpointSlice>(istio)
        .list(&ListParams::default().labels(&format!("kubernetes.io/service-name={}", service.name_any())))
        .await
        .map_err(remote.refused(format!("list the EndpointSlices of Service {istio}/{}", service.name_any())))?;
    let mut found = BTreeSet::new();
    let mut ports = BTreeSet::new();
    for slice in &slices {
        let object = remote.object("EndpointSlice", &format!("{istio}/{}", slice.name_any()));
        let addresses: Vec<String> = slice.endpoints.iter().flat_map(|end| end.addresses.clone()).collect();
        let of_slice: Vec<i32> = slice.ports.iter().flatten().filter_map(|port| port.port).collect();
        evidence.saw(&object, "endpoints", addresses.join(", ")).saw(&object, "ports", format!("{of_slice:?}")).saw(
            &object,
            "managedFields of endpoints",
            manager_of(&slice.metadata, "f:endpoints"),
        );
        found.extend(addresses);
        ports.extend(of_slice);
    }
    let name = slices.items.first().map_or(service.name_any(), ResourceExt::name_any);
    let object = remote.object("EndpointSlice", &format!("{istio}/{name}"));
    if found != BTreeSet::from([wanted.clone()]) {
        let got =
            if found.is_empty() { "no address".to_string() } else { found.into_iter().collect::<Vec<_>>().join(", ") };
        return Err(mismatch(object, got, evidence).into());
    }
    if let Some((_, missing)) = PORTS.into_iter().find(|(_, to)| !ports.contains(to)) {
        return Err(Finding::new(format!("{object} lacks the port {missing}"))
            .expected_got("15012 and 15017", format!("{ports:?}"))
            .evidence(evidence)
            .into());
    }
    endpoints(mesh, &service.name_any(), evidence).await
}

/// Notes whether there is an Endpoints object too: some API servers find a webhook's address by it alone.
async fn endpoints(mesh: &Mesh, name: &str, evidence: &mut Evidence) -> Result<(), Fault> {
    let remote = mesh.remote();
    let istio = &*remote.istio_namespace;
    if remote.is_recorded() {
        evidence.note("whether there is an Endpoints object beside the EndpointSlice was not written down");
        return Ok(());
    }
    let object = remote
        .api::<Endpoints>(istio)
        .get_opt(name)
        .await
        .map_err(remote.refused(format!("show Endpoints {istio}/{name}")))?;
    evidence.saw(remote.object("Endpoints", &format!("{istio}/{name}")), "is there", object.is_some());
    if object.is_none() {
        evidence.note(
            "the remote profile makes an EndpointSlice and no Endpoints object since Istio 1.28; API servers that look \
             for Endpoints cannot call the webhook (istio/istio#58445). D8 shows whether this one can",
        );
    }
    Ok(())
}

/// What to do where something of the remote profile is not there.
fn remote_profile(revision: &Revision) -> String {
    with("install the remote profile with the guide's cluster2.yaml".to_string(), &revision.words())
}

async fn no_istiod(mesh: &Mesh, evidence: &mut Evidence) -> Result<(), Fault> {
    let remote = mesh.remote();
    let params = ListParams::default().labels("app=istiod");
    let deployments =
        remote.all::<Deployment>().list(&params).await.map_err(remote.refused("list Deployments app=istiod"))?;
    let pods = remote.all::<Pod>().list(&params).await.map_err(remote.refused("list pods app=istiod"))?;
    evidence.saw(format!("{} Deployments app=istiod", remote.name), "count", deployments.items.len()).saw(
        format!("{} pods app=istiod", remote.name),
        "count",
        pods.items.len(),
    );
    let name = |namespace: Option<String>, name: String| format!("{}/{name}", namespace.unwrap_or_default());
    let one =
        deployments.items.first().map(|found| remote.object("Deployment", &name(found.namespace(), found.name_any())));
    let other = pods.items.first().map(|found| remote.object("pod", &name(found.namespace(), found.name_any())));
    match one.or(other) {
        None => Ok(()),
        Some(object) => Err(Finding::new(format!("{object} is a control plane of {}'s own", remote.name))
            .expected_got("no istiod in a remote cluster", &object)
            .hint("the remote cluster was installed with another profile than remote")
            .evidence(evidence)
            .into()),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
    use rstest::rstest;

    use super::target;

    #[rstest]
    #[case::said(Some(IntOrString::Int(15017)), 15017)]
    #[case::not_said(None, 443)]
    fn a_port_leads_to_itself_if_nothing_else_is_said(#[case] said: Option<IntOrString>, #[case] to: i32) {
        assert_eq!(target(443, &said), to);
    }
}
