//! Takes secrets out of whatever is about to be written; certificates and CA bundles are public and stay.
//!
//! It works on text of any kind, also on text that was cut or that holds JSON inside YAML inside a log line: when in
//! doubt a value goes.

mod fields;
mod keys;
mod secret_objects;
mod tokens;

use serde_json::Value;

/// What stands where a secret stood.
pub const GONE: &str = "<redacted>";

/// The text without private keys, bearer tokens, credentials of kubeconfig files and the data of Secrets.
pub fn text(text: &str) -> String {
    let text = secret_objects::without_data(text);
    let text = keys::without_private_keys(&text);
    let text = fields::without_credentials(&text);
    tokens::without_tokens(&text)
}

/// A JSON value without the same things as [`text`]; what is no string keeps its type.
pub fn json(value: &mut Value) {
    match value {
        Value::Object(map) => {
            let is_secret = map.get("kind").is_some_and(|kind| kind == "Secret");
            for (key, inner) in map.iter_mut() {
                let data = is_secret && secret_objects::DATA.contains(&key.as_str());
                if data || (fields::is_credential(key) && inner.is_string()) {
                    *inner = Value::from(GONE);
                } else {
                    json(inner);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(json),
        Value::String(inner) => *inner = text(inner),
        _ => {}
    }
}
