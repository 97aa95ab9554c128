//! What was judged: the guide's clauses, then the other checks, then the rounds of a timeline; each row unfolds to its evidence.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::mark;
use super::verdict::{anchor, because};
use crate::check::evidence::Item;
use crate::check::{Evidence, Verdict};
use crate::context::own_id;
use crate::report::summary::{CaseRun, Summary};
use crate::report::text::{count, seconds};

/// As much evidence of one check is shown; all of it is in the events.
const MOST: usize = 150;

/// One section for each group of cases that there is.
pub fn sections(summary: &Summary) -> Markup {
    html! {
        @for (title, cases) in groups(summary) {
            section {
                h2 { (title) }
                @for case in cases { (row(summary, case)) }
            }
        }
    }
}

/// Cases under the title of their group: the end of the run first, as the clauses of the guide (`D`) and the others, then each round
/// in its order.
fn groups(summary: &Summary) -> Vec<(String, Vec<&CaseRun>)> {
    let place = |case: &CaseRun| case.outline.id.rsplit_once('/').map_or(String::new(), |(place, _)| place.to_string());
    let mut groups = Vec::new();
    let at_the_end = |clauses: bool| {
        let is = move |case: &&CaseRun| place(case).is_empty() && case.outline.is_clause() == clauses;
        summary.cases.iter().filter(is).collect::<Vec<_>>()
    };
    let remotes =
        summary.plan.as_ref().and_then(|plan| plan.scenario()).map_or(&[][..], |scenario| scenario.clusters.remotes());
    let first =
        remotes.first().filter(|_| remotes.len() > 1).map_or(String::new(), |remote| format!(": {}", remote.name));
    groups.push((format!("The guide's clauses{first}"), at_the_end(true)));
    groups.push((format!("What follows from them{first}"), at_the_end(false)));
    let mut seen = BTreeSet::new();
    for case in &summary.cases {
        let place = place(case);
        if !place.is_empty() && seen.insert(place.clone()) {
            let cases = summary
                .cases
                .iter()
                .filter(|other| other.outline.id.rsplit_once('/').is_some_and(|(one, _)| one == place));
            let (round, remote) = match place.rsplit_once('/') {
                Some((round, remote)) => (round, remote),
                None if remotes.iter().any(|remote| remote.name == place) => ("", place.as_str()),
                None => (place.as_str(), ""),
            };
            let parts = [("Round", round), ("Cluster", remote)].into_iter().filter(|(_, name)| !name.is_empty());
            let title = parts.map(|(what, name)| format!("{what} {name}")).collect::<Vec<_>>().join(", ");
            groups.push((title, cases.collect()));
        }
    }
    groups.retain(|(_, cases)| !cases.is_empty());
    groups
}

fn row(summary: &Summary, case: &CaseRun) -> Markup {
    let cause = summary.cause_of(case);
    html! {
        details id=(anchor(case)) {
            summary.row {
                (mark::of_case(case))
                span.id { (own_id(&case.outline.id)) }
                span.title { (case.outline.title) @if case.flaky() { " " (mark::mark(mark::Tone::Warn, "flaky")) } }
                span.took { @if case.seconds >= 0.05 { (seconds(case.seconds)) } }
                @if !cause.is_empty() { span.why.soft { (cause) } }
            }
            div.inside { (inside(case)) }
        }
    }
}

fn inside(case: &CaseRun) -> Markup {
    html! {
        p.soft {
            (case.name())
            @if case.outline.guide.starts_with("https://") { " · " a href=(case.outline.guide) { "the guide on this" } }
            @if case.expects_other() { " · the scenario expects " (case.expected) }
        }
        @for attempt in &case.failed_attempts { p { "An earlier attempt: " (attempt) } }
        @match &case.verdict {
            Some(Verdict::Passed { evidence: seen }) => { (evidence(seen)) }
            Some(Verdict::Failed { finding }) => { (because(finding)) (evidence(&finding.evidence)) }
            _ => {}
        }
    }
}

/// What was seen, as a table.
pub fn evidence(seen: &Evidence) -> Markup {
    let rest = seen.items.len().saturating_sub(MOST);
    html! {
        @if !seen.items.is_empty() {
            div.wide.bare tabindex="0" role="region" aria-label="What was seen" {
                table {
                    thead { tr { th scope="col" { "where" } th scope="col" { "what" } th scope="col" { "seen" } } }
                    tbody { @for Item { object, field, value } in seen.items.iter().take(MOST) { tr { td { (object) } td { (field) } td { (value) } } } }
                }
            }
        }
        @if rest > 0 { p.soft { "and " (count(rest, "more row")) " in events.jsonl" } }
        @for note in &seen.notes { p { "Note: " (note) } }
    }
}
