//! Pulling one image, as `docker pull` does: the engine pulls, by its own proxy settings, with the user's credentials.

use std::collections::BTreeMap;

use bollard::auth::DockerCredentials;
use bollard::models::CreateImageInfo;
use bollard::query_parameters::{CreateImageOptions, RemoveImageOptions, TagImageOptions};
use docker_credential::{CredentialRetrievalError, DockerCredential};
use futures::StreamExt;

use super::origin::{Image, Origins, without_userinfo};
use super::record::Record;
use super::{ImageError, upkeep};
use crate::budget::Budgets;
use crate::lab::engine::{Engine, EngineError};

/// The variable of Istio's proxy image that says of what its proxy was built.
const PROXY: &str = "ISTIO_META_ISTIO_PROXY_SHA=";

/// What the engine has under an image's official name, if anything.
pub(super) async fn present(engine: &Engine, image: &Image, platform: &str) -> Result<Option<Record>, ImageError> {
    let name = image.to_string();
    let found = match engine.docker.inspect_image(&name).await {
        Ok(found) => found,
        Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => return Ok(None),
        Err(source) => return Err(EngineError::Docker { what: format!("show the image {name}"), source }.into()),
    };
    let has = format!("{}/{}", found.os.unwrap_or_default(), found.architecture.unwrap_or_default());
    if has != platform {
        return Ok(None);
    }
    let id = found.id.unwrap_or_default();
    let digests = found.repo_digests.unwrap_or_default();
    let digest = digests.iter().find_map(|known| Some(known.split_once('@')?.1.to_string()));
    let env = found.config.and_then(|config| config.env).unwrap_or_default();
    Ok(Some(Record {
        image: name,
        digest: digest.unwrap_or_else(|| id.clone()),
        id,
        platform: has,
        when: jiff::Timestamp::now(),
        from: "the engine".to_string(),
        proxy: env.iter().find_map(|line| line.strip_prefix(PROXY)).unwrap_or_default().to_string(),
    }))
}

/// Pulls an image and gives it its official name; `published` is the digest that its publisher gives it, if any does.
pub(super) async fn pull(
    engine: &Engine,
    image: &Image,
    published: Option<&str>,
    platform: &str,
    origins: &Origins,
    budgets: &Budgets,
    mut progress: impl FnMut(&str),
) -> Result<Record, ImageError> {
    let host = origins.registry_host(image);
    let from = origins.of_image(image);
    let failed = |why: String| {
        let why = without_userinfo(&why);
        ImageError::Pull { image: from.clone(), hint: hint(&why, &host), why }
    };
    let by_digest = published.map(|digest| format!("{}@{digest}", without_tag(&from)));
    let wanted = by_digest.as_deref().unwrap_or(&from);
    let (credentials, helper) = match credentials(&host).await {
        Ok(found) => (found, None),
        // As `docker pull`, which asks without then; the reason is said if that is refused.
        Err(why) => (None, Some(why)),
    };
    let options = CreateImageOptions {
        from_image: Some(wanted.to_string()),
        platform: platform.to_string(),
        ..Default::default()
    };
    let pulling = async {
        let mut stream = std::pin::pin!(engine.docker.create_image(Some(options), None, credentials));
        let mut layers = Layers::default();
        while let Some(news) = stream.next().await {
            let news = news.map_err(|error| said(&error))?;
            if let Some(detail) = &news.error_detail {
                return Err(detail.message.clone().unwrap_or_default());
            }
            if let Some(line) = layers.hear(&news) {
                progress(&format!("{}: {line}", image.short()));
            }
        }
        Ok(())
    };
    let name = image.to_string();
    // What the user has under the mirror's name already is not this pull's to forget.
    let leaves_a_name = from != name && by_digest.is_none() && !is_there(engine, &from).await?;
    let limit = *budgets.image_pull();
    let ended = tokio::time::timeout(limit, pulling).await;
    ended.unwrap_or_else(|_| Err(format!("it did not end within {} s", limit.as_secs()))).map_err(|why| {
        failed(match &helper {
            Some(helper) => format!("{why} ({helper})"),
            None => why,
        })
    })?;
    let refused = |what: &str, name: &str| {
        let what = format!("{what} the image {name}");
        move |source| ImageError::from(EngineError::Docker { what, source })
    };
    if wanted != name {
        let official =
            TagImageOptions { repo: Some(format!("{}/{}", image.host, image.path)), tag: Some(image.tag.clone()) };
        engine.docker.tag_image(wanted, Some(official)).await.map_err(refused("name", wanted))?;
    }
    let mut record = present(engine, image, platform)
        .await?
        .ok_or_else(|| failed(format!("the registry has no image for {platform} under this name")))?;
    if leaves_a_name {
        // The official name is the one that is used; the mirror's would only be left over.
        let left = engine.docker.remove_image(&from, None::<RemoveImageOptions>, None).await;
        left.map_err(refused("forget the mirror's name of", &from))?;
    }
    if let Some(digest) = published {
        record.digest = digest.to_string();
    }
    record.from = without_tag(&from).to_string();
    Ok(record)
}

/// Why an image cannot be pulled, and what to do about it; nothing if its registry has it. The engine asks, and pulls nothing.
pub(super) async fn lacks(engine: &Engine, image: &Image) -> Option<(String, String)> {
    let credentials = credentials(&image.host).await.unwrap_or_default();
    let error = engine.docker.inspect_registry_image(&image.to_string(), credentials).await.err()?;
    let why = without_userinfo(&said(&error));
    let hint = hint(&why, &image.host);
    Some((why, hint))
}

async fn is_there(engine: &Engine, name: &str) -> Result<bool, ImageError> {
    match engine.docker.inspect_image(name).await {
        Ok(_) => Ok(true),
        Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => Ok(false),
        Err(source) => Err(EngineError::Docker { what: format!("show the image {name}"), source }.into()),
    }
}

fn without_tag(name: &str) -> &str {
    name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).map_or(name, |(name, _)| name)
}

fn said(error: &bollard::errors::Error) -> String {
    match error {
        bollard::errors::Error::DockerResponseServerError { message, .. } => message.clone(),
        bollard::errors::Error::DockerStreamError { error } => error.clone(),
        other => crate::check::verdict::chain(other),
    }
}

/// The user's credentials for a registry, as `docker login` left them; none if there are none.
async fn credentials(host: &str) -> Result<Option<DockerCredentials>, String> {
    // Docker's own name for its hub in this file.
    let server = if host == "docker.io" { "https://index.docker.io/v1/" } else { host }.to_string();
    let asked = server.clone();
    // It may start a credential helper, and waits for it.
    let found = tokio::task::spawn_blocking(move || docker_credential::get_credential(&asked)).await;
    match found.unwrap_or(Err(CredentialRetrievalError::HelperCommunicationError)) {
        Ok(DockerCredential::IdentityToken(token)) => Ok(Some(DockerCredentials {
            identitytoken: Some(token),
            serveraddress: Some(server),
            ..Default::default()
        })),
        Ok(DockerCredential::UsernamePassword(username, password)) => Ok(Some(DockerCredentials {
            username: Some(username),
            password: Some(password),
            serveraddress: Some(server),
            ..Default::default()
        })),
        Err(
            CredentialRetrievalError::NoCredentialConfigured
            | CredentialRetrievalError::ConfigNotFound
            | CredentialRetrievalError::ConfigReadError,
        ) => Ok(None),
        Err(CredentialRetrievalError::HelperFailure { stdout, .. }) if stdout.contains("credentials not found") => {
            Ok(None)
        }
        // What a helper printed is not shown: it may be the secret.
        Err(CredentialRetrievalError::HelperFailure { helper, .. }) => {
            Err(format!("{helper} gave no credentials for {host}"))
        }
        Err(error) => Err(format!("no credentials for {host} from Docker's config.json: {error}")),
    }
}

/// How far a pull is, by what the engine says of each layer.
#[derive(Debug, Default)]
struct Layers {
    bytes: BTreeMap<String, (u64, u64)>,
    last: String,
}

impl Layers {
    /// Takes in one message; a line for people if it changes what they would read.
    fn hear(&mut self, news: &CreateImageInfo) -> Option<String> {
        let detail = news.progress_detail.as_ref()?;
        let number = |value: Option<i64>| value.and_then(|value| u64::try_from(value).ok());
        if news.status.as_deref() != Some("Downloading") {
            return None;
        }
        let (current, total) = (number(detail.current)?, number(detail.total)?);
        self.bytes.insert(news.id.clone()?, (current, total));
        let sum = |part: fn(&(u64, u64)) -> u64| upkeep::bytes(self.bytes.values().map(part).sum());
        let line = format!("{} of {} so far known", sum(|layer| layer.0), sum(|layer| layer.1));
        (line != self.last).then(|| {
            self.last.clone_from(&line);
            line
        })
    }
}

/// What to do about a pull that failed so.
pub fn hint(why: &str, host: &str) -> String {
    let why = why.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| why.contains(word));
    if has(&["toomanyrequests", "too many requests", "rate limit"]) {
        format!("the registry limits pulls without login: `docker login {host}`, or a mirror: --registry")
    } else if has(&["unauthorized", "denied", "authentication", "basic auth"]) {
        format!("`docker login {host}`; some registries say the same of an image that they do not have")
    } else if has(&["manifest unknown", "not found", "no image for"]) {
        "the registry has no such image: see what is needed by `meshproof images list --print`".to_string()
    } else if has(&["http response to https"]) {
        format!("the registry speaks http: add {host} to insecure-registries in the engine's daemon.json")
    } else if has(&["certificate", "x509"]) {
        format!("put the registry's CA into /etc/docker/certs.d/{host}/ca.crt of the engine's host")
    } else if has(&["no space left"]) {
        "free some disk: `docker system df`, `meshproof images prune`".to_string()
    } else {
        "the engine pulls by its own proxy settings (docs.docker.com/engine/daemon/proxy); or use a mirror: --registry"
            .to_string()
    }
}
