//! Verdicts as single letters, for tables of clauses.

/// What the letters mean.
pub const LEGEND: &str =
    ". passed, R red, b blocked, ? could not tell, - not asked; with ! it is not what was expected";

/// The letter of a verdict, with `!` where another was expected; nobody expects anything of what is not asked.
pub fn letter(verdict: &str, expected: &str) -> String {
    let letter = match verdict {
        "passed" => ".",
        "failed" => "R",
        "blocked" => "b",
        "skipped" => return "-".to_string(),
        _ => "?",
    };
    if verdict == expected { letter.to_string() } else { format!("{letter}!") }
}
