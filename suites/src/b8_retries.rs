//! B8: a request whose endpoint refuses the connection is answered by the other cluster, by Istio's own retries; where they
//! are switched off, as for the checks that count answers, the caller sees the failure.

use futures::future::{join_all, try_join_all};
use harness::check::case::{Case, Ground, Reads, Use, When};
use harness::check::{ByHand, Context, Evidence, Explanation, Fault, Finding, Path};
use harness::lab::cluster::ClusterError;
use harness::lab::probe::{Calls, Probe};
use harness::role::Role;

use crate::shared::rows::{self, otherwise};
use crate::shared::sample::callers;

/// The check.
pub const CASE: Case = Case {
    id: "B8",
    slug: "retries-across-clusters",
    shows: &[Path::Requests],
    title: "What an endpoint of one cluster refuses is retried in the other, unless retries are off",
    guide: "https://istio.io/latest/docs/concepts/traffic-management/#retries",
    needs: &["D7", "D10"],
    blames: &["D11"],
    follows: &[],
    uses: &[Use::Relies(Ground::Traffic)],
    when: When::Installed,
    judge: |context| Box::pin(judge(context)),
    reads: Reads::Nothing("it makes calls between pods of its own, of which some fail on purpose"),
    explains: Explanation {
        judges: "A Service has one endpoint in each cluster, and that of one refuses every connection. Without \
                retries the calls that go there fail with 503; by the retries that Istio gives, all are answered by \
                the other cluster. Either cluster is once the one that refuses.",
        why: "Retries hide a dying pod from its callers, across clusters too. And who counts answers, as D11 does, \
             must be able to switch them off, or counts what a retry has mended.",
        by_hand: &[
            ByHand::on_a_lab(
                "retryOn with connect-failure, and numRetries 2",
                "istioctl --context ${CTX_CLUSTER1} proxy-config routes deploy/caller -n meshproof-sample --name 8080 -o json | grep -E 'retryOn|numRetries'",
            ),
            ByHand::new(
                "no defaultHttpRetryPolicy that says otherwise",
                "kubectl --context ${CTX_CLUSTER1} -n ${ISTIO_NAMESPACE} get configmap istio${REVISION_SUFFIX} -o jsonpath='{.data.mesh}'",
            ),
            ByHand::new(
                "no filter that changes routes",
                "kubectl --context ${CTX_CLUSTER1} get virtualservices,envoyfilters -A",
            ),
        ],
    },
};

/// A port on which no pod listens.
const CLOSED: u16 = 9;

async fn judge(context: &Context) -> Result<Evidence, Fault> {
    let namespace = context.sample();
    let callers = callers(context).await?;
    // What a killed run has left is written over.
    let mut objects = Vec::new();
    for dead in Role::ALL {
        objects.push((context.cluster(dead), refusing(context, dead).await?));
        objects.push((context.cluster(dead.other()), rows::service(name(dead), Some("app: echo"))));
        objects.push((context.primary(), config(context, dead)));
    }
    let applied = join_all(objects.iter().map(|(cluster, object)| cluster.apply(object, namespace))).await;
    let judged = match applied.into_iter().collect::<Result<Vec<_>, ClusterError>>() {
        Ok(_) => all_retried(context, &callers).await,
        Err(error) => Err(error.into()),
    };
    let deleted = try_join_all(objects.iter().map(|(cluster, object)| cluster.delete(object, namespace))).await;
    let evidence = judged?;
    deleted?;
    Ok(evidence)
}

/// The Service whose endpoint in this cluster refuses connections.
fn name(dead: Role) -> &'static str {
    match dead {
        Role::Primary => "meshproof-b8-primary",
        Role::Remote => "meshproof-b8-remote",
    }
}

/// That Service in that cluster: its one endpoint is a pod that is there, at a port that is not.
async fn refusing(context: &Context, dead: Role) -> Result<String, Fault> {
    let pod = Probe::outside(context.cluster(dead), &context.budgets).await?;
    let name = name(dead);
    Ok(format!(
        "{}---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: {name}, labels: \
         {{kubernetes.io/service-name: {name}}}}}\naddressType: IPv4\n\
         ports: [{{name: http, port: {CLOSED}, protocol: TCP, appProtocol: http}}]\n\
         endpoints: [{{addresses: [{}], conditions: {{ready: true}}}}]\n",
        rows::service(name, None),
        pod.address
    ))
}

/// One path with the retries that Istio gives where none are said, and one without.
fn config(context: &Context, dead: Role) -> String {
    let (name, host, off) = (name(dead), rows::host(name(dead), context.sample()), path(context, false));
    format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: {name}}}\nspec:\n  hosts: [{host}]\n  \
         http:\n  - match: [{{uri: {{prefix: {off}}}}}]\n    route: [{{destination: {{host: {host}}}}}]\n    \
         retries: {{attempts: 0}}\n  - route: [{{destination: {{host: {host}}}}}]\n"
    )
}

fn path(context: &Context, retries: bool) -> String {
    format!("/{}/b8/{}", context.nonce, if retries { "retried" } else { "once" })
}

async fn all_retried(context: &Context, callers: &[Probe]) -> Result<Evidence, Fault> {
    let pairs = callers.iter().flat_map(|caller| Role::ALL.map(|dead| (caller, dead)));
    let mut evidence = Evidence::new();
    for part in join_all(pairs.map(|(caller, dead)| retried(context, caller, dead))).await {
        evidence.extend(part?);
    }
    Ok(evidence)
}

async fn retried(context: &Context, caller: &Probe, dead: Role) -> Result<Evidence, Fault> {
    let namespace = context.sample();
    let (service, refuses, live) =
        (name(dead), &context.cluster(dead).name, context.cluster(dead.other()).name.as_str());
    let mut evidence = Evidence::new();
    // First without retries: what fails shows that the proxy knows both endpoints.
    let row = |retries: bool| {
        let wait = context.wait(format!("{} to call {service}", caller.object()), context.budgets.converge());
        async move {
            let path = path(context, retries);
            wait.until(|| async {
                rows::look(rows::row(caller, service, &path).await, |calls| {
                    if retries { otherwise(calls, &[live]) } else { unlike_off(calls, live) }
                })
            })
            .await
        }
    };
    let calls_of = format!(
        "calls of {} to Service {namespace}/{service}, whose endpoint in {refuses} refuses connections,",
        caller.object()
    );
    match row(false).await {
        Ok(calls) => {
            let field = format!("{} calls of {service} without retries, its endpoint in {refuses} refuses", calls.sent);
            let said = format!("{live} answered {}, the others failed: {}", calls.answered, calls.failure_line());
            evidence.saw(caller.object(), field, said);
        }
        Err(timeout) => {
            return Err(Finding::new(format!(
                "{calls_of} do not fail in part although VirtualService {service} of {} switches retries off: {}",
                context.primary().name,
                timeout.last()?
            ))
            .expected_got(format!("answers of {live}, and HTTP 503"), timeout.last()?)
            .hint("see another VirtualService for that host, EnvoyFilters, and the caller's endpoints by istioctl proxy-config endpoint")
            .into());
        }
    }
    match row(true).await {
        Ok(calls) => {
            let field = format!("{} calls of {service} with Istio's retries", calls.sent);
            evidence.saw(caller.object(), field, format!("{live} answered all"));
            Ok(evidence)
        }
        Err(timeout) => Err(Finding::new(format!("{calls_of} are not retried in {live}: {}", timeout.last()?))
            .expected_got(format!("all answered by {live}"), timeout.last()?)
            .hint(
                "see defaultHttpRetryPolicy of the mesh configuration, EnvoyFilters, and retryPolicy in the caller's routes: istioctl proxy-config route",
            )
            .evidence(&evidence)
            .into()),
    }
}

/// How a row without retries is otherwise than answered in part by the live cluster, and refused for the rest.
fn unlike_off(calls: &Calls, live: &str) -> Option<String> {
    let refused: u32 = calls.failures.iter().filter(|(why, _)| why.contains("503")).map(|(_, count)| count).sum();
    let answered = calls.by_cluster();
    let part = answered.get(live).copied().unwrap_or(0);
    if part > 0 && refused > 0 && part + refused == calls.sent {
        return None;
    }
    let others: Vec<String> = answered.iter().map(|(who, count)| format!("{who} answered {count}")).collect();
    let failed = calls.sent - calls.answered;
    Some(match failed {
        0 => format!("{} of {}", others.join(", "), calls.sent),
        _ if others.is_empty() => format!("{failed} of {} failed: {}", calls.sent, calls.failure_line()),
        _ => format!("{}, {failed} of {} failed: {}", others.join(", "), calls.sent, calls.failure_line()),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use harness::lab::probe::Calls;
    use rstest::rstest;

    use super::unlike_off;

    #[rstest]
    #[case::answered_and_refused(0, 11, "HTTP 503: connection refused", 9, true)]
    #[case::all_answered(0, 20, "", 0, false)]
    #[case::all_refused(0, 0, "HTTP 503: no healthy upstream", 20, false)]
    #[case::answered_where_it_is_dead(2, 9, "HTTP 503: connection refused", 9, false)]
    #[case::failed_otherwise(0, 11, "HTTP 404", 9, false)]
    fn without_retries_the_caller_sees_both(
        #[case] dead: u32,
        #[case] live: u32,
        #[case] failure: &str,
        #[case] failed: u32,
        #[case] fits: bool,
    ) {
        let by = [("cluster1/v1/a".to_string(), dead), ("cluster2/v2/b".to_string(), live)];
        let failures = [(failure.to_string(), failed)];
        let calls = Calls {
            sent: dead + live + failed,
            answered: dead + live,
            by: by.into_iter().filter(|(_, count)| *count > 0).collect(),
            failures: failures.into_iter().filter(|(_, count)| *count > 0).collect::<BTreeMap<_, _>>(),
            ..Calls::default()
        };
        assert_eq!(unlike_off(&calls, "cluster2").is_none(), fits);
    }
}
