//! The lab and the guide's steps: what was done, by which commands, and what proved it.

use maud::{Markup, html};

use super::cases::evidence;
use super::mark::{self, Tone, mark};
use crate::event::StepOutcome;
use crate::report::Summary;
use crate::report::summary::{LabPart, StepRun};
use crate::report::text::seconds;

/// Parts of the lab, then steps; none where there were neither.
pub fn of(summary: &Summary) -> Option<Markup> {
    let any = !summary.lab.is_empty() || !summary.steps.is_empty();
    any.then(|| html! { @for part in &summary.lab { (lab_part(part)) } @for one in &summary.steps { (step(one)) } })
}

fn lab_part(part: &LabPart) -> Markup {
    let (tone, word) = match &part.end {
        Some(end) if end.error.is_some() => (Tone::Bad, "✕ failed"),
        Some(_) => (Tone::Good, "✓ done"),
        None => (Tone::Warn, "? not ended"),
    };
    let end = part.end.as_ref();
    html! {
        details {
            summary.row {
                (mark(tone, word))
                span.id { "lab" }
                span.title { (part.id) @if !part.title.is_empty() { span.soft { " · " (part.title) } } }
                span.took { @if let Some(end) = end { (seconds(end.seconds)) } }
            }
            div.inside {
                @if let Some(end) = end { p { (end.detail) } @if let Some(error) = &end.error { pre { (error) } } }
            }
        }
    }
}

fn step(step: &StepRun) -> Markup {
    let outline = &step.outline;
    html! {
        details {
            summary.row {
                (mark::of_step(step.outcome.as_ref(), step.started))
                span.id { (outline.role) }
                span.title { (outline.id) span.soft { " · " (outline.title) } }
                span.took { @if step.outcome.is_some() { (seconds(step.seconds)) } }
            }
            div.inside {
                @for command in &outline.commands { pre { (command) } }
                @if !outline.proof.is_empty() { p { "Proof: " (outline.proof) } }
                @match &step.outcome {
                    Some(StepOutcome::Proved { evidence: seen }) => { (evidence(seen)) }
                    Some(StepOutcome::Failed { error }) => { pre { (error) } }
                    Some(StepOutcome::Blocked { by }) => { p { "Blocked by " (by) } }
                    None => {}
                }
            }
        }
    }
}
