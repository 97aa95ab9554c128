//! The data of Secrets: as YAML, as JSON, and as JSON inside a line of something else.

use super::GONE;

/// The fields that hold it.
pub const DATA: [&str; 2] = ["data", "stringData"];

/// The text without it. Names and metadata of Secrets stay.
pub fn without_data(text: &str) -> String {
    if !text.contains("Secret") {
        return text.to_string();
    }
    let whole_is_json = text.trim_start().starts_with(['{', '[']);
    if whole_is_json && text.lines().any(is_json_kind) {
        // One field a line: which object a field belongs to cannot be told line by line, so the data of all goes.
        return without_json_data(text);
    }
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let fates = fates(&lines);
    let mut kept = String::with_capacity(text.len());
    for (line, fate) in lines.iter().zip(fates) {
        match fate {
            Fate::Gone => {}
            Fate::Emptied => {
                let (key, _) = line.split_once(':').unwrap_or((line, ""));
                kept.push_str(&format!("{key}: {GONE}\n"));
            }
            Fate::Kept if is_inline_secret(line) => kept.push_str(&without_json_data(line)),
            Fate::Kept => kept.push_str(line),
        }
    }
    kept
}

#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Kept,
    Emptied,
    Gone,
}

/// What becomes of each line of YAML.
fn fates(lines: &[&str]) -> Vec<Fate> {
    let mut fates = vec![Fate::Kept; lines.len()];
    for (at, line) in lines.iter().enumerate() {
        let (depth, content, _) = parts(line);
        if !matches!(content, "kind: Secret" | "kind: \"Secret\"" | "\"kind\": \"Secret\"" | "\"kind\": \"Secret\",") {
            continue;
        }
        let (first, last) = object_around(lines, at, depth);
        let mut below = false;
        for index in first..=last {
            let (inner, content, _) = parts(lines[index]);
            if inner == depth && !content.is_empty() {
                below = DATA.iter().any(|key| {
                    content
                        .trim_start_matches('"')
                        .strip_prefix(key)
                        .is_some_and(|rest| rest.trim_start_matches('"').starts_with(':'))
                });
                if below {
                    fates[index] = Fate::Emptied;
                }
            } else if below {
                fates[index] = Fate::Gone;
            }
        }
    }
    fates
}

/// First and last line of the mapping that has a field at line `at`.
fn object_around(lines: &[&str], at: usize, depth: usize) -> (usize, usize) {
    let ends = |line: &str| {
        let (inner, content, _) = parts(line);
        content == "---" || (!content.is_empty() && inner < depth)
    };
    let mut first = at;
    // A dash begins the mapping that it stands before.
    while first > 0 && !starts_item(lines[first], depth) && !ends(lines[first - 1]) {
        first -= 1;
    }
    let mut last = at;
    while last + 1 < lines.len() && !starts_item(lines[last + 1], depth) && !ends(lines[last + 1]) {
        last += 1;
    }
    (first, last)
}

fn starts_item(line: &str, depth: usize) -> bool {
    let (inner, _, dash) = parts(line);
    dash && inner == depth
}

/// Depth of a line of YAML, its content, and whether it begins an item of a list; a dash counts as depth.
fn parts(line: &str) -> (usize, &str, bool) {
    let mut content = line.trim_start_matches(' ');
    let mut dash = false;
    while let Some(rest) = content.strip_prefix("- ") {
        dash = true;
        content = rest.trim_start_matches(' ');
    }
    (line.len() - content.len(), content.trim_end(), dash)
}

fn is_json_kind(line: &str) -> bool {
    let line = line.replace([' ', '\\'], "");
    line.contains("\"kind\":\"Secret\"")
}

fn is_inline_secret(line: &str) -> bool {
    line.contains("Secret") && line.contains('{') && is_json_kind(line)
}

/// The text without the value of every `"data": {...}`; quotes may be escaped.
fn without_json_data(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(brace) = next_data(rest) {
        kept.push_str(&rest[..brace]);
        kept.push_str(GONE);
        let mut open = 0;
        let end = rest[brace..].char_indices().find_map(|(at, c)| {
            match c {
                '{' => open += 1,
                '}' => open -= 1,
                _ => {}
            }
            (open == 0).then_some(brace + at + 1)
        });
        rest = &rest[end.unwrap_or(rest.len())..];
    }
    kept.push_str(rest);
    kept
}

/// Where the next value of such a field begins; it is always an object.
fn next_data(text: &str) -> Option<usize> {
    let first = |key: &&str| {
        text.match_indices(*key).find_map(|(start, key)| {
            let quoted = text[..start].ends_with('"');
            let value = text[start + key.len()..].trim_start_matches('\\').strip_prefix('"')?;
            let value = value.trim_start().strip_prefix(':')?.trim_start();
            (quoted && value.starts_with('{')).then_some(text.len() - value.len())
        })
    };
    DATA.iter().filter_map(first).min()
}
