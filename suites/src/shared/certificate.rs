//! Certificates by their fingerprint: what evidence shows in the place of a long PEM.

use sha2::{Digest, Sha256};

/// SHA-256 of anything, hex.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A PEM without the differences that mean nothing: blanks at line ends, and line ends at its end.
pub fn normal(pem: &str) -> String {
    pem.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

/// `sha256 1a2b3c4d…`, for the normal form of a PEM; says so when there is none.
pub fn fingerprint(pem: &str) -> String {
    if pem.trim().is_empty() { "empty".to_string() } else { format!("sha256 {}", sha256(normal(pem).as_bytes())) }
}
