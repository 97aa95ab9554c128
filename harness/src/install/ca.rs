//! A CA of the harness's own in the place of the one that istiod makes for itself.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use serde_json::json;

use super::step::StepError;
use crate::lab::Cluster;
use crate::lab::cluster::ClusterError;

/// The Secret in which istiod looks for a CA.
const SECRET: &str = "cacerts";

/// Gives istiod's namespace a CA, unless an earlier install did: what it signed would lose its root.
///
/// # Errors
/// [`StepError`] where it cannot be made or applied.
pub(super) async fn plug_in(cluster: &Cluster) -> Result<(), StepError> {
    let istio = &cluster.istio_namespace;
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": &**istio}});
    cluster.apply(&namespace.to_string(), "").await?;
    if given(cluster).await?.is_some() {
        return Ok(());
    }
    let metadata = json!({"namespace": &**istio, "name": SECRET});
    let files = files(&cluster.name)?;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": files});
    cluster.apply(&secret.to_string(), "").await?;
    Ok(())
}

async fn given(cluster: &Cluster) -> Result<Option<Secret>, ClusterError> {
    let secret = cluster.api::<Secret>(&cluster.istio_namespace).get_opt(SECRET).await;
    secret.map_err(cluster.refused(format!("get Secret {SECRET}")))
}

/// Whether istiod publishes the root of that CA.
///
/// # Errors
/// [`StepError`] where it publishes another one.
pub(super) async fn is_used(cluster: &Cluster, root: &str) -> Result<(), StepError> {
    let given = given(cluster).await?.and_then(|secret| secret.data?.remove("root-cert.pem"));
    if given.is_some_and(|given| given.0.trim_ascii() == root.trim().as_bytes()) {
        return Ok(());
    }
    Err(StepError(format!("istiod of {} publishes another root than that of Secret {SECRET}", cluster.name)))
}

/// The files of the Secret, by the names that Istio gives them: a root, and under it an intermediate CA for a cluster.
fn files(cluster: &str) -> Result<BTreeMap<&'static str, String>, StepError> {
    let wrong = |error: rcgen::Error| StepError(format!("a CA for {cluster} cannot be made: {error}"));
    let key = || KeyPair::generate().map_err(wrong);
    let root = CertifiedIssuer::self_signed(authority("Root CA of meshproof"), key()?).map_err(wrong)?;
    let intermediate = authority(&format!("CA of meshproof for {cluster}"));
    let intermediate = CertifiedIssuer::signed_by(intermediate, key()?, &root).map_err(wrong)?;
    Ok(BTreeMap::from([
        ("ca-cert.pem", intermediate.pem()),
        ("ca-key.pem", intermediate.key().serialize_pem()),
        ("root-cert.pem", root.pem()),
        ("cert-chain.pem", intermediate.pem() + &root.pem()),
    ]))
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::OrganizationName, "meshproof");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    params
}

#[cfg(test)]
mod tests {
    use x509_parser::pem::parse_x509_pem;

    use super::files;

    #[test]
    fn the_intermediate_ca_is_signed_by_the_root_and_the_key_is_its_own() {
        let files = files("cluster1").expect("a CA");
        let blocks = |file: &str| -> Vec<Vec<u8>> {
            let pem = x509_parser::pem::Pem::iter_from_buffer(files[file].as_bytes());
            pem.map(|block| block.expect("PEM").contents).collect()
        };
        let (_, root) = parse_x509_pem(files["root-cert.pem"].as_bytes()).expect("PEM");
        let (_, ca) = parse_x509_pem(files["ca-cert.pem"].as_bytes()).expect("PEM");
        let (root, ca) = (root.parse_x509().expect("a certificate"), ca.parse_x509().expect("a certificate"));
        assert!(ca.is_ca() && root.is_ca());
        assert_eq!(ca.verify_signature(Some(root.public_key())), Ok(()));
        assert_ne!(ca.public_key(), root.public_key());
        assert_eq!(blocks("cert-chain.pem"), [blocks("ca-cert.pem"), blocks("root-cert.pem")].concat());
        let key = rcgen::KeyPair::from_pem(&files["ca-key.pem"]).expect("a key");
        assert_eq!(key.public_key_raw(), &*ca.public_key().subject_public_key.data);
    }
}
