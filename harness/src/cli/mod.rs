//! The command line: flags, verbs, and what a signal does.

pub mod args;
mod claim;
mod interrupt;
mod matrix;
mod own;
mod preflight;
mod prove;
mod repeat;
pub mod scenarios;
mod session;
mod timeline;
mod verbs;
mod versions;

pub use verbs::main;
