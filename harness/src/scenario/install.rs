//! Where an install does otherwise than the guide, on purpose: its variants, steps left out, and manifests of the user's.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

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
