//! B6: every protocol is answered from each cluster to each cluster, and the servers' proxies see the caller: its pod's
//! address, its identity, and the version of HTTP that was spoken.

use std::collections::BTreeMap;

use futures::future::{join_all, try_join_all};
use harness::check::case::{Case, Ground, Reads, Use, When};
use harness::check::{ByHand, Context, Evidence, Explanation, Fault, Finding, Path};
use harness::lab::cluster::ClusterError;
use harness::lab::probe::{Calls, Probe};
use harness::problem::all_of;
use harness::role::Role;
use harness::wait::Look;

use crate::shared::access_log::{self, Entry};
use crate::shared::peers::CALLER;
use crate::shared::rows::{self, CALLS, otherwise, split};
use crate::shared::sample::{callers, identity};

/// The check.
pub const CASE: Case = Case {
    id: "B6",
    slug: "traffic-matrix",
    shows: &[Path::Requests],
    title: "Every protocol is answered from each cluster to each cluster, under the caller's identity",
    guide: "https://istio.io/latest/docs/ops/configuration/traffic-management/protocol-selection/",
    needs: &["D7", "D10"],
    blames: &["D11"],
    follows: &[],
    uses: &[Use::Relies(Ground::Traffic)],
    when: When::Installed,
    judge: |context| Box::pin(judge(context)),
    reads: Reads::Nothing("it makes calls between pods of its own"),
    explains: Explanation {
        judges: "HTTP/1.1, HTTP/2, gRPC, TCP and WebSocket, and bodies of 256 KiB by both kinds of HTTP, are called \
                by the caller on each node. All calls are answered, by both clusters, and the servers' proxies log \
                the caller's own address, its identity and the protocol.",
        why: "Each protocol takes other filters on its way. A mesh that serves HTTP/1.1 can still refuse WebSockets \
             or large bodies, and in one cluster only.",
        by_hand: &[
            ByHand::on_a_lab(
                "answers by both clusters, by gRPC",
                "kubectl --context ${CTX_CLUSTER1} -n meshproof-sample exec deploy/caller -c caller -- /workload call second-echo.meshproof-sample:8081 --protocol grpc --count 20",
            ),
            ByHand::on_a_lab(
                "by TCP",
                "kubectl --context ${CTX_CLUSTER1} -n meshproof-sample exec deploy/caller -c caller -- /workload call second-echo.meshproof-sample:9000 --protocol tcp --count 20 --fresh-connection",
            ),
            ByHand::on_a_lab(
                "by WebSocket",
                "kubectl --context ${CTX_CLUSTER1} -n meshproof-sample exec deploy/caller -c caller -- /workload call http://second-echo.meshproof-sample:8080 --protocol ws --count 20 --fresh-connection",
            ),
            ByHand::on_a_lab(
                "peer, peer_identity and protocol of each call",
                "kubectl --context ${CTX_CLUSTER2} -n meshproof-sample logs -l app=echo -c istio-proxy --tail 5",
            ),
            ByHand::new(
                "policies and filters that could refuse one of them",
                "kubectl --context ${CTX_CLUSTER1} get authorizationpolicies,envoyfilters -A",
            ),
        ],
    },
};

/// echo by another name, so that these calls do not skew the counts of D11.
const SERVICE: &str = "second-echo";

/// One way to call.
struct Protocol {
    name: &'static str,
    /// The word of the workload program for it.
    word: &'static str,
    port: u16,
    /// Where in the URL the mark of a row stands; without it the log lines of a row can only be told by their time.
    marked: Option<&'static str>,
    body_kib: u32,
    /// What the server's proxy is asked by; empty for what it does not look into.
    spoken: &'static str,
}

/// A body of more than the 64 KiB that HTTP/2 lets a sender begin with.
const LARGE: u32 = 256;

/// Each is called from each cluster, so often that both clusters answer.
const PROTOCOLS: [Protocol; 7] = [
    Protocol { name: "HTTP/1.1", word: "http1", port: 8080, marked: Some("/"), body_kib: 0, spoken: "HTTP/1.1" },
    Protocol { name: "HTTP/2", word: "http2", port: 8080, marked: Some("/"), body_kib: 0, spoken: "HTTP/2" },
    Protocol { name: "gRPC", word: "grpc", port: 8081, marked: None, body_kib: 0, spoken: "HTTP/2" },
    Protocol { name: "TCP", word: "tcp", port: 9000, marked: None, body_kib: 0, spoken: "" },
    Protocol { name: "WebSocket", word: "ws", port: 8080, marked: Some("/ws?"), body_kib: 0, spoken: "HTTP/1.1" },
    Protocol {
        name: "large HTTP/1.1",
        word: "http1",
        port: 8080,
        marked: Some("/"),
        body_kib: LARGE,
        spoken: "HTTP/1.1",
    },
    Protocol { name: "large HTTP/2", word: "http2", port: 8080, marked: Some("/"), body_kib: LARGE, spoken: "HTTP/2" },
];

/// A row of calls that was answered by both clusters.
struct Row<'a> {
    caller: &'a Probe,
    protocol: &'static Protocol,
    mark: String,
    answers: BTreeMap<String, u32>,
}

/// What came in at the servers' proxies, by cluster.
type Logs = BTreeMap<String, Vec<Entry>>;

async fn judge(context: &Context) -> Result<Evidence, Fault> {
    let namespace = context.sample();
    let callers = callers(context).await?;
    let newest = Role::ALL.map(|role| access_log::newest(context.cluster(role), namespace, "app=echo"));
    let before: BTreeMap<_, _> = try_join_all(newest).await?.into_iter().flatten().collect();
    let cells: Vec<(&Probe, &Protocol)> =
        callers.iter().flat_map(|caller| PROTOCOLS.iter().map(move |protocol| (caller, protocol))).collect();
    let rows = join_all(cells.iter().map(|(caller, protocol)| row(context, caller, protocol))).await;
    let rows = all_answered(&cells, rows)?;
    let wait = context.wait("the access logs of echo to hold every call", context.budgets.converge());
    let logs = wait
        .until(|| async {
            let logs = Role::ALL.map(|role| came_in(context, role, &before));
            match try_join_all(logs).await {
                Ok(logs) => {
                    let logs = Logs::from_iter(logs);
                    match rows.iter().find_map(|row| lacking(row, &logs)) {
                        None => Look::Yes(logs),
                        Some(why) => Look::NotYet(why),
                    }
                }
                Err(error) => Look::unable(error),
            }
        })
        .await?;
    let mut evidence = Evidence::new();
    for row in &rows {
        seen_by_servers(row, &logs, &mut evidence)?;
    }
    Ok(evidence)
}

/// The rows, if all were answered; else the first fault, with what came of each row as its evidence.
fn all_answered<'a>(cells: &[(&Probe, &Protocol)], rows: Vec<Result<Row<'a>, Fault>>) -> Result<Vec<Row<'a>>, Fault> {
    let mut table = Evidence::new();
    for ((caller, protocol), row) in cells.iter().zip(&rows) {
        let said = match row {
            Ok(row) => split(&row.answers),
            Err(Fault::Refuted(finding)) => finding.got.clone(),
            Err(Fault::Unknown(why) | Fault::NotAsked(why)) => why.clone(),
        };
        table.saw(caller.object(), format!("{} from {}, answers", protocol.name, caller.cluster.name), said);
    }
    rows.into_iter().collect::<Result<_, _>>().map_err(|fault| match fault {
        Fault::Refuted(finding) => finding.evidence(&table).into(),
        unknown => unknown,
    })
}

async fn came_in(
    context: &Context,
    role: Role,
    before: &BTreeMap<String, k8s_openapi::jiff::Timestamp>,
) -> Result<(String, Vec<Entry>), ClusterError> {
    let namespace = context.sample();
    let cluster = context.cluster(role);
    Ok((cluster.name.clone(), access_log::came_in_after(cluster, namespace, "app=echo", before).await?))
}

/// Calls by one protocol until a row of them is answered as a whole, and by both clusters.
async fn row<'a>(context: &Context, caller: &'a Probe, protocol: &'static Protocol) -> Result<Row<'a>, Fault> {
    let namespace = context.sample();
    let clusters = Role::ALL.map(|role| context.cluster(role).name.as_str());
    let what = format!("{} calls of {} to be answered by both clusters", protocol.name, caller.object());
    let wait = context.wait(what, context.budgets.converge());
    let Protocol { name, word, port, body_kib, .. } = protocol;
    let mut attempt = 0;
    let answered = wait.until(|| {
        attempt += 1;
        let mark = format!("{}/b6/{}/{word}-{body_kib}/{attempt}/", context.nonce, caller.pod);
        async move {
            let place = protocol.marked.map(|before| format!("{before}{mark}")).unwrap_or_default();
            let url = format!("http://{SERVICE}.{namespace}:{port}{place}");
            let (count, body) = (CALLS.to_string(), body_kib.to_string());
            let call = [url.as_str(), "--protocol", word, "--count", &count, "--body-kib", &body, "--fresh-connection"];
            let said = |calls: &Calls, why| format!("not answered by {}: {why}", silent(calls, &clusters));
            rows::look(caller.call(&call).await, |calls| Some(said(calls, otherwise(calls, &clusters)?)))
                .map(|calls| Row { caller, protocol, mark, answers: calls.by_cluster() })
        }
    });
    match answered.await {
        Ok(row) => Ok(row),
        Err(timeout) => Err(Finding::new(format!(
            "{name} calls from {} to Service {namespace}/{SERVICE} are {}",
            caller.cluster.name,
            timeout.last()?
        ))
        .expected_got(format!("{CALLS} answers, by {}", all_of(&clusters)), timeout.last()?)
        .hint("see what the proxies of echo let through in that cluster: AuthorizationPolicies, EnvoyFilters, and the port's appProtocol in the Services of both clusters")
        .into()),
    }
}

/// The clusters that answered none of a row; all of them where each answered some, and some calls failed.
fn silent(calls: &Calls, clusters: &[&str]) -> String {
    let by = calls.by_cluster();
    let silent: Vec<&str> = clusters.iter().copied().filter(|cluster| !by.contains_key(*cluster)).collect();
    all_of(if silent.is_empty() { clusters } else { &silent })
}

/// The lines of a row in one cluster.
fn lines<'a>(row: &Row, logs: &'a Logs, cluster: &str) -> Vec<&'a Entry> {
    let ours = |entry: &&Entry| match row.protocol.marked {
        Some(_) => entry.path.contains(&row.mark),
        // B9 calls the same pods by TCP at the same time, in the name of another Service.
        None => {
            entry.port == row.protocol.port
                && entry.peer == row.caller.address
                && entry.server_name.contains(&format!(".{SERVICE}."))
        }
    };
    logs.get(cluster).into_iter().flatten().filter(ours).collect()
}

/// What the logs do not hold yet of a row.
fn lacking(row: &Row, logs: &Logs) -> Option<String> {
    row.answers.iter().find_map(|(cluster, answers)| {
        let lines = lines(row, logs, cluster).len();
        // Where lines are told by their time, those of an earlier attempt are among them.
        let there = if row.protocol.marked.is_some() { lines == *answers as usize } else { lines >= *answers as usize };
        let (name, caller) = (row.protocol.name, row.caller.object());
        (!there).then(|| format!("{cluster} has {lines} lines for {answers} answers to {name} calls of {caller}"))
    })
}

/// Every call of a row came to the servers' proxies from the caller's pod, under its identity, by its protocol.
fn seen_by_servers(row: &Row, logs: &Logs, evidence: &mut Evidence) -> Result<(), Fault> {
    let (name, caller) = (row.protocol.name, row.caller.object());
    let namespace = &*row.caller.cluster.sample;
    let identity = identity(namespace, CALLER);
    for (cluster, answers) in &row.answers {
        for entry in lines(row, logs, cluster) {
            if let Some((expected, got)) = stranger(entry, &identity, &row.caller.address, row.protocol.spoken) {
                let proxy = format!("{cluster} proxy {namespace}/{}", entry.pod);
                return Err(Finding::new(format!("{proxy} sees {got} behind {name} calls of {caller}, not {expected}"))
                    .expected_got(expected, got)
                    .hint("on one network calls go straight from pod to pod, under mutual TLS: see PeerAuthentication, DestinationRules and the endpoint's TLS mode")
                    .evidence(evidence)
                    .into());
            }
        }
        let spoken = if row.protocol.spoken.is_empty() { "TCP" } else { row.protocol.spoken };
        let seen = format!("{answers} answers; the proxies there saw {identity} at {} by {spoken}", row.caller.address);
        evidence.saw(&caller, format!("{name} from {} to {cluster}", row.caller.cluster.name), seen);
    }
    Ok(())
}

/// What is otherwise in a line than the call of this caller should leave: expected and got.
fn stranger(entry: &Entry, identity: &str, address: &str, spoken: &str) -> Option<(String, String)> {
    let seen = [
        (identity, &entry.identity, "no identity"),
        (address, &entry.peer, "no address"),
        (spoken, &entry.protocol, "no HTTP"),
    ];
    let (expected, got, none) = seen.into_iter().find(|(expected, got, _)| expected != got)?;
    Some((expected.to_string(), if got.is_empty() { none.to_string() } else { got.clone() }))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use harness::lab::probe::Calls;
    use rstest::rstest;

    use super::{Entry, PROTOCOLS, silent, stranger};

    const IDENTITY: &str = "spiffe://cluster.local/ns/meshproof-sample/sa/caller";

    #[rstest]
    #[case::one(&["cluster1/v1/a"], "cluster2")]
    #[case::all(&[], "cluster1 and cluster2")]
    #[case::some_calls_to_both(&["cluster1/v1/a", "cluster2/v2/b"], "cluster1 and cluster2")]
    fn the_cause_names_who_did_not_answer(#[case] by: &[&str], #[case] expected: &str) {
        let calls = Calls { by: by.iter().map(|who| (who.to_string(), 9)).collect(), ..Calls::default() };
        assert_eq!(silent(&calls, &["cluster1", "cluster2"]), expected);
    }

    #[rstest]
    #[case::the_caller(IDENTITY, "10.10.0.9", "HTTP/2", None)]
    #[case::plain_text("", "10.10.0.9", "HTTP/2", Some("no identity"))]
    #[case::another("spiffe://other", "10.10.0.9", "HTTP/2", Some("spiffe://other"))]
    #[case::through_a_node(IDENTITY, "172.30.0.3", "HTTP/2", Some("172.30.0.3"))]
    #[case::downgraded(IDENTITY, "10.10.0.9", "HTTP/1.1", Some("HTTP/1.1"))]
    fn only_the_caller_itself_is_no_stranger(
        #[case] identity: &str,
        #[case] peer: &str,
        #[case] protocol: &str,
        #[case] got: Option<&str>,
    ) {
        let entry = Entry {
            protocol: protocol.to_string(),
            peer: peer.to_string(),
            identity: identity.to_string(),
            ..Entry::default()
        };
        assert_eq!(stranger(&entry, IDENTITY, "10.10.0.9", "HTTP/2").map(|(_, got)| got).as_deref(), got);
    }

    #[test]
    fn no_two_rows_share_a_mark() {
        let marks: BTreeMap<_, _> = PROTOCOLS.iter().map(|one| ((one.word, one.body_kib), one.name)).collect();
        assert_eq!(marks.len(), PROTOCOLS.len());
    }
}
