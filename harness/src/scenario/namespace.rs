//! The namespace of Istio's control plane, and the names that its charts derive from it.

use std::fmt;
use std::ops::Deref;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::names;
use crate::lab::Revision;

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

    /// The webhooks that inject sidecars of this revision.
    pub fn injector(&self, revision: &Revision) -> String {
        format!("{}{}", revision.injector(), self.suffix())
    }

    /// The role of the account by which istiod of this revision reads, and writes, in a remote cluster.
    pub fn reader_role(&self, revision: &Revision) -> String {
        format!("istio-reader-clusterrole{}-{self}", revision.suffix())
    }

    /// That account, as API servers write it down.
    pub fn reader(&self) -> String {
        format!("system:serviceaccount:{self}:istio-reader-service-account")
    }

    /// The name by which proxies and webhooks call istiod of this revision, and which stands in its certificate.
    pub fn istiod(&self, revision: &Revision) -> String {
        format!("{}.{self}.svc", revision.istiod())
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
    use crate::lab::Revision;

    #[rstest]
    #[case::the_usual_one("istio-system", "default", "istio-sidecar-injector", "istiod.istio-system.svc")]
    #[case::another("mesh", "default", "istio-sidecar-injector-mesh", "istiod.mesh.svc")]
    #[case::of_a_revision("istio-system", "canary", "istio-sidecar-injector-canary", "istiod-canary.istio-system.svc")]
    #[case::of_both("mesh", "canary", "istio-sidecar-injector-canary-mesh", "istiod-canary.mesh.svc")]
    fn only_what_is_usual_shows_in_no_name(
        #[case] name: &str,
        #[case] revision: &str,
        #[case] injector: &str,
        #[case] istiod: &str,
    ) {
        let (namespace, revision) = (IstioNamespace::named(name).expect("a name"), Revision::named(revision));
        assert_eq!((namespace.injector(&revision), namespace.istiod(&revision)), (injector.into(), istiod.into()));
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
