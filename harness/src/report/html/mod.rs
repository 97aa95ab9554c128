//! `report.html`: one file that a person reads, with all of a run in it.

mod page;

pub use page::page;

use maud::html;

use super::Summary;
use crate::event::Record;

/// The page of a run, whole or not.
pub fn render(records: &[Record]) -> String {
    let summary = Summary::of(records);
    let title = summary.head.as_ref().map_or("meshproof".to_string(), |head| head.run.clone());
    page(&title, html! { h1 { (title) } })
}
