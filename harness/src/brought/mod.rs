//! Clusters that the user brought: what stands in the way of an install, what it will make there, the record of what it made,
//! and the removal of exactly that.

pub mod ledger;
pub mod open;
pub mod preflight;
pub mod record;
pub mod removal;
pub mod show;

pub use ledger::Ledger;
pub use record::Record;
