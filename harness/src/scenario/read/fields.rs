//! What every part of the reader does: finds fields, and says what cannot stand where they stand.

use marked_yaml::Node;
use marked_yaml::types::{MarkedMappingNode, MarkedScalarNode};

use super::clusters::CLUSTER_FIELDS;
use super::{FIELDS, REPLICA_FIELDS, Reader, Refusal};
use crate::problem::{all_of, any_of, nearest};
use crate::scenario::tree::is_repeated;

impl Reader<'_> {
    /// Reports fields that are not known here.
    pub(super) fn fields(&mut self, path: &str, node: &MarkedMappingNode, known: &[&str]) {
        for key in node.keys().filter(|key| !is_repeated(key) && !known.contains(&key.as_str())) {
            let name = key.as_str();
            let instead = match nearest(name, known.iter().copied()) {
                Some(meant) => format!("`{meant}`"),
                None if path.is_empty() && CLUSTER_FIELDS.contains(&name) => {
                    format!("`{name}` below clusters.primary or clusters.remote")
                }
                None if path.is_empty() && REPLICA_FIELDS.contains(&name) => {
                    format!("`{name}` below istiod or gateway")
                }
                None if !path.is_empty() && FIELDS.contains(&name) => format!("`{name}` at the left margin"),
                None => format!("one of these: {}", all_of(known)),
            };
            let at = if path.is_empty() { "a scenario".to_string() } else { format!("`{path}`") };
            self.tree.problems.push(self.tree.place(key.span()), format!("{at} has no field `{name}`"), instead);
        }
    }

    /// The field's value after a check, else what it is already.
    pub(super) fn checked(
        &mut self,
        root: &MarkedMappingNode,
        key: &str,
        otherwise: String,
        check: impl Fn(&str) -> Result<(), Refusal>,
    ) -> String {
        self.text("", root, key)
            .and_then(|node| self.refused(&node, |text| check(text).map(|()| text.to_string())))
            .unwrap_or(otherwise)
    }

    pub(super) fn refused<T>(
        &mut self,
        node: &MarkedScalarNode,
        check: impl Fn(&str) -> Result<T, Refusal>,
    ) -> Option<T> {
        match check(node.as_str()) {
            Ok(value) => Some(value),
            Err((message, instead)) => {
                self.tree.problems.push(self.tree.place(node.span()), message, instead);
                None
            }
        }
    }

    pub(super) fn text(&mut self, path: &str, node: &MarkedMappingNode, key: &str) -> Option<MarkedScalarNode> {
        let path = joined(path, key);
        let (key, value) = node.iter().find(|(name, _)| name.as_str() == key)?;
        self.as_text(&path, key, value)
    }

    pub(super) fn as_text(&mut self, path: &str, key: &MarkedScalarNode, node: &Node) -> Option<MarkedScalarNode> {
        let place = self.tree.place(node.span());
        let Some(scalar) = node.as_scalar() else {
            let found = if node.as_mapping().is_some() { "has fields of its own" } else { "is a list" };
            self.tree.problems.push(
                place,
                format!("`{path}` {found}"),
                format!("one value, as in `{}: value`", last(path)),
            );
            return None;
        };
        if matches!(scalar.as_str(), "" | "~" | "null") {
            // An empty value begins, for the parser, where the next field does.
            let place = self.tree.place(key.span());
            self.tree.problems.push(place, format!("`{path}` has no value"), "a value; or leave the line out");
            return None;
        }
        self.tree.note(path, node.span());
        Some(scalar.clone())
    }

    /// The field's value after a check; none where it is not there, or cannot stand.
    pub(super) fn read<T>(
        &mut self,
        path: &str,
        node: &MarkedMappingNode,
        key: &str,
        check: impl Fn(&str) -> Result<T, Refusal>,
    ) -> Option<T> {
        let node = self.text(path, node, key)?;
        self.refused(&node, check)
    }

    pub(super) fn mapping(&mut self, path: &str, node: &MarkedMappingNode, key: &str) -> Option<MarkedMappingNode> {
        let path = joined(path, key);
        let example = match key {
            "expect" => "`D8: failed`",
            "symptom" => "`D8: \"* has the caBundle empty *\"`",
            "clusters" => "`primary:` and `remote:`",
            "istiod" | "gateway" => "`replicas: 2`",
            "candidate" => "`istioctl: out/istioctl`",
            "install" => "`without: [annotate-namespace]`",
            "checks" => "`only: [D8]`",
            "overlay" => "`values:`",
            "manifest" => "`apiVersion: v1`",
            _ => "`name: cluster1`",
        };
        let value = node.get_node(key)?;
        self.as_mapping(&path, value, example)
    }

    pub(super) fn as_mapping(&mut self, path: &str, node: &Node, example: &str) -> Option<MarkedMappingNode> {
        if let Some(mapping) = node.as_mapping() {
            self.tree.note(path, node.span());
            return Some(mapping.clone());
        }
        let message = format!("`{path}` is not a group of fields");
        let instead = format!("lines below it, indented: {example}");
        self.tree.problems.push(self.tree.place(node.span()), message, instead);
        None
    }

    /// The items of a list; none where it is not there.
    pub(super) fn list(&mut self, path: &str, node: &MarkedMappingNode, key: &str) -> Vec<Node> {
        let path = joined(path, key);
        let Some(value) = node.get_node(key) else { return Vec::new() };
        match value.as_sequence() {
            Some(items) if !items.is_empty() => {
                self.tree.note(&path, value.span());
                items.iter().cloned().collect()
            }
            _ => {
                let found = if value.as_sequence().is_some() { "is empty" } else { "is no list" };
                let instead = "lines below it that begin with `- `; or leave it out";
                self.tree.problems.push(self.tree.place(value.span()), format!("`{path}` {found}"), instead);
                Vec::new()
            }
        }
    }

    /// The items of a list of texts.
    pub(super) fn texts(&mut self, path: &str, node: &MarkedMappingNode, key: &str) -> Vec<MarkedScalarNode> {
        let items = self.list(path, node, key);
        let path = joined(path, key);
        let mut texts = Vec::new();
        for item in &items {
            match item.as_scalar() {
                Some(text) if !text.as_str().is_empty() => texts.push(text.clone()),
                _ => {
                    let message = format!("`{path}` has an item that is no text");
                    self.tree.problems.push(self.tree.place(item.span()), message, "one word or sentence an item");
                }
            }
        }
        texts
    }
}

/// The path of a field below another.
pub(super) fn joined(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_string() } else { format!("{path}.{key}") }
}

fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

pub(super) fn one_of(what: &str, text: &str, known: &[&str]) -> Result<String, Refusal> {
    if known.contains(&text) {
        return Ok(text.to_string());
    }
    let instead = match nearest(text, known.iter().copied()) {
        Some(meant) => format!("`{meant}`"),
        None => any_of(known),
    };
    Err((format!("`{text}` is not {what}"), instead))
}
