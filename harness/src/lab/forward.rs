//! A port of a pod on a local address, through the API server, for reqwest.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use tokio::io::copy_bidirectional;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::Cluster;

/// A forwarded endpoint that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("`curl {path}` at port {port} of pod {namespace}/{pod} in {cluster}: {why}")]
pub struct ForwardError {
    cluster: String,
    namespace: String,
    pod: String,
    port: u16,
    path: String,
    why: String,
}

/// Pages that were written down, by pod and path.
pub type Pages = BTreeMap<(String, String), String>;

/// A forwarded port; it ends with this value.
#[derive(Debug)]
pub struct Forward {
    cluster: String,
    namespace: String,
    pod: String,
    port: u16,
    way: Way,
}

/// How a page is got.
#[derive(Debug)]
enum Way {
    /// By this local address.
    Asked {
        base: String,
        task: JoinHandle<()>,
        http: reqwest::Client,
        /// Why the API server forwarded nothing, if it did not.
        refused: Arc<Mutex<Option<String>>>,
    },
    /// It was written down.
    Recorded(Arc<Pages>),
}

impl Drop for Forward {
    fn drop(&mut self) {
        if let Way::Asked { task, .. } = &self.way {
            task.abort();
        }
    }
}

impl Cluster {
    /// Forwards a local port to `port` of this pod.
    ///
    /// # Errors
    /// [`ForwardError`] when no local port is free; what goes wrong later shows in [`Forward::text`].
    pub async fn forward(&self, namespace: &str, pod: &str, port: u16) -> Result<Forward, ForwardError> {
        let error = |why: String| ForwardError {
            cluster: self.name.clone(),
            namespace: namespace.to_string(),
            pod: pod.to_string(),
            port,
            path: String::new(),
            why,
        };
        if let Some(pages) = &self.pages {
            let (cluster, namespace, pod) = (self.name.clone(), namespace.to_string(), pod.to_string());
            return Ok(Forward { cluster, namespace, pod, port, way: Way::Recorded(pages.clone()) });
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|source| error(source.to_string()))?;
        let address = listener.local_addr().map_err(|source| error(source.to_string()))?;
        crate::tls::provide();
        let http = reqwest::Client::builder()
            .no_proxy()
            // It speaks plain http to this very host: no certificates to read.
            .tls_certs_only([])
            .timeout(std::time::Duration::from_secs(20))
            .build()
            .map_err(|source| error(source.to_string()))?;
        let api: Api<Pod> = self.api(namespace);
        let name = pod.to_string();
        let refused: Arc<Mutex<Option<String>>> = Arc::default();
        let told = refused.clone();
        let cluster = self.clone();
        let what = format!("forward port {port} of pod {namespace}/{pod}");
        let task = tokio::spawn(async move {
            while let Ok((mut local, _)) = listener.accept().await {
                let (api, name, told) = (api.clone(), name.clone(), told.clone());
                let (cluster, what) = (cluster.clone(), what.clone());
                tokio::spawn(async move {
                    match api.portforward(&name, &[port]).await {
                        Ok(mut forwarder) => {
                            if let Some(mut remote) = forwarder.take_stream(port) {
                                let _ = copy_bidirectional(&mut local, &mut remote).await;
                            }
                        }
                        Err(error) => {
                            tracing::warn!(pod = %name, port, %error, "port-forward failed");
                            let why = crate::check::verdict::chain(&cluster.refused(what)(error));
                            *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
                        }
                    }
                });
            }
        });
        Ok(Forward {
            cluster: self.name.clone(),
            namespace: namespace.to_string(),
            pod: pod.to_string(),
            port,
            way: Way::Asked { base: format!("http://{address}"), task, http, refused },
        })
    }
}

impl Forward {
    /// GETs a path and returns the body of a 2xx answer.
    ///
    /// # Errors
    /// [`ForwardError`] with the status or what broke off.
    pub async fn text(&self, path: &str) -> Result<String, ForwardError> {
        let error = |why: String| ForwardError {
            cluster: self.cluster.clone(),
            namespace: self.namespace.clone(),
            pod: self.pod.clone(),
            port: self.port,
            path: path.to_string(),
            why,
        };
        let (base, http, refused) = match &self.way {
            Way::Asked { base, http, refused, .. } => (base, http, refused),
            Way::Recorded(pages) => {
                let page = pages.get(&(self.pod.clone(), path.to_string())).cloned();
                return page.ok_or_else(|| error("it was not written down".to_string()));
            }
        };
        // The local connection only broke off: why, is known where it was to be forwarded.
        let refusal = || refused.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let answer = http
            .get(format!("{base}{path}"))
            .send()
            .await
            .map_err(|source| error(refusal().unwrap_or_else(|| crate::check::verdict::chain(&source))))?;
        let status = answer.status();
        let body = answer.text().await.map_err(|source| error(crate::check::verdict::chain(&source)))?;
        if status.is_success() {
            Ok(body)
        } else {
            Err(error(format!("HTTP {status}: {}", body.chars().take(200).collect::<String>())))
        }
    }

    /// GETs a path that answers JSON.
    ///
    /// # Errors
    /// [`ForwardError`] also when the answer is no JSON.
    pub async fn json(&self, path: &str) -> Result<serde_json::Value, ForwardError> {
        let body = self.text(path).await?;
        serde_json::from_str(&body).map_err(|source| ForwardError {
            cluster: self.cluster.clone(),
            namespace: self.namespace.clone(),
            pod: self.pod.clone(),
            port: self.port,
            path: path.to_string(),
            why: format!("no JSON: {source}"),
        })
    }
}
