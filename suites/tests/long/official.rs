//! A lab of official images, pulled by name through a mirror that stands in for their origins here.

mod mirror;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};

use quick_junit::TestCaseStatus;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::calling::{Lab, MESHPROOF, docker, judged};
use mirror::{HUB, Names, PASSWORD, Parts, Registry, Releases, docker_config, docker_helper};

const TESTS: usize = 3;
static RAN: AtomicUsize = AtomicUsize::new(0);

/// Says how many of this file's tests have come to their end.
fn ran() {
    println!("official images: {} of {TESTS} ran", RAN.fetch_add(1, Ordering::Relaxed) + 1);
}

/// `meshproof images VERB` with a home and a registry of its own.
struct Caller {
    home: PathBuf,
    registry: String,
    releases: String,
}

impl Caller {
    fn command(&self, args: &[&str], docker: Option<&Path>) -> Command {
        let mut command = Command::new(MESHPROOF);
        command.args(args).env("CI", "true").env("MESHPROOF_HOME", &self.home);
        command.env("MESHPROOF_REGISTRY", &self.registry).env("MESHPROOF_RELEASES", &self.releases);
        command.env_remove("MESHPROOF_IMAGES").env("NO_PROXY", "127.0.0.1,localhost");
        // Without a folder of credentials there are none.
        command.env("DOCKER_CONFIG", docker.unwrap_or(Path::new("/nonexistent")));
        command
    }

    fn call(&self, args: &[&str], docker: Option<&Path>) -> (i32, String) {
        eprintln!("--- meshproof {}", args.join(" "));
        let output = self.command(args, docker).output().expect("meshproof can be started");
        let said = told(&output);
        eprint!("{said}");
        assert!(!said.contains(PASSWORD), "no password is said");
        (output.status.code().unwrap_or(-1), said)
    }
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.clone(), output.stderr.clone()].concat()).into_owned()
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .flat_map(|entry| if entry.path().is_dir() { files_below(&entry.path()) } else { vec![entry.path()] })
        .collect()
}

/// Every clause of the latest run passed, and the suite's own output says what it was about.
fn is_green(lab: &Lab) -> String {
    let report = lab.junit();
    let cases: Vec<_> = judged(&report).collect();
    assert_eq!(cases.len(), suites::registry().len());
    for case in cases {
        assert!(matches!(case.status, TestCaseStatus::Success { .. }), "{}: {:?}", case.name.as_str(), case.status);
    }
    report.test_suites[0].system_out.as_ref().map_or("", |text| text.as_str()).to_string()
}

#[test]
fn a_lab_of_official_images_through_a_mirror_is_green_in_every_clause() {
    let runtime = Runtime::new().expect("a runtime");
    let parts = Parts::new(&runtime);
    let names = Names::free(&parts.names());
    let registry = Registry::start(&runtime, &parts);
    let releases = Releases::start(&parts);
    let home = TempDir::new().expect("a folder");
    let caller =
        Caller { home: home.path().to_path_buf(), registry: registry.host.clone(), releases: releases.url.clone() };
    let build = ["images", "build", "--images", "official", "--slow", "2"];

    for wrong in [None, Some(docker_config(&registry.host, "another password"))] {
        let (exit, said) = caller.call(&build, wrong.as_ref().map(TempDir::path));
        assert_eq!(exit, 3, "{said}");
        assert!(said.contains(&format!("docker login {}", registry.host)), "what to do is said: {said}");
    }

    let login = docker_helper(&registry.host);
    let path = format!("{}:{}", login.path().display(), std::env::var("PATH").unwrap_or_default());
    let output = caller.command(&build, Some(login.path())).env("PATH", path).output();
    let said = told(&output.expect("meshproof can be started"));
    assert!(said.contains("official, 3 pulled") && !said.contains(PASSWORD), "{said}");

    // What is there needs no credentials any more.
    let lab = Lab::fresh("t-official");
    let status = lab
        .command("run", &["--keep", "never", "--slow", "2", "--images", "official"])
        .envs(caller.command(&[], None).get_envs().filter_map(|(name, value)| Some((name, value?))))
        .status()
        .expect("meshproof can be started");
    assert_eq!(status.code(), Some(0), "{:#?}", lab.verdicts());
    let about = is_green(&lab);
    let [node, pilot, proxy] = parts.names();
    for image in [format!("docker.io/{node}"), pilot, proxy] {
        assert!(about.contains(&format!("image {image} = sha256:")), "the report has the digest of {image}: {about}");
    }
    let path = HUB.split_once('/').expect("a registry and a path").1;
    let source = format!("image source = official, from {0}/kindest/node, {0}/{path}/pilot", registry.host);
    assert!(about.contains(&source), "the report says where images come from: {about}");
    let data_plane = format!("data plane = upstream Envoy {}, in what was pulled", parts.picked.value("istio.envoy"));
    assert!(about.contains(&data_plane), "the report says that this proxyv2 is not Istio's own: {about}");
    assert!(about.contains("which lacks Istio's own filters"), "that is a deviation: {about}");
    assert_eq!(lab.remains(), Vec::<String>::new());
    for file in files_below(&lab.runs).into_iter().chain(files_below(&home.path().join("state"))) {
        let text = std::fs::read(&file).unwrap_or_default();
        let found = text.windows(PASSWORD.len()).any(|window| window == PASSWORD.as_bytes());
        assert!(!found, "{} holds the password", file.display());
    }

    let (exit, said) = caller.call(&build, None);
    assert_eq!(exit, 0, "a second call needs nothing: {said}");
    assert!(said.contains("official, all present"), "{said}");
    let layer = said.lines().find(|line| line.starts_with("meshproof/official-node:")).expect("it names the image");
    let layer = layer.to_string();
    drop(registry);
    drop(releases);
    serves_a_machine_without_network(&caller, &parts, &names, &layer);
    docker(&["image", "rm", &layer]);
    ran();
}

/// With registry and server gone, all of it goes into one file, from there into an empty home and an engine without the
/// images, and a lab of them is judged.
fn serves_a_machine_without_network(caller: &Caller, parts: &Parts, names: &Names, layer: &str) {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("lab.tar");
    let archive = file.to_str().expect("it is text");
    let (exit, said) = caller.call(&["images", "save", archive, "--images", "official"], None);
    assert_eq!(exit, 0, "{said}");
    names.forget();
    docker(&["image", "rm", layer]);

    let home = folder.path().join("home");
    let other = Caller { home, registry: caller.registry.clone(), releases: caller.releases.clone() };
    cut_and_broken_archives_are_refused(&other, &file);
    let (exit, said) = other.call(&["images", "load", archive], None);
    assert_eq!(exit, 0, "{said}");
    let (exit, said) = other.call(&["images", "verify"], None);
    assert_eq!(exit, 0, "{said}");
    let lab = Lab::fresh("t-loaded");
    let status = lab
        .command("run", &["--keep", "never", "--slow", "2"])
        .envs(other.command(&[], None).get_envs().filter_map(|(name, value)| Some((name, value?))))
        .env_remove("MESHPROOF_IMAGES")
        .status()
        .expect("meshproof can be started");
    assert_eq!(status.code(), Some(0), "{:#?}", lab.verdicts());
    let about = is_green(&lab);
    assert!(about.contains("image source = official"), "auto takes what is there: {about}");
    let (exit, printed) = other.call(&["images", "list", "--print"], None);
    assert_eq!(exit, 0, "{printed}");
    let path = HUB.split_once('/').expect("a registry and a path").1;
    let pilot = format!("image {}/{path}/pilot:{} sha256:", caller.registry, parts.istio());
    assert!(printed.contains(&pilot), "what was loaded is known with its digest: {printed}");
}

/// Nothing of a file that is not whole gets into the cache, and each is refused with its own reason.
fn cut_and_broken_archives_are_refused(caller: &Caller, whole: &Path) {
    let broken = whole.with_extension("broken");
    let bytes = std::fs::metadata(whole).expect("it is there").len();
    let broken_at = |at: u64| {
        use std::io::{Seek, SeekFrom, Write};
        std::fs::copy(whole, &broken).expect("it is copied");
        let mut file = std::fs::File::options().write(true).open(&broken).expect("it opens");
        file.seek(SeekFrom::Start(at)).and_then(|_| file.write_all(b"not what was saved")).expect("it is written");
    };
    let cut = || {
        std::fs::copy(whole, &broken).expect("it is copied");
        std::fs::File::options().write(true).open(&broken).and_then(|file| file.set_len(bytes / 2)).expect("it is cut");
    };
    let other_versions = || {
        std::fs::copy(whole, &broken).expect("it is copied");
        let scenario = whole.with_extension("yaml");
        std::fs::write(&scenario, "name: other\nkubernetes: v1.36.4\n").expect("it is written");
    };
    let no_archive = || std::fs::write(&broken, "a letter\n").expect("it is written");
    let scenario = whole.with_extension("yaml").to_string_lossy().into_owned();
    let archive = broken.to_string_lossy().into_owned();
    type Case<'a> = (&'a dyn Fn(), &'a [&'a str], &'a str);
    let cases: [Case<'_>; 5] = [
        (&no_archive, &[], "is no archive of images"),
        (&cut, &[], "ends too early"),
        (&|| broken_at(bytes - bytes / 4), &[], "damaged"),
        (&|| broken_at(1 << 20), &[], "damaged"),
        (&other_versions, &["--scenario", &scenario], "and wanted are istio 1.31.1 and kubernetes v1.36.4"),
    ];
    for (make, more, reason) in cases {
        make();
        let (exit, said) = caller.call(&[&["images", "load", &archive], more].concat(), None);
        assert_eq!(exit, 2, "{said}");
        assert!(said.contains(reason), "{reason}: {said}");
        let kept = files_below(&caller.home.join("cache/artefacts"));
        assert!(kept.is_empty(), "nothing of it is kept: {kept:?}");
    }
    std::fs::remove_file(&broken).expect("it goes");
}

#[test]
fn a_release_without_its_published_checksum_is_not_used() {
    let runtime = Runtime::new().expect("a runtime");
    let parts = Parts::new(&runtime);
    let releases = Releases::start(&parts);
    for (base, reason) in [("wrong", "and published is 0000"), ("missing", "there is no published checksum (404)")] {
        let home = TempDir::new().expect("a folder");
        let url = format!("{}/{base}", releases.url);
        let caller = Caller { home: home.path().to_path_buf(), registry: "localhost:1".to_string(), releases: url };
        let (exit, said) = caller.call(&["images", "build", "--images", "official"], None);
        assert_eq!(exit, 3, "{said}");
        assert!(said.contains(reason), "{said}");
        let kept = files_below(home.path());
        assert!(kept.iter().all(|file| !file.to_string_lossy().contains("istio-release")), "nothing is kept: {kept:?}");
    }
    ran();
}

/// Recipes of the names that a lab wants, each of which only writes a file: what is built when nothing can be pulled.
fn small_repository() -> TempDir {
    let root = TempDir::new().expect("a folder");
    let write = |path: &str, text: &str| {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a file has a folder")).expect("it is made");
        std::fs::write(&path, text).expect("it is written");
        std::fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("it can be run");
    };
    let versions = "[defaults]\nkubernetes = \"v1.36.3\"\nistio = \"1.31.1\"\nkind = \"v0\"\n[kubernetes.\"v1.36.3\"]\n[istio.\"1.31.1\"]\n";
    write("kind/versions.toml", versions);
    write("kind/recipes/lib.sh", "set -eu\n");
    for name in ["istio", "kind", "lab-node", "workload"] {
        let head = format!("# title: The {name}\n# makes: files\n# needs:\n# versions:\n# inputs:\n");
        write(&format!("kind/recipes/{name}/build"), &format!("#!/bin/sh\n{head}echo {name} >\"$OUT/{name}\"\n"));
    }
    root
}

#[test]
fn without_a_way_to_official_images_they_are_built_and_the_reason_is_said() {
    let (home, root) = (TempDir::new().expect("a folder"), small_repository());
    let nowhere = "http://127.0.0.1:1".to_string();
    let caller = Caller { home: home.path().to_path_buf(), registry: "localhost:1".to_string(), releases: nowhere };
    let output = caller
        .command(&["images", "build"], None)
        .env("MESHPROOF_ROOT", root.path())
        .output()
        .expect("meshproof can be started");
    let said = told(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let reasons: Vec<&str> = said.lines().filter(|line| line.contains("official ones are out of reach")).collect();
    assert_eq!(reasons.len(), 1, "the reason is one line: {said}");
    assert!(reasons[0].contains("http://127.0.0.1:1/istio/istio/releases"), "{said}");
    assert!(said.contains("lab-node"), "it is built then: {said}");
    ran();
}
