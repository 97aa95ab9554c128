//! The top of the page: the verdict, what broke first and what to do about it, and what was judged.

use maud::{Markup, html};

use super::mark::{Tone, mark};
use crate::check::{Finding, Verdict, explanation};
use crate::exit::{Exit, Standing};
use crate::plan::{Plan, Target};
use crate::report::counts;
use crate::report::summary::{CaseRun, Summary};
use crate::report::text::{count, seconds};

/// The verdict in a word.
pub fn word(summary: &Summary) -> &'static str {
    match (&summary.finished, Exit::decide(summary)) {
        (None, _) => "Not finished",
        (_, Exit::Green) if !summary.judges() => "Done",
        (_, Exit::Green) => "Green",
        (_, Exit::Red) => "Red",
        (_, Exit::LeftOver) => "Green, not removed",
        (_, Exit::Interrupted) => "Interrupted",
        (_, Exit::Usage | Exit::NoVerdict) => "No verdict",
    }
}

/// What was judged, in a few words.
pub fn name(summary: &Summary) -> String {
    summary.plan.as_ref().map_or("meshproof".to_string(), Plan::name)
}

fn tone(summary: &Summary) -> Tone {
    match (&summary.finished, Exit::decide(summary)) {
        (Some(_), Exit::Green) if !summary.judges() => Tone::Calm,
        (Some(_), Exit::Green) => Tone::Good,
        (_, Exit::Red) => Tone::Bad,
        _ => Tone::Warn,
    }
}

/// The anchor of a case on the page.
pub fn anchor(case: &CaseRun) -> String {
    let id = case.outline.id.chars().map(|c| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '.' });
    format!("case-{}", id.collect::<String>())
}

/// The top of the page.
pub fn banner(summary: &Summary) -> Markup {
    let exit = Exit::decide(summary);
    let meaning = match &summary.finished {
        Some(finish) => format!("{} (exit {})", finish.meaning, finish.exit),
        None => "the run ended without saying how: it was killed, or it goes on".to_string(),
    };
    html! {
        div.verdict.(tone(summary).class()) {
            h1 { span.word { (word(summary)) } " · " (name(summary)) }
            p { (meaning) @if exit != Exit::Green { (blocked(summary)) } }
            (broken(summary))
            (counted(summary))
            (facts(summary))
        }
    }
}

/// How much could not be asked: because of what broke first, or of what broke besides.
fn blocked(summary: &Summary) -> String {
    let blocked =
        |case: &&CaseRun| matches!(case.verdict, Some(Verdict::Blocked { .. })) && case.standing() == Standing::Untold;
    match summary.cases.iter().filter(blocked).count() {
        0 => String::new(),
        number => format!("; {} could not be asked", count(number, "check")),
    }
}

fn broken(summary: &Summary) -> Markup {
    let Some(trouble) = summary.first_broken() else { return html! {} };
    let case = summary.cases.iter().find(|case| case.name() == trouble.id);
    let finding = case.and_then(|case| match &case.verdict {
        Some(Verdict::Failed { finding }) => Some(finding.as_ref()),
        _ => None,
    });
    let (first, more) = trouble.cause.split_once('\n').unwrap_or((&trouble.cause, ""));
    html! {
        div.broken {
            h2 { (mark(tone(summary), if trouble.is_interruption() { "cut off" } else { "broken first" })) " " (trouble.id) }
            @if !trouble.title.is_empty() { p.soft { (trouble.title) } }
            p.cause { (first) }
            @if !more.trim().is_empty() { pre { (more) } }
            @if let Some(finding) = finding { (because(finding)) }
            @if let Some(case) = case {
                p {
                    @if case.verdict.is_some() { a href={ "#" (anchor(case)) } { "What was seen" } " · " }
                    @if case.outline.guide.starts_with("https://") { a href=(case.outline.guide) { "The guide on this" } " · " }
                    @if let Some(explain) = explanation::command(&case.outline.id) { code { (explain) } }
                }
            }
        }
    }
}

/// Expected and got, the broken layer, what to do, and where users met the same.
pub fn because(finding: &Finding) -> Markup {
    html! {
        dl.facts {
            @if !finding.expected.is_empty() { dt { "expected" } dd { (finding.expected) } }
            @if !finding.got.is_empty() { dt { "got" } dd { (finding.got) } }
            @if let Some(broken) = &finding.broken {
                dt { "first broken layer" } dd { (broken.layer) ", " (broken.object) ": " (broken.seen) }
            }
            @for like in &finding.like {
                dt { "looks like" }
                dd {
                    (like.issue)
                    @for thread in &like.threads { " " a href=(thread.address()) { (thread) } }
                }
            }
        }
        @if let Some(broken) = &finding.broken { p.soft { "Look:" } pre { (broken.look) } }
        @if let Some(hint) = &finding.hint { p.soft { "What to do:" } pre { (hint) } }
    }
}

fn counted(summary: &Summary) -> Markup {
    if !summary.judges() {
        return html! {};
    }
    let of = |name: &str| {
        let is = |case: &&CaseRun| case.verdict_name() == name;
        let cases: Vec<&CaseRun> = summary.cases.iter().filter(is).collect();
        // The worst of them lends its colour.
        let worst = [Tone::Bad, Tone::Warn, Tone::Good, Tone::Calm]
            .into_iter()
            .find(|tone| cases.iter().any(|case| Tone::of_case(case) == *tone));
        (cases.len(), worst.unwrap_or(Tone::Calm))
    };
    let rows = counts::NAMES.map(|name| (name, of(name)));
    let flaky = summary.cases.iter().filter(|case| case.flaky()).count();
    html! {
        ul.counts aria-label="Verdicts" {
            @for (name, (number, tone)) in rows {
                @if number > 0 { li { (mark(tone, &format!("{number} {name}"))) } }
            }
            @if flaky > 0 { li { (mark(Tone::Warn, &format!("{flaky} flaky"))) } }
        }
    }
}

/// Versions and the like: what a reader asks next.
fn facts(summary: &Summary) -> Markup {
    let scenario = summary.plan.as_ref().and_then(Plan::scenario);
    html! {
        dl.facts {
            @if let Some(scenario) = scenario {
                dt { "versions" }
                dd {
                    "Istio " (scenario.istio) ", "
                    @if matches!(summary.plan.as_ref().map(|plan| &plan.target), Some(Target::Lab { .. })) { "Kubernetes " (scenario.kubernetes) }
                    @if let Some(lab) = &summary.ready { ", " (lab.data_plane) }
                }
            }
            @if let Some(mesh) = &summary.found {
                @for cluster in mesh.clusters.values() { dt { (cluster.name) } dd { "Kubernetes " (cluster.kubernetes) ", context " (cluster.context) } }
            }
            @if let Some(lab) = summary.ready.as_ref().filter(|lab| !lab.image_source.is_empty()) { dt { "images" } dd { (lab.image_source) } }
            @if let Some(scenario) = scenario.filter(|scenario| !scenario.description.is_empty()) { dt { "shows" } dd { (scenario.description) } }
            @for thread in scenario.into_iter().flat_map(|scenario| &scenario.threads) { dt { "thread" } dd { a href=(thread.address()) { (thread) } } }
            @if let Some(head) = &summary.head {
                dt { "run" }
                dd { (head.run) ", " (head.started.strftime("%Y-%m-%d %H:%M UTC")) ", took " (seconds(summary.elapsed)) ", meshproof " (head.meshproof) " " (head.verb) }
            }
        }
    }
}
