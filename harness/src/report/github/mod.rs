//! What GitHub shows of a run: groups in the log, annotations, the summary of a job, and outputs of a step.

mod command;
mod job;
mod markdown;
mod section;

pub use command::{annotations, harmless, refused};
pub use job::{Job, Step};
pub use markdown::{escaped, markdown};
pub use section::{Groups, Section};
