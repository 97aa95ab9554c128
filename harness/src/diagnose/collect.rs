//! Collects what a person needs to see why something is red, from both clusters and within bounds.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::LogParams;
use serde_json::Value;

use super::{hints, redact};
use crate::context::Context;
use crate::install::proof::raw;
use crate::lab::cluster::pod_ready;
use crate::lab::{Cluster, kind};
use crate::role::Role;
use crate::wait::Look;

/// Largest file, in bytes; longer texts lose their middle.
const FILE_LIMIT: usize = 1 << 20;

/// Largest sum of all files, in bytes.
const TOTAL_LIMIT: usize = 24 << 20;

/// One question may take this long.
const ITEM_LIMIT: Duration = Duration::from_secs(10);

/// Namespaces of Istio and of the fixtures.
const NAMESPACES: [&str; 3] = ["istio-system", "meshproof-sample", "meshproof-probe"];

/// What was collected.
#[derive(Debug, Clone, Default)]
pub struct Collected {
    /// Number of files.
    pub files: usize,
    /// What could not be collected, and why.
    pub missing: Vec<String>,
    /// What the texts point to.
    pub hints: Vec<String>,
}

type Item<'a> = (String, BoxFuture<'a, Result<String, String>>);

/// Writes diagnostics below `folder`; never fails the run, and says what it could not get.
pub async fn collect(context: &Context, folder: &Path) -> Collected {
    let mut items: Vec<Item<'_>> = Vec::new();
    for role in Role::ALL {
        items.extend(of_cluster(context.cluster(role)));
    }
    let taken: Mutex<BTreeMap<String, Result<String, String>>> = Mutex::default();
    let put = |name: String, result: Result<String, String>| {
        taken.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).insert(name, result);
    };
    let names: Vec<String> = items.iter().map(|(name, _)| name.clone()).collect();
    let work = async {
        // What pods there are must be known before their logs can be asked for.
        let mut pods: Vec<Item<'_>> = Vec::new();
        for role in Role::ALL {
            pods.extend(of_pods(context.cluster(role)).await);
        }
        let all = stream::iter(items.into_iter().chain(pods));
        all.for_each_concurrent(8, |(name, question)| async {
            let result = tokio::time::timeout(ITEM_LIMIT, question).await;
            put(name, result.unwrap_or_else(|_| Err(format!("did not answer within {} s", ITEM_LIMIT.as_secs()))));
        })
        .await;
    };
    let in_time = tokio::time::timeout(context.budgets.diagnose(), work).await.is_ok();
    let mut taken = std::mem::take(&mut *taken.lock().unwrap_or_else(|poisoned| poisoned.into_inner()));
    if !in_time {
        for name in names {
            taken.entry(name).or_insert_with(|| Err("the time for diagnostics was over".to_string()));
        }
    }
    write(folder, taken)
}

fn write(folder: &Path, taken: BTreeMap<String, Result<String, String>>) -> Collected {
    let mut collected = Collected::default();
    let (mut texts, mut total) = (Vec::new(), 0);
    for (name, result) in taken {
        match result {
            Ok(text) => {
                let text = bounded(&redact::text(&text), FILE_LIMIT);
                total += text.len();
                let path = folder.join(&name);
                let written = if total > TOTAL_LIMIT {
                    Err("all files together are too large".to_string())
                } else {
                    std::fs::create_dir_all(path.parent().unwrap_or(folder))
                        .and_then(|()| std::fs::write(&path, &text))
                        .map_err(|error| error.to_string())
                };
                match written {
                    Ok(()) => collected.files += 1,
                    Err(why) => collected.missing.push(format!("{name}: {why}")),
                }
                texts.push((name, text));
            }
            Err(why) => collected.missing.push(format!("{name}: {}", redact::text(&why))),
        }
    }
    collected.hints = hints::hints(&texts).iter().map(ToString::to_string).collect();
    let mut index = String::from("# Diagnostics\n\nTaken before any clean-up; secrets are left out.\n");
    for (title, lines) in [("Hints", &collected.hints), ("Not to be had", &collected.missing)] {
        if !lines.is_empty() {
            index.push_str(&format!("\n## {title}\n"));
            lines.iter().for_each(|line| index.push_str(&format!("- {line}\n")));
        }
    }
    index.push_str("\n## Files\n");
    texts.iter().for_each(|(name, text)| index.push_str(&format!("- {name} ({} bytes)\n", text.len())));
    match std::fs::create_dir_all(folder).and_then(|()| std::fs::write(folder.join("README.md"), index)) {
        Ok(()) => collected.files += 1,
        Err(error) => collected.missing.push(format!("README.md: {error}")),
    }
    collected
}

/// A text of at most `limit` bytes: head and tail stay, and a remark says how much is gone.
fn bounded(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_string();
    }
    let near = |mut at: usize| {
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let (head, tail) = (near(limit / 2), near(text.len() - limit / 2));
    format!("{}\n... {} bytes left out ...\n{}", &text[..head], tail - head, &text[tail..])
}

fn of_cluster(cluster: &Cluster) -> Vec<Item<'_>> {
    let role = cluster.role;
    let mut paths = vec![
        ("version.json".to_string(), "/version".to_string()),
        ("namespaces.json".to_string(), "/api/v1/namespaces".to_string()),
        ("nodes.json".to_string(), "/api/v1/nodes".to_string()),
    ];
    for resource in ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"] {
        paths.push((format!("{resource}.json"), format!("/apis/admissionregistration.k8s.io/v1/{resource}")));
    }
    for name in ["istio-ca-root-cert", "istio-ca-crl"] {
        let path = format!("/api/v1/configmaps?fieldSelector=metadata.name%3D{name}");
        paths.push((format!("configmaps-{name}.json"), path));
    }
    for namespace in NAMESPACES {
        let core = format!("/api/v1/namespaces/{namespace}");
        for resource in ["pods", "services", "events", "configmaps"] {
            paths.push((format!("{namespace}/{resource}.json"), format!("{core}/{resource}")));
        }
        let others = [
            ("deployments", "apps/v1"),
            ("replicasets", "apps/v1"),
            ("endpointslices", "discovery.k8s.io/v1"),
            ("gateways", "networking.istio.io/v1"),
            ("virtualservices", "networking.istio.io/v1"),
        ];
        for (resource, group) in others {
            let path = format!("/apis/{group}/namespaces/{namespace}/{resource}");
            paths.push((format!("{namespace}/{resource}.json"), path));
        }
    }
    let mut items: Vec<Item<'_>> = paths
        .into_iter()
        .map(|(file, path)| {
            let question = async move { object(cluster, &path).await }.boxed();
            (format!("{role}/{file}"), question)
        })
        .collect();
    for node in cluster.nodes.keys() {
        for (file, command) in [
            ("routes.txt", vec!["ip", "route"]),
            ("addresses.txt", vec!["ip", "address"]),
            ("nat.txt", vec!["iptables-save", "-t", "nat"]),
            ("kubelet.log", vec!["journalctl", "-u", "kubelet", "-n", "200", "--no-pager"]),
            ("audit.log", vec!["tail", "-n", "500", kind::AUDIT_LOG]),
        ] {
            if file == "audit.log" && role != Role::Remote {
                continue;
            }
            let question = async move {
                cluster.engine.exec(node, &command, "").await.map_err(|error| error.to_string())
            };
            items.push((format!("{role}/node-{node}/{file}"), question.boxed()));
        }
    }
    items
}

/// A list as JSON, without secrets; managed fields stay, for they say who wrote what.
async fn object(cluster: &Cluster, path: &str) -> Result<String, String> {
    match raw(&cluster.client, path).await {
        Ok(mut value) => {
            redact::json(&mut value);
            serde_json::to_string_pretty(&value).map_err(|error| error.to_string())
        }
        // Kinds of Istio are not there before it is, nor where it was removed.
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok("not found\n".to_string()),
        Err(error) => Err(crate::check::verdict::chain(&error)),
    }
}

/// Logs of istiod, of the gateways and of pods that are not ready, and the debug pages of istiod and Envoy.
async fn of_pods(cluster: &Cluster) -> Vec<Item<'_>> {
    let role = cluster.role;
    let mut items: Vec<Item<'_>> = Vec::new();
    for namespace in NAMESPACES {
        let listed = tokio::time::timeout(ITEM_LIMIT, cluster.pods(namespace, "")).await;
        let pods = match listed {
            Ok(Ok(pods)) => pods,
            // The list of pods itself is an item that says why it is missing.
            _ => continue,
        };
        for pod in pods {
            let name = pod.name_any();
            let ready = pod_ready(&pod) == Look::Yes(());
            if namespace == "istio-system" || !ready {
                items.extend(logs(cluster, namespace, &pod));
            }
            if !ready {
                continue;
            }
            let app = pod.labels().get("app").cloned().unwrap_or_default();
            let pages: &[(u16, &str)] = match app.as_str() {
                "istiod" => &[
                    (15014, "/debug/clusterz"),
                    (15014, "/debug/syncz"),
                    (15014, "/debug/registryz"),
                    (15014, "/debug/endpointShardz"),
                    (15014, "/debug/connections"),
                    (15014, "/debug/mesh"),
                    (15014, "/metrics"),
                ],
                "istio-eastwestgateway" | "caller" => &[(15000, "/clusters"), (15000, "/listeners"), (15000, "/stats")],
                _ => &[],
            };
            for (port, page) in pages {
                let file = page.trim_start_matches("/debug").replace('/', "");
                let pod = name.clone();
                let question = async move {
                    let forward = cluster.forward(namespace, &pod, *port).await.map_err(|error| error.to_string())?;
                    let text = forward.text(page).await.map_err(|error| error.to_string())?;
                    Ok(match serde_json::from_str::<Value>(&text) {
                        Ok(mut value) => {
                            redact::json(&mut value);
                            serde_json::to_string_pretty(&value).unwrap_or(text)
                        }
                        Err(_) => text,
                    })
                };
                items.push((format!("{role}/{namespace}/{name}/{file}.txt"), question.boxed()));
            }
        }
    }
    items
}

fn logs<'a>(cluster: &'a Cluster, namespace: &'static str, pod: &Pod) -> Vec<Item<'a>> {
    let spec = pod.spec.clone().unwrap_or_default();
    let status = pod.status.clone().unwrap_or_default();
    let states = status.container_statuses.into_iter().flatten().chain(status.init_container_statuses.into_iter().flatten());
    let restarted: Vec<String> = states.filter(|state| state.restart_count > 0).map(|state| state.name).collect();
    let containers = spec.init_containers.into_iter().flatten().chain(spec.containers);
    let mut items: Vec<Item<'a>> = Vec::new();
    for container in containers.map(|container| container.name) {
        for previous in [false, true] {
            if previous && !restarted.contains(&container) {
                continue;
            }
            let (pod, name) = (pod.name_any(), container.clone());
            let suffix = if previous { ".previous" } else { "" };
            let file = format!("{}/{namespace}/{pod}/{container}{suffix}.log", cluster.role);
            let question = async move {
                let params = LogParams { container: Some(name), previous, tail_lines: Some(2000), ..LogParams::default() };
                cluster.api::<Pod>(namespace).logs(&pod, &params).await.map_err(|error| error.to_string())
            };
            items.push((file, question.boxed()));
        }
    }
    items
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{bounded, write};

    #[test]
    fn a_long_text_keeps_its_head_and_its_tail() {
        let text = format!("head {} tail", "ä".repeat(1000));
        let cut = bounded(&text, 100);
        assert!(cut.starts_with("head ") && cut.ends_with(" tail") && cut.contains("bytes left out"), "{cut}");
        assert!(cut.len() < 200);
    }

    #[test]
    fn no_secret_reaches_a_file_and_what_is_missing_is_said() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let token = "eyJhbGciOiJSUzI1NiJ9.c2VjcmV0.c2lnbmF0dXJl";
        let taken = BTreeMap::from([
            ("primary/a.log".to_string(), Ok(format!("Authorization: Bearer {token}\nshould join leader-election for cluster cluster2: false"))),
            ("remote/b.log".to_string(), Err("did not answer".to_string())),
        ]);
        let collected = write(folder.path(), taken);
        let text = std::fs::read_to_string(folder.path().join("primary/a.log")).expect("it was written");
        assert!(text.contains("leader-election") && !text.contains(token), "{text}");
        let index = std::fs::read_to_string(folder.path().join("README.md")).expect("it was written");
        assert!(index.contains("remote/b.log: did not answer") && index.contains("decided not to lead"), "{index}");
        assert_eq!((collected.files, collected.missing.len(), collected.hints.len()), (2, 1, 1));
    }
}
