//! An explanation as lines for a terminal.

use std::fmt::Write;

use super::{Catalogue, Filling, Subject};
use crate::check::Case;
use crate::check::case::{Reads, When};
use crate::diagnose::hints::Symptom;
use crate::field::Issue;
use crate::install::primary_remote::GUIDE;
use crate::plan::StepOutline;
use crate::problem::all_of;
use crate::report::text::{columns, one_line};
use crate::sabotage::Sabotage;

const BY_HAND: &str = "to look by hand:";

/// The width of the labels, and of the lines.
const LABEL: usize = 12;
const WIDTH: usize = 110;

/// All there is to explain, a line each.
pub fn list(catalogue: &Catalogue<'_>) -> String {
    let row = |cells: &[&str]| cells.iter().map(|cell| format!("  {cell}")).collect::<Vec<_>>();
    let (mut checks, mut steps, mut hints) = (Vec::new(), Vec::new(), Vec::new());
    for subject in catalogue.subjects() {
        match subject {
            Subject::Check(case) => checks.push(row(&[case.id, case.slug, case.title])),
            Subject::Step(step) => steps.push(row(&[&step.id, &step.title])),
            Subject::Hint(symptom) => hints.push(row(&[symptom.id, symptom.title])),
        }
    }
    let part = |title: &str, rows: &[Vec<String>]| format!("{title}:\n{}\n", columns(rows));
    let parts =
        [part("Checks", &checks), part("Steps", &steps), part("Hints, as diagnostics give them", &hints)].concat();
    format!("{parts}meshproof explain D8 webhook-without-ca explains one or several of them.\n")
}

/// One of them, for a person: what it is, and how to look.
pub fn text(subject: Subject<'_>, catalogue: &Catalogue<'_>, filling: &Filling) -> String {
    match subject {
        Subject::Check(case) => check(case, catalogue, filling),
        Subject::Step(step) => of_step(step, catalogue, filling),
        Subject::Hint(symptom) => hint(symptom, filling),
    }
}

fn check(case: &Case, catalogue: &Catalogue<'_>, filling: &Filling) -> String {
    let explains = case.explains;
    let mut text = format!("{} {}: {}\n\n", case.id, case.slug, case.title);
    said(&mut text, "judged", &filling.fill(explains.judges));
    said(&mut text, "why", &filling.fill(explains.why));
    said(&mut text, "guide", case.guide);
    said(&mut text, "needs", &all_of(case.needs));
    said(&mut text, "follows", &follows(case));
    if !case.blames.is_empty() {
        said(
            &mut text,
            "blames",
            &format!(
                "{}: where one of these does not hold, a check that does not pass is blocked by it",
                all_of(case.blames)
            ),
        );
    }
    said(&mut text, "by reading", &by_reading(case));
    let by_hand = explains.by_hand.iter().filter(|by_hand| filling.on_a_lab || !by_hand.on_a_lab);
    commands(&mut text, BY_HAND, filling, by_hand.map(|by_hand| (Some(by_hand.shows), by_hand.command)));
    let sabotages = catalogue.sabotages_of(case).map(|sabotage| sabotaged(sabotage, filling));
    rows(&mut text, "turned red by (meshproof prove --only NAME):", sabotages.collect());
    let issues = catalogue.issues_of(case).map(met).collect();
    rows(&mut text, "users met it as (meshproof field run NAME):", issues);
    text
}

/// When it is asked.
pub(super) fn follows(case: &Case) -> String {
    match case.when {
        When::CleanedUp => "the guide's clean-up".to_string(),
        When::Installed => all_of(case.follows),
    }
}

/// Whether it can be judged on clusters that are only read.
pub(super) fn by_reading(case: &Case) -> String {
    match case.reads {
        Reads::Nothing(why) => format!("no: {why}"),
        Reads::Part(reading) if reading.not_asked.is_empty() => "yes, all of it".to_string(),
        Reads::Part(reading) => format!("yes; not asked then: {}", reading.not_asked),
    }
}

/// A sabotage and what it does, with the threads in which users met it.
pub(super) fn sabotaged(sabotage: &Sabotage, filling: &Filling) -> (String, String) {
    (sabotage.id.clone(), with_threads(filling.fill(&sabotage.what), &sabotage.threads))
}

/// A field issue and what it is, with its threads.
fn met(issue: &Issue) -> (String, String) {
    let threads: Vec<String> = issue.scenario().threads.iter().map(ToString::to_string).collect();
    (issue.id.clone(), with_threads(one_line(&issue.what()), &threads))
}

fn with_threads(what: String, threads: &[String]) -> String {
    if threads.is_empty() { what } else { format!("{what} ({})", threads.join(", ")) }
}

fn of_step(step: &StepOutline, catalogue: &Catalogue<'_>, filling: &Filling) -> String {
    let mut text = format!("{}: {}\n\n", step.id, step.title);
    said(&mut text, "proved by", &step.proof);
    said(&mut text, "guide", &guide(&step.guide));
    said(&mut text, "after", &all_of(&step.after));
    let of = |names: &dyn Fn(&Case) -> bool| {
        let checks: Vec<&str> = catalogue.checks.iter().filter(|case| names(case)).map(|case| case.id).collect();
        all_of(&checks)
    };
    said(&mut text, "judged by", &of(&|case| case.follows.contains(&step.id.as_str())));
    said(&mut text, "needed by", &of(&|case| case.needs.contains(&step.id.as_str())));
    // Not to look: whoever pastes these changes the clusters.
    let title = "what it does to the clusters:";
    commands(&mut text, title, filling, step.commands.iter().map(|command| (None, command.as_str())));
    let without = catalogue.sabotages.iter().filter(|sabotage| sabotage.without.contains(&step.id));
    rows(&mut text, "left out by (meshproof prove --only NAME):", without.map(|one| sabotaged(one, filling)).collect());
    text
}

/// The address of a section of the guide; steps name it by its anchor, or another page as a whole.
fn guide(section: &str) -> String {
    match section {
        anchor if anchor.starts_with('#') => format!("{GUIDE}{anchor}"),
        "harness" => "none: the lab or its workloads take it".to_string(),
        page => page.to_string(),
    }
}

fn hint(symptom: &Symptom, filling: &Filling) -> String {
    let mut text = format!("{}: {}\n\n", symptom.id, symptom.title);
    said(&mut text, "means", &filling.fill(symptom.meaning));
    said(&mut text, "reference", symptom.reference);
    commands(&mut text, BY_HAND, filling, std::iter::once((None, symptom.look)));
    text
}

/// A label and what it says, over as many lines as it takes; nothing where there is nothing to say.
fn said(text: &mut String, label: &str, what: &str) {
    if what.is_empty() || what == "none" {
        return;
    }
    for (at, line) in wrapped(what, WIDTH - LABEL).iter().enumerate() {
        let label = if at == 0 { label } else { "" };
        let _ = writeln!(text, "{label:LABEL$}{line}");
    }
}

/// Commands to be pasted, each with what it shows; they are never broken.
fn commands<'a>(
    text: &mut String,
    title: &str,
    filling: &Filling,
    all: impl Iterator<Item = (Option<&'a str>, &'a str)>,
) {
    let all: Vec<_> = all.collect();
    if all.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{title}");
    for line in &filling.exports {
        let _ = writeln!(text, "  {line}");
    }
    for (shows, command) in all {
        if let Some(shows) = shows {
            let _ = writeln!(text, "  # {}", filling.fill(shows));
        }
        let _ = writeln!(text, "  {}", filling.fill(command));
    }
}

fn rows(text: &mut String, title: &str, rows: Vec<(String, String)>) {
    if rows.is_empty() {
        return;
    }
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or_default() + 2;
    let _ = writeln!(text, "\n{title}");
    for (name, what) in rows {
        for (at, line) in wrapped(&what, WIDTH.saturating_sub(width + 2)).iter().enumerate() {
            let name = if at == 0 { name.as_str() } else { "" };
            let _ = writeln!(text, "  {name:width$}{line}");
        }
    }
}

/// The text in lines of at most this many characters; a word that is longer has a line of its own.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_string()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn lines_break_between_words_and_a_long_word_stays_whole() {
        assert_eq!(wrapped("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrapped("see https://istio.io/latest now", 9), ["see", "https://istio.io/latest", "now"]);
        assert_eq!(wrapped("", 9), Vec::<String>::new());
    }
}
