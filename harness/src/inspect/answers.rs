//! A client whose answers come from a bug report: what it holds, and for all else that it does not hold it.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::{BoxFuture, FutureExt, pending, ready};
use http::{Request, Response};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tower_service::Service;

use super::bug_report::BugReport;
use crate::check::right::Call;

/// What was asked of an archive that does not hold it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct NotHeld(String);

/// A client that is answered by this report.
pub fn client(report: Arc<BugReport>) -> Client {
    Client::new(Answers { report }, "default")
}

struct Answers {
    report: Arc<BugReport>,
}

impl Service<Request<Body>> for Answers {
    type Response = Response<Body>;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let call = Call::of(request.method(), request.uri());
        match call {
            // Nothing of it will ever change.
            Some(call) if call.verb == "watch" => pending().boxed(),
            Some(call) => ready(answer(&self.report, &call, &request)).boxed(),
            None => ready(Err(NotHeld(format!("a bug report answers no {}", request.uri().path())).into())).boxed(),
        }
    }
}

type Answer = Result<Response<Body>, Box<dyn std::error::Error + Send + Sync>>;

fn answer(report: &BugReport, call: &Call, request: &Request<Body>) -> Answer {
    let namespace = call.namespace.as_deref();
    if call.resource == "pods/log" {
        let (namespace, pod) = (namespace.unwrap_or_default(), call.name.as_deref().unwrap_or_default());
        let log = report.logs.get(&(namespace.to_string(), pod.to_string()));
        let log = log.ok_or_else(|| NotHeld(format!("this bug report has no log of pod {namespace}/{pod}")))?;
        return Ok(Response::new(Body::from(log.clone().into_bytes())));
    }
    let api = api(request.uri().path());
    let held = report.held(&api, &call.resource, namespace).map_err(NotHeld)?;
    let named = |object: &&&Value| call.name.as_deref().is_none_or(|name| object["metadata"]["name"] == name);
    let found: Vec<&Value> = held.iter().filter(named).copied().collect();
    if call.verb == "get" {
        return match found.first() {
            Some(object) => said(200, object),
            None => said(404, &absent(call)),
        };
    }
    let wanted = selector(request.uri().query().unwrap_or_default())?;
    let items: Vec<&Value> = found.into_iter().filter(|object| matches(object, &wanted)).collect();
    said(200, &json!({"apiVersion": api, "kind": "List", "metadata": {"resourceVersion": "1"}, "items": items}))
}

fn said(status: u16, value: &Value) -> Answer {
    let body = Body::from(serde_json::to_vec(value)?);
    Ok(Response::builder().status(status).header("content-type", "application/json").body(body)?)
}

/// As an API server says that an object is not there.
fn absent(call: &Call) -> Value {
    let name = call.name.as_deref().unwrap_or_default();
    json!({
        "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure", "reason": "NotFound", "code": 404,
        "message": format!("{} \"{name}\" not found", call.resource),
    })
}

/// `apps/v1` in `/apis/apps/v1/deployments`, `v1` in `/api/v1/pods`.
fn api(path: &str) -> String {
    let words: Vec<&str> = path.split('/').filter(|word| !word.is_empty()).collect();
    match words.as_slice() {
        ["apis", group, version, ..] => format!("{group}/{version}"),
        [_, version, ..] => version.to_string(),
        _ => String::new(),
    }
}

/// Labels that are wanted: each with its value, or none where any will do.
type Wanted = Vec<(String, Option<String>)>;

/// The label selector of a request, of the forms that reading uses.
fn selector(query: &str) -> Result<Wanted, NotHeld> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let Some((_, written)) = pairs.clone().find(|(name, _)| *name == "labelSelector") else { return Ok(Vec::new()) };
    let written = written.replace("%3D", "=").replace("%2C", ",").replace("%2F", "/").replace('+', " ");
    if written.contains(['!', '(', '%', ' ']) {
        return Err(NotHeld(format!("of a bug report nothing is asked by `{written}`; this is a defect of meshproof")));
    }
    let one = |word: &str| match word.split_once('=') {
        Some((label, value)) => (label.to_string(), Some(value.trim_start_matches('=').to_string())),
        None => (word.to_string(), None),
    };
    Ok(written.split(',').filter(|word| !word.is_empty()).map(one).collect())
}

fn matches(object: &Value, wanted: &Wanted) -> bool {
    let labels = &object["metadata"]["labels"];
    wanted.iter().all(|(label, value)| match (labels[label].as_str(), value) {
        (Some(there), Some(value)) => there == value,
        (there, None) => there.is_some(),
        (None, Some(_)) => false,
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::{api, matches, selector};

    #[rstest]
    #[case("labelSelector=app%3Distiod", true)]
    #[case("limit=5&labelSelector=app%3Distiod%2Cistio.io%2Frev%3Ddefault", true)]
    #[case("labelSelector=app%3Dother", false)]
    #[case("labelSelector=istio.io%2Frev", true)]
    #[case("labelSelector=missing", false)]
    #[case("limit=5", true)]
    fn objects_are_chosen_by_their_labels(#[case] query: &str, #[case] chosen: bool) {
        let object = json!({"metadata": {"labels": {"app": "istiod", "istio.io/rev": "default"}}});
        assert_eq!(matches(&object, &selector(query).expect("a selector")), chosen);
    }

    #[test]
    fn a_selector_that_is_not_understood_is_no_empty_answer() {
        assert!(selector("labelSelector=app+in+%28a%29").is_err());
    }

    #[rstest]
    #[case("/api/v1/namespaces/a/pods", "v1")]
    #[case("/apis/discovery.k8s.io/v1/namespaces/a/endpointslices", "discovery.k8s.io/v1")]
    fn a_path_names_the_api(#[case] path: &str, #[case] told: &str) {
        assert_eq!(api(path), told);
    }
}
