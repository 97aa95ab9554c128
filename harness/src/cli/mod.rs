//! The command line: flags, verbs, and what a signal does.

pub mod args;
mod brought;
mod capture;
mod claim;
mod explain;
pub mod field;
mod inspect;
mod interrupt;
mod matrix;
mod output;
mod own;
mod past;
mod preflight;
mod prove;
mod repeat;
mod reporters;
mod rounds;
pub mod scenarios;
mod series;
mod session;
pub mod shell;
mod timeline;
mod verbs;
mod verdict;
mod versions;

pub use verbs::main;
