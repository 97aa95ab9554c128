//! B4: an injection webhook that is made later in the remote cluster, as a revision tag is, gets the CA too; one without
//! the label of istiod's revision does not.

use std::time::Instant;

use futures::future::join_all;
use harness::check::case::{Case, Reads, When};
use harness::check::{ByHand, Context, Evidence, Explanation, Fault, Finding, Path};
use harness::lab::Cluster;
use harness::wait::Look;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;

use crate::shared::certificate::{fingerprint, normal};
use crate::shared::istiod;
use crate::shared::leading::{leads_not, root_of_primary};
use crate::shared::webhook::{REVISION, ca_bundle};
use crate::shared::writer::{audit, manager_of};

/// The check.
pub const CASE: Case = Case {
    id: "B4",
    slug: "new-injection-webhook-patched",
    shows: &[Path::Writes],
    title: "An injection webhook made later in the remote cluster gets the CA by the label of istiod's revision",
    guide: "https://istio.io/latest/docs/setup/upgrade/canary/#stable-revision-labels",
    needs: &["D8"],
    blames: &[],
    follows: &[],
    uses: &[],
    when: When::Installed,
    judge: |context| Box::pin(judge(context)),
    reads: Reads::Nothing("it makes injection webhooks"),
    explains: Explanation {
        judges: "An injection webhook that is made after the install, with the label of istiod's revision, gets the \
                CA. One without that label, and one of another revision, stay without.",
        why: "Revision tags and canary upgrades make such webhooks on a running mesh. One without a CA refuses the \
             pods of every namespace that is moved to it.",
        by_hand: &[
            ByHand::new(
                "every webhook with its revision and tag",
                "kubectl --context ${CTX_CLUSTER2} get mutatingwebhookconfigurations -L istio.io/rev,istio.io/tag",
            ),
            ByHand::new(
                "update or patch on mutatingwebhookconfigurations, without resourceNames",
                "kubectl --context ${CTX_CLUSTER2} get clusterrole istio-reader-clusterrole${REVISION_SUFFIX}-${ISTIO_NAMESPACE} -o yaml | grep -B4 -A8 mutatingwebhookconfigurations",
            ),
        ],
    },
};

const TAGGED: &str = "meshproof-b4";

/// What istiod leaves alone: no label, and another revision's.
const OTHERS: [(&str, Option<&str>); 2] =
    [("meshproof-b4-without-label", None), ("meshproof-b4-of-another-revision", Some("meshproof-b4"))];

/// The webhook of each of them.
const WEBHOOK: &str = "rev.namespace.sidecar-injector.istio.io";

async fn judge(context: &Context) -> Result<Evidence, Fault> {
    let remote = context.remote();
    let root = root_of_primary(context).await?;
    let revision = istiod::revision(context.primary()).await?;
    let all: String = [configuration(TAGGED, Some(&revision), remote)]
        .into_iter()
        .chain(OTHERS.map(|(name, revision)| configuration(name, revision, remote)))
        .collect();
    // An earlier run may have been killed in between: what it left is patched already.
    remote.delete(&all, "").await?;
    let began = Instant::now();
    let made = remote.apply(&all, "").await;
    let judged = match made {
        Ok(_) => one_of_three(context, &revision, &root, began).await,
        Err(error) => Err(error.into()),
    };
    let deleted = remote.delete(&all, "").await;
    let evidence = judged?;
    deleted?;
    Ok(evidence)
}

/// The labelled one is patched; the others are left alone, which is looked at after that, when istiod has been at it.
async fn one_of_three(context: &Context, revision: &str, root: &str, began: Instant) -> Result<Evidence, Fault> {
    let mut evidence = patched(context, revision, root, began).await?;
    evidence.extend(left_alone(context).await?);
    Ok(evidence)
}

/// One document of a manifest. Its selectors match nothing, so no pod ever meets it.
fn configuration(name: &str, revision: Option<&str>, remote: &Cluster) -> String {
    let (istio, cluster, istiod) = (&remote.istio_namespace, &remote.name, remote.revision.istiod());
    let label = revision.map_or(String::new(), |revision| format!(", {REVISION}: \"{revision}\""));
    format!(
        "---\n\
         apiVersion: admissionregistration.k8s.io/v1\n\
         kind: MutatingWebhookConfiguration\n\
         metadata: {{name: {name}, labels: {{istio.io/tag: {name}{label}}}}}\n\
         webhooks:\n\
         - name: {WEBHOOK}\n  \
           clientConfig: {{service: {{namespace: {istio}, name: {istiod}, path: /inject/cluster/{cluster}, port: 443}}}}\n  \
           rules: [{{operations: [CREATE], apiGroups: [\"\"], apiVersions: [v1], resources: [pods]}}]\n  \
           namespaceSelector: {{matchLabels: {{meshproof-b4: nobody}}}}\n  \
           objectSelector: {{matchLabels: {{meshproof-b4: nobody}}}}\n  \
           failurePolicy: Ignore\n  \
           sideEffects: None\n  \
           admissionReviewVersions: [v1]\n"
    )
}

/// The labelled one gets the CA.
async fn patched(context: &Context, revision: &str, root: &str, began: Instant) -> Result<Evidence, Fault> {
    let remote = context.remote();
    let object = remote.object("MutatingWebhookConfiguration", TAGGED);
    let wait = context.wait(format!("the caBundle of {TAGGED}"), context.budgets.converge());
    let found = remote
        .watch(&wait, remote.all::<MutatingWebhookConfiguration>(), TAGGED, |configuration| {
            let bundle = ca_bundle(configuration, WEBHOOK);
            match configuration {
                Some(configuration) if normal(&bundle) == normal(root) => {
                    Look::Yes(manager_of(&configuration.metadata, "f:caBundle"))
                }
                Some(_) => Look::NotYet(fingerprint(&bundle)),
                None => Look::Unable(format!("{TAGGED} is not there")),
            }
        })
        .await;
    let took = format!("{:.2} s", began.elapsed().as_secs_f64());
    let mut evidence = Evidence::new();
    match found {
        Ok(manager) => {
            evidence
                .saw(&object, format!("clientConfig.caBundle, with {REVISION}={revision}"), fingerprint(root))
                .saw(&object, "made, then patched after", took)
                .saw(&object, "managedFields of caBundle", manager);
            if let Some(line) =
                audit(&context.lab, remote, "mutatingwebhookconfigurations", TAGGED, "istio-reader").await
            {
                evidence.saw(&object, "last write by istiod's reader account", line);
            }
            Ok(evidence)
        }
        Err(timeout) => {
            let got = timeout.last()?.to_string();
            let tried = audit(&context.lab, remote, "mutatingwebhookconfigurations", TAGGED, "istio-reader").await;
            evidence.saw(&object, "last write by istiod's reader account", tried.as_deref().unwrap_or("none"));
            let (why, hint) = leads_not(context, &mut evidence).await;
            let hint = if why.is_empty() {
                "see whether istiod's reader account may update every MutatingWebhookConfiguration and not only some by name; after one refused update istiod says nothing, and waits for the next change of the object (F25)"
                    .to_string()
            } else {
                hint
            };
            Err(Finding::new(format!("{object}, made after the install, has the caBundle {got}{why}"))
                .expected_got(format!("{} by istiod of {}", fingerprint(root), context.primary().name), got)
                .hint(hint)
                .evidence(&evidence)
                .into())
        }
    }
}

/// The others stay as they were made.
async fn left_alone(context: &Context) -> Result<Evidence, Fault> {
    let remote = context.remote();
    let api = &remote.all::<MutatingWebhookConfiguration>();
    let wait = context.wait("webhooks of no or another revision to be left alone", context.budgets.never());
    let looks = wait
        .never(|| async {
            for (name, found) in join_all(OTHERS.map(|(name, _)| async move { (name, api.get(name).await) })).await {
                match found {
                    Ok(configuration) => {
                        let bundle = ca_bundle(Some(&configuration), WEBHOOK);
                        if !bundle.is_empty() {
                            return Look::Yes((
                                name,
                                fingerprint(&bundle),
                                manager_of(&configuration.metadata, "f:caBundle"),
                            ));
                        }
                    }
                    Err(error) => return Look::unable(error),
                }
            }
            Look::NotYet("no caBundle".to_string())
        })
        .await;
    match looks {
        Ok(0) => Err(Fault::unknown("webhooks of no or another revision could not be looked at")),
        Ok(looks) => {
            let mut evidence = Evidence::new();
            for (name, revision) in OTHERS {
                let label =
                    revision.map_or(format!("without {REVISION}"), |revision| format!("with {REVISION}={revision}"));
                evidence.saw(
                    remote.object("MutatingWebhookConfiguration", name),
                    format!("clientConfig.caBundle, {label}"),
                    format!("empty in {looks} looks over {} s", context.budgets.never().as_secs()),
                );
            }
            Ok(evidence)
        }
        Err(((name, got, manager), after)) => {
            let object = remote.object("MutatingWebhookConfiguration", name);
            Err(Finding::new(format!("{object} got a caBundle, which is not of the revision of istiod, by {manager}"))
                .expected_got("no caBundle", format!("{got} after {:.1} s", after.as_secs_f64()))
                .hint("see who else patches webhooks there, such as a tool that copies the CA, or an istiod of that revision")
                .into())
        }
    }
}
