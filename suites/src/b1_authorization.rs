//! B1: an AuthorizationPolicy of the primary cluster holds for the workloads of both, by the caller's identity, from
//! whichever cluster it calls; one that lies in the remote cluster holds for nobody.

use harness::check::case::{Case, Ground, Reads, Use, When};
use harness::check::{ByHand, Context, Evidence, Explanation, Fault, Finding, Path};
use harness::lab::Cluster;
use harness::lab::cluster::ClusterError;
use harness::lab::probe::{Calls, Probe, ProbeError};
use harness::problem::all_of;
use harness::role::Role;

use crate::shared::rows::{self, unanswered};
use crate::shared::sample::callers;

/// The check.
pub const CASE: Case = Case {
    id: "B1",
    slug: "authorization-across-clusters",
    shows: &[Path::Requests],
    title: "An AuthorizationPolicy of the primary cluster holds in both, by the caller's identity",
    guide: "https://istio.io/latest/docs/tasks/security/authorization/authz-http/",
    needs: &["D7", "D10"],
    blames: &["D11"],
    follows: &[],
    uses: &[Use::Relies(Ground::Traffic)],
    when: When::Installed,
    judge: |context| Box::pin(judge(context)),
    reads: Reads::Nothing("it makes an AuthorizationPolicy, and calls between pods of its own"),
    explains: Explanation {
        judges: "A DENY policy of the primary holds for the pods of both clusters, from whichever the caller calls: \
                it denies by principal and by namespace, and leaves alone whom it does not mean. The same policy in \
                the remote cluster is ignored.",
        why: "istiod reads configuration in its own cluster alone. Who writes a policy into the primary is protected \
             in both clusters, and who writes it into the remote one in neither.",
        by_hand: &[
            ByHand::new("the policies that hold", "kubectl --context ${CTX_CLUSTER1} get authorizationpolicies -A"),
            ByHand::new(
                "none: these hold for nobody",
                "kubectl --context ${CTX_CLUSTER2} get authorizationpolicies -A",
            ),
            ByHand::on_a_lab(
                "the caller's identity as peer_identity",
                "kubectl --context ${CTX_CLUSTER2} -n meshproof-sample logs -l app=echo -c istio-proxy --tail 3",
            ),
        ],
    },
};

const NAME: &str = "meshproof-b1";

/// Of so many calls of echo both clusters get one, but for one row in half a million.
const CALLS: u32 = 20;

/// One part of the path, denied to whoever has `from`.
struct Rule {
    path: &'static str,
    from: &'static str,
    /// Whether the caller is meant.
    denies: bool,
}

impl Rule {
    fn source(&self, context: &Context) -> String {
        self.from.replace("${NAMESPACE}", context.sample())
    }
}

const RULES: [Rule; 4] = [
    Rule { path: "principal", from: r#"principals: ["cluster.local/ns/${NAMESPACE}/sa/caller"]"#, denies: true },
    Rule { path: "namespace", from: "namespaces: [${NAMESPACE}]", denies: true },
    Rule { path: "others", from: r#"notPrincipals: ["cluster.local/ns/${NAMESPACE}/sa/caller"]"#, denies: false },
    Rule { path: "elsewhere", from: "notNamespaces: [${NAMESPACE}]", denies: false },
];

async fn judge(context: &Context) -> Result<Evidence, Fault> {
    let namespace = context.sample();
    let (primary, remote) = (context.primary(), context.remote());
    let mut evidence = Evidence::new();
    let callers = callers(context).await?;
    // Only this run's paths are denied, so nobody else's calls are. Without the port all of TCP would be: where there are no
    // paths, they are left out of the rule. One that a killed run left is written over.
    let ours = policy(context, "primary");
    primary.apply(&ours, namespace).await?;
    let theirs = policy(context, "remote");
    let applied = match remote.apply(&theirs, namespace).await {
        Err(error) if !is_unknown_kind(&error) => {
            primary.delete(&ours, namespace).await?;
            return Err(error.into());
        }
        applied => applied,
    };
    let held = futures::future::join_all(callers.iter().map(|caller| in_both(context, caller))).await;
    // Made just after the other, which every proxy has by now.
    let ignored = match &applied {
        Ok(_) => in_neither(context, &callers[0]).await,
        // Where the remote cluster does not know the kind, nobody can write what would be ignored.
        Err(error) => {
            let mut evidence = Evidence::new();
            evidence.note(format!("an AuthorizationPolicy in {} was refused: {error}", remote.name));
            Ok(evidence)
        }
    };
    let deleted = primary.delete(&ours, namespace).await;
    let theirs_deleted = if applied.is_ok() { remote.delete(&theirs, namespace).await } else { Ok(()) };
    for part in held.into_iter().chain([ignored]) {
        evidence.extend(part?);
    }
    deleted.and(theirs_deleted)?;
    Ok(evidence)
}

/// Whether the API server has no such kind.
fn is_unknown_kind(error: &ClusterError) -> bool {
    let ClusterError::Api { source, .. } = error else { return false };
    match &**source {
        kube::Error::Api(status) => status.is_not_found(),
        kube::Error::Discovery(_) => true,
        _ => false,
    }
}

fn path(context: &Context, place: &str, rule: &Rule) -> String {
    format!("/{}/b1/{place}/{}", context.nonce, rule.path)
}

fn policy(context: &Context, place: &str) -> String {
    let rules = RULES.map(|rule| {
        let (from, path) = (rule.source(context), path(context, place, &rule));
        format!(
            "  - from: [{{source: {{{from}}}}}]\n    to: [{{operation: {{ports: [\"8080\"], paths: [\"{path}*\"]}}}}]\n"
        )
    });
    format!(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: {NAME}}}\nspec:\n  \
         selector: {{matchLabels: {{app: echo}}}}\n  action: DENY\n  rules:\n{}",
        rules.concat()
    )
}

fn object(cluster: &Cluster) -> String {
    let namespace = &*cluster.sample;
    cluster.object("AuthorizationPolicy", &format!("{namespace}/{NAME}"))
}

async fn row(caller: &Probe, path: &str) -> Result<Calls, ProbeError> {
    let namespace = &*caller.cluster.sample;
    // By the second name, so that these calls do not skew the counts of D11.
    let url = format!("http://second-echo.{namespace}:8080{path}");
    caller.call(&[&url, "--count", &CALLS.to_string()]).await
}

/// How a row is otherwise than the rule says; none where it is as it says.
fn otherwise(calls: &Calls, denies: bool, clusters: [&str; 2]) -> Option<String> {
    let denied: u32 = calls.failures.iter().filter(|(why, _)| why.contains("403")).map(|(_, count)| count).sum();
    if denies {
        let by = calls.by.iter().map(|(who, count)| format!("{who} answered {count}")).collect::<Vec<_>>();
        return (denied != calls.sent).then(|| match by.is_empty() {
            false => format!("{} of {} are denied; {}", denied, calls.sent, all_of(&by)),
            true => format!("{} of {} are denied; {}", denied, calls.sent, calls.failure_line()),
        });
    }
    unanswered(calls, &clusters)
}

/// Each rule holds for this caller, whichever cluster answers.
async fn in_both(context: &Context, caller: &Probe) -> Result<Evidence, Fault> {
    let clusters = Role::ALL.map(|role| context.cluster(role).name.as_str());
    let policy = object(context.primary());
    let mut evidence = Evidence::new();
    for rule in &RULES {
        let path = path(context, "primary", rule);
        let wait = context.wait(format!("{policy} to hold for {}", caller.object()), context.budgets.converge());
        let held = wait
            .until(|| async { rows::look(row(caller, &path).await, |calls| otherwise(calls, rule.denies, clusters)) });
        let said = if rule.denies { "denied" } else { "answered by both clusters" };
        match held.await {
            Ok(calls) => {
                evidence.saw(
                    caller.object(),
                    format!("{} calls of second-echo{path}, denied to `{}`", calls.sent, rule.source(context)),
                    said,
                );
            }
            Err(timeout) => {
                return Err(Finding::new(format!(
                        "{policy} does not hold for calls of {} to second-echo: {}",
                        caller.object(),
                        timeout.last()?
                    ))
                    .expected_got(format!("calls denied to `{}` all {said}", rule.source(context)), timeout.last()?)
                    .hint("see the RBAC filters of echo's proxies in both clusters (istioctl proxy-config listener), EnvoyFilters, and whether mutual TLS gives the caller's identity")
                    .evidence(&evidence)
                    .into());
            }
        }
    }
    Ok(evidence)
}

/// What the remote cluster's policy denies is answered by both clusters, when the primary's holds already.
async fn in_neither(context: &Context, caller: &Probe) -> Result<Evidence, Fault> {
    let clusters = Role::ALL.map(|role| context.cluster(role).name.as_str());
    let policy = object(context.remote());
    let path = path(context, "remote", &RULES[0]);
    // A policy that holds goes on holding; what is refused for a moment is refused for another reason.
    let wait = context.wait(format!("{policy} to be ignored"), context.budgets.converge());
    let ignored = wait.until(|| async {
        rows::look(row(caller, &path).await, |calls| otherwise(calls, false, clusters)).map(|calls| calls.sent)
    });
    match ignored.await {
        Ok(calls) => {
            let mut evidence = Evidence::new();
            let seen = format!("{calls} calls that it denies are answered by both clusters");
            evidence.saw(policy, "ignored, for istiod reads configuration in its own cluster", seen);
            Ok(evidence)
        }
        Err(timeout) => Err(Finding::new(format!("{policy} is heeded: {}", timeout.last()?))
            .expected_got("configuration in the remote cluster without effect", timeout.last()?)
            .hint("Istio's configuration belongs into the primary cluster (istio/istio#31211); see whether istiod watches another configuration cluster")
            .into()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use harness::lab::probe::Calls;
    use rstest::rstest;

    use super::otherwise;

    fn calls(one: u32, two: u32, denied: u32) -> Calls {
        let by = [("cluster1/v1/a".to_string(), one), ("cluster2/v2/b".to_string(), two)];
        Calls {
            sent: one + two + denied,
            answered: one + two,
            by: by.into_iter().filter(|(_, count)| *count > 0).collect(),
            failures: BTreeMap::from([("HTTP 403: RBAC: access denied".to_string(), denied)]),
            ..Calls::default()
        }
    }

    #[rstest]
    #[case::all_denied(calls(0, 0, 20), true, true)]
    #[case::one_cluster_lets_them_in(calls(0, 9, 11), true, false)]
    #[case::all_answered(calls(9, 11, 0), false, true)]
    #[case::one_is_denied(calls(9, 10, 1), false, false)]
    #[case::one_cluster_is_silent(calls(20, 0, 0), false, false)]
    fn a_rule_holds_in_both_clusters_or_not_at_all(#[case] calls: Calls, #[case] denies: bool, #[case] holds: bool) {
        assert_eq!(otherwise(&calls, denies, ["cluster1", "cluster2"]).is_none(), holds);
    }
}
