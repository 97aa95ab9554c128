//! Reporters: pure folds over events.

pub mod counts;
pub mod diff;
pub mod expected;
pub mod facts;
pub mod files;
pub mod github;
pub mod history;
pub mod html;
pub mod json;
pub mod jsonl;
pub mod junit;
pub mod lanes;
pub mod letters;
pub mod likeness;
pub mod markdown;
pub mod open;
pub mod plan;
pub mod pod_name;
pub mod repeats;
mod replace;
pub mod rerun;
pub mod runs;
pub mod summary;
pub mod terminal;
pub mod text;
pub mod times;
pub mod trace;
pub mod trouble;
pub mod waits;

pub use history::History;
pub use repeats::Repeats;
pub(crate) use replace::replace;
pub use rerun::Rerun;
pub use summary::Summary;
pub use trouble::Trouble;
