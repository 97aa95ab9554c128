//! Runs of the past, as a page.

use maud::{Markup, html};

use super::{CheckRow, History, Row};
use crate::report::html::page;
use crate::report::letters::LEGEND;
use crate::report::text::{one_line, seconds};

/// Height of a chart.
const HEIGHT: f64 = 60.0;

/// Width of a bar with its gap.
const BAR: f64 = 12.0;

impl History {
    /// The page: the newest run first, for it is read from the top.
    pub fn html(&self) -> String {
        let runs = crate::report::text::count(self.rows.len(), "run");
        page(
            "Runs of meshproof",
            html! {
                main {
                    h1 { "Runs of meshproof" }
                    p { (runs) ", the newest first" }
                    @for (kind, all) in self.durations() { (chart(&kind, &all)) }
                    h2 { "Runs" }
                    div.wide tabindex="0" role="region" aria-label="Runs" {
                        table {
                            thead { tr { @for name in ["when", "verb", "what", "Istio", "Kubernetes", "verdict", "took", "flaky", "first broken"] { th scope="col" { (name) } } } }
                            tbody { @for row in self.rows.iter().rev() { (run(row)) } }
                        }
                    }
                    h2 { "Checks" }
                    div.wide tabindex="0" role="region" aria-label="Checks" {
                        table {
                            thead { tr { @for name in ["check", "judged", "as expected", "flaky", "runs, the newest at the right"] { th scope="col" { (name) } } } }
                            tbody { @for check in &self.checks { (of_check(check)) } }
                        }
                    }
                    p { (LEGEND) }
                }
            },
        )
    }
}

fn run(row: &Row) -> Markup {
    html! {
        tr {
            td { (row.started.map_or("-".to_string(), |time| time.strftime("%Y-%m-%d %H:%M").to_string())) }
            td { (row.verb) } td { (one_line(&row.name)) } td { (row.istio) } td { (row.kubernetes) }
            td { (row.verdict()) } td.number { (seconds(row.seconds)) }
            td.number { @if row.flaky > 0 { (row.flaky) } }
            td { (one_line(row.broken.as_deref().unwrap_or_default())) }
        }
    }
}

fn of_check(check: &CheckRow) -> Markup {
    html! {
        tr {
            td { (check.name) } td.number { (check.judged) }
            td.number { @if check.judged > 0 { (format!("{:.0} %", 100.0 * check.fine as f64 / check.judged as f64)) } }
            td.number { @if check.flaky > 0 { (check.flaky) } }
            td { code { (check.letters.concat()) } }
        }
    }
}

fn chart(kind: &str, all: &[f64]) -> Markup {
    let most = all.iter().copied().fold(0.0, f64::max);
    let (newest, width) = (all.last().copied().unwrap_or_default(), BAR * all.len() as f64);
    let said =
        format!("{kind}: {} that ended green, {} at most, {} the newest", all.len(), seconds(most), seconds(newest));
    html! {
        figure {
            figcaption { (one_line(&said)) }
            svg viewBox=(format!("0 0 {width:.0} {HEIGHT:.0}")) width=(format!("{width:.0}")) height=(format!("{HEIGHT:.0}")) role="img" aria-label=(one_line(&said)) {
                @for (at, took) in all.iter().enumerate() {
                    @let height = (took / most * HEIGHT).max(1.0);
                    rect x=(format!("{:.0}", at as f64 * BAR)) y=(format!("{:.1}", HEIGHT - height)) width=(BAR - 2.0) height=(format!("{height:.1}")) fill="currentColor" {
                        title { (seconds(*took)) }
                    }
                }
            }
        }
    }
}
