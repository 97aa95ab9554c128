//! A YAML text as a tree that knows the line and column of every key and value.

use std::collections::BTreeMap;

use marked_yaml::types::{MarkedMappingNode, MarkedScalarNode};
use marked_yaml::{LoadError, LoaderOptions, Marker, Node, Span, parse_yaml_with_options};

use crate::problem::{Problem, Problems};

/// Stands in a key that was already there: nobody can type it, and it keeps every column.
const REPEATED: char = '\u{E000}';

/// A file's tree, with the mistakes that YAML itself shows.
pub struct Tree {
    file: String,
    root: Option<MarkedMappingNode>,
    places: BTreeMap<String, String>,
    /// Mistakes found so far.
    pub problems: Problems,
}

impl Tree {
    /// Reads the text as one YAML mapping.
    pub fn load(text: &str, file: &str) -> Tree {
        let mut tree = Tree { file: file.to_string(), root: None, places: BTreeMap::new(), problems: Problems::new() };
        if let Some(line) = second_document(text) {
            let place = format!("{file}:{line}:1");
            tree.problems.push(place, "a second document begins here", "one scenario a file, without this `---`");
        }
        if let Some(line) = text.lines().position(|line| line.contains(is_mark)) {
            let place = format!("{file}:{}", line + 1);
            tree.problems.push(place, "there is a letter of Unicode's private use", "letters that everybody can read");
            return tree;
        }
        let mut text = text.to_string();
        // The parser stops at a repeated key. That key is renamed and the text read once more, so that the mistakes
        // after it are shown too. Each pass renames one key, so this ends.
        loop {
            let options = LoaderOptions::default().error_on_duplicate_keys(true).prevent_coercion(true);
            let error = match parse_yaml_with_options(0, &text, options) {
                Ok(Node::Mapping(root)) => {
                    tree.root = Some(root);
                    return tree;
                }
                Ok(_) => return tree,
                Err(error) => error,
            };
            let LoadError::DuplicateKey(keys) = &error else {
                tree.problems.0.push(tree.unreadable(&error));
                return tree;
            };
            let name = keys.key.as_str();
            let before = keys.prev_key.span().start().map_or(0, Marker::line);
            let place = tree.place(keys.key.span());
            let instead = format!("only one `{name}`: line {before} has it already");
            tree.problems.push(place, format!("`{name}` stands here again"), instead);
            match renamed(&text, &keys.key) {
                Some(next) => text = next,
                None => return tree,
            }
        }
    }

    /// The whole file; nothing if it is no mapping, which is among the problems then.
    pub fn root(&self) -> Option<MarkedMappingNode> {
        self.root.clone()
    }

    /// `file:line:column` of a span.
    pub fn place(&self, span: &Span) -> String {
        match span.start() {
            Some(start) => format!("{}:{}:{}", self.file, start.line(), start.column()),
            None => self.file.clone(),
        }
    }

    /// Remembers where the value of this path stands.
    pub fn note(&mut self, path: &str, span: &Span) {
        let place = self.place(span);
        self.places.insert(path.to_string(), place);
    }

    /// The places remembered so far.
    pub fn places(&self) -> &BTreeMap<String, String> {
        &self.places
    }

    fn unreadable(&self, error: &LoadError) -> Problem {
        let text = error.to_string();
        // The library begins with its own form of the place, which is shown in ours.
        let words = text.split_once(": ").map_or(text.as_str(), |(_, words)| words);
        let (mark, message, instead) = match error {
            LoadError::TopLevelMustBeMapping(mark) | LoadError::TopLevelMustBeSequence(mark) => {
                (mark, "this is not a list of fields".to_string(), "lines such as `name: primary-remote`")
            }
            LoadError::UnexpectedAnchor(mark) => {
                (mark, "YAML anchors are not understood here".to_string(), "the value itself, wherever it is needed")
            }
            LoadError::UnexpectedTag(mark) => {
                (mark, "YAML tags are not understood here".to_string(), "the value without its tag")
            }
            LoadError::MappingKeyMustBeScalar(mark) => {
                (mark, "a field's name must be one word".to_string(), "a line such as `name: primary-remote`")
            }
            LoadError::ScanError(mark, _) => (
                mark,
                format!("this is not YAML: {words}"),
                "`field: value` lines, with spaces and no tabs before them",
            ),
            LoadError::DuplicateKey(_) => unreachable!("repeated keys are dealt with where they are met"),
        };
        Problem::new(format!("{}:{}:{}", self.file, mark.line(), mark.column()), message, instead)
    }
}

/// Whether this key was renamed since it is there twice.
pub fn is_repeated(key: &MarkedScalarNode) -> bool {
    key.as_str().contains(is_mark)
}

fn is_mark(letter: char) -> bool {
    ('\u{E000}'..='\u{F8FF}').contains(&letter)
}

/// The text with one letter of this key replaced by a mark that no other key has.
fn renamed(text: &str, key: &MarkedScalarNode) -> Option<String> {
    let start = key.span().start()?.character();
    let used = text.chars().filter(|letter| is_mark(*letter)).count();
    let mark = char::from_u32(REPEATED as u32 + used as u32).filter(|letter| is_mark(*letter))?;
    let letter = text.chars().nth(start)?;
    // A quoted key begins with its quote.
    let at = if matches!(letter, '"' | '\'') { start + 1 } else { start };
    if key.as_str().is_empty() {
        return None;
    }
    Some(text.chars().enumerate().map(|(i, letter)| if i == at { mark } else { letter }).collect())
}

/// The line of the `---` that begins a second document, which the parser would leave out silently.
fn second_document(text: &str) -> Option<usize> {
    let mut begun = false;
    for (index, line) in text.lines().enumerate() {
        if line == "---" || line.starts_with("--- ") {
            if begun {
                return Some(index + 1);
            }
            begun = true;
        } else if !line.trim().is_empty() && !line.trim_start().starts_with('#') && !line.starts_with('%') {
            begun = true;
        }
    }
    None
}
