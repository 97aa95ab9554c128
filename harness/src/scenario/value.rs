//! A part of a file's tree as plain data, read as YAML reads it: an unquoted `2` is a number, a quoted one a text.

use marked_yaml::Node;
use serde_json::Value;

/// The data below a node.
pub fn of(node: &Node) -> Value {
    match node {
        Node::Scalar(scalar) if scalar.may_coerce() => {
            serde_yaml_ng::from_str(scalar.as_str()).unwrap_or_else(|_| Value::from(scalar.as_str()))
        }
        Node::Scalar(scalar) => Value::from(scalar.as_str()),
        Node::Sequence(items) => items.iter().map(of).collect(),
        Node::Mapping(fields) => fields.iter().map(|(key, value)| (key.as_str().to_string(), of(value))).collect(),
    }
}
