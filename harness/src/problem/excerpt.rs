//! The line of a file in which a mistake stands, with the mistake underlined.

use crate::report::text::printable;

/// Longest part of a line that is shown, in characters.
const WIDTH: usize = 100;

/// What is shown before the mistake where a longer line is cut, in characters.
const BEFORE: usize = 40;

/// Stands where a part of the line is left out.
const CUT: char = '…';

/// A line and the part of it that is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// Its number, from 1.
    pub line: usize,
    /// The line, without what a terminal would obey.
    pub text: String,
    /// The blanks before the mark, and its carets.
    pub mark: String,
}

impl Excerpt {
    /// The line of this number, marked from this column on, both from 1; the whole line without a column. None where the
    /// text has no such line.
    pub fn of(text: &str, line: usize, column: Option<usize>) -> Option<Excerpt> {
        let written = text.lines().nth(line.checked_sub(1)?)?;
        // A picture for each control character and a blank for each tab, so that every column stays.
        let letters: Vec<char> = printable(written).replace('\t', " ").trim_end().chars().collect();
        let indent = letters.iter().take_while(|letter| letter.is_whitespace()).count();
        let (from, end) = match column {
            None => (indent, letters.len()),
            Some(column) => {
                // Where something is missing at the end of the line, the mark stands behind it.
                let at = column.saturating_sub(1).min(letters.len());
                let from = key_before(&letters, at);
                (from, from + width(&letters[from..]))
            }
        };
        let begin = if letters.len() > WIDTH { from.saturating_sub(BEFORE) } else { 0 };
        let shown: String = letters.iter().skip(begin).take(WIDTH).collect();
        let (head, tail) = (begin > 0, begin + WIDTH < letters.len());
        let mut mark = " ".repeat(from - begin + usize::from(head));
        mark += &"^".repeat((end.min(begin + WIDTH).saturating_sub(from)).max(1));
        let cut = |is: bool| if is { CUT.to_string() } else { String::new() };
        Some(Excerpt { line, text: format!("{}{shown}{}", cut(head), cut(tail)), mark })
    }
}

/// Where the key begins whose colon stands here: by that colon the reader tells where a group of fields begins. Else here.
fn key_before(letters: &[char], at: usize) -> usize {
    if letters.get(at) != Some(&':') {
        return at;
    }
    letters[..at].iter().rposition(|letter| " {,".contains(*letter)).map_or(0, |blank| blank + 1)
}

/// How long the group or list is that begins here; all of the line if it does not end there.
fn closed(letters: &[char]) -> usize {
    let mut open = 0;
    for (index, letter) in letters.iter().enumerate() {
        match letter {
            '{' | '[' => open += 1,
            '}' | ']' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return index + 1;
        }
    }
    letters.len()
}

/// How long the key or value is that begins here: to its closing quote, or to what YAML ends a word with.
fn width(letters: &[char]) -> usize {
    let Some(&first) = letters.first() else { return 1 };
    let at = |index: usize| letters.get(index).copied().unwrap_or(' ');
    if first == '"' || first == '\'' {
        let close = (1..letters.len()).find(|index| at(*index) == first && at(index - 1) != '\\');
        return close.map_or(letters.len(), |close| close + 1);
    }
    if first == '{' || first == '[' {
        return closed(letters);
    }
    let mut inside = false;
    for (index, &letter) in letters.iter().enumerate() {
        // `${NAME}` is a part of its word.
        inside = match letter {
            '{' if index > 0 && at(index - 1) == '$' => true,
            '}' if inside => {
                inside = false;
                continue;
            }
            _ => inside,
        };
        let ends = match letter {
            ':' | ',' => at(index + 1) == ' ',
            '}' | ']' => !inside,
            ' ' => at(index + 1) == '#',
            _ => false,
        };
        if ends {
            return index.max(1);
        }
    }
    letters.len()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{Excerpt, WIDTH};

    #[rstest]
    #[case::a_value("lab: My_Lab", 6, "     ^^^^^^")]
    #[case::a_key("kubernets: x", 1, "^^^^^^^^^")]
    #[case::of_a_flow("expect: {D8: fail, D9: x}", 14, "             ^^^^")]
    #[case::the_last_of_a_flow("expect: {D8: fail}", 14, "             ^^^^")]
    #[case::with_blanks("at: 10 Main Street # home", 5, "    ^^^^^^^^^^^^^^")]
    #[case::quoted("name: \"a, b: c\" # d", 7, "      ^^^^^^^^^")]
    #[case::a_quote_that_is_left_open("name: \"a", 7, "      ^^")]
    #[case::a_variable("a: ${NOBODY}-x, b", 4, "   ^^^^^^^^^^^")]
    #[case::a_list("only: [D1, D99], skip: [D2]", 7, "      ^^^^^^^^^")]
    #[case::a_group_in_a_group("a: {b: {c: d}, e: f} # g", 4, "   ^^^^^^^^^^^^^^^^^")]
    #[case::a_list_that_goes_on("only: [D1,", 7, "      ^^^^")]
    #[case::the_colon_of_a_key("- pause: 5s", 8, "  ^^^^^")]
    #[case::behind_the_end("name:", 6, "     ^")]
    #[case::far_behind_the_end("name:", 60, "     ^")]
    #[case::after_a_tab("\tname: x", 2, " ^^^^")]
    fn the_word_that_is_meant_is_underlined(#[case] line: &str, #[case] column: usize, #[case] mark: &str) {
        let text = format!("first: 1\n{line}\nlast: 2\n");
        let excerpt = Excerpt::of(&text, 2, Some(column)).expect("there is such a line");
        assert_eq!((excerpt.line, excerpt.mark.as_str()), (2, mark), "{}", excerpt.text);
    }

    #[test]
    fn without_a_column_the_whole_line_is_meant() {
        let excerpt = Excerpt::of("  a: b  \n", 1, None).expect("there is such a line");
        assert_eq!((excerpt.text.as_str(), excerpt.mark.as_str()), ("  a: b", "  ^^^^"));
    }

    #[rstest]
    #[case(0)]
    #[case(3)]
    fn a_line_that_is_not_there_is_not_shown(#[case] line: usize) {
        assert_eq!(Excerpt::of("a: b\nc: d\n", line, Some(1)), None);
    }

    #[test]
    fn a_very_long_line_is_cut_around_the_mistake() {
        let text = format!("{}: {{bad: {}}}", "k".repeat(500), "v".repeat(500));
        let excerpt = Excerpt::of(&text, 1, Some(504)).expect("there is such a line");
        let (line, mark): (Vec<char>, Vec<char>) = (excerpt.text.chars().collect(), excerpt.mark.chars().collect());
        assert!(line.len() <= WIDTH + 2 && line[0] == '…' && line[line.len() - 1] == '…', "{}", excerpt.text);
        let marked: String =
            line.iter().zip(&mark).filter(|(_, mark)| **mark == '^').map(|(letter, _)| letter).collect();
        assert_eq!(marked, "bad");
    }

    #[test]
    fn what_a_terminal_would_obey_is_shown_as_a_picture() {
        let excerpt = Excerpt::of("na\u{1b}[31mme: x", 1, Some(1)).expect("there is such a line");
        assert_eq!((excerpt.text.as_str(), excerpt.mark.as_str()), ("na␛[31mme: x", "^^^^^^^^^"));
    }
}
