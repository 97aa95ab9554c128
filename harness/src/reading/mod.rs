//! Judging clusters that meshproof did not make: they are read by the user's kube contexts, and never written.

pub mod client;
pub mod contexts;
pub mod find;
pub mod judging;
pub mod rbac;

pub use contexts::{Contexts, KubeconfigFiles};
