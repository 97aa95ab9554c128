//! The revision of Istio's control plane, and the names that its charts derive from it.

use std::fmt;

/// The revision that istiod has where nobody says otherwise.
const USUAL: &str = "default";

/// The label by which Istio marks what belongs to a revision.
pub const LABEL: &str = "istio.io/rev";

/// The label by which Istio marks what belongs to a revision tag.
pub const TAG: &str = "istio.io/tag";

/// The revision of a control plane.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Revision(String);

impl Default for Revision {
    fn default() -> Self {
        Revision(USUAL.to_string())
    }
}

impl Revision {
    /// The revision of this name, as the label says it.
    pub fn named(name: &str) -> Revision {
        Revision(name.to_string())
    }

    /// Whether it is the one that shows in no name.
    pub fn is_default(&self) -> bool {
        self.0 == USUAL
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// The Deployment and the Service of its istiod.
    pub fn istiod(&self) -> String {
        self.suffixed("istiod")
    }

    /// The ConfigMap with the values of its injection.
    pub fn injector(&self) -> String {
        self.suffixed("istio-sidecar-injector")
    }

    /// The ConfigMap with its mesh config.
    pub fn mesh_config(&self) -> String {
        self.suffixed("istio")
    }

    /// The labels of its istiod's pods.
    pub fn selector(&self) -> String {
        format!("app=istiod,{LABEL}={self}")
    }

    /// What names it to istioctl and to scripts of the release, where it has to be named.
    pub fn words(&self) -> Vec<String> {
        if self.is_default() { Vec::new() } else { vec!["--revision".to_string(), self.0.clone()] }
    }

    /// The label by which a pod asks for a proxy of it.
    pub fn asked_by_pods(&self) -> (&'static str, &str) {
        if self.is_default() { ("sidecar.istio.io/inject", "true") } else { (LABEL, &self.0) }
    }

    /// What it adds to names that its charts make.
    pub fn suffix(&self) -> String {
        if self.is_default() { String::new() } else { format!("-{self}") }
    }

    fn suffixed(&self, name: &str) -> String {
        format!("{name}{}", self.suffix())
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::Revision;

    #[rstest]
    #[case::the_usual_one("default", "istiod", "istio")]
    #[case::a_named_one("1-31", "istiod-1-31", "istio-1-31")]
    fn only_a_named_revision_shows_in_names(#[case] name: &str, #[case] istiod: &str, #[case] config: &str) {
        let revision = Revision::named(name);
        assert_eq!((revision.istiod().as_str(), revision.mesh_config().as_str()), (istiod, config));
    }
}
