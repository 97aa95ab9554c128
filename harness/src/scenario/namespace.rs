//! The namespace of Istio's control plane, and the names that its charts derive from it.

use std::fmt;
use std::ops::Deref;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::names;

/// The namespace that Istio has where nobody says otherwise.
const USUAL: &str = "istio-system";

/// The namespace of Istio's control plane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct IstioNamespace(String);

impl Default for IstioNamespace {
    fn default() -> Self {
        IstioNamespace(USUAL.to_string())
    }
}

impl IstioNamespace {
    /// The namespace of this name.
    ///
    /// # Errors
    /// What is wrong with the name, and what to write instead.
    pub fn named(name: &str) -> Result<IstioNamespace, (String, String)> {
        names::check_istio_namespace(name)?;
        Ok(IstioNamespace(name.to_string()))
    }

    /// Whether it is Istio's usual one, which no command needs to say.
    pub fn is_default(&self) -> bool {
        self.0 == USUAL
    }

    /// What its name adds to those of injection webhooks: only Istio in the usual namespace has the plain ones.
    pub fn suffix(&self) -> String {
        if self.is_default() { String::new() } else { format!("-{self}") }
    }

    /// The webhooks that inject sidecars.
    pub fn injector(&self) -> String {
        format!("istio-sidecar-injector{}", self.suffix())
    }

    /// The role of the account by which istiod reads, and writes, in a remote cluster.
    pub fn reader_role(&self) -> String {
        format!("istio-reader-clusterrole-{self}")
    }

    /// That account, as API servers write it down.
    pub fn reader(&self) -> String {
        format!("system:serviceaccount:{self}:istio-reader-service-account")
    }

    /// The name by which proxies and webhooks call istiod, and which stands in its certificate.
    pub fn istiod(&self) -> String {
        format!("istiod.{self}.svc")
    }
}

impl Deref for IstioNamespace {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IstioNamespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::IstioNamespace;

    #[rstest]
    #[case::the_usual_one("istio-system", "istio-sidecar-injector", "istio-reader-clusterrole-istio-system")]
    #[case::another("mesh", "istio-sidecar-injector-mesh", "istio-reader-clusterrole-mesh")]
    fn only_the_plain_injector_has_no_suffix(#[case] name: &str, #[case] injector: &str, #[case] role: &str) {
        let namespace = IstioNamespace::named(name).expect("a name");
        assert_eq!((namespace.injector().as_str(), namespace.reader_role().as_str()), (injector, role));
    }

    #[rstest]
    #[case::with_capitals("Mesh", "`mesh`")]
    #[case::too_long(&"m".repeat(64), "at most 63")]
    #[case::of_kubernetes("kube-system", "of Kubernetes")]
    #[case::for_everybody("default", "of Kubernetes")]
    #[case::of_the_lab("local-path-storage", "of Kubernetes")]
    #[case::of_the_harness("meshproof-sample", "meshproof")]
    #[case::a_truth_value("true", "YAML")]
    #[case::an_old_truth_value("on", "YAML")]
    fn what_cannot_be_istios_is_refused(#[case] name: &str, #[case] why: &str) {
        let (message, instead) = IstioNamespace::named(name).unwrap_err();
        assert!(format!("{message}: {instead}").contains(why), "{message}: {instead}");
    }
}
