//! The command line: flags, verbs, and what a signal does.

pub mod args;
mod claim;
mod interrupt;
mod own;
mod preflight;
mod prove;
mod repeat;
mod session;
mod verbs;

pub use verbs::main;
