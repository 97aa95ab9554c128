//! No secret reaches a diagnostics file; what is public stays.

use harness::diagnose::redact::{json, text};
use rstest::rstest;
use serde_json::json;

const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.c2VjcmV0.c2lnbmF0dXJl";
const KEY: &str = "-----BEGIN RSA PRIVATE KEY-----\nMIIabc\n-----END RSA PRIVATE KEY-----";
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nMIIabc\n-----END CERTIFICATE-----\n";

#[rstest]
#[case::a_bearer_token(&format!("authorization: Bearer {TOKEN} x"), TOKEN)]
#[case::two_tokens(&format!("{TOKEN},{TOKEN}"), TOKEN)]
#[case::a_private_key(&format!("before\n{KEY}\nafter\n"), "MIIabc")]
#[case::a_kubeconfig_key("users:\n- name: a\n  user:\n    client-key-data: c2VjcmV0\n", "c2VjcmV0")]
#[case::a_kubeconfig_token("    token: c2VjcmV0\n", "c2VjcmV0")]
fn a_secret_is_gone_and_the_rest_stays(#[case] given: &str, #[case] secret: &str) {
    let kept = text(given);
    assert!(!kept.contains(secret), "{kept}");
    assert!(kept.contains("<redacted>"), "{kept}");
}

#[rstest]
#[case::a_certificate(CERTIFICATE)]
#[case::a_word_that_begins_like_a_token("eyJust a word.\n")]
#[case::a_log_line("info: tokens are checked: ok\n")]
fn what_is_public_stays(#[case] given: &str) {
    assert_eq!(text(given), given);
}

#[test]
fn the_data_of_a_secret_goes_and_that_of_a_configmap_stays() {
    let mut list = json!({"items": [
        {"kind": "Secret", "metadata": {"name": "a"}, "data": {"kubeconfig": "c2VjcmV0"}},
        {"kind": "ConfigMap", "data": {"root-cert.pem": CERTIFICATE, "note": format!("a {TOKEN}")}},
        {"status": {"token": "c2VjcmV0"}}
    ]});
    json(&mut list);
    let kept = list.to_string();
    assert!(!kept.contains("c2VjcmV0") && !kept.contains(TOKEN), "{kept}");
    assert!(kept.contains("BEGIN CERTIFICATE"), "{kept}");
}
