//! Fields that hold credentials wherever they stand: kubeconfig files, JSON, query strings, command lines.

use super::GONE;

/// Names of such fields, in lower case.
const FIELDS: [&str; 13] = [
    "token",
    "id-token",
    "id_token",
    "access_token",
    "refresh-token",
    "refresh_token",
    "bearertoken",
    "client-key-data",
    "client-certificate-data",
    "client_secret",
    "clientsecret",
    "password",
    "private_key",
];

/// Whether a field of this name holds a credential.
pub fn is_credential(name: &str) -> bool {
    FIELDS.contains(&name.to_ascii_lowercase().as_str())
}

/// The text without the values of such fields.
pub fn without_credentials(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    // Lines deeper than this belong to a value that goes: a block of several lines.
    let mut block: Option<usize> = None;
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start_matches(' ').len();
        if block.is_some_and(|block| indent > block || line.trim().is_empty()) {
            continue;
        }
        block = None;
        match yaml_line(line) {
            Some(Yaml::Value(until)) => {
                let end = if line.ends_with('\n') { "\n" } else { "" };
                let comma = if line.trim_end().ends_with(',') { "," } else { "" };
                kept.push_str(&format!("{} \"{GONE}\"{comma}{end}", &line[..until]));
            }
            Some(Yaml::Block(until)) => {
                kept.push_str(&format!("{} \"{GONE}\"\n", &line[..until]));
                block = Some(indent);
            }
            None => kept.push_str(&inline(line)),
        }
    }
    kept
}

enum Yaml {
    /// The value stands on the same line, after this many bytes.
    Value(usize),
    /// The value stands on the lines below.
    Block(usize),
}

/// A line that is nothing but `key: value`, as in YAML and in JSON with one field a line.
fn yaml_line(line: &str) -> Option<Yaml> {
    let (key, value) = line.split_once(':')?;
    let name = key.trim_start_matches([' ', '-']).trim_end().trim_matches('"');
    if !is_credential(name) {
        return None;
    }
    let until = key.len() + 1;
    match value.trim() {
        // Nothing, a nested object or a word without a secret.
        "" | "\"\"" | "null" | "true" | "false" => None,
        nested if nested.starts_with(['{', '[']) => None,
        block if block.starts_with(['|', '>']) => Some(Yaml::Block(until)),
        _ => Some(Yaml::Value(until)),
    }
}

/// A line that holds such fields among other things.
fn inline(line: &str) -> String {
    let lower = line.to_ascii_lowercase();
    if !FIELDS.iter().any(|field| lower.contains(field)) {
        return line.to_string();
    }
    let mut spans: Vec<(usize, usize)> = Vec::new();
    for field in FIELDS {
        for (at, _) in lower.match_indices(field) {
            spans.extend(value_of(line, at, at + field.len()));
        }
    }
    spans.sort_unstable();
    let mut kept = String::with_capacity(line.len());
    let mut done = 0;
    for (start, end) in spans {
        if start >= done {
            kept.push_str(&line[done..start]);
            kept.push_str(GONE);
            done = end;
        }
    }
    kept.push_str(&line[done..]);
    kept
}

/// Where the value of the field at `start..end` stands: `"token":"x"`, also escaped, `token=x` and `--token x`.
fn value_of(line: &str, start: usize, end: usize) -> Option<(usize, usize)> {
    let (before, after) = (&line[..start], &line[end..]);
    for quote in ["\\\"", "\""] {
        if !before.ends_with(quote) {
            continue;
        }
        let value = after.strip_prefix(quote)?.trim_start().strip_prefix(':')?.trim_start().strip_prefix(quote)?;
        let from = line.len() - value.len();
        // An escaped quote belongs to the value of a plain string and ends that of an escaped one.
        let length = value.match_indices(quote).map(|(at, _)| at).find(|at| !value[..*at].ends_with('\\'));
        return Some((from, from + length.unwrap_or(value.trim_end().len())));
    }
    let flag = before.ends_with("--");
    if before.chars().next_back().is_some_and(|c| c.is_ascii_alphanumeric() || "_.".contains(c) || (c == '-' && !flag))
    {
        return None;
    }
    let value = after.strip_prefix('=').or_else(|| if flag { after.strip_prefix(' ') } else { None })?;
    let value = value.trim_start_matches('"');
    let length = value.find(|c: char| c.is_whitespace() || "&\"',;)".contains(c)).unwrap_or(value.len());
    let from = line.len() - value.len();
    (length > 0).then_some((from, from + length))
}
