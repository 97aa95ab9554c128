//! Field issues: what users met, reproduced. Each is a scenario below `suites/scenarios/field/`; the events of its real runs
//! are below `fixtures/runs/field/`, a folder for each version of Istio.

mod catalogue;
mod like;
mod outcome;
mod table;

pub use catalogue::{FOLDER, Issue, choose, read};
pub use like::{Like, Symptoms};
pub use outcome::{Outcome, RUNS, Ran, recorded};
pub use table::{Row, markdown, text};
