//! The remote secret itself. Of what is in it only the address of the API server is shown.

use harness::check::{Context, Evidence, Fault, Finding};
use harness::install::action::{istio_namespace, with};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::ListParams;

use crate::shared::writer::manager_of;

/// The label by which istiod knows remote secrets.
const LABEL: &str = "istio/multiCluster";

/// The Secret is where istiod looks for it, names the remote cluster, and leads to its API server.
///
/// # Errors
/// A finding that names the Secret.
pub async fn judge(context: &Context, evidence: &mut Evidence) -> Result<(), Fault> {
    let (primary, remote) = (context.primary(), context.remote());
    let istio = &*primary.istio_namespace;
    let all = primary
        .api::<Secret>(istio)
        .list(&ListParams::default().labels(&format!("{LABEL}=true")))
        .await
        .map_err(primary.refused("list the remote secrets"))?;
    let fitting: Vec<&Secret> = all
        .items
        .iter()
        .filter(|secret| secret.data.as_ref().is_some_and(|data| data.contains_key(&remote.name)))
        .collect();
    let Some(secret) = fitting.first() else { return Err(missing(context, &all.items, evidence).await?.into()) };
    let object = primary.object("Secret", &format!("{istio}/{}", secret.name_any()));
    let config =
        secret.data.as_ref().and_then(|data| data.get(&remote.name)).map(|bytes| String::from_utf8_lossy(&bytes.0));
    let server = config.as_deref().and_then(server).unwrap_or_default();
    evidence
        .saw(&object, format!("label {LABEL}"), "true")
        .saw(&object, "key", &remote.name)
        .saw(&object, format!("server of {}", remote.name), &server)
        .saw(&object, format!("managedFields of label {LABEL}"), manager_of(&secret.metadata, &format!("f:{LABEL}")));
    if is_loopback(&server) {
        return Err(Finding::new(format!("{object} leads istiod to {server}, which is istiod's own pod"))
            .expected_got(format!("an address of the API server of {} that pods of {} reach", remote.name, primary.name), server)
            .hint("make it again with istioctl create-remote-secret --server https://<address of the node>:6443 (istio/istio#31081)")
            .evidence(evidence)
            .into());
    }
    if fitting.len() > 1 {
        let names: Vec<String> = fitting.iter().map(|secret| secret.name_any()).collect();
        evidence.note(format!(
            "{} secrets name {}; istiod uses one of them: {}",
            names.len(),
            remote.name,
            names.join(", ")
        ));
    }
    Ok(())
}

/// What to say when no labelled Secret names the remote cluster: it may be there by another name, or without its label.
async fn missing(context: &Context, labelled: &[Secret], evidence: &mut Evidence) -> Result<Finding, Fault> {
    let (primary, remote) = (context.primary(), context.remote());
    let istio = &*primary.istio_namespace;
    let name = format!("istio-remote-secret-{}", remote.name);
    let object = primary.object("Secret", &format!("{istio}/{name}"));
    let there = primary
        .api::<Secret>(istio)
        .get_metadata_opt(&name)
        .await
        .map_err(primary.refused(format!("show Secret {istio}/{name}")))?;
    let keys =
        |secret: &Secret| secret.data.iter().flat_map(|data| data.keys().cloned()).collect::<Vec<_>>().join(", ");
    let others: Vec<String> =
        labelled.iter().map(|secret| format!("{} for {}", secret.name_any(), keys(secret))).collect();
    evidence.saw(
        primary.object("Secrets", &format!("{LABEL}=true")),
        "names and clusters",
        if others.is_empty() { "none".to_string() } else { others.join("; ") },
    );
    let cause = match (there, others.first()) {
        (Some(found), _) if found.labels().get(LABEL).map(String::as_str) != Some("true") => {
            format!("{object} lacks the label {LABEL}=true")
        }
        (Some(_), _) => format!("{object} holds no kubeconfig under the key {}", remote.name),
        (None, Some(other)) => format!("{object} is not there; there is {other}"),
        (None, None) => format!("{object} is not there"),
    };
    let got = if others.is_empty() { "no remote secret".to_string() } else { others.join("; ") };
    Ok(Finding::new(cause)
        .expected_got(format!("a Secret with the label {LABEL}=true and the key {}", remote.name), got)
        .hint(made_anew(context))
        .evidence(evidence))
}

/// The guide's command that makes the remote secret.
pub fn made_anew(context: &Context) -> String {
    let (primary, remote) = (context.primary(), context.remote());
    let secret = format!("istioctl create-remote-secret --context={} --name={}", remote.context_word(), remote.name);
    let secret = with(secret, &istio_namespace(&remote.istio_namespace));
    format!("{secret} | kubectl apply -f - --context={}", primary.context_word())
}

/// The server in a kubeconfig as host and port, and nothing else of it.
fn server(config: &str) -> Option<String> {
    let line =
        config.lines().map(|line| line.trim().trim_start_matches("- ")).find(|line| line.starts_with("server:"))?;
    let url = line["server:".len()..].trim().trim_matches(['"', '\'']);
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next()?;
    Some(authority.rsplit('@').next().unwrap_or(authority).to_string())
}

fn is_loopback(server: &str) -> bool {
    ["127.", "localhost", "[::1]", "0.0.0.0"].iter().any(|start| server.starts_with(start))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{is_loopback, server};

    #[rstest]
    #[case::as_made("clusters:\n- cluster:\n    server: https://172.30.0.2:6443\n  name: a", Some("172.30.0.2:6443"))]
    #[case::first_of_its_list("- server: https://a.example/base", Some("a.example"))]
    #[case::quoted("    server: \"https://127.0.0.1:40000\"", Some("127.0.0.1:40000"))]
    #[case::with_a_password("server: https://user:secret@host:1/", Some("host:1"))]
    #[case::none("kind: Config", None)]
    fn only_host_and_port_of_a_kubeconfig_are_shown(#[case] config: &str, #[case] shown: Option<&str>) {
        assert_eq!(server(config).as_deref(), shown);
    }

    #[rstest]
    #[case("127.0.0.1:40000", true)]
    #[case("localhost:6443", true)]
    #[case("[::1]:6443", true)]
    #[case("172.30.0.2:6443", false)]
    fn a_server_on_loopback_is_no_remote_one(#[case] server: &str, #[case] loopback: bool) {
        assert_eq!(is_loopback(server), loopback);
    }
}
