//! Names, mirrors, checksums, records and hints of official images: what is decided without engine or network.

use harness::lab::images::origin::{Image, Machine, Origins, without_userinfo};
use harness::lab::images::record::{Record, Records};
use harness::lab::images::{Asset, data_plane, hint, images_of, published_sum};
use rstest::rstest;

#[rstest]
#[case::docker_hub("kindest/node:v1.36.3", "docker.io/kindest/node:v1.36.3")]
#[case::docker_hub_by_name("docker.io/istio/pilot:1.31.1", "docker.io/istio/pilot:1.31.1")]
#[case::of_nobody("registry", "docker.io/library/registry:latest")]
#[case::another_registry("registry.istio.io/release/pilot:1.31.1", "registry.istio.io/release/pilot:1.31.1")]
#[case::with_a_port("localhost:5000/a/b", "localhost:5000/a/b:latest")]
#[case::with_a_digest("kindest/node:v1@sha256:00", "docker.io/kindest/node:v1")]
fn a_name_is_read_as_docker_reads_it(#[case] name: &str, #[case] full: &str) {
    assert_eq!(Image::parse(name).to_string(), full);
}

#[rstest]
#[case::none(None, "registry.istio.io/release/pilot:1.31.1", "registry.istio.io")]
#[case::a_host(Some("mirror.example.com"), "mirror.example.com/release/pilot:1.31.1", "mirror.example.com")]
#[case::a_path(
    Some("mirror.example.com:444/hub/"),
    "mirror.example.com:444/hub/release/pilot:1.31.1",
    "mirror.example.com:444"
)]
#[case::empty_as_from_an_environment(Some(" "), "registry.istio.io/release/pilot:1.31.1", "registry.istio.io")]
fn a_mirror_stands_in_for_the_registry_and_keeps_the_path(
    #[case] registry: Option<&str>,
    #[case] name: &str,
    #[case] host: &str,
) {
    let origins = Origins::read(registry, None).unwrap();
    let image = Image::parse("registry.istio.io/release/pilot:1.31.1");
    assert_eq!((origins.of_image(&image).as_str(), origins.registry_host(&image).as_str()), (name, host));
}

#[rstest]
#[case::a_scheme(Some("https://mirror.example.com"), None, "`mirror.example.com`")]
#[case::a_password(Some("me:secret@mirror.example.com"), None, "`docker login`")]
#[case::a_word(Some("mirror"), None, "HOST, HOST:PORT or HOST/path")]
#[case::a_tag(Some("mirror.example.com/a:b"), None, "HOST, HOST:PORT or HOST/path")]
#[case::a_port_that_is_none(Some("mirror.example.com:http"), None, "HOST, HOST:PORT or HOST/path")]
#[case::no_url(None, Some("mirror.example.com"), "https://mirror.example.com/github")]
#[case::a_url_with_a_password(None, Some("https://me:secret@example.com"), "https://mirror.example.com/github")]
#[case::a_file(None, Some("file:///tmp"), "https://mirror.example.com/github")]
fn a_mirror_that_cannot_be_used_is_refused_without_repeating_a_password(
    #[case] registry: Option<&str>,
    #[case] releases: Option<&str>,
    #[case] instead: &str,
) {
    let problems = Origins::read(registry, releases).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].instead.contains(instead), "{}", problems[0]);
    assert!(!problems[0].to_string().contains("secret"), "{}", problems[0]);
}

#[rstest]
#[case::a_proxy("proxyconnect http://me:p%40ss@proxy:3128/: refused", "proxyconnect http://proxy:3128/: refused")]
#[case::in_quotes("Get \"https://me@a.example/v2/\": denied", "Get \"https://a.example/v2/\": denied")]
#[case::a_digest("https://a.example/v2/node@sha256:00 not found", "https://a.example/v2/node@sha256:00 not found")]
#[case::two("http://a:b@c and http://d:e@f", "http://c and http://f")]
#[case::none("me@example.com: no such host", "me@example.com: no such host")]
fn an_error_repeats_no_password_of_a_url(#[case] said: &str, #[case] shown: &str) {
    assert_eq!(without_userinfo(said), shown);
}

#[rstest]
#[case::linux("linux", "x86_64", "istio-1.31.1-linux-amd64.tar.gz", "kind-linux-amd64", "linux/amd64")]
#[case::linux_on_arm("linux", "aarch64", "istio-1.31.1-linux-arm64.tar.gz", "kind-linux-arm64", "linux/arm64")]
#[case::mac("macos", "aarch64", "istio-1.31.1-osx-arm64.tar.gz", "kind-darwin-arm64", "linux/arm64")]
#[case::old_mac("macos", "x86_64", "istio-1.31.1-osx.tar.gz", "kind-darwin-amd64", "linux/amd64")]
fn files_are_called_as_their_publishers_call_them(
    #[case] os: &str,
    #[case] arch: &str,
    #[case] archive: &str,
    #[case] program: &str,
    #[case] platform: &str,
) {
    let machine = Machine::of(os, arch).unwrap();
    let (istio, kind) = (Asset::istio("1.31.1", machine), Asset::kind("v0.33.0", machine));
    assert_eq!((istio.file_name(), kind.file_name(), machine.platform().as_str()), (archive, program, platform));
    assert_eq!(istio.checksum, format!("istio/istio/releases/download/1.31.1/{archive}.sha256"));
    assert_eq!(kind.checksum, format!("kubernetes-sigs/kind/releases/download/v0.33.0/{program}.sha256sum"));
}

#[test]
fn a_machine_that_nobody_publishes_for_is_refused() {
    assert!(Machine::of("linux", "riscv64").is_err());
    assert!(Machine::of("freebsd", "x86_64").is_err());
}

const SUM: &str = "a867c6a3f4f718270779697e670b4358a2b7db0a0120d556514fe0e408432131";

#[rstest]
#[case::with_its_name(&format!("{SUM}  kind-linux-amd64\n"), Ok(SUM))]
#[case::of_a_binary_file(&format!("{SUM} *kind-linux-amd64\n"), Ok(SUM))]
#[case::below_a_folder(&format!("{SUM}  ./bin/kind-linux-amd64\n"), Ok(SUM))]
#[case::alone(SUM, Ok(SUM))]
#[case::among_others(&format!("{}  kind-linux-arm64\n{SUM}  kind-linux-amd64\n", SUM.replace('a', "b")), Ok(SUM))]
#[case::of_another_file(&format!("{SUM}  kind-linux-arm64\n"), Err("it holds the checksum of kind-linux-arm64, not of kind-linux-amd64"))]
#[case::a_page("<html>log in</html>", Err("it holds no SHA-256"))]
fn a_published_checksum_counts_for_its_own_file_alone(#[case] text: &str, #[case] sum: Result<&str, &str>) {
    assert_eq!(published_sum(text, "kind-linux-amd64"), sum.map(str::to_string).map_err(str::to_string));
}

#[test]
fn images_are_those_of_the_containers_that_a_release_would_run() {
    let manifests = "\
kind: ConfigMap
data: {config: 'image: not/this:one'}
---
kind: Deployment
spec: {template: {spec: {containers: [{image: 'hub.example/pilot:1'}], initContainers: [{image: 'hub.example/init:1'}]}}}
---
kind: Deployment
spec: {template: {spec: {containers: [{image: 'hub.example/proxyv2:1'}, {image: 'hub.example/pilot:1'}]}}}
";
    let images = ["hub.example/init:1", "hub.example/pilot:1", "hub.example/proxyv2:1"].map(str::to_string);
    assert_eq!(images_of(manifests).unwrap(), images);
}

#[rstest]
#[case::istios(
    "istio-proxy:436f365a8007cd8a13a9f1321e7cce94bcc8883e",
    "Istio's own proxyv2 1.31.1 (istio-proxy 436f365a8007)"
)]
#[case::upstream("envoy:1.39.3", "upstream Envoy 1.39.3, in what was pulled as Istio's proxyv2 1.31.1")]
#[case::silent("", "Istio's proxyv2 1.31.1, which does not say of what it was built")]
fn the_data_plane_is_what_the_image_says_of_itself(#[case] proxy: &str, #[case] said: &str) {
    assert_eq!(data_plane("1.31.1", proxy), said);
}

fn record(digest: &str, id: &str, from: &str) -> Record {
    Record {
        image: "docker.io/kindest/node:v1".to_string(),
        digest: digest.to_string(),
        id: id.to_string(),
        platform: "linux/amd64".to_string(),
        when: "2026-11-20T10:00:00Z".parse().unwrap(),
        from: from.to_string(),
        proxy: String::new(),
    }
}

#[test]
fn a_tag_that_stands_for_another_image_than_before_is_said() {
    let mut records = Records::default();
    assert_eq!(records.learn(record("sha256:1", "sha256:a", "docker.io/kindest/node")), None);
    assert_eq!(records.learn(record("sha256:1", "sha256:a", "mirror.example.com/kindest/node")), None);
    let said = records.learn(record("sha256:2", "sha256:b", "docker.io/kindest/node"));
    assert_eq!(
        said.as_deref(),
        Some(
            "docker.io/kindest/node:v1 is another image than before: sha256:2 from docker.io/kindest/node; on 2026-11-20 it \
             was sha256:1 from mirror.example.com/kindest/node"
        )
    );
}

#[test]
fn records_are_kept_for_their_platform() {
    let home = tempfile::tempdir().unwrap();
    let mut records = Records::read(home.path()).unwrap();
    records.learn(record("sha256:1", "sha256:a", "docker.io/kindest/node"));
    records.write(home.path()).unwrap();
    let records = Records::read(home.path()).unwrap();
    let image = Image::node("v1");
    assert_eq!(records.get(&image, "linux/amd64").map(|record| record.digest.as_str()), Some("sha256:1"));
    assert_eq!(records.get(&image, "linux/arm64"), None);
}

#[rstest]
#[case::no_login("unauthorized: authentication required", "docker login mirror")]
#[case::docker_hub(
    "pull access denied for kindest/nod, repository does not exist or may require 'docker login'",
    "docker login mirror"
)]
#[case::no_such_tag("manifest for kindest/node:v9 not found: manifest unknown: manifest unknown", "no such image")]
#[case::rate("toomanyrequests: You have reached your pull rate limit", "limits pulls")]
#[case::plain_http("http: server gave HTTP response to HTTPS client", "insecure-registries")]
#[case::own_ca("x509: certificate signed by unknown authority", "/etc/docker/certs.d/mirror/ca.crt")]
#[case::disk("write /var/lib/docker/tmp/x: no space left on device", "docker system df")]
#[case::no_network("dial tcp: lookup registry-1.docker.io: no such host", "proxy settings")]
fn a_failed_pull_says_what_to_do(#[case] why: &str, #[case] what: &str) {
    let hint = hint(why, "mirror");
    assert!(hint.contains(what), "{hint}");
}
