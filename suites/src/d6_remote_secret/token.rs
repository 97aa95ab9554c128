//! What istiod answers to a service-account token of the remote cluster: before it knows that cluster, after, and when
//! the token is not what the remote cluster signed. No token ever leaves this file.

use std::collections::BTreeMap;

use harness::check::{Context, Evidence, Fault, Finding};
use harness::install::facts::Fact;
use harness::lab::probe::{self, Csr, Probe, ProbeError};
use harness::wait::{Look, Timeout, Wait};
use k8s_openapi::ByteString;
use kube::ResourceExt;
use serde_json::Value;

use super::secret::made_anew;
use crate::shared::certificate::sha256;
use crate::shared::istiod;

/// gRPC's status for a caller whose identity is not accepted.
const UNAUTHENTICATED: i32 = 16;

const ACCOUNT: &str = "probe";

/// Before the remote secret was there, each istiod refused the token: it could not ask the remote cluster who that is.
///
/// # Errors
/// A finding when one did not; [`Fault::Unknown`] when it was not observed.
pub fn refused_before(context: &Context, evidence: &mut Evidence) -> Result<(), Fault> {
    let (primary, remote) = (context.primary(), context.remote());
    let before: BTreeMap<String, Csr> = serde_json::from_str(&context.fact(Fact::TokenBeforeSecret)?)?;
    for (who, answer) in &before {
        let object = format!("{} {who}", primary.name);
        let got = words(answer);
        evidence.saw(&object, format!("answer to a token of {} before the remote secret", remote.name), &got);
        match answer.grpc_status {
            Some(UNAUTHENTICATED) if !answer.accepted => {}
            Some(_) => {
                return Err(Finding::new(format!(
                    "{object} did not refuse a token of {} as unauthenticated before it had the remote secret",
                    remote.name
                ))
                .expected_got(format!("gRPC status {UNAUTHENTICATED}"), got)
                .hint("some other credential let it in: look for other remote secrets and for JWT settings of istiod")
                .evidence(evidence)
                .into());
            }
            None => return Err(Fault::unknown(format!("{object} gave no answer before the remote secret: {got}"))),
        }
    }
    Ok(())
}

/// Now the token is accepted, for the identity that it stands for, by the primary's CA.
///
/// # Errors
/// A finding when it is not.
pub async fn accepted_now(context: &Context, address: &str, root: &str, evidence: &mut Evidence) -> Result<(), Fault> {
    let (primary, remote) = (context.primary(), context.remote());
    let probe = Probe::outside(remote, &context.budgets).await?;
    let wait = context.wait(format!("istiod to accept a token of {}", remote.name), context.budgets.converge());
    let name = primary.istiod();
    let answer =
        match until_accepted(wait, || probe.csr(address, &name, root)).await {
            Ok(answer) => answer,
            Err(timeout) => {
                return Err(Finding::new(format!(
                "istiod of {} gives no certificate for the token of ServiceAccount {}/{ACCOUNT} of {} at {address}: {}",
                primary.name, probe.namespace, remote.name, timeout.last()?
            ))
            .expected_got("a certificate", timeout.last()?)
            .hint(why_refused(context))
            .evidence(evidence)
            .into());
            }
        };
    let certificate = answer.certificate.unwrap_or_default();
    let identity = probe::IDENTITY.to_string();
    let seen = format!("{} at {address}", probe.object());
    let (uri, given) = (certificate.uri.join(", "), answer.root_sha256.unwrap_or_default());
    evidence
        .saw(&seen, "identity of the certificate given", &uri)
        .saw(&seen, "issuer of the certificate given", &certificate.issuer)
        .saw(&seen, "root that came with it (DER)", format!("sha256 {given}"));
    if certificate.uri != [identity.clone()] {
        return Err(Finding::new(format!(
            "istiod of {} gave a token of {} a certificate for another identity",
            primary.name, remote.name
        ))
        .expected_got(identity, uri)
        .evidence(evidence)
        .into());
    }
    let own = roots(root);
    evidence.saw(
        primary.object("ConfigMap", &format!("{}/istio-ca-root-cert", primary.istio_namespace)),
        "root-cert.pem (DER)",
        own.iter().map(|sha| format!("sha256 {sha}")).collect::<Vec<_>>().join(", "),
    );
    if !own.contains(&given) {
        return Err(Finding::new(format!(
            "the certificate that istiod gives to {} is not of the root that {} publishes",
            remote.name, primary.name
        ))
        .expected_got(own.join(" or "), given)
        .evidence(evidence)
        .into());
    }
    Ok(())
}

/// What each replica of istiod, asked from its own node, makes of tokens of the remote cluster: it accepts a good one,
/// and refuses the same with its signature altered, so that it accepted the other one for a reason.
///
/// # Errors
/// A finding that names the replica.
pub async fn judged_by_each(context: &Context, root: &str, evidence: &mut Evidence) -> Result<(), Fault> {
    let (primary, remote) = (context.primary(), context.remote());
    let token = probe::token(remote).await?;
    let altered =
        altered(&token).ok_or_else(|| Fault::unknown(format!("{} gave a token that is no JWT", remote.name)))?;
    let name = primary.istiod();
    for pod in istiod::pods(primary).await? {
        let object = istiod::object(primary, &pod.name_any());
        let address = pod.status.as_ref().and_then(|status| status.pod_ip.clone()).unwrap_or_default();
        let address = format!("{address}:15012");
        let probe = Probe::beside(primary, &pod, &context.budgets).await?;
        let wait = context.wait(format!("{object} to accept a token of {}", remote.name), context.budgets.converge());
        let good = match until_accepted(wait, || probe.csr_with(&address, &name, root, &remote.name, &token)).await {
            Ok(answer) => answer,
            Err(timeout) => {
                return Err(Finding::new(format!(
                    "{object} gives no certificate for a token of ServiceAccount meshproof-probe/{ACCOUNT} of {}: {}",
                    remote.name,
                    timeout.last()?
                ))
                .expected_got("a certificate", timeout.last()?)
                .hint(why_refused(context))
                .evidence(evidence)
                .into());
            }
        };
        let bad = probe.csr_with(&address, &name, root, &remote.name, &altered).await?;
        evidence.saw(&object, format!("answer to a fresh token of {}", remote.name), words(&good)).saw(
            &object,
            "answer to that token with its signature altered",
            words(&bad),
        );
        if bad.accepted {
            return Err(Finding::new(format!("{object} accepts a token that {} has not signed", remote.name))
                .expected_got(format!("gRPC status {UNAUTHENTICATED}"), words(&bad))
                .evidence(evidence)
                .into());
        }
        if bad.grpc_status != Some(UNAUTHENTICATED) {
            return Err(Fault::unknown(format!(
                "{object} neither accepted nor refused the altered token: {}",
                words(&bad)
            )));
        }
    }
    Ok(())
}

/// Asks until the token is accepted.
async fn until_accepted<F>(wait: Wait, ask: impl Fn() -> F) -> Result<Csr, Timeout>
where
    F: Future<Output = Result<Csr, ProbeError>>,
{
    wait.until(|| async {
        match ask().await {
            Ok(answer) if answer.accepted => Look::Yes(answer),
            Ok(answer) => Look::NotYet(words(&answer)),
            Err(error) => Look::unable(format!("the probe could not ask: {error}")),
        }
    })
    .await
}

/// `refused with gRPC status 16: request authenticate failure`.
fn words(answer: &Csr) -> String {
    let message = answer.grpc_message.as_deref().filter(|message| !message.is_empty());
    match (answer.accepted, answer.grpc_status) {
        (true, _) => "accepted".to_string(),
        (false, Some(status)) => format!("refused with gRPC status {status}: {}", message.unwrap_or("no message")),
        (false, None) => format!("no answer: {}", answer.error.as_deref().unwrap_or("and no error")),
    }
}

/// The token with one character in the middle of its signature changed; none for what is no JWT.
fn altered(token: &str) -> Option<String> {
    let (signed, signature) = token.rsplit_once('.')?;
    // In the middle: the last character holds bits that may mean nothing.
    let middle = signature.len() / 2;
    let old = signature.get(middle..=middle)?;
    let new = if old == "A" { "B" } else { "A" };
    Some(format!("{signed}.{}{new}{}", &signature[..middle], &signature[middle + 1..]))
}

/// SHA-256 of the DER of each certificate in a PEM.
fn roots(pem: &str) -> Vec<String> {
    let bodies = pem.split("-----BEGIN CERTIFICATE-----").skip(1);
    let bodies = bodies.filter_map(|rest| rest.split_once("-----END CERTIFICATE-----"));
    // Bytes in Kubernetes' JSON are base64, as in a PEM.
    let decoded = bodies.filter_map(|(body, _)| {
        let text: String = body.split_whitespace().collect();
        serde_json::from_value::<ByteString>(Value::String(text)).ok()
    });
    decoded.map(|ByteString(der)| sha256(&der)).collect()
}

/// Where to look when istiod does not know a token.
fn why_refused(context: &Context) -> String {
    format!(
        "istiod asks the API server of {} who the token is, by the credentials in the remote secret: see its log for \
         `authentication failure`, and if they were revoked make the secret anew: {}",
        context.remote().name,
        made_anew(context)
    )
}

#[cfg(test)]
mod tests {
    use harness::lab::probe::Csr;
    use rstest::rstest;

    use super::{altered, roots, words};

    #[rstest]
    #[case::a_jwt("aa.bb.cccc", Some("aa.bb.ccAc"))]
    #[case::with_that_character("aa.bb.ccAc", Some("aa.bb.ccBc"))]
    #[case::no_signature("aa.bb.", None)]
    #[case::no_jwt("opaque", None)]
    #[case::nothing("", None)]
    fn only_the_signature_of_a_token_is_altered(#[case] token: &str, #[case] other: Option<&str>) {
        assert_eq!(altered(token).as_deref(), other);
    }

    // `sha256sum` of "abc" and of "abcdef"; "YWJj" and "YWJjZGVm" are their base64.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    const ABCDEF: &str = "bef57ec7f53a6d40beb640a780a639c83bc29ac8a9816f1fc6c5c6dcd93c4721";

    #[rstest]
    #[case::one("-----BEGIN CERTIFICATE-----\nYWJj\n-----END CERTIFICATE-----\n", &[ABC])]
    #[case::over_two_lines("-----BEGIN CERTIFICATE-----\nYWJj\nZGVm\n-----END CERTIFICATE-----\n", &[ABCDEF])]
    #[case::two("-----BEGIN CERTIFICATE-----\nYWJj\n-----END CERTIFICATE-----\n\
                 -----BEGIN CERTIFICATE-----\nYWJjZGVm\n-----END CERTIFICATE-----\n", &[ABC, ABCDEF])]
    #[case::torn("-----BEGIN CERTIFICATE-----\nYWJj\n", &[])]
    #[case::nothing("", &[])]
    fn each_certificate_of_a_pem_has_the_fingerprint_of_its_der(#[case] pem: &str, #[case] prints: &[&str]) {
        assert_eq!(roots(pem), prints);
    }

    #[rstest]
    #[case::refused(false, Some(16), Some("who are you"), "refused with gRPC status 16: who are you")]
    #[case::without_a_message(false, Some(14), Some(""), "refused with gRPC status 14: no message")]
    #[case::no_answer(false, None, None, "no answer: and no error")]
    #[case::accepted(true, Some(0), Some(""), "accepted")]
    fn an_answer_is_told_in_words(
        #[case] accepted: bool,
        #[case] grpc_status: Option<i32>,
        #[case] message: Option<&str>,
        #[case] told: &str,
    ) {
        let answer = Csr { accepted, grpc_status, grpc_message: message.map(String::from), ..Csr::default() };
        assert_eq!(words(&answer), told);
    }
}
