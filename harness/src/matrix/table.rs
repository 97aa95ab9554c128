//! The table of a matrix: clauses by combinations, as text and as Markdown.

use super::{Combination, Matrix, NOT_JUDGED, Outcome};
use crate::exit::Exit;
use crate::report::letters::{LEGEND, letter};
use crate::report::markdown;
use crate::report::text::{bytes, columns, count, seconds};

/// As lines for a terminal.
pub fn text(matrix: &Matrix) -> String {
    let mut text = columns(&rows(matrix));
    for line in causes(matrix).into_iter().chain([LEGEND.to_string(), sums(matrix)]) {
        text += &format!("{line}\n");
    }
    text
}

/// As Markdown.
pub fn markdown(matrix: &Matrix) -> String {
    let rows: Vec<Vec<String>> =
        rows(matrix).iter().map(|row| row.iter().map(|cell| markdown::escaped(cell)).collect()).collect();
    let head = rows.first().map(|row| markdown::head(row)).unwrap_or_default();
    let body: String = rows.iter().skip(1).map(|row| markdown::row(row)).collect();
    let causes: String = causes(matrix).iter().map(|cause| format!("- {}\n", markdown::escaped(cause))).collect();
    let between = if causes.is_empty() { "" } else { "\n" };
    format!("{head}{body}{between}{causes}\n{LEGEND}. {}.\n", sums(matrix))
}

/// The table with a column for each combination.
fn rows(matrix: &Matrix) -> Vec<Vec<String>> {
    let all = matrix.own();
    let row = |head: &str, cell: &dyn Fn(&Combination) -> String| {
        std::iter::once(head.to_string()).chain(all.iter().map(cell)).collect::<Vec<_>>()
    };
    let outcome = |cell: &dyn Fn(&Outcome) -> String, one: &Combination| {
        one.outcome.as_ref().map_or_else(|| "not run".to_string(), cell)
    };
    let mut rows = vec![row("Istio", &|one| one.istio.clone()), row("Kubernetes", &|one| one.kubernetes.clone())];
    if all.iter().any(|one| one.scenario != all[0].scenario) {
        rows.push(row("scenario", &|one| one.scenario.clone()));
    }
    rows.push(row("Istio supports it", &|one| one.support().to_string()));
    for (id, slug) in clauses(all) {
        rows.push(row(&format!("{id} {slug}"), &|one| verdict(one, &id)));
    }
    rows.push(row("run", &|one| outcome(&|outcome| said(outcome.exit).to_string(), one)));
    rows.push(row("took", &|one| outcome(&|outcome| seconds(outcome.seconds), one)));
    let size = |size: Option<u64>| size.map_or_else(|| "not known".to_string(), bytes);
    rows.push(row("disk", &|one| size(one.disk.map(|disk| disk.bytes))));
    rows.push(row("disk for it alone", &|one| size(one.disk.map(|disk| disk.alone))));
    rows
}

/// All clauses, in the order in which they are planned; those of one run alone stand after what they follow there.
fn clauses(all: &[Combination]) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for one in all {
        let mut at = 0;
        for clause in one.outcome.iter().flat_map(|outcome| &outcome.clauses) {
            match found.iter().position(|(id, _)| *id == clause.id) {
                Some(there) => at = there + 1,
                None => {
                    found.insert(at, (clause.id.clone(), clause.slug.clone()));
                    at += 1;
                }
            }
        }
    }
    found
}

/// The letter of a clause in a run; nothing where its scenario does not ask it.
fn verdict(one: &Combination, id: &str) -> String {
    let Some(outcome) = &one.outcome else { return String::new() };
    match outcome.clauses.iter().find(|clause| clause.id == id) {
        Some(clause) => letter(&clause.verdict, &clause.expected),
        None if outcome.clauses.is_empty() => letter(NOT_JUDGED, "passed"),
        None => "-".to_string(),
    }
}

/// How a run ended, in a word or two.
fn said(exit: Exit) -> &'static str {
    match exit {
        Exit::Green => "green",
        Exit::Red => "red",
        Exit::Usage | Exit::NoVerdict => "could not tell",
        Exit::LeftOver => "left over",
        Exit::Interrupted => "interrupted",
    }
}

/// What keeps each run from being green, a line each.
fn causes(matrix: &Matrix) -> Vec<String> {
    let line = |one: &Combination| {
        let name = one.name();
        match &one.outcome {
            None => Some(format!("{name}: not run")),
            Some(outcome) if outcome.exit == Exit::Green => None,
            Some(outcome) => Some(format!("{name}: {}", outcome.cause)),
        }
    };
    matrix.own().iter().filter_map(line).collect()
}

/// Counts over all runs, in one line.
fn sums(matrix: &Matrix) -> String {
    let own = matrix.own();
    let green = own.iter().filter(|one| one.outcome.as_ref().is_some_and(|outcome| outcome.exit == Exit::Green));
    let all = matrix.combinations.len();
    let part = if matrix.shard.is_whole() { String::new() } else { format!("; shard {} of {all}", matrix.shard) };
    format!("{} of {} green{part}", green.count(), count(own.len(), "run"))
}
