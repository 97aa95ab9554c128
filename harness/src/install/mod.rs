//! The guide's install and clean-up as lists of steps: each is applied, then proved.

pub mod action;
pub mod announced;
pub mod beside;
mod ca;
pub(crate) mod cleanup;
mod distribution;
pub mod facts;
pub mod inventory;
pub mod per_remote;
pub mod primary_remote;
pub mod proof;
pub mod revision;
pub mod standing;
pub mod step;
pub mod tag;
mod token;

pub use step::{Step, StepError};
