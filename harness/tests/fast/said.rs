//! Problems as plain lines, for tests of what is said and not of how it looks.

use harness::problem::Problems;

/// How many there are, then each as `PLACE: MESSAGE` with what to do instead below it.
pub fn said(problems: &Problems) -> String {
    let each = problems.0.iter().map(|one| format!("{}: {}\n    instead: {}", one.place, one.message, one.instead));
    let count = format!("{} problems", problems.0.len());
    std::iter::once(count).chain(each).collect::<Vec<_>>().join("\n\n")
}
