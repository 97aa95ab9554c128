//! A table of `kind/versions.toml` for a version that is new, and where in the file it goes.

use std::fmt::Write;

use super::Component;

/// What the file is to say of a new version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The component.
    pub component: Component,
    /// The version, as its publisher writes it.
    pub version: String,
    /// Its fields, in the order of the file.
    pub fields: Vec<(&'static str, Value)>,
    /// What a person should know of how it was found, a line each.
    pub notes: Vec<String>,
}

/// What a field says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// One text.
    One(String),
    /// Any number of texts; a field without any is left out.
    Many(Vec<String>),
}

impl Entry {
    /// The table, with a comment above it that says what is known of it.
    pub fn text(&self) -> String {
        let quoted = |text: &String| format!("\"{text}\"");
        let mut text = "# Added by `meshproof versions add`; neither built nor run yet.\n".to_string();
        let _ = writeln!(text, "[{}.\"{}\"]", self.component.key(), self.version);
        for (field, value) in &self.fields {
            let _ = match value {
                Value::One(one) => writeln!(text, "{field} = {}", quoted(one)),
                Value::Many(many) => match &many[..] {
                    [] => Ok(()),
                    [one] => writeln!(text, "{field} = [{}]", quoted(one)),
                    many => {
                        let lines: String = many.iter().map(|one| format!("  {},\n", quoted(one))).collect();
                        writeln!(text, "{field} = [\n{lines}]")
                    }
                },
            };
        }
        text
    }

    /// The text of the file with this table after the last one of its component. Everything else stays as it is.
    pub fn insert(&self, file: &str) -> String {
        let lines: Vec<&str> = file.lines().collect();
        let own = format!("[{}.", self.component.key());
        let last = lines.iter().rposition(|line| line.starts_with(&own));
        let next = last.and_then(|at| Some(at + 1 + lines[at + 1..].iter().position(|line| line.starts_with('['))?));
        let mut end = next.unwrap_or(lines.len());
        // Comments above the next table are about that one.
        let is_apart = |line: &str| line.trim().is_empty() || (next.is_some() && line.starts_with('#'));
        while end > 0 && is_apart(lines[end - 1]) {
            end -= 1;
        }
        let joined = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
        format!("{}\n{}{}", joined(&lines[..end]), self.text(), joined(&lines[end..]))
    }
}
