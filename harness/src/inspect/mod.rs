//! Judging two archives of `istioctl bug-report`: what they hold is asked as the clusters would be, and nothing else is.

mod answers;
mod archive;
mod bug_report;
mod mesh;

pub use bug_report::BugReport;
pub use mesh::{Reports, open};
