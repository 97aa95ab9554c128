//! What one archive of `istioctl bug-report` holds of a cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::archive::{LIMITS, unpack};
use crate::lab::Pages;
use crate::problem::{Problem, Problems};

/// Kinds that a bug report lists completely: API version, kind, resource, and whether they have a namespace.
const KINDS: [(&str, &str, &str, bool); 9] = [
    ("v1", "Node", "nodes", false),
    ("v1", "Namespace", "namespaces", false),
    ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", false),
    ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", false),
    ("v1", "Pod", "pods", true),
    ("v1", "Service", "services", true),
    ("v1", "ConfigMap", "configmaps", true),
    ("apps/v1", "Deployment", "deployments", true),
    ("discovery.k8s.io/v1", "EndpointSlice", "endpointslices", true),
];

/// The file with objects that have no namespace.
const OF_CLUSTER: &str = "cluster/k8s-cluster-resources";

/// The file with objects of namespaces.
const OF_NAMESPACES: &str = "cluster/k8s-resources";

/// The file with the user's current context, which need not be that of the cluster, and the API server's address.
const CONTEXT: &str = "cluster/cluster-context";

/// The file with versions of kubectl and the API server.
const VERSION: &str = "cluster/kubectl-version";

/// The folder of an istiod: `istio/NAMESPACE/POD/`.
const ISTIOD: &str = "istio/";

/// One cluster, as its archive has it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BugReport {
    /// Objects by API version and resource, in the order of the archive.
    objects: BTreeMap<(&'static str, &'static str), Vec<Value>>,
    /// Namespaces of which nothing was collected, for the report was limited to others.
    left_out: BTreeSet<String>,
    /// Debug pages of each istiod.
    pub pages: Pages,
    /// The log of each istiod, by namespace and pod.
    pub logs: BTreeMap<(String, String), String>,
    /// The address of the API server.
    pub server: String,
    /// The version of the API server.
    pub kubernetes: String,
}

/// Objects of a kind, or why there are none.
pub type Held<'a> = Result<Vec<&'a Value>, String>;

impl BugReport {
    /// Reads an archive.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(path: &Path) -> Result<BugReport, Problems> {
        let files = unpack(path, LIMITS, |name| is_read(inner(name)))?;
        let place = path.display().to_string();
        let mut problems = Problems::new();
        let mut report = BugReport::default();
        let mut lists = BTreeSet::new();
        for (name, bytes) in &files {
            let text = String::from_utf8_lossy(bytes);
            let name = inner(name);
            match name {
                OF_CLUSTER | OF_NAMESPACES => {
                    lists.insert(name);
                    if let Err(why) = report.list(&text) {
                        problems.push(format!("{place}: {name}"), why, "the archive as istioctl wrote it");
                    }
                }
                CONTEXT => report.server = text.lines().nth(1).unwrap_or_default().trim().to_string(),
                VERSION => report.kubernetes = version(&text),
                _ => report.of_istiod(name, &text),
            }
        }
        for wanted in [OF_CLUSTER, OF_NAMESPACES].into_iter().filter(|wanted| !lists.contains(wanted)) {
            let message = format!("it has no file {wanted}: it is no bug report, one of an old istioctl, or cut");
            problems.push(place.clone(), message, "an archive of `istioctl bug-report` without --skip-cluster-dump");
        }
        report.left_out = report.namespaces_left_out();
        problems.or(report)
    }

    /// The objects of a resource, in one namespace or in all.
    pub fn held(&self, api: &str, resource: &str, namespace: Option<&str>) -> Held<'_> {
        let kind = KINDS.iter().find(|kind| (kind.0, kind.2) == (api, resource));
        let Some((api, _, resource, namespaced)) = kind else {
            return Err(format!("a bug report holds no {resource}"));
        };
        if *namespaced
            && let Some(missing) = self.left_out.iter().find(|left| namespace.is_none_or(|name| name == *left))
        {
            return Err(format!("this bug report holds nothing of namespace {missing}: it was limited to others"));
        }
        let all = self.objects.get(&(*api, *resource)).into_iter().flatten();
        let there = |object: &&Value| namespace.is_none_or(|name| object["metadata"]["namespace"] == name);
        Ok(all.filter(there).collect())
    }

    fn list(&mut self, text: &str) -> Result<(), String> {
        let mut list: Value = serde_yaml_ng::from_str(text).map_err(|error| format!("this is not YAML: {error}"))?;
        let Some(items) = list["items"].as_array_mut() else { return Err("it is no list of objects".to_string()) };
        for item in items.drain(..) {
            let kind = KINDS.iter().find(|kind| item["apiVersion"] == kind.0 && item["kind"] == kind.1);
            if let Some((api, _, resource, _)) = kind {
                self.objects.entry((api, resource)).or_default().push(item);
            }
        }
        Ok(())
    }

    fn of_istiod(&mut self, name: &str, text: &str) {
        let mut words = name.strip_prefix(ISTIOD).unwrap_or_default().splitn(3, '/');
        let (Some(namespace), Some(pod), Some(rest)) = (words.next(), words.next(), words.next()) else { return };
        if rest == "discovery.log" {
            self.logs.insert((namespace.to_string(), pod.to_string()), text.to_string());
        } else {
            self.pages.insert((pod.to_string(), format!("/{rest}")), text.to_string());
        }
    }

    /// Each namespace has at least the ConfigMap with the root of its API server.
    fn namespaces_left_out(&self) -> BTreeSet<String> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
        let of = |resource| self.objects.get(&("v1", resource)).into_iter().flatten();
        let seen: BTreeSet<String> = of("configmaps").map(|object| text(&object["metadata"]["namespace"])).collect();
        let stays = of("namespaces").filter(|object| object["metadata"]["deletionTimestamp"].is_null());
        stays.map(|object| text(&object["metadata"]["name"])).filter(|name| !seen.contains(name)).collect()
    }
}

/// A path without the folder that an archive may have around all.
fn inner(name: &str) -> &str {
    name.trim_start_matches("./").trim_start_matches("bug-report/")
}

fn is_read(name: &str) -> bool {
    let of_istiod = name.starts_with(ISTIOD)
        && ["/discovery.log", "/debug/clusterz", "/debug/endpointShardz", "/debug/syncz"]
            .iter()
            .any(|end| name.ends_with(end));
    of_istiod || [OF_CLUSTER, OF_NAMESPACES, CONTEXT, VERSION].contains(&name)
}

/// The version of the API server, by what kubectl says of it.
fn version(text: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix("Server Version:"));
    line.map_or("unknown", str::trim).to_string()
}

/// The archive that is not of the cluster that it was given for.
///
/// # Errors
/// A [`Problem`] where the first has no control plane in this namespace.
pub fn in_order(primary: (&Path, &BugReport), remote: (&Path, &BugReport), namespace: &str) -> Result<(), Problem> {
    let has = |report: &BugReport| {
        let all = report.held("apps/v1", "deployments", Some(namespace)).unwrap_or_default();
        all.iter().any(|object| object["metadata"]["labels"]["app"] == "istiod")
    };
    if has(primary.1) {
        return Ok(());
    }
    let place = primary.0.display().to_string();
    if has(remote.1) {
        let message = format!("it has no istiod, and {} has one: the archives are swapped", remote.0.display());
        return Err(Problem::new(place, message, "the primary cluster's archive first"));
    }
    let message = format!("neither archive has a Deployment app=istiod in namespace {namespace}");
    Err(Problem::new(
        place,
        message,
        "the namespace of Istio with --istio-namespace; the primary cluster's archive first",
    ))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{BugReport, inner, is_read, version};

    #[rstest]
    #[case("bug-report/cluster/k8s-resources", true)]
    #[case("cluster/k8s-resources", true)]
    #[case("bug-report/istio/istio-system/istiod-1/debug/clusterz", true)]
    #[case("bug-report/istio/istio-system/istiod-1/debug/configz", false)]
    #[case("bug-report/cluster/secrets", false)]
    #[case("bug-report/proxies/a/b/config_dump?include_eds", false)]
    fn only_what_clauses_ask_is_read(#[case] path: &str, #[case] read: bool) {
        assert_eq!(is_read(inner(path)), read);
    }

    #[rstest]
    #[case("Client Version: v1.36.3\nKustomize Version: v5.8.1\nServer Version: v1.34.4\n", "v1.34.4")]
    #[case("", "unknown")]
    fn the_api_servers_version_is_not_kubectls(#[case] text: &str, #[case] told: &str) {
        assert_eq!(version(text), told);
    }

    fn report(namespaces: &[&str], with_maps: &[&str]) -> BugReport {
        let object =
            |kind: &str, fields: String| format!("- {{apiVersion: v1, kind: {kind}, metadata: {{{fields}}}}}\n");
        let all: String = namespaces.iter().map(|name| object("Namespace", format!("name: {name}"))).collect();
        let maps: String =
            with_maps.iter().map(|name| object("ConfigMap", format!("name: m, namespace: {name}"))).collect();
        let mut report = BugReport::default();
        report.list(&format!("items:\n{all}{maps}")).expect("a list");
        report.left_out = report.namespaces_left_out();
        report
    }

    #[rstest]
    #[case::of_all(None, false)]
    #[case::of_one_that_is_there(Some("a"), true)]
    #[case::of_one_that_was_left_out(Some("b"), false)]
    fn what_a_limited_report_left_out_is_not_taken_for_absent(#[case] namespace: Option<&str>, #[case] held: bool) {
        assert_eq!(report(&["a", "b"], &["a"]).held("v1", "configmaps", namespace).is_ok(), held);
    }

    #[test]
    fn what_no_bug_report_holds_is_said() {
        assert_eq!(
            report(&["a"], &["a"]).held("v1", "secrets", None),
            Err("a bug report holds no secrets".to_string())
        );
        assert_eq!(report(&["a"], &["a"]).held("v1", "pods", None), Ok(Vec::new()));
    }
}
