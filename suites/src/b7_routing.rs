//! B7: routing that is configured in the primary cluster steers the calls of both: to the endpoints of one cluster, to the
//! nearest ones, and on to the other cluster when those are gone.

use futures::future::{join_all, try_join_all};
use harness::check::case::{Case, Ground, Reads, Use, When};
use harness::check::{ByHand, Context, Evidence, Explanation, Fault, Finding, Path};
use harness::lab::Cluster;
use harness::lab::cluster::ClusterError;
use harness::lab::probe::{Calls, Probe};
use harness::problem::all_of;
use harness::role::Role;

use crate::shared::rows::{self, otherwise};
use crate::shared::sample::callers;

/// The check.
pub const CASE: Case = Case {
    id: "B7",
    slug: "routing-by-cluster",
    shows: &[Path::Requests],
    title: "Routing configured in the primary cluster steers the calls of both, to one cluster or the nearest",
    guide: "https://istio.io/latest/docs/ops/configuration/traffic-management/multicluster/",
    needs: &["D7", "D10"],
    blames: &["D11"],
    follows: &[],
    uses: &[Use::Relies(Ground::Traffic)],
    when: When::Installed,
    judge: |context| Box::pin(judge(context)),
    reads: Reads::Nothing("it makes routing rules, and calls between pods of its own"),
    explains: Explanation {
        judges: "Rules of the primary send calls to the endpoints of one cluster by a subset, to all, or to the \
                nearest by failoverPriority. Calls from both clusters follow them, and those to the nearest go on to \
                the other cluster where their own has no endpoint.",
        why: "Keeping traffic at home, draining a cluster and failing over are done by such rules. They are written \
             once, in the primary, and must steer proxies that live in the other cluster too.",
        by_hand: &[
            ByHand::new(
                "the rules; of two VirtualServices for a host the older one holds",
                "kubectl --context ${CTX_CLUSTER1} get virtualservices,destinationrules -A",
            ),
            ByHand::on_a_lab(
                "the routes of a caller, each with its VirtualService",
                "istioctl --context ${CTX_CLUSTER2} proxy-config routes deploy/caller -n meshproof-sample --name 8080",
            ),
        ],
    },
};

const NAME: &str = "meshproof-b7";
const SERVERS: &str = "app: echo";

/// No pod: the endpoints of the Service are gone.
const NOBODY: &str = "app: meshproof-b7-nobody";

/// One part of the path, and where its calls are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    /// To the subset of one cluster.
    To(Role),
    /// To no subset.
    Anywhere,
    /// To the subset that prefers endpoints of the caller's cluster.
    Near,
}

impl Route {
    const ALL: [Route; 4] = [Route::To(Role::Primary), Route::To(Role::Remote), Route::Anywhere, Route::Near];

    fn name(self) -> &'static str {
        match self {
            Route::To(Role::Primary) => "primary",
            Route::To(Role::Remote) => "remote",
            Route::Anywhere => "anywhere",
            Route::Near => "near",
        }
    }

    /// Whose endpoints answer a caller of this cluster; `gone` has none.
    fn answered_by(self, caller: Role, gone: Option<Role>) -> Vec<Role> {
        let there = |role: &Role| Some(*role) != gone;
        let mut by: Vec<Role> = match self {
            Route::To(role) => vec![role],
            Route::Anywhere => Role::ALL.to_vec(),
            Route::Near => [caller, caller.other()].into_iter().filter(there).take(1).collect(),
        };
        by.retain(there);
        by
    }

    fn says(self, context: &Context) -> String {
        match self {
            Route::To(role) => {
                format!("to the endpoints with label topology.istio.io/cluster: {}", context.cluster(role).name)
            }
            Route::Anywhere => "to all endpoints".to_string(),
            Route::Near => "to the nearest endpoints by failoverPriority [topology.istio.io/cluster]".to_string(),
        }
    }
}

async fn judge(context: &Context) -> Result<Evidence, Fault> {
    let namespace = context.sample();
    let callers = callers(context).await?;
    let config = config(context);
    let judged = made_and_steered(context, &config, &callers).await;
    let deleted = context.primary().delete(&config, namespace).await;
    let services = try_join_all(Role::ALL.map(|role| delete(context.cluster(role)))).await;
    let evidence = judged?;
    deleted?;
    services?;
    Ok(evidence)
}

async fn made_and_steered(context: &Context, config: &str, callers: &[Probe]) -> Result<Evidence, Fault> {
    let namespace = context.sample();
    // What a killed run has left is written over.
    endpoints_gone(context, None).await?;
    context.primary().apply(config, namespace).await?;
    steered(context, callers).await
}

async fn delete(cluster: &Cluster) -> Result<(), ClusterError> {
    let namespace = &*cluster.sample;
    cluster.delete(&rows::service(NAME, Some(SERVERS)), namespace).await
}

/// Has the Service select nobody in this cluster, and echo elsewhere.
async fn endpoints_gone(context: &Context, gone: Option<Role>) -> Result<(), ClusterError> {
    let namespace = context.sample();
    let applied = Role::ALL.map(|role| async move {
        let selector = if Some(role) == gone { NOBODY } else { SERVERS };
        context.cluster(role).apply(&rows::service(NAME, Some(selector)), namespace).await
    });
    try_join_all(applied).await.map(drop)
}

/// Every route in one VirtualService, so that a proxy that knows one knows all.
fn config(context: &Context) -> String {
    let host = rows::host(NAME, context.sample());
    let subset = |route: Route| match route {
        Route::To(role) => {
            format!("{{name: {}, labels: {{topology.istio.io/cluster: {}}}}}", route.name(), context.cluster(role).name)
        }
        // Without outlierDetection a proxy is told of no priorities.
        Route::Near => format!(
            "{{name: {}, trafficPolicy: {{outlierDetection: {{consecutive5xxErrors: 5}}, loadBalancer: \
             {{localityLbSetting: {{failoverPriority: [topology.istio.io/cluster]}}}}}}}}",
            route.name()
        ),
        Route::Anywhere => String::new(),
    };
    let subsets: String = Route::ALL
        .into_iter()
        .filter(|route| *route != Route::Anywhere)
        .map(|route| format!("  - {}\n", subset(route)))
        .collect();
    let routes: String = Route::ALL
        .into_iter()
        .map(|route| {
            let to = if route == Route::Anywhere { String::new() } else { format!(", subset: {}", route.name()) };
            format!(
                "  - match: [{{uri: {{prefix: {}}}}}]\n    route: [{{destination: {{host: {host}{to}}}}}]\n    \
                 retries: {{attempts: 0}}\n",
                path(context, route)
            )
        })
        .collect();
    format!(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: {NAME}}}\nspec:\n  host: {host}\n  \
         subsets:\n{subsets}---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: {NAME}}}\n\
         spec:\n  hosts: [{host}]\n  http:\n{routes}"
    )
}

fn path(context: &Context, route: Route) -> String {
    format!("/{}/b7/{}", context.nonce, route.name())
}

async fn steered(context: &Context, callers: &[Probe]) -> Result<Evidence, Fault> {
    let mut evidence = Evidence::new();
    for part in join_all(callers.iter().map(|caller| each_route(context, caller))).await {
        evidence.extend(part?);
    }
    for gone in Role::ALL {
        endpoints_gone(context, Some(gone)).await?;
        for part in join_all(callers.iter().map(|caller| holds(context, caller, Route::Near, Some(gone)))).await {
            evidence.extend(part?);
        }
    }
    Ok(evidence)
}

async fn each_route(context: &Context, caller: &Probe) -> Result<Evidence, Fault> {
    // A proxy that does not know the name yet passes calls on to where they went, an address of its own cluster. So what
    // the other cluster must answer is asked first.
    let crossing = Route::To(caller.cluster.role.other());
    let mut evidence = holds(context, caller, crossing, None).await?;
    let others = Route::ALL.into_iter().filter(|route| *route != crossing);
    for part in join_all(others.map(|route| holds(context, caller, route, None))).await {
        evidence.extend(part?);
    }
    Ok(evidence)
}

/// A row of calls by this route is answered by the clusters that it names, soon.
async fn holds(context: &Context, caller: &Probe, route: Route, gone: Option<Role>) -> Result<Evidence, Fault> {
    let namespace = context.sample();
    let by: Vec<&str> = route
        .answered_by(caller.cluster.role, gone)
        .into_iter()
        .map(|role| context.cluster(role).name.as_str())
        .collect();
    let path = path(context, route);
    let wait = context
        .wait(format!("{} to be answered by {} at {path}", caller.object(), all_of(&by)), context.budgets.converge());
    let held = wait.until(|| async { rows::look(rows::row(caller, NAME, &path).await, |calls| otherwise(calls, &by)) });
    let without = gone.map(|role| format!(", with no endpoint in {}", context.cluster(role).name)).unwrap_or_default();
    match held.await {
        Ok(Calls { sent, .. }) => {
            let mut evidence = Evidence::new();
            let field = format!("{sent} calls sent {}{without}", route.says(context));
            evidence.saw(caller.object(), field, format!("answered by {}", all_of(&by)));
            Ok(evidence)
        }
        Err(timeout) => Err(Finding::new(format!(
            "calls of {} to Service {namespace}/{NAME}, sent {} by VirtualService and DestinationRule {NAME} of {}{without}, \
             are not answered by {} alone: {}",
            caller.object(),
            route.says(context),
            context.primary().name,
            all_of(&by),
            timeout.last()?
        ))
        .expected_got(format!("answers of {}", all_of(&by)), timeout.last()?)
        .hint(format!(
            "of two VirtualServices for a host the older one holds: kubectl --context {} get virtualservices,destinationrules -A; \
             see also EnvoyFilters, and the caller's routes and endpoints by istioctl proxy-config",
            context.primary().context_word()
        ))
        .into()),
    }
}

#[cfg(test)]
mod tests {
    use harness::role::Role::{Primary, Remote};
    use rstest::rstest;

    use super::Route;

    #[rstest]
    #[case::a_subset(Route::To(Remote), None, &[Remote])]
    #[case::all(Route::Anywhere, None, &[Primary, Remote])]
    #[case::its_own_cluster(Route::Near, None, &[Primary])]
    #[case::the_other_cluster(Route::Near, Some(Primary), &[Remote])]
    #[case::its_own_without_the_other(Route::Near, Some(Remote), &[Primary])]
    fn a_caller_of_the_primary_is_answered_by(
        #[case] route: Route,
        #[case] gone: Option<harness::role::Role>,
        #[case] by: &[harness::role::Role],
    ) {
        assert_eq!(route.answered_by(Primary, gone), by);
    }
}
