//! The configmap with its root that istiod writes into the namespaces of the remote cluster.

use std::time::Instant;

use harness::check::{Evidence, Fault, Finding, Mesh};
use harness::wait::Look;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::ResourceExt;
use kube::api::ListParams;

use super::certificate::{fingerprint, normal};
use super::leading::leads_not;

/// Its name.
pub const MAP: &str = "istio-ca-root-cert";

/// Where the root stands in it.
pub const KEY: &str = "root-cert.pem";

/// Namespaces that istiod's namespace controller leaves out (`inject.IgnoredNamespaces` but for kube-system).
const LEFT_OUT: [&str; 3] = ["kube-public", "kube-node-lease", "local-path-storage"];

/// Namespaces of the remote cluster into which istiod writes: all that it looks at, but those that it leaves out and those
/// that are being deleted.
///
/// # Errors
/// [`Fault`] when namespaces cannot be listed, or it is not known at which of them istiod looks.
pub async fn served(mesh: &Mesh) -> Result<Vec<String>, Fault> {
    let cluster = mesh.remote();
    let listed =
        cluster.all::<Namespace>().list(&ListParams::default()).await.map_err(cluster.refused("list namespaces"))?;
    let stays = listed.items.iter().filter(|namespace| namespace.metadata.deletion_timestamp.is_none());
    let wanted = &mesh.wanted;
    wanted.discovery.as_ref().map_err(Clone::clone)?;
    let stays = stays.filter(|namespace| wanted.discovers(namespace.labels()));
    Ok(stays.map(ResourceExt::name_any).filter(|name| !LEFT_OUT.contains(&name.as_str())).collect())
}

/// The root that a configmap holds.
pub fn held(map: &ConfigMap) -> String {
    map.data.as_ref().and_then(|data| data.get(KEY)).cloned().unwrap_or_default()
}

/// Waits until the configmap of one namespace holds the root; `how` ends `a namespace ... it`.
///
/// # Errors
/// [`Fault`] with what it holds instead, and why if istiod does not lead.
pub async fn written(
    mesh: &Mesh,
    namespace: &str,
    root: &str,
    how: &str,
    evidence: &mut Evidence,
) -> Result<(), Fault> {
    let remote = mesh.remote();
    let object = remote.object("ConfigMap", &format!("{namespace}/{MAP}"));
    let began = Instant::now();
    let wait = mesh.wait(format!("ConfigMap {namespace}/{MAP} of {}", remote.name), mesh.budgets.converge());
    let found = remote
        .watch(&wait, remote.api::<ConfigMap>(namespace), MAP, |map| {
            let Some(map) = map else { return Look::NotYet("not there".to_string()) };
            let held = held(map);
            if normal(&held) == normal(root) { Look::Yes(()) } else { Look::NotYet(fingerprint(&held)) }
        })
        .await;
    match found {
        Ok(()) => {
            let after = format!("{}, after {:.2} s", fingerprint(root), began.elapsed().as_secs_f64());
            evidence.saw(object, format!("{KEY}: a namespace {how} it"), after);
            Ok(())
        }
        Err(timeout) => {
            let (why, hint) = leads_not(mesh, evidence).await;
            Err(Finding::new(format!("{object} is {}{why}", timeout.last()?))
                .expected_got(format!("a namespace {how} {}", fingerprint(root)), timeout.last()?)
                .hint(hint)
                .evidence(evidence)
                .into())
        }
    }
}
