//! What two runs have in common whose times can be compared.

use std::fmt;

use super::text::count;
use crate::plan::Plan;

/// What was done, and to what; of runs that are alike in it the times can be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Likeness {
    /// The verb that was called.
    verb: String,
    /// The name of the scenario, or of contexts or archives.
    name: String,
    /// Versions of Istio and Kubernetes, as far as the run chose them.
    versions: Option<(String, String)>,
    /// How many steps and cases were planned: more of them with more remotes, fewer with `--only`.
    steps: usize,
    cases: usize,
}

impl Likeness {
    /// Of a run of this verb with this plan.
    pub fn of(verb: &str, plan: &Plan) -> Likeness {
        Likeness {
            verb: verb.to_string(),
            name: plan.name(),
            versions: plan.scenario().map(|scenario| (scenario.istio.clone(), scenario.kubernetes.clone())),
            steps: plan.steps.len(),
            cases: plan.cases.len(),
        }
    }
}

impl fmt::Display for Likeness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.name)?;
        if let Some((istio, kubernetes)) = &self.versions {
            write!(f, " {istio} {kubernetes}")?;
        }
        // A verb that judges nothing has steps alone, and one that judges a lab as it is cases alone.
        for (number, what) in [(self.steps, "step"), (self.cases, "case")] {
            if number > 0 {
                write!(f, ", {}", count(number, what))?;
            }
        }
        Ok(())
    }
}
