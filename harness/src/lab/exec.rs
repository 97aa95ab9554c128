//! Commands inside pods, through the API server.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::AttachParams;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Cluster;

/// A command in a pod that could not run, failed, or did not answer as it should.
#[derive(Debug, thiserror::Error)]
#[error("`kubectl --context {context} exec -n {namespace} {pod} -c {container} -- {command}`: {why}")]
pub struct ExecError {
    context: String,
    namespace: String,
    pod: String,
    container: String,
    command: String,
    why: String,
}

/// A container of a pod.
#[derive(Debug, Clone, Copy)]
pub struct In<'a> {
    /// Namespace of the pod.
    pub namespace: &'a str,
    /// Name of the pod.
    pub pod: &'a str,
    /// Name of the container.
    pub container: &'a str,
}

impl Cluster {
    /// Runs a command in a pod, feeds it `input` and returns its standard output.
    ///
    /// # Errors
    /// [`ExecError`] when it cannot run, ends with an error or takes longer than `limit`.
    pub async fn exec(
        &self,
        place: In<'_>,
        command: &[String],
        input: Option<&str>,
        limit: Duration,
    ) -> Result<String, ExecError> {
        let error = |why: String| ExecError {
            context: self.context.clone(),
            namespace: place.namespace.to_string(),
            pod: place.pod.to_string(),
            container: place.container.to_string(),
            // Long arguments are certificates: they help nobody in an error.
            command: command.iter().map(|word| shortened(word)).collect::<Vec<_>>().join(" "),
            why,
        };
        let run = async {
            let params =
                AttachParams::default().container(place.container).stdin(input.is_some()).stdout(true).stderr(true);
            let api = self.api::<Pod>(place.namespace);
            let mut process =
                api.exec(place.pod, command, &params).await.map_err(|source| error(source.to_string()))?;
            let status = process.take_status();
            let (stdin, stdout, stderr) = (process.stdin(), process.stdout(), process.stderr());
            let feed = async move {
                if let (Some(mut stdin), Some(input)) = (stdin, input) {
                    // A command that ends before it has read everything says why by its exit code.
                    let _ = stdin.write_all(input.as_bytes()).await;
                    let _ = stdin.shutdown().await;
                }
            };
            let ((), out, err) = tokio::join!(feed, read(stdout), read(stderr));
            let status = match status {
                Some(status) => status.await,
                None => None,
            };
            match status {
                Some(status) if status.status.as_deref() == Some("Success") => Ok(out),
                Some(status) => Err(error(format!("{}; {}", status.message.unwrap_or_default(), err.trim()))),
                None => Err(error("the connection ended without an exit status".to_string())),
            }
        };
        match tokio::time::timeout(limit, run).await {
            Ok(result) => result,
            Err(_) => Err(error(format!("did not end within {} s", limit.as_secs()))),
        }
    }

    /// As [`Cluster::exec`], for a command that prints one JSON document.
    ///
    /// # Errors
    /// [`ExecError`] also when that document is of another shape.
    pub async fn exec_json<T: DeserializeOwned>(
        &self,
        place: In<'_>,
        command: &[String],
        input: Option<&str>,
        limit: Duration,
    ) -> Result<T, ExecError> {
        let text = self.exec(place, command, input, limit).await?;
        serde_json::from_str(&text).map_err(|source| ExecError {
            context: self.context.clone(),
            namespace: place.namespace.to_string(),
            pod: place.pod.to_string(),
            container: place.container.to_string(),
            command: command.iter().map(|word| shortened(word)).collect::<Vec<_>>().join(" "),
            why: format!("printed something else than expected: {source}; {}", shortened(&text)),
        })
    }
}

async fn read(from: Option<impl tokio::io::AsyncRead + Unpin>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut from) = from {
        let _ = from.read_to_end(&mut bytes).await;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A word as an error shows it: what is long or has several lines, such as a certificate, is cut after its beginning.
fn shortened(word: &str) -> String {
    let first = word.lines().next().unwrap_or_default();
    if word.len() <= 200 && first.len() == word.len() {
        word.to_string()
    } else {
        first.chars().take(60).chain("...".chars()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_takes_no_more_than_one_line_of_an_error() {
        let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n", "x".repeat(300));
        assert_eq!(shortened(&pem), "-----BEGIN CERTIFICATE-----...");
        assert_eq!(shortened("two\nlines"), "two...");
        assert_eq!(shortened("--sni"), "--sni");
    }
}
