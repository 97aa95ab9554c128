//! The flags of `inspect`.

use std::path::PathBuf;

use clap::Args;

use super::own::istio_namespace;
use super::{Choice, Telling};
use crate::inspect::{Reports, open};
use crate::problem::Problems;

/// Flags of `inspect`.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct Inspecting {
    /// The archive of the primary cluster, as `istioctl bug-report --context PRIMARY` wrote it.
    #[arg(value_name = "PRIMARY.tar.gz")]
    pub primary: PathBuf,
    /// The archive of the remote cluster.
    #[arg(value_name = "REMOTE.tar.gz")]
    pub remote: PathBuf,
    /// Which checks.
    #[command(flatten)]
    pub choice: Choice,
    /// Look for Istio in this namespace of both clusters [default: istio-system].
    #[arg(long, alias = "istioNamespace", value_name = "NAMESPACE", allow_hyphen_values = true)]
    pub istio_namespace: Option<String>,
    /// Put the folder of each run here.
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub runs: PathBuf,
    /// How much is said.
    #[command(flatten)]
    pub telling: Telling,
}

impl Inspecting {
    /// Reads both archives.
    ///
    /// # Errors
    /// Everything that is wrong with them and the flags.
    pub fn wanted(&self) -> Result<Reports, Problems> {
        let mut problems = Problems::new();
        // What is known of it does not matter to what is wrong with the rest.
        let namespace = istio_namespace(self.istio_namespace.as_deref(), &mut problems).unwrap_or_default();
        let reports = problems.keep(open(&self.primary, &self.remote, &namespace));
        reports.map_or_else(|| Err(problems.clone()), |reports| problems.clone().or(reports))
    }
}
