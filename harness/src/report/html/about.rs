//! What the run was about, and how to do it again: files, commands, digests, deviations, the scenario.

use std::collections::BTreeMap;

use maud::{Markup, html};

use crate::plan::Target;
use crate::report::files::{Beside, FILES};
use crate::report::runs;
use crate::report::summary::Diagnosed;
use crate::report::text::count;
use crate::report::{Rerun, Summary, facts};
use crate::role::Role;
use crate::scenario::{Scenario, lab_flag};

/// Everything below the judging and the times.
pub fn sections(summary: &Summary, beside: &Beside) -> Markup {
    html! {
        section { h2 { "Look closer, and do it again" } (files(summary, beside)) (again(summary)) }
        section { h2 { "What it ran on" } (about(summary)) (deviations(summary)) (notes(summary)) }
    }
}

fn files(summary: &Summary, beside: &Beside) -> Markup {
    let names = [runs::EVENTS, "junit.xml"].into_iter();
    let names = names.chain(FILES.iter().map(|file| file.name).filter(|name| *name != "report.html"));
    let number = |one: &Diagnosed| count(one.files, "file");
    html! {
        p {
            "Beside this page: "
            @for (at, name) in names.enumerate() { @if at > 0 { ", " } a href=(name) { (name) } }
            @if beside.diagnostics {
                @for one in &summary.diagnosed { ", " a href={ (one.folder) "/" } { (one.folder) "/" } " (" (number(one)) ")" }
            } @else {
                ". In the folder of the run: "
                @for (at, one) in summary.diagnosed.iter().enumerate() { @if at > 0 { ", " } (one.folder) "/ (" (number(one)) ")" }
            }
            "."
        }
        @for Diagnosed { missing, hints, .. } in &summary.diagnosed {
            @for hint in hints { p { "Hint: " (hint) } }
            @for what in missing { p.soft { "Not collected: " (what) } }
        }
    }
}

fn again(summary: &Summary) -> Markup {
    let Some(plan) = &summary.plan else { return html! {} };
    let names =
        |names: &BTreeMap<Role, String>, between: &str| names.values().cloned().collect::<Vec<_>>().join(between);
    let (all, scenario) = match &plan.target {
        Target::Lab { scenario, .. } => {
            let lab = lab_flag(&scenario.lab);
            (format!("meshproof run --scenario scenario.yaml{lab}   # the scenario below, in a file"), Some(scenario))
        }
        Target::Brought { scenario, contexts, .. } => {
            (format!("meshproof run --contexts {} --allow-install", names(contexts, ",")), Some(scenario))
        }
        Target::Contexts { contexts, .. } => {
            (format!("meshproof check --contexts {} --read-only", names(contexts, ",")), None)
        }
        Target::Archives { archives, .. } => (format!("meshproof inspect {}", names(archives, " ")), None),
    };
    html! {
        @if let Some(again) = Rerun::of(summary, None).again { p { "What broke, judged again:" } pre { (again) } }
        p { "All of it:" }
        pre { (all) }
        @if let Some(scenario) = scenario { (yaml(scenario)) }
    }
}

fn yaml(scenario: &Scenario) -> Markup {
    let text = serde_json::to_value(scenario).ok().and_then(|value| serde_yaml_ng::to_string(&value).ok());
    html! { details { summary { "The scenario, as it was run" } div.inside { pre { (text.unwrap_or_default()) } } } }
}

/// Every fact that other reports carry as lines, here as rows; deviations and notes have their own place.
fn about(summary: &Summary) -> Markup {
    // These have a place of their own on the page.
    const ELSEWHERE: [&str; 3] = ["deviation from the guide", "note", "critical path, seconds"];
    let rows = facts::rows(summary).into_iter().filter(|(name, _)| !ELSEWHERE.contains(&name.as_str()));
    html! {
        details {
            summary { "Versions, digests and UIDs" }
            div.inside { div.wide.bare tabindex="0" role="region" aria-label="Versions, digests and UIDs" { table {
                thead { tr { th scope="col" { "what" } th scope="col" { "value" } } }
                tbody { @for (name, value) in rows { tr { td { (name) } td.any { (value) } } } }
            } } }
        }
    }
}

fn deviations(summary: &Summary) -> Markup {
    let rows = facts::deviations(summary);
    html! {
        @if !rows.is_empty() {
            details {
                summary { "Where it does otherwise than the guide: " (count(rows.len(), "row")) }
                div.inside { div.wide.bare tabindex="0" role="region" aria-label="Deviations from the guide" { table {
                    thead { tr { th scope="col" { "what" } th scope="col" { "why" } } }
                    tbody { @for row in rows { tr { td { (row.what) } td { (row.why) } } } }
                } } }
            }
        }
    }
}

fn notes(summary: &Summary) -> Markup {
    html! { @for note in &summary.notes { p { "Note: " (note) } } }
}
