//! Mistakes in what a user gave: each with its place, what is wrong there and what to write instead, and shown all at
//! once, so that nobody mends them one run at a time.

mod excerpt;

use std::fmt;

use crate::exit::Exit;
use crate::report::text::one_line;

pub use excerpt::Excerpt;

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it is: `primary-remote.yaml:7:12`, `--only` or `the host`.
    pub place: String,
    /// What is wrong, in one line.
    pub message: String,
    /// What to write or do instead.
    pub instead: String,
    /// The line of the file in which it stands, if it stands in one; on the heap, for few have it.
    pub excerpt: Option<Box<Excerpt>>,
}

impl Problem {
    /// A mistake at this place.
    pub fn new(place: impl Into<String>, message: impl Into<String>, instead: impl Into<String>) -> Self {
        Problem { place: place.into(), message: message.into(), instead: instead.into(), excerpt: None }
    }

    /// As rustc shows an error: what is wrong, where, the line itself, and what to write instead.
    fn shown(&self, colour: bool) -> String {
        let painted = |text: &str, code: u8| match colour {
            false => text.to_string(),
            true => format!("\x1b[1;{code}m{text}\x1b[0m"),
        };
        let (red, blue) = (|text: &str| painted(text, 31), |text: &str| painted(text, 34));
        let gutter = self.excerpt.as_ref().map_or(1, |excerpt| excerpt.line.to_string().len());
        let blank = " ".repeat(gutter);
        let mut lines = vec![
            format!("{}: {}", red("error"), one_line(&self.message)),
            format!("{blank}{} {}", blue("-->"), one_line(&self.place)),
        ];
        if let Some(Excerpt { line, text, mark }) = self.excerpt.as_deref() {
            let (number, bar) = (blue(&format!("{line} |")), blue("|"));
            lines.extend([
                format!("{blank} {bar}"),
                format!("{number} {text}"),
                // The mark ends the line, so its blanks stay.
                format!("{blank} {bar} {}{}", mark.trim_end_matches('^'), red(mark.trim_start())),
            ]);
        }
        lines.push(format!("{blank} {} instead: {}", blue("="), one_line(&self.instead)));
        lines.join("\n")
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown(false))
    }
}

/// Every mistake that was found, in the order in which a reader meets them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a mistake.
    pub fn push(&mut self, place: impl Into<String>, message: impl Into<String>, instead: impl Into<String>) {
        self.0.push(Problem::new(place, message, instead));
    }

    /// Keeps the value, or takes over the problems in its place.
    pub fn keep<T>(&mut self, result: Result<T, Problems>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(Problems(more)) => {
                self.0.extend(more);
                None
            }
        }
    }

    /// Adds those of another that are not among them yet.
    pub fn take(&mut self, Problems(more): Problems) {
        for problem in more {
            if !self.0.contains(&problem) {
                self.0.push(problem);
            }
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value if there is no problem.
    pub fn or<T>(self, value: T) -> Result<T, Problems> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }

    /// Shows the line of this file for each that stands in it by its place: `FILE:LINE` or `FILE:LINE:COLUMN`, columns in
    /// characters.
    pub fn quoting(mut self, file: &str, text: &str) -> Problems {
        for problem in &mut self.0 {
            let Some(place) = problem.place.strip_prefix(file).and_then(|rest| rest.strip_prefix(':')) else {
                continue;
            };
            let mut numbers = place.split(':').map(|number| number.parse().ok());
            let Some(Some(line)) = numbers.next() else { continue };
            problem.excerpt = Excerpt::of(text, line, numbers.next().flatten()).map(Box::new);
        }
        self
    }

    /// All of them, for people.
    pub fn shown(&self, colour: bool) -> String {
        let head = match self.0.len() {
            1 => "1 problem; nothing was created".to_string(),
            many => format!("{many} problems; nothing was created"),
        };
        std::iter::once(head).chain(self.0.iter().map(|problem| problem.shown(colour))).collect::<Vec<_>>().join("\n\n")
    }

    /// How a run ends that was stopped by them: nothing was created.
    pub fn exit(&self) -> Exit {
        Exit::Usage
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Problems(vec![problem])
    }
}

impl From<Vec<Problem>> for Problems {
    fn from(problems: Vec<Problem>) -> Self {
        Problems(problems)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown(false))
    }
}

impl std::error::Error for Problems {}

/// The known name that was probably meant.
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    near(written, known).first().copied()
}

/// The known names that may have been meant, the likeliest first.
pub fn near<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let plain = |name: &str| name.to_lowercase().replace(['-', '_', '.', ' '], "");
    let written = plain(written);
    // A third of the name may be wrong: more than that is another name.
    let allowed = (written.len() / 3).max(1);
    let distance = |name: &str| match plain(name) {
        name if name == written => 0,
        // Who stops in the middle of a name means it.
        name if written.len() > 2 && name.starts_with(&written) => 1,
        name => strsim::damerau_levenshtein(&written, &name),
    };
    let mut near: Vec<(usize, &str)> =
        known.into_iter().map(|name| (distance(name), name)).filter(|(distance, _)| *distance <= allowed).collect();
    // Of those that are as near, in the order in which they are known.
    near.sort_by_key(|(distance, _)| *distance);
    near.into_iter().map(|(_, name)| name).collect()
}

/// Names as people list them: `a`, `a or b`, `a, b or c`.
pub fn any_of<S: AsRef<str>>(names: &[S]) -> String {
    listed(names, "or")
}

/// Names as people list them: `a`, `a and b`, `a, b and c`.
pub fn all_of<S: AsRef<str>>(names: &[S]) -> String {
    listed(names, "and")
}

fn listed<S: AsRef<str>>(names: &[S], last: &str) -> String {
    match names {
        [] => "none".to_string(),
        [one] => one.as_ref().to_string(),
        [many @ .., end] => {
            let many: Vec<&str> = many.iter().map(AsRef::as_ref).collect();
            format!("{} {last} {}", many.join(", "), end.as_ref())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Problems, near, nearest};

    fn two() -> Problems {
        let mut problems = Problems::new();
        problems.push("mine.yaml:10:6", "`My_Lab` cannot be a lab's name", "`my-lab`");
        problems.push("--only", "no check matches `D99`", "an id");
        let text = format!("{}lab: My_Lab # mine\n", "a: b\n".repeat(9));
        problems.quoting("mine.yaml", &text)
    }

    #[test]
    fn a_mistake_in_a_file_is_underlined_and_a_flag_has_the_same_shape() {
        let shown = "2 problems; nothing was created\n\n\
                     error: `My_Lab` cannot be a lab's name\n  \
                     --> mine.yaml:10:6\n   |\n\
                     10 | lab: My_Lab # mine\n   |      ^^^^^^\n   = instead: `my-lab`\n\n\
                     error: no check matches `D99`\n --> --only\n  = instead: an id";
        assert_eq!(two().to_string(), shown);
    }

    #[test]
    fn colour_adds_nothing_but_colour() {
        let coloured = two().shown(true);
        assert!(coloured.contains("\x1b[1;31merror\x1b[0m: `My_Lab`"), "{coloured}");
        assert!(coloured.contains("      \x1b[1;31m^^^^^^\x1b[0m\n"), "{coloured}");
        let plain = ["31", "34"].iter().fold(coloured, |text, code| text.replace(&format!("\x1b[1;{code}m"), ""));
        assert_eq!(plain.replace("\x1b[0m", ""), two().to_string());
    }

    #[test]
    fn nothing_that_was_written_is_obeyed_by_a_terminal() {
        let mut problems = Problems::new();
        problems.push("a.yaml:1:4", "`\x1b[2J` is no name", "\x07");
        let shown = problems.quoting("a.yaml", "a: \x1b[2J\n").to_string();
        assert!(!shown.contains(['\x1b', '\x07']), "{shown:?}");
    }

    #[test]
    fn each_part_of_a_problem_is_one_line_whatever_was_written() {
        let mut problems = Problems::new();
        let hostile = "a\n::set-output name=verdict::green\r\n::error::b";
        problems.push(hostile, hostile, hostile);
        let shown = problems.to_string();
        assert_eq!(shown.lines().count(), 5, "{shown}");
        assert!(!shown.lines().any(|line| line.starts_with("::")), "{shown}");
    }

    #[test]
    fn a_place_in_another_file_or_without_a_line_shows_no_line() {
        let mut problems = Problems::new();
        for place in ["other.yaml:1:1", "a.yaml", "a.yaml:x", "a.yaml:9:1"] {
            problems.push(place, "wrong", "right");
        }
        assert!(problems.quoting("a.yaml", "a: b\n").0.iter().all(|problem| problem.excerpt.is_none()));
    }

    #[test]
    fn names_that_may_be_meant_come_by_how_near_they_are() {
        let known = ["remote-secret", "remote-secrets-of", "run", "rain"];
        assert_eq!(near("remote-secrt", known), ["remote-secret"]);
        assert_eq!(near("remote-secret", known), ["remote-secret", "remote-secrets-of"]);
        assert_eq!(nearest("rn", known), Some("run"));
        assert_eq!(nearest("moon", known), None);
    }
}
