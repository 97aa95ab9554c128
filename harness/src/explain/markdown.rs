//! The catalogue of checks as Markdown, as `suites/CATALOG.md` has it.

use std::fmt::Write;

use super::text::{by_reading, follows};
use super::{Catalogue, Filling};
use crate::check::Case;
use crate::check::case::Reads;
use crate::field::Issue;
use crate::problem::all_of;
use crate::report::markdown::{self, escaped};
use crate::sabotage::Sabotage;
use crate::scenario::Thread;

const HEAD: &str = "\
# Catalogue of checks

<!-- Written from the checks themselves; MESHPROOF_ACCEPT=1 cargo test -p meshproof --lib writes it anew. -->

D0 to D13 are statements of Istio's guide, B1 and on are behaviours that follow from them. `meshproof explain ID` says more of each:
the commands to look by hand, and what a hint means.
";

/// Every check: what it judges and why, what it needs, what was seen to turn it red, and whether reading suffices.
pub fn markdown(catalogue: &Catalogue<'_>, filling: &Filling) -> String {
    let mut text = format!("{HEAD}\n{}", markdown::head(&["check", "name", "what", "by reading only"]));
    for case in catalogue.checks {
        let anchor = format!("{}-{}", case.id.to_lowercase(), case.slug);
        let reads = if matches!(case.reads, Reads::Part(_)) { "yes" } else { "no" };
        let (link, title) = (format!("[{}](#{anchor})", case.id), escaped(case.title));
        text += &markdown::row(&[&link, case.slug, &title, reads]);
    }
    for case in catalogue.checks {
        text += &section(case, catalogue, filling);
    }
    text
}

fn section(case: &Case, catalogue: &Catalogue<'_>, filling: &Filling) -> String {
    let mut text = format!("\n## {} {}\n\n**{}**\n\n", case.id, case.slug, escaped(case.title));
    let _ = writeln!(text, "{}\n", escaped(&filling.fill(case.explains.judges)));
    let _ = writeln!(text, "{}\n", escaped(&filling.fill(case.explains.why)));
    let _ = writeln!(text, "- Guide: <{}>", case.guide);
    let facts = [("Needs", all_of(case.needs)), ("Follows", follows(case)), ("Blames", all_of(case.blames))];
    for (label, what) in facts.into_iter().filter(|(_, what)| what != "none") {
        let _ = writeln!(text, "- {label}: {what}");
    }
    let _ = writeln!(text, "- By reading only: {}", escaped(&by_reading(case)));
    let sabotages: Vec<String> = catalogue.sabotages_of(case).map(|one| sabotaged(one, filling)).collect();
    listed(&mut text, "Turned red by", &sabotages);
    let issues: Vec<String> = catalogue.issues_of(case).map(met).collect();
    listed(&mut text, "Met by users as", &issues);
    text
}

fn listed(text: &mut String, title: &str, items: &[String]) {
    if !items.is_empty() {
        let _ = writeln!(text, "- {title}:");
    }
    for item in items {
        let _ = writeln!(text, "  - {item}");
    }
}

fn sabotaged(sabotage: &Sabotage, filling: &Filling) -> String {
    let link = format!("[`{id}`](../{}/{id}.yaml)", crate::sabotage::FOLDER, id = sabotage.id);
    format!("{link}: {}", escaped(&filling.fill(&sabotage.what)))
}

fn met(issue: &Issue) -> String {
    let link = format!("[`{id}`](scenarios/field/{id}.yaml)", id = issue.id);
    let linked = |thread: &Thread| format!("[{thread}]({})", thread.address());
    let threads: Vec<String> = issue.scenario().threads.iter().map(linked).collect();
    let threads = if threads.is_empty() { String::new() } else { format!(" ({})", threads.join(", ")) };
    format!("{link}: {}{threads}", escaped(&issue.what()))
}
