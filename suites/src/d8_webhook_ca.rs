//! D8: istiod of the primary patches its CA into the injection webhooks of the remote cluster.
//!
//! Sabotage: take the annotation from istio-system of cluster2 before the remote secret is made, or take `update` on
//! mutatingwebhookconfigurations from the reader's ClusterRole and blank a caBundle.

use std::time::Instant;

use harness::check::case::{Case, Ground, Reading, Reads, Use, When};
use harness::check::right::{Place, Right};
use harness::check::{ByHand, Context, Evidence, Explanation, Fault, Finding, Mesh, Path};
use harness::lab::Cluster;
use harness::lab::cluster::FIELD_MANAGER;
use harness::lab::injection::revision_of;
use harness::role::Role;
use harness::wait::Look;
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::shared::certificate::{fingerprint, normal};
use crate::shared::leading::{leads_not, root_of_primary};
use crate::shared::webhook::{REVISION, ca_bundle, copied_by, injectors, labelled};
use crate::shared::writer::{NOT_TOLD, audit, manager_of};

/// The clause.
pub const CASE: Case = Case {
    id: "D8",
    slug: "webhook-ca-patched",
    shows: &[Path::Writes, Path::Injection],
    title: "istiod patches its CA into the remote cluster's injection webhooks",
    guide: "https://istio.io/latest/docs/setup/install/multicluster/primary-remote/#attach-cluster2-as-a-remote-cluster-of-cluster1",
    needs: &["D5", "D6"],
    blames: &["D0", "D1", "D4"],
    follows: &[],
    uses: &[Use::Changes(Ground::RemoteInjection)],
    when: When::Installed,
    judge: |context| Box::pin(judge(context)),
    reads: Reads::Part(Reading {
        judge: |mesh| Box::pin(read(mesh)),
        rights: &[
            Right::new(
                Role::Remote,
                Place::Cluster,
                "admissionregistration.k8s.io",
                "mutatingwebhookconfigurations",
                &["list", "watch"],
            ),
            Right::new(Role::Primary, Place::Istio, "", "configmaps", &["get"]),
            Right::new(Role::Primary, Place::Istio, "", "pods", &["list"]),
            Right::new(Role::Primary, Place::Istio, "", "pods/log", &["get"]),
        ],
        not_asked: "whether istiod writes a caBundle again that was blanked, and whether a pod gets its sidecar",
    }),
    explains: Explanation {
        judges: "Every injection webhook of the revision in the remote cluster holds the primary's root as its \
                caBundle, written by istiod or copied from there with a tag. One is blanked, and istiod writes it \
                again; then a dry run of a pod gets its sidecar.",
        why: "The remote cluster's API server calls the webhook only if it trusts it. With no CA, or that of an \
             older root, pods that ask for a sidecar cannot be made.",
        by_hand: &[
            ByHand::new(
                "the fingerprint of the primary's root",
                r"kubectl --context ${CTX_CLUSTER1} -n ${ISTIO_NAMESPACE} get configmap istio-ca-root-cert -o jsonpath='{.data.root-cert\.pem}' | sha256sum",
            ),
            ByHand::new(
                "the same",
                "kubectl --context ${CTX_CLUSTER2} get mutatingwebhookconfigurations istio-sidecar-injector${REVISION_SUFFIX}${SUFFIX} -o jsonpath='{.webhooks[0].clientConfig.caBundle}' | base64 -d | sha256sum",
            ),
            ByHand::new(
                "CA for each webhook, and EMPTY for none",
                r#"kubectl --context ${CTX_CLUSTER2} get mutatingwebhookconfigurations -l istio.io/rev -o go-template='{{range .items}}{{$name := .metadata.name}}{{range .webhooks}}{{$name}} {{.name}} {{if .clientConfig.caBundle}}CA{{else}}EMPTY{{end}}{{"\n"}}{{end}}{{end}}'"#,
            ),
            ByHand::new(
                "true for ${CLUSTER2}: istiod writes only where it leads",
                "kubectl --context ${CTX_CLUSTER1} -n ${ISTIO_NAMESPACE} logs deploy/istiod${REVISION_SUFFIX} | grep 'should join leader-election'",
            ),
            ByHand::on_a_lab(
                "istio-init and istio-proxy beside the container asked for",
                "kubectl --context ${CTX_CLUSTER2} -n meshproof-sample run look --image=look --dry-run=server -o jsonpath='{.spec.initContainers[*].name} {.spec.containers[*].name}'",
            ),
        ],
    },
};

async fn judge(context: &Context) -> Result<Evidence, Fault> {
    let remote = context.remote();
    let root = root_of_primary(context).await?;
    let mut evidence = Evidence::new();
    let written = all_patched(context, &root, &mut evidence).await?;
    // One is blanked in any case, and whatever an earlier check had to write back itself.
    let mut to_heal: Vec<&String> = written.first().map(|(name, _)| name).into_iter().collect();
    for (name, manager) in &written {
        if !manager.starts_with(&format!("{FIELD_MANAGER} ")) {
            by_istiod(remote, name, manager, &evidence)?;
        } else if !to_heal.contains(&name) {
            to_heal.push(name);
        }
        if let Some(line) = audit(&context.lab, remote, "mutatingwebhookconfigurations", name, "istio-reader").await {
            evidence.saw(
                format!("{} audit log", remote.name),
                format!("last write of {name} by istiod's reader account"),
                line,
            );
        }
    }
    for name in to_heal {
        heals(context, name, &root, &mut evidence).await?;
    }
    injects(context, &mut evidence).await?;
    Ok(evidence)
}

/// The part that only reads.
async fn read(mesh: &Mesh) -> Result<Evidence, Fault> {
    let root = root_of_primary(mesh).await?;
    let mut evidence = Evidence::new();
    for (name, manager) in all_patched(mesh, &root, &mut evidence).await? {
        if manager == NOT_TOLD && mesh.remote().is_recorded() {
            evidence.note(format!("who wrote the caBundle of {} is not told", object(mesh.remote(), &name)));
            continue;
        }
        by_istiod(mesh.remote(), &name, &manager, &evidence)?;
    }
    Ok(evidence)
}

/// Waits until every injection webhook holds the root; returns the objects that have them, each with who wrote its CA.
async fn all_patched(mesh: &Mesh, root: &str, evidence: &mut Evidence) -> Result<Vec<(String, String)>, Fault> {
    let (primary, remote) = (mesh.primary(), mesh.remote());
    evidence.saw(
        primary.object("ConfigMap", &format!("{}/istio-ca-root-cert", primary.istio_namespace)),
        "root-cert.pem",
        fingerprint(root),
    );
    let mut labelled = labelled(remote).await?;
    // Another control plane writes those of its own revision.
    labelled.retain(|found| found.labels().get(REVISION).is_some_and(|label| !remote.is_of_another(label)));
    let mut matching = 0;
    let mut written = Vec::new();
    for configuration in &labelled {
        let name = configuration.name_any();
        for webhook in injectors(configuration) {
            matching += 1;
            patched(mesh, &name, &webhook, root, evidence).await?;
        }
        let manager = manager_of(&configuration.metadata, "f:caBundle");
        evidence.saw(object(remote, &name), "managedFields of caBundle", &manager);
        written.push((name, manager));
    }
    if matching == 0 {
        return Err(Finding::new(format!("{} has no injection webhook with the label istio.io/rev", remote.called()))
            .expected_got("istio-sidecar-injector with webhooks *.sidecar-injector.istio.io", "none")
            .evidence(evidence)
            .into());
    }
    Ok(written)
}

/// The caBundle was written by istiod itself, or copied with a tag.
fn by_istiod(remote: &Cluster, name: &str, manager: &str, evidence: &Evidence) -> Result<(), Fault> {
    let who = manager.split(' ').next();
    if who == Some("pilot-discovery") || (who.is_some() && who == copied_by(name)) {
        return Ok(());
    }
    Err(Finding::new(format!("the caBundle of {} was written by {manager}, not by istiod", object(remote, name)))
        .expected_got("manager pilot-discovery", manager)
        .hint("a caBundle that is right by hand grows stale with the next root; remove it, and see whether istiod writes it")
        .evidence(evidence)
        .into())
}

fn object(remote: &Cluster, name: &str) -> String {
    remote.object("MutatingWebhookConfiguration", name)
}

/// Waits until one webhook holds the root.
async fn patched(mesh: &Mesh, name: &str, webhook: &str, root: &str, evidence: &mut Evidence) -> Result<(), Fault> {
    let remote = mesh.remote();
    let wait = mesh.wait(format!("the caBundle of {webhook} in {name}"), mesh.budgets.converge());
    let found = remote
        .watch(&wait, remote.all::<MutatingWebhookConfiguration>(), name, |configuration| {
            let bundle = ca_bundle(configuration, webhook);
            if normal(&bundle) == normal(root) { Look::Yes(()) } else { Look::NotYet(fingerprint(&bundle)) }
        })
        .await;
    let place = format!("webhooks[{webhook}].clientConfig.caBundle");
    if let Err(timeout) = found {
        let got = timeout.last()?.to_string();
        let (why, hint) = leads_not(mesh, evidence).await;
        let cause = format!("{} has the caBundle {got} in webhook {webhook}{why}", object(remote, name));
        return Err(Finding::new(cause).expected_got(fingerprint(root), got).hint(hint).evidence(evidence).into());
    }
    evidence.saw(object(remote, name), place, fingerprint(root));
    Ok(())
}

/// What to do where istiod leads and writes nothing.
const REFUSED: &str = "see istiod's log for webhook errors, and whether its reader account may update mutatingwebhookconfigurations; \
                       after one refused update it may wait for the next change of the object (F25)";

/// Blanks one caBundle and waits until istiod has written it again.
async fn heals(context: &Context, name: &str, root: &str, evidence: &mut Evidence) -> Result<(), Fault> {
    let remote = context.remote();
    let api = remote.all::<MutatingWebhookConfiguration>();
    let configuration = api.get(name).await.map_err(remote.refused(format!("show {name}")))?;
    let Some(webhook) = injectors(&configuration).into_iter().next() else { return Ok(()) };
    let index = configuration.webhooks.iter().flatten().position(|found| found.name == webhook).unwrap_or(0);
    let blank = json!([{"op": "remove", "path": format!("/webhooks/{index}/clientConfig/caBundle")}]);
    let patch: Patch<()> = Patch::Json(serde_json::from_value(blank)?);
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_string()), ..PatchParams::default() };
    let blanked =
        api.patch(name, &params, &patch).await.map_err(remote.refused(format!("blank the caBundle of {name}")))?;
    let written_by_us = blanked.resource_version();
    let began = Instant::now();
    let wait = context.wait(format!("istiod to write the caBundle of {webhook} again"), context.budgets.converge());
    let healed = remote
        .watch(&wait, api.clone(), name, |configuration| {
            let bundle = ca_bundle(configuration, &webhook);
            let version = configuration.and_then(|configuration| configuration.resource_version());
            if normal(&bundle) == normal(root) && version != written_by_us {
                Look::Yes(())
            } else {
                Look::NotYet(fingerprint(&bundle))
            }
        })
        .await;
    if let Err(timeout) = healed {
        // The user's pods must not suffer from this check. The next one knows by the manager that this is not istiod's.
        let mend = json!([{"op": "add", "path": format!("/webhooks/{index}/clientConfig/caBundle"),
                           "value": ByteString(root.as_bytes().to_vec())}]);
        let patch: Patch<()> = Patch::Json(serde_json::from_value(mend)?);
        let _ = api.patch(name, &params, &patch).await;
        let (why, hint) = leads_not(context, evidence).await;
        let hint = if why.is_empty() { REFUSED.to_string() } else { hint };
        return Err(Finding::new(format!(
            "istiod did not write the caBundle of {} again after it was blanked{why}",
            object(remote, name)
        ))
        .expected_got(
            format!("{} within {} s", fingerprint(root), context.budgets.converge().as_secs()),
            timeout.last()?,
        )
        .hint(hint)
        .evidence(evidence)
        .into());
    }
    evidence.saw(
        object(remote, name),
        format!("webhooks[{webhook}] blanked, then written again after"),
        format!("{:.2} s", began.elapsed().as_secs_f64()),
    );
    Ok(())
}

/// The API server of the remote cluster calls the webhook and trusts it: a dry run of a pod gets its sidecar.
async fn injects(context: &Context, evidence: &mut Evidence) -> Result<(), Fault> {
    let remote = context.remote();
    let (label, value) = remote.revision.asked_by_pods();
    let tried = format!("{} dry run of a pod with {label}={value}", remote.name);
    match remote.try_pod("meshproof-probe", (label, value)).await {
        Ok(created) => {
            let revision = revision_of(&created).unwrap_or_else(|| "none".to_string());
            let spec = created.spec.unwrap_or_default();
            let names: Vec<String> = spec
                .init_containers
                .into_iter()
                .flatten()
                .chain(spec.containers)
                .map(|container| container.name)
                .collect();
            evidence.saw(&tried, "containers after injection", names.join(", "));
            evidence.saw(&tried, "revision of its proxy", revision);
            if names.iter().any(|name| name == "istio-proxy") {
                return Ok(());
            }
            Err(Finding::new(format!("a pod made in {} gets no sidecar from the injection webhook", remote.name))
                .expected_got("a container istio-proxy", names.join(", "))
                .evidence(evidence)
                .into())
        }
        Err(kube::Error::Api(status)) => {
            let message = status.message.clone();
            Err(Finding::new(format!("the API server of {} cannot use the injection webhook: {message}", remote.name))
                .expected_got("a pod with its sidecar", message)
                .evidence(evidence)
                .into())
        }
        Err(error) => Err(Fault::unknown(error)),
    }
}
