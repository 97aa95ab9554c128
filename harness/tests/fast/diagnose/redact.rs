//! No secret reaches a file, in whatever clothes it comes; certificates do.

use harness::diagnose::redact::{GONE, json, text};
use rstest::rstest;

/// What must never be seen again, in every sample below.
const SECRET: &str = "c2VjcmV0LXNlY3JldC1zZWNyZXQ";
const TOKEN: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6IngifQ.eyJpc3MiOiJrdWJlcm5ldGVzIn0.c2VjcmV0LXNlY3JldC1zZWNyZXQ";
const KEY: &str =
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEc2VjcmV0LXNlY3JldC1zZWNyZXQ\nAAAA\n-----END RSA PRIVATE KEY-----\n";
const CERTIFICATE: &str =
    "-----BEGIN CERTIFICATE-----\nMIIC/TCCAeWgAwIBAgIRAPrw\nlGSV7Elm5jJB78owXk=\n-----END CERTIFICATE-----\n";
const BUNDLE: &str = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUMvVENDQWVXZ0F3SUJBZ0lSQVBydw==";

#[rstest]
#[case::bearer(&format!("Authorization: Bearer {TOKEN}\nkept"))]
#[case::opaque_bearer("authorization: bearer c2VjcmV0LXNlY3JldC1zZWNyZXQ kept")]
#[case::basic("\"authorization\": \"Basic c2VjcmV0LXNlY3JldC1zZWNyZXQ=\" kept")]
#[case::token_in_a_sentence(&format!("the token {TOKEN}, it said; kept"))]
#[case::token_without_its_signature(
    "eyJhbGciOiJSUzI1NiIsImtpZCI6IngifQ.eyJpc3MiOiJrdWJlc2VjcmV0LXNlY3JldC1zZWNyZXQ kept"
)]
#[case::two_tokens(&format!("{TOKEN},{TOKEN} kept"))]
#[case::token_in_base64("x: ZXlKaGJHY2lPaUpTVXpJMU5pSXNjc2VjcmV0LXNlY3JldC1zZWNyZXQ= kept")]
#[case::key(&format!("kept\n{KEY}kept"))]
#[case::key_in_json(
    "{\"key.pem\":\"-----BEGIN PRIVATE KEY-----\\nMIIEc2VjcmV0LXNlY3JldC1zZWNyZXQ\\n-----END PRIVATE KEY-----\\n\",\"a\":\"kept\"}"
)]
#[case::key_in_yaml(
    "key: |\n  -----BEGIN EC PRIVATE KEY-----\n  c2VjcmV0LXNlY3JldC1zZWNyZXQ\n  -----END EC PRIVATE KEY-----\nb: kept\n"
)]
#[case::key_without_its_end("kept: -----BEGIN PRIVATE KEY-----\nc2VjcmV0LXNlY3JldC1zZWNyZXQ\n")]
#[case::key_without_its_head("kept.\nc2VjcmV0LXNlY3JldC1zZWNyZXQ\n-----END PRIVATE KEY-----\n")]
#[case::key_in_base64(
    "key.pem: LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVktLS0tLQpNSUlFc2VjcmV0LXNlY3JldC1zZWNyZXQ=\na: kept\n"
)]
#[case::kubeconfig_key("  user:\n    client-key-data: c2VjcmV0LXNlY3JldC1zZWNyZXQ=\n    a: kept\n")]
#[case::kubeconfig_certificate("- client-certificate-data: c2VjcmV0LXNlY3JldC1zZWNyZXQ=\n  a: kept\n")]
#[case::kubeconfig_token("    token: c2VjcmV0LXNlY3JldC1zZWNyZXQ\n    a: kept\n")]
#[case::token_block("token: |\n  c2VjcmV0LXNlY3JldC1zZWNyZXQ\n  more\na: kept\n")]
#[case::json_field("{\"token\": \"c2VjcmV0LXNlY3JldC1zZWNyZXQ\", \"a\": \"kept\"}")]
#[case::json_line("  \"token\": \"c2VjcmV0LXNlY3JldC1zZWNyZXQ\",\n  \"a\": \"kept\"\n")]
#[case::json_in_a_string("log: {\\\"token\\\":\\\"c2VjcmV0LXNlY3JldC1zZWNyZXQ\\\",\\\"a\\\":\\\"kept\\\"}")]
#[case::query("GET /a?token=c2VjcmV0LXNlY3JldC1zZWNyZXQ&a=kept")]
#[case::flag("kubectl --token c2VjcmV0LXNlY3JldC1zZWNyZXQ --kept")]
#[case::secret_yaml(
    "apiVersion: v1\ndata:\n  kubeconfig: c2VjcmV0LXNlY3JldC1zZWNyZXQ=\n  other: |\n    c2VjcmV0LXNlY3JldC1zZWNyZXQ\nkind: Secret\nmetadata:\n  name: kept\n"
)]
#[case::secret_in_a_list(
    "items:\n- apiVersion: v1\n  kind: Secret\n  metadata: {name: kept}\n  stringData:\n    a: c2VjcmV0LXNlY3JldC1zZWNyZXQ\n- kind: ConfigMap\n"
)]
#[case::secret_flow("kind: Secret\ndata: {a: c2VjcmV0LXNlY3JldC1zZWNyZXQ}\nmetadata: {name: kept}\n")]
#[case::secret_json(
    "{\"kind\":\"Secret\",\"data\":{\"a\":\"c2VjcmV0LXNlY3JldC1zZWNyZXQ\"},\"metadata\":{\"name\":\"kept\"}}"
)]
#[case::secret_in_an_annotation(
    "  last: '{\"apiVersion\":\"v1\",\"data\":{\"a\":\"c2VjcmV0LXNlY3JldC1zZWNyZXQ\"},\"kind\":\"Secret\",\"name\":\"kept\"}'\n"
)]
#[case::secret_json_cut_off(
    "{\n  \"kind\": \"Secret\",\n  \"name\": \"kept\",\n  \"data\": {\n    \"a\": \"c2VjcmV0LXNlY3JldC1zZWNyZXQ\"\n"
)]
fn a_secret_is_gone_and_what_stands_beside_it_stays(#[case] given: &str) {
    assert!(
        given.contains(SECRET) || given.contains("c2VjcmV0LXNlY3JldC1zZWNyZXQ"),
        "the sample has its secret: {given}"
    );
    let kept = text(given);
    assert!(!kept.contains(&SECRET[4..20]), "{kept}");
    assert!(kept.contains(GONE) && kept.contains("kept"), "{kept}");
    assert_eq!(text(&kept), kept, "a second time changes nothing");
}

#[rstest]
#[case::certificate(CERTIFICATE)]
#[case::bundle(&format!("caBundle: {BUNDLE}\n"))]
#[case::authority(&format!("    certificate-authority-data: {BUNDLE}\n"))]
#[case::configmap(
    "apiVersion: v1\ndata:\n  root-cert.pem: |\n    -----BEGIN CERTIFICATE-----\n    MIIC\n    -----END CERTIFICATE-----\nkind: ConfigMap\n"
)]
#[case::reference_to_a_secret("tls:\n  certificateRefs:\n  - kind: Secret\n    name: a\n")]
#[case::projected_token(
    "serviceAccountToken:\n  audience: istio-ca\n  expirationSeconds: 43200\n  path: istio-token\n"
)]
#[case::words_about_tokens("error Failed to authenticate: no bearer authentication; token: expired\n")]
#[case::a_word_that_begins_so("eyJust a word, eyJ.\n")]
#[case::nothing("token: \"\"\ntoken: null\n")]
#[case::names_of_secrets("secretName: istio-remote-secret-cluster2\nlist \"secrets\" in API group\n")]
fn what_is_public_stays(#[case] given: &str) {
    assert_eq!(text(given), given);
}

#[test]
fn a_list_of_objects_loses_the_data_of_secrets_alone() {
    let mut list = serde_json::json!({"items": [
        {"kind": "Secret", "metadata": {"name": "a"}, "data": {"kubeconfig": SECRET}},
        {"kind": "ConfigMap", "data": {"root-cert.pem": CERTIFICATE, "note": format!("a {TOKEN}")}},
        {"status": {"token": SECRET, "tokens": 3}},
    ]});
    json(&mut list);
    let kept = list.to_string();
    assert!(!kept.contains(&SECRET[4..20]), "{kept}");
    assert_eq!(list["items"][1]["data"]["root-cert.pem"], CERTIFICATE);
    assert_eq!(list["items"][2]["status"]["tokens"], 3);
}
