//! Private keys, as PEM and as PEM in base64.

use super::GONE;

/// How the PEM of a private key begins in base64: PKCS#8, PKCS#1, SEC 1, encrypted PKCS#8, OpenSSH.
const IN_BASE64: [&str; 5] = [
    "LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0t",
    "LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVkt",
    "LS0tLS1CRUdJTiBFQyBQUklWQVRFIEtFWS0t",
    "LS0tLS1CRUdJTiBFTkNSWVBURUQgUFJJVkFURSBLRVkt",
    "LS0tLS1CRUdJTiBPUEVOU1NIIFBSSVZBVEUgS0VZ",
];

const MARK: &str = "PRIVATE KEY-----";

/// The text without them.
pub fn without_private_keys(text: &str) -> String {
    let text = if text.contains(MARK) { without_pem(text) } else { text.to_string() };
    let in_base64 = |c: char| c.is_ascii_alphanumeric() || "+/=-_".contains(c);
    IN_BASE64.iter().fold(text, |text, start| super::tokens::replace_runs(&text, start, in_base64, |_| true))
}

/// Whether a character may stand inside PEM, also where its line breaks are written as `\n`.
fn in_pem(c: char) -> bool {
    c.is_ascii_alphanumeric() || "+/=\\ \n\r\t".contains(c)
}

fn without_pem(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(mark) = rest.find(MARK) {
        let after = mark + MARK.len();
        // `-----BEGIN RSA ` and the like stand right before the mark.
        let head = rest[..mark].rfind("-----").unwrap_or(mark);
        let label = &rest[head..mark];
        if label.starts_with("-----BEGIN") {
            kept.push_str(&rest[..head]);
            kept.push_str(GONE);
            rest = match rest[after..].find(MARK).map(|at| after + at) {
                Some(end) if rest[after..end].contains("-----END") => &rest[end + MARK.len()..],
                // A key that was cut off: everything that could belong to it goes.
                _ => rest[after..].trim_start_matches(in_pem),
            };
        } else if label.starts_with("-----END") {
            // The head of this key was cut off.
            kept.push_str(rest[..head].trim_end_matches(in_pem));
            kept.push_str(GONE);
            rest = &rest[after..];
        } else {
            kept.push_str(&rest[..after]);
            rest = &rest[after..];
        }
    }
    kept.push_str(rest);
    kept
}
