//! Diagnostics of a lab that does not answer at all: said in a few lines, soon, and without failing.

use std::path::Path;
use std::time::Duration;

use harness::budget::Budgets;
use harness::context::Context;
use harness::diagnose::{Collected, collect};
use harness::event::{Event, Recorder, StepOutcome};
use harness::install::facts::{Fact, Facts};
use harness::lab::state::LAB_FORMAT;
use harness::lab::{Engine, Home, Lab, LabFile};
use harness::role::Role;
use harness::scenario::Scenario;
use harness::topology::Topology;
use harness::versions::Versions;

const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrIn0.c2lnbmF0dXJl";

/// A lab whose engine and clusters are ports where nothing listens.
async fn dead_lab(home: &Path) -> Lab {
    let versions = Versions::parse(include_str!("../../../../kind/versions.toml")).expect("the versions file is sound");
    let scenario = Scenario::default_primary_remote(&versions);
    let topology = Topology::choose(&scenario, &[]).expect("an empty host has room");
    let home = Home { state: home.to_path_buf(), cache: home.to_path_buf() };
    std::fs::create_dir_all(home.lab(&scenario.lab)).expect("a folder");
    for role in Role::ALL {
        let context = &topology.cluster(role).context;
        let kubeconfig = format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: a\n  cluster: {{server: 'http://127.0.0.1:9'}}\n\
             contexts:\n- name: {context}\n  context: {{cluster: a, user: a}}\nusers:\n- name: a\n  user: {{token: {TOKEN}}}\n"
        );
        std::fs::write(home.kubeconfig(&scenario.lab, role), kubeconfig).expect("a kubeconfig file");
    }
    let docker = bollard::Docker::connect_with_http("http://127.0.0.1:9", 5, bollard::API_DEFAULT_VERSION);
    let engine = Engine { docker: docker.expect("a client needs no engine") };
    let facts = Facts::default();
    facts.learn(Fact::TokenBeforeSecret, format!("refused {TOKEN}"));
    facts.learn(Fact::GatewayAddress, "172.30.0.129");
    let file = LabFile {
        format: LAB_FORMAT,
        meshproof: "test".to_string(),
        scenario,
        topology: Some(topology),
        clusters: Default::default(),
        routes: Vec::new(),
        images: Default::default(),
        image_source: String::new(),
        data_plane: "none".to_string(),
        workload_image: "none".to_string(),
        istioctl: None,
        hub_and_tag: None,
        release: Default::default(),
        further: Default::default(),
        facts,
        proved: Vec::new(),
        failed: Default::default(),
    };
    Lab::open(&home, file, engine).await.expect("opening asks nothing of a cluster")
}

async fn collected(home: &Path) -> Collected {
    let recorder = Recorder::new(Vec::new());
    recorder.emit(Event::StepFinished {
        id: "remote-secret".to_string(),
        outcome: StepOutcome::Failed { error: "Get \"https://127.0.0.1:6443/api\": connection refused".to_string() },
        seconds: 1.0,
    });
    let lab = dead_lab(&home.join("home")).await;
    let context = Context::new(lab, recorder, Budgets { slow: 0.5 }).scoped("diagnostics");
    let limit = Duration::from_secs(60);
    tokio::time::timeout(limit, collect(&context, &home.join("diagnostics"))).await.expect("it is bounded")
}

#[tokio::test]
async fn a_lab_that_does_not_answer_is_said_in_a_line_for_each_cluster() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let collected = collected(home.path()).await;
    for role in Role::ALL {
        let about = format!("{role}/version.yaml: the API server of ");
        let lines: Vec<&String> = collected.missing.iter().filter(|line| line.starts_with(&about)).collect();
        assert_eq!(lines.len(), 1, "{:#?}", collected.missing);
    }
    assert!(collected.missing.iter().any(|line| line.starts_with("remote/nodes/")), "{:#?}", collected.missing);
    assert_eq!(collected.files, 4, "causes, versions, the lab and the index");
    assert_eq!(collected.hints.len(), 1, "{:#?}", collected.hints);
    assert!(collected.hints[0].starts_with("a remote secret names an API server at 127.0.0.1 (causes.txt): "));
}

#[tokio::test]
async fn what_the_lab_knows_is_kept_without_its_secrets() {
    let home = tempfile::tempdir().expect("a temporary folder");
    collected(home.path()).await;
    let read =
        |file: &str| std::fs::read_to_string(home.path().join("diagnostics").join(file)).expect("it was written");
    let lab = read("lab.json");
    assert!(lab.contains("172.30.0.129") && !lab.contains(TOKEN), "{lab}");
    assert!(serde_json::from_str::<serde_json::Value>(&lab).is_ok(), "{lab}");
    let index = read("README.md");
    assert!(index.contains("CTX_CLUSTER1=") && index.contains("remote/version.yaml: "), "{index}");
}
