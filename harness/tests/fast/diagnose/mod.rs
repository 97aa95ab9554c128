//! Diagnostics: what is collected, what is left out, and what it is said to mean.

mod collect;
mod folder;
mod hints;
mod item;
mod redact;
