//! What stands in the way of an install in a cluster that the user brought, found before anything is made.

use std::collections::BTreeSet;

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::api::PostParams;
use serde_json::json;

use super::record::{ClusterRecord, OF_ISTIOCTL};
use crate::check::verdict::chain;
use crate::install::inventory::{Entry, Found};
use crate::lab::Cluster;
use crate::lab::cluster::of_administrator;
use crate::problem::{Problems, all_of};
use crate::tool::quote;

/// So many objects are named where there are more.
const NAMED: usize = 8;

/// What of a cluster with these objects stands in the way of what is announced.
pub fn in_the_way(cluster: &Cluster, record: &ClusterRecord, found: &[Found]) -> Problems {
    let context = &record.context;
    let mut problems = Problems::new();
    if cluster.nodes.is_empty() {
        let message = format!("no node of context {context} takes pods: all are cordoned or have a taint");
        problems.push("--contexts", message, "a cluster with a node that takes pods which tolerate nothing");
    }
    let traces = named(found.iter().filter(|found| is_trace(found, record)));
    if !traces.is_empty() {
        let message =
            format!("context {context} has Istio, what is left of one, or something under a name of it: {traces}");
        let instead = "clusters without: an Istio that is there is never touched. What an uninstalled one left can be deleted \
                       with `kubectl delete`, and goes over every namespace";
        problems.push("--contexts", message, instead);
    }
    let injected = named(found.iter().filter(|found| is_injected(found)));
    if !injected.is_empty() {
        let message = format!("in context {context} pods would get proxies that are not the harness's: {injected}");
        let instead = "clusters in which no namespace has the label istio-injection or istio.io/rev";
        problems.push("--contexts", message, instead);
    }
    problems
}

/// Names of objects, the first of them where there are many.
fn named<'f>(found: impl Iterator<Item = &'f Found>) -> String {
    let mut names: Vec<String> = found.map(|found| found.entry.to_string()).collect();
    let more = names.len().saturating_sub(NAMED);
    names.truncate(NAMED);
    names.extend((more > 0).then(|| format!("{more} more")));
    if names.is_empty() { String::new() } else { all_of(&names) }
}

/// Whether an object belongs to an Istio, or has a name that the install would take.
fn is_trace(found: &Found, record: &ClusterRecord) -> bool {
    let Found { entry, labels, .. } = found;
    let of_istio = entry.kind.ends_with(".istio.io")
        || labels.keys().any(|key| OF_ISTIOCTL.iter().any(|own| key.starts_with(own)))
        || labels.get("app").is_some_and(|app| app == "istiod" || app == "sidecar-injector");
    let by_name = match entry.bare_kind() {
        "CustomResourceDefinition" => entry.name.ends_with(".istio.io"),
        "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration" => {
            entry.name.contains("istio") || entry.name.starts_with("meshproof-")
        }
        // istiod writes them into every namespace, and would write over them.
        "ConfigMap" => ["istio-ca-root-cert", "istio-ca-crl"].contains(&entry.name.as_str()),
        "Namespace" => record.namespaces.contains(&entry.name) || entry.name.starts_with("meshproof-"),
        _ => false,
    };
    of_istio || by_name || record.announced.contains(entry)
}

/// Whether new pods of a namespace would get a sidecar of the mesh that is installed.
fn is_injected(found: &Found) -> bool {
    let asks = |key: &str| found.labels.get(key).is_some_and(|value| value != "disabled");
    found.entry.kind == "Namespace" && (asks("istio-injection") || asks("istio.io/rev"))
}

/// Which rights are missing, and how they are given. The guide wants an administrator: Istio's own roles can be made by nobody
/// who has less than they give.
pub async fn rights(cluster: &Cluster, record: &ClusterRecord) -> Problems {
    let mut problems = Problems::new();
    let context = &record.context;
    for (_, spec) in of_administrator() {
        match cluster.may(spec).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => {
                let lacking = lacking(cluster, record).await;
                let lacking = if lacking.is_empty() { "every right there is".to_string() } else { all_of(&lacking) };
                let message =
                    format!("the user of context {context} is no cluster-admin, as the guide asks; missing: {lacking}");
                let user = quote(&user(cluster).await);
                let grant = format!(
                    "kubectl --context {context} create clusterrolebinding meshproof --clusterrole=cluster-admin"
                );
                problems.push("--contexts", message, format!("an administrator grants it by `{grant} --user={user}`"));
                return problems;
            }
            Err(error) => {
                problems.push("--contexts", chain(&error), "a context whose user may ask what it may do");
                return problems;
            }
        }
    }
    problems
}

/// Which kinds of what will be made the user may not make.
async fn lacking(cluster: &Cluster, record: &ClusterRecord) -> Vec<String> {
    let kinds: BTreeSet<(&str, &str)> =
        record.announced.iter().map(|Entry { kind, .. }| kind.split_once('.').unwrap_or((kind, ""))).collect();
    let mut lacking = Vec::new();
    for (kind, group) in kinds {
        let resource = plural(kind);
        for verb in ["create", "delete"] {
            let spec = json!({"resourceAttributes": {"group": group, "resource": resource, "verb": verb}});
            if matches!(cluster.may(spec).await, Ok(Err(_))) {
                lacking.push(format!("{verb} {resource}"));
            }
        }
    }
    lacking
}

/// The resource of a kind of Kubernetes' own, or of Istio's.
pub(super) fn plural(kind: &str) -> String {
    let kind = kind.to_lowercase();
    kind.strip_suffix('y').map_or(format!("{kind}s"), |stem| format!("{stem}ies"))
}

/// As whom the API server knows this context.
async fn user(cluster: &Cluster) -> String {
    let asked = cluster.all::<SelfSubjectReview>().create(&PostParams::default(), &SelfSubjectReview::default()).await;
    let user = asked.ok().and_then(|review| review.status?.user_info?.username);
    user.unwrap_or_else(|| "USER".to_string())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rstest::rstest;

    use super::{is_injected, is_trace, named, plural};
    use crate::brought::record::ClusterRecord;
    use crate::install::inventory::Found;

    fn found(text: &str, label: Option<(&str, &str)>) -> Found {
        Found {
            entry: text.parse().expect("a kind and a name"),
            api_version: "v1".to_string(),
            uid: text.to_string(),
            managers: BTreeSet::new(),
            labels: label.map(|(key, value)| (key.to_string(), value.to_string())).into_iter().collect(),
            owned: false,
        }
    }

    fn record() -> ClusterRecord {
        ClusterRecord {
            name: "cluster1".to_string(),
            context: "prod-a".to_string(),
            server: String::new(),
            kube_system_uid: String::new(),
            namespaces: vec!["istio-system".to_string()],
            announced: [found("ClusterRole.rbac.authorization.k8s.io istiod", None).entry].into(),
            created: Vec::new(),
        }
    }

    #[rstest]
    #[case::a_definition("CustomResourceDefinition.apiextensions.k8s.io gateways.networking.istio.io", None, true)]
    #[case::a_resource("Gateway.networking.istio.io shop/mine", None, true)]
    #[case::of_another_gateway("Gateway.gateway.networking.k8s.io shop/mine", None, false)]
    #[case::a_webhook(
        "MutatingWebhookConfiguration.admissionregistration.k8s.io istio-sidecar-injector-canary",
        None,
        true
    )]
    #[case::another_webhook("MutatingWebhookConfiguration.admissionregistration.k8s.io cert-manager", None, false)]
    #[case::what_istiod_left("ConfigMap shop/istio-ca-root-cert", None, true)]
    #[case::another_configmap("ConfigMap shop/istio", None, false)]
    #[case::its_namespace("Namespace istio-system", None, true)]
    #[case::a_sample("Namespace meshproof-sample", None, true)]
    #[case::another_namespace("Namespace shop", None, false)]
    #[case::announced("ClusterRole.rbac.authorization.k8s.io istiod", None, true)]
    #[case::of_another_revision("ClusterRole.rbac.authorization.k8s.io istiod-canary", Some(("operator.istio.io/component", "Pilot")), true)]
    #[case::a_control_plane_elsewhere("Deployment.apps mesh/istiod-canary", Some(("app", "istiod")), true)]
    fn an_istio_that_is_there_is_known_by_each_of_its_parts(
        #[case] text: &str,
        #[case] label: Option<(&str, &str)>,
        #[case] is: bool,
    ) {
        assert_eq!(is_trace(&found(text, label), &record()), is);
    }

    #[rstest]
    #[case::asked("Namespace shop", ("istio-injection", "enabled"), true)]
    #[case::by_revision("Namespace shop", ("istio.io/rev", "default"), true)]
    #[case::refused("Namespace shop", ("istio-injection", "disabled"), false)]
    #[case::another("Namespace shop", ("team", "shop"), false)]
    fn a_namespace_of_the_users_is_not_injected(#[case] text: &str, #[case] label: (&str, &str), #[case] is: bool) {
        assert_eq!(is_injected(&found(text, Some(label))), is);
    }

    #[test]
    fn many_objects_are_counted_and_some_named() {
        let many: Vec<Found> = (0..20).map(|number| found(&format!("ConfigMap a/{number}"), None)).collect();
        assert!(named(many.iter()).ends_with("and 12 more"), "{}", named(many.iter()));
        assert_eq!(named(many[..1].iter()), "ConfigMap a/0");
        assert_eq!(named([].into_iter()), "");
    }

    #[rstest]
    #[case("ClusterRole", "clusterroles")]
    #[case("NetworkPolicy", "networkpolicies")]
    fn a_right_names_the_resource_of_a_kind(#[case] kind: &str, #[case] resource: &str) {
        assert_eq!(plural(kind), resource);
    }
}
