//! What is written down when something is not passed: collected before any clean-up, bounded, free of secrets.

pub mod collect;
pub mod hints;
pub mod redact;

pub use collect::{Collected, collect};
