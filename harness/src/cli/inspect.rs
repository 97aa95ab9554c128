//! `inspect`: judges two bug reports; no cluster is asked.

use super::args::Request;
use super::own::judged;
use crate::budget::Budgets;
use crate::check::Case;
use crate::event::Recorder;
use crate::exit::Exit;
use crate::inspect::Reports;
use crate::plan::Target;
use crate::problem::Problems;
use crate::reading::find::mesh_of;
use crate::role::Role;

/// Time limits are so much shorter: what was written down does not change, and one look is enough.
const SHORTER: f64 = 0.05;

/// Judges two bug reports as far as they tell.
///
/// # Errors
/// A folder of runs that cannot be made.
pub async fn inspect(request: &Request, reports: &Reports, cases: &[Case]) -> Result<Exit, Problems> {
    let target = Target::Archives { archives: reports.names(), istio_namespace: reports.istio_namespace.clone() };
    let found = async |recorder: &Recorder| {
        let clusters = Role::ALL.map(|role| reports.cluster(role));
        mesh_of(clusters, recorder, Budgets { slow: SHORTER }).await
    };
    judged(request, "inspect", target, cases, found).await
}
