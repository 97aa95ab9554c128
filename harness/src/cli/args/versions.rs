//! Flags that choose versions, and the verb that says which there are.

use clap::{Args, Subcommand};

use crate::tool::quote;
use crate::versions::Component;

/// The versions that a lab is made of.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct VersionFlags {
    /// Take this version of Istio, such as 1.29.2; `meshproof versions` lists those that are known [default: the
    /// scenario's].
    #[arg(long, value_name = "VERSION", allow_hyphen_values = true)]
    pub istio: Option<String>,
    /// Take this version of Kubernetes, such as v1.34.4 [default: the scenario's].
    #[arg(long, value_name = "VERSION", allow_hyphen_values = true)]
    pub kubernetes: Option<String>,
}

impl VersionFlags {
    /// The version that is asked for.
    pub fn of(&self, component: Component) -> Option<&str> {
        match component {
            Component::Istio => self.istio.as_deref(),
            Component::Kubernetes => self.kubernetes.as_deref(),
        }
    }

    /// The flags as they are typed, for a command that shall take the same versions.
    pub fn typed(&self) -> Vec<String> {
        let typed = |component: Component| Some(format!("--{} {}", component.key(), quote(self.of(component)?)));
        Component::ALL.into_iter().filter_map(typed).collect()
    }
}

/// What to do with the versions that are known.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct VersionsArgs {
    /// What to do with them; `list` if nothing is said.
    #[command(subcommand)]
    pub verb: Option<VersionsVerb>,
}

/// What to do with the versions that are known.
#[derive(Debug, Clone, PartialEq, Subcommand)]
pub enum VersionsVerb {
    /// List the versions that are known, what each goes with, what is there of it, and which go together.
    ///
    /// Works without an engine and without network, and then says what cannot be told.
    ///
    /// Example: `meshproof versions list`
    List,
}
