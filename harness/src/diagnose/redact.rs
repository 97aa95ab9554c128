//! Takes secrets out of whatever is about to be written to a diagnostics file.

use serde_json::Value;

const GONE: &str = "<redacted>";

/// Fields that hold secrets wherever they stand, in lower case.
const SECRET_FIELDS: [&str; 6] = ["token", "client-key-data", "client-certificate-data", "password", "bearertoken", "id-token"];

/// The text without bearer tokens, private keys and credentials of kubeconfig files; certificates stay.
pub fn text(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut in_key = false;
    for line in text.split_inclusive('\n') {
        if line.contains("-----BEGIN") && line.contains("PRIVATE KEY-----") {
            in_key = !line.contains("-----END");
            kept.push_str(GONE);
            kept.push('\n');
        } else if in_key {
            in_key = !line.contains("-----END");
        } else {
            kept.push_str(&credential_line(&tokens(line)));
        }
    }
    kept
}

/// A JSON value without the data of Secrets and without the same things as [`text`].
pub fn json(value: &mut Value) {
    match value {
        Value::Object(map) => {
            let is_secret = map.get("kind").is_some_and(|kind| kind == "Secret");
            for (key, inner) in map.iter_mut() {
                let secret_data = is_secret && ["data", "stringData"].contains(&key.as_str());
                let secret_field = SECRET_FIELDS.contains(&key.to_lowercase().as_str()) && inner.is_string();
                if secret_data || secret_field {
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

/// A line in which every JSON web token (three parts, the first of which begins a JSON object) is gone.
fn tokens(line: &str) -> String {
    let part = |c: char| c.is_ascii_alphanumeric() || "-_.=".contains(c);
    let mut kept = String::new();
    let mut rest = line;
    while let Some(start) = rest.find("eyJ") {
        let word: String = rest[start..].chars().take_while(|c| part(*c)).collect();
        kept.push_str(&rest[..start]);
        kept.push_str(if word.matches('.').count() == 2 { GONE } else { &word });
        rest = &rest[start + word.len()..];
    }
    kept.push_str(rest);
    kept
}

/// A line `key: value` of a kubeconfig, without the value where that is a credential.
fn credential_line(line: &str) -> String {
    let Some((key, value)) = line.split_once(':') else { return line.to_string() };
    let name = key.trim().trim_start_matches("- ").trim_matches('"').to_lowercase();
    if !SECRET_FIELDS.contains(&name.as_str()) || value.trim().is_empty() {
        return line.to_string();
    }
    format!("{key}: {GONE}{}", if line.ends_with('\n') { "\n" } else { "" })
}
