//! Where official things come from: names of images and files, and the mirrors that may stand in for their origins.

use crate::problem::Problem;

/// What files of releases are fetched from if nobody says otherwise.
pub const GITHUB: &str = "https://github.com";

/// What a user says about mirrors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origins {
    /// The registry, with a path if it has one, that stands in for every official one.
    pub registry: Option<String>,
    /// The URL that stands in for [`GITHUB`].
    pub releases: String,
}

impl Default for Origins {
    fn default() -> Self {
        Origins { registry: None, releases: GITHUB.to_string() }
    }
}

impl Origins {
    /// What these flags mean; an empty one is as good as none, as from an environment variable.
    ///
    /// # Errors
    /// A [`Problem`] for each that cannot be used.
    pub fn read(registry: Option<&str>, releases: Option<&str>) -> Result<Origins, Vec<Problem>> {
        let given = |text: Option<&str>| text.map(str::trim).filter(|text| !text.is_empty()).map(str::to_string);
        let mut problems = Vec::new();
        let registry = given(registry).map(|text| text.trim_end_matches('/').to_string());
        problems.extend(registry.as_deref().and_then(registry_problem));
        let releases = given(releases).map(|text| text.trim_end_matches('/').to_string());
        problems.extend(releases.as_deref().and_then(releases_problem));
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Origins { registry, releases: releases.unwrap_or_else(|| GITHUB.to_string()) })
    }

    /// The name under which the engine is asked for this image.
    pub fn of_image(&self, image: &Image) -> String {
        match &self.registry {
            Some(mirror) => format!("{mirror}/{}:{}", image.path, image.tag),
            None => image.to_string(),
        }
    }

    /// The host that is asked for this image, as `docker login` names it.
    pub fn registry_host(&self, image: &Image) -> String {
        let mirror = self.registry.as_deref().map(|mirror| mirror.split('/').next().unwrap_or(mirror));
        mirror.unwrap_or(&image.host).to_string()
    }
}

fn registry_problem(text: &str) -> Option<Problem> {
    let place = "--registry or MESHPROOF_REGISTRY";
    if text.contains('@') {
        // Not shown: it may hold a password.
        let instead = "the bare name here, and `docker login` for the password";
        return Some(Problem::new(place, "a registry is named without user and password", instead));
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        let message = format!("`{scheme}://` does not belong to the name of a registry");
        return Some(Problem::new(place, message, format!("`{rest}`; the engine finds out how to speak to it")));
    }
    let (host, path) = text.split_once('/').unwrap_or((text, ""));
    let (name, port) = host.split_once(':').unwrap_or((host, "443"));
    let is_host = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || ".-".contains(c));
    // Docker takes a first part without dot, port or `localhost` for a folder of Docker Hub.
    let is_registry = host.contains(['.', ':']) || host == "localhost";
    let is_path = path.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-/".contains(c));
    if is_host && is_registry && is_path && port.parse::<u16>().is_ok() {
        return None;
    }
    let message = format!("`{text}` is not the name of a registry");
    Some(Problem::new(place, message, "HOST, HOST:PORT or HOST/path, such as mirror.example.com/hub"))
}

fn releases_problem(text: &str) -> Option<Problem> {
    let place = "--releases or MESHPROOF_RELEASES";
    let instead = "a URL that stands in for https://github.com, such as https://mirror.example.com/github";
    match reqwest::Url::parse(text) {
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            Some(Problem::new(place, "a URL with user or password would end up in reports", instead))
        }
        Ok(url) if ["http", "https"].contains(&url.scheme()) && url.has_host() && url.query().is_none() => None,
        _ => Some(Problem::new(place, format!("`{text}` is not a URL of http or https"), instead)),
    }
}

/// The text without user and password of any URL in it: a proxy's may be there.
pub fn without_userinfo(text: &str) -> String {
    let mut parts = text.split("://");
    let mut clean = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let host_end = part.find(|c: char| c.is_whitespace() || "/\"'?#".contains(c)).unwrap_or(part.len());
        let host = part[..host_end].rfind('@').map_or(0, |at| at + 1);
        clean.push_str("://");
        clean.push_str(&part[host..]);
    }
    clean
}

/// The full name of an image, in its parts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Image {
    /// Its registry: `docker.io`.
    pub host: String,
    /// Its path there: `kindest/node`.
    pub path: String,
    /// Its tag: `v1.36.3`.
    pub tag: String,
}

impl Image {
    /// Reads a name as Docker does: without a registry it is Docker Hub's, without a tag `latest`.
    pub fn parse(name: &str) -> Image {
        let name = name.split('@').next().unwrap_or(name);
        let (name, tag) = match name.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, tag),
            _ => (name, "latest"),
        };
        let (host, path) = match name.split_once('/') {
            Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => (host, path.to_string()),
            Some(_) => ("docker.io", name.to_string()),
            None => ("docker.io", format!("library/{name}")),
        };
        Image { host: host.to_string(), path, tag: tag.to_string() }
    }

    /// The node image that kind publishes for this Kubernetes version.
    pub fn node(kubernetes: &str) -> Image {
        Image::parse(&format!("kindest/node:{kubernetes}"))
    }

    /// The last part of its path: `node`.
    pub fn short(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

impl std::fmt::Display for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}:{}", self.host, self.path, self.tag)
    }
}

/// A kind of machine, as the publishers of images and releases name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    os: &'static str,
    arch: &'static str,
}

impl Machine {
    /// This one.
    ///
    /// # Errors
    /// A [`Problem`] where nobody publishes for it.
    pub fn this() -> Result<Machine, Problem> {
        Machine::of(std::env::consts::OS, std::env::consts::ARCH)
    }

    /// The one that Rust calls so.
    ///
    /// # Errors
    /// As [`Machine::this`].
    pub fn of(os: &str, arch: &str) -> Result<Machine, Problem> {
        let os = ["linux", "macos"].into_iter().find(|known| *known == os);
        let arch = [("x86_64", "amd64"), ("aarch64", "arm64")].into_iter().find(|(known, _)| *known == arch);
        os.zip(arch).map(|(os, (_, arch))| Machine { os, arch }).ok_or_else(|| {
            let message = "no official images for this kind of machine";
            Problem::new("the host", message, "Linux or macOS on amd64 or arm64")
        })
    }

    /// The platform of its images; containers are Linux everywhere.
    pub fn platform(self) -> String {
        format!("linux/{}", self.arch)
    }

    /// The path of the archive of an Istio release below [`Origins::releases`].
    pub fn istio_archive(self, version: &str) -> String {
        let machine = match (self.os, self.arch) {
            ("macos", "amd64") => "osx".to_string(),
            ("macos", arch) => format!("osx-{arch}"),
            (os, arch) => format!("{os}-{arch}"),
        };
        format!("istio/istio/releases/download/{version}/istio-{version}-{machine}.tar.gz")
    }

    /// The path of the program of a kind release below [`Origins::releases`].
    pub fn kind_program(self, version: &str) -> String {
        let os = if self.os == "macos" { "darwin" } else { self.os };
        format!("kubernetes-sigs/kind/releases/download/{version}/kind-{os}-{}", self.arch)
    }
}
