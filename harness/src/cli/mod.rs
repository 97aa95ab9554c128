//! The command line: flags, verbs, and what a signal does.

pub mod args;
mod interrupt;
mod preflight;
mod session;
mod verbs;

pub use verbs::main;
