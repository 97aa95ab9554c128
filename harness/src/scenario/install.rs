//! Where an install does otherwise than the guide, on purpose: its variants, steps left out, and manifests of the user's.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::TagWish;
use crate::lab::Revision;
use crate::lab::revision::LABEL;
use crate::role::Role;

/// Where the install does otherwise than the guide.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct InstallWish {
    /// How istiod is told that it serves other clusters.
    #[serde(skip_serializing_if = "ExternalIstiod::is_default")]
    pub external_istiod: ExternalIstiod,
    /// Who made istiod's CA.
    #[serde(skip_serializing_if = "Ca::is_default")]
    pub ca: Ca,
    /// The revision by which the control plane is installed; `default`, which shows in no name, if nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub revision: Option<String>,
    /// A revision tag that stands for it in both clusters, by which the sample's namespaces ask for proxies; `default` is what
    /// `istio-injection=enabled` goes by.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub tag: Option<String>,
    /// Steps of the guide that are left out; the timeline may carry them out later.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
    /// Manifests that are applied beside the guide's steps, and deleted before the clean-up.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub manifests: Vec<ManifestWish>,
}

impl InstallWish {
    /// Whether the guide is followed as it is.
    pub fn is_default(&self) -> bool {
        *self == InstallWish::default()
    }

    /// The revision of the control plane.
    pub fn revision(&self) -> Revision {
        self.revision.as_deref().map(Revision::named).unwrap_or_default()
    }

    /// The steps of such an install: those of the guide, and the ones that it adds.
    pub fn steps<'s>(&self, guide: &'s [String]) -> Vec<&'s str> {
        let by_ca = (self.ca == Ca::PluggedIn).then_some("plug-in-ca");
        let by_tag = self.tag.iter().flat_map(|_| ["tag-primary", "tag-remote"]);
        guide.iter().map(String::as_str).chain(by_ca).chain(by_tag).collect()
    }

    /// The tag as it is set in a cluster, if there is one.
    pub fn tag_in(&self, cluster: Role) -> Option<TagWish> {
        let (name, revision) = (self.tag.clone()?, self.revision().name().to_string());
        Some(TagWish { cluster, name, revision })
    }

    /// The label by which a namespace asks for proxies of it.
    pub fn injection_label(&self) -> (&'static str, String) {
        match self.tag.as_deref().or(self.revision.as_deref()).map(Revision::named) {
            Some(named) if !named.is_default() => (LABEL, named.name().to_string()),
            _ => ("istio-injection", "enabled".to_string()),
        }
    }
}

/// How istiod is told that it serves other clusters (istio/istio#51595 made the value enough).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ExternalIstiod {
    /// `values.pilot.env.EXTERNAL_ISTIOD`, as the guide says.
    #[default]
    Env,
    /// `values.global.externalIstiod`.
    Value,
    /// Not at all.
    None,
}

impl ExternalIstiod {
    /// All of them, by the names that scenario files use.
    pub const NAMES: [(&'static str, ExternalIstiod); 3] =
        [("env", ExternalIstiod::Env), ("value", ExternalIstiod::Value), ("none", ExternalIstiod::None)];

    fn is_default(&self) -> bool {
        *self == ExternalIstiod::Env
    }

    /// What `--set` of `istioctl install` says of it.
    pub fn set(self) -> Option<&'static str> {
        match self {
            ExternalIstiod::Env => Some("values.pilot.env.EXTERNAL_ISTIOD=true"),
            ExternalIstiod::Value => Some("values.global.externalIstiod=true"),
            ExternalIstiod::None => None,
        }
    }
}

/// Whose CA istiod signs with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Ca {
    /// The one that istiod makes for itself.
    #[default]
    SelfSigned,
    /// An intermediate one under a root of the harness, in Secret cacerts, as
    /// <https://istio.io/latest/docs/tasks/security/cert-management/plugin-ca-cert/> says.
    PluggedIn,
}

impl Ca {
    /// All of them, by the names that scenario files use.
    pub const NAMES: [(&'static str, Ca); 2] = [("self-signed", Ca::SelfSigned), ("plugged-in", Ca::PluggedIn)];

    fn is_default(&self) -> bool {
        *self == Ca::SelfSigned
    }
}

/// A manifest that is applied beside a step of the guide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ManifestWish {
    /// The step before which it is applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub before: Option<String>,
    /// The step after whose proof it is applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub after: Option<String>,
    /// Where.
    pub cluster: Role,
    /// One object, as `kubectl apply` takes it.
    #[schemars(with = "std::collections::BTreeMap<String, Value>")]
    pub manifest: Value,
}

impl ManifestWish {
    /// The step with which it goes.
    pub fn step(&self) -> &str {
        self.before.as_deref().or(self.after.as_deref()).unwrap_or_default()
    }

    /// Its object for people: `Secret istio-system/cacerts`.
    pub fn object(&self) -> String {
        let text = |path: &str| self.manifest.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let name = match text("/metadata/namespace") {
            "" => text("/metadata/name").to_string(),
            namespace => format!("{namespace}/{}", text("/metadata/name")),
        };
        format!("{} {name}", text("/kind"))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::InstallWish;

    #[rstest]
    #[case::the_guides_own(None, None, "istio-injection=enabled")]
    #[case::by_revision(Some("canary"), None, "istio.io/rev=canary")]
    #[case::by_tag(Some("canary"), Some("prod"), "istio.io/rev=prod")]
    #[case::by_the_tag_of_those_that_name_none(Some("canary"), Some("default"), "istio-injection=enabled")]
    fn namespaces_ask_by_the_most_stable_name(
        #[case] revision: Option<&str>,
        #[case] tag: Option<&str>,
        #[case] label: &str,
    ) {
        let own = |name: Option<&str>| name.map(str::to_string);
        let install = InstallWish { revision: own(revision), tag: own(tag), ..InstallWish::default() };
        let (name, value) = install.injection_label();
        assert_eq!(format!("{name}={value}"), label);
    }
}
