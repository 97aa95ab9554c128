//! Flags that choose versions, and the verb that says which there are.

use clap::{Args, Subcommand};

use crate::problem::Problems;
use crate::tool::quote;
use crate::versions::modules::commit_time;
use crate::versions::{Component, Release};

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
    /// Take this version of upstream Envoy, such as 1.40.0, for images that are built here [default: the one that goes with
    /// that Istio].
    #[arg(long, value_name = "VERSION", allow_hyphen_values = true)]
    pub envoy: Option<String>,
}

impl VersionFlags {
    /// The version that is asked for.
    pub fn of(&self, component: Component) -> Option<&str> {
        match component {
            Component::Istio => self.istio.as_deref(),
            Component::Kubernetes => self.kubernetes.as_deref(),
        }
    }

    /// Where the version of Envoy was said: by flag, or in the file.
    pub fn envoy_place(&self) -> &'static str {
        if self.envoy.is_some() { "--envoy" } else { "envoy" }
    }

    /// The flags as they are typed, for a command that shall take the same versions.
    pub fn typed(&self) -> Vec<String> {
        let typed = |component: Component| Some(format!("--{} {}", component.key(), quote(self.of(component)?)));
        let envoy = self.envoy.iter().map(|envoy| format!("--envoy {}", quote(envoy)));
        Component::ALL.into_iter().filter_map(typed).chain(envoy).collect()
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
    /// Find out what a new version is made of, and write it into kind/versions.toml.
    ///
    /// Asks the Go module proxy and PyPI, by this machine's own settings. Nothing is written unless all that is needed can be
    /// had; nothing is built. A version that is known stays as it is.
    ///
    /// Example: `meshproof versions add kubernetes v1.35.4`
    Add(Adding),
}

/// Flags of `versions add`.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct Adding {
    /// What is added: istio or kubernetes.
    pub component: String,
    /// The version, such as 1.30.1 for Istio and v1.35.4 for Kubernetes.
    #[arg(value_name = "VERSION")]
    pub release: String,
    /// Show what would be written, and write nothing.
    #[arg(long)]
    pub print: bool,
    /// Take Istio from this commit, v0.0.0-TIME-COMMIT, where the module proxy does not know the tag.
    #[arg(long, value_name = "PSEUDO-VERSION", allow_hyphen_values = true)]
    pub module: Option<String>,
    /// Take this upstream Envoy for Istio, where PyPI has none of the line that goes with it.
    #[arg(long, value_name = "VERSION", allow_hyphen_values = true)]
    pub envoy: Option<String>,
}

impl Adding {
    /// What is to be added.
    ///
    /// # Errors
    /// Everything that is wrong with what was given.
    pub fn wanted(&self) -> Result<(Component, Release), Problems> {
        let mut problems = Problems::new();
        let component = match Component::named(&self.component) {
            Ok(component) => Some(component),
            Err((message, instead)) => {
                problems.push("COMPONENT", message, instead);
                None
            }
        };
        let release = component.and_then(|component| match component.release(&self.release) {
            Ok(release) => Some(release),
            Err((message, instead)) => {
                problems.push("VERSION", message, instead);
                None
            }
        });
        for (flag, given) in [("--module", &self.module), ("--envoy", &self.envoy)] {
            if given.is_some() && component == Some(Component::Kubernetes) {
                let message = format!("{flag} is about Istio");
                problems.push(flag, message, format!("drop it: what {} needs its module says", Component::Kubernetes));
            }
        }
        if let Some(module) = self.module.as_ref().filter(|module| commit_time(module).is_none()) {
            let message = format!("`{module}` is no pseudo-version of a commit");
            problems.push("--module", message, "v0.0.0-TIME-COMMIT, such as v0.0.0-20260916195427-190ae921b848");
        }
        match (component, release) {
            (Some(component), Some(release)) => problems.or((component, release)),
            _ => Err(problems),
        }
    }
}
