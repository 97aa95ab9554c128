//! Rows of calls to a Service of a check's own, and whether exactly the clusters answered that should.

use std::collections::BTreeMap;

use harness::lab::probe::{Calls, Probe, ProbeError};
use harness::problem::all_of;
use harness::wait::Look;

/// Of so many calls two clusters that share them each get one, but for one row in half a million.
pub const CALLS: u32 = 20;

/// `cluster1 9 and cluster2 11`.
pub fn split(counts: &BTreeMap<String, u32>) -> String {
    all_of(&counts.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>())
}

/// How a row is otherwise than answered as a whole, some of it by each of these clusters; none where it is so.
pub fn unanswered(calls: &Calls, by: &[&str]) -> Option<String> {
    if calls.answered != calls.sent {
        return Some(format!("{} of {} are answered; {}", calls.answered, calls.sent, calls.failure_line()));
    }
    calls.silent(by).map(|silent| format!("{silent} answers none of {}", calls.sent))
}

/// What a row of calls tells a wait that wants it not to be otherwise.
pub fn look(asked: Result<Calls, ProbeError>, otherwise: impl FnOnce(&Calls) -> Option<String>) -> Look<Calls> {
    match asked {
        Ok(calls) => match otherwise(&calls) {
            None => Look::Yes(calls),
            Some(why) => not_yet(&calls, why),
        },
        Err(error) => Look::unable(error),
    }
}

/// What a row that is otherwise than it should be tells a wait: where calls were only late, nothing of the mesh.
fn not_yet<T>(calls: &Calls, why: String) -> Look<T> {
    if calls.only_late() { Look::Unable(why) } else { Look::NotYet(why) }
}

/// A Service for HTTP with this selector, such as `app: echo`; without one its endpoints are up to others.
pub fn service(name: &str, selector: Option<&str>) -> String {
    let selector = selector.map(|selector| format!("  selector: {{{selector}}}\n")).unwrap_or_default();
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec:\n{selector}  ports:\n  \
         - {{name: http, port: 8080, appProtocol: http}}\n"
    )
}

/// The name by which the mesh knows such a Service.
pub fn host(service: &str, namespace: &str) -> String {
    format!("{service}.{namespace}.svc.cluster.local")
}

/// Calls a Service one time after the other.
///
/// It is named in the header only, and the calls go to echo's address: a proxy goes by the name. So the cluster's DNS is
/// not asked, which may keep in mind for half a minute that a new name was not there.
///
/// # Errors
/// [`ProbeError`] when it could not be asked; a failed call is an answer.
pub async fn row(caller: &Probe, service: &str, path: &str) -> Result<Calls, ProbeError> {
    let namespace = &*caller.cluster.sample;
    let (url, host) =
        (format!("http://echo.{namespace}:8080{path}"), format!("host={}:8080", host(service, namespace)));
    caller.call(&[&url, "--header", &host, "--count", &CALLS.to_string()]).await
}

/// How a row is otherwise than answered as a whole, by each of these clusters and no other; none where it is so.
pub fn otherwise(calls: &Calls, by: &[&str]) -> Option<String> {
    let answers = calls.by_cluster();
    let each: Vec<String> = answers.iter().map(|(cluster, count)| format!("{cluster} answered {count}")).collect();
    if calls.answered != calls.sent {
        let rest = format!("{} of {} failed: {}", calls.sent - calls.answered, calls.sent, calls.failure_line());
        return Some(if each.is_empty() { rest } else { format!("{}, {rest}", all_of(&each)) });
    }
    let as_said = answers.len() == by.len() && by.iter().all(|cluster| answers.contains_key(*cluster));
    (!as_said).then(|| format!("{} of {}", all_of(&each), calls.sent))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use harness::lab::probe::Calls;
    use rstest::rstest;

    use super::{Look, not_yet, otherwise};

    #[rstest]
    #[case::by_both(9, 11, 0, &["cluster1", "cluster2"], None)]
    #[case::one_is_silent(20, 0, 0, &["cluster1", "cluster2"], Some("cluster1 answered 20 of 20"))]
    #[case::by_the_one(0, 20, 0, &["cluster2"], None)]
    #[case::by_the_other_too(9, 11, 0, &["cluster2"], Some("cluster1 answered 9 and cluster2 answered 11 of 20"))]
    #[case::one_failed(0, 19, 1, &["cluster2"], Some("cluster2 answered 19, 1 of 20 failed: HTTP 503 (x1)"))]
    #[case::all_failed(0, 0, 20, &["cluster2"], Some("20 of 20 failed: HTTP 503 (x20)"))]
    fn a_row_is_answered_by_those_clusters_and_no_other(
        #[case] one: u32,
        #[case] two: u32,
        #[case] failed: u32,
        #[case] by: &[&str],
        #[case] expected: Option<&str>,
    ) {
        let answers = [("cluster1/v1/a".to_string(), one), ("cluster2/v2/b".to_string(), two)];
        let calls = Calls {
            sent: one + two + failed,
            answered: one + two,
            by: answers.into_iter().filter(|(_, count)| *count > 0).collect(),
            failures: BTreeMap::from([("HTTP 503".to_string(), failed)]),
            ..Calls::default()
        };
        assert_eq!(otherwise(&calls, by).as_deref(), expected);
    }

    #[rstest]
    #[case::refused(&["HTTP 503", "timeout after 8000 ms"], Look::NotYet("why".to_string()))]
    #[case::late(&["timeout after 8000 ms"], Look::Unable("why".to_string()))]
    #[case::by_another(&[], Look::NotYet("why".to_string()))]
    fn calls_that_were_only_late_say_nothing_of_the_mesh(#[case] failures: &[&str], #[case] expected: Look<()>) {
        let failures = failures.iter().map(|failure| (failure.to_string(), 1)).collect();
        let calls = Calls { failures, ..Calls::default() };
        assert_eq!(not_yet::<()>(&calls, "why".to_string()), expected);
    }
}
