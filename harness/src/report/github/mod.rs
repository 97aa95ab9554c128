//! What GitHub shows of a run: groups in the log, annotations, the summary of a job, and outputs of a step.

mod command;
mod job;
mod section;
mod summary;

pub use command::{annotations, harmless, refused};
pub use job::{Job, Step};
pub use section::{Groups, Section};
pub use summary::{escaped, markdown};
