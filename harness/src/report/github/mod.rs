//! What GitHub shows of a run: groups in the log, annotations, the summary of a job, and outputs of a step.

mod command;
mod section;

pub use command::{annotations, harmless, refused};
pub use section::{Groups, Section};
