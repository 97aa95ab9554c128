//! A container beside both clusters on the lab's network: what an outsider gets from the exposed control plane.

use std::process::Command;

use testcontainers::core::WaitFor;
use testcontainers::runners::AsyncRunner;
use testcontainers::{GenericImage, ImageExt};

use crate::calling::{Lab, kubectl, workload_image};

/// An outsider reaches istiod through the gateway, as the guide warns, and gets no certificate from it.
pub fn gets_no_certificate(lab: &Lab) {
    let address = kubectl(
        lab,
        "cluster1",
        &[
            "-n",
            "istio-system",
            "get",
            "service",
            "istio-eastwestgateway",
            "-o",
            "jsonpath={.status.loadBalancer.ingress[0].ip}",
        ],
    );
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (tls, csr) = runtime.block_on(ask(lab, &address));
    assert_eq!(tls["handshake"], true, "an outsider reaches istiod: {tls}");
    assert_eq!(csr["accepted"], false, "an outsider gets no certificate: {csr}");
    assert_eq!(csr["grpc_status"], 16, "istiod refuses an outsider as unauthenticated: {csr}");
}

async fn ask(lab: &Lab, address: &str) -> (serde_json::Value, serde_json::Value) {
    let image = workload_image();
    let (name, tag) = image.split_once(':').expect("an image has a tag");
    let bystander = GenericImage::new(name, tag)
        .with_wait_for(WaitFor::message_on_stdout("listening"))
        .with_cmd(["serve"])
        .with_network(format!("meshproof-{}", lab.name))
        .start()
        .await
        .expect("a container on the lab's network");
    let id = bystander.id().to_string();
    let target = format!("{address}:15012");
    let workload = |args: &[&str]| {
        let output =
            Command::new("docker").args(["exec", &id, "/workload"]).args(args).output().expect("docker can be started");
        serde_json::from_slice(&output.stdout).expect("the workload prints JSON")
    };
    let tls = workload(&["tls", &target, "--sni", "istiod.istio-system.svc"]);
    let identity = "spiffe://cluster.local/ns/meshproof-sample/sa/caller";
    let csr = workload(&[
        "csr",
        &target,
        "--sni",
        "istiod.istio-system.svc",
        "--cluster-id",
        "cluster2",
        "--identity",
        identity,
    ]);
    // Awaited here: a removal in Drop may never run.
    bystander.rm().await.expect("the bystander goes");
    (tls, csr)
}
