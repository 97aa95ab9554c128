//! X.509 as a proxy holds it: whose a certificate is, who signed it, and how long it holds.

use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::certificate::sha256;

/// One certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    /// Its URI names: a workload has one, its SPIFFE identity.
    pub identities: Vec<String>,
    /// Serial number, hex.
    pub serial: String,
    /// From when to when it holds.
    pub validity: String,
    /// Whether that is so now, by the clock of this host, which is the clock of the lab's nodes too.
    pub holds: bool,
}

impl Certificate {
    /// Every certificate of a PEM, in its order.
    ///
    /// # Errors
    /// What cannot be read, in words.
    pub fn all(pem: &[u8]) -> Result<Vec<Certificate>, String> {
        Pem::iter_from_buffer(pem)
            .map(|block| Certificate::read(block.map_err(|error| format!("no PEM: {error}"))?.contents))
            .collect()
    }

    fn read(der: Vec<u8>) -> Result<Certificate, String> {
        let (_, parsed) = X509Certificate::from_der(&der).map_err(|error| format!("no certificate: {error}"))?;
        let names = parsed.subject_alternative_name().map_err(|error| format!("no certificate: {error}"))?;
        let names = names.iter().flat_map(|names| &names.value.general_names);
        let identities = names.filter_map(|name| match name {
            GeneralName::URI(uri) => Some((*uri).to_string()),
            _ => None,
        });
        Ok(Certificate {
            identities: identities.collect(),
            serial: parsed.raw_serial_as_string().replace(':', ""),
            validity: format!("{} to {}", parsed.validity().not_before, parsed.validity().not_after),
            holds: parsed.validity().is_valid(),
            der,
        })
    }

    /// `sha256 1a2b3c…`, of the DER.
    pub fn fingerprint(&self) -> String {
        format!("sha256 {}", sha256(&self.der))
    }

    /// Whether the key of `other` signed it.
    pub fn is_signed_by(&self, other: &Certificate) -> bool {
        let (Ok((_, one)), Ok((_, other))) =
            (X509Certificate::from_der(&self.der), X509Certificate::from_der(&other.der))
        else {
            return false;
        };
        one.issuer() == other.subject() && one.verify_signature(Some(other.public_key())).is_ok()
    }
}

/// The root to which a chain leads, its own certificate first; none where a link is missing.
pub fn root_of<'a>(chain: &[Certificate], roots: &'a [Certificate]) -> Option<&'a Certificate> {
    let [links @ .., last] = chain else { return None };
    if !links.iter().zip(&chain[1..]).all(|(one, next)| one.is_signed_by(next)) {
        return None;
    }
    // A chain may end with its root, or with what that signed.
    roots.iter().find(|root| *root == last || last.is_signed_by(root))
}

#[cfg(test)]
pub mod tests {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
    use rstest::rstest;

    use super::{Certificate, root_of};

    /// The PEM of a root, and that of a certificate of it for this identity that holds until the end of `year`.
    pub fn signed(root: &str, identity: &str, year: i32) -> (String, String) {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::OrganizationName, root);
        let key = KeyPair::generate().unwrap();
        let ca = params.self_signed(&key).unwrap();
        let issuer = Issuer::new(params, key);
        let mut params = CertificateParams::default();
        params.subject_alt_names.push(SanType::URI(identity.try_into().unwrap()));
        params.not_after = rcgen::date_time_ymd(year, 12, 31);
        let leaf = params.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
        (ca.pem(), leaf.pem())
    }

    fn read(pem: &str) -> Vec<Certificate> {
        Certificate::all(pem.as_bytes()).unwrap()
    }

    #[test]
    fn a_certificate_says_whose_it_is_and_whether_it_holds() {
        let (_, leaf) = signed("one", "spiffe://a/ns/b/sa/c", 2999);
        let (_, old) = signed("one", "spiffe://a/ns/b/sa/c", 2001);
        assert_eq!(read(&leaf)[0].identities, ["spiffe://a/ns/b/sa/c"]);
        assert!(read(&leaf)[0].holds && !read(&old)[0].holds, "{}", read(&old)[0].validity);
    }

    #[rstest]
    #[case::its_own(true, false)]
    #[case::with_the_root_in_the_chain(true, true)]
    #[case::another_of_the_same_name(false, false)]
    #[case::another_with_its_own_root_in_the_chain(false, true)]
    fn a_chain_leads_to_the_root_whose_key_signed_it(#[case] own: bool, #[case] root_in_chain: bool) {
        let (root, leaf) = signed("one", "spiffe://a", 2999);
        let (other, _) = signed("one", "spiffe://a", 2999);
        let chain = if root_in_chain { format!("{leaf}{root}") } else { leaf };
        let roots = read(if own { &root } else { &other });
        assert_eq!(root_of(&read(&chain), &roots).is_some(), own);
    }

    #[test]
    fn no_chain_leads_nowhere() {
        assert_eq!(root_of(&[], &read(&signed("one", "spiffe://a", 2999).0)), None);
    }
}
