//! D9: istiod of the primary writes its root into a configmap of every namespace of the remote cluster.
//!
//! Sabotage: take the annotation from istio-system of cluster2 before the remote secret is made, or delete the remote
//! secret.

use std::collections::BTreeMap;
use std::time::Instant;

use harness::check::case::{Case, When};
use harness::check::{Context, Evidence, Fault, Finding};
use harness::lab::cluster::FIELD_MANAGER;
use harness::wait::Look;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::shared::certificate::{fingerprint, normal};
use crate::shared::istiod;
use crate::shared::leading::{decisions, how_to_lead, leads_not, root_of_primary};
use crate::shared::writer::{audit, manager_of};

/// The clause.
pub const CASE: Case = Case {
    id: "D9",
    slug: "root-configmaps-written",
    title: "istiod writes its root into a configmap of every namespace of the remote cluster",
    guide: "https://istio.io/latest/docs/setup/install/multicluster/primary-remote/#set-the-control-plane-cluster-for-cluster2",
    needs: &["D6"],
    blames: &["D0", "D1", "D4"],
    follows: &[],
    uses: &[],
    when: When::Installed,
    judge: |context| Box::pin(judge(context)),
};

const MAP: &str = "istio-ca-root-cert";
const KEY: &str = "root-cert.pem";
const LOCK: &str = "istio-namespace-controller-election";

/// Namespaces that istiod's namespace controller leaves out (`inject.IgnoredNamespaces` but for kube-system).
const LEFT_OUT: [&str; 3] = ["kube-public", "kube-node-lease", "local-path-storage"];

async fn judge(context: &Context) -> Result<Evidence, Fault> {
    let remote = context.remote();
    let root = root_of_primary(context).await?;
    let mut evidence = Evidence::new();
    evidence.saw(context.primary().object("ConfigMap", &format!("istio-system/{MAP}")), KEY, fingerprint(&root));
    // Who leads comes first: nobody else writes, and who was killed leaves the lock for a while.
    willing(context, &mut evidence).await?;
    lock(context, &mut evidence).await?;
    let namespaces = remote.all::<Namespace>();
    let listed = namespaces.list(&ListParams::default()).await.map_err(remote.refused("list namespaces"))?;
    for namespace in listed {
        let name = namespace.name_any();
        let leaving = namespace.metadata.deletion_timestamp.is_some();
        if !leaving && !LEFT_OUT.contains(&name.as_str()) {
            written(context, &name, &root, "has", &mut evidence).await?;
        }
    }
    // A namespace of its own: what is broken here on purpose is broken for nobody else.
    let name = format!("meshproof-d9-{}", context.nonce);
    let new = Namespace {
        metadata: kube::core::ObjectMeta { name: Some(name.clone()), ..Default::default() },
        ..Default::default()
    };
    let params = PostParams { field_manager: Some(FIELD_MANAGER.to_string()), ..Default::default() };
    namespaces.create(&params, &new).await.map_err(remote.refused(format!("create namespace {name}")))?;
    let judged = new_namespace(context, &name, &root, &mut evidence).await;
    let removed = namespaces.delete(&name, &DeleteParams::background()).await;
    judged?;
    removed.map_err(remote.refused(format!("delete namespace {name}")))?;
    Ok(evidence)
}

async fn new_namespace(context: &Context, name: &str, root: &str, evidence: &mut Evidence) -> Result<(), Fault> {
    let remote = context.remote();
    let maps: Api<ConfigMap> = remote.api(name);
    written(context, name, root, "made anew gets", evidence).await?;
    let map = maps.get(MAP).await.map_err(remote.refused(format!("show ConfigMap {name}/{MAP}")))?;
    let manager = manager_of(&map.metadata, "f:data");
    evidence.saw(remote.object("ConfigMap", &format!("{name}/{MAP}")), "managedFields of data", &manager);
    if !manager.starts_with("pilot-discovery") {
        return Err(Finding::new(format!(
            "{} was written by {manager}, not by istiod",
            remote.object("ConfigMap", &format!("{name}/{MAP}"))
        ))
        .expected_got("manager pilot-discovery", manager)
        .evidence(evidence)
        .into());
    }
    if let Some(line) = audit(remote, "configmaps", MAP, "istio-reader").await {
        evidence.saw(
            format!("{} audit log", remote.name),
            format!("last write of {MAP} by istiod's reader account"),
            line,
        );
    }
    maps.delete(MAP, &DeleteParams::default())
        .await
        .map_err(remote.refused(format!("delete ConfigMap {name}/{MAP}")))?;
    written(context, name, root, "whose configmap was deleted gets", evidence).await?;
    let edit = Patch::Merge(json!({"data": {KEY: "edited by meshproof"}}));
    maps.patch(MAP, &PatchParams::default(), &edit)
        .await
        .map_err(remote.refused(format!("edit ConfigMap {name}/{MAP}")))?;
    written(context, name, root, "whose configmap was edited gets", evidence).await
}

/// Waits until the configmap of one namespace holds the root.
async fn written(
    context: &Context,
    namespace: &str,
    root: &str,
    how: &str,
    evidence: &mut Evidence,
) -> Result<(), Fault> {
    let remote = context.remote();
    let object = remote.object("ConfigMap", &format!("{namespace}/{MAP}"));
    let began = Instant::now();
    let wait = context.wait(format!("ConfigMap {namespace}/{MAP} of {}", remote.name), context.budgets.converge());
    let found = remote
        .watch(&wait, remote.api::<ConfigMap>(namespace), MAP, |map| {
            let Some(map) = map else { return Look::NotYet("not there".to_string()) };
            let held = map.data.as_ref().and_then(|data| data.get(KEY)).cloned().unwrap_or_default();
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
            let (why, hint) = leads_not(context, evidence).await;
            Err(Finding::new(format!("{object} is {}{why}", timeout.last()?))
                .expected_got(format!("a namespace {how} {}", fingerprint(root)), timeout.last()?)
                .hint(hint)
                .evidence(evidence)
                .into())
        }
    }
}

/// The lock that istiod holds in the remote cluster while it leads there.
async fn lock(context: &Context, evidence: &mut Evidence) -> Result<(), Fault> {
    let (primary, remote) = (context.primary(), context.remote());
    let object = remote.object("ConfigMap", &format!("istio-system/{LOCK}"));
    let replicas = istiod::replicas(primary).await?;
    let wait = context.wait(format!("istiod to hold {object}"), context.budgets.lock());
    let held = remote
        .watch(&wait, remote.api::<ConfigMap>("istio-system"), LOCK, |map| {
            let (holder, key) = holder(map);
            match replicas.contains(&holder) && key.starts_with('^') {
                true => Look::Yes((holder, key)),
                false if holder.is_empty() => Look::NotYet("nobody".to_string()),
                false => Look::NotYet(format!("{holder} with key {key}")),
            }
        })
        .await;
    match held {
        Ok((holder, key)) => {
            evidence.saw(&object, "holderIdentity", &holder).saw(&object, "holderKey", key);
            for pod in &replicas {
                let holds = if *pod == holder { "held by it" } else { "held by another" };
                evidence.saw(istiod::object(primary, pod), format!("{LOCK} of {}", remote.name), holds);
            }
            Ok(())
        }
        Err(timeout) => {
            let got = timeout.last()?;
            Err(Finding::new(format!("{object} is held by {got}, not by istiod of {}", primary.name))
                .expected_got(format!("one of {} with a key that begins with ^", replicas.join(", ")), got)
                .hint(format!(
                    "see istiod's log for leader election of {}, and whether its reader account may write configmaps",
                    remote.name
                ))
                .evidence(evidence)
                .into())
        }
    }
}

/// Who holds a lock, and with which key; empty where nobody does.
fn holder(lock: Option<&ConfigMap>) -> (String, String) {
    let record = lock.and_then(|map| map.annotations().get("control-plane.alpha.kubernetes.io/leader"));
    let record: Value = record.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let field = |name: &str| record[name].as_str().unwrap_or_default().to_string();
    (field("holderIdentity"), field("holderKey"))
}

/// Every replica is willing to lead: one of the others does when the one that leads goes.
async fn willing(context: &Context, evidence: &mut Evidence) -> Result<(), Fault> {
    let (primary, remote) = (context.primary(), context.remote());
    let told = decisions(context, evidence).await?;
    match unwilling(&told) {
        None => Ok(()),
        Some((pod, None)) => Err(Fault::unknown(format!(
            "the log of {} does not say whether it may lead in {}",
            istiod::object(primary, pod),
            remote.name
        ))),
        Some((pod, Some(_))) => Err(Finding::new(format!(
            "{} decided not to lead in {}, so it writes no root there",
            istiod::object(primary, pod),
            remote.name
        ))
        .expected_got("every replica willing to lead", format!("{pod} is not"))
        .hint(how_to_lead(context))
        .evidence(evidence)
        .into()),
    }
}

/// A replica that was not seen to be willing to lead, with what it decided; one that decided against it comes first.
fn unwilling(told: &BTreeMap<String, Option<bool>>) -> Option<(&String, Option<bool>)> {
    let decided = |what: Option<bool>| told.iter().find(|(_, may)| **may == what).map(|(pod, may)| (pod, *may));
    decided(Some(false)).or_else(|| decided(None))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::unwilling;

    #[rstest]
    #[case::all_willing(&[("a", Some(true)), ("b", Some(true))], None)]
    #[case::one_is_not(&[("a", None), ("b", Some(false))], Some(("b", Some(false))))]
    #[case::one_never_asked(&[("a", Some(true)), ("b", None)], Some(("b", None)))]
    fn every_replica_must_be_seen_to_be_willing(
        #[case] told: &[(&str, Option<bool>)],
        #[case] found: Option<(&str, Option<bool>)>,
    ) {
        let told = told.iter().map(|(pod, may)| (pod.to_string(), *may)).collect();
        assert_eq!(unwilling(&told).map(|(pod, may)| (pod.as_str(), may)), found);
    }
}
