//! Bearer tokens and JSON web tokens, wherever they stand.

use super::GONE;

/// `{"alg":"` in base64, which is how a token begins in the data of a Secret.
const TOKEN_IN_BASE64: &str = "ZXlKaGJHY2lPaUp";

/// The text without them.
pub fn without_tokens(text: &str) -> String {
    let text = without_scheme(text, "bearer ");
    let text = without_scheme(&text, "basic ");
    let in_token = |c: char| c.is_ascii_alphanumeric() || "-_.=".contains(c);
    let text = replace_runs(&text, "eyJ", in_token, is_web_token);
    let in_base64 = |c: char| c.is_ascii_alphanumeric() || "+/=-_".contains(c);
    replace_runs(&text, TOKEN_IN_BASE64, in_base64, |_| true)
}

/// Replaces every run of `member` characters that begins with `start` and is `meant`.
///
/// A run that goes on to the left of `start` is something else, such as a certificate in base64.
pub fn replace_runs(text: &str, start: &str, member: impl Fn(char) -> bool, meant: impl Fn(&str) -> bool) -> String {
    if !text.contains(start) {
        return text.to_string();
    }
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = None;
    while let Some(at) = rest.find(start) {
        let end = rest[at..].find(|c| !member(c)).map_or(rest.len(), |length| at + length);
        let run = &rest[at..end];
        let left = rest[..at].chars().next_back().or(before);
        let goes_on = left.is_some_and(|c| c.is_ascii_alphanumeric());
        kept.push_str(&rest[..at]);
        kept.push_str(if !goes_on && meant(run) { GONE } else { run });
        before = run.chars().next_back();
        rest = &rest[end..];
    }
    kept.push_str(rest);
    kept
}

/// Header and payload are JSON objects; a token that was cut off has two parts, an encrypted one five.
fn is_web_token(run: &str) -> bool {
    let parts: Vec<&str> = run.split('.').collect();
    let header = parts[0].len() >= 8;
    header && (parts.len() >= 3 || (parts.len() == 2 && parts[1].starts_with("eyJ")))
}

/// The text without what follows `Bearer` or `Basic`, where that looks like a credential.
fn without_scheme(text: &str, scheme: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let mut kept = String::with_capacity(text.len());
    let (mut done, mut from) = (0, 0);
    while let Some(found) = lower[from..].find(scheme) {
        let start = from + found + scheme.len();
        let end = lower[start..]
            .find(|c: char| !c.is_ascii_alphanumeric() && !"-._~+/=".contains(c))
            .map_or(lower.len(), |length| start + length);
        if is_credential(&lower[..start], &text[start..end]) {
            kept.push_str(&text[done..start]);
            kept.push_str(GONE);
            done = end;
        }
        from = end;
    }
    kept.push_str(&text[done..]);
    kept
}

/// Sentences speak of bearer tokens, too: a word counts after `authorization` only, a long mix of letters and digits always.
fn is_credential(before: &str, word: &str) -> bool {
    let header = before.lines().next_back().is_some_and(|line| line.contains("authorization"));
    let mixed = word.chars().any(|c| c.is_ascii_digit()) && word.chars().any(|c| c.is_ascii_alphabetic());
    (header && word.len() >= 4) || (word.len() >= 16 && mixed)
}
