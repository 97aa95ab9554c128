//! The guide's install and clean-up as lists of steps: each is applied, then proved.

pub mod action;
pub mod beside;
mod ca;
mod cleanup;
pub mod facts;
pub mod inventory;
pub mod primary_remote;
pub mod proof;
pub mod revision;
pub mod step;
mod token;

pub use step::{Step, StepError};
