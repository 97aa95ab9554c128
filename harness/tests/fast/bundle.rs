//! Bundles: what `capture` writes is read back, what is wrong with one is said, and each defect in one becomes an act.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use harness::bundle::rebuild::{Rebuilt, rebuild};
use harness::bundle::{self, Bundle, INDEX};
use harness::role::Role;
use harness::scenario::ExternalIstiod;
use harness::versions::{Component, Versions};
use rstest::rstest;
use serde_json::{Value, json};

/// A capture of a healthy lab, as it was written.
fn guide() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/bundles/guide")
}

fn healthy() -> Bundle {
    bundle::read(&guide()).expect("a bundle")
}

fn versions() -> Versions {
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../kind/versions.toml")).expect("the file");
    Versions::parse(&text).expect("versions")
}

fn rebuilt(bundle: &Bundle) -> Rebuilt {
    rebuild(bundle, &versions(), &BTreeMap::new()).expect("it can be rebuilt")
}

/// The acts, as a scenario file has them.
fn acts(bundle: &Bundle) -> Vec<Value> {
    let rebuilt = rebuilt(bundle);
    rebuilt.scenario.timeline.iter().map(|moment| serde_json::to_value(moment).expect("JSON")).collect()
}

fn document<'a>(bundle: &'a mut Bundle, file: &str, kind: &str, name: &str) -> &'a mut Value {
    let all = bundle.files.get_mut(file).unwrap_or_else(|| panic!("{file} is there"));
    let found = all.iter_mut().find(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("{file} has {kind} {name}"))
}

fn drop(bundle: &mut Bundle, file: &str, kind: &str, name: &str) {
    let all = bundle.files.get_mut(file).expect("it is there");
    all.retain(|object| object["kind"] != kind || object["metadata"]["name"] != name);
}

#[test]
fn the_guides_own_mesh_needs_no_act() {
    let rebuilt = rebuilt(&healthy());
    assert_eq!(rebuilt.scenario.timeline, Vec::new());
    assert_eq!(rebuilt.scenario.clusters[&Role::Primary].overlay, None);
    let names = Role::ALL.map(|role| rebuilt.scenario.clusters[&role].name.clone());
    assert_eq!(names, ["cluster1", "cluster2"]);
    assert_eq!((rebuilt.scenario.mesh_id.as_str(), rebuilt.scenario.network.as_str()), ("mesh1", "network1"));
    assert_eq!((rebuilt.scenario.istio.as_str(), rebuilt.scenario.kubernetes.as_str()), ("1.31.1", "v1.36.3"));
    assert_eq!(rebuilt.scenario.install.external_istiod, ExternalIstiod::Env);
    // Only the user's own workloads are not rebuilt.
    let other: Vec<_> = rebuilt.not_rebuilt.iter().filter(|row| !row.what.contains("proxies")).collect();
    assert!(other.is_empty(), "{other:#?}");
}

/// A capture of a healthy lab of `suites/scenarios/revision-and-tag.yaml`.
fn of_a_revision() -> Bundle {
    bundle::read(&guide().with_file_name("revision")).expect("a bundle")
}

#[test]
fn a_mesh_that_was_installed_by_revision_is_installed_so_again_and_needs_no_act() {
    let rebuilt = rebuilt(&of_a_revision());
    assert_eq!(rebuilt.scenario.timeline, Vec::new());
    let install = &rebuilt.scenario.install;
    assert_eq!((install.revision.as_deref(), install.tag.as_deref()), (Some("canary"), Some("prod")));
    assert_eq!(rebuilt.scenario.clusters[&Role::Primary].overlay, None);
    let other: Vec<_> = rebuilt.not_rebuilt.iter().filter(|row| !row.what.contains("proxies")).collect();
    assert!(other.is_empty(), "{other:#?}");
}

/// By the names that the revision gives.
#[rstest]
#[case::not_exposed("primary/exposure.yaml", "VirtualService", "istiod-vs-canary")]
#[case::no_service("remote/services.yaml", "Service", "istiod-canary")]
#[case::no_injector("remote/webhooks.yaml", "MutatingWebhookConfiguration", "istio-sidecar-injector-canary")]
#[case::no_role("remote/reader-role.yaml", "ClusterRole", "istio-reader-clusterrole-canary-istio-system")]
fn what_is_missing_of_a_revision_is_deleted_on_the_lab(#[case] file: &str, #[case] kind: &str, #[case] name: &str) {
    let mut bundle = of_a_revision();
    document(&mut bundle, file, kind, name);
    drop(&mut bundle, file, kind, name);
    let acts = acts(&bundle);
    assert_eq!(acts.len(), 1, "{acts:#?}");
    assert_eq!(
        (&acts[0]["delete"]["object"]["kind"], &acts[0]["delete"]["object"]["name"]),
        (&json!(kind), &json!(name))
    );
}

#[test]
fn a_revision_that_no_lab_can_have_is_said() {
    let mut bundle = of_a_revision();
    bundle.index.revision = "a-revision-of-many-letters".to_string();
    let rebuilt = rebuilt(&bundle);
    assert_eq!((rebuilt.scenario.install.revision, rebuilt.scenario.install.tag), (None, None));
    let what = "not rebuilt: revision a-revision-of-many-letters";
    assert!(rebuilt.not_rebuilt.iter().any(|row| row.what == what), "{:#?}", rebuilt.not_rebuilt);
}

/// Each defect by how it shows in a bundle, with words of the one act that makes it.
#[rstest]
#[case::annotation_missing(|bundle: &mut Bundle| {
    drop(bundle, "remote/namespaces.yaml", "Namespace", "istio-system");
}, &["patch", "remote", "controlPlaneClusters\":null"])]
#[case::annotation_of_another(|bundle: &mut Bundle| {
    let namespace = document(bundle, "remote/namespaces.yaml", "Namespace", "istio-system");
    namespace["metadata"]["annotations"]["topology.istio.io/controlPlaneClusters"] = json!("cluster9");
}, &["patch", "remote", "controlPlaneClusters\":\"cluster9\""])]
#[case::network_of_another_name(|bundle: &mut Bundle| {
    bundle.files.get_mut("primary/injection-values.yaml").expect("values")[0]["global"]["network"] = json!("network9");
}, &["edit", "istio-sidecar-injector", r#"\"network\": \"network1\""#, r#"\"network\": \"network9\""#])]
#[case::gateway_resource_missing(|bundle: &mut Bundle| {
    drop(bundle, "primary/exposure.yaml", "Gateway", "istiod-gateway");
}, &["delete", "primary", "Gateway", "istiod-gateway"])]
#[case::gateway_without_a_port(|bundle: &mut Bundle| {
    let gateway = document(bundle, "primary/exposure.yaml", "Gateway", "istiod-gateway");
    gateway["spec"]["servers"].as_array_mut().expect("servers").remove(0);
}, &["patch", "istiod-gateway", "/spec", "15017"])]
#[case::gateway_scaled_to_zero(|bundle: &mut Bundle| {
    let gateway = document(bundle, "primary/deployments.yaml", "Deployment", "istio-eastwestgateway");
    gateway["spec"]["replicas"] = json!(0);
}, &["scale", "istio-eastwestgateway", "\"replicas\":0"])]
#[case::injection_path_of_another(|bundle: &mut Bundle| {
    let webhooks = document(bundle, "remote/webhooks.yaml", "MutatingWebhookConfiguration", "istio-sidecar-injector");
    webhooks["webhooks"][0]["clientConfig"]["service"]["path"] = json!("/inject/cluster/cluster9/net/network1");
}, &["patch", "strategic", "/inject/cluster/cluster9/net/network1"])]
#[case::another_pilot_address(|bundle: &mut Bundle| {
    let slices = bundle.files.get_mut("remote/endpoint-slices.yaml").expect("slices");
    slices.iter_mut().for_each(|slice| slice["endpoints"] = json!([{"addresses": ["10.9.9.9"]}]));
}, &["patch", "EndpointSlice", "192.0.2.1"])]
#[case::reader_without_webhooks(|bundle: &mut Bundle| {
    let rules = bundle.files.get_mut("remote/reader-role.yaml").expect("the role")[0]["rules"].as_array_mut().expect("rules");
    rules.retain(|rule| !rule["resources"].to_string().contains("mutatingwebhook"));
}, &["patch", "ClusterRole", "/rules"])]
#[case::secret_missing(|bundle: &mut Bundle| {
    bundle.files.insert("primary/remote-secrets.yaml".to_string(), Vec::new());
}, &["delete", "Secret", "istio-remote-secret-cluster2"])]
#[case::secret_without_label(|bundle: &mut Bundle| {
    let secret = document(bundle, "primary/remote-secrets.yaml", "Secret", "istio-remote-secret-cluster2");
    secret["metadata"]["labels"] = json!({});
}, &["patch", "Secret", "istio/multiCluster\":null"])]
#[case::secret_of_another_name(|bundle: &mut Bundle| {
    let secret = document(bundle, "primary/remote-secrets.yaml", "Secret", "istio-remote-secret-cluster2");
    secret["clusters"][0]["key"] = json!("cluster9");
}, &["patch", "move", "/data/cluster2", "/data/cluster9"])]
#[case::secret_of_localhost(|bundle: &mut Bundle| {
    let secret = document(bundle, "primary/remote-secrets.yaml", "Secret", "istio-remote-secret-cluster2");
    secret["clusters"][0]["server"] = json!("127.0.0.1:6443");
}, &["edit", "https://${NODE2}:6443", "https://127.0.0.1:6443"])]
#[case::secret_unknown_and_istiod_knows_nobody(|bundle: &mut Bundle| {
    bundle.files.remove("primary/remote-secrets.yaml");
    bundle.index.known_to_istiod = Some(Vec::new());
}, &["delete", "Secret", "istio-remote-secret-cluster2"])]
fn a_defect_becomes_one_act(#[case] defect: fn(&mut Bundle), #[case] words: &[&str]) {
    let mut bundle = healthy();
    defect(&mut bundle);
    let acts = acts(&bundle);
    assert_eq!(acts.len(), 1, "{acts:#?}");
    let text = acts[0].to_string();
    for word in words {
        assert!(text.contains(word), "{word} in {text}");
    }
}

#[test]
fn without_external_istiod_it_is_rolled_out_anew() {
    let mut bundle = healthy();
    let istiod = document(&mut bundle, "primary/deployments.yaml", "Deployment", "istiod");
    let env = istiod["spec"]["template"]["spec"]["containers"][0]["env"].as_array_mut().expect("variables");
    env.retain(|variable| variable["name"] != "EXTERNAL_ISTIOD");
    let acts = acts(&bundle);
    assert_eq!(acts.len(), 2, "{acts:#?}");
    assert!(acts[0].to_string().contains("EXTERNAL_ISTIOD") && acts[1]["rollOut"].is_object(), "{acts:#?}");
}

/// What istiod reads only once has to be read anew, or the lab would go on as before.
#[test]
fn where_istiod_never_led_it_decides_anew_and_its_ca_is_taken_away() {
    let mut bundle = healthy();
    drop(&mut bundle, "remote/namespaces.yaml", "Namespace", "istio-system");
    let webhooks =
        document(&mut bundle, "remote/webhooks.yaml", "MutatingWebhookConfiguration", "istio-sidecar-injector");
    for webhook in webhooks["webhooks"].as_array_mut().expect("webhooks") {
        webhook["clientConfig"]["caBundle"] = json!("");
    }
    let acts: Vec<String> = acts(&bundle).iter().map(Value::to_string).collect();
    assert_eq!(acts.len(), 3, "{acts:#?}");
    assert!(acts[0].contains("controlPlaneClusters\":null"), "first what it reads: {acts:#?}");
    assert!(acts[1].contains("renew") && acts[1].contains("istio-remote-secret-cluster2"), "{acts:#?}");
    assert!(acts[2].contains("/webhooks/0/clientConfig/caBundle"), "{acts:#?}");
}

#[test]
fn what_the_user_set_is_laid_over_the_labs_operator() {
    let mut bundle = healthy();
    let values = &mut bundle.files.get_mut("primary/values.yaml").expect("values")[0];
    values["pilot"]["env"]["PILOT_ENABLE_AMBIENT"] = json!("true");
    values["pilot"]["resources"]["limits"] = json!({"cpu": "8"});
    let config = &mut bundle.files.get_mut("primary/mesh-config.yaml").expect("the config")[0];
    config["outboundTrafficPolicy"] = json!({"mode": "REGISTRY_ONLY"});
    config["trustDomain"] = json!("prod.example");
    config["extensionProviders"].as_array_mut().expect("a list").push(json!({"name": "mine"}));
    let rebuilt = rebuilt(&bundle);
    let overlay = rebuilt.scenario.clusters[&Role::Primary].overlay.clone().expect("an overlay");
    assert_eq!(overlay["values"], json!({"pilot": {"env": {"PILOT_ENABLE_AMBIENT": "true"}}}));
    assert_eq!(overlay["meshConfig"]["outboundTrafficPolicy"]["mode"], "REGISTRY_ONLY");
    let names: Vec<&str> = overlay["meshConfig"]["extensionProviders"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|one| one["name"].as_str())
        .collect();
    assert_eq!(names, ["mine", "meshproof-access-log"], "a list takes the place of the lab's, which the checks need");
    assert!(rebuilt.not_rebuilt.iter().any(|row| row.what == "not rebuilt: meshConfig.trustDomain"));
}

#[rstest]
#[case::known("1.29.2", "v1.34.4", Ok(("1.29.2", "v1.34.4")))]
#[case::of_a_platform("1.31.1-distroless", "v1.34.4-gke.12", Ok(("1.31.1", "v1.34.4")))]
#[case::the_next_of_its_line("1.31.0", "v1.36.2", Ok(("1.31.1", "v1.36.4")))]
#[case::kubernetes_of_no_line("1.31.1", "v1.20.0", Ok(("1.31.1", "v1.36.3")))]
#[case::istio_of_no_line("1.20.0", "v1.36.3", Err("versions add istio 1.20.0"))]
#[case::istio_of_no_version("", "v1.36.3", Err("--istio"))]
fn versions_are_the_same_or_the_difference_is_said(
    #[case] istio: &str,
    #[case] kubernetes: &str,
    #[case] taken: Result<(&str, &str), &str>,
) {
    let mut bundle = healthy();
    bundle.index.istio = istio.to_string();
    bundle.index.clusters.values_mut().for_each(|cluster| cluster.kubernetes = kubernetes.to_string());
    match (rebuild(&bundle, &versions(), &BTreeMap::new()), taken) {
        (Ok(rebuilt), Ok((istio_taken, kubernetes_taken))) => {
            assert_eq!(
                (rebuilt.scenario.istio.as_str(), rebuilt.scenario.kubernetes.as_str()),
                (istio_taken, kubernetes_taken)
            );
            let said = |version: &str| rebuilt.not_rebuilt.iter().any(|row| row.what.contains(version));
            assert_eq!(said(istio), istio != istio_taken);
            assert_eq!(said(kubernetes), kubernetes != kubernetes_taken);
        }
        (Err(problems), Err(word)) => assert!(problems.to_string().contains(word), "{problems}"),
        (got, wanted) => panic!("{got:?}, not {wanted:?}"),
    }
}

#[test]
fn a_version_that_is_asked_for_stands_in_for_one_that_is_not_known() {
    let mut bundle = healthy();
    bundle.index.istio = "1.20.0".to_string();
    let asked = BTreeMap::from([(Component::Istio, "1.29.2".to_string())]);
    let rebuilt = rebuild(&bundle, &versions(), &asked).expect("it can be rebuilt");
    assert_eq!(rebuilt.scenario.istio, "1.29.2");
    assert!(rebuilt.not_rebuilt.iter().any(|row| row.what.contains("1.20.0") && row.why.contains("1.29.2")));
}

#[test]
fn a_cluster_that_no_lab_can_have_gets_another_name_everywhere() {
    let mut bundle = healthy();
    let text =
        serde_json::to_string(&json!([bundle.index, bundle.files])).expect("JSON").replace("cluster1", "gke_x_eu");
    let [index, files]: [Value; 2] = serde_json::from_str(&text).expect("JSON");
    bundle.index = serde_json::from_value(index).expect("an index");
    bundle.files = serde_json::from_value(files).expect("files");
    bundle.index.clusters.get_mut(&Role::Primary).expect("it").id = "gke_x_eu".to_string();
    let namespace = document(&mut bundle, "remote/namespaces.yaml", "Namespace", "istio-system");
    namespace["metadata"]["annotations"]["topology.istio.io/controlPlaneClusters"] = json!("other,gke_x_eu");
    let acts: Vec<String> = acts(&bundle).iter().map(Value::to_string).collect();
    assert_eq!(acts.len(), 1, "{acts:#?}");
    assert!(acts[0].contains("other,cluster1"), "{acts:#?}");
}

#[test]
fn a_bundle_is_read_as_it_was_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("bundle");
    bundle::free(&out).expect("it is free");
    let captured = healthy();
    let written = bundle::write(&captured, &out).expect("it can be written");
    assert_eq!(written.len(), captured.files.len() + 2, "and a README and the index");
    assert_eq!(bundle::read(&out).expect("a bundle"), captured);
    let readme = fs::read_to_string(out.join("README.md")).expect("the README");
    assert!(captured.files.keys().all(|file| readme.contains(&format!("`{file}`"))), "it names every file: {readme}");
    let problem = bundle::free(&out).unwrap_err().to_string();
    assert!(problem.contains("not empty"), "{problem}");
}

#[test]
fn an_anonymised_bundle_rebuilds_the_same_and_names_nobody() {
    let mut captured = healthy();
    captured.index.clusters.get_mut(&Role::Remote).expect("it").proxies.insert("acme-shop".to_string(), 2);
    let config = &mut captured.files.get_mut("primary/mesh-config.yaml").expect("the config")[0];
    config["extensionProviders"][0]["opentelemetry"] = json!({"service": "otel.acme-obs.svc", "port": 4317});
    let service = document(&mut captured, "primary/services.yaml", "Service", "istio-eastwestgateway");
    let address = service["status"]["loadBalancer"]["ingress"][0]["ip"].as_str().expect("an address").to_string();
    let anonymised = bundle::anonymised(captured.clone());
    let text = serde_json::to_string(&json!([anonymised.index, anonymised.files])).expect("JSON");
    for word in ["acme", address.as_str()] {
        assert!(!text.contains(word), "{word} in {text}");
    }
    assert!(anonymised.index.anonymised);
    assert_eq!(acts(&anonymised), acts(&captured));
}

#[test]
fn of_a_bundle_that_cannot_be_written_nothing_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut captured = healthy();
    // A file where a folder has to be.
    captured.files.insert("primary".to_string(), Vec::new());
    let out = folder.path().join("bundle");
    assert!(bundle::write(&captured, &out).is_err());
    assert!(!out.exists(), "{:?}", fs::read_dir(&out).map(|all| all.count()));
}

fn copied(folder: &Path) -> PathBuf {
    let out = folder.join("bundle");
    bundle::write(&healthy(), &out).expect("it can be written");
    out
}

/// Each damage to a bundle, with words of what is said of it.
#[rstest]
#[case::without_index(|folder: &Path| fs::remove_file(folder.join(INDEX)).unwrap(), &["no bundle.yaml", "did not end"])]
#[case::of_a_later_form(|folder: &Path| edit(folder, INDEX, "form: 1", "form: 2"), &["form 2", "newer meshproof"])]
#[case::without_a_form(|folder: &Path| edit(folder, INDEX, "form: 1\n", ""), &["does not say its `form`"])]
#[case::index_of_no_sense(|folder: &Path| fs::write(folder.join(INDEX), "{").unwrap(), &["bundle.yaml"])]
#[case::in_a_namespace_of_kubernetes(|folder: &Path| edit(folder, INDEX, "istioNamespace: istio-system", "istioNamespace: kube-system"), &["istioNamespace", "of Kubernetes"])]
#[case::without_a_cluster(|folder: &Path| edit(folder, INDEX, "  remote:", "  other:"), &["bundle.yaml"])]
#[case::a_file_and_another_missing(|folder: &Path| {
    fs::remove_file(folder.join("remote/services.yaml")).unwrap();
    fs::remove_file(folder.join("remote/webhooks.yaml")).unwrap();
}, &["remote/services.yaml", "remote/webhooks.yaml", "2 problems"])]
#[case::a_file_cut(|folder: &Path| edit(folder, "remote/webhooks.yaml", "kind: MutatingWebhookConfiguration", "kind: ["), &["remote/webhooks.yaml", "this is not YAML"])]
#[case::a_document_missing(|folder: &Path| fs::write(folder.join("remote/services.yaml"), "").unwrap(), &["has 0 documents"])]
#[case::a_path_outside(|folder: &Path| edit(folder, INDEX, "path: remote/services.yaml", "path: ../../etc/passwd"), &["no file of this folder"])]
#[case::an_absolute_path(|folder: &Path| edit(folder, INDEX, "path: remote/services.yaml", "path: /etc/passwd"), &["no file of this folder"])]
#[case::a_link(|folder: &Path| {
    fs::remove_file(folder.join("remote/services.yaml")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", folder.join("remote/services.yaml")).unwrap();
}, &["is a link"])]
#[case::a_linked_folder(|folder: &Path| {
    fs::rename(folder.join("remote"), folder.join("elsewhere")).unwrap();
    std::os::unix::fs::symlink("elsewhere", folder.join("remote")).unwrap();
}, &["is a link"])]
#[case::a_huge_file(|folder: &Path| fs::write(folder.join("remote/services.yaml"), vec![b'#'; 5 << 20]).unwrap(), &["larger than 4 MiB"])]
#[case::no_text(|folder: &Path| fs::write(folder.join("remote/services.yaml"), [0xff, 0xfe]).unwrap(), &["is no text"])]
#[case::aliases_without_end(|folder: &Path| fs::write(folder.join("remote/services.yaml"), bomb()).unwrap(), &["remote/services.yaml", "not YAML"])]
fn what_is_wrong_with_a_bundle_is_said(#[case] damage: fn(&Path), #[case] words: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    let bundle = copied(folder.path());
    damage(&bundle);
    let said = bundle::read(&bundle).unwrap_err().to_string();
    for word in words {
        assert!(said.contains(word), "{word} in {said}");
    }
}

fn edit(folder: &Path, file: &str, from: &str, to: &str) {
    let text = fs::read_to_string(folder.join(file)).expect("the file");
    assert!(text.contains(from), "{file} has {from}");
    fs::write(folder.join(file), text.replacen(from, to, 1)).expect("it can be written");
}

/// A few lines of YAML that grow to a thousand million words.
fn bomb() -> String {
    let nine = |name: char| std::iter::repeat_n(format!("*{name}"), 9).collect::<Vec<_>>().join(", ");
    let lines = ('b'..='j').zip('a'..).map(|(name, before)| format!("{name}: &{name} [{}]\n", nine(before)));
    format!("a: &a [{}]\n{}", ["x"; 9].join(", "), lines.collect::<String>())
}
