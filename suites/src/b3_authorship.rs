//! B3: what istiod writes in the remote cluster was written by the primary's istiod itself, by the audit log there.
//!
//! D8 and D9 ask the managed fields, where a writer stands by the name that it gives itself. Here each of these names is
//! followed to the write of that second in the audit log. Its lines need no content for that: whether a write changed the
//! value the API server has worked out for the managed fields.

use std::net::Ipv4Addr;

use futures::future::try_join_all;
use harness::check::case::{Case, Ground, Reads, Use, When};
use harness::check::{ByHand, Context, Evidence, Explanation, Fault, Finding, Path};
use harness::lab::Cluster;
use harness::lab::cluster::FIELD_MANAGER;
use harness::role::Role;
use harness::wait::Look;
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::api::ListParams;

use crate::shared::address::AddressBook;
use crate::shared::certificate::{fingerprint, normal};
use crate::shared::election::{LOCK, RECORD, holder};
use crate::shared::istiod;
use crate::shared::leading::root_of_primary;
use crate::shared::root_configmap::{self, KEY, MAP, served};
use crate::shared::webhook::{self, injectors};
use crate::shared::writer::{Owner, Write, author, owners, place_of, writes};

/// The check.
pub const CASE: Case = Case {
    id: "B3",
    slug: "written-by-the-primary",
    shows: &[Path::Writes],
    title: "Webhook CAs, root configmaps and lock of the remote cluster were written by the primary's istiod itself",
    guide: "https://istio.io/latest/docs/setup/install/multicluster/primary-remote/#attach-cluster2-as-a-remote-cluster-of-cluster1",
    needs: &["D8", "D9"],
    // Where istiod does not take the lock again, B5 has put it back.
    blames: &["B5"],
    follows: &[],
    uses: &[Use::Relies(Ground::RemoteLock)],
    when: When::Installed,
    judge: |context| Box::pin(judge(context)),
    reads: Reads::Nothing("it follows each write in the audit log, which lies on a node of the remote cluster"),
    explains: Explanation {
        judges: "Each caBundle, root configmap and lock in the remote cluster is followed from its managed fields to \
                the write in that API server's audit log. It was made by the account of the remote secret, with \
                istiod's client, from the primary's cluster; the webhooks of a tag may have the CA from istioctl, \
                which copies it.",
        why: "D8 and D9 go by the name that a writer gives itself; the audit log has the account and the address. \
             What somebody else wrote is right until the root changes, and fails then, where nobody looks.",
        by_hand: &[
            ByHand::new(
                "manager: pilot-discovery beside f:caBundle",
                "kubectl --context ${CTX_CLUSTER2} get mutatingwebhookconfigurations istio-sidecar-injector${REVISION_SUFFIX}${SUFFIX} --show-managed-fields -o yaml | grep -E 'manager:|f:caBundle'",
            ),
            ByHand::on_a_lab(
                "writes with userAgent pilot-discovery, from the primary",
                "docker exec $(kubectl --context ${CTX_CLUSTER2} get nodes -o jsonpath='{.items[0].metadata.name}') grep istio-reader-service-account /var/log/kubernetes/audit.log | tail -n 3",
            ),
        ],
    },
};

/// What istiod calls itself.
const AGENT: &str = "pilot-discovery";

/// A value that istiod writes, with its owners by the managed fields.
struct Value {
    /// As evidence names it.
    object: String,
    /// As the audit log names it.
    place: String,
    /// What was looked at.
    field: String,
    owners: Vec<Owner>,
    /// The manager who may have copied it instead.
    copied_by: Option<&'static str>,
    /// What stands there in the place of what istiod writes; none where it is that.
    otherwise: Option<String>,
}

async fn judge(context: &Context) -> Result<Evidence, Fault> {
    let remote = context.remote();
    let root = root_of_primary(context).await?;
    let book = AddressBook::of(context).await?;
    // Other checks make istiod write anew meanwhile, so all is looked at again where something is on its way.
    let wait =
        context.wait(format!("the authors of what istiod writes in {}", remote.name), context.budgets.converge());
    let judged = wait.until(|| async {
        match authors(context, &root, &book).await {
            Err(Fault::Unknown(why)) => Look::Unable(why),
            // What somebody else wrote stays so.
            judged => Look::Yes(judged),
        }
    });
    let mut evidence = judged.await??;
    validating(context, &book, &mut evidence).await?;
    Ok(evidence)
}

/// Follows each value to its author; unknown where a value or its line in the log is still on its way.
async fn authors(context: &Context, root: &str, book: &AddressBook) -> Result<Evidence, Fault> {
    let (primary, remote) = (context.primary(), context.remote());
    let values = values(context, root).await?;
    let reader = remote.istio_namespace.reader();
    let log = writes(&context.lab, remote, values.iter().flat_map(|value| &value.owners)).await?;
    let mut evidence = Evidence::new();
    for Value { object, place, field, owners, copied_by, otherwise } in &values {
        if let Some(got) = otherwise {
            return Err(Fault::unknown(format!("{field} of {object} is {got}")));
        }
        let found: Vec<&Write> = owners.iter().filter_map(|owner| author(&log, owner, place)).collect();
        // Whoever applies the same value becomes another owner beside the one who wrote it.
        let istiods = found.iter().find(|write| stranger(context, write, &reader).is_none());
        let Some(write) = istiods.or(found.first()) else {
            return Err(Fault::unknown(format!(
                "the audit log of {} does not say who wrote {field} of {object}",
                remote.name
            )));
        };
        let said = write.said(&book.name(&write.source));
        let Some(who) = stranger(context, write, &reader) else {
            evidence.saw(object, format!("who wrote {field}"), said);
            continue;
        };
        if *copied_by == Some(&write.manager) {
            evidence.saw(object, format!("who copied {field} from the webhooks of the revision"), said);
            continue;
        }
        // A check puts back what istiod did not write again.
        if write.manager == FIELD_MANAGER {
            return Err(Fault::unknown(format!("istiod has not written {field} of {object} again: {said}")));
        }
        let claims = if write.manager == AGENT { format!(" under the name {AGENT}") } else { String::new() };
        return Err(Finding::new(format!("{object} has its {field} from {who}{claims}, not from istiod of {}", primary.name))
            .expected_got(format!("written by {reader} ({AGENT}) from {}", primary.name), said)
            .hint("what was written by hand grows stale with the next root: take it away, so that istiod writes it, and see who else writes there")
            .evidence(&evidence)
            .into());
    }
    Ok(evidence)
}

/// Who it was if not istiod of this cluster, by the account of the remote secret.
fn stranger(context: &Context, write: &Write, reader: &str) -> Option<String> {
    let node = context.primary().nodes.values().any(|node| *node == write.source);
    let pod = write
        .source
        .parse()
        .is_ok_and(|address: Ipv4Addr| context.lab.pods_of(Role::Primary).is_ok_and(|pods| pods.contains(&address)));
    other_than_istiod(write, reader, node || pod)
}

/// Who it was if not the reader account, with istiod's client, from its cluster.
fn other_than_istiod(write: &Write, reader: &str, from_its_cluster: bool) -> Option<String> {
    let Write { user, agent, source, .. } = write;
    match (user == reader, agent.split('/').next() == Some(AGENT), from_its_cluster) {
        (true, true, true) => None,
        (false, ..) => Some(user.clone()),
        (true, false, _) => Some(format!("{user} with {agent}")),
        (true, true, false) => Some(format!("{user} at {source}")),
    }
}

/// Everything that istiod writes in the remote cluster.
async fn values(context: &Context, root: &str) -> Result<Vec<Value>, Fault> {
    let remote = context.remote();
    let mut values = Vec::new();
    for configuration in webhook::labelled(remote).await? {
        let (name, resource) = (configuration.name_any(), "mutatingwebhookconfigurations");
        for webhook in injectors(&configuration) {
            let bundle = webhook::ca_bundle(Some(&configuration), &webhook);
            values.push(Value {
                object: remote.object("MutatingWebhookConfiguration", &name),
                place: place_of(resource, "", &name),
                field: format!("webhooks[{webhook}].clientConfig.caBundle"),
                copied_by: webhook::copied_by(&name),
                owners: owners(
                    &configuration.metadata,
                    &["f:webhooks", &keyed(&webhook), "f:clientConfig", "f:caBundle"],
                ),
                otherwise: (normal(&bundle) != normal(root)).then(|| fingerprint(&bundle)),
            });
        }
    }
    let namespaces = served(context).await?;
    for map in try_join_all(namespaces.iter().map(|namespace| configmap(remote, namespace, MAP))).await? {
        let held = root_configmap::held(&map);
        let otherwise = (normal(&held) != normal(root)).then(|| fingerprint(&held));
        values.push(of_configmap(remote, &map, &["f:data", &format!("f:{KEY}")], KEY, otherwise));
    }
    let lock = configmap(remote, &remote.istio_namespace, LOCK).await?;
    let (holder, _) = holder(Some(&lock));
    let holds = istiod::replicas(context.primary()).await?.contains(&holder);
    let path = ["f:metadata", "f:annotations", &format!("f:{RECORD}")];
    let otherwise = (!holds).then(|| format!("held by {holder}"));
    values.push(of_configmap(remote, &lock, &path, RECORD, otherwise));
    Ok(values)
}

fn of_configmap(remote: &Cluster, map: &ConfigMap, path: &[&str], field: &str, otherwise: Option<String>) -> Value {
    let (namespace, name) = (map.namespace().unwrap_or_default(), map.name_any());
    Value {
        object: remote.object("ConfigMap", &format!("{namespace}/{name}")),
        place: place_of("configmaps", &namespace, &name),
        field: field.to_string(),
        owners: owners(&map.metadata, path),
        copied_by: None,
        otherwise,
    }
}

async fn configmap(remote: &Cluster, namespace: &str, name: &str) -> Result<ConfigMap, Fault> {
    let map = remote.api::<ConfigMap>(namespace).get_opt(name).await;
    let map = map.map_err(remote.refused(format!("show ConfigMap {namespace}/{name}")))?;
    map.ok_or_else(|| {
        Fault::unknown(format!("{} is not there", remote.object("ConfigMap", &format!("{namespace}/{name}"))))
    })
}

/// Writes down who wrote the CAs of the validating webhooks: istiod writes those of its own cluster alone.
async fn validating(context: &Context, book: &AddressBook, evidence: &mut Evidence) -> Result<(), Fault> {
    let remote = context.remote();
    let all = remote.all::<ValidatingWebhookConfiguration>().list(&ListParams::default()).await;
    for configuration in all.map_err(remote.refused("list ValidatingWebhookConfigurations"))? {
        let name = configuration.name_any();
        let object = remote.object("ValidatingWebhookConfiguration", &name);
        for webhook in configuration.webhooks.iter().flatten() {
            let field = format!("webhooks[{}].clientConfig.caBundle", webhook.name);
            let bundle = webhook.client_config.ca_bundle.as_ref();
            let Some(ByteString(bundle)) = bundle.filter(|ByteString(bytes)| !bytes.is_empty()) else {
                evidence.saw(&object, field, "empty, and istiod leaves it so");
                continue;
            };
            let path = ["f:webhooks", &keyed(&webhook.name), "f:clientConfig", "f:caBundle"];
            let owners = owners(&configuration.metadata, &path);
            let log = writes(&context.lab, remote, owners.iter()).await?;
            let place = place_of("validatingwebhookconfigurations", "", &name);
            let by = owners.iter().find_map(|owner| author(&log, owner, &place));
            let by = by.map_or("nobody that the audit log knows".to_string(), |by| by.said(&book.name(&by.source)));
            evidence.saw(&object, field, format!("{}; {by}", fingerprint(&String::from_utf8_lossy(bundle))));
        }
    }
    Ok(())
}

/// How managed fields name a webhook of a list.
fn keyed(webhook: &str) -> String {
    format!("k:{{\"name\":\"{webhook}\"}}")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{Write, other_than_istiod};

    const READER: &str = "system:serviceaccount:istio-system:istio-reader-service-account";

    #[rstest]
    #[case::istiod(READER, "pilot-discovery/1.31.1", true, None)]
    #[case::an_administrator("kubernetes-admin", "pilot-discovery/1.31.1", true, Some("kubernetes-admin"))]
    #[case::its_token_in_another_client(READER, "kubectl/v1.36.3", true, Some("with kubectl/v1.36.3"))]
    #[case::its_token_elsewhere(READER, "pilot-discovery/1.31.1", false, Some("at 172.30.0.2"))]
    fn only_the_reader_account_in_istiods_hands_is_istiod(
        #[case] user: &str,
        #[case] agent: &str,
        #[case] from_its_cluster: bool,
        #[case] said: Option<&str>,
    ) {
        let line = format!(
            r#"{{"verb":"create","user":{{"username":"{user}"}},"userAgent":"{agent}","sourceIPs":["172.30.0.2"],"responseStatus":{{"code":201}}}}"#
        );
        let write = Write::of(&line).expect("a write");
        let stranger = other_than_istiod(&write, READER, from_its_cluster);
        assert_eq!(stranger.is_some(), said.is_some());
        assert!(stranger.unwrap_or_default().contains(said.unwrap_or_default()));
    }
}
