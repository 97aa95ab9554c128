//! Where the time went: every step, wait and check on one clock, by lane, with what decided how long it took.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::mark::{Tone, mark};
use crate::event::StepOutcome;
use crate::report::Summary;
use crate::report::lanes;
use crate::report::text::seconds;
use crate::report::times::Span;
use crate::report::waits::Wait;

const WIDTH: f64 = 1000.0;
const LEFT: f64 = 96.0;
const ROW: f64 = 17.0;
/// About the width of a letter in a bar.
const LETTER: f64 = 5.6;
/// As much of what a wait saw is shown, the last of it.
const MOST_SEEN: usize = 8;

/// The picture, the parts of the run, the longest waits and a table of all; none where nothing took time.
pub fn of(summary: &Summary, waits: &[Wait]) -> Option<Markup> {
    let spans = summary.times.spans();
    if spans.is_empty() {
        return None;
    }
    let path = summary.times.critical_path();
    Some(html! {
        (parts(summary))
        p.soft { "Dark bars are the critical path: to make anything else faster gains nothing. The thin line in a bar is waiting." }
        div.wide tabindex="0" role="region" aria-label="Timeline" { (picture(summary, &path, waits)) }
        (converged(summary))
        (table(summary, &path, waits))
    })
}

fn parts(summary: &Summary) -> Markup {
    let rows = summary.times.rows(summary.elapsed);
    html! {
        ul.counts aria-label="Time of each part" {
            li { (mark(Tone::Calm, &format!("whole run {}", seconds(summary.elapsed)))) }
            @for (part, took) in rows { li { (mark(Tone::Calm, &format!("{} {}", part.name(), seconds(took)))) } }
        }
    }
}

/// How long the mesh took to come to what was waited for, beside the limit.
fn converged(summary: &Summary) -> Markup {
    html! {
        @if !summary.waits.is_empty() {
            h3 { "The longest waits" }
            div.wide tabindex="0" role="region" aria-label="The longest waits" {
                table {
                    thead { tr { th scope="col" { "limit" } th.number scope="col" { "took" } th.number scope="col" { "at most" } th.number scope="col" { "share" } th scope="col" { "who waited for what" } } }
                    tbody {
                        @for (name, wait) in &summary.waits {
                            tr {
                                td.id { (name) }
                                td.number { (seconds(wait.seconds)) } td.number { (seconds(wait.limit)) } td.number { (format!("{:.0} %", wait.share() * 100.0)) }
                                td { (wait.scope) ": " (wait.what) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn picture(summary: &Summary, path: &[Span], waits: &[Wait]) -> Markup {
    let lanes = lanes::of(summary);
    let total = summary.elapsed.max(0.001);
    let scale = |at: f64| LEFT + at / total * (WIDTH - LEFT - 8.0);
    let height: f64 = lanes.iter().map(|lane| lane.rows.len() as f64 * ROW + 8.0).sum::<f64>() + 26.0;
    let mut waited: BTreeMap<&str, Vec<&Wait>> = BTreeMap::new();
    for wait in waits {
        waited.entry(&wait.scope).or_default().push(wait);
    }
    let mut top = 22.0;
    let tops: Vec<f64> = lanes
        .iter()
        .map(|lane| {
            let here = top;
            top += lane.rows.len() as f64 * ROW + 8.0;
            here
        })
        .collect();
    html! {
        svg.timeline viewBox=(format!("0 0 {WIDTH} {height:.0}")) role="img" aria-label="Timeline; the table below it says the same" {
            @for tick in ticks(total) {
                line.grid x1=(px(scale(tick.into()))) x2=(px(scale(tick.into()))) y1="18" y2=(px(height)) {}
                text.small.soft x=(px(scale(tick.into()))) y="12" text-anchor="middle" { (tick) " s" }
            }
            @for (lane, top) in lanes.iter().zip(&tops) {
                rect.lane x="0" y=(px(*top)) width=(LEFT - 8.0) height=(px(lane.rows.len() as f64 * ROW + 2.0)) rx="3" {}
                text.small x="6" y=(px(top + 13.0)) { (lane.name) }
                @for (at, row) in lane.rows.iter().enumerate() {
                    @for span in row {
                        @let y = top + at as f64 * ROW;
                        (bar(summary, span, path.contains(span), scale(span.from), scale(span.to), y))
                        @for wait in waited.get(span.id.as_str()).into_iter().flatten() {
                            @let (from, to) = (scale(wait.from.max(span.from)), scale(wait.to.min(span.to)));
                            @if to > from + 0.5 { rect.waited x=(px(from)) y=(px(y + 11.5)) width=(px(to - from)) height="2" {} }
                        }
                    }
                }
            }
        }
    }
}

fn bar(summary: &Summary, span: &Span, critical: bool, from: f64, to: f64, y: f64) -> Markup {
    let width = (to - from).max(1.5);
    let tone = tone(summary, &span.id);
    let class = match tone {
        Tone::Bad => "bad",
        Tone::Warn => "warn",
        _ if critical => "path",
        _ => "",
    };
    let fits = span.id.chars().count() as f64 * LETTER < width - 4.0;
    html! {
        g {
            title { (span.id) ", " (seconds(span.seconds())) ", from " (seconds(span.from)) }
            rect class={ "span " (class) } x=(px(from)) y=(px(y)) width=(px(width)) height="14" rx="2" {}
            @if fits { text class={ "in " (class) } x=(px(from + 3.0)) y=(px(y + 10.0)) { (span.id) } }
        }
    }
}

/// How a step or a case came out.
fn tone(summary: &Summary, id: &str) -> Tone {
    if let Some(case) = summary.case(id) {
        return Tone::of_case(case);
    }
    match summary.step(id).map(|step| &step.outcome) {
        Some(Some(StepOutcome::Failed { .. })) => Tone::Bad,
        Some(None) => Tone::Warn,
        _ => Tone::Good,
    }
}

/// Seconds at which the clock is marked: six to twelve of them, at round numbers.
fn ticks(total: f64) -> Vec<u32> {
    const STEPS: [u32; 12] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 3600];
    let step = STEPS.into_iter().find(|step| total / f64::from(*step) < 12.0).unwrap_or(7200);
    (0..).map(|number| number * step).take_while(|at| f64::from(*at) <= total).collect()
}

/// A number for a picture, with one place.
fn px(number: f64) -> String {
    format!("{number:.1}")
}

fn table(summary: &Summary, path: &[Span], waits: &[Wait]) -> Markup {
    let mut spans: Vec<&Span> = summary.times.spans().iter().collect();
    spans.sort_by(|a, b| a.from.total_cmp(&b.from));
    html! {
        details {
            summary { "Every step, wait and check, with what was seen while waiting" }
            div.inside {
                div.wide.bare tabindex="0" role="region" aria-label="Every step, wait and check" {
                    table {
                        thead { tr { th.number scope="col" { "from" } th.number scope="col" { "took" } th scope="col" { "what" } th scope="col" { "waited for, and what was seen" } } }
                        tbody {
                            @for span in spans {
                                tr {
                                    td.number { (seconds(span.from)) } td.number { (seconds(span.seconds())) }
                                    td { (span.id) @if path.contains(span) { " " (mark(Tone::Calm, "critical path")) } }
                                    td { @for wait in waits.iter().filter(|wait| wait.scope == span.id && wait.from >= span.from - 0.01 && wait.from <= span.to) { (told(wait)) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn told(wait: &Wait) -> Markup {
    let left_out = wait.seen.len().saturating_sub(MOST_SEEN);
    html! {
        p {
            (wait.what) ", " (seconds(wait.to - wait.from))
            @if let Some((name, limit)) = &wait.limit { span.soft { " of at most " (seconds(*limit)) " (" (name) ")" } }
        }
        @if left_out > 0 { p.soft { (left_out) " looks before these" } }
        @for (at, seen) in wait.seen.iter().skip(left_out) { p.soft { (seconds(*at)) ": " (seen) } }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::ticks;

    #[rstest]
    #[case::a_moment(0.4, &[0])]
    #[case::a_run(77.0, &[0, 10, 20, 30, 40, 50, 60, 70])]
    #[case::long(3600.0, &[0, 600, 1200, 1800, 2400, 3000, 3600])]
    fn the_clock_is_marked_at_round_numbers(#[case] total: f64, #[case] marks: &[u32]) {
        assert_eq!(ticks(total), marks);
    }
}
