//! Files of releases: fetched by https, and used only if they have the checksum that is published beside them.
//!
//! reqwest follows HTTP_PROXY, HTTPS_PROXY and NO_PROXY by itself, and trusts what the system trusts.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures::StreamExt;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tempfile::TempPath;

use super::origin::{Image, Machine, without_userinfo};
use super::store::{self, Manifest, Present};
use super::{Files, ImageError, Site, upkeep};
use crate::tool::Tool;

/// In an unpacked Istio release: the images that this very istioctl installs, one a line.
const IMAGES: &str = "images.txt";

/// The names of these artefacts in the cache.
pub(super) const NAMES: [&str; 2] = ["istio-release", "kind-release"];

/// A file as it was fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetched {
    /// Where it came from.
    pub url: String,
    /// Its SHA-256 in hex, which is also what was published beside it.
    pub sha256: String,
}

/// A file of a release that a lab needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asset {
    /// The name of its artefact in the cache.
    pub name: &'static str,
    /// The version.
    pub version: String,
    /// Its path below the base of releases.
    pub path: String,
    /// The path of its checksum.
    pub checksum: String,
}

impl Asset {
    /// The archive of an Istio release for this machine.
    pub fn istio(version: &str, machine: Machine) -> Asset {
        let path = machine.istio_archive(version);
        let checksum = format!("{path}.sha256");
        Asset { name: NAMES[0], version: version.to_string(), path, checksum }
    }

    /// The program of a kind release for this machine.
    pub fn kind(version: &str, machine: Machine) -> Asset {
        let path = machine.kind_program(version);
        let checksum = format!("{path}.sha256sum");
        Asset { name: NAMES[1], version: version.to_string(), path, checksum }
    }

    /// Its file name.
    pub fn file_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// `NAME-HASH`, as its folder in the cache is called.
    pub fn id(&self) -> String {
        format!("{}-{}", self.name, self.hash())
    }

    fn hash(&self) -> String {
        format!("{:x}", Sha256::digest(self.path.as_bytes()))[..12].to_string()
    }

    /// What is there of it.
    pub fn present(&self, cache: &Path) -> Option<Present> {
        let folder = store::artefacts(cache).join(self.id());
        let manifest = store::read(&folder).filter(|manifest| manifest.hash == self.hash())?;
        Some(Present { folder, image: None, manifest })
    }

    /// Fetches it, checks it, and lets `lay_out` put what belongs into the cache from the fetched file.
    pub(super) async fn fetch<F>(
        &self,
        files: &Files<'_>,
        lay_out: impl FnOnce(PathBuf, PathBuf) -> F,
    ) -> Result<Present, ImageError>
    where
        F: Future<Output = Result<(), ImageError>>,
    {
        let began = Instant::now();
        let cache = &files.home.cache;
        let works = store::works(cache);
        let out = works.join(format!("{}.out", self.id()));
        // It goes in any case: a download begins anew.
        let part = works.join(format!("{}.part", self.id()));
        let part = TempPath::try_from_path(&part).map_err(ImageError::files("write", &part))?;
        if out.exists() {
            fs::remove_dir_all(&out).map_err(ImageError::files("remove", &out))?;
        }
        fs::create_dir_all(&out).map_err(ImageError::files("make", &out))?;
        let fetched = self.download(files, &part).await?;
        lay_out(part.to_path_buf(), out.clone()).await?;
        drop(part);
        let (bytes, sums) = store::blocking(&out, |out| store::sums(&out)).await?;
        let component = self.name.trim_end_matches("-release").to_string();
        let manifest = Manifest {
            recipe: self.name.to_string(),
            title: self.file_name().to_string(),
            hash: self.hash(),
            versions: [(component, self.version.clone())].into(),
            seconds: began.elapsed().as_secs_f64(),
            when: jiff::Timestamp::now(),
            bytes,
            files: sums,
            images: [].into(),
            fetched: Some(fetched),
        };
        store::write(&out, &manifest)?;
        let folder = store::artefacts(cache).join(self.id());
        fs::create_dir_all(store::artefacts(cache)).map_err(ImageError::files("make", store::artefacts(cache)))?;
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(ImageError::files("remove", &folder))?;
        }
        fs::rename(&out, &folder).map_err(ImageError::files("move into place", &out))?;
        Ok(Present { folder, image: None, manifest })
    }

    async fn download(&self, files: &Files<'_>, to: &Path) -> Result<Fetched, ImageError> {
        let base = &files.origins.releases;
        let url = format!("{base}/{}", self.path);
        let checksum_url = format!("{base}/{}", self.checksum);
        let client = client().map_err(|error| failed(&url, crate::check::verdict::chain(&error)))?;
        let text = match client.get(&checksum_url).send().await.and_then(reqwest::Response::error_for_status) {
            Ok(answer) => answer.text().await.map_err(|error| failed(&checksum_url, reason(&error)))?,
            Err(error) if error.status() == Some(reqwest::StatusCode::NOT_FOUND) => {
                let why = "there is no published checksum (404), and without one nothing is used".to_string();
                return Err(failed(&checksum_url, why));
            }
            Err(error) => return Err(failed(&checksum_url, reason(&error))),
        };
        let published = published_sum(&text, self.file_name()).map_err(|why| failed(&checksum_url, why))?;
        let fetching = async {
            let answer = client.get(&url).send().await.and_then(reqwest::Response::error_for_status);
            let answer = answer.map_err(|error| failed(&url, reason(&error)))?;
            let total = answer.content_length();
            let mut file = File::create(to).map_err(ImageError::files("write", to))?;
            let (mut hasher, mut bytes, mut told) = (Sha256::new(), 0, Instant::now());
            let mut stream = answer.bytes_stream();
            while let Some(part) = stream.next().await {
                let part = part.map_err(|error| failed(&url, reason(&error)))?;
                hasher.update(&part);
                file.write_all(&part).map_err(ImageError::files("write", to))?;
                bytes += part.len() as u64;
                if told.elapsed() > Duration::from_secs(1) {
                    told = Instant::now();
                    let of = total.map_or(String::new(), |total| format!(" of {}", upkeep::bytes(total)));
                    files.progress(&format!("{}: {}{of}", self.file_name(), upkeep::bytes(bytes)));
                }
            }
            Ok(format!("{:x}", hasher.finalize()))
        };
        let limit = *files.budgets.image_pull();
        let found = tokio::time::timeout(limit, fetching)
            .await
            .unwrap_or_else(|_| Err(failed(&url, format!("it did not end within {} s", limit.as_secs()))))?;
        if found != published {
            return Err(failed(&url, format!("its SHA-256 is {found}, and published is {published}; it was removed")));
        }
        Ok(Fetched { url, sha256: found })
    }
}

fn failed(url: &str, why: String) -> ImageError {
    ImageError::Fetch { url: url.to_string(), why: without_userinfo(&why) }
}

/// Why a request failed, without the address, which the error has already.
fn reason(error: &reqwest::Error) -> String {
    if let Some(status) = error.status() {
        return format!("the server answered {status}");
    }
    let mut causes = Vec::new();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        causes.push(cause.to_string());
        source = cause.source();
    }
    if error.is_timeout() { "no answer in time".to_string() } else { causes.join(": ") }
}

fn client() -> reqwest::Result<reqwest::Client> {
    crate::tls::provide();
    reqwest::Client::builder()
        .user_agent(format!("meshproof/{}", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(20))
        .read_timeout(Duration::from_secs(60))
        .build()
}

/// The SHA-256 in a checksum file: `HEX`, or `HEX  NAME` for the file of that name.
///
/// # Errors
/// One sentence where the text is something else, such as the page of a login.
pub fn published_sum(text: &str, name: &str) -> Result<String, String> {
    let is_sum = |word: &str| word.len() == 64 && word.chars().all(|c| c.is_ascii_hexdigit());
    let mut other = None;
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let Some(sum) = words.next().filter(|word| is_sum(word)) else { continue };
        match words.next().map(|word| word.trim_start_matches(['*', '.', '/'])) {
            None => return Ok(sum.to_lowercase()),
            Some(of) if of.rsplit('/').next() == Some(name) => return Ok(sum.to_lowercase()),
            Some(of) => other = Some(of.to_string()),
        }
    }
    Err(match other {
        Some(other) => format!("it holds the checksum of {other}, not of {name}"),
        None => "it holds no SHA-256".to_string(),
    })
}

/// The Istio release of this version, unpacked, and the images that it installs.
pub(super) async fn istio(files: &Files<'_>, file: &Asset) -> Result<Present, ImageError> {
    if let Some(present) = file.present(&files.home.cache) {
        return Ok(present);
    }
    let version = file.version.clone();
    file.fetch(files, |archive, out| async move {
        let unpacked = {
            let out = out.clone();
            store::blocking(&archive, move |archive| unpack(&archive, &out)).await
        };
        unpacked?;
        let images = installed_images(&out, &version).await?;
        let path = out.join(IMAGES);
        fs::write(&path, images.join("\n") + "\n").map_err(ImageError::files("write", path))
    })
    .await
}

/// The images that a release installs, as was written down when it was fetched.
pub(super) fn images(release: &Present) -> Result<Vec<Image>, ImageError> {
    let path = release.folder.join(IMAGES);
    let text = fs::read_to_string(&path).map_err(ImageError::files("read", &path))?;
    Ok(text.lines().map(Image::parse).collect())
}

/// Unpacks an archive without its outermost folder.
fn unpack(archive: &Path, out: &Path) -> std::io::Result<()> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(File::open(archive)?));
    let whole = tempfile::tempdir_in(out)?;
    for entry in archive.entries()? {
        // Nothing is written outside, not by a link either that an earlier entry has made.
        entry?.unpack_in(whole.path())?;
    }
    for outermost in fs::read_dir(whole.path())? {
        let outermost = outermost?;
        if !outermost.file_type()?.is_dir() {
            continue;
        }
        for inner in fs::read_dir(outermost.path())? {
            let inner = inner?;
            fs::rename(inner.path(), out.join(inner.file_name()))?;
        }
    }
    whole.close()
}

/// Asks a release's own istioctl for its version and for the images that it would install.
async fn installed_images(release: &Path, version: &str) -> Result<Vec<String>, ImageError> {
    let istioctl = release.join("bin/istioctl");
    let wrong = |why: String| ImageError::files("use", &istioctl)(std::io::Error::other(why));
    let ask = |args: &[&str]| Tool::new(&istioctl).args(args.iter().copied()).run();
    let said = ask(&["version", "--remote=false", "--output=json"]).await.map_err(|error| wrong(error.to_string()))?;
    let said: serde_json::Value = serde_json::from_str(&said.stdout).map_err(|error| wrong(error.to_string()))?;
    let own = said["clientVersion"]["version"].as_str().unwrap_or_default();
    if own != version {
        return Err(wrong(format!("it says that it is of Istio {own}, and the archive is that of {version}")));
    }
    let manifests = ask(&["manifest", "generate"]).await.map_err(|error| wrong(error.to_string()))?.stdout;
    let images = images_of(&manifests).map_err(|error| wrong(error.to_string()))?;
    if images.iter().any(|image| Image::parse(image).short().starts_with("proxyv2")) {
        return Ok(images);
    }
    Err(wrong(format!("it would install no proxyv2, but {images:?}")))
}

/// The images of all containers in Deployments and DaemonSets, each once, in order.
pub fn images_of(manifests: &str) -> Result<Vec<String>, serde_yaml_ng::Error> {
    let mut images = std::collections::BTreeSet::new();
    for document in serde_yaml_ng::Deserializer::from_str(manifests) {
        let object = serde_yaml_ng::Value::deserialize(document)?;
        if !matches!(object["kind"].as_str(), Some("Deployment" | "DaemonSet")) {
            continue;
        }
        let pod = &object["spec"]["template"]["spec"];
        let containers = ["initContainers", "containers"].map(|field| pod[field].as_sequence());
        for container in containers.into_iter().flatten().flatten() {
            images.extend(container["image"].as_str().map(str::to_string));
        }
    }
    Ok(images.into_iter().collect())
}

/// A kind program.
#[derive(Debug, Clone)]
pub(super) struct Kind {
    /// What to call.
    pub program: PathBuf,
    /// Where it is kept in the cache; nowhere if it is the user's own.
    pub kept: Option<Present>,
}

impl Kind {
    /// The program at this path of something in the cache.
    pub fn kept(present: Present, path: &str) -> Kind {
        Kind { program: present.folder.join(path), kept: Some(present) }
    }
}

/// A kind program of the pinned version: the one on PATH, else that of its release, as far as it was fetched.
pub(super) async fn present_kind(site: &Site<'_>, file: &Asset) -> Option<Kind> {
    if let Ok(said) = Tool::new("kind").arg("version").run().await
        && said.stdout.split_whitespace().any(|word| word == file.version)
    {
        return Some(Kind { program: PathBuf::from("kind"), kept: None });
    }
    Some(Kind::kept(file.present(&site.home.cache)?, "kind"))
}

/// Fetches the kind program of its release.
pub(super) async fn fetch_kind(site: &Site<'_>, file: &Asset) -> Result<Kind, ImageError> {
    let files = site.files();
    let present = file.fetch(&files, |fetched, out| async move {
        use std::os::unix::fs::PermissionsExt;
        let program = out.join("kind");
        fs::copy(&fetched, &program)
            .and_then(|_| fs::set_permissions(&program, fs::Permissions::from_mode(0o755)))
            .map_err(ImageError::files("write", program))
    });
    Ok(Kind::kept(present.await?, "kind"))
}
