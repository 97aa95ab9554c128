//! Workflow commands: lines that GitHub's runner carries out, such as annotations.
//!
//! Their form and what is escaped in them:
//! <https://docs.github.com/actions/reference/workflow-commands-for-github-actions>. A step shows ten annotations of each
//! kind at most.

use crate::check::Verdict;
use crate::report::Summary;
use crate::report::text::{count, cut, one_line, printable};
use crate::report::trouble::Trouble;

/// So many annotations of a kind are shown of a step.
const SHOWN: usize = 10;

/// Characters of a message, of which GitHub shows the first lines.
const LONGEST: usize = 2000;

/// The annotations of a run that has ended, a line each: an error for everything that keeps it from being green, the first
/// cause first; a warning for clauses that could not be asked, and for each that passed after a failure.
pub fn annotations(summary: &Summary) -> Vec<String> {
    let (blocked, errors): (Vec<Trouble>, Vec<Trouble>) =
        summary.troubles().into_iter().partition(|trouble| is_blocked(summary, trouble));
    let blocked: Vec<&str> = blocked.iter().map(id).collect();
    // Where nothing else says why, the first of them does.
    let only_blocked = errors.is_empty().then(|| summary.first_broken()).flatten();
    let errors: Vec<Trouble> = only_blocked.into_iter().chain(errors).collect();
    let told = if errors.len() > SHOWN { SHOWN - 1 } else { errors.len() };
    let mut lines: Vec<String> = errors[..told].iter().map(error_of).collect();
    if let [first, ..] = &errors[told..] {
        let title = format!("{} more", count(errors.len() - told, "failure"));
        lines.push(command("error", &title, &format!("from {} on: see the report of the run", id(first))));
    }
    if !blocked.is_empty() {
        let title = format!("{} blocked", count(blocked.len(), "check"));
        lines.push(command("warning", &title, &blocked.join(", ")));
    }
    let flaky = summary.cases.iter().filter(|case| case.flaky());
    let warning = |case: &crate::report::summary::CaseRun| {
        command(
            "warning",
            &format!("{} is flaky", case.name()),
            &format!("before it passed: {}", case.failed_attempts.join("\n")),
        )
    };
    lines.extend(flaky.take(SHOWN - 1).map(warning));
    lines
}

/// The annotation of a call that was refused before anything was created.
pub fn refused(why: &str) -> String {
    command("error", "meshproof: bad input", why)
}

/// Text for the log in which nothing is a command, whoever wrote it: the runner takes `::` at the beginning of a line for
/// one, and `##[` anywhere. It ends lines at `\r` too.
pub fn harmless(text: &str) -> String {
    text.split_inclusive(['\n', '\r']).map(harmless_line).collect()
}

fn harmless_line(line: &str) -> String {
    let line = line.replace("##[", "# #[");
    match line.trim_start().strip_prefix("::") {
        Some(rest) => format!("{}: :{rest}", &line[..line.len() - rest.len() - 2]),
        None => line,
    }
}

fn error_of(trouble: &Trouble) -> String {
    let cause = trouble.cause.lines().next().unwrap_or_default().to_string();
    let lines: Vec<String> = std::iter::once(cause).chain(trouble.advice.clone()).map(|line| one_line(&line)).collect();
    command("error", format!("{} {}", trouble.id, trouble.title).trim_end(), &lines.join("\n"))
}

fn command(name: &str, title: &str, message: &str) -> String {
    format!("::{name} title={}::{}", property(&one_line(title)), data(&cut(&printable(message), LONGEST)))
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

fn id(trouble: &Trouble) -> &str {
    trouble.id.split(' ').next().unwrap_or_default()
}

fn is_blocked(summary: &Summary, trouble: &Trouble) -> bool {
    let verdict = summary.case(id(trouble)).and_then(|case| case.verdict.as_ref());
    trouble.class == "case" && matches!(verdict, Some(Verdict::Blocked { .. }))
}
