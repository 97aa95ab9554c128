//! Every row of the table fires on what Istio, Envoy or Kubernetes write, and not on what looks alike.

use std::collections::BTreeSet;

use harness::diagnose::hints::{SYMPTOMS, hints};
use harness::scenario::IstioNamespace;
use rstest::rstest;

const ISTIOD: &str = "primary/logs/istio-system/istiod-f9947fd8b-nkm6s.discovery.log";
const GATEWAY: &str = "primary/logs/istio-system/istio-eastwestgateway-784679f7fc-4jq8l.istio-proxy.log";
const SIDECAR: &str = "remote/logs/meshproof-sample/caller-7d74584c67-4n5s2.istio-proxy.log";
const KUBELET: &str = "remote/nodes/meshproof-cluster2-control-plane/kubelet.log";
const NETWORK: &str = "primary/nodes/meshproof-cluster1-control-plane/network.txt";
const EVENTS: &str = "remote/events.txt";
const TRUST: &str = "remote/trust.txt";
const CLUSTERZ: &str = "primary/pages/istiod-f9947fd8b-nkm6s/clusterz.json";
const CAUSES: &str = "causes.txt";

/// Title, file, a line that shows it, and a line that does not.
const SAMPLES: &[(&str, &str, &str, &str)] = &[
    (
        "a limit of the host is reached",
        KUBELET,
        "\"Could not set up file watcher\" err=\"inotify_init: too many open files\"",
        "open /etc/hosts: no such file or directory",
    ),
    (
        "the disk is full",
        EVENTS,
        "Warning Failed write /var/lib/containerd: no space left on device",
        "Normal NodeHasNoDiskPressure",
    ),
    (
        "an image is not on the node",
        EVENTS,
        "Warning ErrImageNeverPull Container image \"localhost/meshproof/proxyv2:1.31.1\" is not present with pull policy of Never",
        "Normal Pulled Container image \"localhost/meshproof/proxyv2:1.31.1\" already present on machine",
    ),
    (
        "a pod finds no room",
        EVENTS,
        "Warning FailedScheduling 0/1 nodes are available: 1 Insufficient cpu.",
        "Normal Scheduled Successfully assigned meshproof-sample/caller to node",
    ),
    (
        "pods of the two clusters have no route to each other",
        NETWORK,
        "10.20.0.0/24 via 172.30.0.2 on meshproof-cluster1-control-plane: missing",
        "10.20.0.0/24 via 172.30.0.2 on meshproof-cluster1-control-plane: there",
    ),
    (
        "pods of the two clusters have no route to each other",
        CAUSES,
        "case d10 failed: cannot reach it: No route to host (os error 113)",
        "case d11 failed: no route configuration for host",
    ),
    (
        "two Gateways claim the same port and host",
        GATEWAY,
        "gRPC config for type.googleapis.com/envoy.config.listener.v3.Listener rejected: Error adding/updating listener(s) 0.0.0.0_15443: error adding listener '0.0.0.0:15443': filter chain '' has the same matching rules defined as ''",
        "lds: add/update listener '0.0.0.0_15443' with 2 filter chains",
    ),
    (
        "two Gateways claim the same port and host",
        GATEWAY,
        "duplicate matcher in filter chain",
        "duplicate cluster found in filter",
    ),
    (
        "istiod has not synced the remote cluster",
        CLUSTERZ,
        "    \"syncStatus\": \"timeout\"",
        "    \"syncStatus\": \"synced\"",
    ),
    (
        "a remote secret names an API server at 127.0.0.1",
        ISTIOD,
        "failed to list *v1.Pod: Get \"https://127.0.0.1:60535/api/v1/pods\": dial tcp 127.0.0.1:60535: connect: connection refused",
        "Get \"https://172.30.0.2:6443/api/v1/pods\": dial tcp 172.30.0.2:6443: connect: connection refused",
    ),
    (
        "names of the clusters do not fit together",
        ISTIOD,
        "KubeJWTAuthenticator: client claims to be in cluster \"other\", but we only know about local cluster \"cluster1\" and remote clusters [cluster2]",
        "KubeJWTAuthenticator: client claims to be in cluster \"cluster2\", but we only know about local cluster \"cluster1\" and remote clusters []",
    ),
    (
        "names of the clusters do not fit together",
        EVENTS,
        "admission webhook denied the request: could not get cluster other's kube client",
        "could not get cluster",
    ),
    (
        "istiod does not trust a proxy's token",
        SIDECAR,
        "failed to sign: create certificate: rpc error: code = Unauthenticated desc = authentication failure",
        "failed to sign: create certificate: rpc error: code = Unavailable desc = connection error",
    ),
    (
        "istiod does not lead in the remote cluster",
        ISTIOD,
        "info kube should join leader-election for cluster cluster2: false",
        "info kube should join leader-election for cluster cluster2: true",
    ),
    (
        "istiod may not write in the remote cluster",
        ISTIOD,
        "mutatingwebhookconfigurations.admissionregistration.k8s.io \"istio-sidecar-injector\" is forbidden: User \"system:serviceaccount:istio-system:istio-reader-service-account\" cannot update resource",
        "updated mutatingwebhookconfigurations istio-sidecar-injector",
    ),
    (
        "an injection webhook has no CA",
        TRUST,
        "MutatingWebhookConfiguration istio-sidecar-injector rev.namespace.sidecar-injector.istio.io caBundle: empty",
        "MutatingWebhookConfiguration istio-sidecar-injector rev.namespace.sidecar-injector.istio.io caBundle: sha256 ab, 1090 bytes",
    ),
    (
        "a CA root is not cluster1's",
        TRUST,
        "ConfigMap default/istio-ca-root-cert root-cert.pem: sha256 ab, 9 bytes, which is not cluster1's root",
        "ConfigMap default/istio-ca-root-cert root-cert.pem: sha256 ab, 9 bytes",
    ),
    (
        "an API server does not trust the injection webhook",
        EVENTS,
        "Error creating: Internal error occurred: failed calling webhook \"namespace.sidecar-injector.istio.io\": failed to call webhook: Post \"https://istiod.istio-system.svc:443/inject\": tls: failed to verify certificate: x509: certificate signed by unknown authority",
        "Error creating: x509: certificate has expired or is not yet valid",
    ),
    (
        "a proxy does not trust istiod",
        SIDECAR,
        "transport: authentication handshake failed: tls: failed to verify certificate: x509: certificate signed by unknown authority",
        "SDS: PUSH resource=ROOTCA",
    ),
    (
        "an API server does not reach the injection webhook",
        EVENTS,
        "Error creating: Internal error occurred: failed calling webhook \"rev.namespace.sidecar-injector.istio.io\": failed to call webhook: Post \"https://istiod.istio-system.svc:443/inject?timeout=10s\": context deadline exceeded",
        "Readiness probe failed: context deadline exceeded",
    ),
    (
        "pods wait for the root certificate",
        EVENTS,
        "Warning FailedMount MountVolume.SetUp failed for volume \"istiod-ca-cert\" : configmap \"istio-ca-root-cert\" not found",
        "Warning FailedMount MountVolume.SetUp failed for volume \"kube-api-access\" : configmap \"kube-root-ca.crt\" not found",
    ),
    (
        "a proxy has no configuration from istiod",
        SIDECAR,
        "warn Envoy proxy is NOT ready: config not received from XDS server (is Istiod running?): cds updates: 0 successful, 0 rejected",
        "warn Envoy proxy is NOT ready: config received from XDS server, but was rejected",
    ),
    (
        "a proxy has no configuration from istiod",
        GATEWAY,
        "StreamAggregatedResources gRPC config stream closed: 14, upstream connect error",
        "StreamAggregatedResources gRPC config stream closed: 0, ",
    ),
    (
        "traffic is sent to a network gateway",
        SIDECAR,
        "{\"code\":503,\"upstream\":\"172.30.0.129:15443\",\"flags\":\"UF\"}",
        "{\"code\":200,\"upstream\":\"10.20.0.7:8080\",\"flags\":\"-\"}",
    ),
    (
        "Envoy has no healthy endpoint",
        CAUSES,
        "case d11 failed: 12 of 200 calls failed: 503 no healthy upstream (x12)",
        "case d11 failed: all answers came from healthy upstreams of cluster1",
    ),
];

fn titles(file: &str, text: &str) -> Vec<&'static str> {
    hints(&[(file.to_string(), text.to_string())], &IstioNamespace::default()).iter().map(|hint| hint.symptom).collect()
}

#[test]
fn every_row_fires_on_its_symptom_and_not_on_a_near_miss() {
    for (title, file, symptom, miss) in SAMPLES {
        assert!(titles(file, symptom).contains(title), "{title} is not seen in: {symptom}");
        assert!(!titles(file, miss).contains(title), "{title} is seen in: {miss}");
    }
}

#[test]
fn every_row_has_a_sample_and_says_what_to_do() {
    let sampled: BTreeSet<&str> = SAMPLES.iter().map(|(title, ..)| *title).collect();
    let rows: BTreeSet<&str> = SYMPTOMS.iter().map(|row| row.title).collect();
    assert_eq!(sampled, rows);
    assert_eq!(rows.len(), SYMPTOMS.len(), "titles are unique");
    let ids: BTreeSet<&str> = SYMPTOMS.iter().map(|row| row.id).collect();
    assert_eq!(ids.len(), SYMPTOMS.len(), "ids are unique");
    let kebab = |id: &&str| id.split('-').all(|word| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase()));
    assert!(ids.iter().all(kebab), "{ids:?}");
    for row in SYMPTOMS {
        assert!(!row.meaning.is_empty() && !row.reference.is_empty() && !row.look.is_empty(), "{}", row.title);
    }
}

#[rstest]
#[case::asked_again(
    ISTIOD,
    "should join leader-election for cluster cluster2: false\nshould join leader-election for cluster cluster2: true\n"
)]
#[case::ready_later(SIDECAR, "Envoy proxy is NOT ready: config not received from XDS server\nEnvoy proxy is ready\n")]
#[case::our_own_questions(
    ISTIOD,
    "Failed to authenticate /debug/clusterz [Authenticator KubeJWTAuthenticator: target JWT extraction error]\n"
)]
#[case::another_kind_of_file(TRUST, "config not received from XDS server\n")]
fn a_symptom_that_is_cured_or_elsewhere_is_none(#[case] file: &str, #[case] text: &str) {
    assert_eq!(titles(file, text), Vec::<&str>::new());
}

#[test]
fn a_symptom_in_many_files_is_said_once_with_the_first_of_them() {
    let text = "caBundle: empty".to_string();
    let found = hints(
        &[("primary/trust.txt".to_string(), text.clone()), ("remote/trust.txt".to_string(), text)],
        &IstioNamespace::default(),
    );
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].places(), "primary/trust.txt and 1 more");
    let line = found[0].to_string();
    assert!(line.starts_with("an injection webhook has no CA (primary/trust.txt and 1 more): "), "{line}");
    assert!(line.contains("; meshproof explain webhook-without-ca). Look closer: kubectl "), "{line}");
    assert!(!line.contains('\n'), "{line}");
}
