//! The way from a page to the reports of a run.

use std::fmt::Write;
use std::path::Path;

/// The address of the report of the run in this folder, as a page at this path can link to it; none where there is no report.
pub fn link(page: &Path, run: &Path) -> Option<String> {
    let report = run.join("report.html").canonicalize().ok()?;
    let folder = page.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let from = folder.canonicalize().ok()?;
    let shared = from.components().zip(report.components()).take_while(|(one, other)| one == other).count();
    let up = from.components().skip(shared).map(|_| "..".to_string());
    let down = report.components().skip(shared).map(|part| encoded(part.as_os_str().as_encoded_bytes()));
    Some(up.chain(down).collect::<Vec<_>>().join("/"))
}

/// A name as a part of an address.
fn encoded(name: &[u8]) -> String {
    let mut text = String::new();
    for byte in name {
        match byte {
            b'-' | b'_' | b'.' | b'~' => text.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() => text.push(char::from(*byte)),
            byte => write!(text, "%{byte:02X}").expect("a String takes everything"),
        }
    }
    text
}
