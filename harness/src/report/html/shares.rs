//! How requests were shared between clusters: the counts of each caller, beside what a fair mesh gives.

use maud::{Markup, html};

use crate::check::Sample;
use crate::context::own_id;
use crate::report::summary::{CaseRun, Summary};
use crate::report::text::count;

/// The picture's units for a whole row of answers.
const WIDTH: f64 = 420.0;
const LEFT: f64 = 90.0;
const ROW: f64 = 26.0;

/// All rows of requests that were counted; none where there are none.
pub fn of(summary: &Summary) -> Option<Markup> {
    let samples = summary.cases.iter().filter_map(|case| Some((case, case.verdict.as_ref()?.evidence()?)));
    let samples: Vec<(&CaseRun, &Sample)> =
        samples.flat_map(|(case, seen)| seen.samples.iter().map(move |sample| (case, sample))).collect();
    let band = "The band is what a fair mesh gives in all but one of very many runs: a count outside of it is red.";
    (!samples.is_empty()).then(|| html! { p.soft { (band) } @for (case, sample) in samples { (chart(case, sample)) } })
}

fn chart(case: &CaseRun, sample: &Sample) -> Markup {
    let total: u32 = sample.answers.values().sum();
    let scale = |number: u32| f64::from(number) / f64::from(total.max(1)) * WIDTH;
    let (low, high) = sample.calm;
    let said: Vec<String> = sample.answers.iter().map(|(name, number)| format!("{name} {number}")).collect();
    let title = format!(
        "{} of requests from {} to {}: {}",
        count(total as usize, "answer"),
        sample.from,
        sample.to,
        said.join(", ")
    );
    let height = ROW * sample.answers.len() as f64 + 22.0;
    html! {
        h3 { (own_id(&case.outline.id)) ": " (count(total as usize, "request")) " from " (sample.from) " to " (sample.to) }
        svg.share viewBox=(format!("0 0 {} {height}", LEFT + WIDTH + 50.0)) role="img" aria-label=(title) {
            rect.band x=(LEFT + scale(low)) y="2" width=(scale(high) - scale(low)) height=(height - 20.0) {}
            @for (at, (name, number)) in sample.answers.iter().enumerate() {
                @let top = 4.0 + ROW * at as f64;
                @let calm = (low..=high).contains(number);
                text x="0" y=(top + 14.0) { (name) }
                rect.span.bad[!calm] x=(LEFT) y=(top) width=(scale(*number)) height=(ROW - 8.0) rx="2" {}
                text x=(LEFT + scale(*number) + 6.0) y=(top + 14.0) { (number) }
            }
            text.small.soft x=(LEFT + scale(low)) y=(height - 5.0) text-anchor="middle" { (low) }
            text.small.soft x=(LEFT + scale(high)) y=(height - 5.0) text-anchor="middle" { (high) }
        }
    }
}
