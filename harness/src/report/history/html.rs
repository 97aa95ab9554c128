//! Runs of the past, as a page.

use std::ops::Range;
use std::path::Path;

use maud::{Markup, html};

use super::{BLANK, CheckRow, History, Row, heading};
use crate::exit::Exit;
use crate::report::html::mark::{Tone, mark};
use crate::report::html::page;
use crate::report::letters::LEGEND;
use crate::report::text::{UNBROKEN, count, one_line, seconds};

/// Width and height of a chart, in which a bar with its gap has this width.
const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 60.0;
const BAR: f64 = 12.5;

/// So many of the newest runs have a bar, or a letter: as many as there is room for.
const MOST: usize = (WIDTH / BAR) as usize;

impl History {
    /// The page: the newest run first, for it is read from the top. `link` says where the report of a run is.
    pub fn html(&self, link: impl Fn(&Path) -> Option<String>) -> String {
        let runs = count(self.rows.len(), "run");
        let newest = self.newest(MOST);
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
                            thead { tr { @for name in ["run", "when", "verb", "what", "Istio", "Kubernetes", "verdict", "took", "flaky", "first broken"] { th.id scope="col" { (name) } } } }
                            tbody { @for (at, row) in self.rows.iter().enumerate().rev() { (run(at + 1, row, link(&row.folder))) } }
                        }
                    }
                    h2 { "Checks" }
                    div.wide tabindex="0" role="region" aria-label="Checks" {
                        table {
                            thead { tr { @for name in ["check", "judged", "as expected", "flaky", &heading(&newest)] { th.id scope="col" { (name) } } } }
                            tbody { @for check in &self.checks { (of_check(check, newest.clone())) } }
                        }
                    }
                    p.soft { (LEGEND) "; " (BLANK) }
                }
            },
        )
    }
}

fn run(number: usize, row: &Row, report: Option<String>) -> Markup {
    let folder = one_line(&row.folder());
    html! {
        tr {
            td.number { (number) }
            td.number title=(folder) { @if let Some(report) = report { a href=(report) { (row.when()) } } @else { (row.when()) } }
            td.id { (row.verb) } td.id { (one_line(&row.name)) } td.id { (row.istio) } td.id { (row.kubernetes) }
            td { (mark(tone(row), row.verdict())) } td.number { (seconds(row.seconds)) }
            td.number { @if row.flaky > 0 { (row.flaky) } }
            td.any { (one_line(row.broken.as_deref().unwrap_or_default())) }
        }
    }
}

fn tone(row: &Row) -> Tone {
    match row.exit {
        _ if !row.ended => Tone::Warn,
        Exit::Green => Tone::Good,
        Exit::Red => Tone::Bad,
        _ => Tone::Warn,
    }
}

fn of_check(check: &CheckRow, runs: Range<usize>) -> Markup {
    html! {
        tr {
            td.id { (check.name) } td.number { (check.judged) }
            td.number { (check.rate()) }
            td.number { @if check.flaky > 0 { (check.flaky) } }
            td { code { (check.letters(runs).replace(' ', UNBROKEN)) } }
        }
    }
}

/// The newest of them, as many as there is room for.
fn chart(kind: &str, all: &[f64]) -> Markup {
    let shown = &all[all.len().saturating_sub(MOST)..];
    let most = shown.iter().copied().fold(0.0, f64::max);
    let newest = seconds(shown.last().copied().unwrap_or_default());
    let said = one_line(&format!(
        "{kind}: {} that ended green, {} at most, the newest {newest}",
        count(all.len(), "run"),
        seconds(most)
    ));
    html! {
        figure {
            figcaption { (said) }
            svg viewBox=(format!("0 0 {WIDTH:.0} {HEIGHT:.0}")) role="img" aria-label=(said) {
                @for (at, took) in shown.iter().enumerate() {
                    @let height = (took / most * HEIGHT).max(1.0);
                    rect.span x=(format!("{:.1}", at as f64 * BAR)) y=(format!("{:.1}", HEIGHT - height)) width=(BAR - 2.0) height=(format!("{height:.1}")) {
                        title { (seconds(*took)) }
                    }
                }
            }
        }
    }
}
