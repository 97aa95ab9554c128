//! Reporters: pure folds over events.

pub mod facts;
pub mod history;
pub mod jsonl;
pub mod junit;
pub mod letters;
pub mod open;
pub mod plan;
pub mod summary;
pub mod terminal;
pub mod text;
pub mod times;
pub mod trouble;

pub use history::History;
pub use summary::Summary;
pub use trouble::Trouble;
