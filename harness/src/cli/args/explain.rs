//! The flags of `explain`.

use clap::Args;

use super::own::istio_namespace;
use crate::explain::Filling;
use crate::lab::Home;
use crate::problem::Problems;
use crate::scenario::{Scenario, check_lab_name};

/// Flags of `explain`.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct Explaining {
    /// What to explain: ids or names of checks, steps or hints, or globs such as `D1*`; nothing lists them all.
    #[arg(value_name = "WHAT")]
    pub what: Vec<String>,
    /// Fill in the contexts of this lab into the commands [default: meshproof].
    #[arg(long, value_name = "NAME")]
    pub lab: Option<String>,
    /// Fill in these contexts of your kubeconfig, the primary's first; what takes a lab is left out.
    #[arg(long, value_name = "PRIMARY,REMOTE", value_delimiter = ',', conflicts_with = "lab")]
    pub contexts: Vec<String>,
    /// Look for Istio in this namespace of the clusters of --contexts [default: istio-system].
    #[arg(long, alias = "istioNamespace", value_name = "NAMESPACE", allow_hyphen_values = true, requires = "contexts")]
    pub istio_namespace: Option<String>,
}

impl Explaining {
    /// What the names in texts and commands stand for.
    ///
    /// # Errors
    /// Everything that is wrong with the flags.
    pub fn filling(&self, home: &Home, default: &Scenario) -> Result<Filling, Problems> {
        let mut problems = Problems::new();
        let namespace = istio_namespace(self.istio_namespace.as_deref(), &mut problems);
        let filling = match self.contexts.as_slice() {
            [] => {
                let lab = self.lab.as_deref().unwrap_or(&default.lab);
                if let Err((message, instead)) = check_lab_name(lab) {
                    problems.push("--lab", message, instead);
                }
                problems.clone().or(())?;
                Filling::of_lab(home, lab, default)
            }
            [primary, remote] => {
                let contexts = [primary.clone(), remote.clone()];
                Filling::of_contexts(contexts, namespace.unwrap_or_default(), default)
            }
            several => {
                let message = format!("{} contexts are named", several.len());
                problems.push(
                    "--contexts",
                    message,
                    "two, as in `--contexts prod-a,prod-b`: the primary's, then the remote's",
                );
                Filling::planned(default)
            }
        };
        problems.or(filling)
    }
}
