//! Mistakes in what a user gave: each with its place, what is wrong there and what to write instead, and shown all at
//! once, so that nobody mends them one run at a time.

use std::fmt;

use crate::exit::Exit;

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it is: `primary-remote.yaml:7:12`, `--only` or `the host`.
    pub place: String,
    /// What is wrong, in one line.
    pub message: String,
    /// What to write or do instead.
    pub instead: String,
}

impl Problem {
    /// A mistake at this place.
    pub fn new(place: impl Into<String>, message: impl Into<String>, instead: impl Into<String>) -> Self {
        Problem { place: place.into(), message: message.into(), instead: instead.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}\n    instead: {}", self.place, self.message, self.instead)
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
        match self.0.len() {
            1 => write!(f, "1 problem; nothing was created")?,
            many => write!(f, "{many} problems; nothing was created")?,
        }
        self.0.iter().try_for_each(|problem| write!(f, "\n\n{problem}"))
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
