//! What is written down when something is not passed: collected before any clean-up, bounded, free of secrets.

mod causes;
pub mod collect;
pub mod folder;
pub mod hints;
pub mod item;
mod logs;
mod nodes;
mod objects;
mod pages;
pub mod redact;
mod symptoms;
mod trust;
mod unfinished;

pub use collect::{Collected, collect};
pub use unfinished::{Unfinished, collect_unfinished};
