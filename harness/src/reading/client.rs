//! A client that sends nothing but what a table of rights allows, and so nothing that writes.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::{BoxFuture, FutureExt, ready};
use http::{Request, Response};
use kube::Client;
use kube::client::Body;
use tower_service::Service;

use crate::check::right::{Call, Right};

/// A call that was not sent.
#[derive(Debug, thiserror::Error)]
#[error("meshproof did not send {what}, for its table of rights has no such right; this is a defect of meshproof")]
pub struct NotSent {
    what: String,
}

/// The same client, for calls that these rights allow where Istio is in this namespace.
pub fn limited(client: Client, rights: impl Iterator<Item = Right>, istio_namespace: &str) -> Client {
    let namespace = client.default_namespace().to_string();
    Client::new(Limited { client, rights: rights.collect(), istio_namespace: istio_namespace.into() }, namespace)
}

struct Limited {
    client: Client,
    rights: Arc<[Right]>,
    istio_namespace: Arc<str>,
}

impl Limited {
    fn permit(&self, request: &Request<Body>) -> Result<(), NotSent> {
        let (method, uri) = (request.method(), request.uri());
        // Everybody may ask an API server for its version.
        if method == http::Method::GET && uri.path() == "/version" {
            return Ok(());
        }
        let call = Call::of(method, uri);
        let allows = |call: &Call| self.rights.iter().any(|right| right.allows(call, &self.istio_namespace));
        match call {
            Some(call) if allows(&call) => Ok(()),
            Some(call) => Err(NotSent { what: call.to_string() }),
            None => Err(NotSent { what: format!("{method} {}", uri.path()) }),
        }
    }
}

impl Service<Request<Body>> for Limited {
    type Response = Response<Body>;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        // The client that it goes to has its own queue.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if let Err(refused) = self.permit(&request) {
            return ready(Err(refused.into())).boxed();
        }
        let client = self.client.clone();
        async move { Ok(client.send(request).await?) }.boxed()
    }
}

#[cfg(test)]
mod tests {
    use http::{Method, Request};
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::api::{Api, DeleteParams, Patch, PatchParams};
    use kube::client::Body;
    use kube::{Client, Config};
    use rstest::rstest;
    use serde_json::json;

    use super::limited;
    use crate::check::right::{Place, Right};
    use crate::role::Role;

    /// A client of an address at which nobody listens.
    fn client() -> Client {
        crate::tls::provide();
        let nobody = limited_config();
        let rights = [Right::new(Role::Remote, Place::Istio, "", "configmaps", &["get", "list"])];
        limited(Client::try_from(nobody).expect("a client"), rights.into_iter(), "istio-system")
    }

    fn limited_config() -> Config {
        Config::new("http://127.0.0.1:9".parse().expect("an address"))
    }

    fn was_sent(error: &kube::Error) -> bool {
        !crate::check::verdict::chain(error).contains("meshproof did not send")
    }

    #[tokio::test]
    async fn nothing_that_writes_is_sent() {
        let maps: Api<ConfigMap> = Api::namespaced(client(), "istio-system");
        let patch = Patch::Merge(json!({"data": {"a": "b"}}));
        let map = ConfigMap::default();
        let tried = [
            maps.create(&Default::default(), &map).await.err(),
            maps.patch("a", &PatchParams::default(), &patch).await.err(),
            maps.delete("a", &DeleteParams::default()).await.err(),
        ];
        for error in tried {
            assert!(!was_sent(&error.expect("nobody answers")));
        }
    }

    #[rstest]
    #[case::in_the_table("/api/v1/namespaces/istio-system/configmaps/a", true)]
    #[case::in_another_namespace("/api/v1/namespaces/a/configmaps/a", false)]
    #[case::another_resource("/api/v1/namespaces/istio-system/secrets/a", false)]
    #[case::the_version("/version", true)]
    #[tokio::test]
    async fn only_what_the_table_allows_is_sent(#[case] path: &str, #[case] sent: bool) {
        let request = Request::builder().method(Method::GET).uri(path).body(Body::empty()).expect("a request");
        let error = client().send(request).await.expect_err("nobody answers");
        assert_eq!(was_sent(&error), sent, "{error}");
    }
}
