//! What the run was about, and how to do it again: files, commands, digests, deviations, the scenario.

use maud::{Markup, html};

use super::verdict::base;
use crate::exit::Standing;
use crate::plan::Target;
use crate::report::files::FILES;
use crate::report::runs;
use crate::report::summary::Diagnosed;
use crate::report::text::count;
use crate::report::{Summary, facts};

/// Everything below the judging and the times.
pub fn sections(summary: &Summary) -> Markup {
    html! {
        section { h2 { "Look closer, and do it again" } (files(summary)) (again(summary)) }
        section { h2 { "What it ran on" } (about(summary)) (deviations(summary)) (notes(summary)) }
    }
}

fn files(summary: &Summary) -> Markup {
    html! {
        p {
            "In the folder of this run: "
            a href=(runs::EVENTS) { (runs::EVENTS) } ", " a href="junit.xml" { "junit.xml" }
            @for file in FILES.iter().filter(|file| file.name != "report.html") { ", " a href=(file.name) { (file.name) } }
            @for Diagnosed { folder, files, .. } in &summary.diagnosed { ", " a href={ (folder) "/" } { (folder) "/" } " (" (count(*files, "file")) ")" }
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
    let red: Vec<&str> = summary
        .cases
        .iter()
        .filter(|case| case.standing() == Standing::Unexpected && !case.outline.id.contains('/'))
        .map(|case| base(&case.outline.id))
        .collect();
    let only = if red.is_empty() { String::new() } else { format!(" --only {}", red.join(",")) };
    match &plan.target {
        Target::Lab { scenario, .. } => {
            let lab = if scenario.lab == "meshproof" { String::new() } else { format!(" --lab {}", scenario.lab) };
            let kept = summary.finished.as_ref().is_some_and(|finish| finish.lab_kept);
            html! {
                p { "With the scenario below in a file:" }
                pre { "meshproof run --scenario scenario.yaml" (lab) }
                @if kept { p { "The lab was kept, so this judges it again:" } pre { "meshproof check" (lab) (only) } }
                @else if !only.is_empty() { p { "To look at it while it is broken, keep the lab:" } pre { "meshproof run --scenario scenario.yaml" (lab) " --keep on-failure\nmeshproof check" (lab) (only) } }
                (yaml(scenario))
            }
        }
        Target::Brought { scenario, contexts, .. } => html! {
            pre { "meshproof run --contexts " (contexts.values().cloned().collect::<Vec<_>>().join(",")) " --allow-install" }
            (yaml(scenario))
        },
        Target::Contexts { contexts, .. } => html! {
            pre { "meshproof check --contexts " (contexts.values().cloned().collect::<Vec<_>>().join(",")) " --read-only" (only) }
        },
        Target::Archives { archives, .. } => html! {
            pre { "meshproof inspect " (archives.values().cloned().collect::<Vec<_>>().join(" ")) (only) }
        },
    }
}

fn yaml(scenario: &crate::scenario::Scenario) -> Markup {
    let text = serde_json::to_value(scenario).ok().and_then(|value| serde_yaml_ng::to_string(&value).ok());
    html! { details { summary { "The scenario, as it was run" } div.inside { pre { (text.unwrap_or_default()) } } } }
}

/// Every fact that other reports carry as lines, here as rows; deviations and notes have their own place.
fn about(summary: &Summary) -> Markup {
    let lines = facts::lines(summary);
    let rows = lines.iter().filter_map(|line| line.split_once(" = "));
    let rows = rows.filter(|(name, _)| !["deviation from the guide", "note", "critical path, seconds"].contains(name));
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
