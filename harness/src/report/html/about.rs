//! What the run was about, and how to do it again: files, commands, digests, deviations, the scenario.

use maud::{Markup, html};

use crate::report::files::{Beside, FILES};
use crate::report::runs;
use crate::report::summary::Diagnosed;
use crate::report::text::count;
use crate::report::{Remains, Rerun, Summary, facts, rerun};
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

/// Where the scenario of the run stands on the page.
const SHOWN: &str = "the scenario below";

fn again(summary: &Summary) -> Markup {
    let scenario = summary.plan.as_ref().and_then(|plan| plan.scenario());
    html! {
        (remains(summary))
        @if let Some(again) = Rerun::of(summary, None).again {
            p { "What broke, judged again:" } pre { (again.with_scenario(SHOWN)) }
        }
        @if let Some(all) = rerun::all(summary) { p { "All of it:" } pre { (all.with_scenario(SHOWN)) } }
        @if let Some(scenario) = scenario { (yaml(scenario)) }
    }
}

/// What is left when the run is over, and the commands to look at it and to remove it.
fn remains(summary: &Summary) -> Markup {
    let kept = summary.finished.as_ref().is_some_and(|finish| finish.lab_kept);
    if summary.is_brought() {
        let what = match (kept, summary.left_over()) {
            (true, _) => "What was made in the clusters was kept. To remove it:",
            (_, true) => "Something could not be removed from the clusters. To try it again:",
            _ => return html! {},
        };
        return html! { p { (what) } pre { "meshproof uninstall --record created.json   # in the folder of this run" } };
    }
    let lab = summary.plan.as_ref().and_then(|plan| plan.scenario()).map(|scenario| lab_flag(&scenario.lab));
    let down = format!("meshproof down{}", lab.unwrap_or_default());
    let look = format!("meshproof status   # its state, and the commands to look inside\n{down}");
    match summary.remains() {
        Remains::Nothing => html! {},
        Remains::Lab => html! { p { "The lab was kept. To look inside, and to remove it:" } pre { (look) } },
        Remains::Parts => html! { p { "Something of the lab could not be removed. To try it again:" } pre { (down) } },
        Remains::Unknown => {
            html! { p { "The run ended before its lab was removed, so it may still be there. To look inside, and to remove it:" } pre { (look) } }
        }
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
