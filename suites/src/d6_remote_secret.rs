//! D6: the remote secret makes istiod trust the remote cluster: without it its workloads are refused, with it they
//! get certificates and configuration.
//!
//! Sabotage: `kubectl -n istio-system delete secret istio-remote-secret-cluster2` in cluster1, or take its label
//! istio/multiCluster.

mod proxies;
mod secret;
mod token;

use std::collections::BTreeMap;

use harness::check::case::{Case, Reading, Reads, When};
use harness::check::right::{Place, Right};
use harness::check::{ByHand, Context, Evidence, Explanation, Fault, Finding, Mesh, Path};
use harness::install::proof::external_address;
use harness::problem::all_of;
use harness::role::Role;
use harness::wait::Look;

use crate::shared::istiod;
use crate::shared::leading::root_of_primary;

/// The clause.
pub const CASE: Case = Case {
    id: "D6",
    slug: "remote-secret-trusted",
    shows: &[Path::Discovery],
    title: "The remote secret makes istiod trust the remote cluster",
    guide: "https://istio.io/latest/docs/setup/install/multicluster/primary-remote/#attach-cluster2-as-a-remote-cluster-of-cluster1",
    needs: &["D3", "token-before-secret"],
    blames: &["D0", "D1"],
    follows: &["remote-secret"],
    uses: &[],
    when: When::Installed,
    judge: |context| Box::pin(judge(context)),
    reads: Reads::Part(Reading {
        judge: |mesh| Box::pin(read(mesh)),
        rights: &[
            Right::new(Role::Primary, Place::Istio, "", "pods", &["list"]),
            Right::new(Role::Primary, Place::Istio, "", "pods/portforward", &["create", "get"]),
        ],
        not_asked: "the Secret itself, for who may read it may read istiod's key too; a token of the remote cluster, before and \
                    after",
    }),
    explains: Explanation {
        judges: "A Secret of the primary with the label istio/multiCluster=true holds a kubeconfig under the remote \
                cluster's name, for a server that is no loopback address, and every replica of istiod says that the \
                cluster is synced. A token of the remote cluster was refused before the secret and gets a \
                certificate now; one with an altered signature gets none. Ready proxies of the remote cluster are \
                connected under its id.",
        why: "The secret is all that istiod has of the remote cluster: by it istiod reads endpoints, asks whose a \
             token is, and writes its CA there. Without it workloads of the remote cluster get no certificate, and \
             no proxy knows them.",
        by_hand: &[
            ByHand::new(
                "istio-remote-secret-${CLUSTER2}",
                "kubectl --context ${CTX_CLUSTER1} -n ${ISTIO_NAMESPACE} get secrets -l istio/multiCluster=true",
            ),
            ByHand::new(
                "${CLUSTER2} synced on every replica",
                "istioctl --context ${CTX_CLUSTER1} remote-clusters -i ${ISTIO_NAMESPACE}",
            ),
            ByHand::new(
                "proxies of ${CLUSTER2} with that name in column CLUSTER",
                "istioctl --context ${CTX_CLUSTER1} proxy-status -i ${ISTIO_NAMESPACE}",
            ),
        ],
    },
};

async fn judge(context: &Context) -> Result<Evidence, Fault> {
    let mut evidence = Evidence::new();
    secret::judge(context, &mut evidence).await?;
    synced(context, &mut evidence).await?;
    let service = istiod::gateway(context).await?;
    let address = service
        .as_ref()
        .and_then(external_address)
        .ok_or_else(|| Fault::unknown("the gateway has no external address any more"))?;
    let address = format!("{address}:15012");
    let root = root_of_primary(context).await?;
    token::refused_before(context, &mut evidence)?;
    // Each by itself first: through the gateway it is left to chance who answers.
    token::judged_by_each(context, &root, &mut evidence).await?;
    token::accepted_now(context, &address, &root, &mut evidence).await?;
    proxies::judge(context, &mut evidence).await?;
    Ok(evidence)
}

/// The part that only reads: what istiod says of the remote cluster, which it knows by the remote secret alone.
async fn read(mesh: &Mesh) -> Result<Evidence, Fault> {
    let (primary, remote) = (mesh.primary(), mesh.remote());
    let id = mesh.wanted.id(Role::Remote)?;
    // What cannot be asked at all is not waited for.
    sync_of_each(mesh).await?;
    let mut evidence = Evidence::new();
    synced(mesh, &mut evidence).await?;
    let mut proxies = 0;
    for pod in istiod::replicas(primary).await? {
        let page = istiod::debug(primary, &pod, "/debug/syncz").await?;
        let count = istiod::connected(&page).iter().filter(|(_, cluster)| cluster == id).count();
        evidence.saw(istiod::object(primary, &pod), format!("/debug/syncz: proxies connected as of {id}"), count);
        proxies += count;
    }
    if proxies == 0 {
        evidence.note(format!(
            "no proxy of {} is connected, so that its workloads authenticate was not seen",
            remote.called()
        ));
    }
    Ok(evidence)
}

/// Every ready replica of istiod says that the remote cluster is synced.
async fn synced(mesh: &Mesh, evidence: &mut Evidence) -> Result<(), Fault> {
    let (primary, remote) = (mesh.primary(), mesh.remote());
    let wait = mesh.wait(format!("every replica of istiod to sync {}", remote.name), mesh.budgets.converge());
    let found = wait
        .until(|| async {
            let told = match sync_of_each(mesh).await {
                Ok(told) => told,
                Err(fault) => return fault.into(),
            };
            if told.is_empty() {
                return Look::NotYet(format!("{} has no ready pod of istiod", primary.called()));
            }
            match told.iter().find(|(_, (status, _))| status != "synced") {
                None => Look::Yes(told),
                Some((pod, (status, _))) => {
                    Look::NotYet(format!("{} says that {} is {status}", istiod::object(primary, pod), remote.name))
                }
            }
        })
        .await;
    match found {
        Ok(told) => {
            for (pod, (status, secret)) in told {
                evidence.saw(
                    istiod::object(primary, &pod),
                    format!("/debug/clusterz of {}", remote.name),
                    format!("{status}, by Secret {secret}"),
                );
            }
            Ok(())
        }
        Err(timeout) => Err(Finding::new(timeout.last()?)
            .expected_got(format!("{} synced on every replica", remote.name), timeout.last()?)
            .hint(unsynced(mesh, timeout.last()?))
            .evidence(evidence)
            .into()),
    }
}

/// What to do about a remote cluster that istiod has not synced, by what it says of it.
fn unsynced(mesh: &Mesh, said: &str) -> String {
    let (primary, remote) = (mesh.primary(), mesh.remote());
    let (context, istio, istiod) = (primary.context_word(), &primary.istio_namespace, primary.revision.istiod());
    if said.ends_with(" closed") {
        // Seen with 1.29.2, and not with 1.31.1: suites/scenarios/field/f05-secret-rotated.yaml and f08-secret-of-localhost.yaml.
        return format!(
            "istiod has stopped all it had of {} and begun nothing in its place, as 1.29.2 does when a remote secret is changed in \
             place; restart it: kubectl --context {context} -n {istio} rollout restart deploy/{istiod}",
            remote.name
        );
    }
    format!("see istiod's log for {}: kubectl --context {context} -n {istio} logs deploy/{istiod}", remote.name)
}

async fn sync_of_each(mesh: &Mesh) -> Result<BTreeMap<String, (String, String)>, Fault> {
    let primary = mesh.primary();
    let mut told = BTreeMap::new();
    for pod in istiod::replicas(primary).await? {
        let page = istiod::debug(primary, &pod, "/debug/clusterz").await?;
        let unknown = || (format!("unknown to it: it knows {}", all_of(&istiod::clusters(&page))), String::new());
        let status = istiod::sync(&page, mesh.wanted.id(Role::Remote)?).unwrap_or_else(unknown);
        told.insert(pod, status);
    }
    Ok(told)
}
