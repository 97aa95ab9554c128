//! `report.html`: one file that a person reads, with all of a run in it. The verdict comes first, then what was looked at, then
//! where the time went, then what it takes to do it again.

mod about;
mod cases;
pub(super) mod mark;
mod page;
mod picture;
mod shares;
mod steps;
mod timeline;
mod verdict;

pub use page::page;

use maud::{Markup, html};

use super::files::Beside;
use super::{Summary, waits};
use crate::event::Record;

/// The page of a run, whole or not, with this beside it.
pub fn render(records: &[Record], beside: &Beside) -> String {
    let summary = Summary::of(records);
    let waits = waits::of(records);
    let body = html! {
        header.run { (verdict::banner(&summary)) }
        main id="main" {
            (section("The mesh", picture::of(&summary)))
            (cases::sections(&summary))
            (section("Shared load", shares::of(&summary)))
            (section("Where the time went", timeline::of(&summary, &waits)))
            (section("Lab and install, step by step", steps::of(&summary)))
            (about::sections(&summary, beside))
        }
        footer { p.soft { "Made by meshproof from the events of this run. " code { "meshproof report events.jsonl --out DIR" } " makes it again." } }
    };
    page(&format!("{} · {}", verdict::word(&summary), verdict::name(&summary)), body)
}

/// A section, where there is something to show in it.
fn section(title: &str, body: Option<Markup>) -> Markup {
    html! { @if let Some(body) = body { section { h2 { (title) } (body) } } }
}
