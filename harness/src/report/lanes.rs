//! What ran side by side: the spans of a run in lanes, by the cluster or the part of the run that they belong to.

use super::summary::Summary;
use super::times::{Part, Span};
use crate::per_cluster::is_of_further;
use crate::role::Role;

/// Lanes of one name.
#[derive(Debug, Clone, PartialEq)]
pub struct Lane<'a> {
    /// The cluster on which its steps act, or the part of the run.
    pub name: String,
    /// Spans that do not overlap, each row in the order of time.
    pub rows: Vec<Vec<&'a Span>>,
}

/// Lanes in the order in which the first of each begins; in a lane what overlaps stands in rows of its own.
pub fn of(summary: &Summary) -> Vec<Lane<'_>> {
    let mut spans: Vec<&Span> = summary.times.spans().iter().collect();
    spans.sort_by(|a, b| a.from.total_cmp(&b.from));
    let mut lanes: Vec<Lane<'_>> = Vec::new();
    for span in spans {
        let name = name(summary, span);
        let at = lanes.iter().position(|lane| lane.name == name).unwrap_or_else(|| {
            lanes.push(Lane { name, rows: Vec::new() });
            lanes.len() - 1
        });
        let rows = &mut lanes[at].rows;
        match rows.iter_mut().find(|row| row.last().is_none_or(|last| last.to <= span.from)) {
            Some(row) => row.push(span),
            None => rows.push(vec![span]),
        }
    }
    lanes
}

fn name(summary: &Summary, span: &Span) -> String {
    match summary.step(&span.id) {
        Some(step) if span.part != Part::Checks => cluster(summary, &span.id, step.outline.role),
        _ => span.part.name().to_string(),
    }
}

/// The cluster that a step acts on. Steps of a remote after the first have its name at the end of their ids.
fn cluster(summary: &Summary, step: &str, role: Role) -> String {
    let Some(scenario) = summary.plan.as_ref().and_then(|plan| plan.scenario()) else { return role.to_string() };
    let further = scenario.clusters.remotes().iter().skip(1).map(|wish| &wish.name);
    let further = further.into_iter().find(|name| role == Role::Remote && is_of_further(step, name));
    further.unwrap_or(&scenario.clusters[&role].name).clone()
}
