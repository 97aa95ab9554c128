//! The remote secret, as far as its shape and istiod's own words tell of it.

use serde_json::{Value, json};

use super::Rows;
use super::acts::{Acts, has_variables};
use super::remote_profile::{WEBHOOKS, injectors, names_the_primary};
use crate::bundle::shape::array;
use crate::bundle::tell;
use crate::role::Role;
use crate::sabotage::{Act, Target};

const PRIMARY: Role = Role::Primary;

/// The label by which istiod knows remote secrets.
const LABEL: &str = "istio/multiCluster";

pub(super) fn acts(acts: &mut Acts<'_>, rows: &mut Rows) {
    let target = acts.target("v1", "Secret", &format!("istio-remote-secret-{}", acts.name(Role::Remote)));
    never_led(acts, &target, rows);
    match acts.bundle.has(PRIMARY, "remote-secrets") {
        true => by_shape(acts, target, rows),
        false => by_istiod(acts, target, rows),
    }
    let known = acts.bundle.index.known_to_istiod.iter().flatten().filter(|one| !one.secret.is_empty());
    let others: Vec<&str> = known.map(|one| one.id.as_str()).filter(|id| *id != acts.id(Role::Remote)).collect();
    if others.len() > 1 {
        rows.push(format!("other remote clusters: {}", others.join(", ")), "the guide has one");
    }
}

fn by_shape(acts: &mut Acts<'_>, target: Target, rows: &mut Rows) {
    let Some(secret) = acts.bundle.documents(PRIMARY, "remote-secrets").first() else {
        return acts.delete(PRIMARY, target);
    };
    if has_variables(secret) {
        return rows.push("the remote secret", "it has ${...} in it");
    }
    let clusters = array(&secret["clusters"]);
    let named = |cluster: &&Value| cluster["key"] == acts.id(Role::Remote);
    let cluster = clusters.iter().find(named).or(clusters.first());
    let server = cluster.and_then(|cluster| cluster["server"].as_str()).unwrap_or_default();
    // Before its key is another, for the text is looked for in all of it.
    if is_loopback(server) {
        let (replace, with) = ("https://${NODE2}:6443".to_string(), format!("https://{server}"));
        acts.done.push(Act::Edit { cluster: PRIMARY, object: target.clone(), replace, with });
    }
    let key = cluster.and_then(|cluster| cluster["key"].as_str()).unwrap_or_default();
    of_another_name(acts, &target, key);
    let label = &secret["metadata"]["labels"][LABEL];
    if label != "true" {
        acts.merge(PRIMARY, target, json!({"metadata": {"labels": {LABEL: label}}}));
    }
}

/// Without the Secret itself: what istiod knows of.
fn by_istiod(acts: &mut Acts<'_>, target: Target, rows: &mut Rows) {
    let Some(known) = &acts.bundle.index.known_to_istiod else {
        return rows.push("the remote secret", "neither it nor istiod was asked; the lab has a sound one");
    };
    let remotes: Vec<_> = known.iter().filter(|one| !one.secret.is_empty()).collect();
    match remotes.iter().find(|one| one.id == acts.id(Role::Remote)).or(remotes.first()) {
        None => {
            rows.push(
                "why istiod knows no remote cluster",
                "the Secret was not read; the lab has none, which looks the same",
            );
            acts.delete(PRIMARY, target);
        }
        Some(one) if one.id != acts.id(Role::Remote) => of_another_name(acts, &target, &one.id),
        Some(one) if one.status != "synced" => {
            let what = format!("{} as {} with istiod", one.id, one.status);
            rows.push(what, "the Secret was not read, which may say why; capture with --remote-secret");
        }
        Some(_) => {}
    }
}

/// The kubeconfig stands under another key than the name of the cluster.
fn of_another_name(acts: &mut Acts<'_>, target: &Target, key: &str) {
    if key == acts.id(Role::Remote) || key.is_empty() {
        return;
    }
    let from = format!("/data/{}", acts.name(Role::Remote));
    // As RFC 6901 writes names.
    let to = format!("/data/{}", key.replace('~', "~0").replace('/', "~1"));
    acts.json(PRIMARY, target.clone(), json!([{"op": "move", "from": from, "path": to}]));
}

/// istiod of the lab has led in the remote cluster before anything was changed. Where that of the captured mesh never did, it
/// is made to decide anew, and what it wrote is taken away.
fn never_led(acts: &mut Acts<'_>, target: &Target, rows: &mut Rows) {
    let root = acts.bundle.document(PRIMARY, "root")["root"].as_str().unwrap_or_default().to_string();
    let mut blanked = Vec::new();
    for (name, captured) in injectors(acts).into_iter().filter(|_| !root.is_empty()) {
        let configuration = acts.bundle.object(Role::Remote, "webhooks", WEBHOOKS.1, &captured);
        let webhooks = configuration.map(|found| array(&found["webhooks"])).unwrap_or_default();
        let bundles = webhooks.iter().map(|webhook| webhook["clientConfig"]["caBundle"].as_str().unwrap_or_default());
        if bundles.clone().any(|bundle| !bundle.is_empty() && bundle != root) {
            rows.push(
                format!("the CA of another root in {name}"),
                "the lab's istiod writes its own, and would write it again",
            );
        }
        let blank = bundles.enumerate().filter(|(_, bundle)| bundle.is_empty());
        let remove: Vec<Value> = blank
            .map(|(index, _)| json!({"op": "remove", "path": format!("/webhooks/{index}/clientConfig/caBundle")}))
            .collect();
        if !remove.is_empty() {
            blanked.push((name, remove));
        }
    }
    let deployments = acts.bundle.documents(PRIMARY, "deployments");
    let external = deployments.iter().find_map(|istiod| tell::variable(istiod, "EXTERNAL_ISTIOD"));
    if names_the_primary(acts) && external.is_some_and(|value| value == "true") {
        let why = "nothing that was captured says why istiod would leave it so";
        return blanked.iter().for_each(|(name, _)| rows.push(format!("no CA in {name}"), why));
    }
    if !blanked.is_empty() {
        acts.done.push(Act::Renew { cluster: PRIMARY, object: target.clone() });
    }
    for (name, remove) in blanked {
        acts.json(Role::Remote, acts.target(WEBHOOKS.0, WEBHOOKS.1, &name), remove.into());
    }
}

fn is_loopback(server: &str) -> bool {
    ["127.", "localhost", "[::1]"].iter().any(|start| server.starts_with(start))
}
