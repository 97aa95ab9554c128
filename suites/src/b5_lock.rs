//! B5: the lock by which istiod leads in the remote cluster is taken again after it is deleted, and istiod goes on leading.

use std::time::Instant;

use harness::check::case::{Case, Ground, Reads, Use, When};
use harness::check::{ByHand, Context, Evidence, Explanation, Fault, Finding, Path};
use harness::lab::cluster::FIELD_MANAGER;
use harness::wait::Look;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, PostParams};

use crate::shared::election::{self, LOCK, holder};
use crate::shared::istiod;
use crate::shared::leading::root_of_primary;
use crate::shared::root_configmap::{MAP, written};

/// The check.
pub const CASE: Case = Case {
    id: "B5",
    slug: "lock-taken-again",
    shows: &[Path::Writes],
    title: "istiod takes its lock of the remote cluster again after it is deleted, and goes on leading there",
    guide: "https://istio.io/latest/docs/setup/install/multicluster/primary-remote/#set-the-control-plane-cluster-for-cluster2",
    needs: &["D9"],
    blames: &[],
    follows: &[],
    uses: &[Use::Changes(Ground::RemoteLock)],
    when: When::Installed,
    judge: |context| Box::pin(judge(context)),
    reads: Reads::Nothing("it deletes istiod's lock and waits for a new one"),
    explains: Explanation {
        judges: "The lock istio-namespace-controller-election of the remote cluster is deleted. istiod makes and \
                holds a new one, writes its root into a new namespace, and again where that configmap is deleted.",
        why: "Locks go with a restore or a clean-up. An istiod that no longer leads shows only with the next new \
             namespace, whose pods then wait for their root certificate.",
        by_hand: &[
            ByHand::new(
                "holderIdentity: a pod of istiod of the primary, and a recent renewTime",
                "kubectl --context ${CTX_CLUSTER2} -n ${ISTIO_NAMESPACE} get configmap istio-namespace-controller-election -o yaml",
            ),
            ByHand::new(
                "successfully acquired lease",
                "kubectl --context ${CTX_CLUSTER1} -n ${ISTIO_NAMESPACE} logs deploy/istiod${REVISION_SUFFIX} | grep istio-namespace-controller-election",
            ),
        ],
    },
};

const NAMESPACE: &str = "meshproof-b5";

async fn judge(context: &Context) -> Result<Evidence, Fault> {
    let remote = context.remote();
    let root = root_of_primary(context).await?;
    let namespaces = remote.all::<Namespace>();
    let mut evidence = Evidence::new();
    // The namespace of the run before, which may still be on its way out, goes while istiod is waited for.
    let (gone, taken) = futures::join!(gone(context, &namespaces), taken_again(context, &mut evidence));
    taken?;
    gone?;
    let manifest = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {NAMESPACE}}}\n");
    remote.apply(&manifest, "").await?;
    let judged = leads(context, &root, &mut evidence).await;
    let deleted = remote.delete(&manifest, "").await;
    judged?;
    deleted?;
    Ok(evidence)
}

/// Deletes the lock and waits until istiod holds a new one. It asks for it every 7.5 s, when it renews.
async fn taken_again(context: &Context, evidence: &mut Evidence) -> Result<(), Fault> {
    let (primary, remote) = (context.primary(), context.remote());
    let object = election::object(context);
    let replicas = istiod::replicas(primary).await?;
    let locks: Api<ConfigMap> = remote.api(&remote.istio_namespace);
    let before = locks.get(LOCK).await.map_err(remote.refused(format!("show {LOCK}")))?;
    let (leader, _) = holder(Some(&before));
    locks.delete(LOCK, &DeleteParams::default()).await.map_err(remote.refused(format!("delete {LOCK}")))?;
    let began = Instant::now();
    let wait = context.wait(format!("istiod to take {object} again"), context.budgets.converge());
    let taken = remote
        .watch(&wait, locks.clone(), LOCK, |map| {
            let (holder, key) = holder(map);
            match map {
                None => Look::NotYet("not there".to_string()),
                // The watch may still show what was deleted.
                Some(map) if map.uid() == before.uid() => Look::NotYet("not yet deleted".to_string()),
                Some(_) if replicas.contains(&holder) => Look::Yes((holder, key)),
                Some(_) => Look::NotYet(format!("held by {holder}")),
            }
        })
        .await;
    match taken {
        Ok((holder, key)) => {
            election::saw(context, &holder, &key, evidence);
            evidence.saw(&object, "holderIdentity before it was deleted", leader).saw(
                &object,
                "deleted, then taken again after",
                format!("{:.2} s", began.elapsed().as_secs_f64()),
            );
            Ok(())
        }
        Err(timeout) => {
            // As it was, for whoever looks next; istiod knows it for its own.
            let mut again = before;
            again.metadata.uid = None;
            again.metadata.resource_version = None;
            let params = PostParams { field_manager: Some(FIELD_MANAGER.to_string()), ..PostParams::default() };
            let _ = locks.create(&params, &again).await;
            let got = timeout.last()?;
            Err(Finding::new(format!("{object} was deleted, and istiod of {} did not take it again: it is {got}", primary.name))
                .expected_got(format!("held by one of {} within {} s", replicas.join(", "), context.budgets.converge().as_secs()), got)
                .hint(format!("see istiod's log for errors of its leader election, and whether its reader account may create configmaps in {}; without the lock istiod gives up after 15 s, and new namespaces get no root", remote.istio_namespace))
                .evidence(evidence)
                .into())
        }
    }
}

/// istiod writes its root into a new namespace, and again where it is deleted.
async fn leads(context: &Context, root: &str, evidence: &mut Evidence) -> Result<(), Fault> {
    let remote = context.remote();
    written(context, NAMESPACE, root, "made after that gets", evidence).await?;
    let maps: Api<ConfigMap> = remote.api(NAMESPACE);
    let uid = || async {
        let map = maps.get(MAP).await.map_err(remote.refused(format!("show ConfigMap {NAMESPACE}/{MAP}")))?;
        Ok::<_, Fault>(map.uid().unwrap_or_default())
    };
    let before = uid().await?;
    maps.delete(MAP, &DeleteParams::default())
        .await
        .map_err(remote.refused(format!("delete ConfigMap {NAMESPACE}/{MAP}")))?;
    written(context, NAMESPACE, root, "whose configmap was deleted after that gets", evidence).await?;
    let uids = format!("{before}, then {}", uid().await?);
    evidence.saw(remote.object("ConfigMap", &format!("{NAMESPACE}/{MAP}")), "metadata.uid", uids);
    Ok(())
}

/// Deletes the namespace if it is there, and waits until it is gone.
async fn gone(context: &Context, namespaces: &Api<Namespace>) -> Result<(), Fault> {
    let remote = context.remote();
    match namespaces.delete(NAMESPACE, &DeleteParams::background()).await {
        Err(kube::Error::Api(status)) if status.is_not_found() => return Ok(()),
        // One that is being deleted may be in conflict with another deletion.
        Err(kube::Error::Api(status)) if status.code == 409 => {}
        Err(error) => return Err(remote.refused(format!("delete namespace {NAMESPACE}"))(error).into()),
        Ok(_) => {}
    }
    let wait = context.wait(format!("namespace {NAMESPACE} to go"), context.budgets.cleanup());
    let gone = remote.watch(&wait, namespaces.clone(), NAMESPACE, |namespace| match namespace {
        None => Look::Yes(()),
        Some(_) => Look::NotYet("it is still there".to_string()),
    });
    Ok(gone.await?)
}
