//! `explain`: what is known of a check, a step or a hint.

use std::path::Path;

use super::args::{Explaining, Surroundings};
use super::output::out;
use crate::check::Case;
use crate::exit::Exit;
use crate::explain::{Catalogue, list, text};
use crate::field;
use crate::install::{Step, primary_remote};
use crate::lab::{Home, images};
use crate::problem::Problems;
use crate::scenario::Scenario;

/// Prints what is asked for, or what can be.
///
/// # Errors
/// Every word that means nothing, and everything that is wrong with the flags and the project's own files.
pub fn verb(args: &Explaining, checks: &[Case], around: &Surroundings<'_>, root: &Path) -> Result<Exit, Problems> {
    let default = Scenario::default_primary_remote(around.versions);
    let mut problems = Problems::new();
    let issues = problems.keep(field::read(root, around.known()));
    let filling = problems.keep(args.filling(&Home::from_environment(), &default));
    let scenario = filling.as_ref().map_or(&default, |filling| &filling.scenario);
    let steps = primary_remote::steps(scenario, images::WORKLOAD_IN_NODE);
    let steps: Vec<_> = steps.iter().map(Step::outline).collect();
    let issues = issues.unwrap_or_default();
    let catalogue = Catalogue { checks, steps: &steps, sabotages: around.sabotages, issues: &issues };
    let found = problems.keep(catalogue.find(&args.what));
    let (Some(filling), Some(found)) = (filling, found) else { return Err(problems) };
    problems.or(())?;
    if args.what.is_empty() {
        out(&list(&catalogue));
        return Ok(Exit::Green);
    }
    let texts: Vec<String> = found.into_iter().map(|subject| text(subject, &catalogue, &filling)).collect();
    out(&texts.join("\n\n"));
    Ok(Exit::Green)
}
