//! What istioctl will make, by its own words, before it makes anything.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::action::{Action, IstioFiles, gateway_args, istioctl_alone, primary_args, remote_args};
use super::distribution::Distribution;
use super::facts::{Fact, Facts};
use super::inventory::Entry;
use super::revision::gateway_words;
use super::step::StepError;
use crate::context::Context;
use crate::role::Role;

/// What `istioctl install` makes beside its manifests, for the revision that is the default one (seen with 1.31.1).
const OF_DEFAULT: [(&str, &str); 2] = [
    ("MutatingWebhookConfiguration.admissionregistration.k8s.io", "istio-revision-tag-default"),
    ("ValidatingWebhookConfiguration.admissionregistration.k8s.io", "istiod-default-validator"),
];

/// The Service that it makes beside them in Istio's namespace, for the same.
const DEFAULT_SERVICE: &str = "istiod-revision-tag-default";

/// The Secret that `istioctl create-remote-secret` makes for the token of the remote cluster.
const TOKEN: &str = "istio-reader-service-account-istio-remote-secret-token";

/// An address that is nobody's (RFC 5737): which objects there will be does not hang on it.
const NOBODY: &str = "192.0.2.1";

/// All that istioctl will make in each cluster, namespaces too.
///
/// # Errors
/// [`StepError`] where istioctl does not say.
pub async fn of(context: &Context) -> Result<BTreeMap<Role, BTreeSet<Entry>>, StepError> {
    let files = IstioFiles::of(context.scenario());
    let generate = |args: Vec<String>| istioctl_alone(context).args(["manifest", "generate"]).args(args);
    let istio = Distribution::of_lab(context);
    let (network, revision) = (&context.scenario().network, &context.primary().revision);
    let (gateway, operator) = gateway_args(context, &istio, &gateway_words(network, revision)).await?;
    let primary = generate(primary_args(context, &files, &istio, revision)?).run().await?.stdout;
    let gateway = generate(gateway).input(operator).run().await?.stdout;
    let told = Context { facts: Facts::default(), ..context.clone() };
    told.facts.learn(Fact::GatewayAddress, NOBODY);
    let remote = generate(remote_args(&told, &files, &istio, revision)?).run().await?.stdout;
    let mut all = BTreeMap::from([
        (Role::Primary, named(&primary)?.into_iter().chain(named(&gateway)?).collect::<BTreeSet<Entry>>()),
        (Role::Remote, named(&remote)?),
    ]);
    for (role, entries) in &mut all {
        let of_cluster =
            |kind: &str, name: &str| Entry { kind: kind.into(), namespace: String::new(), name: name.into() };
        entries.extend(OF_DEFAULT.map(|(kind, name)| of_cluster(kind, name)));
        let istio = context.cluster(*role).istio_namespace.to_string();
        entries.insert(of_cluster("Namespace", &istio));
        let inside = |kind: &str, name: &str| Entry { kind: kind.into(), namespace: istio.clone(), name: name.into() };
        entries.insert(inside("Service", DEFAULT_SERVICE));
        if *role == Role::Remote {
            entries.insert(inside("Secret", TOKEN));
        }
    }
    Ok(all)
}

/// All that the harness itself will make by its manifests.
///
/// # Errors
/// [`StepError`] for a manifest that is none.
pub fn of_harness<'s>(actions: impl Iterator<Item = &'s Action>) -> Result<BTreeSet<Entry>, StepError> {
    let mut entries = BTreeSet::new();
    for action in actions {
        let Action::Manifests(manifests) = action else { continue };
        for manifest in manifests {
            entries.extend(named(manifest)?);
        }
    }
    Ok(entries)
}

/// Names of the objects of a manifest.
fn named(manifest: &str) -> Result<BTreeSet<Entry>, StepError> {
    let mut entries = BTreeSet::new();
    for document in serde_yaml_ng::Deserializer::from_str(manifest) {
        let object =
            Value::deserialize(document).map_err(|error| StepError(format!("a manifest is not YAML: {error}")))?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
        let (kind, api) = (text(&object["kind"]), text(&object["apiVersion"]));
        if kind.is_empty() {
            continue;
        }
        let kind = api.split_once('/').map_or(kind.clone(), |(group, _)| format!("{kind}.{group}"));
        let metadata = &object["metadata"];
        entries.insert(Entry { kind, namespace: text(&metadata["namespace"]), name: text(&metadata["name"]) });
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn objects_are_called_as_in_an_inventory() {
        let manifest = "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\n# Nothing.\n---\napiVersion: apps/v1\n\
                        kind: Deployment\nmetadata: {name: b, namespace: a}\n";
        let names: Vec<String> = named(manifest).expect("YAML").iter().map(ToString::to_string).collect();
        assert_eq!(names, ["Deployment.apps a/b", "Namespace a"]);
        assert!(named("a: [").is_err());
    }
}
