//! B2: with STRICT mutual TLS no workload of either cluster answers in plain text, and the mesh goes on across clusters.

use harness::check::case::{Case, Ground, Reads, Use, When};
use harness::check::{ByHand, Context, Evidence, Explanation, Fault, Finding, Path};
use harness::lab::probe::Probe;
use harness::role::Role;
use harness::wait::Look;

use crate::shared::rows::{self, split, unanswered};
use crate::shared::sample::callers;

/// The check.
pub const CASE: Case = Case {
    id: "B2",
    slug: "strict-mutual-tls",
    shows: &[Path::Requests],
    title: "With STRICT mutual TLS plain text is refused in both clusters, and the mesh is not",
    guide: "https://istio.io/latest/docs/tasks/security/authentication/authn-policy/",
    needs: &["D7", "D10"],
    blames: &["D11"],
    follows: &[],
    uses: &[Use::Changes(Ground::Traffic)],
    when: When::Installed,
    judge: |context| Box::pin(judge(context)),
    reads: Reads::Nothing("it makes a PeerAuthentication, and calls between pods of its own"),
    explains: Explanation {
        judges: "Pods of echo answer plain text from outside the mesh. Under PeerAuthentication STRICT of the \
                primary they refuse it in both clusters, while callers inside the mesh are answered by both; once it \
                is gone, plain text is answered again.",
        why: "STRICT is how a mesh is closed. If it held in one cluster alone, whoever reaches the other could call \
             its workloads without a certificate; if it cut the clusters from each other, nobody could switch it on.",
        by_hand: &[
            ByHand::new("what holds, and where", "kubectl --context ${CTX_CLUSTER1} get peerauthentications -A"),
            ByHand::new(
                "no rule that switches TLS off",
                "kubectl --context ${CTX_CLUSTER1} get destinationrules -A -o yaml",
            ),
            ByHand::on_a_lab(
                "an answer without STRICT, none with it",
                "kubectl --context ${CTX_CLUSTER1} -n meshproof-probe exec ds/probe -- /workload get http://$(kubectl --context ${CTX_CLUSTER2} -n meshproof-sample get pods -l app=echo -o jsonpath='{.items[0].status.podIP}'):8080/",
            ),
        ],
    },
};

const NAME: &str = "meshproof-b2";
const POLICY: &str = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: meshproof-b2}\n\
                      spec: {mtls: {mode: STRICT}}\n";
const CALLS: u32 = 10;

async fn judge(context: &Context) -> Result<Evidence, Fault> {
    let namespace = context.sample();
    let primary = context.primary();
    let mut evidence = Evidence::new();
    // Each server is asked from the other cluster: what is refused there crossed.
    let mut pairs = Vec::new();
    for role in Role::ALL {
        let outside = Probe::outside(context.cluster(role.other()), &context.budgets).await?;
        for server in Probe::find(context.cluster(role), namespace, "echo", &context.budgets).await? {
            pairs.push((outside.clone(), server));
        }
    }
    // An earlier run may have been killed in between.
    primary.delete(POLICY, namespace).await?;
    for (outside, server) in &pairs {
        becomes(context, outside, server, true, &mut evidence).await?;
    }
    primary.apply(POLICY, namespace).await?;
    let judged = refused(context, &pairs, &mut evidence).await;
    let deleted = primary.delete(POLICY, namespace).await;
    judged?;
    deleted?;
    for (outside, server) in &pairs {
        becomes(context, outside, server, true, &mut evidence).await?;
    }
    Ok(evidence)
}

async fn refused(context: &Context, pairs: &[(Probe, Probe)], evidence: &mut Evidence) -> Result<(), Fault> {
    for (outside, server) in pairs {
        becomes(context, outside, server, false, evidence).await?;
    }
    for caller in callers(context).await? {
        goes_on(context, &caller, evidence).await?;
    }
    Ok(())
}

/// Waits until calls in plain text from outside the mesh are answered, or refused; before anything is refused they must
/// have been answered, or a dead server would look like a strict one.
async fn becomes(
    context: &Context,
    outside: &Probe,
    server: &Probe,
    answered: bool,
    evidence: &mut Evidence,
) -> Result<(), Fault> {
    let namespace = context.sample();
    let url = format!("http://{}:8080/{}/b2/plain", server.address, context.nonce);
    let what = if answered { "answered" } else { "refused" };
    let wait = context.wait(format!("plain text to {} to be {what}", server.object()), context.budgets.converge());
    let seen = wait.until(|| async {
        match outside.call(&[&url, "--count", "3", "--fresh-connection"]).await {
            // One that hangs is neither.
            Ok(calls) if calls.only_late() => Look::Unable(calls.failure_line()),
            Ok(calls) if answered && calls.answered == calls.sent => Look::Yes("answered".to_string()),
            Ok(calls) if !answered && calls.answered == 0 => Look::Yes(calls.failure_line()),
            Ok(calls) if answered => Look::NotYet(calls.failure_line()),
            Ok(calls) => Look::NotYet(format!("{} of {} are answered", calls.answered, calls.sent)),
            Err(error) => Look::unable(error),
        }
    });
    match (seen.await, answered) {
        (Ok(said), _) => {
            let mode = if answered { "PERMISSIVE" } else { "STRICT" };
            evidence.saw(server.object(), format!("plain text from {}, {mode}", outside.object()), said);
            Ok(())
        }
        // The control: without it nothing can be said of the rest.
        (Err(timeout), true) => {
            Err(Fault::unknown(format!("plain text to {} is not answered even without STRICT: {}", server.object(), timeout.last()?)))
        }
        (Err(timeout), false) => Err(Finding::new(format!(
            "{} answers plain text from {} although PeerAuthentication {namespace}/{NAME} of {} is STRICT",
            server.object(),
            outside.object(),
            context.primary().name
        ))
        .expected_got("every call refused", timeout.last()?)
        .hint("see for another PeerAuthentication that names these workloads, and whether istiod's configuration reaches their proxies: istioctl proxy-status")
        .evidence(evidence)
        .into()),
    }
}

/// Calls inside the mesh are answered by both clusters all the same.
async fn goes_on(context: &Context, caller: &Probe, evidence: &mut Evidence) -> Result<(), Fault> {
    let namespace = context.sample();
    let url = format!("http://echo.{namespace}:8080/{}/b2/mesh", context.nonce);
    let clusters = Role::ALL.map(|role| context.cluster(role).name.as_str());
    let wait = context.wait(format!("{} to be answered by both clusters", caller.object()), context.budgets.converge());
    let seen = wait.until(|| async {
        rows::look(caller.call(&[&url, "--count", &CALLS.to_string()]).await, |calls| unanswered(calls, &clusters))
    });
    match seen.await {
        Ok(calls) => {
            evidence.saw(
                caller.object(),
                format!("{} calls of echo under STRICT", calls.sent),
                split(&calls.by_cluster()),
            );
            Ok(())
        }
        Err(timeout) => Err(Finding::new(format!(
            "{} is not answered by both clusters under STRICT mutual TLS: {}",
            caller.object(),
            timeout.last()?
        ))
        .expected_got("answers of both clusters", timeout.last()?)
        .hint("see DestinationRules that switch TLS off, and the roots of both clusters' workloads")
        .evidence(evidence)
        .into()),
    }
}
