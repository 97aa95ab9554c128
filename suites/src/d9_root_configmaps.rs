//! D9: istiod of the primary writes its root into a configmap of every namespace of the remote cluster.
//!
//! Sabotage: take the annotation from istio-system of cluster2 before the remote secret is made, or delete the remote
//! secret.

use std::collections::BTreeMap;

use harness::check::case::{Case, Ground, Reading, Reads, Use, When};
use harness::check::right::{Place, Right};
use harness::check::{ByHand, Context, Evidence, Explanation, Fault, Finding, Mesh, Path};
use harness::lab::cluster::FIELD_MANAGER;
use harness::role::Role;
use harness::wait::Look;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::shared::certificate::fingerprint;
use crate::shared::election::{self, LOCK, holder};
use crate::shared::istiod;
use crate::shared::leading::{decisions, how_to_lead, root_of_primary};
use crate::shared::root_configmap::{KEY, MAP, served, written};
use crate::shared::writer::{audit, manager_of};

/// The clause.
pub const CASE: Case = Case {
    id: "D9",
    slug: "root-configmaps-written",
    shows: &[Path::Writes],
    title: "istiod writes its root into a configmap of every namespace of the remote cluster",
    guide: "https://istio.io/latest/docs/setup/install/multicluster/primary-remote/#set-the-control-plane-cluster-for-cluster2",
    needs: &["D6"],
    blames: &["D0", "D1", "D4"],
    follows: &[],
    uses: &[Use::Relies(Ground::RemoteLock)],
    when: When::Installed,
    judge: |context| Box::pin(judge(context)),
    reads: Reads::Part(Reading {
        judge: |mesh| Box::pin(read(mesh)),
        rights: &[
            Right::new(Role::Remote, Place::Cluster, "", "namespaces", &["list"]),
            Right::new(Role::Remote, Place::Cluster, "", "configmaps", &["list", "watch"]).named(&[MAP]),
            Right::new(Role::Remote, Place::Istio, "", "configmaps", &["list", "watch"]).named(&[LOCK]),
            Right::new(Role::Primary, Place::Istio, "", "configmaps", &["get"]),
            Right::new(Role::Primary, Place::Istio, "", "pods", &["list"]),
            Right::new(Role::Primary, Place::Istio, "", "pods/log", &["get"]),
        ],
        not_asked: "whether a new namespace gets its configmap, and one that was deleted or edited is written again",
    }),
    explains: Explanation {
        judges: "Every replica of istiod has decided to lead in the remote cluster, and one of them holds the lock \
                istio-namespace-controller-election there. Every namespace that istiod serves has the primary's root \
                in ConfigMap istio-ca-root-cert. A new namespace gets it from istiod, and again after it was deleted \
                or edited.",
        why: "A sidecar mounts that configmap: without it the pod waits for its volume and never starts, and with \
             another root its proxy does not trust istiod.",
        by_hand: &[
            ByHand::new(
                "one in every namespace but those of nodes and storage",
                "kubectl --context ${CTX_CLUSTER2} get configmaps -A --field-selector metadata.name=istio-ca-root-cert",
            ),
            ByHand::new(
                "holderIdentity: a pod of istiod of the primary",
                "kubectl --context ${CTX_CLUSTER2} -n ${ISTIO_NAMESPACE} get configmap istio-namespace-controller-election -o yaml",
            ),
            ByHand::new(
                "true for ${CLUSTER2}",
                "kubectl --context ${CTX_CLUSTER1} -n ${ISTIO_NAMESPACE} logs deploy/istiod${REVISION_SUFFIX} | grep 'should join leader-election'",
            ),
        ],
    },
};

async fn judge(context: &Context) -> Result<Evidence, Fault> {
    let remote = context.remote();
    let root = root_of_primary(context).await?;
    let mut evidence = Evidence::new();
    expected(context, &root, &mut evidence);
    // Who leads comes first: nobody else writes, and who was killed leaves the lock for a while.
    if let Some(pod) = willing(context, &mut evidence).await? {
        return Err(silent(context, &pod));
    }
    in_every_namespace(context, &root, &mut evidence).await?;
    let namespaces = remote.all::<Namespace>();
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

/// The part that only reads.
async fn read(mesh: &Mesh) -> Result<Evidence, Fault> {
    let root = root_of_primary(mesh).await?;
    let mut evidence = Evidence::new();
    expected(mesh, &root, &mut evidence);
    // Nothing hangs on the log: a lock that is held says as much, and logs of long ago are gone.
    match willing(mesh, &mut evidence).await {
        Ok(None) => {}
        Ok(Some(pod)) => {
            let pod = istiod::object(mesh.primary(), &pod);
            evidence.note(format!("the log of {pod} does not say any more whether it decided to lead"));
        }
        Err(Fault::Unknown(why)) => {
            evidence.note(format!("whether every replica decided to lead was not read: {why}"));
        }
        Err(refuted) => return Err(refuted),
    }
    in_every_namespace(mesh, &root, &mut evidence).await?;
    Ok(evidence)
}

fn expected(mesh: &Mesh, root: &str, evidence: &mut Evidence) {
    let primary = mesh.primary();
    evidence.saw(primary.object("ConfigMap", &format!("{}/{MAP}", primary.istio_namespace)), KEY, fingerprint(root));
}

/// istiod holds the lock, and every namespace that it serves has the root.
async fn in_every_namespace(mesh: &Mesh, root: &str, evidence: &mut Evidence) -> Result<(), Fault> {
    lock(mesh, evidence).await?;
    for name in served(mesh).await? {
        written(mesh, &name, root, "has", evidence).await?;
    }
    Ok(())
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
    if let Some(line) = audit(&context.lab, remote, "configmaps", MAP, "istio-reader").await {
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

/// The lock that istiod holds in the remote cluster while it leads there.
async fn lock(mesh: &Mesh, evidence: &mut Evidence) -> Result<(), Fault> {
    let (primary, remote) = (mesh.primary(), mesh.remote());
    let object = election::object(mesh);
    let replicas = istiod::replicas(primary).await?;
    let wait = mesh.wait(format!("istiod to hold {object}"), mesh.budgets.lock());
    let held = remote
        .watch(&wait, remote.api::<ConfigMap>(&remote.istio_namespace), LOCK, |map| {
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
            election::saw(mesh, &holder, &key, evidence);
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

/// Every replica is willing to lead: one of the others does when the one that leads goes. Returns the first whose log does
/// not say.
async fn willing(mesh: &Mesh, evidence: &mut Evidence) -> Result<Option<String>, Fault> {
    let (primary, remote) = (mesh.primary(), mesh.remote());
    let told = decisions(mesh, evidence).await?;
    match unwilling(&told) {
        None => Ok(None),
        Some((pod, None)) => Ok(Some(pod.clone())),
        Some((pod, Some(_))) => Err(Finding::new(format!(
            "{} decided not to lead in {}, so it writes no root there",
            istiod::object(primary, pod),
            remote.name
        ))
        .expected_got("every replica willing to lead", format!("{pod} is not"))
        .hint(how_to_lead(mesh))
        .evidence(evidence)
        .into()),
    }
}

fn silent(mesh: &Mesh, pod: &str) -> Fault {
    let object = istiod::object(mesh.primary(), pod);
    Fault::unknown(format!("the log of {object} does not say whether it may lead in {}", mesh.remote().name))
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
