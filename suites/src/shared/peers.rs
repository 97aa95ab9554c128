//! Whether the servers of both clusters saw a caller by its identity and at its own address.

use std::collections::BTreeMap;

use harness::check::{Context, Evidence, Fault, Finding};
use harness::lab::cluster::ClusterError;
use harness::lab::probe::Probe;
use harness::role::Role;
use harness::wait::Look;

use super::access_log::{self, Entry, Way, tally};
use super::address::AddressBook;
use super::sample::identity;

/// The service account of the callers, in each cluster.
pub const CALLER: &str = "caller";

/// Reads the access logs of all pods with label `app=<app>`: each request that the caller had answered must be there, by
/// its identity and straight from its pod.
///
/// # Errors
/// [`Fault`] naming the proxy that saw somebody else, or saying which lines are not there.
pub async fn are_the_caller(
    context: &Context,
    caller: &Probe,
    app: &str,
    mark: &str,
    answered: &BTreeMap<String, u32>,
    evidence: &mut Evidence,
) -> Result<(), Fault> {
    let namespace = context.sample();
    let wait = context.wait(format!("the access logs of {app} to hold {mark}"), context.budgets.converge());
    let logs = wait
        .until(|| async {
            match servers(context, app, mark).await {
                Ok(logs) => match lacking(&logs, answered) {
                    None => Look::Yes(logs),
                    Some(why) => Look::NotYet(why),
                },
                Err(error) => Look::unable(error),
            }
        })
        .await?;
    for (server, entries) in &logs {
        let object = format!("{server} access log of the {app} proxies");
        evidence
            .saw(&object, format!("lines with path {mark}"), entries.len())
            .saw(&object, format!("peer identity of requests from {}", caller.object()), identities(entries))
            .saw(&object, format!("peer address of requests from {}", caller.object()), addresses(entries));
    }
    let identity = identity(namespace, CALLER);
    let Some((server, stranger)) = stranger(&logs, &caller.address, &identity) else { return Ok(()) };
    let proxy = format!("{server} proxy {namespace}/{}", stranger.pod);
    let finding = if stranger.identity == identity {
        let seen = AddressBook::of(context).await?.name(&stranger.peer);
        Finding::new(format!(
            "{proxy} sees requests of {} from {seen}, not from its address {}",
            caller.object(),
            caller.address
        ))
        .expected_got(caller.address.as_str(), seen)
        .hint(
            "on one network requests go straight from pod to pod; a gateway or a node between them rewrites the source",
        )
    } else {
        let seen = if stranger.identity.is_empty() { "no identity" } else { &stranger.identity };
        Finding::new(format!("{proxy} sees {seen} behind requests of {}, not {identity}", caller.object()))
            .expected_got(identity.as_str(), seen)
            .hint("without identity the request was not under mutual TLS: see PeerAuthentication, DestinationRules and the endpoint's TLS mode")
    };
    Err(finding.evidence(evidence).into())
}

/// What the servers' proxies of each cluster have logged.
async fn servers(context: &Context, app: &str, mark: &str) -> Result<BTreeMap<String, Vec<Entry>>, ClusterError> {
    let namespace = context.sample();
    let (mut logs, selector) = (BTreeMap::new(), format!("app={app}"));
    for role in Role::ALL {
        let cluster = context.cluster(role);
        logs.insert(cluster.name.clone(), access_log::requests(cluster, namespace, &selector, Way::In, mark).await?);
    }
    Ok(logs)
}

/// Which lines are not there yet, or are too many.
fn lacking(logs: &BTreeMap<String, Vec<Entry>>, answered: &BTreeMap<String, u32>) -> Option<String> {
    let wrong: Vec<String> = logs
        .iter()
        .filter_map(|(cluster, entries)| {
            let answers = answered.get(cluster).copied().unwrap_or(0) as usize;
            (entries.len() != answers).then(|| format!("{cluster} has {} lines for {answers} answers", entries.len()))
        })
        .collect();
    (!wrong.is_empty()).then(|| wrong.join(", "))
}

/// The first request that did not come by the caller's identity from the caller's address.
fn stranger<'a>(
    logs: &'a BTreeMap<String, Vec<Entry>>,
    address: &str,
    identity: &str,
) -> Option<(&'a String, &'a Entry)> {
    let all = logs.iter().flat_map(|(cluster, entries)| entries.iter().map(move |entry| (cluster, entry)));
    all.into_iter().find(|(_, entry)| entry.identity != identity || entry.peer != address)
}

fn identities(entries: &[Entry]) -> String {
    tally(entries.iter().map(|entry| entry.identity.as_str()))
}

fn addresses(entries: &[Entry]) -> String {
    tally(entries.iter().map(|entry| entry.peer.as_str()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rstest::rstest;

    use super::{Entry, lacking, stranger};

    const IDENTITY: &str = "spiffe://cluster.local/ns/meshproof-sample/sa/caller";

    fn logs(entries: &[(&str, &str)]) -> BTreeMap<String, Vec<Entry>> {
        let entry = |(peer, identity): &(&str, &str)| Entry {
            peer: peer.to_string(),
            identity: identity.to_string(),
            ..Entry::default()
        };
        BTreeMap::from([
            ("cluster1".to_string(), Vec::new()),
            ("cluster2".to_string(), entries.iter().map(entry).collect()),
        ])
    }

    #[rstest]
    #[case::all(2, None)]
    #[case::not_written_yet(3, Some("cluster2 has 2 lines for 3 answers"))]
    #[case::more_than_answers(1, Some("cluster2 has 2 lines for 1 answers"))]
    fn lines_and_answers_must_be_equal(#[case] answers: u32, #[case] expected: Option<&str>) {
        let logs = logs(&[("10.10.0.9", IDENTITY), ("10.10.0.9", IDENTITY)]);
        let answered = BTreeMap::from([("cluster2".to_string(), answers)]);
        assert_eq!(lacking(&logs, &answered).as_deref(), expected);
    }

    #[rstest]
    #[case::the_caller(&[("10.10.0.9", IDENTITY)], None)]
    #[case::plain_text(&[("10.10.0.9", IDENTITY), ("10.10.0.9", "")], Some(""))]
    #[case::another_identity(&[("10.10.0.9", "spiffe://other")], Some("spiffe://other"))]
    #[case::by_a_gateway(&[("10.10.0.10", IDENTITY)], Some(IDENTITY))]
    fn only_the_caller_itself_is_no_stranger(#[case] entries: &[(&str, &str)], #[case] expected: Option<&str>) {
        let logs = logs(entries);
        assert_eq!(stranger(&logs, "10.10.0.9", IDENTITY).map(|(_, entry)| entry.identity.as_str()), expected);
    }
}
