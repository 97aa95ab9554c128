//! Pieces of Markdown, of texts of any origin: <https://github.github.com/gfm/>.

use super::text::one_line;

/// A text on one line, where it is nothing but text.
pub fn escaped(text: &str) -> String {
    let character = |c: char| match c {
        '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '|' | '~' | '$' | '!' => format!("\\{c}"),
        '<' => "&lt;".to_string(),
        '>' => "&gt;".to_string(),
        '&' => "&amp;".to_string(),
        // GitHub would tell whoever is called so.
        '@' => "&#64;".to_string(),
        c => c.to_string(),
    };
    one_line(text).chars().map(character).collect()
}

/// A command as code: between more backticks than stand in it.
pub fn code(command: &str) -> String {
    let command = one_line(command);
    let longest = command.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest + 1);
    let blank = if longest == 0 { "" } else { " " };
    format!("{fence}{blank}{command}{blank}{fence}")
}

/// The first two lines of a table, with these words above its columns.
pub fn head<T: AsRef<str>>(words: &[T]) -> String {
    format!("{}|{}\n", row(words), " --- |".repeat(words.len()))
}

/// A row of a table, of cells that are Markdown.
pub fn row<T: AsRef<str>>(cells: &[T]) -> String {
    format!("| {} |\n", cells.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(" | "))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{code, escaped, head, row};

    #[test]
    fn no_text_is_taken_for_markup() {
        let hostile = "a | b\n<c> [d](e) *f* `g` @all \u{1b}";
        assert_eq!(escaped(hostile), r"a \| b ⏎ &lt;c&gt; \[d\](e) \*f\* \`g\` &#64;all ␛");
    }

    #[rstest]
    #[case::plain("meshproof down", "`meshproof down`")]
    #[case::with_backticks("a `b` ``c``", "``` a `b` ``c`` ```")]
    fn a_command_stands_between_more_backticks_than_it_has(#[case] command: &str, #[case] shown: &str) {
        assert_eq!(code(command), shown);
    }

    #[test]
    fn a_table_has_a_line_below_its_head() {
        assert_eq!(head(&["a", "b"]) + &row(&["1", "2"]), "| a | b |\n| --- | --- |\n| 1 | 2 |\n");
    }
}
