//! What stands in for the origins of official images: a registry with a password, and a server for files of releases.
//!
//! Both serve what was built here under the official names and paths. The node image is ours without what we add to
//! kind's own layout, so that the harness has to add it. proxyv2 holds upstream Envoy, and says so of itself: the lab
//! must notice, and its report must say it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use harness::budget::Budgets;
use harness::event::Recorder;
use harness::lab::host::Host;
use harness::lab::images::{self, Origins, Present, Site};
use harness::lab::{Engine, Home};
use harness::scenario::{Candidate, ImageSource, Scenario};
use harness::versions::{Picked, Versions};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use testcontainers::core::{IntoContainerPort, WaitFor};
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, GenericImage, ImageExt};
use tokio::runtime::Runtime;

use crate::calling::docker;

pub const USER: &str = "reader";
pub const PASSWORD: &str = "a-password-that-no-log-may-show";
/// The hub of Istio's releases.
pub const HUB: &str = "registry.istio.io/release";

const CONFIG: &str = "\
version: 0.1
log: {level: warn}
storage: {filesystem: {rootdirectory: /var/lib/registry}}
http: {addr: ':5000'}
auth: {htpasswd: {realm: test, path: /etc/distribution/htpasswd}}
";

/// Results of the recipes that the test serves, built where they are missing.
pub struct Parts {
    pub picked: Picked,
    built: BTreeMap<String, Present>,
}

impl Parts {
    pub fn new(runtime: &Runtime) -> Parts {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let text = std::fs::read_to_string(root.join("kind/versions.toml")).expect("the versions are there");
        let versions = Versions::parse(&text).expect("the versions are sound");
        let picked = versions.pick(&Scenario::default_primary_remote(&versions));
        let built = runtime.block_on(async {
            let engine = Engine::connect().await.expect("a Docker engine runs");
            let site = Site {
                home: &Home::from_environment(),
                root: &root,
                picked: &picked,
                engine: &engine,
                host: &Host::read().expect("the host can be read"),
                source: ImageSource::Local,
                candidate: &Candidate::default(),
                origins: &Origins::default(),
                recorder: &Recorder::new(Vec::new()),
                budgets: &Budgets { slow: 2.0 },
            };
            images::ensure_recipes(&site, &picked, &["registry", "node", "istio", "istio-images", "kind"]).await
        });
        Parts { picked, built: built.expect("the recipes build") }
    }

    fn folder(&self, recipe: &str) -> &Path {
        &self.built[recipe].folder
    }

    fn image(&self, recipe: &str) -> &str {
        self.built[recipe].image.as_deref().expect("the recipe makes an image")
    }

    pub fn istio(&self) -> String {
        self.picked.value("istio")
    }

    /// The official names of all images of a lab, the node's first.
    pub fn names(&self) -> [String; 3] {
        let (kubernetes, istio) = (self.picked.value("kubernetes"), self.istio());
        [format!("kindest/node:{kubernetes}"), format!("{HUB}/pilot:{istio}"), format!("{HUB}/proxyv2:{istio}")]
    }
}

/// A registry that wants a password and serves the images under their official paths.
pub struct Registry<'a> {
    runtime: &'a Runtime,
    container: Option<ContainerAsync<GenericImage>>,
    pub host: String,
    config: TempDir,
}

impl Drop for Registry<'_> {
    fn drop(&mut self) {
        // The container's own removal would need a runtime around it, and nobody would wait for it.
        if let Some(container) = self.container.take() {
            let _ = self.runtime.block_on(container.rm());
        }
    }
}

impl<'a> Registry<'a> {
    pub fn start(runtime: &'a Runtime, parts: &Parts) -> Registry<'a> {
        let (name, tag) = parts.image("registry").split_once(':').expect("an image has a tag");
        let hash = bcrypt::hash(PASSWORD, 4).expect("it can be hashed");
        let image = GenericImage::new(name, tag).with_exposed_port(5000.tcp()).with_wait_for(WaitFor::seconds(1));
        let (container, port) = runtime.block_on(async {
            let request = image
                .with_copy_to("/etc/distribution/config.yml", CONFIG.as_bytes().to_vec())
                .with_copy_to("/etc/distribution/htpasswd", format!("{USER}:{hash}\n").into_bytes());
            let container = request.start().await.expect("a registry");
            let port = container.get_host_port_ipv4(5000).await.expect("its port");
            (container, port)
        });
        let host = format!("localhost:{port}");
        let config = docker_config(&host, PASSWORD);
        let registry = Registry { runtime, container: Some(container), host, config };
        registry.fill(parts);
        registry
    }

    fn fill(&self, parts: &Parts) {
        let [node, pilot, proxy] = parts.names();
        self.push(&plain_node(parts), &node);
        let archive = parts.folder("istio-images").join("images.tar");
        docker(&["load", "--quiet", "--input", &archive.to_string_lossy()]);
        for (recipe, official) in [("pilot", pilot), ("proxyv2", proxy)] {
            let path = official.split_once('/').expect("a registry and a path").1;
            self.push(&format!("localhost/meshproof/{recipe}:{}", parts.istio()), path);
        }
    }

    /// Pushes an image of the engine under this path, and lets the engine forget both names.
    fn push(&self, image: &str, path: &str) {
        let there = format!("{}/{path}", self.host);
        docker(&["tag", image, &there]);
        let push = ["--config", &self.config.path().to_string_lossy(), "push", "--quiet", &there].map(str::to_string);
        let push: Vec<&str> = push.iter().map(String::as_str).collect();
        docker(&push);
        docker(&["image", "rm", &there, image]);
    }
}

/// Our node image without what we add to kind's layout: kind's own containerd settings, and no wrapper of runc.
fn plain_node(parts: &Parts) -> String {
    let (container, image) = ("t-plain-node", "meshproof-test/plain-node:latest");
    let _ = Command::new("docker").args(["rm", "-f", container]).output();
    docker(&["create", "--name", container, parts.image("node")]);
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("config.toml");
    docker(&["cp", &format!("{container}:/etc/containerd/config.toml"), &config.to_string_lossy()]);
    let ours = std::fs::read_to_string(&config).expect("our settings");
    let pause = ours.lines().find_map(|line| line.trim().strip_prefix("sandbox = ")).expect("our pause image");
    let kinds = parts.folder("kind").join("node-files/etc/containerd/config.toml");
    let kinds = std::fs::read_to_string(kinds).expect("kind's settings");
    // As kind itself does when it builds a node image: this kubeadm has a pause image of its own.
    let line = kinds.lines().find(|line| line.trim().starts_with("sandbox_image = ")).expect("kind's pause image");
    std::fs::write(&config, kinds.replace(line.trim(), &format!("sandbox_image = {pause}"))).expect("it is written");
    docker(&["cp", &config.to_string_lossy(), &format!("{container}:/etc/containerd/config.toml")]);
    // A file that cannot be run stands for one that is not there: `docker cp` removes nothing.
    let broken = folder.path().join("runc-capped");
    std::fs::write(&broken, "this is not the wrapper\n").expect("it is written");
    docker(&["cp", &broken.to_string_lossy(), &format!("{container}:/usr/local/bin/runc-capped")]);
    docker(&["commit", container, image]);
    docker(&["rm", container]);
    image.to_string()
}

/// A folder with a `config.json` as `docker login` writes it.
pub fn docker_config(host: &str, password: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let auth = Command::new("base64").arg("-w0").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut auth = auth.expect("base64 can be started");
    std::io::Write::write_all(&mut auth.stdin.take().expect("it reads"), format!("{USER}:{password}").as_bytes())
        .expect("it takes the words");
    let auth = String::from_utf8(auth.wait_with_output().expect("it ends").stdout).expect("base64 is text");
    let config = serde_json::json!({"auths": {host: {"auth": auth}}});
    std::fs::write(folder.path().join("config.json"), config.to_string()).expect("it is written");
    folder
}

/// A folder with a `config.json` that names a credential helper, and the folder of that helper for PATH.
pub fn docker_helper(host: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let config = serde_json::json!({"credHelpers": {host: "meshprooftest"}});
    std::fs::write(folder.path().join("config.json"), config.to_string()).expect("it is written");
    let helper = folder.path().join("docker-credential-meshprooftest");
    let answer = serde_json::json!({"ServerURL": host, "Username": USER, "Secret": PASSWORD});
    std::fs::write(&helper, format!("#!/bin/sh\ncat <<'JSON'\n{answer}\nJSON\n")).expect("it is written");
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).expect("it can be run");
    folder
}

/// A server of files, in the place of github.com.
pub struct Releases {
    server: Child,
    pub url: String,
    _folder: TempDir,
}

impl Releases {
    /// Serves the release whole below `/`, with a wrong checksum below `/wrong`, and without one below `/missing`.
    pub fn start(parts: &Parts) -> Releases {
        let folder = tempfile::tempdir().expect("a folder");
        let (istio, kind) = (parts.istio(), parts.picked.value("kind"));
        let archive = release_archive(parts, folder.path());
        let machine = if cfg!(target_arch = "aarch64") { "linux-arm64" } else { "linux-amd64" };
        let kinds = format!("kubernetes-sigs/kind/releases/download/{kind}/kind-{machine}");
        let istios = format!("istio/istio/releases/download/{istio}/istio-{istio}-{machine}.tar.gz");
        let program = parts.folder("kind").join("bin/kind");
        for (base, checksum) in [("", Some(None)), ("wrong", Some(Some("0".repeat(64)))), ("missing", None)] {
            for (path, source, ending) in [(&kinds, &program, "sha256sum"), (&istios, &archive, "sha256")] {
                let path = folder.path().join(base).join(path);
                std::fs::create_dir_all(path.parent().expect("a file has a folder")).expect("it is made");
                if std::fs::hard_link(source, &path).is_err() {
                    std::fs::copy(source, &path).expect("it is copied");
                }
                let Some(checksum) = &checksum else { continue };
                let bytes = std::fs::read(source).expect("it can be read");
                let sum = checksum.clone().unwrap_or_else(|| format!("{:x}", Sha256::digest(&bytes)));
                let name = path.file_name().expect("a file has a name").to_string_lossy().into_owned();
                let beside = format!("{}.{ending}", path.display());
                std::fs::write(beside, format!("{sum}  {name}\n")).expect("it is written");
            }
        }
        let mut server = Command::new("python3")
            .args(["-u", "-m", "http.server", "--bind", "127.0.0.1", "--directory"])
            .arg(folder.path())
            .arg("0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("python3 can be started");
        let mut line = String::new();
        BufReader::new(server.stdout.take().expect("it talks")).read_line(&mut line).expect("it says where it listens");
        let port = line.split(" port ").nth(1).and_then(|rest| rest.split(' ').next()).expect("a port");
        Releases { url: format!("http://127.0.0.1:{port}"), server, _folder: folder }
    }
}

impl Drop for Releases {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// The archive of a release. Its istioctl is ours, which was linked with another hub: it is told Istio's own wherever it
/// renders images, as a released one would know it.
fn release_archive(parts: &Parts, folder: &Path) -> PathBuf {
    let name = format!("istio-{}", parts.istio());
    let root = folder.join("archive").join(&name);
    std::fs::create_dir_all(root.join("bin")).expect("it is made");
    let built = parts.folder("istio");
    for part in ["samples", "manifests", "LICENSE"] {
        let status = Command::new("cp").arg("-R").arg(built.join(part)).arg(&root).status().expect("cp can be started");
        assert!(status.success());
    }
    std::fs::copy(built.join("bin/istioctl"), root.join("bin/istioctl-built")).expect("it is copied");
    let wrapper = format!(
        "#!/bin/sh\ncase \"$1\" in install | manifest) set -- \"$@\" --set hub={HUB} ;; esac\n\
         exec \"$(dirname \"$0\")/istioctl-built\" \"$@\"\n"
    );
    let path = root.join("bin/istioctl");
    std::fs::write(&path, wrapper).expect("it is written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("it can be run");
    let archive = folder.join("archive.tar.gz");
    let mut tar = Command::new("tar");
    tar.args(["--create", "--use-compress-program=gzip -1", "--file"]).arg(&archive);
    let status = tar.arg("--directory").arg(folder.join("archive")).arg(&name).status().expect("tar can be started");
    assert!(status.success());
    archive
}

/// Official names in the user's engine: free while a test runs, and afterwards as they were before.
pub struct Names {
    before: Vec<(String, Option<String>)>,
}

impl Names {
    pub fn free(names: &[String]) -> Names {
        let id = |name: &String| {
            let found = Command::new("docker").args(["image", "inspect", "--format", "{{.Id}}", name]).output();
            let found = found.expect("docker can be started");
            found.status.success().then(|| String::from_utf8_lossy(&found.stdout).trim().to_string())
        };
        let before: Vec<_> = names.iter().map(|name| (name.clone(), id(name))).collect();
        for (name, id) in &before {
            if let Some(id) = id {
                docker(&["tag", id, &kept(name)]);
            }
        }
        let names = Names { before };
        names.forget();
        names
    }

    /// Takes the names from whatever has them.
    pub fn forget(&self) {
        for (name, _) in &self.before {
            let _ = Command::new("docker").args(["image", "rm", name]).output();
        }
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        self.forget();
        for (name, id) in &self.before {
            if let Some(id) = id {
                let _ = Command::new("docker").args(["tag", id, name]).output();
                let _ = Command::new("docker").args(["image", "rm", &kept(name)]).output();
            }
        }
    }
}

fn kept(name: &str) -> String {
    format!("meshproof-test/kept:{}", name.replace(['/', ':'], "-"))
}
